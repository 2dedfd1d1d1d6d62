//! A form, read from XLSForm or XForm, and an interview with it.
//!
//! [`model::Form`] is what a definition says. [`interview::Interview`] is one conversation over it: it takes answers, keeps
//! everything that depends on them up to date, and gives back [`answers::Answers`] (what is stored), a submission (what
//! OpenRosa servers read) and entity writes. The crate reads no clock, draws no random numbers and opens no files:
//! [`interview::Context`] brings them.

pub mod answer_file;
pub mod answers;
pub mod external;
pub mod fault;
pub mod interview;
pub mod model;
pub mod outline;
pub mod received;
mod search;
pub mod submission;
pub mod table;
pub mod trace;
pub mod xform;
pub mod xlsform;
pub mod xpath;

use fault::Fault;
use model::Form;

/// Reads a form, whichever way it is written: what the bytes begin with decides, not the file's name.
pub fn read(bytes: &[u8], file_name: &str) -> Result<Form, Vec<Fault>> {
    let begins = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if begins.is_empty() {
        let mend = "give a workbook (`.xlsx`, `.xls`) or an XForm (`.xml`)";
        return Err(vec![Fault::of_file("the file is empty", mend)]);
    }
    let is_utf_16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if begins.first() == Some(&b'<') || is_utf_16 { xform::read(bytes, file_name) } else { xlsform::read(bytes, file_name) }
}
