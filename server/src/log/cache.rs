//! Records that were judged a moment ago, kept loaded: a team that comes home brings many changes of the same records.

use std::collections::{BTreeMap, VecDeque};

use karwan_proto::RecordId;
use karwan_record::Record;

/// Records kept; a loaded record costs 17 to 46 KiB.
const RECORDS_MAX: usize = 1_000;

/// Loaded records, the oldest dropped first.
#[derive(Default)]
pub(crate) struct RecordCache {
    records: BTreeMap<RecordId, Record>,
    order: VecDeque<RecordId>,
}

impl RecordCache {
    /// Takes a record out.
    pub(crate) fn take(&mut self, id: RecordId) -> Option<Record> {
        self.records.remove(&id)
    }

    /// Keeps a record.
    pub(crate) fn keep(&mut self, record: Record) {
        let id = record.id();
        if self.records.insert(id, record).is_none() {
            self.order.push_back(id);
        }
        while self.records.len() > RECORDS_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.records.remove(&oldest);
        }
        // An entry that was taken out and not put back leaves its place in the order: do not let those pile up.
        if self.order.len() > RECORDS_MAX * 4 {
            self.order = self.records.keys().copied().collect();
        }
    }

    /// Forgets everything: what was judged was not committed.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.order.clear();
    }
}
