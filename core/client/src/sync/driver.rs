//! Does what [`DeviceSession`] says, one effect after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::limits::CLOCK_TOLERANCE_MS;
use karwan_proto::log::{Cursor, point_sequences};
use karwan_proto::session::frame::{CaseloadCursor, Hello, Introduction};
use karwan_proto::session::{DeviceEffect, DeviceSession, DeviceStart, Head};
use karwan_store::StoreError;

use super::incoming::Incoming;
use super::outgoing::{self, Outbox, Receipt};
use super::report::{Listener, Phase, Progress, SyncReport};
use super::stream::{Exchange, session_error};
use super::transport::Connection;
use crate::device::{Inner, locked};
use crate::error::ClientError;

/// Largest form definition or media file that is taken, in bytes.
const BLOB_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One session from the device's side.
pub(crate) struct Driver<'a> {
    inner: &'a Arc<Inner>,
    listener: &'a dyn Listener,
    incoming: Incoming<'a>,
    outbox: Outbox,
    receipts: Vec<Receipt>,
    blobs: BTreeMap<Hash, Vec<u8>>,
    introduced: Vec<Introduction>,
    report: SyncReport,
    phase: Phase,
    finished: bool,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>, listener: &'a dyn Listener) -> Result<Self, ClientError> {
        Ok(Self {
            inner,
            listener,
            incoming: Incoming::new(inner)?,
            outbox: Outbox::new(inner)?,
            receipts: Vec::new(),
            blobs: BTreeMap::new(),
            introduced: Vec::new(),
            report: SyncReport::default(),
            phase: Phase::Sending,
            finished: false,
        })
    }

    /// What the session did, also one that failed.
    pub(crate) fn into_report(self) -> SyncReport {
        self.report
    }

    /// The whole session.
    pub(crate) async fn run(&mut self, connection: Connection) -> Result<(), ClientError> {
        let start = self.start()?;
        let mut exchange = Exchange::new(connection, DeviceSession::new(start, 0).map_err(session_error)?);
        let outcome = self.converse(&mut exchange).await;
        let kept = self.keep_receipts();
        self.count(&exchange);
        exchange.close().await;
        self.incoming.finish(&mut self.report)?;
        outcome.and(kept)
    }

    async fn converse(&mut self, exchange: &mut Exchange) -> Result<(), ClientError> {
        loop {
            self.effects(exchange)?;
            if self.finished {
                self.phase = Phase::Done;
                self.tell(exchange);
                return Ok(());
            }
            if !self.tell(exchange) {
                return Err(ClientError::Cancelled);
            }
            let heard = exchange.listen().await;
            if heard.is_err() {
                // What was handed out before stands.
                self.effects(exchange)?;
                return heard;
            }
        }
    }

    fn effects(&mut self, exchange: &mut Exchange) -> Result<(), ClientError> {
        while let Some(effect) = exchange.session.poll() {
            if !matches!(effect, DeviceEffect::Receipt { .. } | DeviceEffect::Send(_) | DeviceEffect::NextOffer) {
                self.keep_receipts()?;
            }
            self.act(effect, exchange)?;
        }
        self.keep_receipts()
    }

    fn start(&mut self) -> Result<DeviceStart, ClientError> {
        let store = locked(&self.inner.store);
        let identity = store.identity()?;
        let view = store.view()?;
        let caseloads = view.caseloads()?;
        let caseloads = caseloads
            .into_iter()
            .map(|state| CaseloadCursor {
                caseload: state.caseload,
                cursor: Cursor { sequence: state.sequence, chain: state.chain },
            })
            .collect();
        let introductions: Vec<Introduction> = view
            .people_to_introduce()?
            .into_iter()
            .take(karwan_proto::limits::MAX_INTRODUCTIONS)
            .map(|(person, name)| Introduction { person, name })
            .collect();
        self.introduced.clone_from(&introductions);
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(store.setting(name)?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
        };
        let hello = Hello {
            organisation: identity.organisation,
            epoch: number("epoch")?,
            incarnation: store.incarnation(),
            membership: locked(&self.inner.membership).cursor(),
            directory_version: number("directory_version")?,
            clock_ms: self.inner.clock.now_ms(),
            caseloads,
        };
        Ok(DeviceStart { hello, enrolment: None, introductions, blobs: Vec::new() })
    }

    fn act(&mut self, effect: DeviceEffect, exchange: &mut Exchange) -> Result<(), ClientError> {
        match effect {
            DeviceEffect::Send(bytes) => exchange.send(bytes),
            DeviceEffect::NextOffer => match self.outbox.next(self.inner)? {
                Some(bytes) => exchange.session.offer(bytes).map_err(session_error)?,
                None => exchange.session.offers_end().map_err(session_error)?,
            },
            DeviceEffect::Welcome { epoch, recovering, clock_ahead_ms } => {
                self.phase = Phase::Receiving;
                self.report.recovering = recovering;
                self.report.clock_ahead_ms = (clock_ahead_ms.abs() > CLOCK_TOLERANCE_MS).then_some(clock_ahead_ms);
                locked(&self.inner.store).write(|batch| {
                    batch.set("epoch", &epoch.to_be_bytes())?;
                    batch.set("clock_ahead_ms", &clock_ahead_ms.to_be_bytes())
                })?;
            }
            DeviceEffect::Membership { first, entries } => self.incoming.membership(first, &entries)?,
            DeviceEffect::Directory { version, reset, rows } => self.incoming.directory(version, reset, &rows)?,
            DeviceEffect::Receipt { envelope, sequence, .. } => self.receipts.push(Receipt { envelope, sequence }),
            DeviceEffect::Rejected { envelope, rejection } => self.report.refused.push(outgoing::refused(envelope, rejection)),
            DeviceEffect::Entries { caseload, first, entries, cursor } => {
                self.incoming.entries(caseload, first, &entries, cursor, &mut self.report)?;
            }
            DeviceEffect::ReadPoints { caseload } => {
                let points = self.points(caseload)?;
                exchange.session.points(caseload, points).map_err(session_error)?;
            }
            DeviceEffect::Rewind { caseload, cursor } => {
                let names = self.incoming.rewind(caseload, cursor)?;
                self.outbox.again(names);
            }
            DeviceEffect::Withdrawn { caseload } => self.incoming.withdrawn(caseload)?,
            DeviceEffect::Evict { records, .. } => self.incoming.evict(&records)?,
            DeviceEffect::Envelopes { caseload, envelopes } => self.incoming.envelopes(caseload, &envelopes, &mut self.report)?,
            DeviceEffect::BlobChunk { hash, length, offset, bytes } => self.blob_chunk(hash, length, offset, &bytes)?,
            DeviceEffect::NoBlob { hash } => drop(self.blobs.remove(&hash)),
            // Attachments are not sent in this version.
            DeviceEffect::ReadBlob { hash, .. } => exchange.session.no_blob(hash).map_err(session_error)?,
            DeviceEffect::BlobStored { .. } => {}
            DeviceEffect::Settled { heads } => self.settled(&heads, exchange)?,
            DeviceEffect::Finished(_) => self.finished = true,
        }
        Ok(())
    }

    fn settled(&mut self, heads: &[Head], exchange: &mut Exchange) -> Result<(), ClientError> {
        let missing = {
            let mut store = locked(&self.inner.store);
            let introduced = std::mem::take(&mut self.introduced);
            store.write(|batch| {
                for head in heads {
                    if batch.view().caseload(head.caseload)?.is_some_and(|state| state.backed_up != head.backed_up) {
                        batch.set_backed_up(head.caseload, head.backed_up)?;
                    }
                }
                for introduction in &introduced {
                    batch.set_introduced(introduction.person)?;
                }
                Ok::<_, StoreError>(())
            })?;
            store.view()?.missing_blobs()?
        };
        for (caseload, names) in self.incoming.wanted()? {
            exchange.session.want_envelopes(caseload, &names).map_err(session_error)?;
        }
        if !missing.is_empty() {
            self.phase = Phase::Fetching;
            let wishes: Vec<(Hash, u64)> = missing.iter().map(|hash| (*hash, 0)).collect();
            exchange.session.want_blobs(&wishes).map_err(session_error)?;
        }
        exchange.session.finish().map_err(session_error)
    }

    fn points(&self, caseload: CaseloadId) -> Result<Vec<Cursor>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let head = view.caseload(caseload)?.map_or(0, |state| state.sequence);
        let mut points = Vec::new();
        for sequence in point_sequences(head).into_iter().take(karwan_proto::limits::MAX_POINTS) {
            if sequence == 0 {
                points.push(Cursor::start_of(caseload));
            } else if let Some(chain) = view.chain_at(caseload, sequence)? {
                points.push(Cursor { sequence, chain });
            }
        }
        Ok(points)
    }

    fn blob_chunk(&mut self, hash: Hash, length: u64, offset: u64, bytes: &[u8]) -> Result<(), ClientError> {
        if length > BLOB_BYTES_MAX {
            return Err(ClientError::Session(format!("a file of {length} bytes, at most {BLOB_BYTES_MAX} are taken")));
        }
        let held = self.blobs.entry(hash).or_default();
        held.extend_from_slice(bytes);
        if offset + (bytes.len() as u64) < length {
            return Ok(());
        }
        let whole = self.blobs.remove(&hash).unwrap_or_default();
        if *blake3::hash(&whole).as_bytes() != hash.0 {
            return Err(ClientError::Session("a file came damaged".to_owned()));
        }
        locked(&self.inner.store).write(|batch| batch.put_blob(&whole))?;
        self.incoming.blob_came();
        Ok(())
    }

    fn keep_receipts(&mut self) -> Result<(), ClientError> {
        let receipts = std::mem::take(&mut self.receipts);
        outgoing::keep_receipts(self.inner, &receipts, &mut self.report)
    }

    fn count(&mut self, exchange: &Exchange) {
        let summary = exchange.session.summary();
        self.report.round_trips = summary.round_trips;
        self.report.bytes_up = summary.traffic.bytes_out;
        self.report.bytes_down = summary.traffic.bytes_in;
        self.report.envelopes_down = summary.envelopes;
    }

    fn tell(&mut self, exchange: &Exchange) -> bool {
        self.count(exchange);
        self.listener.progress(&Progress {
            phase: self.phase,
            envelopes_up: self.report.envelopes_up,
            envelopes_down: self.report.envelopes_down,
            bytes_up: self.report.bytes_up,
            bytes_down: self.report.bytes_down,
        })
    }
}
