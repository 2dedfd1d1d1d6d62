//! Measures figures: `figures NAME…` at the size of their gates, `figures --size N NAME…` at another; `figures --short --out FILE` all of
//! them, in minutes.

use std::process::ExitCode;

use karwan_tests::figures::{Figure, MEASUREMENTS, Scale, forms};
use serde_json::Value;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if forms::answered_alone() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut scale = Scale::Full;
    let (mut out, mut wanted) = (None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => scale = Scale::Short,
            "--size" => scale = Scale::Of(arguments.next().ok_or("--size needs a number")?.parse()?),
            "--out" => out = Some(arguments.next().ok_or("--out needs a file")?),
            name if MEASUREMENTS.iter().any(|(names, _)| names.contains(&name)) => wanted.push(argument),
            _ => {
                let known: Vec<&str> = MEASUREMENTS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
                return Err(format!("no figure {argument}; the figures are {}", known.join(", ")).into());
            }
        }
    }
    let chosen = |names: &[&str]| wanted.is_empty() || wanted.iter().any(|name| names.contains(&name.as_str()));
    let mut figures: Vec<Figure> = Vec::new();
    for (names, measure) in MEASUREMENTS {
        if chosen(names) {
            eprintln!("measuring {}", names.join(", "));
            figures.extend(measure(scale));
        }
    }
    println!();
    for figure in &figures {
        println!("{}", figure.line());
    }
    if let Some(out) = out {
        let all: Vec<Value> = figures.iter().map(Figure::json).collect();
        std::fs::write(out, serde_json::to_string_pretty(&all)?)?;
    }
    let broken = figures.iter().any(|figure| figure.correctness && !figure.gate.holds(figure.value));
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
