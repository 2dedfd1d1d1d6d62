//! Inputs in files: what a run begins with, and what of it is worth keeping.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::target::Target;

/// Largest input that is kept in a file, in bytes.
pub const FILE_BYTES_MAX: usize = 16 * 1024;
/// Most files and bytes a target.
pub const FILES_MAX: usize = 150;
pub const FOLDER_BYTES_MAX: usize = 1024 * 1024;
/// Files whose name begins so were written by hand or were a finding: they stay.
const STAYS: [&str; 2] = ["seed-", "finding-"];

/// The corpus of this repository.
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus")
}

/// An input that was kept: its bytes and its marks.
pub type Kept = (Vec<u8>, BTreeSet<u64>);

/// The inputs of a target in the order of their names.
pub fn read(folder: &Path, target: &Target) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder.join(target.name))? {
        let path = entry?.path();
        inputs.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), std::fs::read(&path)?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Writes the smallest inputs that show the most, within the limits, in place of those that were kept before. Gives how many.
pub fn save(folder: &Path, target: &Target, kept: &[Kept]) -> std::io::Result<usize> {
    let folder = folder.join(target.name);
    std::fs::create_dir_all(&folder)?;
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        if STAYS.iter().any(|prefix| entry.file_name().to_string_lossy().starts_with(prefix)) {
            files += 1;
            bytes += entry.metadata()?.len() as usize;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    for input in cover(kept) {
        if files < FILES_MAX && bytes + input.len() <= FOLDER_BYTES_MAX {
            files += 1;
            bytes += input.len();
            std::fs::write(folder.join(format!("kept-{}", &blake3::hash(input).to_hex()[..12])), input)?;
        }
    }
    Ok(files)
}

/// Inputs that have all marks together: each time the one with the most new marks a byte (and a constant, lest the shortest win always).
fn cover(kept: &[Kept]) -> Vec<&[u8]> {
    const FLOOR_BYTES: usize = 512;
    let mut open: Vec<&Kept> = kept.iter().filter(|(input, _)| input.len() <= FILE_BYTES_MAX && !input.is_empty()).collect();
    let mut seen = BTreeSet::new();
    let mut cover = Vec::new();
    while cover.len() < FILES_MAX {
        let worth = |(input, marks): &Kept| marks.difference(&seen).count() as f64 / (input.len() + FLOOR_BYTES) as f64;
        let Some((place, best)) =
            open.iter().enumerate().map(|(place, kept)| (place, worth(kept))).max_by(|left, right| left.1.total_cmp(&right.1))
        else {
            break;
        };
        if best <= 0.0 {
            break;
        }
        let (input, marks) = open.swap_remove(place);
        seen.extend(marks.iter().copied());
        cover.push(input.as_slice());
    }
    cover
}

/// What is kept in memory while a run goes on: for each mark the shortest input that has it.
#[derive(Debug, Default)]
pub struct Pool {
    pub kept: Vec<Kept>,
    shortest: BTreeMap<u64, usize>,
}

impl Pool {
    /// Takes an input in where it is new, or shorter by half than what showed the same; whether it did.
    pub fn offer(&mut self, input: &[u8], marks: BTreeSet<u64>) -> bool {
        let is_new = |mark: &u64| self.shortest.get(mark).is_none_or(|length| input.len() * 2 < *length);
        if !marks.iter().any(is_new) {
            return false;
        }
        for mark in &marks {
            let shortest = self.shortest.entry(*mark).or_insert(input.len());
            *shortest = (*shortest).min(input.len());
        }
        self.kept.push((input.to_vec(), marks));
        true
    }

    /// How many different marks were seen.
    pub fn marks(&self) -> usize {
        self.shortest.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Pool, cover};

    #[test]
    fn what_shows_nothing_new_is_not_kept_and_a_cover_has_every_mark() {
        let mut pool = Pool::default();
        assert!(pool.offer(b"one and two", BTreeSet::from([1, 2])));
        assert!(!pool.offer(b"one again..", BTreeSet::from([1])));
        assert!(pool.offer(b"one", BTreeSet::from([1])));
        assert!(pool.offer(b"three", BTreeSet::from([3])));
        assert_eq!(pool.marks(), 3);
        assert_eq!(cover(&pool.kept), [b"one and two".as_slice(), b"three"]);
    }
}
