//! What one device may bring in a day, so that a phone that was let in cannot fill the disk. What is over the limit stays on the phone and is
//! taken the next day. Kept in memory: a server that starts again begins to count anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use karwan_proto::DeviceId;

/// Envelopes that one device brings in a day at most; each holds up to 256 changes.
pub const ENVELOPES_PER_DAY: u64 = 20_000;
/// Bytes of envelopes that one device brings in a day at most.
pub const BYTES_PER_DAY: u64 = 1024 * 1024 * 1024;
/// Bytes of attachments that one device brings in a day at most.
pub const ATTACHMENT_BYTES_PER_DAY: u64 = 4 * 1024 * 1024 * 1024;
const DAY_MS: i64 = 86_400_000;

/// What was brought today.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: i64,
    brought: BTreeMap<DeviceId, Brought>,
}

#[derive(Debug, Default)]
struct Brought {
    envelopes: u64,
    bytes: u64,
    attachment_bytes: u64,
}

impl Quotas {
    /// Counts an envelope; where the device has brought its share of the day already, how long until it may go on, in milliseconds.
    pub(crate) fn count(&self, device: DeviceId, bytes: usize, now_ms: i64) -> Result<(), u64> {
        self.add(device, now_ms, |brought| {
            let (envelopes, bytes) = (brought.envelopes + 1, brought.bytes + bytes as u64);
            let fits = envelopes <= ENVELOPES_PER_DAY && bytes <= BYTES_PER_DAY;
            fits.then_some(Brought { envelopes, bytes, ..*brought })
        })
    }

    /// The same for bytes of attachments, which have a share of their own: a film is not to keep records out.
    pub(crate) fn count_attachment(&self, device: DeviceId, bytes: usize, now_ms: i64) -> Result<(), u64> {
        self.add(device, now_ms, |brought| {
            let attachment_bytes = brought.attachment_bytes + bytes as u64;
            (attachment_bytes <= ATTACHMENT_BYTES_PER_DAY).then_some(Brought { attachment_bytes, ..*brought })
        })
    }

    fn add(&self, device: DeviceId, now_ms: i64, sum: impl FnOnce(&Brought) -> Option<Brought>) -> Result<(), u64> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now_ms.div_euclid(DAY_MS);
        if today.day != day {
            *today = Today { day, brought: BTreeMap::new() };
        }
        let brought = today.brought.entry(device).or_default();
        *brought = sum(brought).ok_or((DAY_MS - now_ms.rem_euclid(DAY_MS)) as u64)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    #[test]
    fn a_device_over_its_day_is_told_when_the_next_begins_and_others_go_on() {
        let quotas = Quotas::default();
        let (greedy, other) = (DeviceId([1; 16]), DeviceId([2; 16]));
        for _ in 0..ENVELOPES_PER_DAY {
            assert_eq!(quotas.count(greedy, 100, NOON_MS), Ok(()));
        }
        assert_eq!(quotas.count(greedy, 100, NOON_MS + 1_000), Err(43_199_000));
        assert_eq!(quotas.count(other, 100, NOON_MS), Ok(()));
        assert_eq!(quotas.count(greedy, 100, NOON_MS + 43_200_000), Ok(()));
    }

    #[test]
    fn bytes_count_too_and_what_was_refused_does_not() {
        let quotas = Quotas::default();
        let device = DeviceId([1; 16]);
        assert_eq!(quotas.count(device, 1_000_000_000, NOON_MS), Ok(()));
        assert_eq!(quotas.count(device, 100_000_000, NOON_MS), Err(43_200_000));
        assert_eq!(quotas.count(device, 1_000_000, NOON_MS), Ok(()));
    }
}
