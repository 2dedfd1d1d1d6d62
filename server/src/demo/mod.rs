//! `karwan demo`: five phones, two teams, one server, 300 interviews, and what becomes of them.

use std::path::PathBuf;

use crate::problem::Problem;

/// How the demo is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where; a temporary folder where nothing is said.
    pub folder: Option<PathBuf>,
    /// End when everything was shown.
    pub exit: bool,
    /// Also write what is printed, as JSON.
    pub report: Option<PathBuf>,
}

/// Runs the demo to its end, or until Ctrl-C.
pub fn run(options: &Options) -> Result<(), Problem> {
    let _ = options;
    Err(Problem::later("demo"))
}
