//! The server as a process of its own, so that it can be killed as a power cut would, and is never left behind.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::problem::Problem;

/// Where devices find a server unless the port is taken.
const SYNC_PORT: u16 = 7447;
/// Where people find it unless the port is taken.
const CONSOLE_PORT: u16 = 7448;
/// How long a server may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(30);
/// How long it may take to end when it is asked to.
const END_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Two ports of this machine, and those that were wanted and are taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ports {
    /// For devices.
    pub sync: u16,
    /// For people.
    pub console: u16,
    /// Wanted for devices, and taken.
    pub sync_taken: Option<u16>,
    /// Wanted for people, and taken.
    pub console_taken: Option<u16>,
}

impl Ports {
    /// The usual ones, or free ones where somebody has them.
    pub fn choose() -> Result<Self, Problem> {
        let udp = |port: u16| Ok::<u16, std::io::Error>(UdpSocket::bind(("127.0.0.1", port))?.local_addr()?.port());
        let tcp = |port: u16| Ok::<u16, std::io::Error>(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port());
        let (sync, sync_taken) = match udp(SYNC_PORT) {
            Ok(port) => (port, None),
            Err(_) => (udp(0)?, Some(SYNC_PORT)),
        };
        let (console, console_taken) = match tcp(CONSOLE_PORT) {
            Ok(port) => (port, None),
            Err(_) => (tcp(0)?, Some(CONSOLE_PORT)),
        };
        Ok(Self { sync, console, sync_taken, console_taken })
    }
}

/// A running `karwan serve`; ended with it.
#[derive(Debug)]
pub struct Server {
    organisation: PathBuf,
    log: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    child: Option<Child>,
}

impl Server {
    /// Starts one on the organisation's folder and waits until it is ready. What it logs is appended to a file.
    pub fn start(organisation: &Path, log: &Path, ports: Ports) -> Result<Self, Problem> {
        let mut server = Self { organisation: organisation.to_owned(), log: log.to_owned(), ports, child: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it on the same ports.
    pub fn start_again(&mut self) -> Result<(), Problem> {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(&self.organisation)
            .args(["--listen", &format!("127.0.0.1:{}", self.ports.sync)])
            .args(["--console", &format!("127.0.0.1:{}", self.ports.console)])
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take();
        self.child = Some(child);
        let (told, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line));
            told.send(matches!(read, Some(Ok(length)) if length > 0)).ok();
        });
        if ready.recv_timeout(READY_WAIT).unwrap_or(false) {
            return Ok(());
        }
        self.kill();
        let error = format!("the server was not ready within {} s", READY_WAIT.as_secs());
        Err(Problem::new(Problem::FAILED, "server", error, format!("See what it said: {}", self.log.display())))
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        if let Some(child) = &mut self.child {
            // The standard library knows no other signal than the one that kills.
            Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).stderr(Stdio::null()).status().ok();
            let until = Instant::now() + END_WAIT;
            while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        self.kill();
    }

    /// The process, while there is one.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The console's address.
    pub fn console(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.console)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind(("127.0.0.1", CONSOLE_PORT));
        let Ok(ports) = Ports::choose() else { unreachable!("a machine has free ports") };
        // Whoever holds it, this test or something else on the machine, it is not handed out.
        assert_eq!(ports.console_taken, Some(CONSOLE_PORT));
        assert_ne!(ports.console, CONSOLE_PORT);
        drop(taken);
    }
}
