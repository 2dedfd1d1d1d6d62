//! Attachments: photographs, signatures, sounds, files. An answer holds an [`AttachmentName`], which is the hash of the content, so a record
//! may speak of one that has not come yet; the bytes travel apart, on streams of their own.
//!
//! [`DeviceTransfer`] and [`ServerTransfer`] are the two sides of such a stream, without I/O: a driver gives them the bytes that came, does
//! the effects that `poll` gives, and asks for the next piece whenever the stream takes more, so that nothing piles up. What came of an
//! attachment stays, and the next stream goes on at that byte, in both directions. Who gives up is told by the transport.

mod device;
mod frame;
mod name;
mod server;

pub use device::{DeviceTransfer, DeviceTransferEffect};
pub use frame::{Decline, FIRST_KIND, TransferFrame};
pub use name::{AttachmentName, AttachmentNameError, references_in};
pub use server::{ServerTransfer, ServerTransferEffect};

use crate::ids::Hash;

/// A piece that the stream may take next: read it and give it to the transfer's `piece`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceWish {
    /// The number of the transfer in this stream.
    pub number: u64,
    /// The attachment.
    pub hash: Hash,
    /// Where the piece begins.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: usize,
}

/// Whether a stream that begins with these bytes is one of attachments; `None` while that cannot be said yet. Bytes that are neither are
/// left to the session of records, which refuses them.
pub fn opens(bytes: &[u8]) -> Option<bool> {
    // The first frame is an array of up to 23 elements whose first is the kind.
    match bytes.get(crate::wire::HEAD_BYTES..) {
        None | Some([] | [_] | [_, 0x18]) => None,
        Some([_, 0x18, kind, ..]) => Some(u64::from(*kind) >= FIRST_KIND),
        Some(_) => Some(false),
    }
}
