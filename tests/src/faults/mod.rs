//! Disks that fail: a SQLite file system that refuses, tears and forgets writes, and what a device and a server make of it.
//!
//! [`disk`] says what happens at which operation and what is left after a power cut; [`vfs`] puts it under every database of the process;
//! [`points`] runs a device and its server over it, once for each operation and fault, against a plain model.

pub mod disk;
pub mod points;
pub mod vfs;
