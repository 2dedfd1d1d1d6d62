//! Attachments on a device: giving one to a question of an interview, seeing how far it is, reading it. Their bytes go to the server and come
//! from it with a sync, behind the records: see [`crate::sync`].

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use karwan_form::interview::StateKind;
use karwan_proto::attachment::AttachmentName;
use karwan_proto::ids::Hash;
use karwan_proto::limits::MAX_ATTACHMENT_BYTES;

use crate::collect::Collect;
use crate::device::{Device, locked};
use crate::error::ClientError;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// How far an attachment is on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentState {
    /// Its length in bytes; unknown until it begins to come.
    pub length: Option<u64>,
    /// Bytes of it that are here.
    pub held: u64,
    /// All of it is here.
    pub whole: bool,
    /// The server said to have it.
    pub at_server: bool,
}

impl Collect {
    /// Answers a question that asks for a file with a copy of this one.
    pub fn attach(&mut self, place: &str, path: &Path) -> Result<AttachmentName, ClientError> {
        if self.interview().node(place).is_none_or(|node| node.kind != StateKind::Upload) {
            return Err(ClientError::NotAFileQuestion(place.to_owned()));
        }
        let unreadable = |error: std::io::Error| ClientError::FileUnreadable(error.kind().to_string());
        let mut file = File::open(path).map_err(unreadable)?;
        let (hash, length) = hash_of(&mut file).map_err(unreadable)?;
        if length == 0 || length > MAX_ATTACHMENT_BYTES {
            return Err(ClientError::FileSize { came: length, limit: MAX_ATTACHMENT_BYTES });
        }
        let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = AttachmentName::of_file(hash, file_name);
        let mut content = BufReader::new(File::open(path).map_err(unreadable)?);
        let record = self.record();
        locked(self.store()).write(|batch| batch.put_attachment(&name, length, &mut content, record))?;
        self.set(place, &name.to_string())?;
        Ok(name)
    }
}

fn hash_of(content: &mut impl Read) -> std::io::Result<(Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut length = 0;
    loop {
        let many = content.read(&mut buffer)?;
        if many == 0 {
            return Ok((Hash(*hasher.finalize().as_bytes()), length));
        }
        hasher.update(buffer.get(..many).unwrap_or_default());
        length += many as u64;
    }
}

impl Device {
    /// How far an attachment is; `None` where nothing of it is here.
    pub fn attachment(&self, name: &AttachmentName) -> Result<Option<AttachmentState>, ClientError> {
        let known = locked(&self.inner.store).view()?.attachment(name.hash())?;
        Ok(known.map(|known| AttachmentState {
            length: known.length,
            held: known.held,
            whole: known.whole,
            at_server: known.kept_in.is_some(),
        }))
    }

    /// Asks for an attachment: the next sync brings it.
    pub fn want_attachment(&self, name: &AttachmentName) -> Result<(), ClientError> {
        Ok(locked(&self.inner.store).write(|batch| batch.want_attachment(name.hash()))?)
    }

    /// Writes the content of an attachment that is here whole.
    pub fn read_attachment(&self, name: &AttachmentName, into: &mut dyn Write) -> Result<u64, ClientError> {
        let missing = || ClientError::AttachmentElsewhere(name.to_string());
        let length = {
            let store = locked(&self.inner.store);
            let known = store.view()?.attachment(name.hash())?;
            known.filter(|known| known.whole).and_then(|known| known.length).ok_or_else(missing)?
        };
        let mut offset = 0;
        while offset < length {
            let piece = locked(&self.inner.store).view()?.attachment_piece(name.hash(), offset, READ_BYTES)?;
            if piece.is_empty() {
                return Err(missing());
            }
            into.write_all(&piece).map_err(|error| ClientError::FileUnreadable(error.kind().to_string()))?;
            offset += piece.len() as u64;
        }
        Ok(length)
    }
}
