//! The largest and the smallest of what was seen lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The largest rate of the last rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct LargestRate {
    /// Rounds upwards, rates downwards.
    seen: VecDeque<(u64, f64)>,
}

impl LargestRate {
    pub(crate) fn insert(&mut self, round: u64, rate: f64, rounds: u64) {
        while self.seen.back().is_some_and(|(_, last)| *last <= rate) {
            self.seen.pop_back();
        }
        self.seen.push_back((round, rate));
        while self.seen.front().is_some_and(|(first, _)| first + rounds <= round) {
            self.seen.pop_front();
        }
    }

    pub(crate) fn get(&self) -> Option<f64> {
        self.seen.front().map(|(_, rate)| *rate)
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.seen.iter_mut().for_each(|(_, rate)| *rate *= factor);
    }
}

/// The shortest round trip of the last one to two spans of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShortestRoundTrip {
    began: Option<Instant>,
    before: Option<Duration>,
    lately: Option<Duration>,
}

impl ShortestRoundTrip {
    pub(crate) fn insert(&mut self, now: Instant, round_trip: Duration, span: Duration) {
        match self.began {
            Some(began) if now.saturating_duration_since(began) < span => {}
            _ => {
                self.began = Some(now);
                self.before = self.lately.take();
            }
        }
        self.lately = Some(self.lately.map_or(round_trip, |lately| lately.min(round_trip)));
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match (self.before, self.lately) {
            (Some(before), Some(lately)) => Some(before.min(lately)),
            (before, lately) => before.or(lately),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test has to begin at some time")]
mod tests {
    use super::*;

    #[test]
    fn the_largest_rate_is_forgotten_after_its_rounds() {
        let mut rate = LargestRate::default();
        for (round, seen, largest) in [(0, 5.0, 5.0), (1, 3.0, 5.0), (2, 4.0, 5.0), (3, 1.0, 4.0), (4, 1.0, 4.0), (5, 1.0, 1.0)] {
            rate.insert(round, seen, 3);
            assert_eq!(rate.get(), Some(largest), "round {round}");
        }
    }

    #[test]
    fn the_shortest_round_trip_is_kept_for_one_to_two_spans() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let span = Duration::from_secs(5);
        let mut shortest = ShortestRoundTrip::default();
        for (second, seen_ms, shortest_ms) in
            [(0, 600, 600), (3, 900, 600), (6, 900, 600), (10, 800, 600), (11, 950, 800), (17, 950, 950)]
        {
            shortest.insert(at(second), Duration::from_millis(seen_ms), span);
            assert_eq!(shortest.get(), Some(Duration::from_millis(shortest_ms)), "second {second}");
        }
    }
}
