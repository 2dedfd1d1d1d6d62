//! XPath 1.0 with ODK's functions: parsed once, evaluated often.
//!
//! [`Expression::parse`] reads an expression with a real grammar ([`lexer`], [`parser`], [`syntax`]) and knows every function
//! by name and arity ([`functions`]). [`evaluate`] runs it over any tree that implements [`Host`]: the interview is one.

pub mod evaluate;
pub mod functions;
pub mod host;
mod lexer;
pub mod moment;
mod parser;
pub mod pattern;
pub mod syntax;
pub mod value;

use std::sync::Arc;

pub use evaluate::{EvaluationError, Scope};
pub use host::{Host, Node};
pub use value::Value;

/// Longest expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of brackets, calls and operators.
pub const DEPTH_MAX: usize = 100;

/// A parsed expression with its source. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Expression {
    /// As written, after `${}` was resolved to a path.
    pub source: String,
    /// What it means.
    pub tree: Arc<syntax::Tree>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
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
    /// Parses the source. Fails where the grammar breaks, a function is not known or has too few or too many arguments,
    /// or the expression is too long or too deep.
    pub fn parse(source: &str) -> Result<Self, XPathError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(XPathError {
                offset: 0,
                expected: format!("an expression of at most {SOURCE_BYTES_MAX} bytes"),
                found: format!("{} bytes", source.len()),
            });
        }
        let tree = parser::parse(source)?;
        Ok(Self { source: source.to_owned(), tree: Arc::new(tree) })
    }

    /// The result, as the type that the expression has.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, EvaluationError> {
        evaluate::evaluate(&self.tree, scope)
    }

    /// Another result each time, or one that nobody can compute again: `once`, `uuid()`, `now()`, `random()`, `randomize`
    /// without a seed.
    pub fn is_volatile(&self) -> bool {
        let mut found = false;
        self.tree.walk(&mut |tree| {
            if let syntax::Tree::Call { function, arguments } = tree {
                found |= function.volatile || (function.name == "randomize" && arguments.len() < 2);
            }
        });
        found
    }

    /// Gives another result another time or on another device; `internal` says which lists stand in the form.
    pub fn is_captured(&self, internal: impl Fn(&str) -> bool) -> bool {
        let mut found = self.is_volatile() || self.instances().iter().any(|id| !internal(id));
        self.tree.walk(&mut |tree| {
            if let syntax::Tree::Call { function, .. } = tree {
                found |= function.name == "today";
            }
        });
        found
    }

    /// Ids given to `instance()` as a literal, and to `pulldata()` (whose file is `ID.csv`).
    pub fn instances(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.tree.walk(&mut |tree| {
            if let syntax::Tree::Call { function, arguments } = tree
                && matches!(function.name, "instance" | "pulldata")
                && let Some(syntax::Tree::Text(id)) = arguments.first()
            {
                found.push(id.to_string());
            }
        });
        found
    }

    /// The words change with the language shown: `jr:choice-name`, `jr:itext`.
    pub fn depends_on_language(&self) -> bool {
        let mut found = false;
        self.tree.walk(&mut |tree| {
            if let syntax::Tree::Call { function, .. } = tree {
                found |= function.speaks;
            }
        });
        found
    }

    /// A literal or `true()`: says the same whatever is answered. Gives its truth.
    pub fn constant_truth(&self) -> Option<bool> {
        match &*self.tree {
            syntax::Tree::Call { function, .. } if function.name == "true" => Some(true),
            syntax::Tree::Call { function, .. } if function.name == "false" => Some(false),
            syntax::Tree::Number(number) => Some(*number != 0.0 && !number.is_nan()),
            syntax::Tree::Text(text) => Some(!text.is_empty()),
            _ => None,
        }
    }
}
