//! One session in which this device gives another what that may have and lacks: people, envelopes, names, forms. What the other confirms it holds, the
//! server need not hold: everything stays to be offered there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use karwan_proto::directory::Named;
use karwan_proto::envelope::{Effort, Envelope};
use karwan_proto::ids::{CaseloadId, DeviceId, Hash, PersonId};
use karwan_proto::limits::{MAX_INTRODUCTIONS, MAX_PREFIXES_PER_FRAME};
use karwan_proto::log::{Cursor, LogEntry};
use karwan_proto::session::{DeviceEffect, DeviceSession, DeviceStart, Introduction, Prefix, Testimony};
use karwan_store::StoreError;
use karwan_store::change::EnvelopeState;

use super::who;
use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::sync::outgoing::{seal_next, told_of};
use crate::sync::repair::{self, Known};
use crate::sync::report::{Listener, Phase, Progress, RefusedEnvelope, SyncReport};
use crate::sync::stream::{Exchange, session_error};
use crate::sync::transport::Stream;

/// Receipts that are kept in one transaction.
const RECEIPTS_AT_ONCE: usize = 64;

/// To whom, and where it stands in the logs of what both may read.
#[derive(Debug, Clone)]
pub(super) struct Taker {
    pub(super) device: DeviceId,
    pub(super) shared: BTreeSet<CaseloadId>,
    pub(super) cursors: BTreeMap<CaseloadId, Cursor>,
}

/// An envelope as it is offered, and what the log said of it.
type Offered = (Vec<u8>, Option<Testimony>);

/// A session in which this device gives.
pub(super) struct Giving<'a> {
    inner: &'a Arc<Inner>,
    listener: &'a dyn Listener,
    to: Taker,
    caseloads: VecDeque<CaseloadId>,
    /// Not asked about yet.
    names: VecDeque<Hash>,
    caseload: CaseloadId,
    /// Asked about, in this order.
    asked: Vec<Hash>,
    /// The other lacks these.
    waiting: VecDeque<Hash>,
    /// The other has these.
    had: Vec<Hash>,
    people: BTreeSet<PersonId>,
    devices: BTreeSet<DeviceId>,
    welcomed: bool,
    finished: bool,
    report: SyncReport,
}

impl<'a> Giving<'a> {
    pub(super) fn new(inner: &'a Arc<Inner>, listener: &'a dyn Listener, to: Taker) -> Self {
        Self {
            inner,
            listener,
            caseloads: to.shared.iter().copied().collect(),
            to,
            names: VecDeque::new(),
            caseload: CaseloadId([0; 16]),
            asked: Vec::new(),
            waiting: VecDeque::new(),
            had: Vec::new(),
            people: BTreeSet::new(),
            // The other is to know with whom it has met.
            devices: BTreeSet::from([inner.device]),
            welcomed: false,
            finished: false,
            report: SyncReport::default(),
        }
    }

    /// What it did, also where it failed.
    pub(super) fn into_report(self) -> SyncReport {
        self.report
    }

    /// The whole of it.
    pub(super) async fn run(&mut self, stream: Stream) -> Result<(), ClientError> {
        let hello = super::hello(self.inner)?;
        let start = DeviceStart { hello, enrolment: None, introductions: self.introductions()?, blobs: Vec::new() };
        let mut exchange = Exchange::new(stream, DeviceSession::new(start, 0).map_err(session_error)?);
        let outcome = self.converse(&mut exchange).await;
        let kept = self.keep_had();
        let summary = exchange.session.summary();
        self.report.round_trips += summary.round_trips;
        self.report.bytes_up += summary.traffic.bytes_out;
        self.report.bytes_down += summary.traffic.bytes_in;
        exchange.close().await;
        outcome.and(kept)
    }

    async fn converse(&mut self, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        loop {
            while let Some(effect) = exchange.session.poll() {
                self.act(effect, exchange)?;
            }
            if self.finished {
                return Ok(());
            }
            let traffic = exchange.session.summary().traffic;
            let progress = Progress {
                envelopes_up: self.report.envelopes_up,
                bytes_up: traffic.bytes_out,
                bytes_down: traffic.bytes_in,
                ..Progress::at(Phase::Sending)
            };
            if !self.listener.progress(&progress) {
                return Err(ClientError::Cancelled);
            }
            exchange.listen().await?;
        }
    }

    /// People whom the server does not know, for a device to which their work may go.
    fn introductions(&self) -> Result<Vec<Introduction>, ClientError> {
        if !self.takes_strangers() {
            return Ok(Vec::new());
        }
        let people = locked(&self.inner.store).view()?.people_to_introduce()?;
        Ok(people.into_iter().take(MAX_INTRODUCTIONS).map(|(person, name)| Introduction { person, name }).collect())
    }

    /// Whoever introduces somebody to the server gives that person its own caseloads: one that has fewer must not be the first.
    fn takes_strangers(&self) -> bool {
        let ours = locked(&self.inner.membership).readable(self.inner.device).unwrap_or_default();
        ours.is_subset(&self.to.shared)
    }

    fn act(&mut self, effect: DeviceEffect, exchange: &mut Exchange<DeviceSession>) -> Result<(), ClientError> {
        let session = &mut exchange.session;
        match effect {
            DeviceEffect::Send(bytes) => exchange.send(bytes),
            DeviceEffect::NextOffer => self.offer(session)?,
            DeviceEffect::Welcome { .. } => self.welcomed = true,
            DeviceEffect::Lacking { prefixes, .. } => {
                let lacking: BTreeSet<Prefix> = prefixes.into_iter().collect();
                for name in std::mem::take(&mut self.asked) {
                    if lacking.contains(&Prefix::of(name)) {
                        self.waiting.push_back(name);
                    } else {
                        self.had.push(name);
                    }
                }
                self.keep_had()?;
            }
            DeviceEffect::Receipt { envelope, .. } => {
                let changes = locked(&self.inner.store).view()?.envelope(envelope)?.map_or(0, |held| held.changes);
                self.report.envelopes_up += 1;
                self.report.changes_up += u64::from(changes);
                self.had.push(envelope);
                if self.had.len() >= RECEIPTS_AT_ONCE {
                    self.keep_had()?;
                }
            }
            DeviceEffect::Rejected { envelope, rejection } => {
                self.report.refused.push(RefusedEnvelope { envelope: envelope.to_string(), reason: rejection.to_string() });
            }
            DeviceEffect::ReadBlob { hash, offset, limit } => match repair::piece_of_file(self.inner, hash, offset, limit)? {
                Some((length, bytes)) => session.blob_chunk(hash, length, offset, bytes).map_err(session_error)?,
                None => session.no_blob(hash).map_err(session_error)?,
            },
            DeviceEffect::Settled { .. } => session.finish().map_err(session_error)?,
            DeviceEffect::Finished(_) => self.finished = true,
            DeviceEffect::BlobStored { .. } => {}
            DeviceEffect::ReadMembershipPoints | DeviceEffect::OfferMembership { .. } => {
                return Err(ClientError::OtherDevice(karwan_proto::session::Refusal::MembershipDiverged));
            }
            // Nothing else is a taker's to say, and nothing of it is believed.
            _ => return Err(ClientError::Session("the other device said what only a server says".to_owned())),
        }
        Ok(())
    }

    /// Says the next thing: an envelope, what envelopes there are, or that there is no more.
    fn offer(&mut self, session: &mut DeviceSession) -> Result<(), ClientError> {
        loop {
            while let Some(name) = self.waiting.pop_front() {
                if let Some((bytes, testimony)) = self.envelope(name)? {
                    return match testimony {
                        Some(testimony) => session.reoffer(bytes, testimony),
                        None => session.offer(bytes),
                    }
                    .map_err(session_error);
                }
            }
            if !self.names.is_empty() {
                self.asked = self.names.drain(..self.names.len().min(MAX_PREFIXES_PER_FRAME)).collect();
                let prefixes = self.asked.iter().copied().map(Prefix::of).collect();
                return session.prefixes(self.caseload, prefixes).map_err(session_error);
            }
            let Some(caseload) = self.caseloads.pop_front() else { break };
            while seal_next(self.inner, caseload)?.is_some() {}
            self.caseload = caseload;
            self.names = self.names_of(caseload)?.into();
        }
        if self.welcomed {
            let known = self.words()?;
            session.bring_back(&known.names, &known.forms, &known.files).map_err(session_error)?;
        }
        session.offers_end().map_err(session_error)
    }

    /// Envelopes of a caseload that the other may lack. Where its log is not the beginning of ours, or ours of its, all.
    fn names_of(&self, caseload: CaseloadId) -> Result<Vec<Hash>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let theirs = self.to.cursors.get(&caseload).copied().unwrap_or_else(|| Cursor::start_of(caseload));
        let ours = view.caseload(caseload)?.map_or(0, |state| state.sequence);
        let is_prefix = theirs.sequence > ours || view.chain_at(caseload, theirs.sequence)? == Some(theirs.chain);
        Ok(view.envelopes_to_give(caseload, if is_prefix { theirs.sequence } else { 0 })?)
    }

    /// What of an envelope the other may have, and what the log said of it; `None` where that is nothing.
    fn envelope(&mut self, name: Hash) -> Result<Option<Offered>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let Some(held) = view.envelope(name)? else { return Ok(None) };
        let Ok(mut envelope) = Envelope::decode(&held.bytes) else { return Ok(None) };
        let before = envelope.items().iter().filter(|item| item.record().is_some()).count();
        let membership = locked(&self.inner.membership);
        if !who::fit(&mut envelope, &membership, &self.to.shared) {
            return Ok(None);
        }
        let (person, device) = (envelope.header().person, envelope.header().device);
        let is_stranger = membership.person(person).is_none();
        drop(membership);
        if is_stranger && !self.takes_strangers() {
            return Ok(None);
        }
        self.people.insert(person);
        self.devices.insert(device);
        let testimony = if held.state == EnvelopeState::Judged { told_of(&view, &held, held.sequence)? } else { None };
        let whole = envelope.items().iter().filter(|item| item.record().is_some()).count() == before;
        Ok(Some((if whole { held.bytes } else { envelope.encode_with(Effort::Quick) }, testimony)))
    }

    /// Names of whoever wrote what was given, and the forms of what both may read with their files.
    fn words(&self) -> Result<Known, ClientError> {
        let mut known = Known::of(self.inner)?;
        known.names.retain(|row| match row.named {
            Named::Person => self.people.contains(&PersonId(row.id)),
            Named::Device => self.devices.contains(&DeviceId(row.id)),
            Named::Caseload => self.to.shared.contains(&CaseloadId(row.id)),
            _ => false,
        });
        known.forms.retain(|(caseload, _)| self.to.shared.contains(caseload));
        let mut needed = BTreeSet::new();
        for (_, form) in &known.forms {
            if let LogEntry::Form { definition, media, .. } = form {
                needed.insert(*definition);
                needed.extend(media.iter().map(|file| file.hash));
            }
        }
        known.files.retain(|(hash, _)| needed.contains(hash));
        Ok(known)
    }

    /// The other has these too: the server may hear of them from there first.
    fn keep_had(&mut self) -> Result<(), ClientError> {
        let had = std::mem::take(&mut self.had);
        if had.is_empty() {
            return Ok(());
        }
        Ok(locked(&self.inner.store).write(|batch| {
            had.iter().try_for_each(|name| batch.set_envelope_shared(*name))?;
            Ok::<_, StoreError>(())
        })?)
    }
}
