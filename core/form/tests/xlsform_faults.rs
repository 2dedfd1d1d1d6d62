//! What is wrong with a workbook is said with its place and its mend, all of it at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use karwan_form::xlsform;
use xlsform_made::{fault_lines, workbook};

mod xlsform_made;

#[test]
fn every_fault_is_given_with_its_place_and_its_mend() {
    let lines = fault_lines(
        "#survey
        type|name|label|relevant|calculation|choice_filter
        txt|a|A
        text|b c|B
        text|d|D|${dd} = 1
        select_one nolist|e|E
        text|f|F|1 +
        calculate|g|||frob(${d})|
        text|d|Again
        end group
        begin repeat|r|R",
    );
    assert_eq!(
        lines,
        [
            "survey row 2, column type: `txt` is not a question type. Mend: did you mean `text`?",
            "survey row 3, column name: `b c` cannot be a name. Mend: begin with a letter or `_`; use letters, digits, `_`, `-` and `.`, and no spaces",
            "survey row 4, column relevant: `${dd}` names nothing in the survey sheet. Mend: did you mean `${d}`?",
            "survey row 5, column type: the choices sheet has no list `nolist`. Mend: add a sheet `choices` with the columns `list_name`, `name` and `label`",
            "survey row 6, column relevant: at character 3: expected a value, a path or a function, found the end. Mend: look at `1 +`: write what is missing at the end",
            "survey row 7, column calculation: at character 0: `frob()` is not a function. Mend: use a function of the ODK XForms specification",
            "survey row 8, column name: `d` is here twice. Mend: names must differ within a group or repeat: rename one",
            "survey row 9, column type: `end_group` closes nothing. Mend: remove it, or add `begin_group` above",
            "survey row 10, column type: the repeat `r` is never closed. Mend: add a row `end_repeat`",
        ]
    );
}

/// Each form has one fault: its sheet, row, column and a part of its message.
#[test]
fn single_faults() {
    let cases: &[(&str, &str, u32, &str, &str)] = &[
        ("#survey\ntype|name|label\ntext||A", "survey", 2, "name", "no name"),
        ("#survey\ntype|name|label\n|a|A\ntext|b|B", "survey", 2, "type", "no type"),
        ("#survey\ntype|name|label\ntext|a|", "survey", 2, "label", "without a label or hint"),
        ("#survey\nname|label\na|A", "survey", 1, "type", "missing"),
        ("#other\ntype|name|label\ntext|a|A\n#notes\nx", "", 0, "", "no sheet called `survey`"),
        ("#survey\n\ntype|name|label\ntext|a|A", "survey", 1, "", "first row is empty"),
        ("#survey\ntype|name|label|notes|notes\ntext|a|A", "survey", 1, "notes", "two columns `notes`"),
        ("#survey\ntype|name|label|media::photo\ntext|a|A|x.png", "survey", 1, "media::photo", "names no medium"),
        ("#survey\ntype|name|label|notes\ntext|a|A|see ${b}", "survey", 2, "notes", "`${b}` names nothing"),
        ("#survey\ntype|name|label\nText|a|A", "survey", 2, "type", "`Text` is not a question type"),
        ("#survey\ntype|name|label|default\ncalculate|a||5", "survey", 2, "calculation", "calculates nothing"),
        ("#survey\ntype|name|label\nselect_one_from_file a.b.csv|a|A", "survey", 2, "type", "not a file"),
        ("#survey\ntype|name|label\ncsv-external|a b|\ntext|a|A", "survey", 2, "name", "cannot be a name"),
        (
            "#survey\ntype|name|label\ntext|a|A\n#settings\nomit_instanceID|public_key\nyes|k",
            "settings",
            2,
            "omit_instanceID",
            "needs the instance's id",
        ),
        ("#survey\ntype|name|label\nosm|a|A", "survey", 2, "type", "`osm` is not supported"),
        ("#survey\ntype|name|label\nselect_one_external x|a|A", "survey", 2, "type", "external_choices sheet has no list `x`"),
        ("#survey\ntype|name|label\nbegin loop over x|a|A", "survey", 2, "type", "not supported"),
        ("#survey\ntype|name|label\ntext|meta|A", "survey", 2, "name", "`meta` is taken"),
        ("#survey\ntype|name|label\ncalculate|a|", "survey", 2, "calculation", "calculates nothing"),
        (
            "#survey\ntype|name|label\nbegin group|g|G\ntext|a|A\nend repeat\nend group",
            "survey",
            4,
            "type",
            "`end_repeat` stands where the group `g` of row 2 is open",
        ),
        (
            "#survey\ntype|name|label|calculation\ncalculate|a||${b}\ncalculate|b||${c} + 1\ncalculate|c||${a}",
            "survey",
            2,
            "calculation",
            "a → b → c → a",
        ),
        ("#survey\ntype|name|label|relevant\ntext|a|A|${b} = 1\ntext|b|B|${a} = 1", "survey", 2, "relevant", "a → b → a"),
        ("#survey\ntype|name|label|calculation\ncalculate|a||${a} + 1", "survey", 2, "calculation", "`a` depends on itself"),
        ("#survey\ntype|name|label|relevant\ntext|a|A|. = 1", "survey", 2, "relevant", "`a` depends on itself"),
        (
            "#survey\ntype|name|label|calculation\nbegin repeat|r|R\ncalculate|a||${b} + 1\nend repeat\ncalculate|b||/data/r[position() = 1]/a",
            "survey",
            3,
            "calculation",
            "a → b → a",
        ),
        ("#survey\ntype|name|label|relevant\nbegin group|g|G|${a} = 1\ntext|a|A\nend group", "survey", 2, "relevant", "circle"),
        (
            "#survey\ntype|name|label|relevant\nbegin group|g|G\ntext|a|A\nend group\nbegin group|h|H\ntext|a|A\nend group\ntext|b|B|${a} = 1",
            "survey",
            8,
            "relevant",
            "could be any of several",
        ),
        ("#survey\ntype|name|label|relevant\ntext|a|A\ntext|b|B|${a = 1", "survey", 3, "relevant", "is no reference"),
        ("#survey\ntype|name|label\ntext|a|A ${b}", "survey", 2, "label", "`${b}` names nothing"),
        ("#survey\ntype|name|label|constraint\ntext|a|A|regex(., 'x'", "survey", 2, "constraint", "at character 12: expected"),
        (
            "#survey\ntype|name|label|constraint\ntext|a|A|regexp(., 'x')",
            "survey",
            2,
            "constraint",
            "`regexp()` is not a function",
        ),
        (
            "#survey\ntype|name|label|calculation\ncalculate|a||instance('nope')/root/item/x",
            "survey",
            2,
            "calculation",
            "names no list",
        ),
        (
            "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nlist_name|name|label\nyn|y|Y\nyn|y|Z",
            "choices",
            3,
            "name",
            "`y` twice",
        ),
        (
            "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nlist_name|name|label\nyn|y|Y\nyn||Z",
            "choices",
            3,
            "name",
            "has no name",
        ),
        (
            "#survey\ntype|name|label\nselect_multiple yn|a|A\n#choices\nlist_name|name|label\nyn|y y|Y",
            "choices",
            2,
            "name",
            "space in its name",
        ),
        ("#survey\ntype|name|label\ntext|a|A\n#choices\nlist|name|label\nyn|y|Y", "choices", 1, "list_name", "missing"),
        ("#survey\ntype|name|label\nselect_one_from_file people.txt|a|A", "survey", 2, "type", "not a file"),
        ("#survey\ntype|name|label|save_to\ntext|a|A|b", "survey", 2, "save_to", "no entity list"),
        (
            "#survey\ntype|name|label|save_to\ntext|a|A|label\n#entities\nlist_name|label\np|${a}",
            "survey",
            2,
            "save_to",
            "cannot name a property",
        ),
        (
            "#survey\ntype|name|label\ntext|a|A\n#entities\nlist_name|label|update_if\np|${a}|true()",
            "entities",
            2,
            "entity_id",
            "needs the id",
        ),
        (
            "#survey\ntype|name|label\ntext|a|A\n#entities\nlist_name|label\np|${b}",
            "entities",
            2,
            "label",
            "`${b}` names nothing",
        ),
        ("#survey\ntype|name|label|trigger\ntext|a|A|b\ntext|b|B", "survey", 2, "trigger", "no trigger"),
        ("#survey\ntype|name|label|parameters\nrange|a|A|start=x", "survey", 2, "parameters", "not a number"),
        ("#survey\ntype|name|label|bind::karwan:merge\ntext|a|A|newest", "survey", 2, "bind::karwan:merge", "not a merge rule"),
        (
            "#survey\ntype|name|label|bind::karwan:merge\ntext|a|A|union",
            "survey",
            2,
            "bind::karwan:merge",
            "only a `select_multiple`",
        ),
        (
            "#survey\ntype|name|label\ntext|a|A\n#karwan_status\nquestion|to\na|x",
            "karwan_status",
            2,
            "question",
            "keeps no events",
        ),
        ("#survey\ntype|name|label|relevance|relevant\ntext|a|A", "survey", 1, "relevant", "mean the same"),
        (
            "#survey\ntype|name|label\ntext|a|A\n#settings\ninstance_name\n${b}",
            "settings",
            2,
            "instance_name",
            "`${b}` names nothing",
        ),
        (
            "#survey\ntype|name|label\nbegin repeat|r|R\ntext|a|A\nend repeat\nbegin group|g|G\nbegin repeat|r|R\ntext|b|B\nend repeat\nend group",
            "survey",
            6,
            "name",
            "another repeat",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, sheet, row, column, message) in cases {
        let found = match xlsform::read(&workbook(text), "made.xlsx") {
            Ok(_) => Vec::new(),
            Err(faults) => faults,
        };
        let as_expected = matches!(found.as_slice(), [fault] if fault.sheet == *sheet && fault.row == *row && fault.column == *column
            && fault.message.contains(message) && !fault.mend.is_empty());
        if !as_expected {
            wrong.push(format!("{text}\n  gives {:?}", found.iter().map(ToString::to_string).collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_bytes_are_fatal() {
    for bytes in [&b""[..], b"hello", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"] {
        assert!(xlsform::read(bytes, "x.xls").is_err());
    }
    let whole = workbook("#survey\ntype|name|label\ntext|a|A\n");
    for cut in (0..whole.len()).step_by(97) {
        assert!(xlsform::read(&whole[..cut], "x.xlsx").is_err());
    }
    for at in (0..whole.len()).step_by(13) {
        let mut bent = whole.clone();
        bent[at] ^= 0x55;
        let _ = xlsform::read(&bent, "x.xlsx");
    }
}
