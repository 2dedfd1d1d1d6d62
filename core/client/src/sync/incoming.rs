//! What comes down: membership, names, pages of a caseload's log. Each page is one transaction with its cursor and with what lists
//! and forms read of it, so a session cut off anywhere goes on where it was.

mod ahead;
mod aside;
pub(crate) mod given;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_proto::directory::DirectoryRow;
use karwan_proto::envelope::Envelope;
use karwan_proto::ids::{CaseloadId, Hash, RecordId};
use karwan_proto::limits::MAX_DEFINITIONS_BYTES;
use karwan_proto::log::{Cursor, LogEntry};
use karwan_proto::membership::{Act, Membership, SignedEntry};
use karwan_proto::session::Delivered;
use karwan_store::{Batch, Store};

use super::directory_kind;
use super::report::SyncReport;
use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::observe::Changed;
use ahead::{Ahead, Decoded};
use page::Page;

/// Records that are projected again in one transaction at most.
const PROJECTED_AT_ONCE: usize = 256;

/// Takes in what one session brings.
pub(crate) struct Incoming<'a> {
    inner: &'a Arc<Inner>,
    items_before: BTreeSet<String>,
    changed: BTreeSet<RecordId>,
    forms: bool,
    people: bool,
    /// Definitions of forms that the log has not named yet.
    definitions: BTreeMap<Hash, Vec<u8>>,
    /// Something was erased or let go: nothing of it is to stay in the file.
    scrub: bool,
}

/// A page of a caseload's log that has come, and is not taken in yet.
pub(crate) struct HeldPage {
    caseload: CaseloadId,
    first: u64,
    entries: Vec<Delivered>,
    cursor: Cursor,
    decoded: Arc<Decoded>,
    ahead: Ahead,
}

impl HeldPage {
    /// Whether something of it is made while it is held.
    pub(crate) fn is_begun(&self) -> bool {
        self.ahead.is_begun
    }
}

/// Entries of the membership log that are to be kept.
struct Entries {
    /// Those held from here on were others.
    forget_from: Option<u64>,
    kept: Vec<(u64, Vec<u8>)>,
    /// Records of which they decide something.
    decided: BTreeSet<RecordId>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>) -> Result<Self, ClientError> {
        let items_before = item_ids(inner)?;
        Ok(Self {
            inner,
            items_before,
            changed: BTreeSet::new(),
            forms: false,
            people: false,
            definitions: BTreeMap::new(),
            scrub: false,
        })
    }

    /// Checks and keeps entries of the membership log; caseloads that they grant are held from now on. Where they are others than those held,
    /// the server's take their place: it has taken in ours before.
    pub(crate) fn membership(&mut self, first: u64, entries: &[SignedEntry]) -> Result<(), ClientError> {
        let mut store = locked(&self.inner.store);
        let mut membership = locked(&self.inner.membership);
        let mut next = membership.clone();
        let mut forget_from = None;
        let held = next.cursor().sequence;
        if first <= held {
            let ours = store.view()?.membership()?;
            let place = |position: u64| usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
            let differs = (first..).zip(entries).find(|(position, entry)| {
                *position <= held && place(*position).and_then(|place| ours.get(place)) != Some(&entry.encode())
            });
            if let Some((position, _)) = differs {
                next = Membership::new(next.organisation());
                for bytes in ours.iter().take(place(position).unwrap_or(0)) {
                    next.replay(&SignedEntry::decode(bytes)?)?;
                }
                forget_from = Some(position);
            }
        }
        let held = next.cursor().sequence;
        let mut kept = Vec::new();
        let mut decided = BTreeSet::new();
        for (position, entry) in (first..).zip(entries) {
            if position <= held {
                continue;
            }
            if position != next.cursor().sequence + 1 {
                return Err(ClientError::Session("the membership log has a gap".to_owned()));
            }
            if let Act::Erase { record, .. } | Act::Move { record, .. } = next.apply(entry)?.act {
                decided.insert(record);
            }
            kept.push((position, entry.encode()));
        }
        self.keep_membership(&mut store, &mut membership, next, Entries { forget_from, kept, decided })
    }

    /// Keeps entries of the membership log that were checked, and carries out what they decide of records.
    fn keep_membership(
        &mut self,
        store: &mut Store,
        membership: &mut Membership,
        next: Membership,
        entries: Entries,
    ) -> Result<(), ClientError> {
        let granted = next.readable(self.inner.device).unwrap_or_default();
        let inner: &Inner = self.inner;
        let touched = store.write(|batch| {
            if let Some(position) = entries.forget_from {
                batch.forget_membership_from(position)?;
            }
            for (position, bytes) in &entries.kept {
                batch.put_membership(*position, bytes)?;
            }
            for caseload in granted {
                batch.add_caseload(caseload, Cursor::start_of(caseload).chain)?;
            }
            inner.obey(batch, &next, entries.decided)
        })?;
        *membership = next;
        self.people = true;
        self.scrub |= !touched.is_empty();
        self.changed.extend(touched);
        Ok(())
    }

    /// Keeps names.
    pub(crate) fn directory(&mut self, version: u64, reset: bool, rows: &[DirectoryRow]) -> Result<(), ClientError> {
        self.people = true;
        locked(&self.inner.store).write(|batch| {
            if reset {
                batch.clear_directory()?;
            }
            for named in rows.iter().filter_map(directory_kind) {
                batch.put_name(&named)?;
            }
            batch.set("directory_version", &version.to_be_bytes())?;
            Ok(())
        })
    }

    /// Holds the definition of a form until the log names it, as far as that is reasonable: it can be asked for later.
    pub(crate) fn definition(&mut self, bytes: Vec<u8>) {
        let held: usize = self.definitions.values().map(Vec::len).sum();
        if held + bytes.len() <= MAX_DEFINITIONS_BYTES {
            self.definitions.insert(Hash(*blake3::hash(&bytes).as_bytes()), bytes);
        }
    }

    /// Begins with a page of a caseload's log: what needs no database is made while the page before it is written. Between this and
    /// [`Self::entries`] nothing but that page may be taken in.
    pub(crate) fn hold(&self, caseload: CaseloadId, first: u64, entries: Vec<Delivered>, cursor: Cursor) -> HeldPage {
        let decoded = Arc::new(ahead::decode(&entries, first, &locked(&self.inner.membership)));
        let ahead = Ahead::begin(self.inner, decoded.clone());
        HeldPage { caseload, first, entries, cursor, decoded, ahead }
    }

    /// Takes in a page of a caseload's log, whole or not at all.
    pub(crate) fn entries(&mut self, page: HeldPage, report: &mut SyncReport) -> Result<(), ClientError> {
        let HeldPage { caseload, first, entries, cursor, decoded, ahead } = page;
        let mut store = locked(&self.inner.store);
        let membership = locked(&self.inner.membership);
        let inner: &Inner = self.inner;
        let incarnation = store.incarnation();
        // A later generation of a record may make this device write its unsent edits again.
        let authors = entries
            .iter()
            .any(|delivered| LogEntry::decode(&delivered.entry).is_ok_and(|entry| matches!(entry, LogEntry::Generation { .. })));
        let definitions = &mut self.definitions;
        let work = |batch: &Batch<'_>| {
            batch.add_caseload(caseload, Cursor::start_of(caseload).chain)?;
            let state = batch.view().caseload(caseload)?.ok_or(ClientError::NoCaseload)?;
            if state.sequence + 1 != first {
                return Err(ClientError::Session("the caseload's log has a gap".to_owned()));
            }
            let mut point = Cursor { sequence: state.sequence, chain: state.chain };
            let mut page = Page::new(inner, batch, &membership, caseload, incarnation);
            page.ahead = Some(ahead);
            page.decoded = Some(&decoded);
            page.definitions = Some(definitions);
            for delivered in &entries {
                point = point.after(&delivered.entry);
                page.entry(point, delivered)?;
            }
            batch.set_cursor(caseload, cursor.sequence, cursor.chain)?;
            page.try_set_aside_again()?;
            let touched = page.project()?;
            report.changes_down += page.changes;
            report.forms += page.forms;
            report.refused.append(&mut page.refused);
            report.refused.retain(|refused| !page.overtaken.contains(&refused.envelope));
            report.not_applied.append(&mut page.not_applied);
            Ok::<_, ClientError>((touched, page.forms > 0, page.retired))
        };
        let written = if authors { store.author(work) } else { store.write(work) };
        if written.is_err() {
            // A form that came with what was not kept.
            inner.forget_forms();
        }
        let (touched, forms, retired) = written?;
        self.scrub |= retired;
        if forms {
            self.forms = true;
            self.inner.forget_forms();
        }
        self.changed.extend(touched);
        Ok(())
    }

    /// Takes in envelopes that were asked for after the log had named them.
    pub(crate) fn envelopes(
        &mut self,
        caseload: CaseloadId,
        envelopes: &[Vec<u8>],
        report: &mut SyncReport,
    ) -> Result<(), ClientError> {
        let mut store = locked(&self.inner.store);
        let membership = locked(&self.inner.membership);
        let inner: &Inner = self.inner;
        let incarnation = store.incarnation();
        let touched = store.write(|batch| {
            let mut page = Page::new(inner, batch, &membership, caseload, incarnation);
            let mut named = BTreeMap::new();
            for (sequence, entry) in batch.view().incomplete_entries(caseload)? {
                if let Ok(LogEntry::Envelope { envelope, role, .. }) = LogEntry::decode(&entry) {
                    named.insert(envelope, (sequence, role));
                }
            }
            for bytes in envelopes {
                // What nobody asked for is not taken.
                let Some((sequence, role)) = Envelope::decode(bytes).ok().and_then(|envelope| named.remove(&envelope.hash()))
                else {
                    continue;
                };
                if page.envelope(bytes, sequence, role)? {
                    batch.set_entry_complete(caseload, sequence)?;
                }
            }
            page.try_set_aside_again()?;
            let touched = page.project()?;
            report.changes_down += page.changes;
            report.not_applied.append(&mut page.not_applied);
            Ok::<_, ClientError>(touched)
        })?;
        self.changed.extend(touched);
        Ok(())
    }

    /// Goes back to a point of a caseload's log: all that lay above is to be offered again.
    pub(crate) fn rewind(&mut self, caseload: CaseloadId, cursor: Cursor) -> Result<(), ClientError> {
        Ok(locked(&self.inner.store).write(|batch| {
            batch.rewind_envelopes(caseload, cursor.sequence)?;
            batch.forget_entries_above(caseload, cursor.sequence)?;
            batch.set_cursor(caseload, cursor.sequence, cursor.chain)
        })?)
    }

    /// The device may not read a caseload any more: what is not its own unsent work goes; says whether
    /// nothing is left.
    pub(crate) fn withdrawn(&mut self, caseload: CaseloadId) -> Result<bool, ClientError> {
        let inner: &Inner = self.inner;
        let (gone, whole) = locked(&inner.store).write(|batch| {
            let (gone, whole) = batch.withdraw_caseload(caseload)?;
            for record in &gone {
                inner.unproject(batch, *record, caseload)?;
            }
            Ok::<_, ClientError>((gone, whole))
        })?;
        self.changed.extend(gone);
        self.scrub = true;
        self.forms = true;
        self.inner.forget_forms();
        Ok(whole)
    }

    /// A definition or media file came.
    pub(crate) fn blob_came(&mut self) {
        self.forms = true;
    }

    /// Envelopes that the log named and nobody brought, in this session or an earlier one.
    pub(crate) fn wanted(&self) -> Result<BTreeMap<CaseloadId, Vec<Hash>>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let mut wanted = BTreeMap::new();
        for state in view.caseloads()? {
            let names: Vec<Hash> = view
                .incomplete_entries(state.caseload)?
                .iter()
                .filter_map(|(_, entry)| match LogEntry::decode(entry) {
                    Ok(LogEntry::Envelope { envelope, .. }) => Some(envelope),
                    _ => None,
                })
                .collect();
            if !names.is_empty() {
                wanted.insert(state.caseload, names);
            }
        }
        Ok(wanted)
    }

    /// After the session: records whose form came only now get their titles, lists their items, observers their word.
    pub(crate) fn finish(&mut self, report: &mut SyncReport) -> Result<(), ClientError> {
        if self.forms {
            self.inner.forget_forms();
        }
        self.project_formless()?;
        self.let_go()?;
        let items = item_ids(self.inner)?;
        report.conflicts = items.difference(&self.items_before).count() as u64;
        if self.forms {
            self.inner.observers.tell(&Changed::Forms);
        }
        if self.people {
            self.inner.observers.tell(&Changed::People);
        }
        if !self.changed.is_empty() {
            self.inner.observers.tell(&Changed::Records(self.changed.iter().copied().collect()));
        }
        Ok(())
    }

    /// Records that moved away while something of them was unsent go once that is at the server.
    fn let_go(&mut self) -> Result<(), ClientError> {
        let inner: &Inner = self.inner;
        let mut store = locked(&inner.store);
        let membership = locked(&inner.membership);
        if membership.records().moved().next().is_some() {
            let touched = store.write(|batch| inner.obey(batch, &membership, membership.records().moved()))?;
            self.scrub |= !touched.is_empty();
            self.changed.extend(touched);
        }
        if self.scrub {
            store.scrub()?;
        }
        Ok(())
    }

    fn project_formless(&mut self) -> Result<(), ClientError> {
        let inner: &Inner = self.inner;
        let mut store = locked(&inner.store);
        for form in store.view()?.forms()? {
            let source = form.hash.to_string();
            let mut after = 0;
            loop {
                let part = store.view()?.interviews_under(&source, after, PROJECTED_AT_ONCE)?;
                let Some((last, _)) = part.last() else { break };
                if inner.loaded(&store.view()?, form.hash)?.is_none() {
                    break;
                }
                after = *last;
                store.write(|batch| {
                    for (_, record) in &part {
                        inner.project_again(batch, *record)?;
                    }
                    Ok::<_, ClientError>(())
                })?;
                self.changed.extend(part.into_iter().map(|(_, record)| record));
            }
        }
        Ok(())
    }
}

fn item_ids(inner: &Inner) -> Result<BTreeSet<String>, ClientError> {
    Ok(locked(&inner.store).view()?.item_ids()?)
}
