//! What whole-system tests share: the real command in real folders, and workbooks made from tables.
#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_collect,
    clippy::return_self_not_must_use,
    reason = "a test that cannot go on panics; names say what fields are"
)]

pub mod browser;
pub mod command;
pub mod corpus;
pub mod faults;
pub mod figures;
pub mod form_made;
pub mod form_oracle;
pub mod form_speed;
pub mod fuzzing;
pub mod home;
pub mod liar;
pub mod links;
pub mod meeting;
pub mod ports;
pub mod postgres;
pub mod recorded;
pub mod relay;
pub mod scenario;
pub mod secrets;
pub mod simulation;
pub mod sum;
pub mod workbook;
pub mod world;
