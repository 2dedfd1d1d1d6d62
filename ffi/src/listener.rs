//! What an app hears: how far a sync is, and what changed. Both are the app's own code, which may throw or be slow: a sync ends
//! with the exception as its error, and changes are told on a thread of their own, gathered while the app is busy.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use karwan_client::{Changed, Listener, Phase, Progress};

use crate::error::KarwanError;

/// Part of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SyncPhase {
    /// Reaching the server.
    Connecting,
    /// Sending what is unsent.
    Sending,
    /// Taking in what is new.
    Receiving,
    /// Fetching forms and media.
    Fetching,
    /// Carrying attachments; the records are at the server.
    Carrying,
    /// Over.
    Done,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SyncProgress {
    /// What is being done.
    pub phase: SyncPhase,
    /// Envelopes that are durable at the server.
    pub envelopes_up: u64,
    /// Envelopes taken in.
    pub envelopes_down: u64,
    /// Bytes of frames sent.
    pub bytes_up: u64,
    /// Bytes of frames received.
    pub bytes_down: u64,
    /// Bytes of attachments sent, those that were there before not counted.
    pub attachment_bytes_up: u64,
    /// Bytes of attachments that came.
    pub attachment_bytes_down: u64,
}

impl From<&Progress> for SyncProgress {
    fn from(progress: &Progress) -> Self {
        let phase = match progress.phase {
            Phase::Connecting => SyncPhase::Connecting,
            Phase::Sending => SyncPhase::Sending,
            Phase::Receiving => SyncPhase::Receiving,
            Phase::Fetching => SyncPhase::Fetching,
            Phase::Carrying => SyncPhase::Carrying,
            Phase::Done => SyncPhase::Done,
        };
        Self {
            phase,
            envelopes_up: progress.envelopes_up,
            envelopes_down: progress.envelopes_down,
            bytes_up: progress.bytes_up,
            bytes_down: progress.bytes_down,
            attachment_bytes_up: progress.attachment_bytes_up,
            attachment_bytes_down: progress.attachment_bytes_down,
        }
    }
}

/// Hears how far a sync is, and can end it. Called on a thread of the library.
#[uniffi::export(with_foreign)]
pub trait SyncListener: Send + Sync {
    /// `false` ends the sync; so does an exception, which the sync then throws. What was done by then is kept and not repeated.
    fn on_progress(&self, progress: SyncProgress) -> Result<bool, KarwanError>;
}

/// Stands between a sync and the app's listener: remembers what the listener threw, and whether the app gave up.
#[derive(Default)]
pub(crate) struct Relay {
    listener: Option<Arc<dyn SyncListener>>,
    given_up: AtomicBool,
    thrown: Mutex<Option<KarwanError>>,
}

impl Relay {
    pub(crate) fn to(listener: Option<Arc<dyn SyncListener>>) -> Arc<Self> {
        Arc::new(Self { listener, ..Self::default() })
    }

    /// Nobody waits for the sync any more: it ends at its next step.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// What the listener threw; it comes before what the sync made of it.
    pub(crate) fn thrown(&self) -> Option<KarwanError> {
        locked(&self.thrown).take()
    }
}

impl Listener for Relay {
    fn progress(&self, progress: &Progress) -> bool {
        if self.given_up.load(Ordering::SeqCst) {
            return false;
        }
        let Some(listener) = &self.listener else { return true };
        match listener.on_progress(progress.into()) {
            Ok(go_on) => go_on,
            Err(error) => {
                locked(&self.thrown).get_or_insert(error);
                false
            }
        }
    }
}

/// What changed since the observer was last told.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct Changes {
    /// These records, and the entities that they write to.
    pub records: Vec<String>,
    /// The forms of this device.
    pub forms: bool,
    /// Names or rights.
    pub people: bool,
}

/// Is told after every commit that changes what a screen may show. Called on a thread of its own, never during another call.
#[uniffi::export(with_foreign)]
pub trait Observer: Send + Sync {
    /// Something changed. An exception is noted in the log and otherwise without effect.
    fn on_changes(&self, changes: Changes) -> Result<(), KarwanError>;
}

/// What is still to be told.
#[derive(Default)]
struct Waiting {
    records: BTreeSet<String>,
    forms: bool,
    people: bool,
    over: bool,
}

/// Gathers changes for one observer.
#[derive(Default)]
struct Gathering {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

impl Gathering {
    /// Waits for changes; `None` when the observation is over.
    fn next(&self) -> Option<Changes> {
        let mut waiting = locked(&self.waiting);
        loop {
            if waiting.over {
                return None;
            }
            if !waiting.records.is_empty() || waiting.forms || waiting.people {
                let told = std::mem::take(&mut *waiting);
                return Some(Changes { records: told.records.into_iter().collect(), forms: told.forms, people: told.people });
            }
            waiting = self.woken.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl karwan_client::Observer for Gathering {
    fn changed(&self, changed: &Changed) {
        let mut waiting = locked(&self.waiting);
        match changed {
            Changed::Records(records) => waiting.records.extend(records.iter().map(ToString::to_string)),
            Changed::Forms => waiting.forms = true,
            Changed::People => waiting.people = true,
        }
        self.woken.notify_one();
    }
}

/// An observer at work; closing or dropping this ends it.
#[derive(uniffi::Object)]
pub struct Observation {
    gathering: Arc<Gathering>,
    /// What the client is told through; it forgets an observer that is gone.
    _held: Arc<dyn karwan_client::Observer>,
}

impl Observation {
    /// Begins to tell this observer of the device's changes.
    pub(crate) fn of(device: &karwan_client::Device, observer: Arc<dyn Observer>) -> Result<Arc<Self>, KarwanError> {
        let gathering = Arc::new(Gathering::default());
        let held: Arc<dyn karwan_client::Observer> = gathering.clone();
        let telling = gathering.clone();
        let thread = std::thread::Builder::new().name("karwan-observer".to_owned()).spawn(move || {
            while let Some(changes) = telling.next() {
                if observer.on_changes(changes).is_err() {
                    tracing::warn!("an observer of the app threw");
                }
            }
        });
        thread.map_err(|error| KarwanError::internal(format!("no thread for observing: {}", error.kind())))?;
        device.subscribe(&held);
        Ok(Arc::new(Self { gathering, _held: held }))
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        locked(&self.gathering.waiting).over = true;
        self.gathering.woken.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use karwan_client::{Observer as _, RecordId};

    use super::*;

    #[test]
    fn changes_gather_while_nobody_listens_and_each_record_is_told_once() {
        let gathering = Gathering::default();
        let (first, second) = (RecordId([1; 16]), RecordId([2; 16]));
        gathering.changed(&Changed::Records(vec![first, second]));
        gathering.changed(&Changed::Forms);
        gathering.changed(&Changed::Records(vec![first]));
        let told = gathering.next().unwrap();
        assert_eq!(told.records, ["01010101-0101-0101-0101-010101010101", "02020202-0202-0202-0202-020202020202"]);
        assert!(told.forms && !told.people);
        gathering.changed(&Changed::People);
        assert_eq!(gathering.next(), Some(Changes { people: true, ..Changes::default() }));
    }

    struct Throws;

    impl SyncListener for Throws {
        fn on_progress(&self, _: SyncProgress) -> Result<bool, KarwanError> {
            Err(KarwanError::internal("the app's side broke"))
        }
    }

    #[test]
    fn what_a_listener_throws_ends_the_sync_and_is_kept() {
        let relay = Relay::to(Some(Arc::new(Throws)));
        assert!(!relay.progress(&Progress::at(Phase::Connecting)));
        assert_eq!(relay.thrown(), Some(KarwanError::internal("the app's side broke")));
    }

    #[test]
    fn a_sync_that_was_given_up_ends_at_its_next_step() {
        let relay = Relay::to(None);
        assert!(relay.progress(&Progress::at(Phase::Sending)));
        relay.give_up();
        assert!(!relay.progress(&Progress::at(Phase::Sending)));
    }
}
