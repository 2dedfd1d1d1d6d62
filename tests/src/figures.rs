//! Figures: a promise is a figure, and a figure has a command. This is the list of them and how one is printed.
//!
//! `cargo run --release -p karwan-tests --bin figures -- NAME` measures one at the size of its gate;
//! `figures -- --short --out FILE` measures all at a size that suits every run, `figures -- --size N NAME` one with so many cycles,
//! inputs or records.

pub mod attachments;
pub mod bytes;
pub mod disk;
pub mod forms;
pub mod hostile;
pub mod hundred;
pub mod kills;
pub mod links;
pub mod load;
pub mod sessions;
pub mod simulation;

use std::path::Path;

use serde_json::{Value, json};

/// A measurement: the figures that it gives, and how to measure them.
pub type Measurement = (&'static [&'static str], fn(Scale) -> Vec<Figure>);

/// All measurements that there are.
pub const MEASUREMENTS: &[Measurement] = &[
    (&["edit_bytes_on_wire"], |scale| vec![bytes::edit(scale)]),
    (&["record_bytes_on_wire"], |scale| vec![bytes::record(scale)]),
    (&["idle_session_bytes", "idle_session_round_trips"], sessions::idle),
    (&["first_sync_100k_s", "idle_sync_100k_s", "open_100k_s", "search_100k_s"], hundred::measure),
    (&["attachment_resume_bytes_ratio"], attachments::resume),
    (&["record_delay_under_upload_rtt"], attachments::record_delay),
    (&["secrets_found"], sessions::secrets),
    (&["ingest_records_per_s", "ingest_rss_mib"], load::measure),
    (&["postgres_ingest_records_per_s"], load::measure_postgres),
    (&["lossy_upload_over_line", "lossy_upload_bytes_ratio", "lossy_fair_share"], links::measure),
    (&["hostile_inputs", "hostile_escapes"], hostile::mutated),
    (&["kill_cycles", "kill_acknowledged_lost", "kill_during_commit_share"], kills::measure),
    (&["disk_fault_points", "disk_fault_lost"], disk::measure),
    (&["sim_device_days", "sim_diverged", "sim_lost", "sim_canaries_caught"], simulation::measure),
    (&["form_states_identical"], forms::identical),
    (&["answer_ms_flat5000_p95"], forms::flat),
    (&["answer_ms_repeat500_p95"], forms::repeat),
    (&["choices_100k_filter_ms_p95", "choices_100k_load_s", "choices_100k_rss_mib"], forms::choices),
    (&["demo_ready_s"], demo_ready),
];

/// How long a fresh clone took here to build what `cargo run --release -- demo` builds, and the demo after it, downloads aside. Known only
/// where `tests/run` has built from nothing.
fn demo_ready(scale: Scale) -> Vec<Figure> {
    let told = |name: &str| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests").join(name);
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
    };
    let build = told("cold_build_s").and_then(|seconds| seconds.as_f64());
    let demo = told("demo.json").and_then(|report| report["technical"]["seconds"].as_f64());
    let (Some(build), Some(demo)) = (build, demo) else { return Vec::new() };
    let value = build + demo;
    let gate = Gate::AtMost(600.0);
    vec![Figure { name: "demo_ready_s", value, unit: "s", gate, correctness: false, scale }]
}

/// What a figure must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
    Exactly(f64),
    /// There is none: it is to be said, whatever it is.
    Said,
}

impl Gate {
    /// Whether the value holds.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Below(limit) => value < limit,
            Self::Exactly(wanted) => (value - wanted).abs() < f64::EPSILON,
            Self::Said => value.is_finite(),
        }
    }

    /// As the table prints it.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::Below(limit) => format!("< {limit}"),
            Self::Exactly(wanted) => format!("{wanted}"),
            Self::Said => "said".to_owned(),
        }
    }
}

/// How large a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Seconds: part of every test run.
    Short,
    /// So many of whatever the measurement counts.
    Of(u64),
    /// The size of the gate.
    Full,
}

impl Scale {
    /// How many of whatever the measurement counts.
    pub fn of(self, short: u64, full: u64) -> u64 {
        match self {
            Self::Short => short,
            Self::Of(many) => many,
            Self::Full => full,
        }
    }

    /// As `target/figures.json` says it: full where it is as large as the gate asks.
    fn name(self) -> &'static str {
        match self {
            Self::Short | Self::Of(_) => "short",
            Self::Full => "full",
        }
    }
}

/// One figure, measured.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    pub gate: Gate,
    /// A gate of correctness fails the run; a gate of speed is reported.
    pub correctness: bool,
    pub scale: Scale,
}

impl Figure {
    /// The object of `target/figures.json`.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": (self.value * 1000.0).round() / 1000.0,
            "unit": self.unit,
            "gate": self.gate.text(),
            "holds": self.gate.holds(self.value),
            "scale": self.scale.name(),
            "command": format!("cargo run --release -p karwan-tests --bin figures -- {}", self.name),
        })
    }

    /// The line of the table.
    pub fn line(&self) -> String {
        let scale = self.scale.name();
        let held = if self.gate.holds(self.value) { "holds" } else { "DOES NOT HOLD" };
        format!("{:<32} {:>12.3} {:<10} {:<12} {:<6} {held}", self.name, self.value, self.unit, self.gate.text(), scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_holds_at_its_limit_as_written() {
        assert!(Gate::AtMost(60.0).holds(60.0) && !Gate::AtMost(60.0).holds(60.1));
        assert!(Gate::Below(600.0).holds(599.0) && !Gate::Below(600.0).holds(600.0));
        assert!(Gate::Exactly(0.0).holds(0.0) && !Gate::Exactly(0.0).holds(1.0));
        assert!(Gate::Said.holds(0.0) && !Gate::Said.holds(f64::NAN));
        assert!(Gate::AtLeast(0.2).holds(0.2) && !Gate::AtLeast(0.2).holds(0.19));
    }
}
