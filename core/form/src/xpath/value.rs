//! What an expression gives, and how one type becomes another.

use super::evaluate::Scope;
use super::host::Node;
use super::moment::Moment;

/// Result of an expression.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    /// A node-set, without doubles.
    Nodes(Vec<Node>),
    Text(String),
    Number(f64),
    Boolean(bool),
    /// What `date()`, `today()` and `now()` give: a number of days in comparisons and sums, ISO 8601 as text.
    Moment(Moment),
}

impl Value {
    /// As text: the first node's; numbers as ODK writes them (`7`, never `7.0`; blank where there is none).
    pub fn text(&self, scope: &Scope<'_>) -> String {
        match self {
            Self::Nodes(nodes) => nodes.first().map(|node| scope.host.text(*node).into_owned()).unwrap_or_default(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => number_text(*number),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Moment(moment) => moment.text(),
        }
    }

    /// As a number; not-a-number where it is none.
    pub fn number(&self, scope: &Scope<'_>) -> f64 {
        match self {
            Self::Nodes(nodes) => nodes.first().map_or(f64::NAN, |node| scope.text_number(&scope.host.text(*node))),
            Self::Text(text) => scope.text_number(text),
            Self::Number(number) => *number,
            Self::Boolean(boolean) => f64::from(u8::from(*boolean)),
            Self::Moment(moment) => moment.days(),
        }
    }

    /// As truth: a node-set that has a node, a text that is not empty, a number that is neither 0 nor none.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nodes(nodes) => !nodes.is_empty(),
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Boolean(boolean) => *boolean,
            Self::Moment(_) => true,
        }
    }
}

/// A number as text: no fraction where it is whole, never an exponent, blank for not-a-number.
pub fn number_text(number: f64) -> String {
    if number.is_nan() {
        return String::new();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    // The shortest digits that read back as the same number.
    format!("{number}")
}

/// A text as a number, as XPath reads it (and an exponent, which spreadsheets leave behind). Nothing else: no words, no
/// digits of other scripts.
pub fn parse_number(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins_well = unsigned.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    let only_number = unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+'));
    if begins_well && only_number { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    #[test]
    fn numbers_are_written_as_odk_writes_them() {
        assert_eq!(number_text(7.0), "7");
        assert_eq!(number_text(16.5), "16.5");
        assert_eq!(number_text(-0.0), "0");
        assert_eq!(number_text(f64::NAN), "");
        assert_eq!(number_text(1e21), "1000000000000000000000");
        assert_eq!(number_text(0.1 + 0.2), "0.30000000000000004");
    }

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(parse_number(" 12.5 "), 12.5);
        assert_eq!(parse_number("-3"), -3.0);
        assert_eq!(parse_number("1e3"), 1000.0);
        for text in ["", "abc", "۱۲", "1 2", "inf", "NaN", "0x10", "--1", "1.2.3"] {
            assert!(parse_number(text).is_nan(), "{text}");
        }
    }
}
