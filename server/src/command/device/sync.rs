//! `karwan device sync`: progress while it runs, a report when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use karwan_client::{ClientError, Listener, Network, Phase, Progress, SyncReport};
use karwan_proto::Meeting;

use super::super::device_arguments::DeviceFolder;
use super::super::output::{Answer, hint, isolated};
use super::super::terminal;
use super::open;
use crate::problem::Problem;

/// A device clock that is further off is said.
const CLOCK_OFF_MS: u64 = 3_600_000;

/// Shows progress, and ends at Ctrl-C.
pub(super) struct Shown {
    bar: ProgressBar,
    ended: Arc<AtomicBool>,
    /// Who is reached, as it is called.
    reaching: &'static str,
}

impl Shown {
    pub(super) fn new(json: bool, reaching: &'static str) -> Self {
        let bar = if json || !terminal::is_terminal() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, ended: Arc::default(), reaching }
    }

    /// When this returns Ctrl-C ends the sync in order.
    pub(super) async fn hear_ctrl_c(&self) {
        let mut pressed = Box::pin(tokio::signal::ctrl_c());
        // It listens from when it is first asked.
        tokio::select! {
            biased;
            _ = &mut pressed => self.ended.store(true, Ordering::Relaxed),
            () = std::future::ready(()) => {}
        }
        let ended = self.ended.clone();
        tokio::spawn(async move {
            if pressed.await.is_ok() {
                ended.store(true, Ordering::Relaxed);
            }
        });
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Listener for Shown {
    fn progress(&self, progress: &Progress) -> bool {
        let phase = match progress.phase {
            Phase::Connecting => self.reaching,
            Phase::Sending => "sending",
            Phase::Receiving => "taking in",
            Phase::Fetching => "fetching forms",
            Phase::Carrying => "carrying attachments; the records are at the server",
            Phase::Done => "done",
        };
        self.bar.set_message(format!(
            "{phase}: {} sent, {} received, {} bytes up, {} bytes down",
            progress.envelopes_up, progress.envelopes_down, progress.bytes_up, progress.bytes_down
        ));
        if progress.phase == Phase::Carrying {
            let (up, down) = (progress.attachment_bytes_up, progress.attachment_bytes_down);
            self.bar.set_message(format!("{phase}: {up} bytes sent, {down} bytes received"));
        }
        self.bar.tick();
        !self.ended.load(Ordering::Relaxed)
    }
}

/// Syncs with the server, or with another device that listens.
pub(super) fn sync(folder: &DeviceFolder, with: Option<&str>, metered: bool, tries: u32, json: bool) -> Result<Answer, Problem> {
    let device = open(folder)?;
    let with_device = with.filter(|text| Meeting::is_meant(text));
    let shown = Shown::new(json, if with_device.is_some() { "reaching the other device" } else { "reaching the server" });
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        shown.hear_ctrl_c().await;
        match with_device {
            Some(text) => device.sync_with(text, &shown).await,
            None => device.sync_patiently(with, if metered { Network::Metered } else { Network::Free }, &shown, tries).await,
        }
    });
    shown.clear();
    if with_device.is_some() {
        return met(&outcome?);
    }
    if let Some(ahead) = device.clock_ahead_ms()?.filter(|ahead| ahead.unsigned_abs() > CLOCK_OFF_MS) {
        let (hours, side) = (ahead.unsigned_abs() / CLOCK_OFF_MS, if ahead > 0 { "behind" } else { "ahead of" });
        hint(&format!("This device's clock is {hours} h {side} the server's. Set it: it shows in every time that is told."));
    }
    let report = outcome?;
    if report.recovering {
        hint("The server was restored and gives nothing out until an administrator closes recovery. Your work is kept.");
    }
    if report.kept_back > 0 {
        hint(&format!(
            "{} edits were made on a copy of this device's folder and go to the server once recovery is closed. Until then they are here alone.",
            report.kept_back
        ));
    }
    if report.copied {
        hint(&format!(
            "Another copy of this device's folder has synced under its name. {} edits made here were written again under a new one; none is lost.\n\
            If nobody copied the folder on purpose, tell an administrator: the copy can read what this device can.",
            report.written_again
        ));
    }
    if report.copy_in_use && !report.copied {
        hint(
            "Another copy of this device's folder is in use: it has synced since this one last did. Nothing is lost, but the copy can read what this \
             device can. Tell an administrator: karwan devices ORG shows it too.",
        );
    }
    let mut answer = Answer::new(serde_json::to_value(&report)?, told(&report));
    if !report.refused.is_empty() {
        answer.problem = Some(ClientError::EnvelopesRefused { count: report.refused.len() }.into());
    }
    Ok(answer)
}

/// What is told of a meeting.
pub(super) fn met(report: &SyncReport) -> Result<Answer, Problem> {
    let with = report.with.as_deref().map(isolated).unwrap_or_default();
    let mut text = format!(
        "Met {with}: gave {} changes in {} envelopes, took {} in {}. {} bytes up, {} bytes down, {} ms.",
        report.changes_up,
        report.envelopes_up,
        report.changes_down,
        report.envelopes_down,
        report.bytes_up,
        report.bytes_down,
        report.ms
    );
    let files = &report.attachments;
    if files.up + files.down > 0 {
        text.push_str(&format!("\nFiles: gave {}, took {}.", files.up, files.down));
    }
    if report.changes_down > 0 {
        text.push_str("\nWhat came is provisional until the server has judged it; karwan device sync DEV brings it there.");
    }
    if report.kept_back > 0 {
        text.push_str(&format!(
            "\n{} edits stay here: this device is a copy, or was stopped while it saved, and only a server can say which of them it has. \
            karwan device sync DEV brings them there.",
            report.kept_back
        ));
    }
    add_forms_and_conflicts(report, &mut text);
    let mut answer = Answer::new(serde_json::to_value(report)?, text);
    if !report.refused.is_empty() {
        answer.problem = Some(ClientError::EnvelopesRefused { count: report.refused.len() }.into());
    }
    Ok(answer)
}

fn told(report: &SyncReport) -> String {
    let mut text = format!(
        "Sent {} changes in {} envelopes, received {} in {}. {} round trips, {} bytes up, {} bytes down, {} ms{}.",
        report.changes_up,
        report.envelopes_up,
        report.changes_down,
        report.envelopes_down,
        report.round_trips,
        report.bytes_up,
        report.bytes_down,
        report.ms,
        how(report)
    );
    let carried = &report.attachments;
    if carried.up + carried.down + carried.waiting > 0 {
        text.push_str(&format!(
            "\nAttachments: {} sent, {} received, {} wait for a later sync.",
            carried.up, carried.down, carried.waiting
        ));
    }
    if carried.declined > 0 {
        text.push_str(&format!("\n{} attachments were declined by the server and are kept here.", carried.declined));
    }
    add_forms_and_conflicts(report, &mut text);
    text
}

/// Over what it ran, and in how many networks.
fn how(report: &SyncReport) -> String {
    let ways: Vec<String> = report.ways.iter().map(ToString::to_string).collect();
    let over = if ways.is_empty() { String::new() } else { format!(", over {}", ways.join(", then ")) };
    match report.network_changes {
        0 => over,
        changes => format!("{over}; the network changed {changes} times"),
    }
}

fn add_forms_and_conflicts(report: &SyncReport, text: &mut String) {
    if report.forms > 0 {
        text.push_str(&format!("\n{} forms are new: karwan device forms DEV", report.forms));
    }
    if report.conflicts > 0 {
        text.push_str(&format!("\n{} disagreements came that a person must decide.", report.conflicts));
    }
    for refused in &report.refused {
        text.push_str(&format!("\nrefused {}: {}", refused.envelope, refused.reason));
    }
    for kept in &report.not_applied {
        text.push_str(&format!("\nkept and not applied {}: {}", kept.envelope, kept.reason));
    }
}
