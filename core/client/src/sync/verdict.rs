//! Verdicts as they are kept on a device: a word and a reason, to be read by people, and read back where a server asks what another log had said.

use karwan_proto::log::{Reason, Verdict};
use karwan_store::change::ChangeState;

/// Reasons that are looked through for their words.
const REASONS_MAX: u64 = 64;
/// Word of the verdict that counts.
pub(super) const ACCEPTED: &str = "accepted";

/// What a verdict makes of the changes that it is about.
pub(super) fn state_of(verdict: Verdict) -> ChangeState {
    match verdict {
        Verdict::Accepted => ChangeState::Accepted,
        Verdict::Waiting(_) => ChangeState::Waiting,
        Verdict::Erased => ChangeState::Erased,
        Verdict::Quarantined(_) | Verdict::Other(..) => ChangeState::Quarantined,
    }
}

/// The verdict that was kept in words; `None` where a newer version wrote them.
pub(super) fn in_words(word: &str, reason: &str) -> Option<Verdict> {
    let known = (1..=REASONS_MAX).map(Reason::of_number).find(|known| known.to_string() == reason);
    Some(match word {
        ACCEPTED => Verdict::Accepted,
        "erased" => Verdict::Erased,
        "waiting" => Verdict::Waiting(known?),
        "quarantined" => Verdict::Quarantined(known?),
        _ => return None,
    })
}

/// Word and reason of a verdict.
pub(super) fn words(verdict: Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Accepted => (ACCEPTED, String::new()),
        Verdict::Waiting(reason) => ("waiting", reason.to_string()),
        Verdict::Quarantined(reason) => ("quarantined", reason.to_string()),
        Verdict::Erased => ("erased", String::new()),
        Verdict::Other(kind, reason) => ("other", format!("verdict {kind}, reason {reason}")),
    }
}
