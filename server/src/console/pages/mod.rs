//! The pages, one subject a room.

pub mod csv;
pub mod decide;
pub mod devices;
pub mod file;
pub mod item;
pub mod organisation;
pub mod record;
pub mod records;
pub mod sign_in;
pub mod today;
