//! Random forms: workbooks in which every question type and every function occurs, small enough to be answered many times. A seed
//! always makes the same form; types and functions are dealt in turn, so that none is left to luck.

mod expressions;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rust_xlsxwriter::{Workbook, XlsxError};

pub use expressions::NOT_ODKS;
use expressions::{CALLS, Gives, Words};

/// A small generator (splitmix64): the forms of a seed must not change with a library's version.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    fn pick<'from, Item>(&mut self, from: &'from [Item]) -> &'from Item {
        &from[self.below(from.len())]
    }
}

/// What expressions may do with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Decimal,
    Text,
    Date,
    Time,
    DateTime,
    Point,
    Trace,
    Shape,
    One,
    Several,
    Rank,
    Range,
    Trigger,
    Note,
    Other,
}

/// The question types, as the column `type` has them, that any form may have many times.
const TYPES: [(&str, Kind); 32] = [
    ("integer", Kind::Int),
    ("decimal", Kind::Decimal),
    ("text", Kind::Text),
    ("date", Kind::Date),
    ("time", Kind::Time),
    ("dateTime", Kind::DateTime),
    ("note", Kind::Note),
    ("select_one options", Kind::One),
    ("select_one places", Kind::One),
    ("select_one options or_other", Kind::One),
    ("select_multiple options", Kind::Several),
    ("select_multiple places", Kind::Several),
    ("select_one_from_file people.csv", Kind::One),
    ("select_one_from_file towns.xml", Kind::One),
    ("select_one_from_file spots.geojson", Kind::One),
    ("select_multiple_from_file people.csv", Kind::Several),
    ("select_one ${base_item}", Kind::One),
    ("rank options", Kind::Rank),
    ("range", Kind::Range),
    ("geopoint", Kind::Point),
    ("geotrace", Kind::Trace),
    ("geoshape", Kind::Shape),
    ("image", Kind::Other),
    ("audio", Kind::Other),
    ("video", Kind::Other),
    ("file", Kind::Other),
    ("barcode", Kind::Text),
    ("acknowledge", Kind::Trigger),
    ("hidden", Kind::Other),
    ("calculate", Kind::Int),
    ("background-geopoint", Kind::Other),
    ("select_one options", Kind::One),
];

/// The types that a form has once or not at all.
const METADATA: [(&str, &str); 12] = [
    ("start", "start"),
    ("end", "end"),
    ("today", "today"),
    ("deviceid", "deviceid"),
    ("username", "username"),
    ("phonenumber", "phonenumber"),
    ("email", "email"),
    ("audit", "audit"),
    ("background-audio", "background_audio"),
    ("csv-external", "people"),
    ("xml-external", "towns"),
    ("start-geopoint", "first_place"),
];

/// Names of nodes whose values come from a device and are not compared.
pub const DEVICE: [&str; 6] = ["deviceid", "username", "phonenumber", "email", "simserial", "subscriberid"];

/// Types and functions that are dealt to each form, besides what chance adds.
const DEALT_TYPES: usize = 12;
const DEALT_CALLS: usize = 46;

/// A question that expressions can look at.
#[derive(Debug, Clone)]
struct Asked {
    name: String,
    kind: Kind,
    /// The repeats around it.
    repeats: Vec<String>,
    /// The groups and repeats around it.
    around: Vec<String>,
}

const COLUMNS: [&str; 18] = [
    "type",
    "name",
    "label",
    "label::فارسی (fa)",
    "hint",
    "relevant",
    "required",
    "required_message",
    "read_only",
    "constraint",
    "constraint_message",
    "calculation",
    "choice_filter",
    "parameters",
    "repeat_count",
    "default",
    "trigger",
    "save_to",
];

/// A workbook as cells.
pub struct Made {
    sheets: Vec<(&'static str, Vec<Vec<String>>)>,
}

impl Made {
    /// The workbook's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        for (name, rows) in &self.sheets {
            let sheet = book.add_worksheet();
            sheet.set_name(*name)?;
            for (row, cells) in rows.iter().enumerate() {
                for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                    sheet.write_string(row as u32, column as u16, cell)?;
                }
            }
        }
        book.save_to_buffer()
    }

    /// How often each question type and each function stands in it.
    pub fn count(&self, types: &mut BTreeMap<String, usize>, functions: &mut BTreeMap<String, usize>) {
        let Some((_, rows)) = self.sheets.first() else { return };
        for row in rows.iter().skip(1) {
            let kind = row.first().map(String::as_str).unwrap_or_default();
            let kind = if let Some(repeated) = kind.strip_prefix("select_one ${") {
                if repeated.is_empty() { kind } else { "select_one ${}" }
            } else {
                kind.strip_suffix(" options").or_else(|| kind.strip_suffix(" places")).unwrap_or(kind)
            };
            *types.entry(kind.to_owned()).or_default() += 1;
            for cell in row {
                for (end, _) in cell.match_indices('(') {
                    let before = cell.get(..end).unwrap_or_default();
                    let name_of = |character: char| !(character.is_ascii_alphanumeric() || character == '-' || character == ':');
                    let name = before.rsplit(name_of).next().unwrap_or_default();
                    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                        *functions.entry(name.to_owned()).or_default() += 1;
                    }
                }
            }
        }
    }
}

/// The files that the forms name.
pub fn media() -> [(&'static str, String); 3] {
    let names = ["a", "b", "c", "d", "e"];
    let mut people = String::from("name,label,area\n");
    let (mut towns, mut spots) = (String::new(), Vec::new());
    for (row, name) in names.iter().enumerate() {
        let area = ["x", "y"][row % 2];
        let _ = writeln!(people, "{name},Person {name},{area}");
        let _ = write!(towns, "<item><name>{name}</name><label>Town {name}</label><area>{area}</area></item>");
        spots.push(format!(
            "{{\"type\":\"Feature\",\"id\":\"{name}\",\"geometry\":{{\"type\":\"Point\",\"coordinates\":[{}.5,34.25]}},\
             \"properties\":{{\"title\":\"Spot {name}\"}}}}",
            60 + row
        ));
    }
    [
        ("people.csv", people),
        ("towns.xml", format!("<root>{towns}</root>")),
        ("spots.geojson", format!("{{\"type\":\"FeatureCollection\",\"features\":[{}]}}", spots.join(","))),
    ]
}

struct Maker {
    chance: Chance,
    asked: Vec<Asked>,
    repeats: Vec<(String, Vec<String>)>,
    /// The groups and repeats around what is being made, and the repeats alone.
    around: Vec<String>,
    inside: Vec<String>,
    translated: bool,
    next: usize,
    rows: Vec<BTreeMap<&'static str, String>>,
}

/// The form of a seed.
pub fn form(seed: u64) -> Made {
    let mut maker = Maker {
        chance: Chance(seed.wrapping_mul(0x1234_5678_9abc_def1)),
        asked: Vec::new(),
        repeats: Vec::new(),
        around: Vec::new(),
        inside: Vec::new(),
        translated: seed.is_multiple_of(2),
        next: 1,
        rows: Vec::new(),
    };
    for (kind, name) in METADATA {
        if maker.chance.one_in(2) {
            maker.row(&[("type", kind), ("name", name)]);
        }
    }
    maker.base();
    let turn = seed as usize;
    let mut calls: Vec<usize> = (0..DEALT_CALLS).map(|number| (turn * DEALT_CALLS + number) % CALLS.len()).collect();
    for number in 0..DEALT_TYPES {
        match maker.chance.below(5) {
            0 if maker.around.len() < 3 => maker.open(true),
            1 if maker.around.len() < 3 => maker.open(false),
            2 if !maker.around.is_empty() => maker.close(),
            _ => {}
        }
        maker.question((turn * DEALT_TYPES + number) % TYPES.len());
        for call in calls.split_off(calls.len().saturating_sub(DEALT_CALLS / DEALT_TYPES)) {
            maker.calculation(Some(CALLS[call]));
        }
    }
    while !maker.around.is_empty() {
        maker.close();
    }
    for call in calls {
        maker.calculation(Some(CALLS[call]));
    }
    for _ in 0..6 {
        maker.calculation(None);
    }
    maker.finish(seed)
}

impl Maker {
    fn row(&mut self, cells: &[(&'static str, &str)]) {
        self.rows.push(cells.iter().map(|(column, cell)| (*column, (*cell).to_owned())).collect());
    }

    fn remember(&mut self, name: &str, kind: Kind) {
        self.asked.push(Asked { name: name.to_owned(), kind, repeats: self.inside.clone(), around: self.around.clone() });
    }

    fn name(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    fn words(&mut self) -> Words<'_> {
        Words {
            chance: &mut self.chance,
            asked: &self.asked,
            repeats: &self.repeats,
            inside: &self.inside,
            around: &self.around,
            translated: self.translated,
        }
    }

    fn gives(&mut self, wanted: Gives, depth: usize) -> String {
        self.words().gives(wanted, depth)
    }

    /// What every form has, so that each function finds something to work on.
    fn base(&mut self) {
        for (kind, name, label, of) in [
            ("integer", "base_int", "How many", Kind::Int),
            ("text", "base_text", "Which word", Kind::Text),
            ("select_one options", "base_one", "Which one", Kind::One),
            ("select_multiple options", "base_several", "Which ones", Kind::Several),
            ("date", "base_date", "When", Kind::Date),
        ] {
            // What `jr:itext` names stays as it was in ODK's engine when the language changes.
            let persian = if name == "base_int" { label } else { "پرسش" };
            self.row(&[("type", kind), ("name", name), ("label", label), ("label::فارسی (fa)", persian)]);
            self.remember(name, of);
        }
        self.row(&[("type", "begin_repeat"), ("name", "base_row"), ("label", "Row")]);
        self.around.push("base_row".to_owned());
        self.inside.push("base_row".to_owned());
        for (kind, name, of) in [("text", "base_item", Kind::Text), ("integer", "base_size", Kind::Int)] {
            self.row(&[("type", kind), ("name", name), ("label", name)]);
            self.remember(name, of);
        }
        self.around.clear();
        self.inside.clear();
        self.row(&[("type", "end_repeat")]);
        self.repeats.push(("base_row".to_owned(), Vec::new()));
    }

    fn open(&mut self, repeat: bool) {
        let name = self.name(if repeat { "r" } else { "g" });
        let mut row = BTreeMap::from([
            ("type", if repeat { "begin_repeat" } else { "begin_group" }.to_owned()),
            ("name", name.clone()),
            ("label", format!("Part {name}")),
        ]);
        if self.chance.one_in(2) {
            row.insert("relevant", self.gives(Gives::Truth, 2));
        }
        if repeat && self.chance.one_in(3) {
            let count = self.words().fill("if({int} > 3, 3, {int})", 1);
            row.insert("repeat_count", if self.chance.one_in(3) { "2".to_owned() } else { count });
        }
        self.rows.push(row);
        if repeat {
            self.repeats.push((name.clone(), self.around.clone()));
            self.inside.push(name.clone());
        }
        self.around.push(name);
        // No part is empty.
        self.question(0);
    }

    fn close(&mut self) {
        let Some(name) = self.around.pop() else { return };
        let repeat = self.inside.last() == Some(&name);
        if repeat {
            self.calculation(None);
            self.inside.pop();
        }
        self.row(&[("type", if repeat { "end_repeat" } else { "end_group" })]);
    }

    fn question(&mut self, which: usize) {
        let (kind, of) = TYPES[which];
        if kind == "calculate" {
            return self.calculation(None);
        }
        let name = self.name("q");
        let mut row = BTreeMap::from([("type", kind.to_owned()), ("name", name.clone())]);
        if kind == "hidden" {
            self.rows.push(row);
            return;
        }
        if kind == "background-geopoint" {
            row.insert("trigger", self.trigger());
            self.rows.push(row);
            return;
        }
        let about = if self.chance.one_in(3) {
            self.words().fill("About {one} of", 0).replace("'a'", "${base_text}")
        } else {
            "Question".to_owned()
        };
        row.insert("label", format!("{about} {name}"));
        row.insert("label::فارسی (fa)", format!("{} {name}", about.replace("About", "دربارهٔ").replace("Question", "پرسش")));
        if self.chance.one_in(6) {
            row.insert("hint", "A hint".to_owned());
        }
        if self.chance.one_in(3) {
            row.insert("relevant", self.gives(Gives::Truth, 2));
        }
        if self.chance.one_in(5) && of != Kind::Note {
            let required = if self.chance.one_in(2) { "yes".to_owned() } else { self.gives(Gives::Truth, 1) };
            row.insert("required", required);
            row.insert("required_message", "Needed: ${base_text}".to_owned());
        }
        if self.chance.one_in(8) && of != Kind::Note {
            row.insert("read_only", self.gives(Gives::Truth, 1));
        }
        if self.chance.one_in(4) && of != Kind::Note {
            let constraint = match of {
                Kind::Int | Kind::Decimal | Kind::Range => {
                    let (limit, other) = (self.chance.below(60), self.gives(Gives::Number, 1));
                    format!(". <= {limit} or . = {other}")
                }
                Kind::Text => "regex(., '^[a-zA-Z ]*$') or string-length(.) < 6".to_owned(),
                Kind::Date => ". <= today()".to_owned(),
                Kind::Several => "count-selected(.) < 3".to_owned(),
                Kind::One => "current()/. != 'b'".to_owned(),
                _ => self.gives(Gives::Truth, 1),
            };
            row.insert("constraint", constraint);
            row.insert("constraint_message", "Not so: ${base_text}".to_owned());
        }
        self.defaults(of, &mut row);
        if kind == "range" {
            let parameters = ["start=0 end=10 step=1", "start=0 end=5 step=0.5", "start=1 end=9 step=2"];
            row.insert("parameters", (*self.chance.pick(&parameters)).to_owned());
        }
        self.choices(kind, &mut row);
        self.rows.push(row);
        self.remember(&name, of);
    }

    fn defaults(&mut self, of: Kind, row: &mut BTreeMap<&'static str, String>) {
        let default = match of {
            Kind::Int => ["3", "${base_int} + 1", "7 * 2", "${last-saved#base_int}"][self.chance.below(4)],
            Kind::Text => ["b c", "concat('x', 1)", "${base_text}"][self.chance.below(3)],
            Kind::Date => ["2020-02-02", "today()", "today() - 10"][self.chance.below(3)],
            Kind::Several => "a c",
            Kind::One => "b",
            _ => return,
        };
        if self.chance.one_in(4) {
            row.insert("default", default.to_owned());
        } else if self.chance.one_in(8) && matches!(of, Kind::Int | Kind::Text) {
            let source = self.gives(if of == Kind::Int { Gives::Number } else { Gives::Text }, 1);
            row.insert("trigger", self.trigger());
            row.insert("calculation", source);
        }
    }

    /// A question that sets another: of the same instance, since ODK's engine sets none of several.
    fn trigger(&self) -> String {
        let near = self.asked.iter().rev().find(|asked| asked.kind == Kind::Int && asked.repeats == self.inside);
        near.map_or_else(String::new, |asked| format!("${{{}}}", asked.name))
    }

    fn choices(&mut self, kind: &str, row: &mut BTreeMap<&'static str, String>) {
        let filtered = if kind.ends_with(" places") {
            ["area = ${base_one}", "size > ${base_int}", "area != 'b' and size < 8", "selected(${base_several}, area)"]
        } else if kind.contains("_from_file people") {
            ["area = 'x'", "name != ${base_one}", "area = ${base_text} or area = 'y'", "string-length(label) > ${base_int}"]
        } else {
            [""; 4]
        };
        let filter = *self.chance.pick(&filtered);
        if !filter.is_empty() && !self.chance.one_in(4) {
            row.insert("choice_filter", filter.to_owned());
        }
        let random = kind.starts_with("select") || kind.starts_with("rank");
        if random && !kind.contains("or_other") && !kind.contains('$') && self.chance.one_in(5) {
            let seed = if self.chance.one_in(3) { "${base_int}".to_owned() } else { self.chance.below(90).to_string() };
            row.insert("parameters", format!("randomize=true seed={seed}"));
        }
    }

    fn calculation(&mut self, call: Option<(Gives, &'static str)>) {
        let gives = call.map_or_else(
            || *self.chance.pick(&[Gives::Number, Gives::Number, Gives::Text, Gives::Truth, Gives::Date]),
            |(gives, _)| gives,
        );
        let source = match call {
            Some((_, call)) => self.words().fill(call, 2),
            None => self.gives(gives, 3),
        };
        let name = self.name("c");
        // Some calculations are shown, as what they are.
        let (kind, of) = match gives {
            Gives::Number => (["calculate", "integer", "decimal", "text"][self.chance.below(4)], Kind::Decimal),
            Gives::Text | Gives::Truth => (["calculate", "text"][self.chance.below(2)], Kind::Text),
            Gives::Date => (["calculate", "date"][self.chance.below(2)], Kind::Date),
        };
        // ODK's engine fails where a whole number has more than 31 bits.
        let source = if kind == "integer" { format!("int(({source}) mod 10000)") } else { source };
        let mut row = BTreeMap::from([("type", kind.to_owned()), ("name", name.clone()), ("calculation", source)]);
        if kind != "calculate" {
            row.insert("label", format!("Sum {name}"));
            row.insert("read_only", "yes".to_owned());
        }
        if self.chance.one_in(6) {
            row.insert("relevant", self.gives(Gives::Truth, 1));
        }
        self.rows.push(row);
        self.remember(&name, of);
    }

    /// A list that an expression looks into is one of the form's.
    fn list_of_people(&mut self) {
        let looks = |row: &BTreeMap<&str, String>| row.values().any(|cell| cell.contains("instance('people')"));
        let has = |row: &BTreeMap<&str, String>| {
            row.get("name").is_some_and(|name| name == "people")
                || row.get("type").is_some_and(|kind| kind.contains("people.csv"))
        };
        if self.rows.iter().any(looks) && !self.rows.iter().any(has) {
            self.row(&[("type", "csv-external"), ("name", "people")]);
        }
    }

    fn finish(mut self, seed: u64) -> Made {
        self.list_of_people();
        if seed.is_multiple_of(2) {
            for name in ["simserial", "subscriberid"] {
                self.row(&[("type", name), ("name", name)]);
            }
        }
        let entities = seed.is_multiple_of(3);
        if entities {
            for row in self.rows.iter_mut().filter(|row| row.get("name").is_some_and(|name| name == "base_text")) {
                row.insert("save_to", "word".to_owned());
            }
        }
        let columns: Vec<&str> = COLUMNS
            .into_iter()
            .filter(|column| (self.translated || !column.contains("::")) && (entities || *column != "save_to"))
            .collect();
        let mut survey = vec![columns.iter().map(|column| self.heading(column)).collect::<Vec<_>>()];
        for row in &self.rows {
            survey.push(columns.iter().map(|column| row.get(column).cloned().unwrap_or_default()).collect());
        }
        let mut choices = vec![["list_name", "name", &self.heading("label"), "area", "size"].map(str::to_owned).to_vec()];
        for name in ["a", "b", "c", "d", "e"] {
            choices.push(["options", name, &format!("Choice {name}"), "", ""].map(str::to_owned).to_vec());
        }
        for row in 0..24 {
            let (name, label, size) = (format!("p{row}"), format!("Place {row}"), (row * 7 % 11).to_string());
            choices.push(["places", &name, &label, ["a", "b", "c"][row % 3], &size].map(str::to_owned).to_vec());
        }
        if self.translated {
            for (row, line) in choices.iter_mut().enumerate() {
                line.push(if row == 0 { "label::فارسی (fa)".to_owned() } else { format!("گزینهٔ {row}") });
            }
        }
        let settings = vec![
            ["form_title", "form_id", "version", "default_language", "instance_name"].map(str::to_owned).to_vec(),
            ["Made", &format!("made{seed}"), "1", "", "concat('made ', ${base_text})"].map(str::to_owned).to_vec(),
        ];
        let settings = if self.translated {
            let mut settings = settings;
            "English (en)".clone_into(&mut settings[1][3]);
            settings
        } else {
            settings
        };
        let mut sheets = vec![("survey", survey), ("choices", choices), ("settings", settings)];
        if entities {
            // Created, updated, or whichever of both it is.
            let (id, create, update) = match seed % 9 {
                0 => ("", "${base_int} > 1", ""),
                3 => ("${base_text}", "", "${base_int} > 1"),
                _ => ("${base_text}", "${base_int} > 1", "${base_int} <= 1"),
            };
            let head = ["list_name", "label", "entity_id", "create_if", "update_if"].map(str::to_owned).to_vec();
            sheets.push(("entities", vec![head, ["things", "${base_text}", id, create, update].map(str::to_owned).to_vec()]));
        }
        Made { sheets }
    }

    fn heading(&self, column: &str) -> String {
        match column {
            "label" | "hint" | "constraint_message" | "required_message" if self.translated => format!("{column}::English (en)"),
            _ => column.to_owned(),
        }
    }
}
