//! A phone that was let in and lies, against the real server: what it brings is refused or set aside by name, and blocks nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use karwan_proto::session::{Ingested, Rejection};
use karwan_proto::{CaseloadId, PersonId, Reason, SigningKey, Verdict};
use karwan_server::organisation::Organisation;
use karwan_tests::home::{Server, Template, organisation_in, phone_in, quick_folder};
use karwan_tests::liar::{Liar, renamed, verdicts};
use tempfile::TempDir;

struct Stage {
    _folder: TempDir,
    server: Server,
    liar: Liar,
    other: Liar,
    caseload: CaseloadId,
}

impl Stage {
    fn set() -> Self {
        let folder = quick_folder();
        Template::make(2).unpack(folder.path());
        let server = Server::open(&organisation_in(folder.path())).unwrap();
        let organisation = server.host.organisation.clone();
        let liar = Liar::of_phone(&phone_in(folder.path(), 0), 0, &organisation, 1);
        let other = Liar::of_phone(&phone_in(folder.path(), 1), 1, &organisation, 2);
        let caseload = liar.caseload;
        Self { _folder: folder, server, liar, other, caseload }
    }

    fn organisation(&self) -> Arc<Organisation> {
        self.server.host.organisation.clone()
    }

    fn head(&self) -> u64 {
        let caseload = self.caseload;
        self.organisation().heads().unwrap().into_iter().find(|(id, _)| *id == caseload).unwrap().1.sequence
    }
}

fn rejected(outcome: Ingested) -> Rejection {
    match outcome {
        Ingested::Rejected(rejection) => rejection,
        Ingested::Durable { sequence } => panic!("it was taken in, at {sequence}"),
    }
}

#[test]
fn what_is_signed_by_another_key_or_for_another_caseload_is_not_kept() {
    let mut stage = Stage::set();
    let organisation = stage.organisation();
    let before = stage.head();
    let (record, change) = stage.liar.record("Karim");
    let changes = vec![(record.id(), change)];
    // A key of another organisation, under its own name and under that of a phone that is known.
    let stranger = SigningKey::from_seed(&[77; 32]);
    let strange = stage.liar.sign_with(&stranger, changes.clone());
    assert_eq!(rejected(stage.liar.bring(&organisation, &strange)), Rejection::UnknownDevice);
    let known = stage.other.key.public().device();
    let forged = renamed(&strange, stranger.public().device(), known);
    assert_eq!(rejected(stage.liar.bring(&organisation, &forged)), Rejection::Signature);
    let own = stage.liar.sign(changes.clone());
    let forged = renamed(&own, stage.liar.key.public().device(), known);
    assert_eq!(rejected(stage.liar.bring(&organisation, &forged)), Rejection::Signature);
    stage.liar.caseload = CaseloadId([9; 16]);
    let envelope = stage.liar.sign(changes);
    assert_eq!(rejected(stage.liar.bring(&organisation, &envelope)), Rejection::Caseload);
    assert_eq!(rejected(stage.liar.bring(&organisation, b"no envelope")), Rejection::Malformed);
    assert_eq!(stage.head(), before, "nothing of it is in the log");
}

#[test]
fn a_replay_is_the_same_entry_and_an_unknown_author_or_actor_is_set_aside() {
    let mut stage = Stage::set();
    let organisation = stage.organisation();
    let (record, change) = stage.liar.record("Karim");
    let envelope = stage.liar.sign(vec![(record.id(), change)]);
    let Ingested::Durable { sequence } = stage.liar.bring(&organisation, &envelope) else { panic!("honest work is taken in") };
    for _ in 0..3 {
        assert_eq!(stage.other.bring(&organisation, &envelope), Ingested::Durable { sequence });
    }
    assert_eq!(stage.head(), sequence);
    assert!(verdicts(&organisation, record.id()).is_empty());
    // A person whom nobody knows.
    let (record, change) = stage.liar.record("Maryam");
    let person = std::mem::replace(&mut stage.liar.person, PersonId([8; 16]));
    let envelope = stage.liar.sign(vec![(record.id(), change)]);
    stage.liar.bring(&organisation, &envelope);
    assert_eq!(verdicts(&organisation, record.id()), [Verdict::Quarantined(Reason::Author)]);
    stage.liar.person = person;
    // Another phone's change, signed as one's own.
    let (record, change) = stage.other.record("Rajab");
    let envelope = stage.liar.sign(vec![(record.id(), change)]);
    stage.liar.bring(&organisation, &envelope);
    assert_eq!(verdicts(&organisation, record.id()), [Verdict::Quarantined(Reason::Author)]);
}

#[test]
fn what_comes_after_a_revocation_does_not_count_however_it_is_dated() {
    let mut stage = Stage::set();
    let organisation = stage.organisation();
    let (record, change) = stage.liar.record("Karim");
    let held_back = stage.liar.sign(vec![(record.id(), change)]);
    organisation.revoke_device("phone-0").unwrap();
    // Made before the revocation, brought after it, by itself and by another; and one that says that it is from 1971.
    stage.other.bring(&organisation, &held_back);
    assert_eq!(verdicts(&organisation, record.id()), [Verdict::Quarantined(Reason::Revoked)]);
    stage.liar.clock_ms = 31_536_000_000;
    let (record, change) = stage.liar.record("Maryam");
    let backdated = stage.liar.sign(vec![(record.id(), change)]);
    stage.other.bring(&organisation, &backdated);
    assert_eq!(verdicts(&organisation, record.id()), [Verdict::Quarantined(Reason::Revoked)]);
    assert!(organisation.changes_of(stage.liar.caseload, record.id()).unwrap().is_empty());
}

#[test]
fn a_second_change_under_one_number_is_set_aside_and_does_not_block_the_record() {
    let mut stage = Stage::set();
    let organisation = stage.organisation();
    let (record, change) = stage.liar.record("Karim");
    let mut twin = record.clone();
    let mut record = record;
    let envelope = stage.liar.sign(vec![(record.id(), change)]);
    stage.liar.bring(&organisation, &envelope);
    let first = stage.liar.edit(&mut record, "Karim Jan");
    let second = stage.liar.edit(&mut twin, "Karim Khan");
    for change in [first, second] {
        let envelope = stage.liar.sign(vec![(record.id(), change)]);
        stage.liar.bring(&organisation, &envelope);
    }
    assert_eq!(verdicts(&organisation, record.id()), [Verdict::Quarantined(Reason::Sequence)]);
    let edit = stage.other.edit(&mut record, "Karim Gul");
    let envelope = stage.other.sign(vec![(record.id(), edit)]);
    stage.other.bring(&organisation, &envelope);
    assert_eq!(organisation.changes_of(stage.liar.caseload, record.id()).unwrap().len(), 3);
}
