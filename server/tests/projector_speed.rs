//! How fast the projector reads 10,000 registrations. Run it by itself, on a machine that does nothing else:
//! `cargo test --release -p karwan-server --test projector_speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use karwan_form::answers::{Answer, Answers};
use karwan_proto::RecordId;
use karwan_record::{Record, Shape, Stamp};
use karwan_server::host::Host;
use karwan_server::organisation::Organisation;
use karwan_server::query::{self, RecordsQuery, Scope};
use karwan_tests::workbook::household_form;
use tempfile::TempDir;

const RECORDS: u32 = 10_000;
const RECORDS_IN_ENVELOPE: u32 = 50;

#[test]
#[ignore = "a measurement"]
fn ten_thousand_registrations_are_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("org");
    Organisation::init(&path, "Test").unwrap();
    let host = Host::open(&path).unwrap();
    let organisation = &host.organisation;
    let caseload = organisation.add_caseload("mashhad").unwrap();
    let published = organisation.publish("household.xlsx", &household_form().unwrap(), Vec::new(), "mashhad").unwrap();
    let shape = Shape::of(&organisation.form(published.hash).unwrap().unwrap());
    let person = organisation.administrator().unwrap();
    let began = Instant::now();
    for envelope in 0..RECORDS / RECORDS_IN_ENVELOPE {
        let author = organisation.server_author(person).unwrap();
        let mut changes = Vec::new();
        for number in envelope * RECORDS_IN_ENVELOPE..(envelope + 1) * RECORDS_IN_ENVELOPE {
            let mut random = [0; 32];
            random[..4].copy_from_slice(&number.to_le_bytes());
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let id = RecordId::from_random(id);
            let mut answers = Answers::default();
            let document = format!("A{number:06}");
            let phone = format!("07{number:08}");
            for (name, value) in [
                ("head_name", "غلام‌رضا"),
                ("father_name", "محمدحسین"),
                ("document_no", document.as_str()),
                ("phone", phone.as_str()),
                ("adults", "2"),
                ("children", "1"),
                ("rooms", "4"),
                ("destination", "herat"),
                ("status", "registered"),
                ("meta/instanceID", &format!("uuid:{id}")),
            ] {
                answers.values.insert(name.to_owned(), Answer::Text(value.to_owned()));
            }
            let stamp = Stamp { at_ms: author.provenance.at_ms, offset_minutes: 0, random };
            changes.push((id, Record::create(id, &shape, published.hash, &answers, &[], &author, &stamp).unwrap().1));
        }
        organisation.write(caseload, person, changes).unwrap();
    }
    println!("written in {:.1} s", began.elapsed().as_secs_f64());
    for what in ["caught up", "rebuilt"] {
        let began = Instant::now();
        let entries =
            if what == "rebuilt" { host.projector.rebuild(organisation) } else { host.projector.catch_up(organisation) }.unwrap();
        let seconds = began.elapsed().as_secs_f64();
        println!("{what}: {entries} entries in {seconds:.2} s, {:.0} records/s", f64::from(RECORDS) / seconds);
    }
    let found = RecordsQuery { search: "A009999".to_owned(), ..RecordsQuery::default() };
    let began = Instant::now();
    assert_eq!(query::count(&host, &Scope::Everything, &found).unwrap(), 1);
    println!("found in {:.1} ms", began.elapsed().as_secs_f64() * 1_000.0);
    let interviews = RecordsQuery { kind: Some("interview".to_owned()), ..RecordsQuery::default() };
    assert_eq!(query::count(&host, &Scope::Everything, &interviews).unwrap(), u64::from(RECORDS));
}
