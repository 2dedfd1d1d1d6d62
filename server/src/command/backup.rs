//! Backups, making an organisation's folder from one, and the recovery that follows.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::arguments::RecoveryCommand;
use super::output::{Answer, hint};
use super::terminal;
use crate::backup::{self, KEYS_KEPT_DAYS, copy_of_logs, keys_file};
use crate::control::ask;
use crate::problem::Problem;
use crate::request::Request;

/// How often the size of the file being written is shown.
const SHOWN_EVERY_MS: u64 = 200;

/// Shows how large a file has become while something writes it, and before that the copy of the logs which it is made of.
fn watched<T>(file: &Path, copy: PathBuf, work: impl FnOnce() -> T) -> T {
    let bar = if terminal::is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = file.with_file_name(name);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let shown = bar.clone();
    let watcher = std::thread::spawn(move || {
        while ended
            .recv_timeout(std::time::Duration::from_millis(SHOWN_EVERY_MS))
            .is_err_and(|why| why == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len()).ok();
            let (what, bytes) = match (length(&unfinished), length(&copy)) {
                (Some(bytes), _) => ("writing the backup", bytes),
                (None, copied) => ("copying the logs", copied.unwrap_or(0)),
            };
            shown.set_message(format!("{what}: {} KiB", bytes / 1024));
            shown.tick();
        }
    });
    let done = work();
    drop(end);
    watcher.join().ok();
    bar.finish_and_clear();
    done
}

/// Writes a backup.
pub(super) fn backup(organisation: &Path, file: &Path) -> Result<Answer, Problem> {
    // A server that runs on the folder has another working folder.
    let file = std::path::absolute(file)?;
    let value = watched(&file, copy_of_logs(organisation), || ask(organisation, &Request::Backup { file: file.clone() }))?;
    let text = format!(
        "{}\n    {} KiB: logs with {} entries, names, forms, media, and the keys of server and administrator.\n    \
        Keep it where only administrators reach it.\n{}\n    {} KiB: the keys of the records, without which no answer can be read.\n    \
        Keep it apart from the other, and for {KEYS_KEPT_DAYS} days only: then what was erased is unreadable in every backup.\n\
        Neither holds the root key.",
        file.display(),
        kib(&value["bytes"]),
        value["entries"],
        keys_file(&file).display(),
        kib(&value["keys_bytes"]),
    );
    let elsewhere = value["attachments_in"]
        .as_str()
        .map(|store| format!("\nThe files that answers refer to are in neither: they are in {store}. Let that keep versions."));
    let text = text + &elsewhere.unwrap_or_default();
    Ok(Answer::new(value, text))
}

fn kib(bytes: &Value) -> u64 {
    bytes.as_u64().unwrap_or(0).div_ceil(1024)
}

/// Makes an organisation's folder from a backup.
pub(super) fn restore(
    file: &Path,
    keys: Option<PathBuf>,
    organisation: &Path,
    database: Option<&str>,
) -> Result<Answer, Problem> {
    hint("Checking the backup.");
    let keys = keys.unwrap_or_else(|| keys_file(file));
    let value = backup::restore(file, &keys, organisation, database)?;
    let org = organisation.display();
    let text = format!(
        "The organisation is at {org}, as it was at {}.\n\
        It recovers: devices bring back what came after that, membership first, and nothing is given out or decided meanwhile.\n\
        Next:\n  karwan serve {org}\n  karwan recovery status {org}\n  karwan recovery close {org}",
        value["backup_made"].as_str().unwrap_or_default()
    );
    Ok(Answer::new(value, text))
}

/// After a restore.
pub(super) fn recovery(command: RecoveryCommand) -> Result<Answer, Problem> {
    let names = |value: &Value| -> String {
        let names: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    match command {
        RecoveryCommand::Status { organisation } => {
            let value = ask(&organisation, &Request::RecoveryStatus)?;
            let text = match value["since"].as_str() {
                None => "The server is not in recovery.".to_owned(),
                Some(since) => format!(
                    "In recovery since {since}. Devices brought back {} envelopes and {} forms.\nHome: {}\nNot yet home: {}\n\
                    When enough have come: karwan recovery close {}",
                    value["envelopes_held"],
                    value["forms_held"],
                    names(&value["devices_home"]),
                    names(&value["devices_away"]),
                    organisation.display()
                ),
            };
            Ok(Answer::new(value, text))
        }
        RecoveryCommand::Close { organisation } => {
            let value = ask(&organisation, &Request::CloseRecovery)?;
            let mut text = format!(
                "Recovery is closed. {} envelopes were judged, {} of them refused. Devices get everything at their next sync.\n\
                Whoever comes home later still brings back what is lacking.\nForms that came back from devices, to be looked at: {}",
                value["envelopes"],
                value["rejected"],
                names(&value["forms"])
            );
            if value["forms_lacking"].as_array().is_some_and(|lacking| !lacking.is_empty()) {
                text.push_str(&format!(
                    "\nForms whose file no device has: {}. Publish them again: karwan form add.",
                    names(&value["forms_lacking"])
                ));
            }
            Ok(Answer::new(value, text))
        }
    }
}
