//! A merge long after the collection judges what was collected by the clocks of then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use karwan_client::clock::{Clock, SystemClock};
use karwan_client::device::Device;
use karwan_client::sync::report::Quiet;
use karwan_store::Folder;
use karwan_store::key::FileKey;
use karwan_tests::workbook::workbook;
use karwan_tests::world::World;

const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// The clock of a device that was switched on again after a year.
struct AYearOn;

impl Clock for AYearOn {
    fn now_ms(&self) -> i64 {
        SystemClock::default().now_ms() + YEAR_MS
    }

    fn offset_minutes(&self) -> i32 {
        0
    }
}

/// A stay that may be prolonged twice, by a hundred days each, up to 250 days after the interview: a rule that the wall clock would
/// break by itself within a year.
fn stay_form() -> Vec<u8> {
    let rule = "decimal-date-time(today()) - decimal-date-time(${asked_on}) + 100 * (${by_camp} + ${by_office}) <= 250";
    workbook(&[
        (
            "survey",
            &[
                &["type", "name", "label", "constraint"],
                &["date", "asked_on", "Asked on"],
                &["integer", "by_camp", "Prolonged by the camp"],
                &["integer", "by_office", "Prolonged by the office"],
                &["text", "room", "Room", rule],
            ],
        ),
        ("settings", &[&["form_title", "form_id", "version"], &["Stay", "stay", "1"]]),
    ])
    .unwrap()
}

#[test]
fn a_merge_a_year_after_the_collection_makes_the_same_items() {
    let world = World::new(&[("stay.xlsx", stay_form())]);
    let (camp, office) = (world.device("camp", "Laila"), world.device("office", "Karim"));
    let today = karwan_client::clock::rfc3339(SystemClock::default().now_ms())[..10].to_owned();
    let record = camp.fill("stay", &format!("asked_on={today}\nby_camp=1\nby_office=0\nroom=12\n"));
    camp.sync();
    office.sync();
    camp.edit(&record, "/data/by_camp=2").done();
    office.edit(&record, "/data/by_office=1").done();
    camp.sync();

    // The office's phone lay in a drawer for a year. By its clock of now each side alone would be invalid, and nothing would be told.
    let keys = FileKey::beside(&office.folder);
    let late = Device::open(Folder::new(&office.folder), &keys, Arc::new(AYearOn)).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(late.sync(None, &Quiet)).unwrap();
    let merged_late = late.show(&record).unwrap().items;
    late.close().unwrap();

    camp.sync();
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!((&items[0]["kind"], &items[0]["ref"]), (&"invalid".into(), &"/data/room".into()));
    let told: Vec<(&str, &str)> = merged_late.iter().map(|item| (item.kind.as_str(), item.reference.as_str())).collect();
    assert_eq!(told, [("invalid", "/data/room")]);
    assert_eq!(items[0]["item"], merged_late[0].item.as_str(), "one name on every replica");
    // Nobody's other phone tells anything else, and neither does a projection that is made anew.
    let of_the_camp = camp.json(&["list"], &["--kind", "interview"]);
    assert_eq!(of_the_camp[0]["open_items"], 1, "{of_the_camp}");
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["review", "list"], &[]), items);
}
