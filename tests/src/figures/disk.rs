//! Disk faults and power cuts under a phone and its server.

use std::time::Instant;

use super::{Figure, Gate, Scale};
use crate::faults::points::Field;

const POINTS_FULL: u64 = 10_000;
const POINTS_SHORT: u64 = 150;
/// Points between two lines of progress.
const TOLD_EVERY: u64 = 500;

/// All operations and faults, or an even share of them.
pub fn measure(scale: Scale) -> Vec<Figure> {
    let began = Instant::now();
    let toll = Field::prepare().sweep(scale.of(POINTS_SHORT, POINTS_FULL), |toll| {
        if toll.points.is_multiple_of(TOLD_EVERY) {
            eprintln!("{} points, {} broken, {:.0} s", toll.points, toll.broken.len(), began.elapsed().as_secs_f64());
        }
    });
    eprintln!(
        "{} points: {} ended a process, {} databases salvaged, {} broken",
        toll.points,
        toll.died,
        toll.salvaged,
        toll.broken.len()
    );
    toll.broken.iter().for_each(|broken| eprintln!("  {broken}"));
    let figure = |name, value: u64, gate, correctness| Figure { name, value: value as f64, unit: "", gate, correctness, scale };
    vec![
        figure("disk_fault_points", toll.points, Gate::AtLeast(POINTS_FULL as f64), false),
        figure("disk_fault_lost", toll.broken.len() as u64, Gate::Exactly(0.0), true),
    ]
}
