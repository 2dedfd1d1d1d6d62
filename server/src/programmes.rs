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
pub const PROGRAMMES: &[Programme] = &[
    Programme {
        name: "voluntary_return",
        title: "Voluntary return and reintegration",
        summary: "Registers households that return, with consent, status and grant, and visits them afterwards.",
        forms: &[
            ("return_registration.xlsx", include_bytes!("../programmes/voluntary_return/return_registration.xlsx")),
            ("return_visit.xlsx", include_bytes!("../programmes/voluntary_return/return_visit.xlsx")),
        ],
    },
    Programme {
        name: "cultural_orientation",
        title: "Cultural orientation",
        summary: "Keeps a session's topics, trainers, participants, attendance by day and test scores.",
        forms: &[("orientation_session.xlsx", include_bytes!("../programmes/cultural_orientation/orientation_session.xlsx"))],
    },
    Programme {
        name: "rapid_needs",
        title: "Rapid needs",
        summary: "Asks a household about displacement, shelter, water, food, health and money, and ranks its needs.",
        forms: &[("rapid_needs.xlsx", include_bytes!("../programmes/rapid_needs/rapid_needs.xlsx"))],
    },
];

/// Publishes a programme's forms in a caseload.
pub fn add(organisation: &Organisation, name: &str, caseload: &str) -> Result<Added, Problem> {
    let known: Vec<&str> = PROGRAMMES.iter().map(|programme| programme.name).collect();
    let programme = PROGRAMMES.iter().find(|programme| programme.name == name).ok_or_else(|| {
        Problem::input("no-such-programme", format!("no programme {name}"), format!("There are: {}.", known.join(", ")))
    })?;
    let forms = programme.forms.iter().map(|(file, bytes)| organisation.publish(file, bytes, Vec::new(), caseload));
    Ok(Added { programme: name.to_owned(), forms: forms.collect::<Result<_, _>>()? })
}
