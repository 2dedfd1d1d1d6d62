//! What simulated worlds came to, counted, and spans of seeds that add up.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::schedule::Pace;
use crate::sum::SumError;

/// What happened in worlds, and what did not hold there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub worlds: u64,
    /// Days that devices lived; a copy of a device does not count as another.
    pub device_days: u64,
    /// Interviews that were finished: made, changed, or given another member.
    pub edits: u64,
    /// Sessions with the server, those included that a fault ended.
    pub syncs: u64,
    /// Meetings of two phones, those included that a fault ended.
    #[serde(default)]
    pub meetings: u64,
    /// Faults that struck, by kind; those that were ordered and found no occasion are not here.
    pub faults: BTreeMap<String, u64>,
    /// Decisions of a server, by kind.
    #[serde(default)]
    pub decisions: BTreeMap<String, u64>,
    pub lost: u64,
    pub diverged: u64,
    /// Seeds of worlds in which something did not hold.
    pub failed: Vec<u64>,
}

impl Tally {
    /// One more fault of a kind.
    pub fn fault(&mut self, kind: &str) {
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }

    /// One more decision of a kind.
    pub fn decision(&mut self, kind: &str) {
        *self.decisions.entry(kind.to_owned()).or_default() += 1;
    }

    /// Takes in another.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.device_days += other.device_days;
        self.edits += other.edits;
        self.syncs += other.syncs;
        self.meetings += other.meetings;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        for (kind, count) in &other.decisions {
            *self.decisions.entry(kind.clone()).or_default() += count;
        }
        self.lost += other.lost;
        self.diverged += other.diverged;
        self.failed.extend(&other.failed);
    }

    /// Notes what did not hold in a world.
    pub fn judge(&mut self, seed: u64, broken: &[String]) {
        let lost = broken.iter().filter(|broken| broken.starts_with("lost")).count() as u64;
        self.lost += lost;
        self.diverged += broken.len() as u64 - lost;
        if !broken.is_empty() {
            self.failed.push(seed);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        let told = |kinds: &BTreeMap<String, u64>| {
            kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
        };
        let Self { worlds, device_days, edits, syncs, meetings, lost, diverged, .. } = self;
        write!(f, "{device_days} device-days in {worlds} worlds, {edits} edits, {syncs} syncs, {meetings} meetings, ")?;
        write!(f, "{faults} faults ({}), {}, ", told(&self.faults), told(&self.decisions))?;
        write!(f, "{diverged} diverged, {lost} lost")?;
        if self.failed.is_empty() { Ok(()) } else { write!(f, ", failed seeds {:?}", self.failed) }
    }
}

/// Worlds of consecutive seeds that have run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The state of the program, where it is known.
    pub commit: String,
    pub pace: Pace,
    /// Days of each world.
    pub days: u64,
    pub first_seed: u64,
    /// The seed after the last.
    pub end_seed: u64,
    pub tally: Tally,
}

impl Span {
    fn meets(&self, other: &Self) -> bool {
        let same = self.pace == other.pace && self.days == other.days;
        same && self.first_seed < other.end_seed && other.first_seed < self.end_seed
    }
}

/// All spans together; refused where a world is in two of them.
pub fn total(spans: &[Span]) -> Result<Tally, SumError> {
    let mut total = Tally::default();
    for (number, span) in spans.iter().enumerate() {
        if let Some(twice) = spans[..number].iter().find(|earlier| earlier.meets(span)) {
            return Err(SumError::Twice(twice.first_seed.max(span.first_seed)));
        }
        total.add(&span.tally);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sum::{append, read};

    fn span(first_seed: u64, end_seed: u64) -> Span {
        let tally = Tally { device_days: end_seed - first_seed, faults: [("lost".to_owned(), 2)].into(), ..Tally::default() };
        Span { commit: "a".to_owned(), pace: Pace::Usual, days: 7, first_seed, end_seed, tally }
    }

    #[test]
    fn runs_add_up_and_no_world_counts_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sum");
        assert_eq!(read::<Span>(&path).expect("nothing yet"), []);
        let spans = [span(1, 5), span(5, 9)];
        for span in &spans {
            append(&path, span).expect("a line");
        }
        let found: Vec<Span> = read(&path).expect("the lines");
        assert_eq!(found, spans);
        let sum = total(&found).expect("a sum");
        assert_eq!((sum.device_days, sum.faults["lost"]), (8, 4));
        append(&path, &span(8, 10)).expect("a line");
        assert!(matches!(total(&read(&path).expect("the lines")), Err(SumError::Twice(8))));
    }
}
