//! What is signed and crosses the wire, and the sync session, without I/O.

pub mod ids;
