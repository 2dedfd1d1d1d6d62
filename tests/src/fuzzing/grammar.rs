//! Expressions that can be read, by the grammar and the table of functions, so that damage is not all that is tried.

use std::fmt::Write as _;

use karwan_form::xpath::functions::TABLE;

use super::mutation::NUMBERS;
use crate::corpus::Dice;

/// Most arguments that a function without a bound gets.
const ARGUMENTS_MAX: usize = 5;
const OPERATORS: [&str; 16] =
    [" + ", " - ", " * ", " div ", " mod ", " = ", " != ", " < ", " > ", " <= ", " >= ", " and ", " or ", " | ", "=", "-"];
const AXES: [&str; 12] = [
    "child::",
    "parent::",
    "ancestor::",
    "ancestor-or-self::",
    "descendant::",
    "descendant-or-self::",
    "following-sibling::",
    "preceding-sibling::",
    "following::",
    "preceding::",
    "self::",
    "attribute::",
];
/// Texts that some function reads: dates, places, patterns, formats.
pub const TEXTS: [&str; 38] = [
    "",
    " ",
    "a",
    "a b c",
    "yes",
    "no",
    "true",
    "0",
    "1.5",
    "-0",
    "۱۲۳",
    "سلام دنیا",
    "😀e\u{301}",
    "2026-11-23",
    "2024-02-30",
    "9999-12-31",
    "-0001-01-01",
    "2026-11-23T10:30:00.000+03:30",
    "10:30:00",
    "24:00",
    "34.5 69.2 0 0",
    "34.5 69.2 0 0;34.6 69.3 0 0;34.5 69.4 0 0;34.5 69.2 0 0",
    "91 181 NaN inf",
    "^[a-z]+$",
    "(a+)+$",
    "(?<!a)b\\1",
    "[",
    "\\p{L}{1000}",
    "%Y-%m-%d %H:%M:%S.%3 %a %b",
    "%",
    "SHA-256",
    "MD5",
    "base64",
    "hex",
    "aGVsbG8=",
    "/data/r/x",
    "../x",
    "deviceid",
];

/// An expression over these paths, at most so deep.
pub fn expression(dice: &mut Dice, paths: &[&str], depth: u32) -> String {
    if depth == 0 {
        return leaf(dice, paths);
    }
    match dice.below(12) {
        0 | 1 => leaf(dice, paths),
        2..=4 => {
            let (left, operator) = (expression(dice, paths, depth - 1), dice.of(&OPERATORS));
            format!("{left}{operator}{}", expression(dice, paths, depth - 1))
        }
        5 => format!("({})", expression(dice, paths, depth - 1)),
        6 => format!("{}[{}]", path(dice, paths), expression(dice, paths, depth - 1)),
        _ => call(dice, paths, depth),
    }
}

fn call(dice: &mut Dice, paths: &[&str], depth: u32) -> String {
    let function = &TABLE[dice.below(TABLE.len() as u64) as usize];
    let most = function.most.min(function.least + ARGUMENTS_MAX);
    let count = function.least + dice.below((most - function.least) as u64 + 1) as usize;
    let arguments: Vec<String> = (0..count).map(|_| expression(dice, paths, depth - 1)).collect();
    format!("{}({})", function.name, arguments.join(", "))
}

fn leaf(dice: &mut Dice, paths: &[&str]) -> String {
    match dice.below(4) {
        0 => dice.of(&NUMBERS).trim_start_matches('-').to_owned(),
        1 => format!("'{}'", dice.of(&TEXTS)),
        _ => path(dice, paths),
    }
}

fn path(dice: &mut Dice, paths: &[&str]) -> String {
    let mut path = dice.of(paths).to_owned();
    if dice.below(5) == 0 {
        let test = dice.of(&["*", "x", "node()", "r", "a"]);
        let _ = write!(path, "/{}{test}", dice.of(&AXES));
    }
    path
}
