//! The library that an app embeds on a field device: enrol, collect, query, observe, sync.
//!
//! [`Device`] is one device's folder: an encrypted database, opened with a key that the platform keeps. [`Device::start`] and
//! [`Device::edit`] give a [`Collect`], in which every answer is on disk before the call returns. [`Device::sync`] brings all that is
//! unsent to the server and everything new back. Where there is no server, two devices that meet sync with each other: [`Device::listen`] and
//! [`Device::sync_with`]. Nothing else needs a network.

pub mod attachments;
pub mod clock;
pub mod collect;
mod decided;
pub mod device;
mod enrol;
pub mod error;
pub mod field;
pub mod forms;
mod lists;
mod observe;
pub mod people;
mod picture;
mod project;
pub mod query;
mod records;
mod rewrite;
mod space;
pub mod sync;

pub use attachments::{AttachmentState, DataSaver, METERED_BYTES_MAX, Network};
pub use clock::{Clock, SystemClock};
pub use collect::{Collect, Filling};
pub use device::Device;
pub use enrol::EnrolRequest;
pub use error::{ClientError, Trouble};
pub use field::Listening;
pub use forms::FormListed;
pub use karwan_form::answer_file;
pub use karwan_form::interview;
pub use karwan_link::Backoff;
pub use karwan_proto::AttachmentName;
pub use karwan_proto::error::MeetingError;
pub use karwan_proto::ids::{CaseloadId, DeviceId, Hash, PersonId, RecordId};
pub use karwan_proto::session::Refusal;
pub use karwan_store::recovery::unwrap as key_by_root;
pub use karwan_store::{DatabaseKey, FileKey, Folder, KeyError, KeyProvider, MemoryKey, Opened, Salvaged, StoreError};
pub use observe::{Changed, Observer};
pub use query::{ListQuery, RecordListed, RecordShown};
pub use space::{Freed, Space};
pub use sync::report::{Carried, Listener, Over, Phase, Progress, Quiet, RefusedEnvelope, SyncReport};
