//! A PostgreSQL of the tests' own, from the system's package: a cluster in a temporary folder, which ends with whoever holds it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the database may take to answer after it was started.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Names the whole-system tests' database where it is not the folder's own files: `postgresql`.
pub const DATABASE_VARIABLE: &str = "KARWAN_TEST_DATABASE";

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    server: Option<Child>,
    port: u16,
    databases: AtomicU64,
    has_tls: bool,
}

impl Cluster {
    /// Makes a cluster and starts it; `None`, with a line that says so, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// Where it is installed and does not start.
    #[allow(clippy::expect_used)]
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: PostgreSQL is not installed (Debian: apt-get install postgresql)");
            return None;
        };
        // Not in the folder for temporary files of this user: the database's own user must reach it.
        let folder = tempfile::Builder::new().prefix("karwan-postgres-").tempdir_in("/tmp").expect("a temporary folder");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it can be opened");
        if is_root() {
            let owned = Command::new("chown").arg("postgres:").arg(folder.path()).status().expect("chown runs");
            assert!(owned.success(), "there is no user postgres");
        }
        let port = crate::ports::steady_port();
        let mut cluster = Self { folder, programs, server: None, port, databases: AtomicU64::new(0), has_tls: false };
        let data = cluster.data();
        let made = cluster
            .program("initdb")
            .arg("-D")
            .arg(data)
            .args(["-U", "karwan", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        cluster.go_on();
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--reset-env", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts the database, where it was made or ended before, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not.
    #[allow(clippy::expect_used, clippy::panic)]
    pub fn go_on(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("its log is made");
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data());
        command.args(["-k", "", "-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port)]);
        if self.has_tls {
            command.args(["-c", "ssl=on", "-c", "ssl_cert_file=server.pem", "-c", "ssl_key_file=server.key"]);
        }
        let server = command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres starts");
        self.server = Some(server);
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() || !self.answers() {
            assert!(since.elapsed() < START_PATIENCE, "the database does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has it speak TLS with this certificate from now on; who is not known by the loopback's trust gives a password.
    ///
    /// # Panics
    /// Where it cannot.
    #[allow(clippy::expect_used)]
    pub fn speak_tls(&mut self, certificate: &Certificate) {
        self.go_away();
        let data = self.data();
        let rules = "hostssl all remote 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
        for (name, text) in [("server.pem", &*certificate.pem), ("server.key", &*certificate.key), ("pg_hba.conf", rules)] {
            let path = data.join(name);
            std::fs::write(&path, text).expect("its settings are written");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("they can be closed");
            if is_root() {
                let owned = Command::new("chown").arg("postgres:").arg(&path).status().expect("chown runs");
                assert!(owned.success(), "there is no user postgres");
            }
        }
        self.has_tls = true;
        self.go_on();
    }

    #[allow(clippy::expect_used)]
    fn answers(&self) -> bool {
        let asked = self.program("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
        asked.expect("pg_isready runs").success()
    }

    /// Ends the database as a crash would.
    pub fn go_away(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Its own program, as `kill` is in no minimal system; SIGKILL would leave its children.
            let stopped = self.program("pg_ctl").arg("-D").arg(self.data()).args(["stop", "-s", "-m", "immediate"]).output();
            if !stopped.is_ok_and(|stopped| stopped.status.success()) {
                server.kill().ok();
            }
            server.wait().ok();
        }
    }

    /// A new database; gives its address.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[allow(clippy::expect_used)]
    pub fn database(&self) -> String {
        let name = format!("karwan{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let made = self.program("createdb").args(["-h", "127.0.0.1", "-p", &port, "-U", "karwan", &name]).output();
        let made = made.expect("createdb runs");
        assert!(made.status.success(), "{made:?}");
        format!("postgres://karwan@127.0.0.1:{port}/{name}")
    }

    /// What a query answers, a line a row.
    ///
    /// # Panics
    /// Where it is not answered.
    #[allow(clippy::expect_used)]
    pub fn ask(&self, address: &str, query: &str) -> Vec<String> {
        let asked = self.program("psql").args([address, "-AtXc", query]).output().expect("psql runs");
        assert!(asked.status.success(), "{asked:?}");
        String::from_utf8_lossy(&asked.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.go_away();
        // What the database's user made there goes as that user.
        let data = self.data();
        let mut removing = if is_root() { Command::new("rm") } else { self.program("rm") };
        removing.arg("-rf").arg(data).status().ok();
    }
}

/// Who signs certificates in a test.
#[derive(Debug)]
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

/// A server's certificate and its key, both PEM.
#[derive(Debug)]
pub struct Certificate {
    pub pem: String,
    pub key: String,
}

#[allow(clippy::expect_used, clippy::new_without_default)]
impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        Self { issuer: rcgen::CertifiedIssuer::self_signed(parameters, key).expect("an authority") }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a name, valid until the end of 1999 or for long.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn certificate(&self, name: &str, has_expired: bool) -> Certificate {
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        if has_expired {
            parameters.not_after = rcgen::date_time_ymd(1999, 12, 31);
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let signed = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate { pem: signed.pem(), key: key.serialize_pem() }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

/// Where the newest PostgreSQL's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).max()?;
    Some(Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin"))
        .filter(|programs| programs.join("initdb").exists())
}

/// A cluster for a world, where [`DATABASE_VARIABLE`] asks for one.
///
/// # Panics
/// Where one is asked for that there is not.
#[allow(clippy::panic)]
pub fn asked_for() -> Option<Cluster> {
    let asked = std::env::var(DATABASE_VARIABLE).ok()?;
    assert_eq!(asked, "postgresql", "{DATABASE_VARIABLE} names another database than postgresql");
    Some(Cluster::start().unwrap_or_else(|| panic!("{DATABASE_VARIABLE} asks for a PostgreSQL that is not installed")))
}
