//! Does what [`DeviceSession`] says, one effect after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::limits::CLOCK_TOLERANCE_MS;
use karwan_proto::log::{Cursor, point_sequences};
use karwan_proto::session::frame::{CaseloadCursor, Hello, Introduction};
use karwan_proto::session::{DeviceEffect, DeviceSession, DeviceStart, Head};
use karwan_store::StoreError;

use super::incoming::{HeldPage, Incoming};
use super::outgoing::{self, Next, Outbox, Receipt};
use super::repair;
use super::report::{Listener, Phase, Progress, SyncReport};
use super::stream::{Exchange, session_error};
use super::transport::Stream;
use crate::device::{Inner, locked};
use crate::error::ClientError;

/// Largest form definition or media file that is taken, in bytes.
const BLOB_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One session from the device's side.
pub(crate) struct Driver<'a> {
    inner: &'a Arc<Inner>,
    listener: &'a dyn Listener,
    incoming: Incoming<'a>,
    /// The newest page that came, where it may be made while the one before it is written.
    held: Option<HeldPage>,
    outbox: Outbox,
    receipts: Vec<Receipt>,
    blobs: BTreeMap<Hash, Vec<u8>>,
    introduced: Vec<Introduction>,
    /// Caseloads that the device had before this session.
    known: BTreeSet<CaseloadId>,
    report: SyncReport,
    phase: Phase,
    /// The server recovers and waits for what it has forgotten.
    brings_back: bool,
    finished: bool,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>, listener: &'a dyn Listener) -> Result<Self, ClientError> {
        Ok(Self {
            inner,
            listener,
            incoming: Incoming::new(inner)?,
            held: None,
            outbox: Outbox::new(inner)?,
            receipts: Vec::new(),
            blobs: BTreeMap::new(),
            introduced: Vec::new(),
            known: BTreeSet::new(),
            report: SyncReport::default(),
            phase: Phase::Sending,
            brings_back: false,
            finished: false,
        })
    }

    /// What the session did, also one that failed.
    pub(crate) fn into_report(self) -> SyncReport {
        self.report
    }

    /// The whole session.
    pub(crate) async fn run(&mut self, stream: Stream) -> Result<(), ClientError> {
        let start = self.start()?;
        let mut exchange = Exchange::new(stream, DeviceSession::new(start, 0).map_err(session_error)?);
        let outcome = self.converse(&mut exchange).await;
        let kept = self.keep_receipts();
        self.count(&exchange);
        exchange.close().await;
        self.incoming.finish(&mut self.report)?;
        outcome.and(kept)
    }

    async fn converse(&mut self, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
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
            // A page waits for the next one only where that is here already.
            let heard = match self.held {
                Some(_) => exchange.listen_if_ready().await,
                None => exchange.listen().await.map(|()| true),
            };
            match heard {
                Ok(true) => {}
                Ok(false) => self.take_held()?,
                Err(error) => {
                    // What was handed out before stands.
                    self.effects(exchange)?;
                    self.take_held()?;
                    return Err(error);
                }
            }
        }
    }

    fn effects(&mut self, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        while let Some(effect) = exchange.session.poll() {
            if !matches!(effect, DeviceEffect::Receipt { .. } | DeviceEffect::Send(_) | DeviceEffect::NextOffer) {
                self.keep_receipts()?;
            }
            if !matches!(effect, DeviceEffect::Entries { .. }) {
                self.take_held()?;
            }
            self.act(effect, exchange)?;
        }
        self.keep_receipts()
    }

    /// Takes in the page that waits.
    fn take_held(&mut self) -> Result<(), ClientError> {
        self.held.take().map_or(Ok(()), |page| self.incoming.entries(page, &mut self.report))
    }

    fn start(&mut self) -> Result<DeviceStart, ClientError> {
        let store = locked(&self.inner.store);
        let identity = store.identity()?;
        let view = store.view()?;
        let caseloads = view.caseloads()?;
        self.known = caseloads.iter().filter(|state| state.sequence > 0).map(|state| state.caseload).collect();
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
        let hello = Hello {
            organisation: identity.organisation,
            epoch: store.epoch()?,
            incarnation: store.incarnation(),
            membership: locked(&self.inner.membership).cursor(),
            directory_version: store.number("directory_version")?,
            clock_ms: self.inner.clock.now_ms(),
            caseloads,
        };
        Ok(DeviceStart { hello, enrolment: None, introductions, blobs: Vec::new() })
    }

    fn act(&mut self, effect: DeviceEffect, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        match effect {
            DeviceEffect::Send(bytes) => exchange.send(bytes),
            DeviceEffect::NextOffer => self.offer(exchange)?,
            DeviceEffect::Copied => self.report.copy_in_use = true,
            DeviceEffect::Welcome { epoch, recovering, clock_ahead_ms } => {
                self.phase = Phase::Receiving;
                self.report.recovering = recovering;
                self.brings_back = recovering;
                self.report.clock_ahead_ms = (clock_ahead_ms.abs() > CLOCK_TOLERANCE_MS).then_some(clock_ahead_ms);
                let mut store = locked(&self.inner.store);
                let before = store.setting("epoch")?;
                let mut unfinished = false;
                store.write(|batch| {
                    if before.is_some_and(|before| before != epoch.to_be_bytes()) {
                        // Another epoch: a receipt that no log entry followed says nothing any more.
                        for state in batch.view().caseloads()? {
                            unfinished |= batch.offer_again(state.caseload)?;
                        }
                    }
                    batch.set("epoch", &epoch.to_be_bytes())?;
                    batch.set("clock_ahead_ms", &clock_ahead_ms.to_be_bytes())
                })?;
                drop(store);
                self.report.unfinished = unfinished;
                self.outbox.look_again(self.inner)?;
            }
            DeviceEffect::Membership { first, entries } => self.incoming.membership(first, &entries)?,
            DeviceEffect::Directory { version, reset, rows } => self.incoming.directory(version, reset, &rows)?,
            DeviceEffect::Receipt { envelope, sequence, .. } => self.receipts.push(Receipt { envelope, sequence }),
            DeviceEffect::Rejected { envelope, rejection } => {
                outgoing::rejected(self.inner, envelope, rejection, &mut self.report)?;
            }
            DeviceEffect::Entries { caseload, first, entries, cursor } => {
                let page = self.incoming.hold(caseload, first, entries, cursor);
                let is_begun = page.is_begun();
                // While other cores make what they can of it.
                self.take_held()?;
                self.held = Some(page);
                if !is_begun {
                    self.take_held()?;
                }
            }
            DeviceEffect::ReadPoints { caseload } => {
                let points = self.points(caseload)?;
                exchange.session.points(caseload, points).map_err(session_error)?;
            }
            DeviceEffect::Rewind { caseload, cursor } => {
                self.incoming.rewind(caseload, cursor)?;
                self.outbox.look_again(self.inner)?;
            }
            DeviceEffect::ReadMembershipPoints => {
                exchange.session.membership_points(repair::membership_points(self.inner)?).map_err(session_error)?;
            }
            DeviceEffect::OfferMembership { after } => {
                exchange.session.offer_membership(&repair::membership_after(self.inner, after)?).map_err(session_error)?;
            }
            DeviceEffect::Deferred { envelope } => self.outbox.deferred(envelope),
            DeviceEffect::Lacking { prefixes, .. } => self.outbox.lacking(self.inner, &prefixes)?,
            DeviceEffect::Withdrawn { caseload } => {
                if self.incoming.withdrawn(caseload)? {
                    exchange.session.evicted(caseload);
                }
            }
            // The membership log says which records go, and came before.
            DeviceEffect::Evict { .. } => {}
            DeviceEffect::Envelopes { caseload, envelopes } => self.incoming.envelopes(caseload, &envelopes, &mut self.report)?,
            DeviceEffect::BlobChunk { hash, length, offset, bytes } => self.blob_chunk(hash, length, offset, &bytes)?,
            DeviceEffect::Definition { bytes } => self.incoming.definition(bytes),
            DeviceEffect::NoBlob { hash } => drop(self.blobs.remove(&hash)),
            DeviceEffect::ReadBlob { hash, offset, limit } => match repair::piece_of_file(self.inner, hash, offset, limit)? {
                Some((length, bytes)) => exchange.session.blob_chunk(hash, length, offset, bytes).map_err(session_error)?,
                None => exchange.session.no_blob(hash).map_err(session_error)?,
            },
            DeviceEffect::BlobStored { .. } => {}
            DeviceEffect::Settled { heads } => self.settled(&heads, exchange)?,
            DeviceEffect::Finished(_) => self.finished = true,
        }
        Ok(())
    }

    fn offer(&mut self, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        match self.outbox.next(self.inner)? {
            Next::Offer(bytes, None) => exchange.session.offer(bytes),
            Next::Offer(bytes, Some(testimony)) => exchange.session.reoffer(bytes, testimony),
            Next::Ask(caseload, prefixes) => exchange.session.prefixes(caseload, prefixes),
            Next::End => {
                if std::mem::take(&mut self.brings_back) {
                    let known = repair::Known::of(self.inner)?;
                    exchange.session.bring_back(&known.names, &known.forms, &known.files).map_err(session_error)?;
                }
                exchange.session.offers_end()
            }
        }
        .map_err(session_error)
    }

    fn settled(&mut self, heads: &[Head], exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        let missing = {
            let mut store = locked(&self.inner.store);
            let introduced = std::mem::take(&mut self.introduced);
            let recovering = self.report.recovering;
            let (known, mut new_backup) = (&self.known, false);
            store.write(|batch| {
                for head in heads {
                    let Some(state) = batch.view().caseload(head.caseload)? else { continue };
                    if state.backed_up != head.backed_up {
                        batch.set_backed_up(head.caseload, head.backed_up)?;
                    }
                    // Of a caseload that is new here it may be an old one.
                    new_backup |= state.backed_up < head.backed_up && known.contains(&head.caseload);
                }
                if new_backup {
                    batch.note_backup()?;
                }
                if recovering {
                    // It may be lost once more before its log says anything.
                    return Ok(());
                }
                for introduction in &introduced {
                    batch.set_introduced(introduction.person)?;
                }
                // The log was told to its end: what it does not name is not there, whatever was confirmed.
                for state in batch.view().caseloads()? {
                    batch.offer_again(state.caseload)?;
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

    fn count(&mut self, exchange: &Exchange<DeviceSession>) {
        let summary = exchange.session.summary();
        self.report.round_trips = summary.round_trips;
        self.report.bytes_up = summary.traffic.bytes_out;
        self.report.bytes_down = summary.traffic.bytes_in;
        self.report.envelopes_down = summary.envelopes;
    }

    fn tell(&mut self, exchange: &Exchange<DeviceSession>) -> bool {
        self.count(exchange);
        self.listener.progress(&Progress {
            envelopes_up: self.report.envelopes_up,
            envelopes_down: self.report.envelopes_down,
            bytes_up: self.report.bytes_up,
            bytes_down: self.report.bytes_down,
            ..Progress::at(self.phase)
        })
    }
}
