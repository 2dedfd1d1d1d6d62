//! An edit that does not count takes what stands on it along, and that is written again without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::workbook::household_form;
use karwan_tests::world::{World, values};

const HOUSEHOLD: &str = "head_name=Rahimi\nfather_name=محمد\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n";

#[test]
fn what_stands_on_a_refused_edit_is_sent_again_without_it() {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    let (phone, other) = (world.device("phone", "Laila"), world.device("other", "Karim"));
    let record = phone.fill("household", HOUSEHOLD);
    phone.run(&["edit"], &[&record, "--set", "/data/rooms=5", "--as", "Nadia"]).done();
    phone.sync();
    other.sync();
    // Nadia is disabled; what she wrote on the phone before that comes later, and Laila went on from it.
    world.org(&["user", "disable"], &["Nadia"]).done();
    phone.run(&["edit"], &[&record, "--set", "/data/phone=0799999999", "--as", "Nadia"]).done();
    phone.run(&["edit"], &[&record, "--set", "/data/destination=kabul"]).done();
    phone.run(&["edit"], &[&record, "--set", "/data/status=booked"]).done();
    let first = phone.run(&["sync"], &["--json"]);
    assert!(first.status == 0 || first.status == 4, "{first:?}");
    phone.run(&["sync"], &[]);
    other.sync();
    for device in [&phone, &other] {
        assert_eq!(device.values(&record, "/data/phone"), ["0700000001"], "what Nadia wrote does not count");
        assert_eq!(device.values(&record, "/data/destination"), ["kabul"], "what Laila wrote does");
        assert_eq!(device.values(&record, "/data/status"), ["booked"]);
        assert_eq!(device.values(&record, "/data/rooms"), ["5"], "what Nadia wrote before counts");
    }
    let shown = world.org_json(&["records", "show"], &[&record]);
    assert_eq!(values(&shown, "/data/destination"), ["kabul"]);
    // Adopted after all, everything counts once.
    world.org(&["review", "adopt"], &["phone"]).done();
    for device in [&phone, &other] {
        device.sync();
        assert_eq!(device.values(&record, "/data/phone"), ["0799999999"]);
        assert_eq!(device.values(&record, "/data/destination"), ["kabul"]);
        assert_eq!(device.values(&record, "/data/status"), ["booked"]);
    }
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), ["0799999999"]);
}
