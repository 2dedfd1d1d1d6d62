//! A first sync that is ended in the middle: what had come stays, and the next one goes on there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use karwan_client::sync::report::{Listener, Progress, Quiet};
use karwan_client::{ClientError, Device as Opened, FileKey, Folder, ListQuery, RecordListed, SystemClock};
use karwan_tests::corpus::Dice;
use karwan_tests::workbook::household_form;
use karwan_tests::world::{Device, World};

const RECORDS: u64 = 60;
/// Characters of one long answer: ten of them fill an envelope, and three envelopes a page of the log.
const LONG: usize = 12_000;

/// Ends the session as soon as something has come.
#[derive(Default)]
struct Impatient {
    envelopes: AtomicU64,
}

impl Listener for Impatient {
    fn progress(&self, progress: &Progress) -> bool {
        self.envelopes.store(progress.envelopes_down, Ordering::Relaxed);
        progress.envelopes_down == 0
    }
}

fn line(number: u64) -> String {
    let mut dice = Dice::new(number);
    let long = (0..LONG / 16).map(|_| format!("{:016x}", dice.bits())).collect::<Vec<_>>().concat();
    format!("{{\"/data/head_name\":\"Karim {number}\",\"/data/father_name\":\"{long}\"}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_ended_in_the_middle_goes_on_where_it_was() {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    let filling = world.device("filling", "Laila");
    let lines: String = (0..RECORDS).map(line).collect();
    filling.run_with_input(&["fill"], &["household", "--answers", "-"], &lines).done();
    let sent = filling.sync()["envelopes_up"].as_u64().unwrap();
    assert!(sent > 3, "more than a page: {sent} envelopes");

    let phone = Device { folder: world.path("phone") };
    phone.run(&["enrol"], &[&world.invitation("enumerator"), "--name", "phone", "--person", "Omid"]).done();
    let key = FileKey::beside(&phone.folder);
    let open = || Opened::open(Folder::new(&phone.folder), &key, Arc::new(SystemClock::default())).unwrap();
    let device = open();
    let impatient = Impatient::default();
    let ended = device.sync(None, &impatient).await;
    assert!(matches!(ended, Err(ClientError::Cancelled)), "{ended:?}");
    let came = impatient.envelopes.load(Ordering::Relaxed);
    assert!(came > 0 && came < sent, "{came} of {sent}");
    let interviews = ListQuery { entities: Some(false), ..ListQuery::default() };
    let rows = device.list(&interviews).unwrap();
    let held = rows.len() as u64;
    assert!(held > 0 && held < RECORDS, "what came is kept: {held}");
    let named = |row: &RecordListed| row.form.as_deref() == Some("household") && row.title.starts_with("Karim");
    assert!(rows.iter().all(named), "and its form came before it");
    device.close().unwrap();

    let device = open();
    assert_eq!(device.list(&interviews).unwrap().len() as u64, held);
    let report = device.sync(None, &Quiet).await.unwrap();
    assert_eq!(came + report.envelopes_down, sent, "nothing came twice");
    let rows = device.list(&interviews).unwrap();
    assert_eq!(rows.len() as u64, RECORDS);
    assert!(rows.iter().all(named));
    device.close().unwrap();
}
