//! What the server makes of its logs: lists, items, decisions, duplicates, exports, and that a rebuilt projection equals the old one.
//! Devices are real ones, over QUIC on loopback, in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use karwan_client::{Clock, DatabaseKey, Device, EnrolRequest, Filling, Folder, MemoryKey, Quiet, SystemClock, answer_file};
use karwan_form::answers::{Answer, Answers};
use karwan_proto::{Hash, RecordId, Role};
use karwan_record::{Record, Shape, Stamp};
use karwan_server::organisation::Organisation;
use karwan_server::problem::Problem;
use karwan_server::query::{self, ItemListed, RecordsQuery, Scope};
use karwan_server::review::{self, ItemDecision, ReviewAct, ReviewCommand};
use karwan_server::serve::Running;
use karwan_tests::workbook::{household_form, visit_form, workbook};
use serde_json::Value;
use tempfile::TempDir;

const CASELOAD: &str = "mashhad";
const HOUSEHOLD: &str =
    "head_name=غلام‌رضا\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n";

struct World {
    folder: TempDir,
    running: Running,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("org");
        Organisation::init(&path, "Test organisation").unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let running = Running::start(&path, any, any).await.unwrap();
        let organisation = &running.host.organisation;
        organisation.add_caseload(CASELOAD).unwrap();
        organisation.publish("household.xlsx", &household_form().unwrap(), Vec::new(), CASELOAD).unwrap();
        organisation.publish("visit.xlsx", &visit_form().unwrap(), Vec::new(), CASELOAD).unwrap();
        Self { folder, running }
    }

    async fn device(&self, name: &str, person: &str) -> Device {
        self.device_with(Arc::new(SystemClock { offset_minutes: 210 }), name, person).await
    }

    async fn device_with(&self, clock: Arc<dyn Clock>, name: &str, person: &str) -> Device {
        let host = &self.running.host;
        let invitation =
            host.organisation.invite(Role::Enumerator, &[CASELOAD.to_owned()], 3_600_000, host.addresses().unwrap()).unwrap();
        let request = EnrolRequest {
            folder: Folder::new(self.folder.path().join(name)),
            key: Arc::new(MemoryKey(DatabaseKey::random())),
            clock,
            invitation: invitation.to_text(),
            name: name.to_owned(),
            person: Some(person.to_owned()),
        };
        let device = Device::enrol(request).await.unwrap();
        sync(&device).await;
        device
    }

    /// What is projected once everything that came is read.
    fn caught_up(&self) -> &karwan_server::host::Host {
        let host = &self.running.host;
        host.projector.catch_up(&host.organisation).unwrap();
        host
    }

    fn items(&self) -> Vec<ItemListed> {
        query::items(self.caught_up(), &Scope::Everything).unwrap()
    }

    fn values(&self, record: &str, reference: &str) -> Vec<String> {
        let shown = query::show(self.caught_up(), &Scope::Everything, record).unwrap();
        shown.values.get(reference).into_iter().flatten().map(|value| value.value.clone()).collect()
    }

    fn resolve(&self, item: &str, decision: ItemDecision, person: Option<&str>) -> Result<Value, Problem> {
        let act = ReviewAct::Resolve { item: item.to_owned(), decision };
        review::run(
            &self.running.host,
            ReviewCommand { act, note: "Called the family.".to_owned(), person: person.map(str::to_owned) },
        )
    }

    fn assert_rebuilds_equal(&self) {
        let host = self.caught_up();
        let before = host.projector.dump().unwrap();
        assert!(before.len() >= 2, "a cursor and a record: {before:?}");
        host.projector.rebuild(&host.organisation).unwrap();
        assert_eq!(host.projector.dump().unwrap(), before);
    }
}

async fn sync(device: &Device) {
    let report = device.sync(None, &Quiet).await.unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
}

fn fill(device: &Device, form: &str, answers: &str) -> String {
    let mut collect = device.start(form, None, device.person().unwrap(), Filling::AtOnce).unwrap();
    collect.apply(&answer_file::parse(answers).unwrap()).unwrap();
    collect.finalize().unwrap().to_string()
}

fn edit(device: &Device, record: &str, place: &str, value: &str) {
    let mut collect = device.edit(record.parse().unwrap(), device.person().unwrap(), Filling::AtOnce).unwrap();
    collect.set(place, value).unwrap();
    collect.finalize().unwrap();
}

fn device_values(device: &Device, record: &str, reference: &str) -> Vec<String> {
    let shown = device.show(record).unwrap();
    shown.values.get(reference).into_iter().flatten().map(|value| value.value.clone()).collect()
}

/// A clock that tells the time of a month ago.
struct AMonthAgo;

impl Clock for AMonthAgo {
    fn now_ms(&self) -> i64 {
        SystemClock::default().now_ms() - 30 * 86_400_000
    }

    fn offset_minutes(&self) -> i32 {
        210
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_collected_a_month_ago_arrives_on_the_day_it_comes_home() {
    let world = World::new().await;
    let away = world.device_with(Arc::new(AMonthAgo), "phone-1", "Laila").await;
    fill(&away, "household", HOUSEHOLD);
    fill(&away, "household", HOUSEHOLD);
    let an_hour_ago = SystemClock::default().now_ms() - 3_600_000;
    let arrived = || query::arrivals(world.caught_up(), &Scope::Everything, an_hour_ago).unwrap().0;
    assert!(arrived().is_empty());
    sync(&away).await;
    let told: Vec<_> = arrived().into_iter().map(|arrival| (arrival.form, arrival.device, arrival.count)).collect();
    assert_eq!(told, [("household".to_owned(), "phone-1".to_owned(), 2)]);
    world.assert_rebuilds_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disagreement_is_listed_decided_once_and_seen_by_both_devices() {
    let world = World::new().await;
    let sara = world.running.host.organisation.add_person("sara", Role::Supervisor, &[CASELOAD.to_owned()], None).unwrap();
    let (mashhad, tehran) = (world.device("phone-m", "Laila").await, world.device("phone-t", "Karim").await);
    let record = fill(&mashhad, "household", HOUSEHOLD);
    sync(&mashhad).await;
    sync(&tehran).await;
    edit(&mashhad, &record, "/data/phone", "0711111111");
    edit(&tehran, &record, "/data/phone", "0722222222");
    sync(&mashhad).await;
    sync(&tehran).await;

    let items = world.items();
    let told: BTreeSet<(&str, &str, &str)> = items[0]
        .values
        .iter()
        .map(|value| (value.shown.value.as_str(), value.shown.author.as_str(), value.shown.device.as_str()))
        .collect();
    assert_eq!(told, BTreeSet::from([("0711111111", "Laila", "phone-m"), ("0722222222", "Karim", "phone-t")]));
    assert_eq!((items.len(), items[0].kind.as_str(), items[0].reference.as_str()), (1, "conflict", "/data/phone"));
    let listed = query::records(&world.running.host, &Scope::of(&world.running.host, sara).unwrap(), &RecordsQuery::default());
    assert_eq!(listed.unwrap().iter().map(|row| (row.kind, row.open_items)).collect::<Vec<_>>().len(), 2);

    let item = items[0].item.clone();
    world.resolve(&item, ItemDecision::Keep("phone-t".to_owned()), Some("sara")).unwrap();
    assert_eq!(world.values(&record, "/data/phone"), ["0722222222"]);
    assert_eq!(world.items(), []);
    let again = world.resolve(&item, ItemDecision::Value("1".to_owned()), None).unwrap_err();
    assert_eq!((again.code.as_str(), again.status), ("no-such-item", Problem::INPUT));
    for device in [&mashhad, &tehran] {
        sync(device).await;
        assert_eq!(device_values(device, &record, "/data/phone"), ["0722222222"]);
    }
    let history = query::show(&world.running.host, &Scope::Everything, &record).unwrap().history;
    let last = history.last().unwrap();
    assert_eq!((last.what.as_str(), last.author.as_str(), last.note.as_str()), ("decided", "sara", "Called the family."));
    world.assert_rebuilds_equal();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_decide_and_only_what_the_question_takes() {
    let world = World::new().await;
    let organisation = world.running.host.organisation.clone();
    organisation.add_caseload("tehran").unwrap();
    organisation.add_person("elsewhere", Role::Supervisor, &["tehran".to_owned()], None).unwrap();
    organisation.add_person("collector", Role::Enumerator, &[CASELOAD.to_owned()], None).unwrap();
    let operator = organisation.add_person("operator", Role::Operator, &[CASELOAD.to_owned()], None).unwrap();
    let (one, two) = (world.device("one", "Laila").await, world.device("two", "Karim").await);
    let record = fill(&one, "household", HOUSEHOLD);
    sync(&one).await;
    sync(&two).await;
    edit(&one, &record, "/data/destination", "kabul");
    edit(&two, &record, "/data/destination", "balkh");
    sync(&one).await;
    sync(&two).await;
    // The answer and the entity's property that it is saved to are one interview: one disagreement.
    let items = world.items();
    assert_eq!(items.len(), 1, "{items:?}");
    let item = items[0].item.as_str();
    let decide = |value: &str, person| world.resolve(item, ItemDecision::Value(value.to_owned()), Some(person)).unwrap_err().code;
    assert_eq!(decide("kabul", "elsewhere"), "no-such-item");
    assert_eq!(decide("kabul", "collector"), "role");
    assert_eq!(decide("paris", "administrator"), "value");
    assert_eq!(world.resolve(item, ItemDecision::Accept, None).unwrap_err().code, "decision");

    let host = world.caught_up();
    let scope = Scope::of(host, operator).unwrap();
    assert_eq!(query::records(host, &scope, &RecordsQuery::default()).unwrap(), []);
    assert_eq!(query::items(host, &scope).unwrap(), []);
    assert_eq!(query::show(host, &scope, &record).unwrap_err().status, Problem::REFUSED);
    assert_eq!(query::devices(host, &scope).unwrap().len(), 2);
    let elsewhere = Scope::of(host, organisation.person_named("elsewhere").unwrap()).unwrap();
    assert_eq!(query::show(host, &elsewhere, &record).unwrap_err().code, "no-such-record");
    assert_eq!(query::devices(host, &elsewhere).unwrap(), []);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_registered_twice_is_one_item_until_somebody_decides() {
    let world = World::new().await;
    let (one, two) = (world.device("one", "Laila").await, world.device("two", "Karim").await);
    let first =
        fill(&one, "household", "head_name=كريم\nfather_name=محمد حسین\nbirth_year=۱۳۶۰\nadults=1\nchildren=0\nrooms=1\n");
    let second =
        fill(&two, "household", "head_name=کریم\nfather_name=محمدحسين\nbirth_year=1360\nadults=1\nchildren=0\nrooms=1\n");
    fill(&two, "household", "head_name=کریم\nfather_name=محمدحسین\nbirth_year=1361\nadults=1\nchildren=0\nrooms=1\n");
    sync(&one).await;
    sync(&two).await;

    let items = world.items();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0].kind, "duplicate");
    let told: BTreeSet<(&str, &str, Option<&str>)> = items[0]
        .values
        .iter()
        .map(|value| (value.shown.value.as_str(), value.shown.device.as_str(), value.record.as_deref()))
        .collect();
    assert_eq!(told, BTreeSet::from([("كريم", "one", Some(first.as_str())), ("کریم", "two", Some(second.as_str()))]));
    for record in [&first, &second] {
        assert_eq!(query::show(&world.running.host, &Scope::Everything, record).unwrap().items.len(), 1);
    }
    world.assert_rebuilds_equal();
    world.resolve(&items[0].item, ItemDecision::Reject, None).unwrap();
    assert_eq!(world.items(), []);
    // A corrected spelling does not ask again; another birth year is another person, and back again is the pair that was decided.
    edit(&two, &second, "/data/head_name", "كَريم");
    sync(&two).await;
    assert_eq!(world.items(), []);
    world.assert_rebuilds_equal();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_of_two_visits_is_decided_by_a_record_of_its_own() {
    let world = World::new().await;
    let (one, two) = (world.device("one", "Laila").await, world.device("two", "Karim").await);
    fill(&one, "household", HOUSEHOLD);
    sync(&one).await;
    sync(&two).await;
    let listed = query::records(
        world.caught_up(),
        &Scope::Everything,
        &RecordsQuery { kind: Some("entity".to_owned()), search: "غلامرضا".to_owned(), ..RecordsQuery::default() },
    );
    let entity = listed.unwrap()[0].record.clone();
    fill(&one, "visit", &format!("household={entity}\nphone=0711111111\n"));
    fill(&two, "visit", &format!("household={entity}\nphone=0722222222\n"));
    sync(&one).await;
    sync(&two).await;
    let items = world.items();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((items[0].record_kind.as_str(), items[0].reference.as_str()), ("entity", "phone"));
    world.resolve(&items[0].item, ItemDecision::Value("0733333333".to_owned()), None).unwrap();
    assert_eq!(world.values(&format!("households:{entity}"), "phone"), ["0733333333"]);
    assert_eq!(world.items(), []);
    let shown = query::show(&world.running.host, &Scope::Everything, &entity).unwrap();
    let what: Vec<&str> = shown.history.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(what, ["registered", "updated", "updated", "updated"]);
    assert_eq!(shown.history[3].note, "Called the family.");
    sync(&one).await;
    assert_eq!(device_values(&one, &entity, "phone"), ["0733333333"]);
    world.assert_rebuilds_equal();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_an_item_with_its_reason() {
    let world = World::new().await;
    let one = world.device("one", "Laila").await;
    let record = fill(&one, "household", HOUSEHOLD);
    sync(&one).await;
    let organisation = &world.running.host.organisation;
    edit(&one, &record, "/data/phone", "0711111111");
    organisation.disable_person("Laila").unwrap();
    // The device may still come, and what she wrote waits.
    let report = one.sync(None, &Quiet).await.unwrap();
    assert_eq!(report.envelopes_up, 1, "{report:?}");
    let items = world.items();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((items[0].kind.as_str(), items[0].message.as_str()), ("quarantined", "revoked"));
    assert_eq!(world.values(&record, "/data/phone"), ["0700000001"]);
    assert_eq!(query::devices(world.caught_up(), &Scope::Everything).unwrap()[0].unsent, 1);
    world.resolve(&items[0].item, ItemDecision::Reject, None).unwrap();
    assert_eq!(world.items(), []);
    world.assert_rebuilds_equal();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_came_before_its_form_is_read_again_when_the_form_comes() {
    let world = World::new().await;
    let host = world.caught_up();
    let organisation = &host.organisation;
    let form = workbook(&[
        ("survey", &[&["type", "name", "label"], &["text", "town", "Town"]]),
        ("settings", &[&["form_id", "version", "instance_name"], &["late", "1", "concat('Town: ', ${town})"]]),
    ])
    .unwrap();
    let hash = Hash(blake3_of(&form));
    let person = organisation.administrator().unwrap();
    let author = organisation.server_author(person).unwrap();
    let stamp = Stamp { at_ms: author.provenance.at_ms, offset_minutes: 0, random: [7; 32] };
    let mut answers = Answers::default();
    answers.values.insert("town".to_owned(), Answer::Text("هرات".to_owned()));
    let id = RecordId::from_random([9; 16]);
    let (_, change) = Record::create(id, &Shape::unknown(), hash, &answers, &[], &author, &stamp).unwrap();
    organisation.write(organisation.caseload_named(CASELOAD).unwrap(), person, vec![(id, change)]).unwrap();
    let listed = || query::records(world.caught_up(), &Scope::Everything, &RecordsQuery::default()).unwrap();
    assert_eq!((listed()[0].form.clone(), listed()[0].title.as_str()), (Some(hash.to_string()), ""));
    organisation.publish("late.xlsx", &form, Vec::new(), CASELOAD).unwrap();
    assert_eq!((listed()[0].form.as_deref(), listed()[0].title.as_str()), (Some("late"), "Town: هرات"));
    world.assert_rebuilds_equal();
    world.running.stop().await;
}

/// The name of a definition, from the published row of another organisation: the hash is the contract of forms.
fn blake3_of(bytes: &[u8]) -> [u8; 32] {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other");
    Organisation::init(&path, "Other").unwrap();
    let organisation = Organisation::open(&path).unwrap();
    organisation.add_caseload("c").unwrap();
    organisation.publish("f.xlsx", bytes, Vec::new(), "c").unwrap().hash.0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_in_the_forms_order_without_formulas_and_flags_disagreements() {
    let world = World::new().await;
    let (one, two) = (world.device("one", "Laila").await, world.device("two", "Karim").await);
    let record = fill(
        &one,
        "household",
        "head_name==cmd|' /C calc'!A0\nphone=+93700000001\nadults=1\nchildren=0\nrooms=4\nneeds=food health\nstatus=registered\nrepeat member=1\nm_name@1=زهرا, \"ز\"\nm_age@1=30\ndecision@2=requested\n",
    );
    sync(&one).await;
    sync(&two).await;
    edit(&one, &record, "/data/adults", "3");
    edit(&two, &record, "/data/adults", "4");
    sync(&one).await;
    sync(&two).await;
    let adults = world.values(&record, "/data/adults")[0].clone();
    let host = world.caught_up();
    let shown = query::show(host, &Scope::Everything, &record).unwrap();
    let member = shown.values.keys().find(|reference| reference.ends_with("/m_name")).unwrap();
    let member = member.trim_start_matches("/data/").trim_end_matches("/m_name");
    let time = query::records(host, &Scope::Everything, &RecordsQuery::default()).unwrap();
    let time = &time.iter().find(|row| row.record == record).unwrap().updated;

    let folder = world.folder.path().join("csv");
    karwan_server::export::run(host, "household", &folder).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(
        read("household.csv"),
        format!(
            "\u{feff}record_id,record_device,record_author,record_time,record_status,head_name,father_name,birth_year,document_no,phone,adults,children,rooms,people,needs,destination,status,instalment_count,record_conflicts\r\n\
             {record},one,Laila,{time},sent,'=cmd|' /C calc'!A0,,,,'+93700000001,{adults},0,4,{adults},food health,,registered,2,adults\r\n"
        )
    );
    assert_eq!(
        read("household.member.csv"),
        format!(
            "\u{feff}record_id,parent_key,instance_key,m_name,m_age,record_conflicts\r\n\
             {record},{record},{record}/{member},\"زهرا, \"\"ز\"\"\",30,\r\n"
        )
    );
    assert_eq!(
        read("household.instalment.csv"),
        format!(
            "\u{feff}record_id,parent_key,instance_key,decision,record_conflicts\r\n\
             {record},{record},{record}/instalment[2],requested,\r\n"
        )
    );
    world.running.stop().await;
}
