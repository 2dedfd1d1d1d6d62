//! Workbooks: as text that becomes cells (see [`cells`]), and as the bytes of an `.xlsx` or `.xls`.

use crate::corpus::Dice;
use crate::form_made;
use crate::fuzzing::cells::{self, Sheet};
use crate::fuzzing::grammar::{TEXTS, expression};
use crate::fuzzing::marks::Marks;
use crate::fuzzing::mutation;
use crate::fuzzing::target::Target;
use crate::fuzzing::words::{CELLS, COLUMNS, SHEETS, TYPES, XFORM};
use crate::fuzzing::{exercise, targets};
use crate::workbook;

pub const TARGET: Target = Target { name: "xlsform", about: "a workbook, by its cells and by its bytes", seeds, mutate, run };

/// Seeds of random forms.
const MADE: u64 = 6;
/// How deep an expression in a cell is.
const DEPTH: u64 = 4;
/// Of so many inputs one becomes bytes.
const BYTES_ONE_IN: u64 = 40;
/// What a workbook's text is damaged with where it is one of bytes: parts of XML.
const PARTS: [&str; 12] = [
    "<c r=\"A1\" t=\"s\"><v>",
    "</v></c>",
    "t=\"inlineStr\"",
    "r=\"XFD1048576\"",
    "<row r=\"4294967295\">",
    "<dimension ref=\"A1:XFD1048576\"/>",
    "<si><t>",
    "count=\"99999999\"",
    "<mergeCell ref=\"A1:B9\"/>",
    "s=\"9999\"",
    "<f>A1</f>",
    "&#55296;",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut books = targets::programmes();
    books.extend([workbook::household_form(), workbook::visit_form()].into_iter().flatten());
    books.extend((1..=MADE).filter_map(|seed| form_made::form(seed).bytes().ok()));
    let as_text: Vec<Vec<u8>> = books.iter().filter_map(|book| Some(cells::text(&cells::of_workbook(book)?))).collect();
    books.into_iter().chain(as_text).collect()
}

fn run(input: &[u8], marks: &mut Marks) {
    let made = cells::parse(input).map(|sheets| cells::workbook(&sheets));
    marks.note(made.is_some());
    match karwan_form::read(made.as_deref().unwrap_or(input), "fuzz.xlsx") {
        Ok(form) => exercise::form(form, marks),
        Err(found) => exercise::faults(&found, marks),
    }
}

fn mutate(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    let Some(mut sheets) = cells::parse(input) else { return bytes(dice, input, other) };
    if dice.below(BYTES_ONE_IN) == 0 {
        return bytes(dice, &cells::workbook(&sheets), other);
    }
    let others = cells::parse(other).unwrap_or_default();
    for _ in 0..=dice.below(4) {
        step(dice, &mut sheets, &others);
    }
    cells::text(&sheets)
}

/// Damages the bytes of a workbook, or of one part of its zip.
fn bytes(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    if dice.below(3) == 0 {
        return mutation::bytes(dice, input, other, &PARTS);
    }
    let Some(mut parts) = cells::unpack(input) else { return mutation::bytes(dice, input, other, &PARTS) };
    let at = dice.below(parts.len() as u64) as usize;
    let others: Vec<(String, Vec<u8>)> = cells::unpack(other).unwrap_or_default();
    let brought = others.get(dice.below(others.len() as u64) as usize).map_or(&[][..], |(_, content)| content);
    if let Some((_, content)) = parts.get_mut(at) {
        let words: &[&str] = if dice.below(4) == 0 { &XFORM } else { &PARTS };
        *content = mutation::bytes(dice, content, brought, words);
    }
    cells::pack(&parts)
}

fn at(dice: &mut Dice, length: usize) -> usize {
    dice.below(length as u64) as usize
}

fn step(dice: &mut Dice, sheets: &mut Vec<Sheet>, others: &[Sheet]) {
    if dice.below(30) == 0 || sheets.is_empty() {
        return whole_sheet(dice, sheets, others);
    }
    // The first sheet is the survey mostly, and most happens there.
    let chosen = if dice.below(3) > 0 { 0 } else { at(dice, sheets.len()) };
    let Some(sheet) = sheets.get_mut(chosen) else { return };
    if sheet.rows.len() < 2 {
        return sheet.rows.push(vec![dice.of(&COLUMNS).to_owned()]);
    }
    let names: Vec<String> = sheet.rows.iter().skip(1).filter_map(|row| row.get(1)).take(40).cloned().collect();
    let row = 1 + at(dice, sheet.rows.len() - 1);
    match dice.below(16) {
        0 => drop(sheet.rows.remove(row)),
        1 => {
            let copied = sheet.rows[row].clone();
            let times = if dice.below(10) == 0 { 1 + at(dice, 300) } else { 1 };
            sheet.rows.splice(row..row, std::iter::repeat_n(copied, times));
        }
        2 => {
            let with = 1 + at(dice, sheet.rows.len() - 1);
            sheet.rows.swap(row, with);
        }
        3 => {
            let rows = others.iter().find(|other| other.name == sheet.name).map_or(&[][..], |other| &other.rows);
            let from = at(dice, rows.len().max(1));
            let brought = rows.iter().skip(from).take(1 + at(dice, 4)).cloned();
            sheet.rows.splice(row..row, brought);
        }
        4 => {
            let header = if dice.below(8) == 0 {
                mutation::text(dice, "label::English (en)", "", &COLUMNS)
            } else {
                dice.of(&COLUMNS).to_owned()
            };
            sheet.rows[0].push(header);
        }
        5 => {
            let column = at(dice, sheet.rows[0].len().max(1));
            if let Some(cell) = sheet.rows[0].get_mut(column) {
                dice.of(&COLUMNS).clone_into(cell);
            }
        }
        6 => {
            let kind = dice.of(&["group", "repeat"]);
            let end = (row + 1 + at(dice, 6)).min(sheet.rows.len());
            let name = format!("g{}", dice.below(20));
            sheet.rows.insert(end, vec![format!("end_{kind}"), name.clone()]);
            sheet.rows.insert(row, vec![format!("begin_{kind}"), name.clone(), name]);
        }
        7 => {
            let copied = names.get(at(dice, names.len().max(1))).cloned().unwrap_or_default();
            set(&mut sheet.rows[row], 1, copied);
        }
        _ => {
            let column = at(dice, sheet.rows[0].len().max(1));
            let header = sheet.rows[0].get(column).cloned().unwrap_or_default();
            let before = sheet.rows[row].get(column).cloned().unwrap_or_default();
            let cell = cell(dice, &header, &before, &names);
            set(&mut sheet.rows[row], column, cell);
        }
    }
}

fn set(row: &mut Vec<String>, column: usize, cell: String) {
    if row.len() <= column {
        row.resize(column + 1, String::new());
    }
    row[column] = cell;
}

/// What may stand in a column.
fn cell(dice: &mut Dice, header: &str, before: &str, names: &[String]) -> String {
    if dice.below(6) == 0 {
        return mutation::text(dice, before, dice.clone().of(&TEXTS), &CELLS);
    }
    let is_expression = [
        "relevant",
        "constraint",
        "calculation",
        "choice_filter",
        "default",
        "required",
        "read_only",
        "repeat_count",
        "_if",
        "entity_id",
    ]
    .iter()
    .any(|expression| header.starts_with(expression) || header.ends_with(expression));
    match header {
        "type" => dice.of(&TYPES).to_owned(),
        "name" => names.get(at(dice, names.len().max(1))).cloned().unwrap_or_else(|| "a".to_owned()),
        "trigger" => format!("${{{}}}", names.get(at(dice, names.len().max(1))).map_or("a", String::as_str)),
        _ if is_expression => {
            let references: Vec<String> = names
                .iter()
                .map(|name| format!("${{{name}}}"))
                .chain([".", "..", "instance('options')/root/item", "${last-saved#a}", "name", "position(..)"].map(str::to_owned))
                .collect();
            let references: Vec<&str> = references.iter().map(String::as_str).collect();
            let depth = 1 + dice.below(DEPTH) as u32;
            expression(dice, &references, depth)
        }
        _ => dice.of(&CELLS).to_owned(),
    }
}

fn whole_sheet(dice: &mut Dice, sheets: &mut Vec<Sheet>, others: &[Sheet]) {
    match (dice.below(3), others.get(at(dice, others.len().max(1)))) {
        (0, _) if sheets.len() > 1 => drop(sheets.remove(at(dice, sheets.len()))),
        (1, Some(other)) => sheets.push(other.clone()),
        _ => {
            let name = dice.of(&SHEETS).to_owned();
            let header: Vec<String> = (0..4).map(|_| dice.of(&COLUMNS).to_owned()).collect();
            let row: Vec<String> = (0..4).map(|_| dice.of(&CELLS).to_owned()).collect();
            sheets.push(Sheet { name, rows: vec![header, row] });
        }
    }
}
