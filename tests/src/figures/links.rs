//! Figures on bad links: an upload over a satellite that loses one packet in twenty, and what it leaves to a TCP connection.

use std::time::Duration;

use super::{Figure, Gate, Scale};
use crate::links::{Outcome, Way, alone, beside, missing, satellite};

const UPLOAD_BYTES: u64 = 10_000_000;

/// The upload at the size of its gate, since a short one is mostly handshake; the median of three in the full run. The share is of a line
/// that loses nothing by chance, on which the TCP connection alone would use all: the larger of two, as it starts with the other or
/// after it. All run beside each other, each on a link of its own.
pub fn measure(scale: Scale) -> Vec<Figure> {
    if let Some(missing) = missing() {
        println!("links were not measured: {missing}");
        return Vec::new();
    }
    let runs = scale.of(1, 3);
    let line = satellite(0.05);
    let starts = if scale == Scale::Full { &[0, 15][..] } else { &[0][..] };
    let over = Duration::from_secs(scale.of(40, 60).clamp(40, 60));
    let (outcomes, shares): (Vec<Option<Outcome>>, Vec<f64>) = std::thread::scope(|scope| {
        let uploads: Vec<_> = (1..=runs).map(|seed| scope.spawn(move || alone(line, Way::Karwan, UPLOAD_BYTES, seed))).collect();
        let shares: Vec<_> = starts
            .iter()
            .map(|later| {
                let later = Duration::from_secs(*later);
                scope.spawn(move || beside(satellite(0.0), [Way::Karwan, Way::TcpCubic], later, over, 1))
            })
            .collect();
        let uploads = uploads.into_iter().map(|run| run.join().unwrap()).collect();
        (uploads, shares.into_iter().map(|run| run.join().unwrap()).collect())
    });
    let line_s = UPLOAD_BYTES as f64 * 8.0 / line.bits_per_s;
    // One that does not arrive takes for ever.
    let of =
        |measure: fn(&Outcome) -> f64| median(outcomes.iter().map(|one| one.as_ref().map_or(f64::INFINITY, measure)).collect());
    let figure = |name, value, unit, limit| {
        let gate = Gate::AtMost(limit);
        Figure { name, value, unit, gate, correctness: false, scale }
    };
    vec![
        figure("lossy_upload_over_line", of(|outcome| outcome.took.as_secs_f64()) / line_s, "x", 1.25),
        figure("lossy_upload_bytes_ratio", of(|outcome| outcome.bytes_ratio), "x", 1.2),
        figure("lossy_fair_share", shares.into_iter().fold(0.0, f64::max), "of all", 0.5),
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
