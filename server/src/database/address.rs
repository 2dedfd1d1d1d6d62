//! The address of a PostgreSQL: where it is, and whether what is said to it must be hidden on the way.
//!
//! On this machine (a socket, the loopback) it is spoken to plainly, unless the address asks for TLS. To another machine it is TLS or nothing: the
//! certificate is checked against the authorities in the file that `sslrootcert` names, and against the host's name.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::Tls;
use crate::problem::Problem;

/// The parameter that names the file of authorities, as PostgreSQL's own programs call it.
const ROOTS: &str = "sslrootcert=";
/// As PostgreSQL's own programs ask for what is always done here where there is TLS.
const CHECKED: [&str; 2] = ["sslmode=verify-full", "sslmode=verify-ca"];
/// The example that says how an address to another machine is written.
const EXAMPLE: &str = "postgres://USER:PASSWORD@HOST/DATABASE?sslrootcert=/etc/karwan/database-ca.pem";

/// An address that was read.
pub(super) struct Address {
    /// All that `tokio-postgres` knows.
    pub config: Config,
    /// Where it is to be TLS.
    pub tls: Option<Tls>,
}

impl Address {
    /// Reads an address, and the file of authorities where it names one.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let unreadable = || {
            let mend = format!(
                "Give postgres://USER:PASSWORD@HOST/DATABASE, or postgres:///DATABASE?host=/var/run/postgresql for a socket; \
                 on another machine {EXAMPLE}"
            );
            Problem::input("database-address", "the address of the database cannot be read", mend)
        };
        let parts = Parts::of(text);
        let mut config: Config = parts.known().parse().map_err(|_| unreadable())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(unreadable());
        }
        let is_here = is_here(&config);
        let roots = parts.roots()?;
        if is_here && roots.is_none() && config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
            return Ok(Self { config, tls: None });
        }
        let refused = |error: &str, mend: String| Problem::input("database-tls", error, mend);
        if config.get_ssl_mode() == SslMode::Disable {
            let mend = "Leave sslmode=disable out, or reach it through a tunnel that ends on this machine.".to_owned();
            return Err(refused("the database is on another machine, which is not spoken to without TLS", mend));
        }
        let Some(roots) = roots else {
            let mend = format!("Name a file with the certificate of who signed the database's: {EXAMPLE}");
            return Err(refused("the address does not say who vouches for the database's certificate", mend));
        };
        config.ssl_mode(SslMode::Require);
        Ok(Self { config, tls: Some(Tls::trusting(&roots)?) })
    }
}

/// The same address for whoever reads it in another folder: the file of authorities is named from the root.
pub(crate) fn absolute(text: &str) -> Result<String, Problem> {
    let parts = Parts::of(text);
    let Some(roots) = parts.roots()? else { return Ok(text.to_owned()) };
    let roots = std::path::absolute(roots)?;
    let rest = parts.parameters.iter().filter(|parameter| !parameter.starts_with(ROOTS)).map(|parameter| (*parameter).to_owned());
    let parameters: Vec<String> = rest.chain([format!("{ROOTS}{}", encoded(&roots))]).collect();
    Ok(format!("{}?{}", parts.before, parameters.join("&")))
}

/// Whether every host is this machine. A name that is merely said to be here by a number beside it is not: its certificate is to be checked.
fn is_here(config: &Config) -> bool {
    let by_name = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
    };
    config.get_hosts().iter().all(by_name) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

/// An address before its parameters, and these.
struct Parts<'a> {
    before: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        // A password before the first `@` may hold a mark.
        let host = text.find('@').map_or(0, |at| at + 1);
        let mark = text.get(host..).and_then(|rest| rest.find('?')).map(|mark| mark + host);
        let (before, after) = mark.and_then(|mark| text.split_at_checked(mark)).unwrap_or((text, ""));
        let parameters = after.trim_start_matches('?').split('&').filter(|parameter| !parameter.is_empty()).collect();
        Self { before, parameters }
    }

    /// The address with what `tokio-postgres` knows.
    fn known(&self) -> String {
        let known = self.parameters.iter().filter(|parameter| !parameter.starts_with(ROOTS));
        let known: Vec<&str> = known.map(|given| if CHECKED.contains(given) { "sslmode=require" } else { given }).collect();
        if known.is_empty() { self.before.to_owned() } else { format!("{}?{}", self.before, known.join("&")) }
    }

    /// The file of authorities.
    fn roots(&self) -> Result<Option<PathBuf>, Problem> {
        let Some(given) = self.parameters.iter().rev().find_map(|parameter| parameter.strip_prefix(ROOTS)) else {
            return Ok(None);
        };
        let path = decoded(given).filter(|path| !path.is_empty()).ok_or_else(|| {
            Problem::input("database-address", "sslrootcert names no file", format!("Give a path, as in {EXAMPLE}"))
        })?;
        Ok(Some(PathBuf::from(path)))
    }
}

/// A text of which `%2F` is `/`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.as_os_str().as_encoded_bytes().iter().map(|byte| encode(*byte)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn code(address: &str) -> Option<String> {
        Address::read(address).err().map(|problem| problem.code)
    }

    #[test]
    fn here_it_is_plain_and_elsewhere_never() {
        for here in [
            "postgres://k:secret@127.0.0.1:5433/karwan",
            "postgres://k@localhost/karwan?hostaddr=127.0.0.1",
            "postgres:///karwan?host=/var/run/postgresql",
        ] {
            let read = Address::read(here).unwrap();
            assert!(read.tls.is_none() && read.config.get_ssl_mode() == SslMode::Disable, "{here}");
        }
        for elsewhere in [
            "postgres://k:secret@db.example.org/karwan",
            "postgres://k:secret@localhost,db.example.org/karwan",
            "postgres://k:secret@localhost/karwan?hostaddr=192.0.2.9",
            "postgres://k:secret@db.example.org/karwan?hostaddr=127.0.0.1",
            "postgres://k:secret@192.0.2.9/karwan?sslmode=prefer",
            "postgres://k:secret@db.example.org/karwan?sslmode=verify-full",
            "postgres://k:secret@localhost/karwan?sslmode=require",
            "postgres://k:secret@db.example.org/karwan?sslmode=disable&sslrootcert=ca.pem",
        ] {
            assert_eq!(code(elsewhere).as_deref(), Some("database-tls"), "{elsewhere}");
        }
        assert_eq!(code("postgres://k@db.example.org/karwan?sslrootcert=no-such.pem").as_deref(), Some("database-roots"));
        for unreadable in ["mysql://k@localhost/karwan", "postgres://localhost", "postgres://k@h/karwan?sslrootcert=%ZZ"] {
            assert_eq!(code(unreadable).as_deref(), Some("database-address"), "{unreadable}");
        }
    }

    #[test]
    fn a_relative_file_of_authorities_is_found_from_every_folder() {
        let here = std::env::current_dir().unwrap();
        let text = "postgres://k:se?cret@h/karwan?sslrootcert=the%20ca.pem&hostaddr=192.0.2.9";
        let kept = absolute(text).unwrap();
        assert!(kept.starts_with("postgres://k:se?cret@h/karwan?hostaddr=192.0.2.9&sslrootcert=/"), "{kept}");
        assert_eq!(Parts::of(&kept).roots().unwrap(), Some(here.join("the ca.pem")));
        assert_eq!(absolute(&kept).unwrap(), kept);
        let plain = "postgres:///karwan?host=/var/run/postgresql";
        assert_eq!(absolute(plain).unwrap(), plain);
    }
}
