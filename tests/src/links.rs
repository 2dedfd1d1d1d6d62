//! Uploads over links that are slow, far and lose packets, in real time: QUIC with one controller or another and TCP with TLS, over the same
//! emulated link, which drops packets and knows nothing of connections. [`emulator`] is the link, [`upload`] what goes over it.

pub mod emulator;
pub mod upload;

use std::time::Duration;

use emulator::{Emulator, Line};
pub use upload::{Outcome, Way};

/// A satellite terminal: 600 ms there and back, 2 Mbit/s.
pub fn satellite(loss: f64) -> Line {
    Line { one_way: Duration::from_millis(300), loss, bits_per_s: 2e6, queue: Duration::from_millis(500) }
}

/// A far mast of the second generation: 1,500 ms there and back, 100 kbit/s.
pub fn second_generation() -> Line {
    Line { one_way: Duration::from_millis(750), loss: 0.1, bits_per_s: 1e5, queue: Duration::from_millis(500) }
}

/// Why nothing can be measured here.
pub fn missing() -> Option<String> {
    Emulator::begin(satellite(0.0), 1)
        .err()
        .map(|error| format!("no emulated link here (Linux as root with /dev/net/tun): {error}"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// One upload; the seed is the link's.
pub fn alone(line: Line, way: Way, bytes: u64, seed: u64) -> Option<Outcome> {
    runtime().block_on(async {
        let emulator = Emulator::begin(line, seed).unwrap();
        upload::upload(&emulator, way, bytes, LIMIT).await
    })
}

/// Two uploads at once: the first one's share of what arrived while both were under way, the first 5 s aside, of at most so long. The
/// first begins after `later`.
pub fn beside(line: Line, ways: [Way; 2], later: Duration, measured: Duration, seed: u64) -> f64 {
    runtime().block_on(async {
        let emulator = Emulator::begin(line, seed).unwrap();
        let began = tokio::time::Instant::now();
        let far = began + later + SETTLING + measured;
        let counts = [upload::Count::default(), upload::Count::default()];
        let run = |way, count: upload::Count, starts| {
            let emulator = &emulator;
            async move {
                tokio::time::sleep_until(starts).await;
                drop(tokio::time::timeout_at(far, upload::endless(emulator, way, count)).await);
            }
        };
        let watch = async {
            tokio::time::sleep_until(began + later + SETTLING).await;
            counts.each_ref().map(upload::Count::bytes)
        };
        let ((), (), before) =
            tokio::join!(run(ways[0], counts[0].clone(), began + later), run(ways[1], counts[1].clone(), began), watch);
        let got = [0, 1].map(|flow: usize| (counts[flow].bytes() - before[flow]) as f64);
        got[0] / (got[0] + got[1])
    })
}

/// Longer than any of these uploads takes that comes to an end.
const LIMIT: Duration = Duration::from_mins(15);
/// Until two uploads have met.
const SETTLING: Duration = Duration::from_secs(5);
