//! What of a page can be made without the database, made ahead on every other core while this page and the one before it are written: records
//! that the page begins pass the gate and are read under their form. Nobody needs it: what is not made ahead is made when its turn comes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

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

/// The first change of a record: where it lies in the page.
#[derive(Clone, Copy)]
struct Beginning {
    sequence: u64,
    item: usize,
    record: RecordId,
}

/// What a record's first change comes to.
pub(super) struct Made {
    pub(super) hash: Hash,
    /// What lists say of the record.
    pub(super) projection: Projection,
    /// Its text to be found by.
    pub(super) folded: String,
}

/// All that may be made of a page.
struct Work {
    decoded: Arc<Decoded>,
    beginnings: Vec<Beginning>,
    forms: BTreeMap<Hash, Arc<LoadedForm>>,
    next: AtomicUsize,
}

impl Work {
    /// Changes that stand alone in the page for their record and on no other change. Whether they begin it the database says.
    fn of(inner: &Inner, decoded: Arc<Decoded>) -> Self {
        let mut found: BTreeMap<RecordId, Option<Beginning>> = BTreeMap::new();
        for (sequence, (envelope, _)) in decoded.iter() {
            for (place, item) in envelope.items().iter().enumerate() {
                let Item::Change { record, generation, .. } = item else { continue };
                let beginning = Beginning { sequence: *sequence, item: place, record: *record };
                let alone = (*generation == 0).then_some(beginning);
                found.entry(*record).and_modify(|other| *other = None).or_insert(alone);
            }
        }
        let mut beginnings: Vec<Beginning> = Vec::new();
        for (envelope, _) in decoded.values() {
            // In the order in which they will be asked for.
            beginnings.extend(envelope.items().iter().filter_map(|item| found.remove(&item.record()?)?));
        }
        let known = locked(&inner.forms);
        let forms = known.iter().filter_map(|(hash, loaded)| Some((*hash, loaded.clone()?))).collect();
        Self { decoded, beginnings, forms, next: AtomicUsize::new(0) }
    }

    fn claim(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.beginnings.len()).then_some(number)
    }

    fn make(&self, number: usize) -> Option<Made> {
        let beginning = self.beginnings.get(number)?;
        let (envelope, role) = self.decoded.get(&beginning.sequence)?;
        let Item::Change { change, .. } = envelope.items().get(beginning.item)? else { return None };
        let header = envelope.header();
        let provenance = Provenance {
            device: header.device,
            person: header.person,
            role: *role,
            at_ms: header.clock_ms,
            offset_minutes: header.offset_minutes,
        };
        // A thread that panics takes the process along: what fails here is tried again where the caller sees it.
        catch_unwind(AssertUnwindSafe(|| {
            let mut record = Record::empty(beginning.record);
            let sourced = SourcedChange { bytes: change.clone(), provenance };
            let hash = gate::admit(&mut record, sourced, header.incarnation.0).ok()?;
            let loaded = self.forms.get(&record.form()?)?;
            let projection = project_for_lists(&record, Some(&loaded.form), &loaded.shape);
            let folded = search_text(projection.search_text.split('\n'));
            Some(Made { hash, projection, folded })
        }))
        .ok()
        .flatten()
    }

    fn stop(&self) {
        self.next.store(self.beginnings.len(), Ordering::Relaxed);
    }
}

/// What threads make, as it is needed. Those that are left when it is dropped stop.
pub(super) struct Ahead {
    work: Arc<Work>,
    numbers: BTreeMap<RecordId, usize>,
    done: Receiver<(usize, Option<Made>)>,
    made: BTreeMap<usize, Option<Made>>,
    /// Whether threads are at it: of little, or without its forms, it is not worth one.
    pub(super) is_begun: bool,
}

impl Ahead {
    /// Begins with a page's envelopes.
    pub(super) fn begin(inner: &Inner, decoded: Arc<Decoded>) -> Self {
        let work = Arc::new(Work::of(inner, decoded));
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let is_worth_it = work.beginnings.len() >= RECORDS_MIN && !work.forms.is_empty();
        let (tell, done) = channel();
        let mut is_begun = false;
        for _ in 1..if is_worth_it { cores } else { 1 } {
            let (work, tell): (Arc<Work>, Sender<(usize, Option<Made>)>) = (work.clone(), tell.clone());
            let thread = std::thread::Builder::new().name("ahead".to_owned()).spawn(move || {
                while let Some(number) = work.claim() {
                    if tell.send((number, work.make(number))).is_err() {
                        return;
                    }
                }
            });
            is_begun |= thread.is_ok();
        }
        let numbers = if is_begun {
            work.beginnings.iter().enumerate().map(|(number, beginning)| (beginning.record, number)).collect()
        } else {
            BTreeMap::new()
        };
        Self { work, numbers, done, made: BTreeMap::new(), is_begun }
    }

    /// What a change of an envelope comes to, where it is the only one of its record in the page and the record was empty before.
    pub(super) fn take(&mut self, envelope: Hash, record: RecordId) -> Option<Made> {
        let number = self.numbers.remove(&record)?;
        let (holds, _) = self.work.decoded.get(&self.work.beginnings.get(number)?.sequence)?;
        if holds.hash() != envelope {
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

impl Drop for Ahead {
    fn drop(&mut self) {
        self.work.stop();
    }
}
