//! A form, read from XLSForm or XForm, and an interview with it.

pub mod answers;
pub mod model;
pub mod xpath;
