//! A server that has forgotten something gets it back: membership before anything else, of the envelopes only what it lacks, and while it recovers it
//! gives nothing out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{CASELOAD, Device, ORGANISATION};
use karwan_proto::codec::Extra;
use karwan_proto::directory::{DirectoryRow, Named};
use karwan_proto::log::{LogEntry, Reason, RecordVerdict, Verdict};
use karwan_proto::membership::{Act, MembershipEntry, SignedEntry};
use karwan_proto::session::{
    Admission, DeviceEffect, DeviceSession, Frame, Ingested, Prefix, RepairFrame, ServerEffect, ServerSession, Testimony, Welcome,
};
use karwan_proto::{Cursor, Hash, RecordId, Role, SignedHeader, SigningKey};

fn entry(moment: i64) -> SignedEntry {
    let key = SigningKey::from_seed(&[3; 32]);
    let act = Act::Root { key: key.public() };
    let entry = MembershipEntry {
        organisation: ORGANISATION,
        signer: key.public(),
        seen: None,
        decided_at_ms: moment,
        act,
        extra: Extra::default(),
    };
    SignedEntry::sign(entry, &key)
}

/// What both sides were asked to do, in order, and what they brought.
#[derive(Default)]
struct Told {
    server: Vec<String>,
    device: Vec<String>,
    ingested: Vec<(Hash, Option<Testimony>)>,
    taken: Vec<SignedEntry>,
    names: Vec<DirectoryRow>,
    forms: Vec<Vec<u8>>,
}

struct World {
    /// Whether the server's membership log has the device's point.
    knows_membership: bool,
    recovering: bool,
    /// What the server says that it lacks of the prefixes asked about.
    lacking: fn(&[Prefix]) -> Vec<Prefix>,
    offers: Vec<(Vec<u8>, Option<Testimony>)>,
    ask: Vec<Prefix>,
    names: Vec<DirectoryRow>,
    forms: Vec<LogEntry>,
}

fn word(effect: &impl std::fmt::Debug) -> String {
    format!("{effect:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

fn run(device: &Device, mut world: World) -> Told {
    let (mut ours, mut theirs) = (DeviceSession::new(device.start(), 0).unwrap(), ServerSession::new(0));
    let mut told = Told::default();
    let point = Cursor { sequence: 4, chain: Hash([4; 32]) };
    let mut brings_back = false;
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while let Some(effect) = ours.poll() {
            told.device.push(word(&effect));
            match effect {
                DeviceEffect::Send(bytes) => {
                    told.device.pop();
                    up.extend(bytes);
                }
                DeviceEffect::NextOffer if !world.ask.is_empty() => {
                    ours.prefixes(CASELOAD, std::mem::take(&mut world.ask)).unwrap();
                }
                DeviceEffect::NextOffer => match (world.offers.pop(), brings_back) {
                    (Some((bytes, Some(testimony))), _) => ours.reoffer(bytes, testimony).unwrap(),
                    (Some((bytes, None)), _) => ours.offer(bytes).unwrap(),
                    (None, true) => {
                        brings_back = false;
                        let forms: Vec<_> = world.forms.iter().map(|form| (CASELOAD, form.clone())).collect();
                        ours.bring_back(&world.names, &forms, &[]).unwrap();
                        ours.offers_end().unwrap();
                    }
                    (None, false) => ours.offers_end().unwrap(),
                },
                DeviceEffect::Welcome { recovering, .. } => brings_back = recovering,
                DeviceEffect::ReadMembershipPoints => ours.membership_points(vec![point]).unwrap(),
                DeviceEffect::OfferMembership { after } => {
                    assert_eq!(after, point);
                    ours.offer_membership(&[entry(1), entry(2)]).unwrap();
                }
                DeviceEffect::Deferred { envelope } => {
                    world.offers.push((device.held[&envelope].clone(), None));
                }
                DeviceEffect::Lacking { prefixes, .. } => {
                    world.offers.retain(|(bytes, testimony)| {
                        testimony.is_none() || prefixes.contains(&Prefix::of(SignedHeader::peek(bytes).unwrap().hash()))
                    });
                }
                DeviceEffect::Settled { heads } => {
                    assert_eq!(heads.is_empty(), world.recovering);
                    ours.finish().unwrap();
                }
                DeviceEffect::Finished(_) => return told,
                DeviceEffect::Receipt { .. } => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
        theirs.receive(1, &up).unwrap();
        while let Some(effect) = theirs.poll() {
            told.server.push(word(&effect));
            match effect {
                ServerEffect::Send(bytes) => {
                    told.server.pop();
                    down.extend(bytes);
                }
                ServerEffect::Admit { .. } => {
                    let welcome = Welcome { epoch: 2, clock_ms: 0, recovering: world.recovering };
                    if world.knows_membership {
                        theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
                    } else {
                        theirs.admit_to_repair(welcome).unwrap();
                    }
                }
                ServerEffect::FindMembershipCommon { points } => theirs.membership_common(points[0]).unwrap(),
                ServerEffect::TakeMembership { entries } => {
                    told.taken.extend(entries);
                    theirs.membership_taken().unwrap();
                }
                ServerEffect::Readmit => theirs.readmit([CASELOAD].into()).unwrap(),
                ServerEffect::Ingest { number, signed, testimony, .. } => {
                    told.ingested.push((signed.hash(), testimony));
                    theirs.ingested(number, Ingested::Durable { sequence: 0 }).unwrap();
                }
                ServerEffect::FindLacking { caseload, prefixes } => {
                    theirs.lacking(caseload, (world.lacking)(&prefixes)).unwrap();
                }
                ServerEffect::NamesOffered(rows) => told.names.extend(rows),
                ServerEffect::FormsOffered { entries, .. } => told.forms.extend(entries),
                ServerEffect::ReadMembership { after, .. } => {
                    assert_eq!(after.sequence, if world.knows_membership { 0 } else { 4 });
                    theirs.membership(after.sequence + 1, Vec::new(), false).unwrap();
                }
                ServerEffect::ReadDirectory { after_version } => {
                    theirs.directory(after_version, false, Vec::new(), false).unwrap();
                }
                ServerEffect::ReadEntries { caseload, limit, .. } => {
                    assert_eq!(limit == 0, world.recovering, "a server that recovers reads nothing to tell");
                    theirs.entries(caseload, Vec::new(), 0, 0, 0).unwrap();
                }
                ServerEffect::Settled | ServerEffect::Finished(_) => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
        ours.receive(2, &down).unwrap();
    }
}

fn world(device: &Device) -> World {
    World {
        knows_membership: true,
        recovering: false,
        lacking: |asked| asked.to_vec(),
        offers: device.outbox.iter().rev().map(|bytes| (bytes.clone(), None)).collect(),
        ask: Vec::new(),
        names: Vec::new(),
        forms: Vec::new(),
    }
}

fn names(device: &Device) -> Vec<Hash> {
    device.outbox.iter().map(|bytes| SignedHeader::peek(bytes).unwrap().hash()).collect()
}

#[test]
fn nothing_is_taken_in_before_the_membership_that_the_server_has_forgotten() {
    let mut device = Device::new(1);
    device.write(b"one");
    device.write(b"two");
    let told = run(&device, World { knows_membership: false, ..world(&device) });
    assert_eq!(told.taken, [entry(1), entry(2)]);
    let place = |what: &str| told.server.iter().position(|effect| effect == what).unwrap();
    assert!(place("TakeMembership") < place("Readmit") && place("Readmit") < place("Ingest"), "{:?}", told.server);
    assert_eq!(told.device.iter().filter(|effect| *effect == "Deferred").count(), 2);
    let mut ingested: Vec<Hash> = told.ingested.into_iter().map(|(name, _)| name).collect();
    let mut expected = names(&device);
    ingested.sort();
    expected.sort();
    assert_eq!(ingested, expected, "each once");
}

#[test]
fn of_what_another_log_had_only_what_is_lacking_is_sent_with_what_that_log_said() {
    let mut device = Device::new(1);
    device.write(b"known");
    device.write(b"lacking");
    let held = names(&device);
    let refused = vec![RecordVerdict { record: RecordId([1; 16]), verdict: Verdict::Quarantined(Reason::Role) }];
    let testimony = |sequence| Testimony { sequence, role: Role::Supervisor, refused: refused.clone() };
    let offers = device.outbox.iter().zip(8..).map(|(bytes, sequence)| (bytes.clone(), Some(testimony(sequence)))).collect();
    let ask = held.iter().copied().map(Prefix::of).collect();
    let told = run(&device, World { offers, ask, lacking: |asked| asked[1..].to_vec(), ..world(&device) });
    assert_eq!(told.ingested, [(held[1], Some(testimony(9)))]);
}

#[test]
fn a_server_that_recovers_takes_in_and_gives_out_nothing() {
    let mut device = Device::new(1);
    device.write(b"unsent");
    let names = vec![DirectoryRow::new(Named::Person, [2; 16], "Laila".to_owned())];
    let form = LogEntry::Form {
        form_id: "household".to_owned(),
        version: "1".to_owned(),
        definition: Hash([6; 32]),
        media: Vec::new(),
        retired: false,
        extra: Extra::default(),
    };
    for knows_membership in [true, false] {
        let told = run(
            &device,
            World { knows_membership, recovering: true, names: names.clone(), forms: vec![form.clone()], ..world(&device) },
        );
        assert_eq!(told.ingested.len(), 1);
        assert_eq!((&told.names, &told.forms), (&names, &vec![form.encode()]));
        for never in ["ReadMembership", "ReadDirectory"] {
            assert!(!told.server.iter().any(|effect| effect == never), "{:?}", told.server);
        }
    }
}

#[test]
fn frames_of_repair_are_the_bytes_of_the_specification() {
    let cases: [(RepairFrame, Vec<u8>); 3] = [
        (RepairFrame::MembershipMismatch, vec![0x81, 0x18, 45]),
        (RepairFrame::Deferred { number: 5 }, vec![0x82, 0x18, 47, 5]),
        (
            RepairFrame::Prefixes { caseload: CASELOAD, prefixes: vec![Prefix([1, 2, 3, 4, 5, 6, 7, 8])] },
            [&[0x83, 14, 0x50][..], &[7; 16], &[0x48, 1, 2, 3, 4, 5, 6, 7, 8]].concat(),
        ),
    ];
    for (frame, bytes) in cases {
        assert_eq!(Frame::Repair(frame.clone()).encode(), bytes);
        assert_eq!(Frame::decode(&bytes).unwrap(), Frame::Repair(frame));
    }
    let half = [&[0x83, 14, 0x50][..], &[7; 16], &[0x44, 1, 2, 3, 4]].concat();
    assert!(Frame::decode(&half).is_err());
    // A kind that is kept free is passed over.
    assert_eq!(Frame::decode(&[0x82, 18, 1]).unwrap(), Frame::Other { kind: 18 });
}

#[test]
fn frames_of_repair_out_of_place_end_the_session() {
    let device = Device::new(1);
    let mut theirs = ServerSession::new(0);
    let mut ours = DeviceSession::new(device.start(), 0).unwrap();
    while let Some(effect) = ours.poll() {
        match effect {
            DeviceEffect::Send(bytes) => theirs.receive(0, &bytes).unwrap(),
            _ => break,
        }
    }
    while let Some(effect) = theirs.poll() {
        if matches!(effect, ServerEffect::Admit { .. }) {
            let welcome = Welcome { epoch: 1, clock_ms: 0, recovering: false };
            theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
        }
    }
    let entries = Frame::Repair(RepairFrame::OfferMembership { entries: vec![entry(1)], last: true });
    assert!(theirs.receive(1, &karwan_proto::wire::write_frame(&entries.encode())).is_err());
    assert!(ours.membership_points(Vec::new()).is_err(), "nobody asked");
    assert!(ours.offer_membership(&[]).is_err(), "nobody asked");
}
