//! Names, numbers and dates across scripts: who is who.
//!
//! [`fold_key`] makes one text of the many ways to write the same, and [`search_text`] what is searched; [`skeleton`] is common to
//! Persian and Latin script; [`solar`] is the Solar Hijri calendar;
//! [`person`] finds exact repeats of a person.

pub mod fold;
pub mod person;
pub mod solar;

pub use fold::{fold_document, fold_key, fold_phone, search_text, search_words, skeleton};
pub use person::{Identity, link_keys};
