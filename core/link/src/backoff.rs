//! When to try again after a sync that failed: later each time, and not all at once when a mast comes back.

use std::time::Duration;

/// The first wait, which doubles each time.
const FIRST: Duration = Duration::from_secs(2);
/// Longest wait: somebody stands on a hill and holds the phone up.
const LONGEST: Duration = Duration::from_mins(5);

/// Waits between tries. Randomness comes as an argument.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure: half of the wait, and a random part of the other half. Where the server said when to come
    /// back, not before that, and up to half of it later.
    pub fn after_failure(&mut self, random: u32, told: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let share = f64::from(random) / f64::from(u32::MAX);
        match told {
            Some(told) => told + (told / 2).mul_f64(share),
            None => doubled / 2 + (doubled / 2).mul_f64(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_never_overflow() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..100).map(|_| backoff.after_failure(u32::MAX, None).as_secs()).collect();
        assert_eq!(waits[..9], [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(waits[99], 300);
    }

    #[test]
    fn chance_moves_a_wait_within_its_second_half() {
        let waits = [0, u32::MAX / 2, u32::MAX].map(|random| Backoff::default().after_failure(random, None).as_millis());
        assert_eq!(waits, [1_000, 1_500, 2_000]);
    }

    #[test]
    fn nobody_comes_back_before_the_server_said() {
        let told = Some(Duration::from_mins(1));
        for random in [0, u32::MAX / 3, u32::MAX] {
            let wait = Backoff::default().after_failure(random, told);
            assert!((60..=90).contains(&wait.as_secs()), "{wait:?}");
        }
    }
}
