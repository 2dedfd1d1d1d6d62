//! What an author can do about an expression that cannot be read: the slips that are made again and again each have a mend of their own.

use super::references::similar;
use crate::xpath::{XPathError, functions};

/// Characters around a fault that are shown.
const SHOWN: usize = 24;

/// Functions of spreadsheets and of other languages, and what to write for them.
const MEANT: &[(&[&str], &str)] = &[
    (&["average", "avg", "mean"], "write `sum(…) div count(…)`"),
    (&["len", "length", "strlen"], "write `string-length(…)`"),
    (&["isblank", "isempty", "isnull", "is_empty", "empty"], "write `${name} = ''`"),
    (&["left", "right", "mid"], "write `substr(text, from, to)`, counted from 0"),
    (&["trim"], "write `normalize-space(…)`"),
    (&["iif", "ifelse", "case", "switch"], "write `if(condition, then, else)`"),
    (
        &["year", "month", "day", "datevalue", "dateformat"],
        "write `format-date(date, '%Y')`, with `%m` for the month and `%d` for the day",
    ),
    (&["datediff", "days", "datedif"], "subtract one date from the other: the difference is in days"),
    (&["countif", "sumif"], "write `count(${question}[condition])` or `sum(${question}[condition])`"),
    (&["in", "includes", "has"], "write `selected(${question}, 'choice')`"),
    (&["and", "or"], "write `a and b`, or `a or b`, without a bracket after the word"),
    (&["mod", "div"], "write `a mod b`, or `a div b`"),
    (&["vlookup", "lookup", "xlookup"], "write `instance('list')/root/item[name = ${question}]/column`"),
    (&["concatenate"], "write `concat(…, …)`"),
    (&["ceil", "roundup"], "write `ceiling(…)`"),
    (&["rounddown", "trunc"], "write `int(…)`"),
    (&["rand"], "write `random()`"),
];

/// What is wrong with an expression and how to mend it; `text` is the author's cell.
pub fn explained(text: &str, error: &XPathError) -> (String, String) {
    if error.expected.starts_with("a function of") {
        let name = error.found.trim_matches('`');
        let near = || similar(name, functions::TABLE.iter().map(|function| function.name));
        let known =
            MEANT.iter().find(|(words, _)| words.contains(&name.to_lowercase().as_str())).map(|(_, mend)| (*mend).to_owned());
        let mend = known
            .or_else(|| near().map(|name| format!("did you mean `{name}()`?")))
            .unwrap_or_else(|| "use a function of the ODK XForms specification".to_owned());
        return (format!("at character {}: `{name}()` is not a function", error.offset), mend);
    }
    let rest: String = text.chars().skip(error.offset).collect();
    // References were masked for the parser; the author knows them by their own spelling.
    let reference = rest.strip_prefix("${").and_then(|after| after.split_once('}')).map(|(name, _)| format!("`${{{name}}}`"));
    let found = reference.unwrap_or_else(|| error.found.clone());
    (format!("at character {}: expected {}, found {found}", error.offset, error.expected), mend(text, &rest, error))
}

fn mend(text: &str, rest: &str, error: &XPathError) -> String {
    let arguments =
        error.expected.split_once(" for ").filter(|(count, _)| count.ends_with("argument") || count.ends_with("arguments"));
    if let Some((count, function)) = arguments {
        let between = if count.ends_with('s') { ", with commas between them" } else { "" };
        return format!("give `{function}` {count}{between}");
    }
    let before: Vec<char> = text.chars().take(error.offset).collect();
    let last = before.iter().rev().find(|letter| !letter.is_whitespace()).copied().unwrap_or(' ');
    let first = rest.chars().next().unwrap_or(' ');
    let wants_operator = error.expected.starts_with("an operator");
    let told = match (last, first) {
        ('=', '=') => "write one `=` for “is equal to”",
        ('<', '>') => "write `!=` for “is not equal to”",
        ('>' | '<', '=') => "write `>=` or `<=` without a space",
        ('=', '>' | '<') => "write `>=` or `<=`",
        (_, '&') => "write `and`",
        ('/', _) if error.expected.starts_with("a name") => "write `div` to divide",
        (' ', '=') if before.is_empty() => "an expression begins with no `=`: remove it",
        (' ', '>' | '<') if before.is_empty() => "write `.` for the answer before it, as in `. > 3`",
        ('|', '|') => "write `or`",
        (_, '!') => "write `!=` for “is not equal to”, or `not(…)`",
        (_, '$' | '{' | '}') if !rest.starts_with("${") => "write a reference as `${name}`",
        (_, '%') => "write `mod` for a remainder; a percentage is a number divided by 100",
        (_, '÷' | '\\') => "write `div` to divide",
        (_, '×') => "write `*` to multiply",
        (_, '≤' | '≥' | '≠') => "write `<=`, `>=` or `!=`",
        (_, ';' | '،' | '؛') => "write a comma between arguments",
        ('\'', '\'' | 's' | 't') if wants_operator => "a text with an apostrophe stands in double quotes: \"it's\"",
        (_, ')') if wants_operator => "remove this bracket, or open it before",
        _ if error.expected.starts_with("a closing") && has_apostrophe(text) => {
            "a text with an apostrophe stands in double quotes: \"it's\"; and every quotation mark needs its second"
        }
        _ if error.expected.starts_with("a closing") => "close the text with the quotation mark that opens it",
        _ if error.expected.contains("`)`") && !rest.is_empty() => {
            "write a comma between arguments, or close the bracket before it"
        }
        _ if error.expected.contains("`)`") => "close every bracket that is opened",
        _ if error.expected.contains("`]`") => "close every `[` that is opened",
        (',', _) if rest.is_empty() || first == ')' => "write what follows the last comma, or remove the comma",
        _ if rest.is_empty() => "write what is missing at the end",
        _ if wants_operator && rest.starts_with("${") => "write an operator between the two, or `concat(…, …)` to join them",
        _ if wants_operator && is_operator(rest) => "write `and`, `or`, `not`, `div` and `mod` in small letters",
        _ if wants_operator && first.is_alphanumeric() => "write an operator before it, or quotes around a text of several words",
        _ => "brackets, quotes and operators must be complete",
    };
    let near: String = text.chars().skip(error.offset.saturating_sub(SHOWN / 2)).take(SHOWN).collect();
    format!("look at `{}`: {told}", near.trim())
}

/// Whether a text has a quotation mark between two letters.
fn has_apostrophe(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    letters.windows(3).any(|three| matches!(three, [before, '\'', after] if before.is_alphabetic() && after.is_alphabetic()))
}

fn is_operator(rest: &str) -> bool {
    let word: String = rest.chars().take_while(|letter| letter.is_alphabetic()).collect();
    let small = word.to_lowercase();
    word != small && ["and", "or", "not", "div", "mod"].contains(&small.as_str())
}
