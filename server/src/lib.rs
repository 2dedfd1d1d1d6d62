//! The server of an organisation and the `karwan` command: logs that devices sync with, what is read out of them, and the console.
//!
//! In: [`listener`] takes sessions, [`log`] judges and keeps what they bring, [`projector`] reads the logs into tables. Out: [`query`]
//! reads those tables, [`review`] writes decisions as changes, [`console`] shows both to people, [`command`] to terminals and scripts.
//! [`organisation`] is the folder that all of it stands in; [`request`] and [`control`] let a command reach a server that runs on it.

pub mod attachments;
pub mod backup;
pub mod bench;
pub mod clock;
pub mod command;
pub mod connections;
pub mod console;
pub mod control;
pub mod database;
pub mod decisions;
pub mod demo;
pub mod export;
pub mod host;
pub mod listener;
pub mod log;
pub mod organisation;
pub mod pace;
pub mod problem;
pub mod process;
pub mod programmes;
pub mod projector;
pub mod query;
pub mod quotas;
pub mod request;
pub mod review;
pub mod serve;
