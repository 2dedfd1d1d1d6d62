//! How fast a device says what it has begun to say: a session that says a byte now and then is held open, not used.

use std::time::{Duration, Instant};

/// How long [`SLOW_BYTES_MIN`] of a frame may take.
pub const SLOW_WINDOW: Duration = Duration::from_mins(2);
/// Bytes of a frame that come in [`SLOW_WINDOW`] at least: an eighth of what the slowest line in use carries.
pub const SLOW_BYTES_MIN: usize = 16 * 1024;

/// The frame that is coming.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    since: Option<Instant>,
    bytes: usize,
    frames: u64,
}

impl Pace {
    /// Counts bytes that came, with the number of whole frames so far; whether the one begun comes too slowly. Who says nothing is not slow: it
    /// listens, or its silence is measured elsewhere.
    pub(crate) fn is_slow(&mut self, bytes: usize, frames: u64, now: Instant) -> bool {
        if frames != self.frames {
            *self = Self { since: None, bytes: 0, frames };
            return false;
        }
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes;
        if self.bytes >= SLOW_BYTES_MIN {
            *self = Self { since: Some(now), bytes: 0, frames };
            return false;
        }
        now.duration_since(since) > SLOW_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_byte_a_second_is_slow_after_two_minutes() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!((0..=120).all(|second| !pace.is_slow(1, 0, after(second, start))));
        assert!(pace.is_slow(1, 0, after(121, start)));
    }

    #[test]
    fn a_large_frame_on_the_slowest_line_is_not_slow_nor_is_who_listened_for_long() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        // A megabyte at eight kilobits a second.
        assert!((0..1_000).all(|second| !pace.is_slow(1_000, 0, after(second, start))));
        assert!(!pace.is_slow(200, 1, after(1_001, start)));
        assert!(!pace.is_slow(20, 2, after(3_000, start)));
        assert!(!pace.is_slow(20, 3, after(9_000, start)));
    }
}
