//! What is wrong with a form definition, where, and how to mend it. Written for the person who wrote the form.

use std::fmt;

/// One fault of a form definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Sheet of the workbook (`survey`), empty for the whole file.
    pub sheet: String,
    /// Row as the spreadsheet shows it, 1-based; 0 where no row is meant.
    pub row: u32,
    /// Column as the sheet's header names it; empty where no column is meant.
    pub column: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl Fault {
    /// A fault of one cell.
    pub fn at(sheet: &str, row: u32, column: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { sheet: sheet.to_owned(), row, column: column.to_owned(), message: message.into(), mend: mend.into() }
    }

    /// A fault of the whole file.
    pub fn of_file(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::at("", 0, "", message, mend)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = if self.row > 0 { format!(" row {}", self.row) } else { String::new() };
        let column = if self.column.is_empty() { String::new() } else { format!(", column {}", self.column) };
        let place = format!("{}{row}{column}", self.sheet);
        let place = place.trim_start_matches([' ', ',']);
        if !place.is_empty() {
            write!(formatter, "{place}: ")?;
        }
        let message = self.message.trim_end_matches('.');
        let end = if message.ends_with('?') { "" } else { "." };
        write!(formatter, "{message}{end}")?;
        if !self.mend.is_empty() {
            write!(formatter, " Mend: {}", self.mend)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn a_fault_is_one_line() {
        let fault = Fault::at("survey", 12, "relevant", "`${agee}` is not a question", "write `${age}`");
        assert_eq!(fault.to_string(), "survey row 12, column relevant: `${agee}` is not a question. Mend: write `${age}`");
        assert_eq!(Fault::of_file("this is no workbook", "").to_string(), "this is no workbook.");
        assert_eq!(
            Fault::at("survey", 0, "type", "missing.", "add it").to_string(),
            "survey, column type: missing. Mend: add it"
        );
    }
}
