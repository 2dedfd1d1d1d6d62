//! How fast packets come out at the other end: each acknowledged packet says how much had been delivered when it left, so the difference
//! over the time between is a rate (`draft-ietf-ccwg-bbr`, section 4.1). A loss by chance hardly changes it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Transmissions remembered. The oldest is forgotten: it was acknowledged, lost, or never asked for an acknowledgement.
const TRANSMISSIONS_MAX: usize = 8_192;
/// Shorter than any real round trip; a rate over less would be noise.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What was known when packets left.
#[derive(Debug, Clone, Copy)]
struct Transmission<T> {
    sent: Instant,
    delivered_bytes: u64,
    delivered_at: Instant,
    first_sent: Instant,
    limited: bool,
    tag: T,
}

/// What a batch of acknowledgements says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From the newest packet's departure until now: what the peer waited before it acknowledged is in it.
    pub(crate) round_trip: Duration,
    /// `None` where it is over too short a time.
    pub(crate) bytes_per_s: Option<f64>,
    /// The application had nothing to send, so the link may be able to carry more.
    pub(crate) limited: bool,
    /// The newest packet left after the last round had ended.
    pub(crate) round_ended: bool,
}

/// Counts what is delivered. `T` is what the controller was doing when a packet left.
#[derive(Debug, Clone)]
pub(crate) struct Delivery<T> {
    transmissions: VecDeque<Transmission<T>>,
    delivered_bytes: u64,
    delivered_at: Instant,
    first_sent: Instant,
    in_flight_bytes: u64,
    /// Packets that leave before so much is delivered say nothing about what the link can carry.
    limited_until_bytes: u64,
    round_ends_at_bytes: u64,
    newest: Option<Transmission<T>>,
}

impl<T: Copy> Delivery<T> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            transmissions: VecDeque::new(),
            delivered_bytes: 0,
            delivered_at: now,
            first_sent: now,
            in_flight_bytes: 0,
            limited_until_bytes: 0,
            round_ends_at_bytes: 0,
            newest: None,
        }
    }

    pub(crate) fn sent(&mut self, now: Instant, bytes: u64, tag: T) {
        if self.in_flight_bytes == 0 {
            // After a silence the clock of deliveries starts again.
            self.first_sent = now;
            self.delivered_at = now;
        }
        self.in_flight_bytes += bytes;
        if self.transmissions.back().is_some_and(|last| last.sent >= now) {
            return;
        }
        if self.transmissions.len() >= TRANSMISSIONS_MAX {
            self.transmissions.pop_front();
        }
        self.transmissions.push_back(Transmission {
            sent: now,
            delivered_bytes: self.delivered_bytes,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            limited: self.delivered_bytes < self.limited_until_bytes,
            tag,
        });
    }

    /// Of one packet; says what the controller did when it left.
    pub(crate) fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64) -> Option<T> {
        self.delivered_bytes += bytes;
        self.delivered_at = now;
        let transmission = self.transmission(sent)?;
        if self.newest.is_none_or(|newest| newest.sent < transmission.sent) {
            self.newest = Some(transmission);
        }
        Some(transmission.tag)
    }

    /// Says what the controller did when the newest of the lost packets left.
    pub(crate) fn lost(&mut self, sent: Instant, bytes: u64) -> Option<T> {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        Some(self.transmission(sent)?.tag)
    }

    /// After the last acknowledgement of a batch.
    pub(crate) fn batch_ended(&mut self, now: Instant, in_flight_bytes: u64, limited: bool) -> Option<Sample> {
        self.in_flight_bytes = in_flight_bytes;
        if limited {
            self.limited_until_bytes = self.delivered_bytes + in_flight_bytes;
        }
        let newest = self.newest.take()?;
        self.first_sent = newest.sent;
        let round_ended = newest.delivered_bytes >= self.round_ends_at_bytes;
        if round_ended {
            self.round_ends_at_bytes = self.delivered_bytes;
        }
        // The slower of sending and acknowledging: acknowledgements that come in a heap do not make the link faster.
        let sending = newest.sent.saturating_duration_since(newest.first_sent);
        let acknowledging = now.saturating_duration_since(newest.delivered_at);
        let interval = sending.max(acknowledging);
        let bytes = self.delivered_bytes.saturating_sub(newest.delivered_bytes);
        Some(Sample {
            round_trip: now.saturating_duration_since(newest.sent),
            bytes_per_s: (interval >= INTERVAL_MIN).then(|| bytes as f64 / interval.as_secs_f64()),
            limited: newest.limited,
            round_ended,
        })
    }

    /// The round ends when a packet arrives that leaves from now on.
    pub(crate) fn begin_round(&mut self) {
        self.round_ends_at_bytes = self.delivered_bytes;
    }

    fn transmission(&self, sent: Instant) -> Option<Transmission<T>> {
        let at = self.transmissions.partition_point(|transmission| transmission.sent < sent);
        self.transmissions.get(at).copied().filter(|transmission| transmission.sent == sent)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test has to begin at some time")]
mod tests {
    use super::*;

    fn at(began: Instant, ms: u64) -> Instant {
        began + Duration::from_millis(ms)
    }

    #[test]
    fn a_rate_is_what_arrived_over_the_time_it_took() {
        let began = Instant::now();
        let mut delivery = Delivery::new(began);
        for packet in 0..10 {
            delivery.sent(at(began, packet * 10), 1_000, ());
        }
        let mut last = None;
        for packet in 0..10 {
            let now = at(began, 100 + packet * 10);
            delivery.acknowledged(now, at(began, packet * 10), 1_000);
            last = delivery.batch_ended(now, (9 - packet) * 1_000, false);
        }
        let last = last.unwrap();
        assert_eq!(last.round_trip, Duration::from_millis(100));
        // 10,000 bytes since the first left, 190 ms ago.
        assert!((last.bytes_per_s.unwrap() - 10_000.0 / 0.19).abs() < 1.0, "{last:?}");
    }

    #[test]
    fn acknowledgements_in_a_heap_do_not_make_the_link_faster() {
        let began = Instant::now();
        let mut delivery = Delivery::new(began);
        for packet in 0..20 {
            delivery.sent(at(began, packet * 10), 1_000, ());
        }
        let mut largest = 0.0f64;
        for packet in 0..20 {
            // All in the same five milliseconds.
            let now = at(began, 400) + Duration::from_micros(packet * 250);
            delivery.acknowledged(now, at(began, packet * 10), 1_000);
            let sample = delivery.batch_ended(now, (19 - packet) * 1_000, false);
            largest = largest.max(sample.and_then(|sample| sample.bytes_per_s).unwrap_or(0.0));
        }
        assert!(largest <= 100_000.0, "sent with 100,000 bytes a second, seen {largest}");
    }

    #[test]
    fn an_application_with_nothing_to_say_is_marked_in_the_sample() {
        let began = Instant::now();
        let mut delivery = Delivery::new(began);
        delivery.sent(began, 1_000, ());
        delivery.acknowledged(at(began, 50), began, 1_000);
        let first = delivery.batch_ended(at(began, 50), 0, true);
        delivery.sent(at(began, 60), 1_000, ());
        delivery.acknowledged(at(began, 110), at(began, 60), 1_000);
        let second = delivery.batch_ended(at(began, 110), 0, false);
        assert_eq!(
            [first, second].map(|sample| sample.unwrap().limited),
            [false, false],
            "nothing was on its way: the mark ended"
        );
        delivery.sent(at(began, 120), 1_000, ());
        delivery.sent(at(began, 125), 1_000, ());
        delivery.acknowledged(at(began, 170), at(began, 120), 1_000);
        delivery.batch_ended(at(began, 170), 1_000, true);
        delivery.sent(at(began, 171), 1_000, ());
        delivery.acknowledged(at(began, 221), at(began, 171), 1_000);
        assert!(delivery.batch_ended(at(began, 221), 1_000, false).unwrap().limited);
    }

    #[test]
    fn what_was_never_asked_to_be_acknowledged_is_forgotten() {
        let began = Instant::now();
        let mut delivery = Delivery::new(began);
        for packet in 0..3 * TRANSMISSIONS_MAX as u64 {
            delivery.sent(at(began, packet), 30, ());
        }
        assert_eq!(delivery.transmissions.len(), TRANSMISSIONS_MAX);
        assert_eq!(delivery.acknowledged(at(began, 100_000), began, 30), None, "and an answer to it does no harm");
    }
}
