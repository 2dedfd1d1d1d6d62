//! A device, a server and the stream between them, all in memory and in virtual time: what the session's tests drive.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several tests; a test may panic"
)]

use karwan_proto::codec::Extra;
use karwan_proto::envelope::{Envelope, EnvelopeHeader, Item, seal};
use karwan_proto::error::SessionError;
use karwan_proto::log::{LogEntry, point_sequences};
use karwan_proto::session::{
    Admission, CaseloadCursor, Delivered, DeviceEffect, DeviceSession, DeviceStart, Head, Hello, Ingested, ServerEffect,
    ServerSession, Summary, Welcome,
};
use karwan_proto::{CaseloadId, Cursor, Hash, IncarnationId, OrganisationId, PersonId, RecordId, Role, SignedHeader, SigningKey};
use std::collections::BTreeMap;

/// One way through the air, in virtual milliseconds.
pub const ONE_WAY_MS: u64 = 300;
pub const CASELOAD: CaseloadId = CaseloadId([7; 16]);
pub const ORGANISATION: OrganisationId = OrganisationId([9; 16]);

/// A header of this key's device; `seal` fills in the rest.
pub fn header(key: &SigningKey, counter: u64) -> EnvelopeHeader {
    EnvelopeHeader {
        caseload: CASELOAD,
        device: key.public().device(),
        incarnation: IncarnationId([1; 16]),
        counter,
        previous: None,
        person: PersonId([2; 16]),
        membership_position: 3,
        clock_ms: 1_779_235_200_000,
        offset_minutes: 210,
        change_count: 0,
        root: Hash([0; 32]),
        extra: Extra::default(),
    }
}

pub fn change(record: u8, content: &[u8]) -> Item {
    Item::Change { record: RecordId([record; 16]), generation: 0, change: content.to_vec() }
}

pub fn envelope(key: &SigningKey, counter: u64, items: Vec<Item>) -> Envelope {
    seal(header(key, counter), items, [5; 16], key).unwrap()
}

/// What one side holds of a caseload's log.
pub type Log = Vec<Delivered>;

pub fn cursor(log: &[Delivered], upto: usize) -> Cursor {
    log[..upto].iter().fold(Cursor::start_of(CASELOAD), |cursor, delivered| cursor.after(&delivered.entry))
}

fn entry(envelope: &[u8]) -> Vec<u8> {
    let envelope = SignedHeader::peek(envelope).unwrap().hash();
    let (role, refused, extra) = (Role::Enumerator, Vec::new(), Extra::default());
    LogEntry::Envelope { envelope, received_at_ms: 5, gate_version: 1, role, refused, extra }.encode()
}

#[derive(Clone, Default)]
pub struct Server {
    pub log: Log,
}

impl Server {
    /// Takes an envelope in, once.
    pub fn take(&mut self, envelope: &[u8]) -> u64 {
        let entry = entry(envelope);
        if let Some(place) = self.log.iter().position(|known| known.entry == entry) {
            return place as u64 + 1;
        }
        self.log.push(Delivered { entry, envelope: Some(envelope.to_vec()) });
        self.log.len() as u64
    }
}

#[derive(Clone)]
pub struct Device {
    pub key: SigningKey,
    pub incarnation: IncarnationId,
    pub log: Log,
    /// Envelopes without a receipt.
    pub outbox: Vec<Vec<u8>>,
    /// Everything held, other devices' envelopes too.
    pub held: BTreeMap<Hash, Vec<u8>>,
    pub receipts: Vec<Hash>,
}

impl Device {
    pub fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_seed(&[seed; 32]),
            incarnation: IncarnationId([seed; 16]),
            log: Vec::new(),
            outbox: Vec::new(),
            held: BTreeMap::new(),
            receipts: Vec::new(),
        }
    }

    /// Writes an envelope of one change.
    pub fn write(&mut self, content: &[u8]) {
        let counter = self.outbox.len() as u64 + self.log.len() as u64 + 1;
        let mut header = header(&self.key, counter);
        header.incarnation = self.incarnation;
        let sealed = seal(header, vec![change(self.incarnation.0[0], content)], [5; 16], &self.key).unwrap();
        self.held.insert(sealed.hash(), sealed.encode());
        self.outbox.push(sealed.encode());
    }

    pub fn start(&self) -> DeviceStart {
        let caseloads = vec![CaseloadCursor { caseload: CASELOAD, cursor: cursor(&self.log, self.log.len()) }];
        let hello = Hello {
            organisation: ORGANISATION,
            epoch: 1,
            incarnation: self.incarnation,
            membership: Cursor { sequence: 0, chain: Hash([0; 32]) },
            directory_version: 0,
            clock_ms: 1_000,
            caseloads,
        };
        DeviceStart { hello, enrolment: None, introductions: Vec::new(), blobs: Vec::new() }
    }
}

/// A byte that the stream damages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Up(usize, u8),
    Down(usize, u8),
}

pub struct Outcome {
    pub device: Result<Summary, SessionError>,
    pub server: Result<(), SessionError>,
    pub bytes_up: usize,
    pub bytes_down: usize,
    /// Virtual time until both were done.
    pub took_ms: u64,
}

fn damage(bytes: &mut [u8], before: usize, position: usize, flip: u8) {
    if let Some(byte) = position.checked_sub(before).and_then(|place| bytes.get_mut(place)) {
        *byte ^= flip;
    }
}

/// Runs one session to its end.
pub fn run(device: &mut Device, server: &mut Server, fault: Option<Fault>) -> Outcome {
    let mut now_ms = 0;
    let mut ours = DeviceSession::new(device.start(), now_ms).unwrap();
    let mut theirs = ServerSession::new(now_ms);
    let (mut bytes_up, mut bytes_down) = (0, 0);
    let mut finished = None;
    let mut failed = (None, None);
    let mut offered = 0;
    loop {
        let mut up = Vec::new();
        while let Some(effect) = ours.poll() {
            match effect {
                DeviceEffect::Send(bytes) => up.extend(bytes),
                DeviceEffect::NextOffer => match device.outbox.get(offered) {
                    Some(envelope) => {
                        offered += 1;
                        ours.offer(envelope.clone()).unwrap();
                    }
                    None => ours.offers_end().unwrap(),
                },
                DeviceEffect::Receipt { envelope, .. } => device.receipts.push(envelope),
                DeviceEffect::Entries { entries, .. } => {
                    for delivered in &entries {
                        if let Some(bytes) = &delivered.envelope {
                            device.held.insert(SignedHeader::peek(bytes).unwrap().hash(), bytes.clone());
                        }
                    }
                    device.log.extend(entries);
                }
                DeviceEffect::ReadPoints { caseload } => {
                    let sequences = point_sequences(device.log.len() as u64);
                    let points = sequences.into_iter().map(|sequence| cursor(&device.log, sequence as usize)).collect();
                    ours.points(caseload, points).unwrap();
                }
                DeviceEffect::Rewind { cursor, .. } => {
                    // Everything after the point is offered again, whoever wrote it.
                    for delivered in device.log.split_off(cursor.sequence as usize) {
                        let LogEntry::Envelope { envelope, .. } = LogEntry::decode(&delivered.entry).unwrap() else { continue };
                        device.outbox.push(device.held[&envelope].clone());
                    }
                }
                DeviceEffect::Settled { .. } => ours.finish().unwrap(),
                DeviceEffect::Finished(summary) => finished = Some(summary),
                DeviceEffect::Welcome { .. } => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
        let before = bytes_up;
        bytes_up += up.len();
        if let Some(Fault::Up(position, flip)) = fault {
            damage(&mut up, before, position, flip);
        }
        if !up.is_empty() {
            now_ms += ONE_WAY_MS;
            failed.1 = failed.1.or(theirs.receive(now_ms, &up).err());
        }
        let mut down = Vec::new();
        while let Some(effect) = theirs.poll() {
            match effect {
                ServerEffect::Send(bytes) => down.extend(bytes),
                ServerEffect::Admit { .. } => {
                    let welcome = Welcome { epoch: 1, clock_ms: 2_000, recovering: false };
                    theirs.admit(Admission { welcome, caseloads: [CASELOAD].into() }).unwrap();
                }
                ServerEffect::Ingest { number, envelope, .. } => {
                    let sequence = server.take(&envelope);
                    theirs.ingested(number, Ingested::Durable { sequence }).unwrap();
                }
                ServerEffect::ReadMembership { .. } => theirs.membership(1, Vec::new(), false).unwrap(),
                ServerEffect::ReadDirectory { after_version } => {
                    theirs.directory(after_version, false, Vec::new(), false).unwrap();
                }
                ServerEffect::ReadEntries { caseload, after, incarnation, .. } => {
                    let head = server.log.len() as u64;
                    if after.sequence > head || cursor(&server.log, after.sequence as usize) != after {
                        theirs.cursor_unknown(caseload).unwrap();
                        continue;
                    }
                    let mut entries = server.log[after.sequence as usize..].to_vec();
                    for delivered in &mut entries {
                        let own = delivered.envelope.as_deref().map(|bytes| SignedHeader::peek(bytes).unwrap());
                        if own.is_some_and(|signed| signed.header().incarnation == incarnation) {
                            delivered.envelope = None;
                        }
                    }
                    theirs.entries(caseload, entries, head, 0, 0).unwrap();
                }
                ServerEffect::FindCommon { caseload, points } => {
                    let ours = |point: &&Cursor| {
                        point.sequence <= server.log.len() as u64 && cursor(&server.log, point.sequence as usize) == **point
                    };
                    let common = points.iter().find(ours).copied().unwrap_or(Cursor::start_of(caseload));
                    theirs.common(caseload, common).unwrap();
                }
                ServerEffect::Settled | ServerEffect::Finished(_) => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
        let before = bytes_down;
        bytes_down += down.len();
        if let Some(Fault::Down(position, flip)) = fault {
            damage(&mut down, before, position, flip);
        }
        if !down.is_empty() && failed.0.is_none() {
            now_ms += ONE_WAY_MS;
            failed.0 = ours.receive(now_ms, &down).err();
        }
        if (up.is_empty() && down.is_empty()) || failed.0.is_some() {
            break;
        }
    }
    // A failure found while the driver answered shows here too.
    failed.1 = failed.1.or_else(|| theirs.ended().err());
    if failed.0.is_none() && finished.is_none() {
        failed.0 = ours.ended().err();
    }
    let device_result = match (failed.0, finished) {
        (Some(error), _) => Err(error),
        (None, Some(summary)) => {
            device.outbox.retain(|bytes| !device.receipts.contains(&SignedHeader::peek(bytes).unwrap().hash()));
            Ok(summary)
        }
        (None, None) => Err(SessionError::CutOff),
    };
    Outcome { device: device_result, server: failed.1.map_or(Ok(()), Err), bytes_up, bytes_down, took_ms: now_ms }
}

/// Head of a log, for tests that answer by hand.
pub fn head(sequence: u64) -> Head {
    Head { caseload: CASELOAD, sequence, backed_up: 0 }
}
