//! Keeps the tables behind the logs by no more than it takes to read them: a thread of its own, which comes after those that take in what devices
//! bring. A device waits for its receipt with a battery and a line that may go; who reads the tables bears a second.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::host::Host;

/// How much the thread gives way to others: 0 would be as much as they get, 19 is the most. What waits for it is bounded, and the writer waits
/// for it then.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// Looks again after so long where nobody rang.
const PAUSE: Duration = Duration::from_secs(5);
/// Pause after a failure.
const PAUSE_FAILED: Duration = Duration::from_secs(1);

/// Starts the thread; it ends when `stopped` says so.
pub(crate) fn start(host: Host, stopped: watch::Receiver<bool>) {
    let thread = std::thread::Builder::new().name("tables".to_owned());
    let outcome = thread.spawn(move || {
        give_way();
        // One of its own: the server's may end before this thread hears of it.
        match Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(run(&host, stopped)),
            Err(error) => tracing::error!(%error, "no timer for the tables: they are brought up to date when somebody asks"),
        }
    });
    if let Err(error) = outcome {
        tracing::error!(%error, "no thread for the tables: they are brought up to date when somebody asks");
    }
}

/// On Linux a thread has a niceness of its own; elsewhere it would be the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the tables' thread gives way to nobody");
    }
}

async fn run(host: &Host, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        let grown = host.organisation.grown.notified();
        let pause = match catch_unwind(AssertUnwindSafe(|| host.projector.catch_up(&host.organisation))) {
            Ok(Ok(0)) => PAUSE,
            Ok(Ok(_)) => continue,
            Ok(Err(problem)) => {
                tracing::error!(code = problem.code, error = problem.error, "projection failed");
                PAUSE_FAILED
            }
            Err(_) => PAUSE_FAILED,
        };
        let failed = pause == PAUSE_FAILED;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = grown, if !failed => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
