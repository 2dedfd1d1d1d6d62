//! A disk that does as it is told to at one operation: fails, fills up, tears a write, or loses what was not synced.
//!
//! The real file holds what the system would show; beside it each file keeps what is certainly on the disk and, in order, what was written
//! since. After a [`Fault::PowerCut`] the file is put together again from the first and none or some of the second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::corpus::Dice;

/// A write may be cut here, as disks do.
const SECTOR_BYTES: usize = 512;

/// What happens at the operation chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails, once.
    Refused,
    /// The disk is full from here on, until [`end`].
    Full,
    /// The process is killed before it.
    Killed,
    /// Part of a write reaches the file, and the process is killed.
    Torn,
    /// The power goes: nothing that was not synced is there afterwards.
    PowerCut,
    /// The power goes: some of what was not synced is there, some of it in part, chosen by this seed.
    PowerCutSome(u64),
    /// The power goes, and the disk had said that it synced when it had not: what no program survives, and a test must find out.
    PowerCutAfterLies,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Writes, syncs, truncations, and files made and deleted.
    Operations,
    /// Syncs of write-ahead logs: as many as there are commits, whatever the sizes of what is written.
    Commits,
}

/// Of what is counted this one goes wrong, in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub counted: Counted,
    pub at: u64,
    pub fault: Fault,
}

/// What SQLite is told about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Failed,
    Full,
    /// So many bytes are written, then it fails.
    Partly(usize),
}

#[derive(Debug, Clone)]
enum Unsynced {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
struct Kept {
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Deleted, and the folder not synced since.
    deleted: bool,
}

fn apply(content: &mut Vec<u8>, change: &Unsynced, part: Option<usize>) {
    match change {
        Unsynced::Write { offset, bytes } => {
            let bytes = &bytes[..part.unwrap_or(bytes.len()).min(bytes.len())];
            if content.len() < offset + bytes.len() {
                content.resize(offset + bytes.len(), 0);
            }
            content[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Unsynced::Length(length) => content.resize(*length, 0),
    }
}

/// The files below one folder.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    plan: Option<Plan>,
    operations: u64,
    commits: u64,
    dead: bool,
    full: bool,
    files: BTreeMap<PathBuf, Kept>,
}

static DISK: Mutex<Option<Disk>> = Mutex::new(None);

fn disk() -> MutexGuard<'static, Option<Disk>> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the databases below this folder are on a disk that follows the plan; without one it only counts.
pub fn begin(root: &Path, plan: Option<Plan>) {
    super::vfs::register();
    let root = root.to_owned();
    *disk() = Some(Disk { root, plan, operations: 0, commits: 0, dead: false, full: false, files: BTreeMap::new() });
}

/// Operations counted so far.
pub fn operations() -> u64 {
    disk().as_ref().map_or(0, |disk| disk.operations)
}

/// Whether there is a fault that has happened or will.
pub fn is_active() -> bool {
    disk().as_ref().is_some_and(|disk| disk.plan.is_some())
}

/// Whether the process that uses the disk counts as killed: nothing that it does reaches the disk any more.
pub fn is_dead() -> bool {
    disk().as_ref().is_some_and(|disk| disk.dead)
}

/// Whether the fault that is planned is a power cut.
pub fn is_power_cut() -> bool {
    let planned = disk().as_ref().and_then(|disk| disk.plan.map(|plan| plan.fault));
    matches!(planned, Some(Fault::PowerCut | Fault::PowerCutSome(_) | Fault::PowerCutAfterLies))
}

/// Ends the faults. Every database below the folder must be closed. After a power cut the files are what the disk kept.
///
/// # Panics
/// Where a file cannot be written.
#[allow(clippy::expect_used)]
pub fn end() {
    let Some(disk) = disk().take() else { return };
    let mut dice = match (disk.dead, disk.plan.map(|plan| plan.fault)) {
        (true, Some(Fault::PowerCut | Fault::PowerCutAfterLies)) => None,
        (true, Some(Fault::PowerCutSome(seed))) => Some(Dice::new(seed)),
        _ => return,
    };
    for (path, kept) in disk.files {
        let mut content = kept.durable;
        if kept.deleted {
            // Whether the folder's listing was written is the disk's choice.
            if !path.exists() && !content.is_empty() && dice.as_mut().is_some_and(|dice| dice.below(2) == 0) {
                std::fs::write(&path, &content).expect("a deleted file comes back");
            }
            continue;
        }
        if let Some(dice) = &mut dice {
            for change in &kept.unsynced {
                let part = match (dice.below(4), change) {
                    (0, _) => continue,
                    (1, Unsynced::Write { bytes, .. }) => {
                        Some(dice.below((bytes.len() / SECTOR_BYTES) as u64 + 1) as usize * SECTOR_BYTES)
                    }
                    _ => None,
                };
                apply(&mut content, change, part);
            }
        }
        if path.exists() {
            std::fs::write(&path, &content).expect("what the disk kept is written");
        }
    }
}

/// Whether a file is on the disk, so that its operations are told to it.
pub(super) fn holds(path: &Path) -> bool {
    disk().as_ref().is_some_and(|disk| path.starts_with(&disk.root))
}

/// Whether a commit's sync goes well.
pub(super) fn attempt_commit() -> Outcome {
    let number = disk().as_mut().map_or(0, |disk| {
        disk.commits += 1;
        disk.commits - 1
    });
    attempt_at(None, Some(number))
}

/// Whether an operation that changes something goes well. `bytes` is the length of a write.
pub(super) fn attempt(bytes: Option<usize>) -> Outcome {
    attempt_at(bytes, None)
}

fn attempt_at(bytes: Option<usize>, commit: Option<u64>) -> Outcome {
    let mut disk = disk();
    let Some(disk) = disk.as_mut() else { return Outcome::Done };
    if disk.dead {
        return Outcome::Failed;
    }
    let number = disk.operations;
    disk.operations += 1;
    if disk.full && bytes.is_some() {
        return Outcome::Full;
    }
    let is_it = |plan: &Plan| match plan.counted {
        Counted::Operations => plan.at == number,
        Counted::Commits => commit == Some(plan.at),
    };
    let Some(plan) = disk.plan.filter(is_it) else { return Outcome::Done };
    match plan.fault {
        Fault::Refused => Outcome::Failed,
        Fault::Full => {
            disk.full = true;
            if bytes.is_some() { Outcome::Full } else { Outcome::Done }
        }
        Fault::Killed | Fault::PowerCut | Fault::PowerCutSome(_) | Fault::PowerCutAfterLies => {
            disk.dead = true;
            Outcome::Failed
        }
        Fault::Torn => {
            disk.dead = true;
            bytes.map_or(Outcome::Failed, |bytes| Outcome::Partly(bytes / 2))
        }
    }
}

fn with(path: &Path, work: impl FnOnce(&mut Kept)) {
    if let Some(kept) = disk().as_mut().and_then(|disk| disk.files.get_mut(path)) {
        work(kept);
    }
}

/// A file is opened; `found` is what it held before.
pub(super) fn opened(path: &Path, found: impl FnOnce() -> Vec<u8>) {
    if let Some(disk) = disk().as_mut() {
        let known = disk.files.get(path).is_some_and(|kept| !kept.deleted);
        if !known {
            disk.files.insert(path.to_owned(), Kept { durable: found(), ..Kept::default() });
        }
    }
}

pub(super) fn wrote(path: &Path, offset: usize, bytes: &[u8]) {
    with(path, |kept| kept.unsynced.push(Unsynced::Write { offset, bytes: bytes.to_vec() }));
}

pub(super) fn cut_to(path: &Path, length: usize) {
    with(path, |kept| kept.unsynced.push(Unsynced::Length(length)));
}

pub(super) fn synced(path: &Path) {
    let lies = disk().as_ref().is_some_and(|disk| disk.plan.is_some_and(|plan| plan.fault == Fault::PowerCutAfterLies));
    if lies {
        return;
    }
    with(path, |kept| {
        for change in std::mem::take(&mut kept.unsynced) {
            apply(&mut kept.durable, &change, None);
        }
    });
}

pub(super) fn deleted(path: &Path, for_good: bool) {
    let mut disk = disk();
    let Some(disk) = disk.as_mut() else { return };
    if for_good {
        disk.files.remove(path);
    } else if let Some(kept) = disk.files.get_mut(path) {
        kept.deleted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_is_forgotten_and_a_part_of_a_write_is_a_part() {
        let mut content = b"abcdef".to_vec();
        apply(&mut content, &Unsynced::Write { offset: 4, bytes: b"XYZ".to_vec() }, None);
        assert_eq!(content, b"abcdXYZ");
        apply(&mut content, &Unsynced::Write { offset: 0, bytes: b"12".to_vec() }, Some(1));
        assert_eq!(content, b"1bcdXYZ");
        apply(&mut content, &Unsynced::Length(2), None);
        assert_eq!(content, b"1b");
    }
}
