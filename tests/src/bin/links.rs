//! The table of uploads over bad links: Karwan beside quinn's own controllers and TCP with TLS, in one run, in real time.
//! `links [--runs N] [--quick]`: medians of N runs (1); `--quick` leaves out what takes ten minutes.

use std::time::Duration;

use karwan_tests::links::emulator::Line;
use karwan_tests::links::{Outcome, Way, alone, beside, missing, satellite, second_generation};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(missing) = missing() {
        println!("skipped: {missing}");
        return Ok(());
    }
    let (mut runs, mut quick) = (1, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => runs = arguments.next().ok_or("--runs needs a number")?.parse()?,
            "--quick" => quick = true,
            _ => return Err(format!("no option {argument}").into()),
        }
    }
    table("10 MB up, 600 ms, 5 % lost, 2 Mbit/s (the line needs 40 s)", satellite(0.05), 10_000_000, runs, quick);
    table("1 MB up, the same line (4 s)", satellite(0.05), 1_000_000, runs, false);
    table("100 KB up, 1,500 ms, 10 % lost, 100 kbit/s (8 s)", second_generation(), 100_000, runs.max(9), false);
    println!("\n| beside a TCP connection, 600 ms, 2 Mbit/s, a minute | share |\n|---|---|");
    let starts = [(0, "at once"), (15, "15 s later")];
    let cases = Way::ALL.iter().flat_map(|way| starts.map(|(later, when)| (*way, later, when)));
    std::thread::scope(|scope| {
        let share =
            |way, later| beside(satellite(0.0), [way, Way::TcpCubic], Duration::from_secs(later), Duration::from_mins(1), 1);
        let running: Vec<_> = cases.map(|(way, later, when)| (way, when, scope.spawn(move || share(way, later)))).collect();
        for (way, when, run) in running {
            println!("| {}, {when} | {:.2} |", way.name(), run.join().unwrap_or(f64::NAN));
        }
    });
    Ok(())
}

/// Runs of one way one after the other, ways beside each other: each has a link of its own.
fn table(title: &str, line: Line, bytes: u64, runs: u64, quick: bool) {
    println!("\n| {title} | s | bytes a byte |\n|---|---|---|");
    let slow = [Way::QuicNewReno, Way::QuicCubic, Way::TcpCubic];
    let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| !(quick && slow.contains(way))).collect();
    let measured: Vec<(Way, Vec<Option<Outcome>>)> = std::thread::scope(|scope| {
        let started: Vec<_> = ways
            .iter()
            .map(|way| (*way, scope.spawn(move || (1..=runs).map(|seed| alone(line, *way, bytes, seed)).collect::<Vec<_>>())))
            .collect();
        started.into_iter().map(|(way, run)| (way, run.join().unwrap_or_default())).collect()
    });
    for (way, outcomes) in measured {
        let arrived: Vec<Outcome> = outcomes.iter().flatten().copied().collect();
        let lost = match outcomes.len() - arrived.len() {
            0 => String::new(),
            lost => format!(" ({lost} of {} did not arrive)", outcomes.len()),
        };
        let took = median(arrived.iter().map(|outcome| outcome.took.as_secs_f64()).collect());
        let ratio = median(arrived.iter().map(|outcome| outcome.bytes_ratio).collect());
        println!("| {}{lost} | {took:.1} | {ratio:.2} |", way.name());
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
