//! Long runs that add up: a file with a line for each part that has run.
//!
//! A line is written whole when its part has ended, so that a run may go on in several processes and on several days, and one that is
//! stopped loses only the part it was at.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a file of parts cannot be used.
#[derive(Debug)]
pub enum SumError {
    File(std::io::Error),
    /// A line, counted from 1, that is no part.
    Line(usize, serde_json::Error),
    /// A seed, or a part's number, that would be counted twice.
    Twice(u64),
}

impl fmt::Display for SumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "the file of the sum: {error}"),
            Self::Line(line, error) => write!(f, "line {line} of the sum: expected a part that has run, and {error}"),
            Self::Twice(number) => write!(f, "{number} is counted twice in the sum"),
        }
    }
}

impl std::error::Error for SumError {}

impl From<std::io::Error> for SumError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// Where the runs of one name add up.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(name).with_extension("sum")
}

/// The lines of a file; none where it is not there.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, SumError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let lines = BufReader::new(file).lines().enumerate();
    lines.map(|(number, line)| serde_json::from_str(&line?).map_err(|error| SumError::Line(number + 1, error))).collect()
}

/// Adds a line to a file, in one write.
pub fn append<T: Serialize>(path: &Path, part: &T) -> Result<(), SumError> {
    let mut line = serde_json::to_string(part).map_err(|error| SumError::Line(0, error))?;
    line.push('\n');
    Ok(File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())?)
}

/// The state of the program that this is.
pub fn commit() -> String {
    let asked = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    asked.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// A part that has run: the same number always means the same work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part<T> {
    commit: String,
    number: u64,
    tally: T,
}

/// Runs those parts below `many` that the file does not tell of, as many at once as there are cores, and gives what all of them came to.
pub fn run_parts<T>(path: &Path, many: u64, run: impl Fn(u64) -> T + Sync) -> Result<Vec<T>, SumError>
where
    T: Serialize + DeserializeOwned + fmt::Debug + Send,
{
    let before: Vec<Part<T>> = read(path)?;
    let mut numbers = BTreeSet::new();
    if let Some(twice) = before.iter().find(|part| !numbers.insert(part.number)) {
        return Err(SumError::Twice(twice.number));
    }
    if !before.is_empty() {
        let commits: BTreeSet<&str> = before.iter().map(|part| part.commit.as_str()).collect();
        eprintln!("{} of {many} parts ran before, at {commits:?}: {}", before.len(), path.display());
    }
    let missing: Vec<u64> = (0..many).filter(|number| !numbers.contains(number)).collect();
    let (commit, next) = (commit(), AtomicU64::new(0));
    let tallies = Mutex::new(Ok(before.into_iter().map(|part| part.tally).collect::<Vec<T>>()));
    let work = || {
        while let Some(number) = missing.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied() {
            let part = Part { commit: commit.clone(), number, tally: run(number) };
            let Ok(mut tallies) = tallies.lock() else { return };
            let Ok(ran) = tallies.as_mut() else { return };
            eprintln!("part {number}, {} of {many}: {:?}", ran.len() + 1, part.tally);
            match append(path, &part) {
                Ok(()) => ran.push(part.tally),
                Err(error) => *tallies = Err(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    tallies.into_inner().unwrap_or_else(|_| Ok(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_stopped_runs_what_is_missing_and_no_part_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sum");
        let sum = |many| run_parts(&path, many, |number| number + 1).map(|parts| parts.iter().sum::<u64>());
        assert_eq!(sum(3).expect("three parts"), 6);
        let ran = Mutex::new(Vec::new());
        let all = run_parts(&path, 5, |number| {
            ran.lock().expect("not poisoned").push(number);
            number + 1
        });
        assert_eq!(all.expect("five parts").iter().sum::<u64>(), 15);
        let mut ran = ran.into_inner().expect("not poisoned");
        ran.sort_unstable();
        assert_eq!(ran, [3, 4]);
        append(&path, &Part { commit: String::new(), number: 4, tally: 5 }).expect("a line");
        assert!(matches!(sum(5), Err(SumError::Twice(4))));
    }
}
