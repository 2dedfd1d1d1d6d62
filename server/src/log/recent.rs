//! What the writer has taken in a moment ago, for who reads the log behind it: records as the gate loaded them, for the tables, and envelopes as
//! they came, for other devices. What is here no more is read from the log, as it always can be.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use karwan_proto::{CaseloadId, Hash, RecordId};
use karwan_record::Record;

use super::cache::Bounded;
use crate::organisation::Organisation;

/// Bytes of the records at most, as they are counted here; loaded, a record takes about four times as much.
const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of the records above which the writer waits for the tables: what is not handed over must be loaded once more. Enough for some seconds:
/// until then what devices bring has the machine first.
const RECORD_BYTES_WAITED_FOR: usize = 24 * 1024 * 1024;
/// The same where tables are in a database of another process and slower.
const RECORD_BYTES_WAITED_FOR_SHARED: usize = 3 * 1024 * 1024;
/// What a record is counted with beside its changes.
const RECORD_BYTES: usize = 2 * 1024;
/// How long the writer waits where nobody takes a record.
const TAKEN_WAIT: Duration = Duration::from_secs(2);
/// Bytes of envelopes at most.
const ENVELOPE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A record of which the log had nothing before the entry that brought it.
pub(crate) struct Begun {
    pub(crate) caseload: CaseloadId,
    pub(crate) sequence: u64,
    pub(crate) record: Arc<Record>,
    /// Of its changes.
    pub(crate) bytes: usize,
}

/// An envelope as it came.
#[derive(Clone)]
pub(crate) struct Came {
    pub(crate) hash: Hash,
    pub(crate) bytes: Arc<[u8]>,
    /// Changes in it.
    pub(crate) changes: usize,
}

/// What was taken in a moment ago.
pub(crate) struct Recent {
    records: Bounded<RecordId, Begun>,
    envelopes: Bounded<Hash, Came>,
    /// Nobody has taken a record for too long.
    given_up: bool,
}

impl Default for Recent {
    fn default() -> Self {
        Self { records: Bounded::of(RECORD_BYTES_MAX), envelopes: Bounded::of(ENVELOPE_BYTES_MAX), given_up: false }
    }
}

impl Recent {
    /// Keeps records whose entries were committed.
    pub(crate) fn put_records(&mut self, begun: Vec<Begun>) {
        for begun in begun {
            let bytes = begun.bytes + RECORD_BYTES;
            self.records.put(begun.record.id(), begun, bytes);
        }
    }

    /// Keeps envelopes that were committed.
    pub(crate) fn put_envelopes(&mut self, came: Vec<Came>) {
        for came in came {
            let bytes = came.bytes.len();
            self.envelopes.put(came.hash, came, bytes);
        }
    }

    /// Takes a record out; given where this entry began it. Whatever happened to it since has an entry of its own.
    pub(crate) fn take_record(&mut self, caseload: CaseloadId, id: RecordId, sequence: Option<u64>) -> Option<Arc<Record>> {
        let begun = self.records.take(&id)?;
        self.given_up = false;
        (begun.caseload == caseload && Some(begun.sequence) == sequence).then_some(begun.record)
    }

    /// Forgets records whose entries somebody else has read into the tables, by how far each log was read.
    pub(crate) fn forget_read(&mut self, read: &BTreeMap<CaseloadId, u64>) {
        self.records.retain(|begun| read.get(&begun.caseload).is_none_or(|read| *read < begun.sequence));
    }

    /// An envelope as it came. Whether everything in it may still be told is for the caller to see.
    pub(crate) fn envelope(&self, hash: Hash) -> Option<Came> {
        self.envelopes.get(&hash).cloned()
    }

    /// Whether so much waits that the tables should have their turn.
    fn is_waited_for(&self, bytes: usize) -> bool {
        !self.given_up && self.records.size() > bytes
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.envelopes.clear();
    }
}

impl Organisation {
    /// What was taken in a moment ago.
    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while many records are on their way to the tables and somebody takes them.
    pub(super) fn wait_for_tables(&self) {
        let bytes = if self.databases.are_shared() { RECORD_BYTES_WAITED_FOR_SHARED } else { RECORD_BYTES_WAITED_FOR };
        let mut recent = self.recent();
        while recent.is_waited_for(bytes) {
            let before = recent.records.size();
            let waited = self.recent_taken.wait_timeout_while(recent, TAKEN_WAIT, |recent| recent.records.size() >= before);
            let (again, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
            recent = again;
            recent.given_up |= outcome.timed_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASELOAD: CaseloadId = CaseloadId([7; 16]);

    fn begun(number: u8, sequence: u64) -> Begun {
        Begun { caseload: CASELOAD, sequence, record: Arc::new(Record::empty(RecordId([number; 16]))), bytes: 100 }
    }

    #[test]
    fn a_record_is_given_out_once_and_for_its_entry_only() {
        let mut recent = Recent::default();
        recent.put_records(vec![begun(1, 10), begun(2, 11), begun(3, 12), begun(4, 13)]);
        assert!(recent.take_record(CASELOAD, RecordId([1; 16]), Some(10)).is_some());
        assert!(recent.take_record(CASELOAD, RecordId([1; 16]), Some(10)).is_none(), "it was taken");
        assert!(recent.take_record(CASELOAD, RecordId([2; 16]), Some(14)).is_none(), "a later entry touches it");
        assert!(recent.take_record(CASELOAD, RecordId([3; 16]), None).is_none(), "something else touches it");
        recent.put_records(vec![begun(5, 14), begun(6, 15)]);
        recent.forget_read(&BTreeMap::from([(CASELOAD, 14)]));
        assert!(recent.take_record(CASELOAD, RecordId([5; 16]), Some(14)).is_none(), "it is in the tables");
        assert!(recent.take_record(CASELOAD, RecordId([6; 16]), Some(15)).is_some(), "it is not");
        recent.put_records(vec![begun(4, 13)]);
        assert!(recent.take_record(CaseloadId([8; 16]), RecordId([4; 16]), Some(13)).is_none(), "it came to another caseload");
    }
}
