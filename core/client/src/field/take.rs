//! One session in which this device takes what another gives. It answers as a server does that takes in and gives out nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_proto::directory::DirectoryRow;
use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::log::{Cursor, LogEntry};
use karwan_proto::session::{Admission, Prefix, Refusal, ServerEffect, ServerSession, Welcome};

use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::sync::directory_kind;
use crate::sync::incoming::Incoming;
use crate::sync::incoming::given::{GivenEnvelope, Giver};
use crate::sync::report::{Listener, Phase, Progress, SyncReport};
use crate::sync::stream::{Exchange, session_error};
use crate::sync::transport::Stream;

/// Files of forms that one meeting brings at most.
const FILES_MAX: usize = 4_096;
/// Largest file of a form that is taken, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Envelopes that one meeting brings at most, and their bytes: what a server takes of one device in a day.
const ENVELOPES_MAX: u64 = 20_000;
const ENVELOPE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A session in which this device takes.
pub(super) struct Taking<'a> {
    inner: &'a Arc<Inner>,
    listener: &'a dyn Listener,
    giver: Giver,
    incoming: Incoming<'a>,
    /// Envelopes that came and are not kept yet.
    came: Vec<GivenEnvelope>,
    /// How many came in all, and their bytes.
    counted: (u64, u64),
    /// Files that may come: those that forms here name.
    files: BTreeMap<Hash, Vec<u8>>,
    /// Where the giver stands in the logs.
    cursors: BTreeMap<CaseloadId, Cursor>,
    finished: bool,
    report: SyncReport,
}

impl<'a> Taking<'a> {
    pub(super) fn new(inner: &'a Arc<Inner>, listener: &'a dyn Listener, giver: Giver) -> Result<Self, ClientError> {
        Ok(Self {
            inner,
            listener,
            giver,
            incoming: Incoming::new(inner)?,
            came: Vec::new(),
            counted: (0, 0),
            files: BTreeMap::new(),
            cursors: BTreeMap::new(),
            finished: false,
            report: SyncReport::default(),
        })
    }

    /// What it did, also where it failed, and where the giver stands.
    pub(super) fn into_report(self) -> (SyncReport, BTreeMap<CaseloadId, Cursor>) {
        (self.report, self.cursors)
    }

    /// The whole of it.
    pub(super) async fn run(&mut self, stream: Stream) -> Result<(), ClientError> {
        let mut exchange = Exchange::new(stream, ServerSession::new(0));
        let outcome = self.converse(&mut exchange).await;
        let traffic = exchange.session.traffic();
        self.report.bytes_up += traffic.bytes_out;
        self.report.bytes_down += traffic.bytes_in;
        exchange.close().await;
        self.incoming.finish(&mut self.report)?;
        outcome
    }

    async fn converse(&mut self, exchange: &mut Exchange<ServerSession>) -> Result<(), ClientError> {
        loop {
            loop {
                while let Some(effect) = exchange.session.poll() {
                    self.act(effect, exchange)?;
                }
                if self.came.is_empty() {
                    break;
                }
                let came = std::mem::take(&mut self.came);
                for (number, outcome) in self.incoming.given(&self.giver, &came, &mut self.report)? {
                    exchange.session.ingested(number, outcome).map_err(session_error)?;
                }
            }
            if self.finished {
                return Ok(());
            }
            let traffic = exchange.session.traffic();
            let progress = Progress {
                envelopes_down: self.report.envelopes_down,
                bytes_up: traffic.bytes_out,
                bytes_down: traffic.bytes_in,
                ..Progress::at(Phase::Receiving)
            };
            if !self.listener.progress(&progress) {
                return Err(ClientError::Cancelled);
            }
            let heard = exchange.listen().await;
            if heard.is_err() {
                // What was handed out before stands, and why it ends is said.
                while let Some(effect) = exchange.session.poll() {
                    self.act(effect, exchange)?;
                }
                heard?;
            }
        }
    }

    fn act(&mut self, effect: ServerEffect, exchange: &mut Exchange<ServerSession>) -> Result<(), ClientError> {
        let session = &mut exchange.session;
        match effect {
            ServerEffect::Send(bytes) => exchange.send(bytes),
            ServerEffect::Admit { hello, enrolment } => {
                // Both know the same decisions by now.
                if enrolment.is_some() || hello.membership != locked(&self.inner.membership).cursor() {
                    session.refuse(Refusal::MembershipDiverged);
                    return Ok(());
                }
                self.cursors = hello.caseloads.iter().map(|held| (held.caseload, held.cursor)).collect();
                let welcome = Welcome { epoch: hello.epoch, clock_ms: self.inner.clock.now_ms(), recovering: true };
                let caseloads = self.giver.shared.clone();
                session.admit(Admission { welcome, caseloads }).map_err(session_error)?;
            }
            ServerEffect::Introduce(people) => {
                self.incoming.people_given(&people)?;
                session.introduced().map_err(session_error)?;
            }
            ServerEffect::FindLacking { caseload, prefixes } => {
                let lacking = self.lacking(&prefixes)?;
                session.lacking(caseload, lacking).map_err(session_error)?;
            }
            ServerEffect::Ingest { number, envelope, testimony, .. } => {
                self.counted = (self.counted.0 + 1, self.counted.1 + envelope.len() as u64);
                if self.counted.0 > ENVELOPES_MAX || self.counted.1 > ENVELOPE_BYTES_MAX {
                    session.refuse(Refusal::TooMuch);
                    return Ok(());
                }
                self.came.push(GivenEnvelope { number, bytes: envelope, testimony });
            }
            ServerEffect::NamesOffered(rows) => {
                let names: Vec<_> = rows.iter().filter(|row| self.is_of_ours(row)).filter_map(directory_kind).collect();
                self.incoming.names_given(&names)?;
            }
            ServerEffect::FormsOffered { caseload, entries } if self.giver.shared.contains(&caseload) => {
                let named = entries.iter().filter_map(|bytes| LogEntry::decode(bytes).ok());
                for entry in named {
                    if let LogEntry::Form { definition, media, .. } = entry {
                        self.await_file(definition)?;
                        media.into_iter().try_for_each(|file| self.await_file(file.hash))?;
                    }
                }
                self.report.forms += self.incoming.forms_given(caseload, &entries)?;
            }
            ServerEffect::BlobOffered { hash, length } => {
                if length <= FILE_BYTES_MAX && self.files.contains_key(&hash) {
                    session.blob_wanted(hash, 0).map_err(session_error)?;
                }
            }
            ServerEffect::StoreBlob { hash, length, bytes, .. } => {
                let Some(file) = self.files.get_mut(&hash) else { return Ok(()) };
                file.extend_from_slice(&bytes);
                if file.len() as u64 >= length.min(FILE_BYTES_MAX) {
                    let whole = self.files.remove(&hash).unwrap_or_default();
                    if *blake3::hash(&whole).as_bytes() == hash.0 {
                        locked(&self.inner.store).write(|batch| batch.put_blob(&whole))?;
                        self.incoming.blob_came();
                        session.blob_stored(hash).map_err(session_error)?;
                    }
                }
            }
            // Logs are the server's to tell.
            ServerEffect::ReadEntries { caseload, .. } => {
                session.entries(caseload, Vec::new(), 0, 0, 0).map_err(session_error)?;
            }
            ServerEffect::Finished(_) => self.finished = true,
            ServerEffect::FormsOffered { .. } | ServerEffect::Evicted { .. } | ServerEffect::Settled => {}
            // None of this is asked for by a giver of this version.
            _ => session.refuse(Refusal::Malformed),
        }
        Ok(())
    }

    /// A form that both may have names this file, and it is not here.
    fn await_file(&mut self, hash: Hash) -> Result<(), ClientError> {
        if self.files.len() < FILES_MAX && !locked(&self.inner.store).view()?.has_blob(hash)? {
            self.files.entry(hash).or_default();
        }
        Ok(())
    }

    /// Names of people, devices and caseloads of this organisation as its membership log knows them, and of people met in the field.
    fn is_of_ours(&self, row: &DirectoryRow) -> bool {
        use karwan_proto::directory::Named;
        let membership = locked(&self.inner.membership);
        match row.named {
            Named::Person => membership.person(karwan_proto::PersonId(row.id)).is_some(),
            Named::Device => membership.device(karwan_proto::DeviceId(row.id)).is_some(),
            Named::Caseload => membership.caseloads().contains(&CaseloadId(row.id)),
            Named::Organisation | Named::Other(_) => false,
        }
    }

    fn lacking(&self, prefixes: &[Prefix]) -> Result<Vec<Prefix>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let mut lacking = BTreeSet::new();
        for prefix in prefixes {
            let (mut first, mut last) = ([0; 32], [0xff; 32]);
            for (place, byte) in prefix.0.iter().enumerate() {
                if let (Some(first), Some(last)) = (first.get_mut(place), last.get_mut(place)) {
                    (*first, *last) = (*byte, *byte);
                }
            }
            if !view.has_envelope_between(Hash(first), Hash(last))? {
                lacking.insert(*prefix);
            }
        }
        Ok(prefixes.iter().filter(|prefix| lacking.contains(prefix)).copied().collect())
    }
}
