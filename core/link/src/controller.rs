//! When to send more and when less: the controller itself, without a transport.
//!
//! The window is what the link holds: the largest delivery rate of the last rounds times the shortest round trip, a little more, and what
//! chance takes away. It is found, then kept by looking up and down in turn:
//!
//! | phase | window | ends |
//! |---|---|---|
//! | start | grows by half each round | when round trips grow, the rate does not, or a quarter of a round is lost |
//! | lower | a little less than the link holds: queues empty, the shortest round trip and the losses by chance are seen | after a round |
//! | hold | what the link holds, and [`HOLD_GAIN`] | after [`HOLD_ROUNDS`] |
//! | raise | a quarter more: is there more to have? | when a round brings no more |

use std::time::{Duration, Instant};

use crate::delivery::{Delivery, Sample};
use crate::extremes::{LargestRate, ShortestRoundTrip};

/// Window before anything is known: a usual session fits.
pub const INITIAL_WINDOW_BYTES: u64 = 32 * 1024;
/// A round trip that no satellite exceeds. A longer one is that of a line on which each packet takes its time, where the first window would
/// bury the queue: it is smaller by the square of what the round trip is longer.
const FAR: Duration = Duration::from_millis(700);
/// Share of what an earlier connection found that a new one begins with, and the most of it: the network may be another one by now.
const KNOWN_SHARE: f64 = 0.5;
const KNOWN_WINDOW_BYTES_MAX: f64 = 256.0 * 1024.0;
/// Packets below which the window never falls: acknowledgements must keep coming.
const WINDOW_PACKETS_MIN: u64 = 4;
/// Packets above what the link holds: one is always being acknowledged, one being made.
const SPARE_PACKETS: f64 = 2.0;
/// Largest window, whatever the peer claims to have received.
const WINDOW_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;
/// Rounds over which the largest rate counts.
const RATE_ROUNDS: u64 = 10;
/// Round trips are remembered for so long or so many rounds, whichever is longer, and at most twice that: several times *lower* is in it.
const ROUND_TRIP_SPAN: Duration = Duration::from_secs(6);
const ROUND_TRIP_ROUNDS: u32 = 10;
/// In *start*, the share by which round trips have grown when a queue is said to build, in so many batches of acknowledgements one after
/// another.
const QUEUE_SHARE: f64 = 1.0 / 8.0;
const QUEUE_BATCHES: u32 = 4;
/// Packets that may leave at once: quinn's pacer lets ten go where the line has been quiet.
const BURST_PACKETS: f64 = 5.0;
const BURST_S_MAX: f64 = 2.0;
/// *Raise* goes on while a round brings so much more.
const RAISE_PAYS: f64 = 1.1;
/// What *start* adds to the window for each byte that arrived: 1 would double it each round, and overfill a queue before one is seen.
const START_GROWTH: f64 = 0.5;
/// Growth of the round trip that is jitter, not a queue.
const JITTER: Duration = Duration::from_millis(8);
/// A rate that has grown by less than this has not grown.
const RATE_GROWTH: f64 = 1.25;
/// Rounds without growth that end *start*.
const ROUNDS_WITHOUT_GROWTH: u32 = 3;
/// Share of a round's packets lost that ends *start*: more than these links lose by chance.
const START_LOSS_SHARE: f64 = 0.25;
const LOWER_GAIN: f64 = 0.9;
const HOLD_GAIN: f64 = 1.05;
const RAISE_GAIN: f64 = 1.25;
/// The gains of *hold* and *raise* where others keep the queue filled though we let it empty.
const HOLD_GAIN_BESIDE: f64 = 1.0;
const RAISE_GAIN_BESIDE: f64 = 1.15;
/// The round trip without others' queues is remembered for so long, and at most twice that: a way may become longer.
const EMPTY_SPAN: Duration = Duration::from_secs(30);
const HOLD_ROUNDS: u32 = 6;
/// What a new measurement of losses counts beside the earlier ones.
const LOSS_WEIGHT: f64 = 0.25;
/// Losses above which more is not sent to make up for them.
const LOSS_SHARE_MAX: f64 = 0.12;
/// What is left of the rate when everything was lost for a while: the network may be another one.
const BLACKOUT_RATE: f64 = 0.5;

/// What the controller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looks for what the link holds.
    Start,
    /// Lets queues empty.
    Lower,
    /// Keeps what the link holds.
    Hold,
    /// Looks whether there is more.
    Raise,
}

/// What is known of a link: from an earlier connection over the same network, or of this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// The shortest round trip.
    pub round_trip: Duration,
    /// What came through, bytes a second.
    pub bytes_per_s: f64,
}

/// The controller. Time comes as an argument.
#[derive(Debug, Clone)]
pub struct Steady {
    packet_bytes: u64,
    phase: Phase,
    rounds_in_phase: u32,
    round: u64,
    delivery: Delivery<Phase>,
    rate: LargestRate,
    round_trip: ShortestRoundTrip,
    empty_round_trip: ShortestRoundTrip,
    batches_with_queue: u32,
    start_window: f64,
    earlier: Option<Known>,
    growth_from: f64,
    rounds_without_growth: u32,
    round_delivered_bytes: u64,
    round_lost_bytes: u64,
    lower_delivered_bytes: u64,
    lower_lost_bytes: u64,
    loss_measurements: u32,
    loss_share: f64,
}

impl Steady {
    /// At the beginning of a path; packets of so many bytes. What an earlier connection over the same network knew is believed in part, once
    /// the first round trip is like its.
    pub fn new(now: Instant, packet_bytes: u16, earlier: Option<Known>) -> Self {
        Self {
            packet_bytes: u64::from(packet_bytes),
            phase: Phase::Start,
            rounds_in_phase: 0,
            round: 0,
            delivery: Delivery::new(now),
            rate: LargestRate::default(),
            round_trip: ShortestRoundTrip::default(),
            empty_round_trip: ShortestRoundTrip::default(),
            batches_with_queue: 0,
            start_window: INITIAL_WINDOW_BYTES as f64,
            earlier,
            growth_from: 0.0,
            rounds_without_growth: 0,
            round_delivered_bytes: 0,
            round_lost_bytes: 0,
            lower_delivered_bytes: 0,
            lower_lost_bytes: 0,
            loss_measurements: 0,
            loss_share: 0.0,
        }
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What is known of the link.
    pub fn known(&self) -> Option<Known> {
        Some(Known { round_trip: self.round_trip.get()?, bytes_per_s: self.rate.get()? })
    }

    /// Share of packets that is lost by chance, with no queue.
    pub fn loss_share(&self) -> f64 {
        self.loss_share
    }

    /// Bytes that may be on their way.
    pub fn window_bytes(&self) -> u64 {
        let packet = self.packet_bytes as f64;
        let gain = match self.phase {
            Phase::Start => return self.start_window.min(WINDOW_BYTES_MAX) as u64,
            Phase::Lower => LOWER_GAIN,
            Phase::Hold if self.beside_others() => HOLD_GAIN_BESIDE,
            Phase::Raise if self.beside_others() => RAISE_GAIN_BESIDE,
            Phase::Hold => HOLD_GAIN,
            Phase::Raise => RAISE_GAIN,
        };
        let Some(known) = self.known() else { return INITIAL_WINDOW_BYTES };
        let holds = known.bytes_per_s * known.round_trip.as_secs_f64() / (1.0 - self.loss_share);
        let window = gain * holds + SPARE_PACKETS * packet;
        window.clamp(WINDOW_PACKETS_MIN as f64 * packet, WINDOW_BYTES_MAX) as u64
    }

    /// Others fill the queue: the shortest round trip lately, when we had let it empty, is longer than it was without them.
    fn beside_others(&self) -> bool {
        let (lately, empty) = (self.round_trip.get(), self.empty_round_trip.get());
        lately.zip(empty).is_some_and(|(lately, empty)| lately > empty.mul_f64(1.0 + QUEUE_SHARE) + JITTER)
    }

    /// Packets were sent.
    pub fn sent(&mut self, now: Instant, bytes: u64) {
        self.delivery.sent(now, bytes, self.phase);
    }

    /// One packet was acknowledged.
    pub fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64, limited: bool) {
        let phase = self.delivery.acknowledged(now, sent, bytes);
        self.round_delivered_bytes += bytes;
        if phase == Some(Phase::Lower) {
            self.lower_delivered_bytes += bytes;
        }
        if self.phase == Phase::Start && !limited {
            self.start_window += START_GROWTH * bytes as f64;
        }
    }

    /// The packets that one acknowledgement names were told.
    pub fn batch_ended(&mut self, now: Instant, in_flight_bytes: u64, limited: bool) {
        let Some(sample) = self.delivery.batch_ended(now, in_flight_bytes, limited) else { return };
        if self.round_trip.get().is_none() {
            self.start_window = self.first_window(sample.round_trip);
        }
        let shortest = self.round_trip.get().unwrap_or(sample.round_trip);
        self.round_trip.insert(now, sample.round_trip, ROUND_TRIP_SPAN.max(shortest * ROUND_TRIP_ROUNDS));
        self.empty_round_trip.insert(now, sample.round_trip, EMPTY_SPAN);
        let queue = sample.round_trip > shortest + self.queue_seen_above(shortest);
        self.batches_with_queue = if queue { self.batches_with_queue + 1 } else { 0 };
        if let Some(rate) = sample.bytes_per_s
            && (!sample.limited || self.rate.get().is_none_or(|largest| rate > largest))
        {
            self.rate.insert(self.round, rate, RATE_ROUNDS);
        }
        if self.phase == Phase::Start && self.batches_with_queue >= QUEUE_BATCHES {
            self.enter(Phase::Lower);
        } else if sample.round_ended {
            self.round_ended(&sample);
        }
    }

    /// Packets were lost; the newest of them had been sent at that time. `blackout` is where nothing came through for long.
    pub fn lost(&mut self, sent: Instant, bytes: u64, blackout: bool) {
        self.round_lost_bytes += bytes;
        if self.delivery.lost(sent, bytes) == Some(Phase::Lower) {
            self.lower_lost_bytes += bytes;
        }
        if blackout {
            self.rate.scale(BLACKOUT_RATE);
            self.start_window = (self.start_window * BLACKOUT_RATE).max((WINDOW_PACKETS_MIN * self.packet_bytes) as f64);
        }
    }

    /// Somebody on the way says that a queue builds.
    pub fn queue_told(&mut self) {
        if matches!(self.phase, Phase::Start | Phase::Raise) {
            self.enter(Phase::Lower);
        }
    }

    /// Packets may now be of so many bytes.
    pub fn packets_are(&mut self, bytes: u16) {
        self.packet_bytes = u64::from(bytes);
    }

    /// Growth of the round trip that is a queue, and neither jitter nor a burst of our own that goes through.
    fn queue_seen_above(&self, shortest: Duration) -> Duration {
        let burst = self.rate.get().map_or(0.0, |rate| BURST_PACKETS * self.packet_bytes as f64 / rate.max(1.0));
        (shortest.mul_f64(QUEUE_SHARE) + JITTER).max(Duration::from_secs_f64(burst.min(BURST_S_MAX)))
    }

    /// The window once the first round trip is seen.
    fn first_window(&self, round_trip: Duration) -> f64 {
        let mut window = self.start_window;
        if round_trip > FAR {
            let closer = FAR.as_secs_f64() / round_trip.as_secs_f64();
            window *= closer * closer;
        }
        if let Some(earlier) = self.earlier
            && (earlier.round_trip / 2..earlier.round_trip * 2).contains(&round_trip)
        {
            let held = earlier.bytes_per_s * earlier.round_trip.min(round_trip).as_secs_f64();
            window = window.max((KNOWN_SHARE * held).min(KNOWN_WINDOW_BYTES_MAX));
        }
        window.max((WINDOW_PACKETS_MIN * self.packet_bytes) as f64)
    }

    fn round_ended(&mut self, sample: &Sample) {
        self.round += 1;
        self.rounds_in_phase += 1;
        let (delivered, lost) = (self.round_delivered_bytes, self.round_lost_bytes);
        (self.round_delivered_bytes, self.round_lost_bytes) = (0, 0);
        match self.phase {
            Phase::Start => {
                if self.found(sample, delivered, lost) {
                    self.enter(Phase::Lower);
                }
            }
            Phase::Lower => {
                self.measure_losses();
                self.enter(Phase::Hold);
            }
            Phase::Hold if self.rounds_in_phase >= HOLD_ROUNDS => self.enter(Phase::Raise),
            Phase::Hold => {}
            Phase::Raise => {
                let rate = self.rate.get().unwrap_or(0.0);
                if self.rounds_in_phase == 1 || rate > self.growth_from * RAISE_PAYS {
                    self.growth_from = rate;
                } else {
                    self.enter(Phase::Lower);
                }
            }
        }
    }

    /// Whether *start* has found what the link holds.
    fn found(&mut self, sample: &Sample, delivered: u64, lost: u64) -> bool {
        let Some(known) = self.known() else { return false };
        if lost as f64 > START_LOSS_SHARE * (delivered + lost) as f64 && lost > WINDOW_PACKETS_MIN * self.packet_bytes {
            return true;
        }
        if sample.limited {
            return false;
        }
        if known.bytes_per_s >= self.growth_from * RATE_GROWTH {
            self.growth_from = known.bytes_per_s;
            self.rounds_without_growth = 0;
        } else {
            self.rounds_without_growth += 1;
        }
        self.rounds_without_growth >= ROUNDS_WITHOUT_GROWTH
    }

    fn measure_losses(&mut self) {
        let (delivered, lost) = (self.lower_delivered_bytes, self.lower_lost_bytes);
        if delivered + lost == 0 {
            return;
        }
        (self.lower_delivered_bytes, self.lower_lost_bytes) = (0, 0);
        let share = lost as f64 / (delivered + lost) as f64;
        self.loss_measurements += 1;
        let weight = LOSS_WEIGHT.max(1.0 / f64::from(self.loss_measurements));
        self.loss_share = (self.loss_share + weight * (share - self.loss_share)).min(LOSS_SHARE_MAX);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.rounds_in_phase = 0;
        self.growth_from = self.rate.get().unwrap_or(0.0);
        self.delivery.begin_round();
    }
}
