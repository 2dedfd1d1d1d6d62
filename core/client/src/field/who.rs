//! Who may have what of whom: two devices of one organisation, by the membership log that both hold.

use std::collections::BTreeSet;

use karwan_proto::envelope::{Envelope, Item};
use karwan_proto::error::NotEntitled;
use karwan_proto::ids::{CaseloadId, DeviceId};
use karwan_proto::membership::Membership;
use karwan_proto::session::Refusal;

/// The caseloads that both devices may read, or why there are none.
pub(crate) fn shared(membership: &Membership, own: DeviceId, other: DeviceId) -> Result<BTreeSet<CaseloadId>, Refusal> {
    if own == other {
        return Err(Refusal::CloneSuspected);
    }
    let theirs = membership.readable(other).map_err(|reason| match reason {
        NotEntitled::DeviceRevoked => Refusal::Revoked,
        _ => Refusal::UnknownDevice,
    })?;
    let ours = membership.readable(own).unwrap_or_default();
    let shared: BTreeSet<CaseloadId> = ours.intersection(&theirs).copied().collect();
    if shared.is_empty() { Err(Refusal::NothingShared) } else { Ok(shared) }
}

/// Takes out of an envelope what is not to go to, or come from, a device of these caseloads: what was erased, what was written before a part was
/// erased, what moved elsewhere. Gives whether anything is left.
pub(crate) fn fit(envelope: &mut Envelope, membership: &Membership, shared: &BTreeSet<CaseloadId>) -> bool {
    let came_to = envelope.header().caseload;
    let decided = membership.records();
    let is_out = |item: &Item| match item {
        Item::Change { record, generation, .. } => {
            decided.is_erased(*record)
                || *generation < decided.generation(*record)
                || !shared.contains(&decided.caseload(*record, came_to))
        }
        Item::Pruned { .. } => false,
    };
    let out: Vec<usize> =
        envelope.items().iter().enumerate().filter(|(_, item)| is_out(item)).map(|(position, _)| position).collect();
    if !out.is_empty() && envelope.prune(&out).is_err() {
        return false;
    }
    envelope.items().iter().any(|item| item.record().is_some())
}
