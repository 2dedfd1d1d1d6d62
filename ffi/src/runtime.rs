//! The threads on which a sync runs: the library's own, so that no app's main thread waits for a disk or a network.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use karwan_client::ClientError;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::error::KarwanError;

/// A sync waits for the network nearly all of its time.
const WORKERS: usize = 2;
/// How long a sync that the app gave up may take to end in order, before it is cut off.
const GRACE_MS: u64 = 2_000;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> Result<&'static Runtime, KarwanError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("karwan").enable_all().build();
    let built = built.map_err(|error| KarwanError::internal(format!("no threads for syncing: {}", error.kind())))?;
    // Where two threads came here at once, one of the two runtimes stays and the other, still idle, goes.
    if let Err(surplus) = RUNTIME.set(built) {
        surplus.shutdown_background();
    }
    RUNTIME.get().ok_or_else(KarwanError::panicked)
}

/// Does what needs the library's threads to be there.
pub(crate) fn within<T>(work: impl FnOnce() -> T) -> Result<T, KarwanError> {
    let _there = runtime()?.enter();
    Ok(work())
}

/// Runs work of the client on the library's threads. A panic in it is an error. Where the caller stops waiting, `given_up` is
/// called and the work has a moment to end in order.
pub(crate) async fn run<T, W>(work: W, given_up: impl FnOnce() + Send + 'static) -> Result<T, KarwanError>
where
    T: Send + 'static,
    W: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    // Dropped with the caller's future: that is how the task learns that nobody waits any more.
    let (waiting, gone) = oneshot::channel::<()>();
    let task = runtime()?.spawn(async move {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            outcome = &mut work => return outcome,
            _ = gone => given_up(),
        }
        tokio::time::timeout(Duration::from_millis(GRACE_MS), work).await.unwrap_or(Err(ClientError::Cancelled))
    });
    let outcome = task.await;
    drop(waiting);
    match outcome {
        Ok(outcome) => outcome.map_err(KarwanError::from),
        Err(_) => Err(KarwanError::panicked()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_panic_in_the_work_is_an_error() {
        let outcome = wait(run::<(), _>(async { panic!("a fault") }, || {}));
        assert!(matches!(outcome, Err(KarwanError::Internal { .. })), "{outcome:?}");
    }

    #[test]
    fn work_that_nobody_waits_for_is_told_so_and_may_end_in_order() {
        let (tell, told) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = async move {
            told.await.ok();
            end.send("in order").ok();
            Ok(())
        };
        let given_up = move || tell.send(()).unwrap_or(());
        wait(async {
            tokio::select! {
                biased;
                outcome = run(work, given_up) => panic!("the work waits until it is given up: {outcome:?}"),
                () = std::future::ready(()) => {}
            }
        });
        assert_eq!(wait(ended), Ok("in order"));
    }
}
