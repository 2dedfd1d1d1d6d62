//! A form, read from XLSForm or XForm, and an interview with it.
//!
//! [`model::Form`] is what a definition says. [`interview::Interview`] is one conversation over it: it takes answers, keeps
//! everything that depends on them up to date, and gives back [`answers::Answers`] (what is stored), a submission (what
//! OpenRosa servers read) and entity writes. The crate reads no clock, draws no random numbers and opens no files:
//! [`interview::Context`] brings them.

pub mod answer_file;
pub mod answers;
pub mod fault;
pub mod interview;
pub mod model;
pub mod outline;
pub mod submission;
pub mod trace;
pub mod xlsform;
pub mod xpath;
