//! Tells the bad week of [`karwan_tests::scenario`] and checks each step.

use std::process::ExitCode;

fn main() -> ExitCode {
    let told = karwan_tests::scenario::run();
    println!("\n{} checks, {} broken", told.checks, told.broken.len());
    if told.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
