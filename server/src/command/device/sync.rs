//! `karwan device sync`: progress while it runs, a report when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use karwan_client::{ClientError, Listener, Network, Phase, Progress, SyncReport};

use super::super::device_arguments::DeviceFolder;
use super::super::output::{Answer, hint};
use super::super::terminal;
use super::open;
use crate::problem::Problem;

/// A device clock that is further off is said.
const CLOCK_OFF_MS: u64 = 3_600_000;

struct Shown {
    bar: ProgressBar,
    ended: Arc<AtomicBool>,
}

impl Listener for Shown {
    fn progress(&self, progress: &Progress) -> bool {
        let phase = match progress.phase {
            Phase::Connecting => "reaching the server",
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

/// Syncs with the server.
pub(super) fn sync(folder: &DeviceFolder, with: Option<&str>, metered: bool, tries: u32, json: bool) -> Result<Answer, Problem> {
    let device = open(folder)?;
    let bar = if json || !terminal::is_terminal() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let shown = Shown { bar, ended: Arc::default() };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let ended = shown.ended.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                ended.store(true, Ordering::Relaxed);
            }
        });
        device.sync_patiently(with, if metered { Network::Metered } else { Network::Free }, &shown, tries).await
    });
    shown.bar.finish_and_clear();
    if let Some(ahead) = device.clock_ahead_ms()?.filter(|ahead| ahead.unsigned_abs() > CLOCK_OFF_MS) {
        let (hours, side) = (ahead.unsigned_abs() / CLOCK_OFF_MS, if ahead > 0 { "behind" } else { "ahead of" });
        hint(&format!("This device's clock is {hours} h {side} the server's. Set it: it shows in every time that is told."));
    }
    let report = outcome?;
    if report.recovering {
        hint("The server was restored and gives nothing out until an administrator closes recovery. Your work is kept.");
    }
    if report.copied {
        hint(&format!(
            "Another copy of this device's folder has synced under its name. {} edits made here were written again under a new one; none is lost.\n\
            If nobody copied the folder on purpose, tell an administrator: the copy can read what this device can.",
            report.written_again
        ));
    }
    let mut answer = Answer::new(serde_json::to_value(&report)?, told(&report));
    if !report.refused.is_empty() {
        answer.problem = Some(ClientError::EnvelopesRefused { count: report.refused.len() }.into());
    }
    Ok(answer)
}

fn told(report: &SyncReport) -> String {
    let mut text = format!(
        "Sent {} changes in {} envelopes, received {} in {}. {} round trips, {} bytes up, {} bytes down, {} ms.",
        report.changes_up,
        report.envelopes_up,
        report.changes_down,
        report.envelopes_down,
        report.round_trips,
        report.bytes_up,
        report.bytes_down,
        report.ms
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
    text
}
