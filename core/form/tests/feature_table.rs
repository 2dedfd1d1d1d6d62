//! The table in README.md of what XLSForm says and this crate does. Each line is tried: a workbook with the feature is read.
//! `KARWAN_WRITE_TABLE=1 cargo test -p karwan-form --test feature_table` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::fmt::Write as _;

use karwan_form::xlsform;
use karwan_form::xpath::Expression;
use xlsform_made::workbook;

mod xlsform_made;

const BEGIN: &str = "<!-- features: written by tests/feature_table.rs -->\n";
const END: &str = "<!-- /features -->\n";

/// Features that are read and stored, and left to an app or an ODK server to act on.
const PARTLY: [&str; 14] = [
    "audit",
    "background-audio",
    "start-geopoint",
    "background-geopoint",
    "simserial",
    "subscriberid",
    "public_key",
    "submission_url",
    "auto_send",
    "auto_delete",
    "intent",
    "autoplay",
    "big-image",
    "image",
];

/// Types of the column `type`, each with what else its workbook needs.
const TYPES: [(&str, &str); 48] = [
    ("text", ""),
    ("integer", ""),
    ("decimal", ""),
    ("date", ""),
    ("time", ""),
    ("dateTime", ""),
    ("note", ""),
    ("select_one yn", ""),
    ("select_one yn or_other", ""),
    ("select_multiple yn", ""),
    ("select_one_from_file a.csv", ""),
    ("select_one_from_file a.xml", ""),
    ("select_one_from_file a.geojson", ""),
    ("select_multiple_from_file a.csv", ""),
    ("select_one ${inner}", "begin_repeat|r|R\n text|inner|I\n end_repeat\n"),
    ("rank yn", ""),
    ("range", ""),
    ("geopoint", ""),
    ("geotrace", ""),
    ("geoshape", ""),
    ("image", ""),
    ("audio", ""),
    ("video", ""),
    ("file", ""),
    ("barcode", ""),
    ("acknowledge", ""),
    ("hidden", ""),
    ("calculate", ""),
    ("begin_group", ""),
    ("begin_repeat", ""),
    ("start", ""),
    ("end", ""),
    ("today", ""),
    ("deviceid", ""),
    ("username", ""),
    ("phonenumber", ""),
    ("email", ""),
    ("simserial", ""),
    ("subscriberid", ""),
    ("audit", ""),
    ("start-geopoint", ""),
    ("background-geopoint", ""),
    ("background-audio", ""),
    ("csv-external", ""),
    ("xml-external", ""),
    ("select_one_external yn", ""),
    ("osm", ""),
    ("begin loop over yn", ""),
];

/// Columns of the survey sheet with a cell that suits them.
const COLUMNS: [(&str, &str); 30] = [
    ("label::fa", "سن"),
    ("hint", "h"),
    ("guidance_hint", "g"),
    ("relevant", "1 = 1"),
    ("constraint", ". != ''"),
    ("constraint_message", "no"),
    ("required", "yes"),
    ("required_message", "needed"),
    ("read_only", "yes"),
    ("calculation", "1"),
    ("default", "x"),
    ("trigger", "${other}"),
    ("choice_filter", ""),
    ("repeat_count", ""),
    ("appearance", "multiline"),
    ("parameters", ""),
    ("image", "a.png"),
    ("big-image", ""),
    ("audio", "a.mp3"),
    ("video", "a.mp4"),
    ("autoplay", "audio"),
    ("save_to", ""),
    ("intent", ""),
    ("rows", "3"),
    ("bind::type", "string"),
    ("instance::hxl", "♯adm1"),
    ("body::accuracyThreshold", "5"),
    ("bind::karwan:merge", "events"),
    ("bind::karwan:identity", "surname"),
    ("query", "x"),
];

/// Functions of the ODK XForms specification and of XPath 1.0, with as many arguments as they need.
const FUNCTIONS: &[&str] = &[
    "concat('a', 'b')",
    "string('a')",
    "string-length('a')",
    "substr('abc', 1)",
    "substring('abc', 1)",
    "substring-before('a', 'b')",
    "substring-after('a', 'b')",
    "translate('a', 'b', 'c')",
    "contains('a', 'b')",
    "starts-with('a', 'b')",
    "ends-with('a', 'b')",
    "normalize-space('a')",
    "regex('a', 'b')",
    "uuid()",
    "digest('a', 'MD5')",
    "base64-decode('YQ==')",
    "pulldata('f', 'a', 'b', 'c')",
    "true()",
    "false()",
    "boolean(1)",
    "boolean-from-string('1')",
    "not(1)",
    "if(1, 2, 3)",
    "coalesce(1, 2)",
    "once(1)",
    "number('1')",
    "int(1)",
    "round(1.5)",
    "floor(1)",
    "ceiling(1)",
    "abs(1)",
    "pow(1, 2)",
    "log(1)",
    "log10(1)",
    "exp(1)",
    "exp10(1)",
    "sqrt(1)",
    "sin(1)",
    "cos(1)",
    "tan(1)",
    "asin(1)",
    "acos(1)",
    "atan(1)",
    "atan2(1, 2)",
    "pi()",
    "min(1, 2)",
    "max(1, 2)",
    "random()",
    "sum(/data/x)",
    "count(/data/x)",
    "count-non-empty(/data/x)",
    "position(..)",
    "last()",
    "name(.)",
    "local-name(.)",
    "namespace-uri(.)",
    "id('a')",
    "lang('en')",
    "current()",
    "instance('x')",
    "indexed-repeat(/data/r/x, /data/r, 1)",
    "randomize(/data/x)",
    "join(' ', /data/x)",
    "concat-ws('a', 'b')",
    "selected('a b', 'a')",
    "selected-at('a b', 1)",
    "count-selected('a b')",
    "jr:choice-name('a', '/data/x')",
    "jr:itext('a')",
    "today()",
    "now()",
    "date('2026-01-01')",
    "date-time('2026-01-01T00:00:00Z')",
    "decimal-date-time(today())",
    "decimal-time('10:00')",
    "format-date(today(), '%Y')",
    "format-date-time(now(), '%H')",
    "area(/data/x)",
    "distance(/data/x)",
    "geofence(/data/x, /data/y)",
    "intersects(/data/x)",
    "depend(/data/x, /data/y)",
    "checklist(1, 2, true())",
    "weighted-checklist(1, 2, true(), 1)",
    "property('deviceid')",
    "version()",
];

/// Words of the column `appearance`.
const APPEARANCES: [&str; 40] = [
    "multiline",
    "numbers",
    "url",
    "masked",
    "thousands-sep",
    "bearing",
    "vertical",
    "no-ticks",
    "picker",
    "rating",
    "new",
    "new-front",
    "draw",
    "annotate",
    "signature",
    "selfie",
    "no-calendar",
    "month-year",
    "year",
    "ethiopian",
    "coptic",
    "islamic",
    "bikram-sambat",
    "myanmar",
    "persian",
    "buddhist",
    "placement-map",
    "maps",
    "hide-input",
    "minimal",
    "autocomplete",
    "quick",
    "columns-pack",
    "columns",
    "no-buttons",
    "image-map",
    "likert",
    "map",
    "field-list",
    "table-list",
];

fn reads(text: &str) -> bool {
    xlsform::read(&workbook(text), "made.xlsx").is_ok()
}

const CHOICES: &str = "#choices\n list_name|name|label\n yn|yes|Yes\n yn|other_one|No";

fn type_reads(name: &str, before: &str) -> bool {
    if name == "select_one_external yn" {
        // Its choices stand in a sheet of their own, and only filtered.
        return reads(&format!(
            "#survey\n type|name|label|choice_filter\n {name}|asked|Asked|name != 'no'\n#external_choices\n list_name|name|label\n yn|yes|Yes"
        ));
    }
    let end = match name {
        "begin_group" => "\n text|inside|I\n end_group",
        "begin_repeat" => "\n text|inside|I\n end_repeat",
        "begin loop over yn" => "\n text|inside|I\n end loop",
        _ => "",
    };
    let extra = match name {
        "calculate" => "1 + 1|",
        "background-geopoint" => "|${other}",
        _ => "|",
    };
    let label = if matches!(name, "calculate" | "hidden") { "" } else { "Asked" };
    let own = if name == "audit" { "audit" } else { "asked" };
    reads(&format!(
        "#survey\n type|name|label|calculation|trigger\n text|other|O\n {before}{name}|{own}|{label}|{extra}{end}\n{CHOICES}"
    ))
}

fn column_reads(column: &str, cell: &str) -> bool {
    let (kind, cell, more) = match column {
        "choice_filter" => ("select_one yn", "name != 'yes'", ""),
        "repeat_count" => ("begin_repeat", "3", "\n text|inside|I\n end_repeat"),
        "parameters" => ("range", "start=1 end=5 step=1", ""),
        "intent" => ("begin_group", "ex:org.example.app", "\n text|inside|I\n end_group"),
        "save_to" => ("text", "given", "\n#entities\n list_name|label\n people|${other}"),
        "query" => ("select_one_external yn", cell, ""),
        "calculation" | "trigger" => ("text", cell, ""),
        _ => ("text", cell, ""),
    };
    if column == "big-image" {
        return reads("#survey\n type|name|label|image|big-image\n text|asked|A|a.png|b.png");
    }
    let (choices, more) = match more.split_once("\n#") {
        Some((rows, sheet)) => (format!("{CHOICES}\n#{sheet}"), rows),
        None => (CHOICES.to_owned(), more),
    };
    reads(&format!("#survey\n type|name|label|{column}\n text|other|O\n {kind}|asked|Asked|{cell}{more}\n{choices}"))
}

fn answer(reads: bool, name: &str) -> &'static str {
    match (reads, PARTLY.contains(&name)) {
        (false, _) => "no",
        (true, true) => "partly",
        (true, false) => "yes",
    }
}

fn table() -> String {
    let mut text = String::from(
        "*partly*: read, kept and written, and left to the app or to an ODK server to act on. *no*: refused by name, with what to use instead.\n\n",
    );
    let mut section = |title: &str, rows: Vec<(String, &'static str)>| {
        let _ = write!(text, "| {title} | |\n|---|---|\n");
        for word in ["yes", "partly", "no"] {
            let names: Vec<String> =
                rows.iter().filter(|(_, answer)| *answer == word).map(|(name, _)| format!("`{name}`")).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "| {word} | {} |", names.join(" "));
            }
        }
        text.push('\n');
    };
    let types = TYPES.iter().map(|(name, before)| ((*name).to_owned(), answer(type_reads(name, before), name)));
    section("type", types.collect());
    let columns = COLUMNS.iter().map(|(name, cell)| ((*name).to_owned(), answer(column_reads(name, cell), name)));
    section("column", columns.collect());
    let functions = FUNCTIONS.iter().map(|call| {
        let name = call.split('(').next().unwrap_or_default();
        (format!("{name}()"), answer(Expression::parse(call).is_ok(), name))
    });
    section("function", functions.collect());
    let appearances = APPEARANCES.iter().map(|word| {
        let kind = if matches!(*word, "field-list" | "table-list") { "begin_group" } else { "text" };
        let end = if kind == "begin_group" { "\n select_one yn|inside|I\n end_group" } else { "" };
        let form = format!("#survey\n type|name|label|appearance\n {kind}|asked|Asked|{word}{end}\n{CHOICES}");
        let known = xlsform::read(&workbook(&form), "made.xlsx").is_ok_and(|form| form.warnings.is_empty());
        ((*word).to_owned(), if known { "yes" } else { "no" })
    });
    section("appearance (handed to the app)", appearances.collect());
    text
}

#[test]
fn the_readme_says_what_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let expected = table();
    if std::env::var_os("KARWAN_WRITE_TABLE").is_some() {
        let (before, after) = match (readme.split_once(BEGIN), readme.split_once(END)) {
            (Some((before, _)), Some((_, after))) => (before.to_owned(), after.to_owned()),
            _ => (format!("{readme}\n## What is read\n\n"), String::new()),
        };
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let present = readme.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(table, _)| table);
    assert_eq!(
        present,
        Some(expected.as_str()),
        "write it anew: KARWAN_WRITE_TABLE=1 cargo test -p karwan-form --test feature_table"
    );
}

#[test]
fn what_a_form_cannot_do_without_is_read() {
    // The table's own gate: these were refused once and must not be again.
    for name in ["text", "select_one yn", "rank yn", "range", "begin_repeat", "background-geopoint", "audit"] {
        let before = TYPES.iter().find(|(other, _)| *other == name).map_or("", |(_, before)| before);
        assert!(type_reads(name, before), "{name}");
    }
    for call in FUNCTIONS.iter().filter(|call| !["id(", "lang(", "concat-ws("].iter().any(|not| call.starts_with(not))) {
        assert!(Expression::parse(call).is_ok(), "{call}");
    }
}
