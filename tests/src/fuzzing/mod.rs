//! Fuzzing of karwan-form: inputs are made by mutation, run in this process, and kept where they did something new.
//!
//! There is no compiler plugin. What an input did is told by the target itself as [`marks::Marks`]: which faults came, which
//! nodes and functions a form has, how events ended. An input with a mark that nobody had before is kept and mutated further.
//! A panic, and an input that takes more time or memory than [`run::Limits`] allow, is a finding. [`target`] says how to add a target;
//! `tests/fuzz-corpus` holds what is worth running again, `src/bin/fuzz.rs` is the command.

pub mod cells;
pub mod corpus;
pub mod exercise;
pub mod grammar;
pub mod marks;
pub mod memory;
pub mod mutation;
pub mod run;
pub mod shrink;
pub mod target;
mod targets;
pub mod words;
