//! The command line: arguments into requests and client calls, answers into text or JSON, problems into exit statuses.

use std::process::ExitCode;

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    ExitCode::from(crate::problem::Problem::USAGE)
}
