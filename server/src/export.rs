//! A form's records as CSV files: one for the form and one for each repeat, for spreadsheets and statistics.

use std::path::Path;

use serde_json::Value;

use crate::host::Host;
use crate::problem::Problem;

/// Writes the files; the answer names them and how many rows each has.
pub fn run(host: &Host, form: &str, folder: &Path) -> Result<Value, Problem> {
    let _ = (host, form, folder);
    Err(Problem::later("export"))
}
