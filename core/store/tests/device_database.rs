//! What a device's database promises: nothing readable without the key, nothing acknowledged lost, nothing overwritten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use karwan_proto::Role;
use karwan_proto::ids::{CaseloadId, DeviceId, Hash, IncarnationId, OrganisationId, PersonId, RecordId};
use karwan_store::change::{ChangeState, Origin, RecordPlace, StoredChange};
use karwan_store::draft::{Draft, FlatAnswers};
use karwan_store::listing::{Kind, Listed, Question, folded_text};
use karwan_store::{DatabaseKey, FileKey, Folder, Identity, KeyError, KeyProvider, MemoryKey, Store, StoreError};
use tempfile::TempDir;

const CASELOAD: CaseloadId = CaseloadId([1; 16]);
const PERSON: PersonId = PersonId([2; 16]);
const RECORD: RecordId = RecordId([3; 16]);

fn identity() -> Identity {
    Identity {
        signing_seed: [9; 32],
        device_name: "phone".to_owned(),
        organisation: OrganisationId([4; 16]),
        organisation_name: "Test".to_owned(),
        root_key: karwan_proto::SigningKey::from_seed(&[5; 32]).public().0,
        server_certificate: Vec::new(),
        addresses: vec!["127.0.0.1:1".to_owned()],
        person: PERSON,
        offset_minutes: 210,
    }
}

fn key() -> MemoryKey {
    MemoryKey(DatabaseKey::new([7; 32]))
}

fn device(root: &Path) -> Store {
    let mut store = Store::create(Folder::new(root), &key(), &identity()).unwrap();
    store.write(|batch| batch.add_caseload(CASELOAD, Hash([0; 32]))).unwrap();
    store
}

fn open(root: &Path) -> (Store, karwan_store::Opened) {
    Store::open(Folder::new(root), &key()).unwrap()
}

fn draft(record: RecordId) -> Draft {
    Draft {
        record,
        caseload: CASELOAD,
        form: Hash([6; 32]),
        person: PERSON,
        language: String::new(),
        base: None,
        seed: [8; 32],
        title: String::new(),
        started_ms: 1_000,
        updated_ms: 1_000,
        offset_minutes: 210,
    }
}

fn change(number: u32, text: &str) -> StoredChange {
    let bytes = text.as_bytes().to_vec();
    let mut hash = [0u8; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    StoredChange {
        hash: Hash(hash),
        bytes,
        own: true,
        envelope: None,
        state: ChangeState::New,
        origin: Origin {
            device: DeviceId([1; 16]),
            incarnation: IncarnationId([1; 16]),
            person: PERSON,
            at_ms: 1_000,
            offset_minutes: 210,
            role: Role::Enumerator,
        },
    }
}

fn author(store: &mut Store, number: u32, text: &str) {
    let done: Result<(), StoreError> = store.author(|batch| {
        batch.put_record(RECORD, RecordPlace { caseload: CASELOAD, generation: 0 })?;
        batch.put_change(RECORD, 0, &change(number, text))?;
        Ok(())
    });
    done.unwrap();
}

fn listed(id: &str, title: &str) -> Listed {
    Listed {
        kind: Kind::Interview,
        id: id.to_owned(),
        caseload: CASELOAD,
        source: "household".to_owned(),
        version: "1".to_owned(),
        title: title.to_owned(),
        status: String::new(),
        person: Some(PERSON),
        device: None,
        assigned: String::new(),
        updated_ms: 1_000,
        offset_minutes: 210,
        open_items: 0,
        unsent: true,
        provisional: false,
    }
}

// ---- the key -------------------------------------------------------------------------------------------------------

#[test]
fn a_wrong_key_is_told_from_a_lost_one_and_nothing_is_touched() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("dev");
    let keys = FileKey::beside(&root);
    drop(Store::create(Folder::new(&root), &keys, &identity()).unwrap());
    assert!(keys.path().ends_with("dev.key"));
    let before = std::fs::read(root.join("device.db")).unwrap();
    assert!(matches!(Store::open(Folder::new(&root), &key()), Err(StoreError::WrongKey)));
    // Also where the witness is gone, a wrong key must not be taken for a damaged file.
    let witness = std::fs::read(root.join("witness")).unwrap();
    std::fs::remove_file(root.join("witness")).unwrap();
    assert!(matches!(Store::open(Folder::new(&root), &key()), Err(StoreError::WrongKey)));
    std::fs::write(root.join("witness"), witness).unwrap();
    assert_eq!(std::fs::read(root.join("device.db")).unwrap(), before);

    std::fs::rename(keys.path(), folder.path().join("elsewhere")).unwrap();
    assert!(matches!(Store::open(Folder::new(&root), &keys), Err(StoreError::Key(KeyError::Lost { .. }))));
    std::fs::rename(folder.path().join("elsewhere"), keys.path()).unwrap();
    let (store, opened) = Store::open(Folder::new(&root), &keys).unwrap();
    assert!(!opened.new_incarnation);
    assert_eq!(store.identity().unwrap().device_name, "phone");
}

#[test]
fn a_key_file_is_its_owners_only_and_is_never_replaced() {
    let folder = TempDir::new().unwrap();
    let keys = FileKey::new(folder.path().join("dev.key"));
    keys.create().unwrap();
    let text = std::fs::read_to_string(keys.path()).unwrap();
    assert_eq!(text.trim().len(), 64);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(keys.path()).unwrap().permissions()) & 0o777, 0o600);
    keys.create().unwrap();
    assert_eq!(std::fs::read_to_string(keys.path()).unwrap(), text);
    std::fs::write(keys.path(), "not a key").unwrap();
    assert!(matches!(keys.key(), Err(KeyError::NotAKey { .. })));
}

// ---- secrecy -------------------------------------------------------------------------------------------------------

const NAME: &str = "عليرضا كريمي";
const NAME_FOLDED: &str = "علیرضاکریمی";
const PHONE: &str = "۰۹۱۲۳۴۵۶۷۸۹";
const PHONE_FOLDED: &str = "09123456789";
const WORD: &str = "Zarnigar-Sentinel";

fn needles() -> Vec<Vec<u8>> {
    [NAME, NAME_FOLDED, PHONE, PHONE_FOLDED, WORD]
        .iter()
        .flat_map(|text| {
            let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
            [text.as_bytes().to_vec(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)]
        })
        .collect()
}

fn hits(folder: &Path) -> usize {
    let needles = needles();
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += hits(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found +=
                needles.iter().filter(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_slice())).count();
        }
    }
    found
}

#[test]
fn planted_values_are_in_no_file_and_the_search_does_find_them_in_a_plain_copy() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("dev");
    let mut store = device(&root);
    let answers: FlatAnswers = [("head_name".to_owned(), format!("t{NAME}")), ("phone".to_owned(), format!("t{PHONE}"))].into();
    store.write(|batch| batch.begin_draft(&draft(RECORD), &answers)).unwrap();
    author(&mut store, 1, &format!("{NAME} {PHONE} {WORD}"));
    let folded = folded_text([NAME_FOLDED, PHONE_FOLDED, "zarnigarsentinel"]);
    store.write(|batch| batch.put_listed(&listed("1", NAME), &folded)).unwrap();
    let found = store.view().unwrap().list(&Question { words: vec!["0912345".to_owned()], ..Question::default() }).unwrap();
    assert_eq!(found.len(), 1);
    // While it is open the write-ahead log is there too.
    assert!(root.join("device.db-wal").exists());
    assert_eq!(hits(&root), 0);
    store.pause().unwrap();
    assert_eq!(hits(&root), 0);

    let plain = TempDir::new().unwrap();
    let utf16: Vec<u8> = WORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(plain.path().join("a"), format!("xx{NAME}yy{PHONE_FOLDED}")).unwrap();
    std::fs::write(plain.path().join("b"), [b"zz", utf16.as_slice()].concat()).unwrap();
    assert_eq!(hits(plain.path()), 3);
}

#[test]
fn the_file_opened_without_a_key_is_no_database() {
    let folder = TempDir::new().unwrap();
    drop(device(&folder.path().join("dev")));
    let path = folder.path().join("dev/device.db");
    assert!(!std::fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
    let plain = rusqlite::Connection::open(&path).unwrap();
    assert!(plain.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0)).is_err());
}

// ---- one process at a time -----------------------------------------------------------------------------------------

#[test]
fn the_folder_lets_one_in_at_a_time_and_pausing_lets_it_go() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    let other = Folder::new(folder.path());
    assert!(matches!(other.lock(0), Err(StoreError::Locked { waited_s: 0 })));
    store.pause().unwrap();
    drop(other.lock(0).unwrap());
    assert!(matches!(store.view(), Err(StoreError::Paused)));
    store.resume().unwrap();
    assert_eq!(store.identity().unwrap().person, PERSON);
    assert!(matches!(other.lock(0), Err(StoreError::Locked { .. })));
}

// ---- the journal ---------------------------------------------------------------------------------------------------

const CHILD: &str = "KARWAN_TEST_JOURNAL";

/// Not a test of its own: the process that the next test kills. Says each answer after its commit.
#[test]
fn journal_writer() {
    let Some(root) = std::env::var_os(CHILD) else { return };
    let (mut store, _) = open(Path::new(&root));
    let begin = store.view().unwrap().draft_answers(RECORD).unwrap().len();
    for number in begin..begin + 100_000 {
        let steps = [(format!("q{number:06}"), Some(format!("t{number}")))];
        store.write(|batch| batch.append_draft(RECORD, &steps, 2_000)).unwrap();
        println!("answered {number}");
    }
}

#[test]
fn an_interview_killed_at_any_answer_keeps_every_answer_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    store.write(|batch| batch.begin_draft(&draft(RECORD), &FlatAnswers::new())).unwrap();
    drop(store);
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    for cycle in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["journal_writer", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.by_ref() {
            if let Some(number) =
                line.unwrap().split_once("answered ").and_then(|(_, number)| number.trim().parse::<usize>().ok())
            {
                acknowledged.insert(format!("q{number:06}"), format!("t{number}"));
                seen += 1;
                if seen == 3 + cycle * 2 {
                    break;
                }
            }
        }
        child.kill().unwrap();
        for line in lines {
            if let Some(number) =
                line.unwrap().split_once("answered ").and_then(|(_, number)| number.trim().parse::<usize>().ok())
            {
                acknowledged.insert(format!("q{number:06}"), format!("t{number}"));
            }
        }
        child.wait().unwrap();
        let (store, opened) = open(folder.path());
        assert!(!opened.new_incarnation, "a draft authors nothing");
        let kept = store.view().unwrap().draft_answers(RECORD).unwrap();
        for (key, value) in &acknowledged {
            assert_eq!(kept.get(key), Some(value), "cycle {cycle}");
        }
        assert!(kept.len() <= acknowledged.len() + 1, "at most the answer that was under way more");
        acknowledged = kept;
    }
    assert!(acknowledged.len() >= 80, "{}", acknowledged.len());
}

// ---- the witness ---------------------------------------------------------------------------------------------------

#[test]
fn a_restored_copy_begins_a_new_incarnation_and_keeps_its_unsent_edits() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("dev");
    let mut store = device(&root);
    author(&mut store, 1, "first");
    let copy = folder.path().join("copy.db");
    store.copy_to(&copy).unwrap();
    author(&mut store, 2, "second");
    let before = store.incarnation();
    drop(store);
    // Opened as it was left: the same life goes on.
    let (store, opened) = open(&root);
    assert!(!opened.new_incarnation && store.incarnation() == before);
    drop(store);

    for leftover in ["device.db-wal", "device.db-shm"] {
        std::fs::remove_file(root.join(leftover)).ok();
    }
    std::fs::copy(&copy, root.join("device.db")).unwrap();
    let (mut store, opened) = open(&root);
    assert!(opened.new_incarnation);
    assert_ne!(store.incarnation(), before);
    assert!(store.rewrite_pending().unwrap());
    let unsealed = store.view().unwrap().all_unsealed().unwrap();
    assert_eq!(unsealed.len(), 1);
    assert_eq!(unsealed[0].change.bytes, b"first");
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the method is not general enough in its lifetime")]
    store.write(|batch| batch.rewrite_done()).unwrap();
    let after = store.incarnation();
    drop(store);
    let (store, opened) = open(&root);
    assert!(!opened.new_incarnation && store.incarnation() == after);
}

#[test]
fn a_copy_of_the_database_in_another_folder_is_another_incarnation() {
    let folder = TempDir::new().unwrap();
    let (root, clone) = (folder.path().join("dev"), folder.path().join("clone"));
    let mut store = device(&root);
    author(&mut store, 1, "first");
    let before = store.incarnation();
    store.pause().unwrap();
    std::fs::create_dir(&clone).unwrap();
    std::fs::copy(root.join("device.db"), clone.join("device.db")).unwrap();
    // Without the witness a damaged file could not be told from a wrong key; a readable one opens.
    let (cloned, opened) = open(&clone);
    assert!(opened.new_incarnation);
    assert_ne!(cloned.incarnation(), before);
}

#[test]
fn a_commit_that_was_cut_off_after_its_reservation_begins_a_new_incarnation() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    author(&mut store, 1, "first");
    let before = store.incarnation();
    store.pause().unwrap();
    let database = std::fs::read(folder.path().join("device.db")).unwrap();
    store.resume().unwrap();
    author(&mut store, 2, "second");
    store.pause().unwrap();
    std::fs::write(folder.path().join("device.db"), database).unwrap();
    store.resume().unwrap();
    assert_ne!(store.incarnation(), before);
    assert!(store.rewrite_pending().unwrap());
}

// ---- damage --------------------------------------------------------------------------------------------------------

/// Spoils pages in the middle of a file.
fn spoil(path: &Path, from: f64, pages: usize) {
    const PAGE: usize = 4096;
    let mut bytes = std::fs::read(path).unwrap();
    let first = ((bytes.len() / PAGE) as f64 * from) as usize;
    for page in first..first + pages {
        for byte in bytes.iter_mut().skip(page * PAGE + 100).take(64) {
            *byte ^= 0xff;
        }
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_kept_aside_and_what_it_holds_is_salvaged() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    for number in 0..400 {
        author(&mut store, number, &format!("{number} {}", "x".repeat(900)));
    }
    store.pause().unwrap();
    let path = folder.path().join("device.db");
    spoil(&path, 0.5, 3);
    let spoiled = std::fs::read(&path).unwrap();
    // The damage shows when it is stumbled on; the next opening salvages.
    store.resume().unwrap();
    let read = store.view().unwrap().all_changes_of(RECORD);
    assert!(matches!(read, Err(StoreError::Damaged)), "{:?}", read.map(|changes| changes.len()));
    store.mark_damaged();
    drop(store);

    let (store, opened) = open(folder.path());
    let salvaged = opened.salvaged.unwrap();
    assert!(opened.new_incarnation, "what is lost might have been numbered");
    let kept = store.view().unwrap().all_changes_of(RECORD).unwrap();
    assert!(kept.len() >= 350 && kept.len() < 400, "{} of 400 are kept", kept.len());
    assert!(kept.iter().all(|change| change.bytes.len() > 900));
    assert_eq!(store.identity().unwrap().signing_seed, [9; 32]);
    assert_eq!(std::fs::read(salvaged.kept_in.join("device.db")).unwrap(), spoiled, "never deleted");
    assert_eq!(store.view().unwrap().caseloads().unwrap()[0].sequence, 0, "everything is asked for again");
}

#[test]
fn a_device_whose_database_is_wholly_unreadable_is_still_itself() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    author(&mut store, 1, "first");
    store.pause().unwrap();
    drop(store);
    spoil(&folder.path().join("device.db"), 0.0, 1);
    let (store, opened) = open(folder.path());
    assert_eq!(opened.salvaged.unwrap().rows_saved, 0);
    let identity = store.identity().unwrap();
    assert_eq!((identity.signing_seed, identity.device_name.as_str()), ([9; 32], "phone"));
}

// ---- lists ---------------------------------------------------------------------------------------------------------

#[test]
fn a_search_finds_parts_of_folded_words_and_counts_without_documents() {
    let folder = TempDir::new().unwrap();
    let mut store = device(folder.path());
    let done: Result<(), StoreError> = store.write(|batch| {
        batch.put_listed(&listed("1", "علی رضا"), &folded_text(["علیرضا", "0912345"]))?;
        batch.put_listed(&listed("2", "Maryam"), &folded_text(["maryam", "ali", "reza"]))?;
        batch.put_listed(&listed("2", "Maryam"), &folded_text(["maryam", "kabul"]))?;
        batch.put_listed(&listed("3", "Karim"), &folded_text(["af 0092500", "af0092500", "karim"]))
    });
    done.unwrap();
    let view = store.view().unwrap();
    let ask = |words: &[&str]| {
        let question = Question { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Question::default() };
        let rows = view.list(&question).unwrap();
        assert_eq!(view.count(&question).unwrap() as usize, rows.len());
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ask(&["علی", "رضا"]), ["1"]);
    assert_eq!(ask(&["علیرضا"]), ["1"]);
    assert_eq!(ask(&["2345"]), ["1"]);
    assert_eq!(ask(&["kab"]), ["2"]);
    assert_eq!(ask(&["reza"]), [] as [&str; 0], "the row was replaced");
    assert_eq!(ask(&["345mar"]), [] as [&str; 0], "not across two values");
    assert_eq!(ask(&["af", "0092500"]), ["3"], "a number that begins with two letters");
    assert_eq!(ask(&["ka", "kabul"]), [] as [&str; 0]);
    assert_eq!(ask(&["\"; DROP"]), [] as [&str; 0]);
    assert_eq!(ask(&[]).len(), 3);
}
