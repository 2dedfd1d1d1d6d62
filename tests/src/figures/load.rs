//! Many devices that come home at once, each with new records: what a server takes in a second, durable and judged, what memory that takes, and
//! whether anybody is turned away without a time to come back. The server is a process of its own; the devices share the machine with it.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{Figure, Gate, Scale};
use crate::command::run;
use crate::postgres::Cluster;

const DEVICES_FULL: u64 = 500;
const DEVICES_SHORT: u64 = 40;
/// New records of each device.
const RECORDS_EACH: u64 = 50;

/// Over the folder's own files.
pub fn measure(scale: Scale) -> Vec<Figure> {
    let (records_per_s, mib) = at_once(scale, None);
    vec![
        Figure {
            name: "ingest_records_per_s",
            value: records_per_s,
            unit: "1/s",
            gate: Gate::AtLeast(3_000.0),
            correctness: false,
            scale,
        },
        Figure { name: "ingest_rss_mib", value: mib, unit: "MiB", gate: Gate::AtMost(500.0), correctness: false, scale },
    ]
}

/// Over PostgreSQL on the same machine; nothing where it is not installed.
pub fn measure_postgres(scale: Scale) -> Vec<Figure> {
    let Some(cluster) = Cluster::start() else { return Vec::new() };
    let (value, _) = at_once(scale, Some(&cluster.database()));
    let (name, unit, gate) = ("postgres_ingest_records_per_s", "1/s", Gate::Said);
    vec![Figure { name, value, unit, gate, correctness: false, scale }]
}

/// All devices at once; gives records a second, with the tables at most 5 s behind, and the server's memory.
///
/// # Panics
/// Where the benchmark fails, or a record is not durable, judged and accepted in the end.
#[allow(clippy::expect_used)]
fn at_once(scale: Scale, database: Option<&str>) -> (f64, f64) {
    let devices = scale.of(DEVICES_SHORT, DEVICES_FULL);
    let records = devices * RECORDS_EACH;
    // In the build's folder: the one for temporary files may lie in memory, where a commit takes no time.
    let disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests");
    let folder = std::fs::create_dir_all(&disk).and_then(|()| TempDir::new_in(&disk)).expect("a temporary folder");
    let organisation = folder.path().join("org");
    let organisation = organisation.to_str().expect("UTF-8");
    let (devices, records_text) = (devices.to_string(), records.to_string());
    let mut arguments = vec!["bench", organisation, "--devices", &devices, "--records", &records_text, "--json"];
    arguments.extend(database.iter().flat_map(|database| ["--database", database]));
    let report = run(&arguments).done().json();
    eprintln!("{}", serde_json::to_string_pretty(&report).expect("JSON"));
    let number = |name: &str| report.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    assert_eq!(report["judged"], records, "every record is durable and counts");
    assert_eq!(report["refused_without_time"], 0, "nobody is turned away without a time to come back");
    (number("kept_up_per_s"), number("server_mib"))
}
