//! What a benchmark has seen, and the table that says it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Options;
use super::device::{End, Session};
use super::home::{Home, core_s};

/// For how long an entry of a log may be in no table: a supervisor does not wait longer.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// Processor time that was taken so far, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Core {
    server_s: Option<f64>,
    devices_s: Option<f64>,
}

impl Core {
    /// By the server, where it is ours, and by the devices, which are this process.
    pub(super) fn of(home: &Home) -> Self {
        Self { server_s: home.core_s(), devices_s: core_s("self") }
    }
}

/// Everything that was seen so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    began: Option<Instant>,
    /// What was taken when it began.
    core: Core,
    last_judged: Option<Instant>,
    durable: u64,
    judged: u64,
    not_accepted: u64,
    sessions_ms: Vec<f64>,
    refused_with_time: u64,
    refused_without_time: u64,
    broken: u64,
    bytes_up: u64,
    bytes_down: u64,
    records_down: u64,
    behind_ms: Option<f64>,
    peak_mib: Option<f64>,
    /// When the tables had everything.
    caught_up: Option<Instant>,
    /// Records judged by second, from the beginning.
    by_second: BTreeMap<u64, u64>,
}

/// What is printed, and written where a report was asked for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Devices that took part.
    pub(super) devices: usize,
    /// Records that they had.
    pub(super) records: u64,
    /// Devices of one caseload.
    pub(super) team: usize,
    /// It was ended before it was over.
    pub(super) interrupted: bool,
    /// Records whose envelope the server confirmed.
    pub(super) durable: u64,
    /// Of these, those whose verdict came and is accepted.
    pub(super) judged: u64,
    /// Records that do not count.
    pub(super) not_accepted: u64,
    /// From the first session's beginning to the last verdict.
    pub(super) seconds: f64,
    /// Durable and judged records in a second.
    pub(super) records_per_s: f64,
    /// The same at a pace with which the tables keep up: where they fell behind by more than [`BEHIND_MAX`], what they had taken in is counted,
    /// that much later. Unknown of a server that is not ours, and where the benchmark ended before the tables had everything.
    pub(super) kept_up_per_s: Option<f64>,
    /// The most that were judged within one second of the clock.
    pub(super) best_second: u64,
    /// Sessions that were finished.
    pub(super) sessions: usize,
    /// How long a session took, connection included, in milliseconds.
    pub(super) session_ms_p50: f64,
    /// Of a hundred sessions five took longer.
    pub(super) session_ms_p95: f64,
    /// Of a hundred sessions one took longer.
    pub(super) session_ms_p99: f64,
    /// The longest.
    pub(super) session_ms_max: f64,
    /// Sessions that the server turned away with a time to come back.
    pub(super) refused_with_time: u64,
    /// Sessions that it turned away without one.
    pub(super) refused_without_time: u64,
    /// Connections that did not come about, or broke.
    pub(super) broken: u64,
    /// Bytes of sessions to the server.
    pub(super) bytes_up: u64,
    /// Bytes of sessions from it.
    pub(super) bytes_down: u64,
    /// Records of others that came down.
    pub(super) records_down: u64,
    /// The longest for which an entry was not in the tables yet; unknown of a server that is not ours.
    pub(super) behind_s: Option<f64>,
    /// Most memory of the server's process; unknown of a server that is not ours.
    pub(super) server_mib: Option<f64>,
    /// Processor time of the server's process meanwhile, until the tables had everything, in seconds; unknown of a server that is not ours.
    pub(super) server_core_s: Option<f64>,
    /// The same of the devices.
    pub(super) devices_core_s: Option<f64>,
}

impl Tally {
    /// The clock runs.
    pub(super) fn begin(&mut self, core: Core) {
        self.began = Some(Instant::now());
        self.core = core;
    }

    /// Counts a session.
    pub(super) fn session(&mut self, end: End, took: Duration, told: &Session) {
        match end {
            End::Done => self.sessions_ms.push(took.as_secs_f64() * 1000.0),
            End::Refused(Some(_)) => self.refused_with_time += 1,
            End::Refused(None) => self.refused_without_time += 1,
            End::Broken => self.broken += 1,
        }
        self.bytes_up += told.bytes_up;
        self.bytes_down += told.bytes_down;
        self.records_down += told.records_down;
        self.not_accepted += told.not_accepted;
        self.durable += told.durable.iter().map(|(_, records)| records).sum::<u64>();
        for (when, records) in &told.judged {
            self.judged += records;
            self.last_judged = self.last_judged.max(Some(*when));
            if let Some(began) = self.began {
                *self.by_second.entry(when.saturating_duration_since(began).as_secs()).or_default() += records;
            }
        }
    }

    /// Notes what the server is like now.
    pub(super) fn server(&mut self, behind_ms: Option<f64>, peak_mib: Option<f64>) {
        let larger = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        self.behind_ms = larger(self.behind_ms, behind_ms);
        self.peak_mib = larger(self.peak_mib, peak_mib);
    }

    /// The tables have everything.
    pub(super) fn caught_up(&mut self) {
        self.caught_up = Some(Instant::now());
    }

    /// Sessions and records so far, for whoever watches.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (self.sessions_ms.len() as u64, self.judged)
    }

    /// All of it.
    pub(super) fn report(&self, options: &Options, core: Core, interrupted: bool) -> Report {
        let seconds = match (self.began, self.last_judged) {
            (Some(began), Some(last)) => last.saturating_duration_since(began).as_secs_f64(),
            _ => 0.0,
        };
        let records_per_s = if seconds > 0.0 { self.judged as f64 / seconds } else { 0.0 };
        let kept_up_per_s = self.behind_ms.and_then(|behind_ms| {
            // Where the tables never had everything nobody knows what they keep up with.
            let caught_up = self.caught_up?;
            if behind_ms <= BEHIND_MAX.as_secs_f64() * 1000.0 {
                return Some(records_per_s);
            }
            let tables = caught_up.saturating_duration_since(self.began?).saturating_sub(BEHIND_MAX);
            Some(self.judged as f64 / tables.as_secs_f64().max(seconds))
        });
        let mut sessions_ms = self.sessions_ms.clone();
        sessions_ms.sort_by(f64::total_cmp);
        let taken = |now: Option<f64>, before: Option<f64>| Some(now? - before?).filter(|_| self.began.is_some());
        Report {
            devices: options.devices,
            records: options.records,
            team: options.team,
            interrupted,
            durable: self.durable,
            judged: self.judged,
            not_accepted: self.not_accepted,
            seconds,
            records_per_s,
            kept_up_per_s,
            best_second: self.by_second.values().copied().max().unwrap_or(0),
            sessions: sessions_ms.len(),
            session_ms_p50: percentile(&sessions_ms, 0.50),
            session_ms_p95: percentile(&sessions_ms, 0.95),
            session_ms_p99: percentile(&sessions_ms, 0.99),
            session_ms_max: sessions_ms.last().copied().unwrap_or(0.0),
            refused_with_time: self.refused_with_time,
            refused_without_time: self.refused_without_time,
            broken: self.broken,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
            records_down: self.records_down,
            behind_s: self.behind_ms.map(|behind_ms| behind_ms / 1000.0),
            server_mib: self.peak_mib,
            server_core_s: taken(core.server_s, self.core.server_s),
            devices_core_s: taken(core.devices_s, self.core.devices_s),
        }
    }
}

/// The smallest of sorted values that at least this share of them does not exceed; 0 of none.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

impl Report {
    /// The table.
    pub(super) fn text(&self) -> String {
        let unknown = || "unknown: not our process".to_owned();
        let not_kept_up = || match self.behind_s {
            Some(_) => "unknown: it ended before they had everything".to_owned(),
            None => unknown(),
        };
        let core = |seconds: Option<f64>| {
            let per_record =
                |seconds: f64| format!("{seconds:.1} s, {:.2} ms a record", seconds * 1000.0 / self.judged.max(1) as f64);
            seconds.map_or_else(unknown, per_record)
        };
        let each = |bytes: u64, records: u64| {
            if records > 0 { format!("{:.0} B", bytes as f64 / records as f64) } else { "-".to_owned() }
        };
        let rows = [
            ("devices", format!("{} in caseloads of {}", self.devices, self.team)),
            ("records", format!("{}, of which durable {}, judged {}", self.records, self.durable, self.judged)),
            ("not accepted", self.not_accepted.to_string()),
            ("time", format!("{:.2} s", self.seconds)),
            ("durable and judged", format!("{:.0} records/s (best second {})", self.records_per_s, self.best_second)),
            (
                "a session",
                format!(
                    "p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
                    self.session_ms_p50, self.session_ms_p95, self.session_ms_p99, self.session_ms_max
                ),
            ),
            (
                "sessions",
                format!(
                    "{} done, {} told when to come back, {} refused without a time, {} broken",
                    self.sessions, self.refused_with_time, self.refused_without_time, self.broken
                ),
            ),
            ("bytes up", format!("{}, {} a record", self.bytes_up, each(self.bytes_up, self.durable))),
            ("bytes down", format!("{}, with {} records of others", self.bytes_down, self.records_down)),
            ("tables behind", self.behind_s.map_or_else(unknown, |seconds| format!("at most {seconds:.1} s"))),
            ("tables keep up with", self.kept_up_per_s.map_or_else(not_kept_up, |records| format!("{records:.0} records/s"))),
            ("server's memory", self.server_mib.map_or_else(unknown, |mib| format!("at most {mib:.0} MiB"))),
            ("server's processor", core(self.server_core_s)),
            ("devices' processor", core(self.devices_core_s)),
        ];
        let ended = if self.interrupted { "Ended before it was over; so far:\n" } else { "" };
        let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<20} {value}")).collect();
        format!("{ended}{}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&values, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((percentile(&values[..1], 0.95) - 1.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }
}
