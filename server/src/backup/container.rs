//! The file of a backup: a head that says what it is, members one after another, and the hash of everything before it at the end.
//!
//! `KARWBAK1 ‖ length of the head (u32be) ‖ head (JSON) ‖ members ‖ 0 (u16be) ‖ BLAKE3`. A member is
//! `length of its name (u16be) ‖ name ‖ length (u64be) ‖ bytes`. Nothing of a file is believed before its hash was found right.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

const MAGIC: &[u8; 8] = b"KARWBAK1";
/// Longest head, in bytes.
const HEAD_BYTES_MAX: usize = 4 * 1024;
/// Longest name of a member, in bytes.
const NAME_BYTES_MAX: usize = 160;
/// Most members.
const MEMBERS_MAX: usize = 1_000_000;
/// Length of the hash at the end.
const HASH_BYTES: usize = blake3::OUT_LEN;
/// Bytes read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What a file of a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Logs, names, forms, media, and the keys of server and administrator.
    Organisation,
    /// Keys of records.
    RecordKeys,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What it is.
    pub part: Part,
    /// The organisation's identifier.
    pub organisation: String,
    /// When it was made, in milliseconds since 1970.
    pub made_at_ms: i64,
}

/// Writes a file beside its final place; it gets its name when it is whole and on the disk.
pub struct Writing {
    out: BufWriter<File>,
    hasher: blake3::Hasher,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Writing {
    /// Begins a file that only its owner may read.
    pub fn begin(path: &Path, head: &Head) -> Result<Self, Problem> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = path.with_file_name(name);
        std::fs::remove_file(&unfinished).ok();
        let file = File::options().create_new(true).write(true).mode(0o600).open(&unfinished).map_err(|error| {
            let what = format!("{} cannot be written: {error}", path.display());
            Problem::input("unwritable", what, "Give a file in a folder that is there and may be written.")
        })?;
        let mut writing = Self { out: BufWriter::new(file), hasher: blake3::Hasher::new(), unfinished, path: path.to_owned() };
        let head = serde_json::to_vec(head)?;
        writing.put(MAGIC)?;
        writing.put(&(head.len() as u32).to_be_bytes())?;
        writing.put(&head)?;
        Ok(writing)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.hasher.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }

    /// Adds a file under a name.
    pub fn add(&mut self, name: &str, from: &Path) -> Result<(), Problem> {
        let mut file = File::open(from)?;
        let length = file.metadata()?.len();
        self.put(&(name.len() as u16).to_be_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&length.to_be_bytes())?;
        let mut left = length;
        let mut piece = vec![0u8; PIECE_BYTES];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let part = piece.get_mut(..most).unwrap_or_default();
            file.read_exact(part)?;
            self.hasher.update(part);
            self.out.write_all(part)?;
            left -= most as u64;
        }
        Ok(())
    }

    /// Ends the file and gives it its name; gives its length in bytes.
    pub fn finish(mut self) -> Result<u64, Problem> {
        self.put(&0u16.to_be_bytes())?;
        let hash = self.hasher.finalize();
        self.out.write_all(hash.as_bytes())?;
        self.out.flush()?;
        let file = self.out.get_ref();
        file.sync_all()?;
        let length = file.metadata()?.len();
        std::fs::rename(&self.unfinished, &self.path)?;
        // The name is durable only when its folder is.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(length)
    }
}

fn damaged(path: &Path, what: &str) -> Problem {
    let error = format!("{} is no whole backup: {what}", path.display());
    Problem::input("damaged-backup", error, "Give another backup, or another copy of this one.")
}

/// A file whose hash is right.
pub struct Whole {
    /// What it says of itself.
    pub head: Head,
    path: PathBuf,
    reader: BufReader<File>,
}

impl Whole {
    /// Reads a file through and refuses it where a byte is another.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let mut file = File::open(path).map_err(|error| {
            let what = format!("{} cannot be read: {error}", path.display());
            Problem::input("unreadable", what, "Give the path of a backup: karwan backup ORG FILE writes one.")
        })?;
        let length = file.metadata()?.len();
        let Some(mut left) = length.checked_sub(HASH_BYTES as u64) else { return Err(damaged(path, "it is too short")) };
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0u8; PIECE_BYTES];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let part = piece.get_mut(..most).unwrap_or_default();
            file.read_exact(part)?;
            hasher.update(part);
            left -= most as u64;
        }
        let mut hash = [0u8; HASH_BYTES];
        file.read_exact(&mut hash)?;
        if blake3::Hash::from_bytes(hash) != hasher.finalize() {
            return Err(damaged(path, "its hash is another, so it was cut off or changed"));
        }
        let mut reader = BufReader::new(File::open(path)?);
        let mut magic = [0u8; 8];
        reader.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(damaged(path, "it is another kind of file, or of a newer karwan"));
        }
        let mut length = [0u8; 4];
        reader.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > HEAD_BYTES_MAX {
            return Err(damaged(path, "its head is too long"));
        }
        let mut head = vec![0u8; length];
        reader.read_exact(&mut head)?;
        let head = serde_json::from_slice(&head).map_err(|_| damaged(path, "its head says nothing known"))?;
        Ok(Self { head, path: path.to_owned(), reader })
    }

    /// Writes its members into a folder.
    pub fn unpack(mut self, folder: &Path) -> Result<(), Problem> {
        for _ in 0..MEMBERS_MAX {
            let mut length = [0u8; 2];
            self.reader.read_exact(&mut length)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length == 0 {
                return Ok(());
            }
            if length > NAME_BYTES_MAX {
                return Err(damaged(&self.path, "a name in it is too long"));
            }
            let mut name = vec![0u8; length];
            self.reader.read_exact(&mut name)?;
            let name = String::from_utf8(name).ok().filter(|name| is_inside(name));
            let Some(name) = name else { return Err(damaged(&self.path, "a name in it leads elsewhere")) };
            let mut length = [0u8; 8];
            self.reader.read_exact(&mut length)?;
            let to = folder.join(&name);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)?;
            }
            write_from(&mut self.reader, u64::from_be_bytes(length), &to)?;
        }
        Err(damaged(&self.path, "it has too many members"))
    }
}

fn write_from(reader: &mut impl Read, length: u64, to: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(to)?;
    let copied = std::io::copy(&mut reader.take(length), &mut file)?;
    if copied != length {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(file.sync_all()?)
}

/// At most one folder deep, and made of nothing but plain names.
fn is_inside(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    name.split('/').count() <= 2 && name.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn head() -> Head {
        Head { part: Part::Organisation, organisation: "o".to_owned(), made_at_ms: 5 }
    }

    #[test]
    fn members_come_back_and_every_other_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (source, file) = (folder.path().join("source"), folder.path().join("backup"));
        std::fs::write(&source, b"content").unwrap();
        let mut writing = Writing::begin(&file, &head()).unwrap();
        writing.add("keys/server.key", &source).unwrap();
        let length = writing.finish().unwrap();
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(bytes.len() as u64, length);
        let out = folder.path().join("out");
        let whole = Whole::open(&file).unwrap();
        assert_eq!(whole.head, head());
        whole.unpack(&out).unwrap();
        assert_eq!(std::fs::read(out.join("keys/server.key")).unwrap(), b"content");
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            std::fs::write(&file, &other).unwrap();
            assert_eq!(Whole::open(&file).err().unwrap().status, Problem::INPUT, "byte {place}");
        }
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Whole::open(&file).is_err());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../x", "/etc/x", "a/b/c", ".hidden", "keys/../x", "", "a//b"] {
            assert!(!is_inside(name), "{name}");
        }
        assert!(is_inside("karwan.db") && is_inside("keys/server.key"));
    }
}
