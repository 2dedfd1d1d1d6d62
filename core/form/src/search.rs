//! The appearance `search('file', …)` of a select: its choices are rows of a CSV file, and the select's own list says which
//! columns are their value and label. A choice whose name is a whole number is one as it stands.
//!
//! `search('f')` shows every row; `search('f', 'contains', 'a, b', VALUE)` those where a column fits, and with two more
//! arguments, a column and its value, only the rows that have this value there. Written in the words of Collect, which
//! defines it.

use crate::model::{Search, SearchKind, Table};
use crate::xpath::{Expression, XPathError};

/// A call of `search()` in an appearance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call<'text> {
    /// Each as written.
    pub(crate) arguments: Vec<&'text str>,
}

/// The call, where there is a whole one.
pub(crate) fn call(appearance: &str) -> Option<Call<'_>> {
    let at = appearance.find("search(")?;
    let inside = appearance.get(at + "search(".len()..)?;
    let mut arguments = Vec::new();
    let (mut depth, mut quote, mut from) = (0_usize, None, 0);
    for (at, letter) in inside.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')') if depth == 0 => {
                arguments.push(inside.get(from..at)?.trim());
                return Some(Call { arguments });
            }
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                arguments.push(inside.get(from..at)?.trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}

impl Call<'_> {
    /// The name of the file without its extension, where it is written out.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = literal(self.arguments.first()?)?;
        let name = name.strip_suffix(".csv").unwrap_or(name);
        (!name.is_empty()).then_some(name)
    }

    /// What is looked for. `expression` reads an argument that is one.
    pub(crate) fn search<E>(
        &self,
        list: &str,
        mut expression: impl FnMut(&str) -> Result<Expression, E>,
    ) -> Result<Search, SearchFault<E>> {
        let argument = |at: usize| self.arguments.get(at).copied().unwrap_or_default();
        let word =
            |at: usize| literal(argument(at)).map(str::to_owned).ok_or_else(|| SearchFault::Literal(argument(at).to_owned()));
        let mut search =
            Search { list: list.to_owned(), kind: SearchKind::Contains, columns: Vec::new(), value: None, filter: None };
        if !matches!(self.arguments.len(), 1 | 4 | 6) {
            return Err(SearchFault::Count(self.arguments.len()));
        }
        if self.arguments.len() >= 4 {
            search.kind = match word(1)?.to_lowercase().as_str() {
                "matches" => SearchKind::Matches,
                "startswith" => SearchKind::StartsWith,
                "endswith" => SearchKind::EndsWith,
                _ => SearchKind::Contains,
            };
            search.columns = columns(&word(2)?);
            search.value = Some(expression(argument(3)).map_err(SearchFault::Expression)?);
        }
        if self.arguments.len() == 6 {
            search.filter = Some((word(4)?, expression(argument(5)).map_err(SearchFault::Expression)?));
        }
        Ok(search)
    }
}

/// Why a call of `search()` cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SearchFault<E = XPathError> {
    /// It takes one, four or six arguments.
    Count(usize),
    /// This argument is written out in quotes.
    Literal(String),
    /// This argument is no expression.
    Expression(E),
}

/// `a, b` in pieces.
pub(crate) fn columns(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|column| !column.is_empty()).map(str::to_owned).collect()
}

/// What stands in quotes.
fn literal(argument: &str) -> Option<&str> {
    let quote = argument.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    argument.strip_prefix(quote)?.strip_suffix(quote)
}

/// A choice that is one as it stands.
pub(crate) fn is_choice(name: &str) -> bool {
    name.parse::<i64>().is_ok()
}

/// The row of a select's list that says which columns are shown.
pub(crate) fn template(list: &Table) -> Option<usize> {
    let names = list.column("name")?;
    (0..list.rows.len()).find(|row| !is_choice(list.cell(*row, names)))
}

impl SearchKind {
    /// Whether a cell fits, without regard to upper and lower case of Latin letters.
    pub(crate) fn fits(self, cell: &str, wanted: &str) -> bool {
        let (cell, wanted) = (cell.as_bytes(), wanted.as_bytes());
        let at = |from: usize| cell.get(from..from + wanted.len()).is_some_and(|part| part.eq_ignore_ascii_case(wanted));
        match self {
            Self::Matches => cell.eq_ignore_ascii_case(wanted),
            Self::StartsWith => at(0),
            Self::EndsWith => cell.len().checked_sub(wanted.len()).is_some_and(at),
            Self::Contains => (0..=cell.len().saturating_sub(wanted.len())).any(at),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn calls_are_found_among_other_words() {
        let found = call("minimal search('f.csv', \"contains\", 'a, b', concat(/data/x, ')'))").unwrap();
        assert_eq!(found.arguments, ["'f.csv'", "\"contains\"", "'a, b'", "concat(/data/x, ')')"]);
        assert_eq!(found.file(), Some("f"));
        let search = found.search("list", Expression::parse).unwrap();
        assert_eq!((search.kind, search.columns), (SearchKind::Contains, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(call("search('f'"), None);
        assert_eq!(call("minimal"), None);
        let wrong = call("search('f', 'matches')").unwrap();
        assert!(matches!(wrong.search("list", Expression::parse), Err(SearchFault::Count(2))));
    }

    #[test]
    fn cells_fit_as_in_collect() {
        for (kind, cell, wanted, fits) in [
            (SearchKind::Contains, "Old Herat", "HERAT", true),
            (SearchKind::Contains, "Herat", "", true),
            (SearchKind::StartsWith, "Old Herat", "herat", false),
            (SearchKind::EndsWith, "Old Herat", "herat", true),
            (SearchKind::EndsWith, "t", "herat", false),
            (SearchKind::Matches, "herat", "Herat", true),
            (SearchKind::Matches, "herat", "hera", false),
            (SearchKind::Contains, "هرات", "را", true),
        ] {
            assert_eq!(kind.fits(cell, wanted), fits, "{kind:?} {cell} {wanted}");
        }
    }
}
