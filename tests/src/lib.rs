//! What whole-system tests share: the real command in real folders, and workbooks made from tables.

pub mod command;
pub mod figures;
pub mod secrets;
pub mod workbook;
pub mod world;
