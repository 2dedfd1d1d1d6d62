//! The device's encrypted database: one SQLCipher file that holds changes, outbox, log cursors, drafts, forms and projections.
//!
//! [`Store::create`] and [`Store::open`] give a [`Store`]; [`Store::view`] reads; [`Store::write`] writes in one transaction;
//! [`Store::author`] does the same where changes are made or envelopes sealed, after reserving a counter in the witness. The
//! store knows rows and bytes; what a document or a form says is for the layers above it.

pub mod again;
pub mod attachment;
pub mod change;
pub mod draft;
pub mod entity;
pub mod erase;
pub mod error;
pub mod field;
pub mod folder;
pub mod form;
pub mod identity;
pub mod key;
pub mod listing;
pub mod log;
pub mod recovery;
mod salvage;
mod schema;
mod spare;
mod store;
pub mod view;
mod witness;

pub use error::StoreError;
pub use folder::{Folder, LOCK_WAIT_S};
pub use identity::Identity;
pub use key::{DatabaseKey, FileKey, KeyError, KeyProvider, MemoryKey};
pub use salvage::Salvaged;
pub use schema::SCHEMA_VERSION;
pub use spare::Space;
pub use store::{Batch, Opened, Store};
pub use view::View;
