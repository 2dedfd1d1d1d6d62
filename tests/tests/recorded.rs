//! What earlier versions wrote to disks and to the wire is opened, read and gone on with by this one; and what a newer one adds is carried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use karwan_proto::session::Frame;
use karwan_proto::{Envelope, LogEntry};
use karwan_server::query::{Scope, show};
use karwan_tests::home::{GivenClock, Server, open_phone, organisation_in, phone_in, quick_folder, runtime, sync};
use karwan_tests::recorded::{self, NOW_MS, PHONES, UNSENT, WRITTEN};

/// The same array with one element more than anybody knows.
fn with_unknown(array: &[u8]) -> Vec<u8> {
    let mut longer = array.to_vec();
    assert!((0x80..0x97).contains(&longer[0]), "a short array");
    longer[0] += 1;
    longer.push(0x07);
    longer
}

#[test]
fn a_recorded_world_opens_and_goes_on() {
    for version in recorded::versions() {
        let record = std::fs::read_to_string(version.join("record")).unwrap();
        let world = quick_folder();
        recorded::unpack(&version, world.path());
        let (server, runtime) = (Server::open(&organisation_in(world.path())).unwrap(), runtime());
        let phones: Vec<_> = (0..PHONES)
            .map(|number| open_phone(&phone_in(world.path(), number), number, GivenClock::at(NOW_MS)).unwrap())
            .collect();
        let values = |number: usize, question: &str| -> BTreeSet<String> {
            phones[number].show(&record).unwrap().values[question].iter().map(|held| held.value.clone()).collect()
        };
        for (question, value) in WRITTEN {
            assert_eq!(values(0, question), [value.to_owned()].into(), "{}", version.display());
        }
        assert_eq!(values(1, UNSENT.0), [UNSENT.1.to_owned()].into(), "{}", version.display());
        for number in [1, 0] {
            let report = sync(&runtime, &phones[number], &server).unwrap();
            assert!(report.refused.is_empty() && report.not_applied.is_empty(), "{}: {report:?}", version.display());
        }
        assert_eq!(values(0, UNSENT.0), [UNSENT.1.to_owned()].into(), "{}", version.display());
        server.host.projector.catch_up(&server.host.organisation).unwrap();
        let shown = show(&server.host, &Scope::Everything, &record).unwrap();
        assert_eq!(shown.values[UNSENT.0][0].value, UNSENT.1, "{}", version.display());
    }
}

#[test]
fn recorded_frames_are_read_and_written_as_they_were_and_what_is_unknown_in_them_is_carried() {
    for version in recorded::versions() {
        let (mut envelopes, mut entries) = (0, 0);
        for bytes in recorded::frames(&version) {
            let frame = Frame::decode(&bytes).unwrap();
            assert_eq!(frame.encode(), bytes, "{frame:?}");
            assert_eq!(Frame::decode(&with_unknown(&bytes)).unwrap(), frame);
            let held: Vec<Vec<u8>> = match &frame {
                Frame::Offer { envelope, .. } => vec![envelope.clone()],
                Frame::Entries { entries: delivered, .. } => {
                    for delivered in delivered {
                        let longer = with_unknown(&delivered.entry);
                        assert_eq!(LogEntry::decode(&delivered.entry).unwrap().encode(), delivered.entry);
                        assert_eq!(LogEntry::decode(&longer).unwrap().encode(), longer);
                        entries += 1;
                    }
                    delivered.iter().filter_map(|delivered| delivered.envelope.clone()).collect()
                }
                _ => Vec::new(),
            };
            for bytes in held {
                let envelope = Envelope::decode(&bytes).unwrap();
                assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope);
                envelopes += 1;
            }
        }
        assert!(envelopes >= 2 && entries >= 1, "{}: {envelopes} envelopes, {entries} entries", version.display());
        // [200, "new"], as a later version may say it.
        let newer = Frame::decode(&[0x82, 0x18, 200, 0x63, b'n', b'e', b'w']).unwrap();
        assert!(matches!(newer, Frame::Other { kind: 200 }), "{newer:?}");
    }
}
