//! What goes up: unsealed changes become envelopes, envelopes are offered, what the server says of them is kept.

use std::collections::{BTreeSet, VecDeque};

use karwan_proto::envelope::{EnvelopeHeader, Item, fitting, seal};
use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::limits::{MAX_CHANGES_PER_ENVELOPE, MAX_PREFIXES_PER_FRAME};
use karwan_proto::log::RecordVerdict;
use karwan_proto::session::{Prefix, Rejection, Testimony};
use karwan_store::View;
use karwan_store::change::{ChangeState, EnvelopeState, PlacedChange, StoredEnvelope};

use super::report::{RefusedEnvelope, SyncReport};
use super::verdict;
use crate::device::{Inner, locked, random};
use crate::error::ClientError;

/// What waits to be offered in one session.
pub(crate) struct Outbox {
    caseloads: VecDeque<CaseloadId>,
    waiting: VecDeque<Hash>,
    offered: BTreeSet<Hash>,
    /// Asked about by the beginnings of their names, in this order.
    asked: Vec<Hash>,
    asked_before: BTreeSet<Hash>,
}

/// What the server said of one envelope.
pub(crate) struct Receipt {
    pub(crate) envelope: Hash,
    pub(crate) sequence: u64,
}

/// What to say next.
pub(crate) enum Next {
    /// An envelope, and what a log that is no more said of it.
    Offer(Vec<u8>, Option<Testimony>),
    /// The server may have these.
    Ask(CaseloadId, Vec<Prefix>),
    /// There is nothing more.
    End,
}

impl Outbox {
    /// Everything that the server does not have, of all caseloads.
    pub(crate) fn new(inner: &Inner) -> Result<Self, ClientError> {
        let mut outbox = Self {
            caseloads: VecDeque::new(),
            waiting: VecDeque::new(),
            offered: BTreeSet::new(),
            asked: Vec::new(),
            asked_before: BTreeSet::new(),
        };
        outbox.look_again(inner)?;
        Ok(outbox)
    }

    /// More may be to offer than before.
    pub(crate) fn look_again(&mut self, inner: &Inner) -> Result<(), ClientError> {
        self.caseloads = locked(&inner.store).view()?.caseloads()?.into_iter().map(|state| state.caseload).collect();
        Ok(())
    }

    /// The next envelope to offer, or what to ask; each is offered once a session.
    pub(crate) fn next(&mut self, inner: &Inner) -> Result<Next, ClientError> {
        loop {
            while let Some(name) = self.waiting.pop_front() {
                if !self.offered.insert(name) {
                    continue;
                }
                let store = locked(&inner.store);
                let view = store.view()?;
                if let Some(envelope) = view.envelope(name)? {
                    let testimony = testimony(&view, &envelope)?;
                    return Ok(Next::Offer(envelope.bytes, testimony));
                }
            }
            let Some(caseload) = self.caseloads.front().copied() else { return Ok(Next::End) };
            let again: Vec<Hash> = {
                let store = locked(&inner.store);
                let view = store.view()?;
                // What another device has too may have come home with that one.
                let again = view.envelopes_to_offer_again(caseload)?.into_iter().chain(view.envelopes_to_ask_about(caseload)?);
                again.filter(|name| !self.asked_before.contains(name)).take(MAX_PREFIXES_PER_FRAME).collect()
            };
            if !again.is_empty() {
                self.asked_before.extend(again.iter().copied());
                let prefixes = again.iter().copied().map(Prefix::of).collect();
                self.asked = again;
                return Ok(Next::Ask(caseload, prefixes));
            }
            let held: Vec<Hash> =
                locked(&inner.store).view()?.envelopes_to_offer(caseload)?.into_iter().map(|envelope| envelope.hash).collect();
            self.waiting.extend(held.into_iter().filter(|name| !self.offered.contains(name)));
            if !self.waiting.is_empty() {
                continue;
            }
            match seal_next(inner, caseload)? {
                Some(name) => self.waiting.push_back(name),
                None => drop(self.caseloads.pop_front()),
            }
        }
    }

    /// The server said which of those asked about it wants; the others it has.
    pub(crate) fn lacking(&mut self, inner: &Inner, prefixes: &[Prefix]) -> Result<(), ClientError> {
        let lacking: BTreeSet<Prefix> = prefixes.iter().copied().collect();
        let (wanted, known): (Vec<Hash>, Vec<Hash>) =
            std::mem::take(&mut self.asked).into_iter().partition(|name| lacking.contains(&Prefix::of(*name)));
        self.waiting.extend(wanted);
        locked(&inner.store)
            .write(|batch| known.iter().try_for_each(|name| batch.set_envelope_state(*name, EnvelopeState::Durable, None)))?;
        Ok(())
    }

    /// Nothing was kept of an offer: it is made again.
    pub(crate) fn deferred(&mut self, envelope: Hash) {
        self.offered.remove(&envelope);
        self.waiting.push_back(envelope);
    }
}

/// What the log in which an envelope lay said of it; `None` where it lay in none.
fn testimony(view: &View<'_>, envelope: &StoredEnvelope) -> Result<Option<Testimony>, ClientError> {
    told_of(view, envelope, envelope.earlier)
}

/// What a log said of an envelope that it had at this place.
pub(crate) fn told_of(
    view: &View<'_>,
    envelope: &StoredEnvelope,
    sequence: Option<u64>,
) -> Result<Option<Testimony>, ClientError> {
    let (Some(sequence), Some(role)) = (sequence, envelope.role) else { return Ok(None) };
    let mut refused = Vec::new();
    for (record, word, reason) in view.verdicts_on(envelope.hash)? {
        if let Some(verdict) = verdict::in_words(&word, &reason).filter(|verdict| !verdict.is_accepted()) {
            refused.push(RecordVerdict { record, verdict });
        }
    }
    Ok(Some(Testimony { sequence, role, refused }))
}

/// Seals the oldest unsealed changes of a caseload that one envelope may hold; `None` where there are none.
pub(crate) fn seal_next(inner: &Inner, caseload: CaseloadId) -> Result<Option<Hash>, ClientError> {
    let mut store = locked(&inner.store);
    // What another incarnation left unsealed is written again first, and that waits until all that the server has is here.
    if store.rewrite_pending()? || store.begin_again_asked()? {
        return Ok(None);
    }
    let incarnation = store.incarnation();
    let unsealed = store.view()?.unsealed(caseload, MAX_CHANGES_PER_ENVELOPE)?;
    let Some(first) = unsealed.first().map(|placed| placed.change.origin) else { return Ok(None) };
    // One envelope has one author, and the order of changes is kept.
    let run: Vec<PlacedChange> = unsealed
        .into_iter()
        .take_while(|placed| {
            let origin = &placed.change.origin;
            origin.person == first.person && origin.offset_minutes == first.offset_minutes && origin.incarnation == incarnation
        })
        .collect();
    if run.is_empty() {
        return Err(ClientError::Record("changes of an earlier incarnation wait to be written again".to_owned()));
    }
    let mut items: Vec<Item> = run
        .iter()
        .map(|placed| Item::Change { record: placed.record, generation: placed.generation, change: placed.change.bytes.clone() })
        .collect();
    items.truncate(fitting(&items)?);
    let state = store.view()?.caseload(caseload)?.ok_or(ClientError::NoCaseload)?;
    let header = EnvelopeHeader {
        caseload,
        device: inner.device,
        incarnation,
        counter: state.counter + 1,
        previous: state.previous,
        person: first.person,
        membership_position: locked(&inner.membership).cursor().sequence,
        clock_ms: inner.clock.now_ms(),
        offset_minutes: first.offset_minutes,
        change_count: items.len(),
        root: Hash([0; 32]),
        extra: karwan_proto::codec::Extra::default(),
    };
    let counter = header.counter;
    let count = items.len();
    let sealed = seal(header, items, random(), &inner.key)?;
    let envelope = StoredEnvelope {
        hash: sealed.hash(),
        caseload,
        bytes: sealed.encode(),
        own: true,
        state: EnvelopeState::ToOffer,
        sequence: None,
        counter,
        changes: u32::try_from(count).unwrap_or(u32::MAX),
        role: None,
        earlier: None,
    };
    store.author(|batch| {
        batch.put_envelope(&envelope)?;
        for placed in run.iter().take(count) {
            batch.seal_change(placed.record, placed.change.hash, envelope.hash)?;
        }
        batch.set_last_envelope(caseload, counter, envelope.hash)?;
        Ok::<_, ClientError>(())
    })?;
    Ok(Some(envelope.hash))
}

/// Keeps what the server has on its disk, in one transaction.
pub(crate) fn keep_receipts(inner: &Inner, receipts: &[Receipt], report: &mut SyncReport) -> Result<(), ClientError> {
    if receipts.is_empty() {
        return Ok(());
    }
    locked(&inner.store).write(|batch| {
        for receipt in receipts {
            let Some(envelope) = batch.view().envelope(receipt.envelope)? else { continue };
            report.envelopes_up += 1;
            report.changes_up += u64::from(envelope.changes);
            if envelope.state == EnvelopeState::Judged {
                continue;
            }
            batch.set_envelope_state(receipt.envelope, EnvelopeState::Durable, Some(receipt.sequence))?;
            for placed in batch.view().changes_in(receipt.envelope)? {
                if placed.change.state == ChangeState::New {
                    batch.set_change_state(placed.record, placed.change.hash, ChangeState::Durable)?;
                }
            }
        }
        Ok(())
    })
}

/// The server keeps nothing of an envelope. One that another copy of this database was faster with is unsealed, to be written again; any other
/// stays here, unsent, and is named.
pub(crate) fn rejected(inner: &Inner, envelope: Hash, rejection: Rejection, report: &mut SyncReport) -> Result<(), ClientError> {
    let mut store = locked(&inner.store);
    let Some(held) = store.view()?.envelope(envelope)? else { return Ok(()) };
    match rejection {
        Rejection::Equivocation if held.own => {
            store.write(|batch| {
                batch.unseal(envelope)?;
                batch.ask_to_begin_again()
            })?;
            report.copied = true;
        }
        // What another device gave, and the server has something else in its place.
        Rejection::Equivocation | Rejection::Malformed | Rejection::Signature if !held.own && held.earlier.is_none() => {
            store.write(|batch| {
                batch.set_envelope_state(envelope, EnvelopeState::Refused, None)?;
                for record in batch.set_envelope_changes(envelope, None, ChangeState::Quarantined)? {
                    inner.project_again(batch, record)?;
                }
                Ok::<_, ClientError>(())
            })?;
            report.refused.push(RefusedEnvelope { envelope: envelope.to_string(), reason: rejection.to_string() });
        }
        // What others made and this device brought back.
        Rejection::Equivocation | Rejection::Malformed | Rejection::Signature if !held.own => {
            store.write(|batch| batch.set_envelope_state(envelope, EnvelopeState::Refused, None))?;
        }
        _ if !held.own => {}
        _ => report.refused.push(RefusedEnvelope { envelope: envelope.to_string(), reason: rejection.to_string() }),
    }
    Ok(())
}
