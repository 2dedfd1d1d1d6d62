//! Ready-to-use forms: the workbooks of `server/programmes`, part of the program.

use serde::Serialize;

use crate::organisation::Organisation;
use crate::organisation::forms::FormRow;
use crate::problem::Problem;

/// One programme.
#[derive(Debug, Clone, Copy)]
pub struct Programme {
    /// Its name in commands.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it is for, in a sentence.
    pub summary: &'static str,
    /// Its workbooks: file name and content.
    pub forms: &'static [(&'static str, &'static [u8])],
}

/// What adding a programme did.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    /// The programme.
    pub programme: String,
    /// Its forms.
    pub forms: Vec<FormRow>,
}

/// All programmes.
pub const PROGRAMMES: &[Programme] = &[];

/// Publishes a programme's forms in a caseload.
pub fn add(organisation: &Organisation, name: &str, caseload: &str) -> Result<Added, Problem> {
    let known: Vec<&str> = PROGRAMMES.iter().map(|programme| programme.name).collect();
    let programme = PROGRAMMES.iter().find(|programme| programme.name == name).ok_or_else(|| {
        Problem::input("no-such-programme", format!("no programme {name}"), format!("There are: {}.", known.join(", ")))
    })?;
    let forms = programme.forms.iter().map(|(file, bytes)| organisation.publish(file, bytes, Vec::new(), caseload));
    Ok(Added { programme: name.to_owned(), forms: forms.collect::<Result<_, _>>()? })
}
