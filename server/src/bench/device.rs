//! A simulated device: its key, where it stands in the logs, and sealed envelopes that wait. It speaks the real protocol over real QUIC, and
//! keeps no database: that is what makes hundreds of them cheap.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karwan_client::sync::tls::{SERVER_NAME, client_config};
use karwan_form::model::Form;
use karwan_proto::codec::Extra;
use karwan_proto::envelope::{EnvelopeHeader, Item, fitting, seal};
use karwan_proto::error::SessionError;
use karwan_proto::session::frame::{CaseloadCursor, Hello, Introduction};
use karwan_proto::session::{DeviceEffect, DeviceSession, DeviceStart, Enrolment, Refusal};
use karwan_proto::{
    CaseloadId, Cursor, Hash, IncarnationId, Invitation, LogEntry, Membership, PersonId, RecordId, Role, SigningKey,
};
use karwan_record::{Author, Provenance, Record, Shape, Stamp};

use super::made::{Dice, answers};
use crate::clock::{now_ms, random};
use crate::problem::Problem;

/// How long a connection may take to come about.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// Devices that send from one socket.
pub(super) const DEVICES_PER_SOCKET: usize = 10;
/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 * 1024;

/// A form that came down, to be filled.
pub(super) struct Known {
    pub(super) hash: Hash,
    pub(super) form: Form,
    pub(super) shape: Shape,
}

/// A sealed envelope that the server has not confirmed, or has not judged.
struct Waiting {
    hash: Hash,
    counter: u64,
    bytes: Vec<u8>,
    records: u64,
}

/// One simulated device.
pub(super) struct Device {
    number: usize,
    key: SigningKey,
    person: PersonId,
    incarnation: IncarnationId,
    invitation: Invitation,
    enrolled: bool,
    server: SocketAddr,
    endpoint: quinn::Endpoint,
    config: quinn::ClientConfig,
    epoch: u64,
    membership: Cursor,
    directory_version: u64,
    caseloads: BTreeMap<CaseloadId, Cursor>,
    sealed: BTreeMap<CaseloadId, (u64, Hash)>,
    /// Not offered yet, in order.
    offers: VecDeque<Waiting>,
    /// At the server, its entry has not come.
    unjudged: BTreeMap<Hash, u64>,
    /// The newest form that its caseload fills.
    pub(super) form: Option<Hash>,
}

/// Sockets for so many devices, of which a few share each: a socket's buffers take megabytes. On this machine each socket has an address of its own,
/// as phones at home do: a server takes a limited number of connections from one.
pub(super) fn endpoints(devices: usize, server: SocketAddr) -> std::io::Result<Vec<quinn::Endpoint>> {
    const ADDRESSES: usize = 250;
    let address = |number: usize| match server.ip() {
        IpAddr::V4(address) if address.is_loopback() => {
            let (high, low) = (number / ADDRESSES % ADDRESSES, number % ADDRESSES);
            (Ipv4Addr::new(127, 1, high as u8 + 1, low as u8 + 1), 0).into()
        }
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    (0..devices.div_ceil(DEVICES_PER_SOCKET)).map(|number| quinn::Endpoint::client(address(number))).collect()
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was said.
    Done,
    /// The server had no time; with when to come back, where it said.
    Refused(Option<Duration>),
    /// The line broke, or nobody answered.
    Broken,
}

/// What a session brought.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) records_down: u64,
    /// Records whose envelope was confirmed, with when.
    pub(super) durable: Vec<(Instant, u64)>,
    /// Records whose verdict came, with when.
    pub(super) judged: Vec<(Instant, u64)>,
    /// Records that do not count.
    pub(super) not_accepted: u64,
    /// Definitions of forms that came.
    pub(super) definitions: BTreeMap<Hash, Vec<u8>>,
}

impl Device {
    /// One that has not joined.
    pub(super) fn new(
        number: usize,
        invitation: Invitation,
        server: SocketAddr,
        endpoint: quinn::Endpoint,
    ) -> Result<Self, Problem> {
        let key = SigningKey::from_seed(&random());
        let pinned =
            invitation.server_key().map_err(|error| Problem::refused("invitation", error.to_string(), "Give another."))?;
        let config = client_config(&key, &[pinned])
            .map_err(|error| Problem::new(Problem::FAILED, "transport", error.to_string(), "Report this."))?;
        Ok(Self {
            number,
            key,
            person: PersonId::from_random(random()),
            incarnation: IncarnationId::from_random(random()),
            enrolled: false,
            server,
            endpoint,
            config,
            epoch: 0,
            membership: Membership::start(invitation.organisation()),
            directory_version: 0,
            caseloads: BTreeMap::new(),
            sealed: BTreeMap::new(),
            offers: VecDeque::new(),
            unjudged: BTreeMap::new(),
            form: None,
            invitation,
        })
    }

    /// Seals so many new records for its first caseload.
    pub(super) fn prepare(&mut self, records: u64, known: &Known, dice: &mut Dice) -> Result<(), Problem> {
        let Some(caseload) = self.invitation.caseloads.first().copied() else { return Ok(()) };
        let mut items = VecDeque::new();
        for _ in 0..records {
            let id = RecordId::from_random(random());
            let provenance = self.provenance();
            let author = Author { actor: self.incarnation.0, provenance };
            let stamp = Stamp { at_ms: provenance.at_ms, offset_minutes: 0, random: random() };
            let answers = answers(&known.form, dice);
            let (_, change) = Record::create(id, &known.shape, known.hash, &answers, &[], &author, &stamp)?;
            items.push_back(Item::Change { record: id, generation: 0, change });
        }
        while !items.is_empty() {
            let count = fitting(items.make_contiguous())?;
            let chosen: Vec<Item> = items.drain(..count).collect();
            self.seal(caseload, chosen)?;
        }
        Ok(())
    }

    fn provenance(&self) -> Provenance {
        let device = self.key.public().device();
        Provenance { device, person: self.person, role: Role::Enumerator, at_ms: now_ms(), offset_minutes: 0 }
    }

    fn seal(&mut self, caseload: CaseloadId, items: Vec<Item>) -> Result<(), Problem> {
        let records = items.len() as u64;
        let before = self.sealed.get(&caseload).copied();
        let header = EnvelopeHeader {
            caseload,
            device: self.key.public().device(),
            incarnation: self.incarnation,
            counter: before.map_or(0, |(counter, _)| counter) + 1,
            previous: before.map(|(_, hash)| hash),
            person: self.person,
            membership_position: self.membership.sequence,
            clock_ms: now_ms(),
            offset_minutes: 0,
            change_count: items.len(),
            root: Hash([0; 32]),
            extra: Extra::default(),
        };
        let counter = header.counter;
        let envelope = seal(header, items, random(), &self.key)?;
        self.sealed.insert(caseload, (counter, envelope.hash()));
        self.offers.push_back(Waiting { hash: envelope.hash(), counter, bytes: envelope.encode(), records });
        Ok(())
    }

    /// Whether everything that it made was confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }

    /// Envelopes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.offers.len()
    }

    /// One session from the connection to its end, with at most `offers` envelopes.
    pub(super) async fn sync(&mut self, offers: usize) -> (End, Session) {
        let mut told = Session::default();
        let connecting = self.endpoint.connect_with(self.config.clone(), self.server, SERVER_NAME);
        let Ok(connecting) = connecting else { return (End::Broken, told) };
        let Ok(Ok(connection)) = tokio::time::timeout(CONNECT_WAIT, connecting).await else { return (End::Broken, told) };
        let end = self.converse(&connection, offers, &mut told).await;
        connection.close(0u32.into(), b"done");
        (end, told)
    }

    fn start(&self) -> DeviceStart {
        let hello = Hello {
            organisation: self.invitation.organisation(),
            epoch: self.epoch,
            incarnation: self.incarnation,
            membership: self.membership,
            directory_version: self.directory_version,
            clock_ms: now_ms(),
            caseloads: self
                .caseloads
                .iter()
                .map(|(caseload, cursor)| CaseloadCursor { caseload: *caseload, cursor: *cursor })
                .collect(),
        };
        let enrolment = (!self.enrolled).then(|| Enrolment {
            secret: self.invitation.secret,
            device_name: format!("bench-{}", self.number),
            person: Introduction { person: self.person, name: format!("Bench {}", self.number) },
        });
        DeviceStart { hello, enrolment, introductions: Vec::new(), blobs: Vec::new() }
    }

    async fn converse(&mut self, connection: &quinn::Connection, offers: usize, told: &mut Session) -> End {
        let Ok((mut send, mut receive)) = connection.open_bi().await else { return End::Broken };
        let began = Instant::now();
        let Ok(mut session) = DeviceSession::new(self.start(), 0) else { return End::Broken };
        let mut waiting: BTreeMap<Hash, Waiting> = BTreeMap::new();
        let mut buffer = vec![0u8; READ_BYTES];
        let mut offered = 0;
        let end = loop {
            let mut finished = false;
            while let Some(effect) = session.poll() {
                match effect {
                    DeviceEffect::Send(bytes) => {
                        // A line that broke shows on the reading side, after what was said.
                        send.write_all(&bytes).await.ok();
                    }
                    DeviceEffect::NextOffer => {
                        let next = if offered < offers { self.offers.pop_front() } else { None };
                        let said = match next {
                            Some(next) => {
                                offered += 1;
                                let said = session.offer(next.bytes.clone());
                                waiting.insert(next.hash, next);
                                said
                            }
                            None => session.offers_end(),
                        };
                        if said.is_err() {
                            break;
                        }
                    }
                    DeviceEffect::Finished(_) => finished = true,
                    other => self.hear(other, &mut session, &mut waiting, told),
                }
            }
            if finished {
                self.enrolled = true;
                break End::Done;
            }
            let now = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let wait = Duration::from_millis(session.deadline_ms().saturating_sub(now()).max(1));
            let heard = match tokio::time::timeout(wait, receive.read(&mut buffer)).await {
                Err(_) => session.tick(now()),
                Ok(Ok(Some(length))) => session.receive(now(), buffer.get(..length).unwrap_or_default()),
                Ok(Ok(None)) => session.ended(),
                Ok(Err(_)) => break End::Broken,
            };
            if let Err(error) = heard {
                break ended(&error);
            }
        };
        let traffic = session.summary().traffic;
        (told.bytes_up, told.bytes_down) = (traffic.bytes_out, traffic.bytes_in);
        // What was not confirmed is offered again, in the order in which it was made.
        let mut again: Vec<Waiting> = waiting.into_values().collect();
        again.sort_by_key(|waiting| waiting.counter);
        for waiting in again.into_iter().rev() {
            self.offers.push_front(waiting);
        }
        send.finish().ok();
        end
    }

    fn hear(
        &mut self,
        effect: DeviceEffect,
        session: &mut DeviceSession,
        waiting: &mut BTreeMap<Hash, Waiting>,
        told: &mut Session,
    ) {
        match effect {
            DeviceEffect::Welcome { epoch, .. } => self.epoch = epoch,
            DeviceEffect::Membership { entries, .. } => {
                for entry in entries {
                    self.membership = self.membership.after(&entry.encode());
                }
            }
            DeviceEffect::Directory { version, .. } => self.directory_version = version,
            DeviceEffect::Receipt { envelope, .. } => {
                if let Some(confirmed) = waiting.remove(&envelope) {
                    told.durable.push((Instant::now(), confirmed.records));
                    self.unjudged.insert(envelope, confirmed.records);
                }
            }
            DeviceEffect::Rejected { envelope, .. } => {
                told.not_accepted += waiting.remove(&envelope).map_or(0, |rejected| rejected.records);
            }
            DeviceEffect::Deferred { envelope } => {
                if let Some(deferred) = waiting.remove(&envelope) {
                    self.offers.push_front(deferred);
                }
            }
            DeviceEffect::Definition { bytes } => {
                told.definitions.insert(Hash(*blake3::hash(&bytes).as_bytes()), bytes);
            }
            DeviceEffect::Entries { caseload, entries, cursor, .. } => {
                self.caseloads.insert(caseload, cursor);
                for delivered in &entries {
                    match LogEntry::decode(&delivered.entry) {
                        Ok(LogEntry::Envelope { envelope, refused, .. }) => {
                            if let Some(records) = self.unjudged.remove(&envelope) {
                                told.not_accepted += refused.len() as u64;
                                told.judged.push((Instant::now(), records.saturating_sub(refused.len() as u64)));
                            } else if let Some(bytes) = &delivered.envelope {
                                let header = karwan_proto::SignedHeader::peek(bytes);
                                told.records_down += header.map_or(0, |signed| signed.header().change_count as u64);
                            }
                        }
                        Ok(LogEntry::Form { definition, retired: false, .. }) => self.form = Some(definition),
                        _ => {}
                    }
                }
            }
            DeviceEffect::Settled { .. } => drop(session.finish()),
            _ => {}
        }
    }
}

fn ended(error: &SessionError) -> End {
    match error {
        SessionError::Refused(Refusal::Busy { retry_after_ms }) => End::Refused(Some(Duration::from_millis(*retry_after_ms))),
        SessionError::Refused(_) => End::Refused(None),
        _ => End::Broken,
    }
}

/// A form that came down, where it can be read.
pub(super) fn known(hash: Hash, definition: &[u8]) -> Option<Arc<Known>> {
    let form = karwan_form::read(definition, "form.xlsx").ok()?;
    let shape = Shape::of(&form);
    Some(Arc::new(Known { hash, form, shape }))
}
