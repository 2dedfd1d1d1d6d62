//! What a process was at when it was killed, told from outside: by the call that it was in when last looked at (Linux shows each thread's
//! in `/proc`), and by what its databases' write-ahead logs hold afterwards.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Numbers of the calls that write a file or make it durable: `write`, `pwrite64`, `fsync`, `fdatasync`, `ftruncate`.
#[cfg(target_arch = "x86_64")]
const WRITING_CALLS: [u64; 5] = [1, 18, 74, 75, 77];
#[cfg(not(target_arch = "x86_64"))]
const WRITING_CALLS: [u64; 5] = [64, 68, 82, 83, 46];

/// Bytes before the first frame of a write-ahead log, and before the page in each frame (SQLite, "WAL-mode file format").
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// A commit that is shorter cannot be seen from outside.
const COMMIT_LEAST: Duration = Duration::from_micros(300);

/// When a process died: before, during or after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Before,
    During,
    After,
}

/// Watches a process that writes into a folder.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    logs: BTreeMap<PathBuf, WriteAheadLog>,
    writing: bool,
}

impl Witness {
    /// Notes what the folder's databases hold now.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), logs: logs(folder), writing: false }
    }

    /// Looks whether a thread of the process is writing a file of the folder or making it durable.
    pub fn look(&mut self, process: u32) -> bool {
        self.writing = calls(process).any(|(call, file)| {
            WRITING_CALLS.contains(&call)
                && std::fs::read_link(format!("/proc/{process}/fd/{file}")).is_ok_and(|path| path.starts_with(&self.folder))
        });
        self.writing
    }

    /// What the last look saw.
    pub fn writing(&self) -> bool {
        self.writing
    }

    /// When the process died, which is dead now. One that had acknowledged its work died after its commit.
    pub fn death(&self, acknowledged: bool) -> Death {
        if acknowledged {
            return Death::After;
        }
        let now = logs(&self.folder);
        let torn = now.iter().any(|(path, log)| log.frames > log.committed && self.logs.get(path) != Some(log));
        if self.writing || torn {
            Death::During
        } else if now == self.logs {
            Death::Before
        } else {
            Death::After
        }
    }
}

/// Whether making a write durable takes so long in a folder that a witness can see it: in memory, or on a disk that only says so, it does
/// not, and nobody dies in a commit.
pub fn sees_commits(folder: &Path) -> bool {
    let file = folder.join("durable");
    let mut times: Vec<Duration> = (0..9_u8)
        .filter_map(|turn| {
            let since = Instant::now();
            std::fs::File::create(&file)
                .and_then(|mut file| file.write_all(&[turn; 4096]).and_then(|()| file.sync_all()))
                .ok()?;
            Some(since.elapsed())
        })
        .collect();
    std::fs::remove_file(&file).ok();
    times.sort();
    times.get(times.len() / 2).is_some_and(|median| *median >= COMMIT_LEAST)
}

/// What a write-ahead log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WriteAheadLog {
    salt: [u8; 8],
    /// Frames of this log, a torn one included.
    frames: usize,
    /// Frames up to the last that ends a transaction.
    committed: usize,
}

impl WriteAheadLog {
    fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let page_bytes = usize::try_from(u32::from_be_bytes(header[8..12].try_into().ok()?)).ok()?;
        let salt = header[16..24].try_into().ok()?;
        let mut log = Self { salt, frames: 0, committed: 0 };
        for frame in bytes[HEADER_BYTES..].chunks(FRAME_HEADER_BYTES + page_bytes) {
            if frame.get(8..16).is_some_and(|own| own != salt) {
                break;
            }
            log.frames += 1;
            let ends_transaction = frame.get(4..8).is_some_and(|pages| pages != [0; 4]);
            if frame.len() == FRAME_HEADER_BYTES + page_bytes && ends_transaction {
                log.committed = log.frames;
            }
        }
        Some(log)
    }
}

/// The write-ahead logs in a folder.
fn logs(folder: &Path) -> BTreeMap<PathBuf, WriteAheadLog> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-wal"));
    named.filter_map(|path| WriteAheadLog::read(&std::fs::read(&path).ok()?).map(|log| (path, log))).collect()
}

/// The call that each thread of a process is in, and its first argument.
fn calls(process: u32) -> impl Iterator<Item = (u64, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| {
        let told = std::fs::read_to_string(task.path().join("syscall")).ok()?;
        let mut words = told.split(' ');
        let call = words.next()?.parse().ok()?;
        let first = words.next()?.trim_start_matches("0x");
        Some((call, u64::from_str_radix(first, 16).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of pages of 512 bytes whose frames have these salts and sizes of the database.
    fn log(frames: &[(u8, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[8..12].copy_from_slice(&512u32.to_be_bytes());
        bytes[16..24].fill(7);
        for (salt, pages) in frames {
            bytes.extend([0; 4]);
            bytes.extend(pages.to_be_bytes());
            bytes.extend([*salt; 8]);
            bytes.extend([0; 8 + 512]);
        }
        bytes
    }

    #[test]
    fn frames_after_the_last_commit_are_a_torn_transaction() {
        let read = |bytes: &[u8]| WriteAheadLog::read(bytes).map(|log| (log.frames, log.committed));
        assert_eq!(read(&log(&[(7, 0), (7, 9), (7, 0)])), Some((3, 2)));
        // Those of an older log count no more.
        assert_eq!(read(&log(&[(7, 9), (6, 0)])), Some((1, 1)));
        let half = log(&[(7, 9), (7, 9)]);
        assert_eq!(read(&half[..half.len() - 1]), Some((2, 1)));
    }
}
