//! XForms as text.

use crate::corpus::Dice;
use crate::form_made;
use crate::fuzzing::grammar::{TEXTS, expression};
use crate::fuzzing::marks::Marks;
use crate::fuzzing::mutation;
use crate::fuzzing::target::Target;
use crate::fuzzing::words::XFORM;
use crate::fuzzing::{exercise, targets};

pub const TARGET: Target = Target { name: "xform", about: "an ODK XForm", seeds, mutate, run };

/// Seeds of random forms.
const MADE: u64 = 4;
/// How deep an expression in an attribute is.
const DEPTH: u64 = 4;
/// Paths that expressions look at.
const PATHS: [&str; 12] = [
    ".",
    "..",
    "/data/a",
    "/data/r",
    "/data/r/x",
    "../x",
    "../../a",
    "current()/../a",
    "instance('l')/root/item",
    "instance('l')/root/item/name",
    "instance('last')/data/a",
    "//x",
];

fn seeds() -> Vec<Vec<u8>> {
    let made = (1..=MADE).filter_map(|seed| form_made::form(seed).bytes().ok());
    let forms = targets::programmes().into_iter().chain(made).filter_map(|book| karwan_form::read(&book, "seed.xlsx").ok());
    forms.map(|form| karwan_form::xform::write(&form).into_bytes()).filter(|xml| xml.len() <= mutation::INPUT_BYTES_MAX).collect()
}

fn run(input: &[u8], marks: &mut Marks) {
    match karwan_form::xform::read(input, "fuzz.xml") {
        Ok(form) => exercise::form(form, marks),
        Err(found) => exercise::faults(&found, marks),
    }
}

fn mutate(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    if dice.below(4) == 0 {
        return mutation::bytes(dice, input, other, &XFORM);
    }
    let mut xml = String::from_utf8_lossy(input).into_owned();
    for _ in 0..=dice.below(3) {
        xml = step(dice, xml, &String::from_utf8_lossy(other));
    }
    xml.into_bytes()
}

/// Damage that leaves XML well-formed mostly.
fn step(dice: &mut Dice, mut xml: String, other: &str) -> String {
    let Some(tag) = pick(dice, &xml, '<', '>') else { return XFORM.concat() };
    match dice.below(8) {
        // An attribute gets another value.
        0..=3 => {
            let Some(quoted) = quoted(dice, &xml, tag.clone()) else { return xml };
            let value = match dice.below(4) {
                0 => mutation::text(dice, &xml[quoted.clone()], dice.clone().of(&TEXTS), &PATHS),
                1 => dice.of(&PATHS).to_owned(),
                _ => {
                    let depth = dice.below(DEPTH) as u32;
                    expression(dice, &PATHS, depth)
                }
            };
            xml.replace_range(quoted, &value.replace('&', "&amp;").replace('<', "&lt;").replace(['"', '\''], "&quot;"));
        }
        // A tag is left out, doubled, or brought from elsewhere.
        4 => xml.replace_range(tag, ""),
        5 => {
            let copied = xml[tag.clone()].to_owned();
            xml.insert_str(tag.end, &copied);
        }
        6 => {
            if let Some(brought) = pick(dice, other, '<', '>') {
                xml.insert_str(tag.end, &other[brought]);
            }
        }
        _ => {
            let word = dice.of(&XFORM);
            let place = if word.starts_with('<') {
                tag.end
            } else {
                xml[tag.clone()].find([' ', '>']).map_or(tag.end, |at| tag.start + at)
            };
            xml.insert_str(place, &format!(" {word}"));
        }
    }
    xml
}

/// A range from one character to another, from some place on.
fn pick(dice: &mut Dice, text: &str, open: char, close: char) -> Option<std::ops::Range<usize>> {
    let mut from = dice.below(text.len() as u64 + 1) as usize;
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let start = from + text[from..].find(open)?;
    Some(start..start + text[start..].find(close)? + 1)
}

/// What stands in quotes somewhere in a tag.
fn quoted(dice: &mut Dice, xml: &str, tag: std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
    let quotes: Vec<usize> = xml[tag.clone()].match_indices(['"', '\'']).map(|(at, _)| tag.start + at).collect();
    let opening = 2 * dice.below(quotes.len() as u64 / 2) as usize;
    Some(quotes.get(opening)? + 1..*quotes.get(opening + 1)?)
}
