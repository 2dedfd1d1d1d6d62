//! What is measured: a server that runs somewhere, with invitations to it, or an organisation that is made for the benchmark and served by
//! a process of its own, of which more can be known.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use karwan_proto::{Invitation, Role};
use serde_json::Value;

use super::made;
use crate::clock::now_ms;
use crate::organisation::Organisation;
use crate::problem::Problem;
use crate::process::{Ports, Server};
use crate::request::Request;

/// How long the invitations of a benchmark live.
const INVITATION_MS: i64 = 24 * 3_600_000;

/// Where the devices go.
pub(super) struct Home {
    pub(super) address: SocketAddr,
    pub(super) invitations: Vec<Invitation>,
    served: Option<Served>,
}

/// What was made for the benchmark.
struct Served {
    folder: PathBuf,
    server: Server,
}

impl Home {
    /// A server that runs, and a file with an invitation a line.
    pub(super) fn at(address: &str, invitations: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(invitations)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let invitations = lines
            .map(|line| {
                let mend = "Give one invitation a line, as karwan invite ORG --json says them.";
                Invitation::from_text(line).map_err(|error| Problem::input("invitation", error.to_string(), mend))
            })
            .collect::<Result<_, _>>()?;
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        let address = found.ok_or_else(|| {
            let error = format!("{address} is no address");
            Problem::new(Problem::UNREACHABLE, "address", error, "Give HOST:PORT, as karwan serve says it.")
        })?;
        Ok(Self { address, invitations, served: None })
    }

    /// An organisation of teams in a folder that is not there yet, or in this PostgreSQL, with an invitation for each device, and its server.
    pub(super) fn make(folder: &Path, devices: usize, team: usize, database: Option<&str>) -> Result<Self, Problem> {
        let ports = Ports::choose()?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports.sync));
        Organisation::init_with(folder, "Benchmark", database)?;
        let invitations = {
            let organisation = Organisation::open(folder)?;
            let form = made::form();
            let mut invitations = Vec::new();
            for (number, first) in (0..devices).step_by(team).enumerate() {
                let caseload = format!("team-{}", number + 1);
                organisation.add_caseload(&caseload)?;
                organisation.publish(made::FORM_FILE, &form, Vec::new(), &caseload)?;
                for _ in first..devices.min(first + team) {
                    let addresses = vec![address.to_string()];
                    invitations.push(organisation.invite(
                        Role::Enumerator,
                        std::slice::from_ref(&caseload),
                        INVITATION_MS,
                        addresses,
                    )?);
                }
            }
            invitations
        };
        let server = Server::start(folder, &folder.with_extension("log"), ports)?;
        Ok(Self { address, invitations, served: Some(Served { folder: folder.to_owned(), server }) })
    }

    /// Most memory that the server's process has had, in MiB, where it is one of ours and the system tells.
    pub(super) fn peak_mib(&self) -> Option<f64> {
        let process = self.served.as_ref()?.server.id()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Processor time that the server's process has taken so far, of all its threads, in seconds, where it is one of ours and the system tells.
    pub(super) fn core_s(&self) -> Option<f64> {
        core_s(&self.served.as_ref()?.server.id()?.to_string())
    }

    /// For how long the oldest entry that is not in the tables waits, in milliseconds, where it can be asked. Waits for the answer.
    pub(super) fn behind_ms(&self) -> Option<f64> {
        let served = self.served.as_ref()?;
        let answer = crate::control::ask_running(&served.folder, &Request::Behind).ok()??;
        let oldest_ms = answer.get("oldest_ms").and_then(Value::as_i64);
        Some(oldest_ms.map_or(0.0, |oldest_ms| now_ms().saturating_sub(oldest_ms).max(0) as f64))
    }
}

/// Processor time that a process has taken so far, by its number or `self`, in seconds.
pub(super) fn core_s(process: &str) -> Option<f64> {
    // The unit of /proc, whatever the kernel counts in itself.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold spaces and brackets; user and system time are the twelfth and thirteenth after it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Option<f64> = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks? / TICKS_PER_S)
}
