//! The pages, one subject a room.

pub mod devices;
pub mod sign_in;
pub mod today;
