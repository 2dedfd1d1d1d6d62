//! The library that an app embeds on a field device: enrol, collect, query, observe, sync.
//!
//! [`Device`] is one device's folder: an encrypted database, opened with a key that the platform keeps. [`Device::start`] and
//! [`Device::edit`] give a [`Collect`], in which every answer is on disk before the call returns. [`Device::sync`] brings all that is
//! unsent to the server and everything new back. Nothing else needs a network.

pub mod clock;
mod observe;

pub use clock::{Clock, SystemClock};
pub use observe::{Changed, Observer};
