//! XPath 1.0 with ODK's functions: parsed once, evaluated often.

/// A parsed expression with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// As written, after `${}` was resolved to a path.
    pub source: String,
}

/// Why an expression cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {offset}: expected {expected}, found {found}")]
pub struct XPathError {
    /// Characters before the fault.
    pub offset: usize,
    /// What could have stood there.
    pub expected: String,
    /// What stood there.
    pub found: String,
}

impl Expression {
    /// Parses the source.
    pub fn parse(source: &str) -> Result<Self, XPathError> {
        Ok(Self { source: source.to_owned() })
    }
}
