//! Reads an ODK XForm (1.0, with entities) into the model, and writes one.
//!
//! [`document`] gives elements with their lines. [`instance`] makes the nodes of the primary instance, [`binds`] says what
//! their answers may be, [`body`] how they are asked, [`words`] in which words, [`lists`] from which choices; [`entities`]
//! finds what an interview creates. [`write()`] is the way back.

mod binds;
mod body;
pub mod document;
mod entities;
mod instance;
mod lists;
mod reader;
mod words;
mod write;
mod write_body;

use crate::fault::Fault;
use crate::model::{Form, Table};

pub use write::write;

/// Reads a file of rows, as a secondary instance has them; nothing where it is no XML.
pub fn read_table(bytes: &[u8]) -> Option<Table> {
    let root = document::read(bytes).ok()?;
    let instance = document::Element { content: vec![document::Content::Element(root)], ..document::Element::default() };
    Some(lists::table(&instance))
}

/// Reads an XForm. All faults that can be found are given, not only the first. `file_name` names the form where it has no
/// id.
pub fn read(bytes: &[u8], file_name: &str) -> Result<Form, Vec<Fault>> {
    let root = document::read(bytes).map_err(|fault| {
        let is_text = std::str::from_utf8(bytes).is_ok();
        let mend = if is_text { "write a well-formed XForm" } else { "save it in the encoding UTF-8" };
        vec![Fault::at(&format!("line {}", fault.line), 0, "", fault.message, mend)]
    })?;
    reader::Reader::default().read(&root, bytes, file_name)
}
