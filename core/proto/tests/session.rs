//! The session under virtual time: what it costs when nothing is wrong, what it confirms and when, and what it does with what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{CASELOAD, Device, Fault, ONE_WAY_MS, ORGANISATION, Server, run};
use karwan_proto::codec::Extra;
use karwan_proto::error::{LogError, SessionError};
use karwan_proto::limits::{MAX_DEFINITION_BYTES, MAX_INTRODUCTIONS, SESSION_IDLE_MS};
use karwan_proto::membership::{Act, MembershipEntry, SignedEntry};
use karwan_proto::session::{
    Admission, DeviceEffect, DeviceSession, Frame, Ingested, Introduction, Refusal, ServerEffect, ServerSession, Welcome,
};
use karwan_proto::wire::FrameReader;
use karwan_proto::{PersonId, SignedHeader, SigningKey};

#[test]
fn nothing_new_is_one_round_trip() {
    let (mut device, mut server) = (Device::new(1), Server::default());
    device.write(b"a family");
    run(&mut device, &mut server, None).device.unwrap();
    let outcome = run(&mut device, &mut server, None);
    let summary = outcome.device.unwrap();
    outcome.server.unwrap();
    assert_eq!((summary.round_trips, summary.offered, summary.entries), (1, 0, 0));
    assert_eq!(outcome.took_ms, 2 * ONE_WAY_MS);
    assert!(outcome.bytes_up + outcome.bytes_down < 600, "{} up, {} down", outcome.bytes_up, outcome.bytes_down);
}

#[test]
fn what_is_new_on_both_sides_is_one_round_trip_too() {
    let (mut device, mut other, mut server) = (Device::new(1), Device::new(2), Server::default());
    other.write(b"theirs");
    run(&mut other, &mut server, None).device.unwrap();
    device.write(b"ours");
    device.write(b"ours too");
    let outcome = run(&mut device, &mut server, None);
    let summary = outcome.device.unwrap();
    assert_eq!((summary.round_trips, summary.offered, summary.receipts, summary.entries), (1, 2, 2, 3));
    assert_eq!(summary.envelopes, 1, "its own envelopes come back by name only");
    assert_eq!(outcome.took_ms, 2 * ONE_WAY_MS);
    assert_eq!(device.log.len(), 3);
    assert!(device.outbox.is_empty());
}

/// A server session that has admitted a device and been offered three envelopes, and the numbers that it asks to ingest.
fn three_offers() -> (DeviceSession, ServerSession, Vec<(u64, SignedHeader)>) {
    let mut device = Device::new(1);
    for content in [b"one".as_slice(), b"two", b"three"] {
        device.write(content);
    }
    let mut ours = DeviceSession::new(device.start(), 0).unwrap();
    let mut theirs = ServerSession::new(0);
    let mut offers = device.outbox.iter();
    while let Some(effect) = ours.poll() {
        match effect {
            DeviceEffect::Send(bytes) => theirs.receive(ONE_WAY_MS, &bytes).unwrap(),
            DeviceEffect::NextOffer => match offers.next() {
                Some(envelope) => ours.offer(envelope.clone()).unwrap(),
                None => ours.offers_end().unwrap(),
            },
            other => panic!("not expected here: {other:?}"),
        }
    }
    let mut asked = Vec::new();
    let mut down = Vec::new();
    while let Some(effect) = theirs.poll() {
        match effect {
            ServerEffect::Send(bytes) => down.extend(bytes),
            ServerEffect::Admit { .. } => {
                let welcome = Welcome { epoch: 1, clock_ms: 0, recovering: false };
                theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
            }
            ServerEffect::Ingest { number, signed, .. } => asked.push((number, signed)),
            other => panic!("not expected here: {other:?}"),
        }
    }
    ours.receive(2 * ONE_WAY_MS, &down).unwrap();
    while ours.poll().is_some() {}
    (ours, theirs, asked)
}

fn frames(session: &mut ServerSession) -> Vec<Frame> {
    let mut reader = FrameReader::new();
    while let Some(effect) = session.poll() {
        if let ServerEffect::Send(bytes) = effect {
            reader.push(&bytes);
        }
    }
    std::iter::from_fn(|| reader.next_payload().unwrap()).map(|payload| Frame::decode(&payload).unwrap()).collect()
}

#[test]
fn a_receipt_is_sent_only_once_the_driver_says_that_it_is_durable() {
    let (_, mut session, asked) = three_offers();
    assert_eq!(asked.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(frames(&mut session), []);
    session.ingested(0, Ingested::Durable { sequence: 41 }).unwrap();
    assert_eq!(frames(&mut session), [Frame::Receipt { number: 0, envelope: asked[0].1.hash(), sequence: 41 }]);
    assert_eq!(session.ingested(0, Ingested::Durable { sequence: 41 }), Err(SessionError::Driver("an ingest")));
}

#[test]
fn answers_in_any_order_reach_the_envelopes_that_they_are_for() {
    let (mut device, mut session, asked) = three_offers();
    for (number, sequence) in [(2u64, 7u64), (0, 8), (1, 9)] {
        session.ingested(number, Ingested::Durable { sequence }).unwrap();
        while let Some(effect) = session.poll() {
            if let ServerEffect::Send(bytes) = effect {
                device.receive(700, &bytes).unwrap();
            }
        }
    }
    let mut receipts = Vec::new();
    while let Some(effect) = device.poll() {
        if let DeviceEffect::Receipt { envelope, sequence, .. } = effect {
            receipts.push((envelope, sequence));
        }
    }
    assert_eq!(receipts, [(asked[2].1.hash(), 7), (asked[0].1.hash(), 8), (asked[1].1.hash(), 9)]);
}

#[test]
fn silence_ends_a_session_on_both_sides_and_not_before_its_time() {
    let mut device = DeviceSession::new(Device::new(1).start(), 1_000).unwrap();
    assert_eq!(device.tick(1_000 + SESSION_IDLE_MS - 1), Ok(()));
    assert_eq!(device.tick(1_000 + SESSION_IDLE_MS), Err(SessionError::Idle { idle_ms: 120_000 }));
    let mut server = ServerSession::new(1_000);
    assert_eq!(server.tick(1_000 + SESSION_IDLE_MS - 1), Ok(()));
    assert_eq!(server.tick(1_000 + SESSION_IDLE_MS), Err(SessionError::Idle { idle_ms: 120_000 }));
    assert_eq!(frames(&mut server), [Frame::Refused(Refusal::Malformed)]);
}

#[test]
fn a_device_that_takes_pages_for_minutes_is_not_silent() {
    let mut server = ServerSession::new(1_000);
    server.sent(1_000 + SESSION_IDLE_MS - 1);
    assert_eq!(server.tick(1_000 + SESSION_IDLE_MS), Ok(()));
    // A clock that is asked a little later than another does not go back.
    server.sent(1_000);
    assert_eq!(server.tick(1_000 + 2 * SESSION_IDLE_MS - 2), Ok(()));
    assert_eq!(server.tick(1_000 + 2 * SESSION_IDLE_MS - 1), Err(SessionError::Idle { idle_ms: 120_000 }));
}

#[test]
fn a_server_that_forgot_is_given_again_all_that_it_lacks() {
    let (mut device, mut other, mut server) = (Device::new(1), Device::new(2), Server::default());
    for (writer, content) in [(1, "a"), (2, "b"), (1, "c")] {
        let writer = if writer == 1 { &mut device } else { &mut other };
        writer.write(content.as_bytes());
        run(writer, &mut server, None).device.unwrap();
    }
    let backup = server.clone();
    other.write(b"d, from the other device, which will not come again");
    run(&mut other, &mut server, None).device.unwrap();
    device.write(b"e");
    run(&mut device, &mut server, None).device.unwrap();
    assert_eq!(server.log.len(), 5);

    // The server comes back from its backup, and a third device writes before anybody else is there.
    let mut restored = backup;
    let mut third = Device::new(3);
    third.write(b"f");
    run(&mut third, &mut restored, None).device.unwrap();
    let outcome = run(&mut device, &mut restored, None);
    let summary = outcome.device.unwrap();
    assert_eq!(summary.round_trips, 3, "the mismatch, the points, the offers again");
    assert_eq!(restored.log.len(), 6);
    assert_eq!(device.log.len(), 6);
    let entries = |log: &[karwan_proto::session::Delivered]| log.iter().map(|known| known.entry.clone()).collect::<Vec<_>>();
    assert_eq!(entries(&device.log), entries(&restored.log));
    assert_eq!(device.held.len(), 6, "nothing that anybody wrote is gone");
}

#[test]
fn every_byte_of_a_session_flipped_is_refused_and_the_next_session_works() {
    let fresh = || {
        let (mut device, mut other, mut server) = (Device::new(1), Device::new(2), Server::default());
        other.write(b"theirs");
        run(&mut other, &mut server, None).device.unwrap();
        device.write(b"ours");
        (device, server)
    };
    let (mut device, mut server) = fresh();
    let whole = run(&mut device, &mut server, None);
    assert!(whole.device.is_ok() && whole.server.is_ok());
    let faults = (0..whole.bytes_up).map(|at| Fault::Up(at, 0x01)).chain((0..whole.bytes_down).map(|at| Fault::Down(at, 0x80)));
    for fault in faults {
        let (mut device, mut server) = fresh();
        let outcome = run(&mut device, &mut server, Some(fault));
        let receiver = match fault {
            Fault::Up(..) => outcome.server.clone().err(),
            Fault::Down(..) => outcome.device.clone().err(),
        };
        assert!(matches!(receiver, Some(SessionError::Frame(_))), "{fault:?}: {receiver:?}");
        assert!(outcome.device.is_err(), "{fault:?}: the device believes that all is well");
        let next = run(&mut device, &mut server, None);
        assert!(next.device.is_ok() && next.server.is_ok(), "{fault:?}: the next session {:?}", next.device);
        assert_eq!((device.log.len(), server.log.len(), device.outbox.len()), (2, 2, 0), "{fault:?}");
    }
}

#[test]
fn a_definition_comes_before_the_entries_that_name_it_and_a_large_one_not_at_all() {
    let mut other = Device::new(2);
    let mut log = Server::default();
    other.write(b"theirs");
    run(&mut other, &mut log, None).device.unwrap();

    let mut ours = DeviceSession::new(Device::new(1).start(), 0).unwrap();
    let mut theirs = ServerSession::new(0);
    assert_eq!(theirs.definitions(vec![b"a form".to_vec()]), Err(SessionError::Driver("definitions")));
    let mut came = Vec::new();
    for _ in 0..2 {
        while let Some(effect) = ours.poll() {
            match effect {
                DeviceEffect::Send(bytes) => theirs.receive(0, &bytes).unwrap(),
                DeviceEffect::NextOffer => ours.offers_end().unwrap(),
                DeviceEffect::Definition { bytes } => came.push(format!("definition of {} B", bytes.len())),
                DeviceEffect::Entries { entries, .. } => came.push(format!("{} entries", entries.len())),
                _ => {}
            }
        }
        while let Some(effect) = theirs.poll() {
            match effect {
                ServerEffect::Send(bytes) => ours.receive(0, &bytes).unwrap(),
                ServerEffect::Admit { .. } => {
                    let welcome = Welcome { epoch: 1, clock_ms: 0, recovering: false };
                    theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
                }
                ServerEffect::ReadMembership { .. } => theirs.membership(1, Vec::new(), false).unwrap(),
                ServerEffect::ReadDirectory { after_version } => {
                    theirs.directory(after_version, false, Vec::new(), false).unwrap();
                }
                ServerEffect::ReadEntries { caseload, .. } => {
                    theirs.definitions(vec![b"a form".to_vec(), vec![0; MAX_DEFINITION_BYTES + 1]]).unwrap();
                    theirs.entries(caseload, log.log.clone(), 1, 0, 0).unwrap();
                }
                _ => {}
            }
        }
    }
    assert_eq!(came, ["definition of 6 B", "1 entries"]);
}

#[test]
fn membership_lost_on_the_way_ends_the_session_before_anything_that_was_written_under_it() {
    let key = SigningKey::from_seed(&[3; 32]);
    let (signer, act) = (key.public(), Act::Root { key: key.public() });
    let entry =
        MembershipEntry { organisation: ORGANISATION, signer, seen: None, decided_at_ms: 1, act, extra: Extra::default() };
    let decided = SignedEntry::sign(entry, &key);
    for is_lost in [false, true] {
        let (mut ours, mut theirs) = (DeviceSession::new(Device::new(1).start(), 0).unwrap(), ServerSession::new(0));
        while let Some(effect) = ours.poll() {
            match effect {
                DeviceEffect::Send(bytes) => theirs.receive(0, &bytes).unwrap(),
                _ => ours.offers_end().unwrap(),
            }
        }
        let mut sent = FrameReader::new();
        while let Some(effect) = theirs.poll() {
            match effect {
                ServerEffect::Send(bytes) => sent.push(&bytes),
                ServerEffect::Admit { .. } => {
                    let welcome = Welcome { epoch: 1, clock_ms: 0, recovering: false };
                    theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
                }
                ServerEffect::ReadMembership { .. } => theirs.membership(1, vec![decided.clone()], false).unwrap(),
                ServerEffect::ReadDirectory { .. } => theirs.directory(1, false, Vec::new(), false).unwrap(),
                ServerEffect::ReadEntries { caseload, .. } => theirs.entries(caseload, Vec::new(), 0, 0, 1).unwrap(),
                _ => {}
            }
        }
        let mut heard = Ok(());
        while let Some(payload) = sent.next_payload().unwrap() {
            let is_membership = matches!(Frame::decode(&payload).unwrap(), Frame::Membership { .. });
            if heard.is_ok() && !(is_lost && is_membership) {
                heard = ours.receive(0, &karwan_proto::wire::write_frame(&payload));
            }
        }
        let missing = SessionError::Log(LogError::Membership { told: 1, came: 0 });
        assert_eq!(heard, if is_lost { Err(missing) } else { Ok(()) });
        let settled = std::iter::from_fn(|| ours.poll()).any(|effect| matches!(effect, DeviceEffect::Settled { .. }));
        assert_eq!(settled, !is_lost);
    }
}

#[test]
fn frames_out_of_place_and_answers_to_nothing_are_refused() {
    let mut server = ServerSession::new(0);
    let early = karwan_proto::wire::write_frame(&Frame::OffersEnd.encode());
    assert_eq!(server.receive(0, &early), Err(SessionError::OutOfPlace { expected: "Hello", came: "OffersEnd" }));
    assert_eq!(frames(&mut server), [Frame::Refused(Refusal::Malformed)]);

    let mut device = DeviceSession::new(Device::new(1).start(), 0).unwrap();
    let early = karwan_proto::wire::write_frame(&Frame::Done { heads: Vec::new() }.encode());
    assert_eq!(device.receive(0, &early), Err(SessionError::OutOfPlace { expected: "Welcome", came: "Done" }));
    assert_eq!(device.points(CASELOAD, Vec::new()), Err(SessionError::Driver("points")));
}

#[test]
fn a_frame_of_a_newer_version_is_passed_over() {
    let mut server = ServerSession::new(0);
    let unknown = karwan_proto::wire::write_frame(&Frame::Other { kind: 200 }.encode());
    server.receive(0, &unknown).unwrap();
    assert_eq!(frames(&mut server), []);
}

#[test]
fn a_device_hears_after_its_welcome_that_a_copy_of_it_is_in_use() {
    for is_copied in [false, true] {
        let (mut ours, mut theirs) = (DeviceSession::new(Device::new(1).start(), 0).unwrap(), ServerSession::new(0));
        while let Some(effect) = ours.poll() {
            match effect {
                DeviceEffect::Send(bytes) => theirs.receive(0, &bytes).unwrap(),
                _ => ours.offers_end().unwrap(),
            }
        }
        let mut sent = Vec::new();
        while let Some(effect) = theirs.poll() {
            match effect {
                ServerEffect::Send(bytes) => sent.extend(bytes),
                ServerEffect::Admit { .. } => {
                    if is_copied {
                        theirs.tell_of_copy();
                    }
                    let welcome = Welcome { epoch: 1, clock_ms: 0, recovering: false };
                    theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
                }
                _ => {}
            }
        }
        ours.receive(0, &sent).unwrap();
        let heard: Vec<DeviceEffect> = std::iter::from_fn(|| ours.poll()).collect();
        assert!(matches!(heard.first(), Some(DeviceEffect::Welcome { .. })), "{heard:?}");
        assert_eq!(heard.contains(&DeviceEffect::Copied), is_copied, "{heard:?}");
    }
}

#[test]
fn another_protocol_is_refused_by_its_number() {
    let mut hello = Frame::Hello(Device::new(1).start().hello).encode();
    assert_eq!(hello[..3], [0x89, 0x01, 0x01]);
    hello[2] = 0x02;
    let mut server = ServerSession::new(0);
    assert!(server.receive(0, &karwan_proto::wire::write_frame(&hello)).is_err());
    assert_eq!(frames(&mut server), [Frame::Refused(Refusal::ProtocolVersion(1))]);
}

#[test]
fn a_device_that_brings_too_many_people_is_told_before_it_sends() {
    let mut start = Device::new(1).start();
    let person = Introduction { person: PersonId([1; 16]), name: "Laila".to_owned() };
    start.introductions = vec![person; MAX_INTRODUCTIONS + 1];
    assert!(matches!(DeviceSession::new(start, 0), Err(SessionError::TooMany { what: "introductions", limit: 256 })));
}
