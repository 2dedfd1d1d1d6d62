//! What of a page can be made without the database, made ahead on every core while the page is written: records that the page begins pass the
//! gate and are read under their form. Nobody needs it: what is not made ahead is made when its turn comes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use karwan_linkage::search_text;
use karwan_proto::envelope::{Envelope, Item};
use karwan_proto::ids::{Hash, RecordId};
use karwan_proto::log::LogEntry;
use karwan_proto::membership::{Membership, Role};
use karwan_proto::session::Delivered;
use karwan_record::{Projection, Provenance, Record, SourcedChange, gate, project_for_lists};

use crate::device::{Inner, locked};
use crate::forms::LoadedForm;

/// Records below which a page is not worth a thread.
const RECORDS_MIN: usize = 8;
/// Threads that a page takes at most, the one that writes included.
const THREADS_MAX: usize = 4;

/// A page's envelopes whose signature holds, by their entries' numbers.
pub(super) type Decoded = BTreeMap<u64, (Envelope, Role)>;

/// Decodes a page's envelopes. What does not decode, or is not signed by whom it says, is left to be told of when its turn comes.
pub(super) fn decode(entries: &[Delivered], first: u64, membership: &Membership) -> Decoded {
    let mut decoded = Decoded::new();
    for (sequence, delivered) in (first..).zip(entries) {
        let Some(bytes) = &delivered.envelope else { continue };
        let Ok(LogEntry::Envelope { role, .. }) = LogEntry::decode(&delivered.entry) else { continue };
        let Ok(envelope) = Envelope::decode(bytes) else { continue };
        if membership.key_of(envelope.header().device).is_some_and(|key| envelope.verify(&key).is_ok()) {
            decoded.insert(sequence, (envelope, role));
        }
    }
    decoded
}

/// The first change of a record.
#[derive(Clone, Copy)]
struct Beginning<'a> {
    envelope: &'a Envelope,
    role: Role,
    record: RecordId,
    change: &'a [u8],
}

/// What a record's first change comes to.
pub(super) struct Made {
    pub(super) hash: Hash,
    /// What lists say of the record.
    pub(super) projection: Projection,
    /// Its text to be found by.
    pub(super) folded: String,
}

impl Beginning<'_> {
    fn make(&self, forms: &BTreeMap<Hash, Arc<LoadedForm>>) -> Option<Made> {
        let header = self.envelope.header();
        let provenance = Provenance {
            device: header.device,
            person: header.person,
            role: self.role,
            at_ms: header.clock_ms,
            offset_minutes: header.offset_minutes,
        };
        // A thread that panics takes the process along: what fails here is tried again where the caller sees it.
        catch_unwind(AssertUnwindSafe(|| {
            let mut record = Record::empty(self.record);
            let sourced = SourcedChange { bytes: self.change.to_vec(), provenance };
            let hash = gate::admit(&mut record, sourced, header.incarnation.0).ok()?;
            let loaded = forms.get(&record.form()?)?;
            let projection = project_for_lists(&record, Some(&loaded.form), &loaded.shape);
            let folded = search_text(projection.search_text.split('\n'));
            Some(Made { hash, projection, folded })
        }))
        .ok()
        .flatten()
    }
}

/// All that may be made of a page.
pub(super) struct Work<'a> {
    beginnings: Vec<Beginning<'a>>,
    forms: BTreeMap<Hash, Arc<LoadedForm>>,
    next: AtomicUsize,
}

impl<'a> Work<'a> {
    /// Changes that stand alone in the page for their record and on no other change. Whether they begin it the database says.
    pub(super) fn of(inner: &Inner, decoded: &'a Decoded) -> Self {
        let mut found: BTreeMap<RecordId, Option<Beginning<'a>>> = BTreeMap::new();
        for (envelope, role) in decoded.values() {
            for item in envelope.items() {
                let Item::Change { record, generation, change } = item else { continue };
                let beginning = (*generation == 0).then_some(Beginning { envelope, role: *role, record: *record, change });
                found.entry(*record).and_modify(|other| *other = None).or_insert(beginning);
            }
        }
        let mut beginnings: Vec<Beginning<'a>> = Vec::new();
        for (envelope, _) in decoded.values() {
            // In the order in which they will be asked for.
            beginnings.extend(envelope.items().iter().filter_map(|item| found.remove(&item.record()?)?));
        }
        let known = locked(&inner.forms);
        let forms = known.iter().filter_map(|(hash, loaded)| Some((*hash, loaded.clone()?))).collect();
        Self { beginnings, forms, next: AtomicUsize::new(0) }
    }

    fn claim(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.beginnings.len()).then_some(number)
    }

    fn make(&self, number: usize) -> Option<Made> {
        self.beginnings.get(number)?.make(&self.forms)
    }

    fn stop(&self) {
        self.next.store(self.beginnings.len(), Ordering::Relaxed);
    }
}

/// What threads make, as it is needed. Those that are left when it is dropped stop.
pub(super) struct Ahead<'w, 'a> {
    work: &'w Work<'a>,
    numbers: BTreeMap<RecordId, usize>,
    done: Receiver<(usize, Option<Made>)>,
    made: BTreeMap<usize, Option<Made>>,
}

impl<'w, 'a> Ahead<'w, 'a> {
    /// Begins; `None` where it is not worth it.
    pub(super) fn begin<'scope>(scope: &'scope Scope<'scope, '_>, work: &'w Work<'a>) -> Option<Self>
    where
        'w: 'scope,
    {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        if work.beginnings.len() < RECORDS_MIN || work.forms.is_empty() {
            return None;
        }
        let (tell, done) = channel();
        for _ in 1..threads {
            let tell: Sender<(usize, Option<Made>)> = tell.clone();
            scope.spawn(move || {
                while let Some(number) = work.claim() {
                    if tell.send((number, work.make(number))).is_err() {
                        return;
                    }
                }
            });
        }
        let numbers = work.beginnings.iter().enumerate().map(|(number, beginning)| (beginning.record, number)).collect();
        Some(Self { work, numbers, done, made: BTreeMap::new() })
    }

    /// What a change of an envelope comes to, where it is the only one of its record in the page and the record was empty before.
    pub(super) fn take(&mut self, envelope: Hash, record: RecordId) -> Option<Made> {
        let number = self.numbers.remove(&record)?;
        if self.work.beginnings.get(number)?.envelope.hash() != envelope {
            return None;
        }
        loop {
            if let Some(made) = self.made.remove(&number) {
                return made;
            }
            // Rather than wait: the next one that nobody has begun.
            if let Ok((came, made)) = self.done.try_recv() {
                self.made.insert(came, made);
            } else if let Some(claimed) = self.work.claim() {
                self.made.insert(claimed, self.work.make(claimed));
            } else {
                let (came, made) = self.done.recv().ok()?;
                self.made.insert(came, made);
            }
        }
    }
}

impl Drop for Ahead<'_, '_> {
    fn drop(&mut self) {
        self.work.stop();
    }
}
