//! A deterministic world of phones and a server, and a plain model beside it.
//!
//! What runs is the real client over its real encrypted database, the real server over its real log, and the real session between them, over
//! streams in memory; lines, disks, clocks and people are simulated. [`schedule`] decides from a seed what happens, [`world`] and [`decide`] do it,
//! [`settle`] brings everybody home and compares, [`model`] says what must be, [`tally`] counts. The same seed gives the same schedule and the same
//! trace: [`entropy`] gives the programs their identifiers and salts from it too, and a disk's faults are placed by commits, not by bytes.

pub mod canary;
mod decide;
mod entropy;
pub mod line;
mod meet;
pub mod model;
pub mod schedule;
mod settle;
pub mod shrink;
pub mod tally;
pub mod world;
