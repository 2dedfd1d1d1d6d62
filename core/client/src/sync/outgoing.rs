//! What goes up: unsealed changes become envelopes, envelopes are offered, what the server says of them is kept.

use std::collections::{BTreeSet, VecDeque};

use karwan_proto::envelope::{EnvelopeHeader, Item, fitting, seal};
use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::limits::MAX_CHANGES_PER_ENVELOPE;
use karwan_proto::session::Rejection;
use karwan_store::change::{ChangeState, EnvelopeState, PlacedChange, StoredEnvelope};

use super::report::{RefusedEnvelope, SyncReport};
use crate::device::{Inner, locked, random};
use crate::error::ClientError;

/// What waits to be offered in one session.
pub(crate) struct Outbox {
    caseloads: VecDeque<CaseloadId>,
    waiting: VecDeque<Hash>,
    offered: BTreeSet<Hash>,
}

/// What the server said of one envelope.
pub(crate) struct Receipt {
    pub(crate) envelope: Hash,
    pub(crate) sequence: u64,
}

impl Outbox {
    /// Everything that the server does not have, of all caseloads.
    pub(crate) fn new(inner: &Inner) -> Result<Self, ClientError> {
        let caseloads = locked(&inner.store).view()?.caseloads()?.into_iter().map(|state| state.caseload).collect();
        Ok(Self { caseloads, waiting: VecDeque::new(), offered: BTreeSet::new() })
    }

    /// The next envelope to offer, as its bytes; each is offered once a session.
    pub(crate) fn next(&mut self, inner: &Inner) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            while let Some(name) = self.waiting.pop_front() {
                if !self.offered.insert(name) {
                    continue;
                }
                if let Some(envelope) = locked(&inner.store).view()?.envelope(name)? {
                    return Ok(Some(envelope.bytes));
                }
            }
            let Some(caseload) = self.caseloads.front().copied() else { return Ok(None) };
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

    /// Offers again all that lies above a point of a caseload's log.
    pub(crate) fn again(&mut self, names: Vec<Hash>) {
        for name in names {
            self.offered.remove(&name);
            self.waiting.push_back(name);
        }
    }
}

/// Seals the oldest unsealed changes of a caseload that one envelope may hold; `None` where there are none.
fn seal_next(inner: &Inner, caseload: CaseloadId) -> Result<Option<Hash>, ClientError> {
    let mut store = locked(&inner.store);
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

/// The server keeps nothing of an envelope: it stays here, unsent, and is named.
pub(crate) fn refused(envelope: Hash, rejection: Rejection) -> RefusedEnvelope {
    RefusedEnvelope { envelope: envelope.to_string(), reason: rejection.to_string() }
}
