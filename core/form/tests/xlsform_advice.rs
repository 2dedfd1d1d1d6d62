//! What authors do wrong again and again, and that the message says what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use karwan_form::xlsform;
use rust_xlsxwriter::{Formula, Workbook};
use xlsform_made::workbook;

mod xlsform_made;

const LISTS: &str = "\n#choices\nlist_name|name|label\nyn|y|Yes\nyn|n|No";
const EXPRESSION: &str = "#survey\ntype|name|label|relevant\ninteger|a|A\ntext|b|B|";

/// One fault each: a form, its sheet, row and column, and what the mend has.
const MISTAKES: &[(&str, &str, u32, &str, &str)] = &[
    ("#survey\ntype|name|label\nselect_multiple|a|A LISTS", "survey", 2, "type", "`select_multiple LIST`"),
    ("#survey\ntype|name|label\nselect_one yn, color|a|A LISTS", "survey", 2, "type", "one list, without spaces"),
    ("#survey\ntype|name|label\nselect_one yes_no|a|A LISTS", "survey", 2, "type", "one of its lists (`yn`)"),
    ("#survey\ntype|name|label\nselect_one yb|a|A LISTS", "survey", 2, "type", "did you mean `yn`"),
    ("#survey\ntype|name|label\nnumber|a|A", "survey", 2, "type", "`integer`"),
    ("#survey\ntype|name|label\nDropdown|a|A", "survey", 2, "type", "`select_one LIST`"),
    ("#survey\ntype|name|label\nyes-no|a|A", "survey", 2, "type", "`yes` and `no`"),
    ("#survey\ntype|name|label\nsignature|a|A", "survey", 2, "type", "appearance `signature`"),
    ("#survey\ntype|name|label\nheading|a|A", "survey", 2, "type", "`note`"),
    ("#survey\ntype|name|lable\ntext|a|A", "survey", 2, "label", "rename the column `lable`"),
    ("#survey\ntype|nmae|label\ntext|a|A", "survey", 2, "name", "rename the column `nmae`"),
    ("#survey\ntyp|name|label\ntext|a|A", "survey", 1, "type", "rename the column `typ`"),
    (
        "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nlistname|name|label\nyn|y|Yes",
        "choices",
        1,
        "list_name",
        "rename the column `listname`",
    ),
    (
        "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nname|label\ny|Yes",
        "choices",
        1,
        "list_name",
        "add a column `list_name`",
    ),
    (
        "#survey\ntype|name|label|save_to\ntext|a|A|x\n#entities\nlistname|label\np|${a}",
        "entities",
        1,
        "list_name",
        "rename the column `listname`",
    ),
    ("#survey\ntype|name|label\nbegin group|g|G\ntext|a|A\nend repeat", "survey", 4, "type", "`end_group`"),
    ("#survey\ntype|name|label\nbegin group|g|G\ntext|a|A\nendgroup", "survey", 4, "type", "did you mean `end_group`"),
    ("#survey\ntype|name|label\nbegingroup|g|G\ntext|a|A\nend group", "survey", 2, "type", "did you mean `begin_group`"),
    ("#survey\ntype|name|label|parameters\nrange|a|A|1 to 10", "survey", 2, "parameters", "`start=1 end=10`"),
    ("#survey\ntype|name|label|parameters\nrange|a|A|start=1=2", "survey", 2, "parameters", "`name=value`"),
    ("#survey\ntype|name|label|constraint\ninteger|a|A|> 3", "survey", 2, "constraint", "`. > 3`"),
    (
        "#survey\ntype|name|label|constraint\ntext|a|A|regex(., '[0-9]+)",
        "survey",
        2,
        "constraint",
        "the quotation mark that opens it",
    ),
];

/// One fault each in the column `relevant` of row 3.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("${a} == 1", "write one `=`"),
    ("${a} <> 1", "`!=`"),
    ("${a} =< 1", "`<=`"),
    ("${a} = 1 && ${a} = 2", "`and`"),
    ("${a} = 1 AND ${a} = 2", "in small letters"),
    ("${a} = 1 ¦¦ ${a} = 2", "`or`"),
    ("!${a}", "`not(…)`"),
    ("$a = 1", "`${name}`"),
    ("{a} = 1", "`${name}`"),
    ("${A} = 1", "did you mean `${a}`"),
    ("${a} / 2 = 1", "`div`"),
    ("${a} % 2 = 1", "`mod`"),
    ("= ${a}", "begins with no `=`"),
    ("${a} ≥ 1", "`>=`"),
    ("selected(${a} 'x')", "a comma between arguments"),
    ("selected(${a}, 'x'", "close every bracket"),
    ("selected(${a})", "give `selected()` 2 arguments"),
    ("if(${a} > 1, 'x')", "give `if()` 3 arguments"),
    ("sum(${a}, 3) > 1", "give `sum()` 1 argument"),
    ("substr(${a})", "give `substr()` 2 to 3 arguments"),
    ("IF(${a} > 1, 'x', 'y')", "did you mean `if()`"),
    ("average(${a}) > 1", "`sum(…) div count(…)`"),
    ("isblank(${a})", "`${name} = ''`"),
    ("len(${a}) > 1", "`string-length(…)`"),
    ("if(${a} = 1; 1; 2)", "a comma between arguments"),
    ("concat(${a}, 'it's ')", "double quotes"),
    ("${a} ${a}", "`concat(…, …)`"),
    ("${a} = very good", "quotes around a text"),
    ("(${a} = 1", "close every bracket"),
    ("${a} = 1)", "remove this bracket"),
    ("${a} >", "what is missing at the end"),
    ("coalesce(${a},)", "the last comma"),
];

/// Forms that are read, with a warning that has these words.
const WARNED: &[(&str, &str)] = &[
    (
        "#survey\ntype|name|label|relevent\ntext|a|A|1 = 1",
        "survey row 1, column relevent: this column is not read; is it meant to be `relevant`?",
    ),
    ("#survey\ntype|name|label::English (en)|label:French\ntext|a|A|B", "is it meant to be `label::French`?"),
    (
        "#survey\ntype|name|label|relevant\ntext|a|A\ntext|b|B|${a} = yes",
        "survey row 3, column relevant: `yes` is read as the name of an element",
    ),
    ("#survey\ntype|name|label|constraint\ninteger|a|A|3 < . < 10", "column constraint: a comparison of a comparison"),
    (
        "#survey\ntype|name|label|choice_filter\ntext|p|P\nselect_one yn|a|A|province = ${p} LISTS",
        "the list `yn` has no column `province`",
    ),
    (
        "#survey\ntype|name|label|repeat_count\ninteger|size|S\nbegin repeat|r|R|size\ntext|a|A\nend repeat",
        "survey row 3, column repeat_count: `size` is not read as the question of that name: write `${size}`",
    ),
    ("#survey\ntype|name|label|default\ndate|a|A|today", "survey row 2, column default: the default `today` is not a date"),
    ("#survey\ntype|name|label\ntext|a|A\n#settings\nformid\nx", "did you mean `form_id`?"),
    (
        "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nlist_name|name|lable\nyn|y|Yes",
        "rename the column `lable` to `label`",
    ),
    ("#survey\ntype|name|label|parameters\nnote|a|A|rows=3", "takes no parameters"),
    ("#survey\ntype|name|label|hint\nbegin group|g|G|h\ntext|a|A\nend group", "survey row 2, column hint: a group shows no hint"),
];

/// Forms in which nothing is odd, though it may look so.
const SILENT: &[&str] = &[
    "#survey\ntype|name|label|notes|order\ntext|a|A|x|1",
    "#survey\ntype|name|label|choice_filter\ntext|p|P\nselect_one yn|a|A|area = ${p}\n#choices\nlist_name|name|label|area\nyn|y|Yes|x",
    "#survey\ntype|name|label|choice_filter\ntext|p|P\nselect_one yn|a|A|name = instance('yn')/root/item[area = current()/../p]/name\n#choices\nlist_name|name|label|area\nyn|y|Yes|x",
    "#survey\ntype|name|label|constraint\ninteger|a|A|. > 3 and . < 10",
    "#survey\ntype|name|label|default\ndate|a|A|2026-11-28\ninteger|b|B|۱۲",
];

fn found(text: &str) -> Vec<karwan_form::fault::Fault> {
    xlsform::read(&workbook(&text.replace(" LISTS", LISTS)), "made.xlsx").err().unwrap_or_default()
}

#[test]
fn each_mistake_is_one_fault_whose_mend_says_what_to_write() {
    let mut wrong = Vec::new();
    let expressions: Vec<String> = EXPRESSIONS.iter().map(|(expression, _)| format!("{EXPRESSION}{expression}")).collect();
    let of_expressions =
        expressions.iter().zip(EXPRESSIONS).map(|(text, (_, mend))| (text.as_str(), "survey", 3, "relevant", *mend));
    for (text, sheet, row, column, mend) in MISTAKES.iter().copied().chain(of_expressions) {
        let faults = found(text);
        let fits = matches!(faults.as_slice(), [fault] if fault.sheet == sheet && fault.row == row && fault.column == column && fault.mend.contains(mend));
        if !fits {
            wrong.push(format!(
                "{text}\n  should say {mend} and gives {:?}",
                faults.iter().map(ToString::to_string).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_hardly_meant_is_told_and_stops_nothing() {
    for (text, words) in WARNED {
        let form = xlsform_made::read(&text.replace(" LISTS", LISTS));
        assert!(
            form.warnings.iter().any(|warning| warning.contains(words)),
            "{text}\n  should say {words} and says {:?}",
            form.warnings
        );
    }
    for text in SILENT {
        assert_eq!(xlsform_made::read(text).warnings, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_cell_whose_formula_failed_is_told_and_not_read_as_empty() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("survey").unwrap();
    for (column, cell) in ["type", "name", "label"].into_iter().enumerate() {
        sheet.write_string(0, column as u16, cell).unwrap();
    }
    sheet.write_string(1, 0, "text").unwrap().write_string(1, 1, "a").unwrap();
    sheet.write_formula(1, 2, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    let form = xlsform::read(&book.save_to_buffer().unwrap(), "made.xlsx").unwrap();
    assert!(
        form.warnings.iter().any(|warning| warning.contains("column label") && warning.contains("#DIV/0!")),
        "{:?}",
        form.warnings
    );
}
