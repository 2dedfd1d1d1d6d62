//! What is signed and crosses the wire, and the sync session, without I/O.
//!
//! Devices sign [`envelope`]s of changes; the server puts them into the [`log`] of a caseload; the [`membership`] log says who may;
//! [`session`] is the conversation between a device and a server, [`attachment`] the one about files, [`wire`] their frames. Time and randomness are arguments.
//! `README.md` beside this crate is the specification, byte for byte.

pub mod attachment;
pub mod codec;
pub mod dictionary;
pub mod directory;
pub mod envelope;
pub mod error;
pub mod ids;
pub mod invitation;
pub mod keys;
pub mod limits;
pub mod log;
pub mod meeting;
pub mod membership;
pub mod session;
mod text;
pub mod wire;

pub use attachment::AttachmentName;
pub use envelope::{Envelope, EnvelopeHeader, Item, SignedHeader};
pub use ids::{CaseloadId, DeviceId, Hash, IncarnationId, OrganisationId, PersonId, RecordId};
pub use invitation::Invitation;
pub use keys::{PublicKey, Signature, SigningKey};
pub use log::{Cursor, LogEntry, Reason, Verdict};
pub use meeting::Meeting;
pub use membership::{Membership, Role};
pub use session::{DeviceSession, ServerSession};
