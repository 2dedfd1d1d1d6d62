//! Collects what is wrong and what is odd while a workbook is read.

use super::references::ReferenceFault;
use crate::fault::Fault;

/// Most faults that are given; the rest would not be read.
pub const FAULTS_MAX: usize = 500;

/// Faults stop the form; warnings do not.
#[derive(Debug, Default)]
pub struct Report {
    pub faults: Vec<Fault>,
    pub warnings: Vec<String>,
}

/// A cell, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Place<'text> {
    pub sheet: &'text str,
    pub row: u32,
    pub column: &'text str,
}

impl Report {
    /// Notes a fault of a cell.
    pub fn fault(&mut self, place: Place<'_>, message: impl Into<String>, mend: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::at(place.sheet, place.row, place.column, message, mend));
        }
    }

    /// More faults would not be given.
    pub fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Notes something odd.
    pub fn warn(&mut self, place: Place<'_>, message: &str) {
        if self.warnings.len() < FAULTS_MAX {
            let fault = Fault::at(place.sheet, place.row, place.column, message, "");
            self.warnings.push(fault.to_string());
        }
    }

    /// As [`Report::references`], without those that this row has been told of.
    pub fn further_references(&mut self, place: Place<'_>, faults: Vec<ReferenceFault>) {
        let mut found = Self::default();
        found.references(place, faults);
        for fault in found.faults {
            let known = |other: &Fault| other.sheet == fault.sheet && other.row == fault.row && other.message == fault.message;
            if !self.is_full() && !self.faults.iter().any(known) {
                self.faults.push(fault);
            }
        }
    }

    /// Notes references that lead nowhere.
    pub fn references(&mut self, place: Place<'_>, faults: Vec<ReferenceFault>) {
        for fault in faults {
            match fault {
                ReferenceFault::Malformed(text) => {
                    self.fault(
                        place,
                        format!("`{text}` is no reference"),
                        "write `${name}` with the name of a question and nothing else",
                    );
                }
                ReferenceFault::Unknown { name, similar } => {
                    let mend = similar.map_or_else(
                        || "name a question, group or repeat of the survey sheet".to_owned(),
                        |similar| format!("did you mean `${{{similar}}}`?"),
                    );
                    self.fault(place, format!("`${{{name}}}` names nothing in the survey sheet"), mend);
                }
                ReferenceFault::Ambiguous(name) => self.fault(
                    place,
                    format!("`${{{name}}}` could be any of several questions or groups called `{name}`"),
                    "give what is referred to a name of its own",
                ),
            }
        }
    }
}
