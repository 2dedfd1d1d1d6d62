//! `karwan device listen`: a QR code and a text for another device, and what became of the meeting.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use karwan_client::{ClientError, Listener, Phase, Progress};
use serde_json::json;

use super::super::device_arguments::DeviceFolder;
use super::super::output::{Answer, hint, say};
use super::super::terminal;
use super::sync::{Shown, met};
use super::{named, open};
use crate::problem::Problem;

/// How to listen.
pub(super) struct Listen {
    pub(super) at: SocketAddr,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) minutes: u64,
    pub(super) many: bool,
}

/// Waits, and no longer than it was told to.
struct Patience<'a> {
    shown: &'a Shown,
    until: Instant,
    over: AtomicBool,
}

impl Listener for Patience<'_> {
    fn progress(&self, progress: &Progress) -> bool {
        // Whoever is here by then is not sent away.
        if progress.phase == Phase::Connecting && Instant::now() >= self.until {
            self.over.store(true, Ordering::Relaxed);
            return false;
        }
        self.shown.progress(progress)
    }
}

/// Lets another device sync with this one.
pub(super) fn listen(folder: &DeviceFolder, arguments: &Listen, json: bool) -> Result<Answer, Problem> {
    let device = open(folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut listening = device.listen(arguments.at, &arguments.addresses)?;
        let shown = Shown::new(json, "waiting for the other device");
        shown.hear_ctrl_c().await;
        loop {
            show(&listening.text(), listening.addresses(), json);
            let until = Instant::now() + Duration::from_secs(arguments.minutes.saturating_mul(60));
            let patience = Patience { shown: &shown, until, over: AtomicBool::new(false) };
            let outcome = listening.meet(&patience).await;
            shown.clear();
            let report = match outcome {
                Err(ClientError::Cancelled) if patience.over.load(Ordering::Relaxed) => {
                    return Err(ClientError::NobodyCame { minutes: arguments.minutes }.into());
                }
                outcome => outcome?,
            };
            let answer = met(&report)?;
            if report.changes_down > 0 {
                hint(&format!("Next, where there is a server: karwan device sync {}", named(&folder.folder)));
            }
            if !arguments.many {
                listening.close();
                return Ok(answer);
            }
            answer.print(json);
        }
    })
}

/// What the other device is to read.
fn show(text: &str, addresses: &[String], json: bool) {
    if json {
        say(&json!({"text": text, "addresses": addresses}).to_string());
        return;
    }
    say(&format!(
        "{}\n{text}\n\nThis device listens at {}. The text is for one device, once.\n\
        On the other device, in the same network:\n  karwan device sync DEV --with TEXT",
        terminal::qr_code(text),
        addresses.join(" or "),
    ));
}
