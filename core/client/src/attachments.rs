//! Attachments on a device: giving one to a question of an interview, seeing how far it is, reading it. Their bytes go to the server and come
//! from it with a sync, behind the records: see [`crate::sync`].

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use karwan_form::interview::StateKind;
use karwan_form::model::NodeId;
use karwan_proto::attachment::AttachmentName;
use karwan_proto::ids::Hash;
use karwan_proto::limits::MAX_ATTACHMENT_BYTES;

use crate::collect::Collect;
use crate::device::{Device, Inner, locked};
use crate::error::ClientError;
use crate::picture;

/// Largest attachment that goes over a network that is paid by the byte: a signature, a small photograph.
pub const METERED_BYTES_MAX: u64 = 256 * 1024;
const DAY_MS: i64 = 86_400_000;
/// Name of the setting that holds what a day may carry.
const SAVER: &str = "data_saver_bytes_a_day";
/// Name of the setting that holds the day and what it has carried.
const SPENT: &str = "data_saver_spent";
/// Largest file that is looked at as a photograph.
const PICTURE_BYTES_MAX: u64 = 64 * 1024 * 1024;
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

/// How the network is paid that a sync uses, as the app knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Not by the byte.
    #[default]
    Free,
    /// By the byte: attachments of more than [`METERED_BYTES_MAX`] wait for another network.
    Metered,
}

/// What the device's data saver allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSaver {
    /// Bytes of attachments in a day (UTC), both ways together.
    pub bytes_a_day: u64,
    /// What is left of that today.
    pub left_today: u64,
}

impl Device {
    /// Lets a day carry so many bytes of attachments at most, or as many as there are.
    pub fn set_data_saver(&self, bytes_a_day: Option<u64>) -> Result<(), ClientError> {
        Ok(locked(&self.inner.store).write(|batch| match bytes_a_day {
            Some(bytes) => batch.set(SAVER, &bytes.to_be_bytes()),
            None => batch.unset(SAVER),
        })?)
    }

    /// What the data saver allows; `None` where it is off.
    pub fn data_saver(&self) -> Result<Option<DataSaver>, ClientError> {
        self.inner.data_saver()
    }
}

impl Inner {
    pub(crate) fn data_saver(&self) -> Result<Option<DataSaver>, ClientError> {
        let store = locked(&self.store);
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let Some(bytes_a_day) = store.setting(SAVER)?.and_then(|bytes| number(&bytes)) else { return Ok(None) };
        let spent = store.setting(SPENT)?.unwrap_or_default();
        let spent = match spent.split_at_checked(size_of::<u64>()) {
            Some((day, spent)) if number(day) == Some(self.day()) => number(spent).unwrap_or(0),
            _ => 0,
        };
        Ok(Some(DataSaver { bytes_a_day, left_today: bytes_a_day.saturating_sub(spent) }))
    }

    /// Counts bytes of attachments that went or came.
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), ClientError> {
        let Some(saver) = self.data_saver()? else { return Ok(()) };
        let spent = saver.bytes_a_day - saver.left_today + bytes;
        let value = [self.day().to_be_bytes(), spent.to_be_bytes()].concat();
        Ok(locked(&self.store).write(|batch| batch.set(SPENT, &value))?)
    }

    fn day(&self) -> u64 {
        self.clock.now_ms().div_euclid(DAY_MS) as u64
    }
}

impl Collect {
    /// Answers a question that asks for a file with a copy of this one; a photograph is made smaller where the form asks for that
    /// (`max-pixels`).
    pub fn attach(&mut self, place: &str, path: &Path) -> Result<AttachmentName, ClientError> {
        let node = self.interview().node(place).filter(|node| node.kind == StateKind::Upload);
        let node = node.ok_or_else(|| ClientError::NotAFileQuestion(place.to_owned()))?;
        let unreadable = |error: std::io::Error| ClientError::FileUnreadable(error.kind().to_string());
        let mut file = File::open(path).map_err(unreadable)?;
        let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(longest) = node.node.and_then(|node| self.max_pixels(node))
            && file.metadata().map_err(unreadable)?.len() <= PICTURE_BYTES_MAX
        {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(unreadable)?;
            if let Some(smaller) = picture::scaled(&content, longest) {
                let hash = Hash(*blake3::hash(&smaller).as_bytes());
                return self.keep(
                    place,
                    &AttachmentName::of_file(hash, file_name),
                    smaller.len() as u64,
                    &mut smaller.as_slice(),
                );
            }
            file = File::open(path).map_err(unreadable)?;
        }
        let (hash, length) = hash_of(&mut file).map_err(unreadable)?;
        if length == 0 || length > MAX_ATTACHMENT_BYTES {
            return Err(ClientError::FileSize { came: length, limit: MAX_ATTACHMENT_BYTES });
        }
        let mut content = BufReader::new(File::open(path).map_err(unreadable)?);
        self.keep(place, &AttachmentName::of_file(hash, file_name), length, &mut content)
    }

    fn keep(
        &mut self,
        place: &str,
        name: &AttachmentName,
        length: u64,
        content: &mut dyn Read,
    ) -> Result<AttachmentName, ClientError> {
        let record = self.record();
        locked(self.store()).write(|batch| batch.put_attachment(name, length, content, record))?;
        self.set(place, &name.to_string())?;
        Ok(name.clone())
    }

    /// How many pixels the longer side of a photograph may have, where the form says.
    fn max_pixels(&self, node: NodeId) -> Option<u32> {
        let control = self.form().nodes.get(node)?.control.as_ref()?;
        control.parameters.get("max-pixels")?.trim().parse().ok()
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
