//! The terminal and the machine around a command: the log, the zone, a QR code, a secret typed without an echo.

use std::io::{BufRead, IsTerminal};
use std::process::{Command, Stdio};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use tracing_subscriber::EnvFilter;

use super::output::hint;
use crate::problem::Problem;

/// Logs go to standard error as `RUST_LOG` says; a server tells of itself also where it says nothing.
pub(super) fn log_to_stderr(serving: bool) {
    let otherwise = if serving { "karwan_server=info,warn" } else { "off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(otherwise));
    // A second subscriber in one process is refused, which changes nothing.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init().ok();
}

/// Offset of local time from UTC in minutes, as the system tells; UTC where it does not.
pub(super) fn offset_minutes() -> i32 {
    let said = Command::new("date").arg("+%z").stdin(Stdio::null()).stderr(Stdio::null()).output();
    said.ok().and_then(|said| offset_of(String::from_utf8_lossy(&said.stdout).trim())).unwrap_or(0)
}

/// `+0330` in minutes.
fn offset_of(text: &str) -> Option<i32> {
    let (sign, digits) = text.strip_prefix('-').map(|digits| (-1, digits)).or_else(|| Some((1, text.strip_prefix('+')?)))?;
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..4)?.parse().ok()?;
    Some(sign * (hours * 60 + minutes))
}

/// Whether a person sits at both ends.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A QR code in half blocks; nothing where the text is too long for one.
pub(super) fn qr_code(text: &str) -> String {
    let code = QrCode::with_error_correction_level(text, EcLevel::L);
    code.map(|code| code.render::<Dense1x2>().build()).unwrap_or_default()
}

/// One line of standard input, without its end.
pub(super) fn line() -> Result<String, Problem> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A new password, typed twice without an echo; nothing where nothing is typed.
pub(super) fn new_password() -> Result<Option<String>, Problem> {
    let password = secret("Password for the console (Enter for none): ")?;
    if password.is_empty() {
        return Ok(None);
    }
    if secret("The same again: ")? != password {
        return Err(Problem::input("password", "the two passwords differ", "Try again, or give it with --password-stdin."));
    }
    Ok(Some(password))
}

fn secret(prompt: &str) -> Result<String, Problem> {
    use std::io::Write;
    write!(std::io::stderr(), "{prompt}")?;
    let hidden = echo(false);
    let typed = line();
    if hidden {
        echo(true);
        hint("");
    }
    typed
}

fn echo(on: bool) -> bool {
    Command::new("stty").arg(if on { "echo" } else { "-echo" }).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_the_system_writes_them() {
        assert_eq!(offset_of("+0330"), Some(210));
        assert_eq!(offset_of("-0500"), Some(-300));
        assert_eq!(offset_of("UTC"), None);
    }
}
