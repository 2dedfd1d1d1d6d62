//! Room on the device: photographs and files that are safe at the server may go, and come back when somebody wants to see them.

use crate::device::{Device, locked};
use crate::error::ClientError;

pub use karwan_store::Space;

/// What was let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many attachments.
    pub attachments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is left.
    pub left: Space,
}

impl Device {
    /// What attachments take on this device, and what of it may go.
    pub fn space(&self) -> Result<Space, ClientError> {
        let store = locked(&self.inner.store);
        let epoch = store.epoch()?;
        Ok(store.view()?.attachment_space(epoch)?)
    }

    /// Lets attachments go, the oldest first, until all together take at most so many bytes: those that the server has, whose records it has accepted,
    /// and, of those made here, that are in a backup of it. One that a draft or anything unsent needs stays. What went is fetched like any other that
    /// is not here: [`Device::want_attachment`]. Takes a while where the database is large.
    pub fn free_space(&self, keep_bytes: u64) -> Result<Freed, ClientError> {
        let mut store = locked(&self.inner.store);
        let epoch = store.epoch()?;
        let mut freed = Freed::default();
        let over = store.view()?.attachment_space(epoch)?.bytes.saturating_sub(keep_bytes);
        let mut going = store.view()?.attachments_to_spare(epoch)?;
        going.retain(|(_, length)| {
            let goes = freed.bytes < over;
            if goes {
                freed.attachments += 1;
                freed.bytes += length;
            }
            goes
        });
        store.write(|batch| going.iter().try_for_each(|(hash, _)| batch.drop_attachment_content(*hash)))?;
        if let Err(error) = store.give_back_free_pages() {
            // Where the disk is too full even for that, what comes next is written where these were.
            tracing::warn!(%error, "free pages stay in the file");
        }
        freed.left = store.view()?.attachment_space(epoch)?;
        Ok(freed)
    }
}
