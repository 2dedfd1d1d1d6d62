//! Regular expressions as forms write them (Java's and JavaScript's dialect), with a bound on backtracking.

use std::sync::OnceLock;

use fancy_regex::{Regex, RegexBuilder};

/// Longest pattern, in characters.
pub const PATTERN_CHARACTERS_MAX: usize = 10_000;
/// Most backtracking steps of one match.
pub const BACKTRACKS_MAX: usize = 1_000_000;
/// Backtracking steps that cost next to nothing; few patterns need more.
const QUICK_BACKTRACKS: usize = 1_000;
/// Largest compiled pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    quick: Regex,
    /// The same with all its backtracks, made where it is needed.
    patient: OnceLock<Option<Regex>>,
    source: String,
}

/// Why a pattern does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a regular expression: {0}")]
pub struct PatternError(pub String);

impl Pattern {
    /// Compiles a pattern.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        if source.chars().count() > PATTERN_CHARACTERS_MAX {
            return Err(PatternError(format!("at most {PATTERN_CHARACTERS_MAX} characters")));
        }
        let source = translated(source);
        let quick = built(&source, QUICK_BACKTRACKS).map_err(|error| PatternError(error.to_string()))?;
        Ok(Self { quick, patient: OnceLock::new(), source })
    }

    /// As [`Pattern::is_match`]; nothing where it takes many backtracks to know.
    pub fn is_match_quickly(&self, text: &str) -> Option<bool> {
        self.quick.is_match(text).ok()
    }

    /// Whether the pattern is found anywhere in the text; a match that takes too long is none.
    pub fn is_match(&self, text: &str) -> bool {
        self.is_match_quickly(text).unwrap_or_else(|| {
            let patient = self.patient.get_or_init(|| built(&self.source, BACKTRACKS_MAX).ok());
            patient.as_ref().is_some_and(|regex| regex.is_match(text).unwrap_or(false))
        })
    }

    /// About how many units of work (see [`super::Host::spend`]) it takes to compile a pattern: what is repeated a number of times is
    /// compiled as often.
    pub fn compile_work(source: &str) -> u64 {
        let repeated = source.split('{').skip(1).filter_map(|rest| {
            let numbers = rest.split(|character: char| !character.is_ascii_digit()).take(2);
            numbers.filter_map(|number| number.parse::<u64>().ok()).max()
        });
        let times = repeated.fold(1u64, |times, number| times.saturating_mul(number.max(1)));
        (source.len() as u64 * UNITS_A_CHARACTER).saturating_add(times.saturating_mul(UNITS_A_REPETITION)).min(UNITS_MAX)
    }
}

/// Measured: a compiled pattern of [`PATTERN_BYTES_MAX`] takes about as long as the most.
const UNITS_A_CHARACTER: u64 = 500;
const UNITS_A_REPETITION: u64 = 100;
const UNITS_MAX: u64 = 2_000_000;

fn built(source: &str, backtracks: usize) -> Result<Regex, fancy_regex::Error> {
    RegexBuilder::new(source).backtrack_limit(backtracks).delegate_size_limit(PATTERN_BYTES_MAX).build()
}

/// The same pattern in the dialect of the `regex` crate: `\d`, `\w` and `\b` are ASCII, and characters that only this
/// dialect gives a meaning are escaped.
fn translated(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let at = |position: usize| characters.get(position).copied();
    let mut out = String::with_capacity(source.len() + 16);
    let mut in_class = false;
    let mut position = 0;
    while let Some(character) = at(position) {
        position += 1;
        match character {
            '\\' => {
                let Some(escaped) = at(position) else {
                    out.push_str("\\\\");
                    break;
                };
                position += 1;
                match escaped {
                    'd' => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                    'D' => out.push_str("[^0-9]"),
                    'w' => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    'b' | 'B' if !in_class => out.push_str(if escaped == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" }),
                    'u' => {
                        let digits: String = characters.iter().skip(position).take(4).collect();
                        if digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                            position += 4;
                            out.push_str("\\x{");
                            out.push_str(&digits);
                            out.push('}');
                        } else {
                            out.push('u');
                        }
                    }
                    other if other.is_ascii_alphanumeric() => {
                        out.push('\\');
                        out.push(other);
                        // `\p{L}` and `\x{627}` take their braces along.
                        if matches!(other, 'p' | 'P' | 'x') && at(position) == Some('{') {
                            while let Some(inside) = at(position) {
                                position += 1;
                                out.push(inside);
                                if inside == '}' {
                                    break;
                                }
                            }
                        }
                    }
                    other => push_literal(&mut out, other),
                }
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if at(position) == Some('^') {
                    position += 1;
                    out.push('^');
                }
                // `[]` and `[^]` are classes in JavaScript; a literal `]` comes first elsewhere.
                if at(position) == Some(']') {
                    position += 1;
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            ']' => out.push_str("\\]"),
            '&' | '~' if in_class => push_literal(&mut out, character),
            '-' if in_class && at(position) == Some('-') => out.push_str("\\-"),
            '{' if !in_class && !is_quantifier(&characters, position) => out.push_str("\\{"),
            '}' if !in_class && !closes_quantifier(&out) => out.push_str("\\}"),
            other => out.push(other),
        }
    }
    out
}

fn push_literal(out: &mut String, character: char) {
    if character.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(character);
}

/// After `{`: digits, perhaps `,` and digits, and `}`.
fn is_quantifier(characters: &[char], from: usize) -> bool {
    let mut rest = characters.iter().skip(from).copied().peekable();
    let mut digits = 0;
    while rest.next_if(char::is_ascii_digit).is_some() {
        digits += 1;
    }
    if rest.next_if_eq(&',').is_some() {
        while rest.next_if(char::is_ascii_digit).is_some() {}
    }
    digits > 0 && rest.next() == Some('}')
}

fn closes_quantifier(out: &str) -> bool {
    let inside = out.rsplit('{').next().unwrap_or("");
    inside.len() < out.len() && !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn found(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn digits_are_ascii_and_the_whole_text_is_not_implied() {
        assert!(found(r"\d", "a1"));
        assert!(!found(r"\d", "۱"));
        assert!(found(r"^[\d-]+$", "12-3"));
        assert!(found("b", "abc"));
    }

    #[test]
    fn what_java_and_javascript_allow_compiles() {
        assert!(found(r"^((\+|00)?[1-9][0-9]{8,13}|0[1-9][0-9]{7,10})$", "00989121234567"));
        assert!(found("^[A-Za-z][A-Za-z '.-]{1,60}$", "O'Neil"));
        assert!(found(r"^[[]$", "["));
        assert!(found(r"a{b}", "a{b}"));
        assert!(found(r"^\u0627$", "ا"));
        assert!(found(r"\/\'\-", "/'-"));
        assert!(found(r"^(?!x).*(?<=y)$", "ay"));
        assert!(found(r"^\p{L}+$", "نام"));
        assert!(found(r".*[0-9۰-۹٠-٩].*", "نام۵"));
    }

    #[test]
    fn a_pattern_that_backtracks_for_ever_is_no_match() {
        assert!(!found(r"^(a+)+(?=b)$", &"a".repeat(40)));
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(Pattern::new("(a").is_err());
    }
}
