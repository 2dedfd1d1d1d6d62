//! `karwan form check` on broken workbooks: sheet, row, column and the mend for each fault, all in one run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::command::{Answer, run};
use karwan_tests::workbook::{Sheet, household_form, visit_form, workbook};

const BAD_INPUT: i32 = 3;

fn check(sheets: &[Sheet<'_>]) -> Answer {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("form.xlsx");
    std::fs::write(&file, workbook(sheets).unwrap()).unwrap();
    run(&["form", "check", file.to_str().unwrap()])
}

const HEADER: &[&str] = &["type", "name", "label", "relevant", "constraint", "calculation"];
const SETTINGS: Sheet<'static> = ("settings", &[&["form_title", "form_id"], &["Broken", "broken"]]);

/// The fault names its row and everything in `words`.
fn names(answer: &Answer, row: u32, words: &[&str]) {
    assert_eq!(answer.status, BAD_INPUT, "{answer:?}");
    let told = answer.stderr.lines().any(|line| {
        line.contains("survey")
            && line.contains(&format!("row {row}"))
            && words.iter().all(|word| line.to_lowercase().contains(&word.to_lowercase()))
    });
    assert!(told, "row {row} with {words:?} in:\n{}", answer.stderr);
    assert!(answer.stderr.to_lowercase().contains("mend"), "{}", answer.stderr);
}

#[test]
fn an_unknown_type_is_named_with_the_nearest_that_exists() {
    names(&check(&[("survey", &[HEADER, &["intger", "age", "Age"]]), SETTINGS]), 2, &["intger", "integer"]);
}

#[test]
fn an_unbalanced_group_is_named() {
    names(&check(&[("survey", &[HEADER, &["begin_group", "house", "House"], &["text", "a", "A"]]), SETTINGS]), 2, &["house"]);
    names(&check(&[("survey", &[HEADER, &["text", "a", "A"], &["end_group", "", ""]]), SETTINGS]), 3, &["end"]);
}

#[test]
fn an_undefined_reference_is_named() {
    names(&check(&[("survey", &[HEADER, &["text", "a", "A", "${b} = 1"]]), SETTINGS]), 2, &["relevant", "b"]);
}

#[test]
fn a_circular_calculation_is_named_with_its_circle() {
    let survey: &[&[&str]] =
        &[HEADER, &["calculate", "a", "", "", "", "${b} + 1"], &["calculate", "b", "", "", "", "${a} + 1"], &["text", "c", "C"]];
    let answer = check(&[("survey", survey), SETTINGS]);
    assert_eq!(answer.status, BAD_INPUT, "{answer:?}");
    let line = answer.stderr.lines().find(|line| line.contains("circ") || line.contains("itself")).unwrap_or_default().to_owned();
    assert!(line.contains("calculation") && line.contains('a') && line.contains('b'), "{answer:?}");
}

#[test]
fn a_missing_choice_list_is_named() {
    names(
        &check(&[
            ("survey", &[HEADER, &["select_one colour", "a", "A"]]),
            ("choices", &[&["list_name", "name", "label"], &["color", "r", "Red"]]),
            SETTINGS,
        ]),
        2,
        &["colour"],
    );
}

#[test]
fn duplicate_names_are_named() {
    names(&check(&[("survey", &[HEADER, &["text", "a", "A"], &["text", "a", "Again"]]), SETTINGS]), 3, &["name", "a"]);
}

#[test]
fn a_syntax_error_in_an_expression_is_named_with_its_place() {
    names(&check(&[("survey", &[HEADER, &["integer", "a", "A", "", ". > and 3"]]), SETTINGS]), 2, &["constraint"]);
}

#[test]
fn all_faults_are_told_at_once() {
    let survey: &[&[&str]] =
        &[HEADER, &["intger", "a", "A"], &["text", "b", "B", "${nobody} = 1"], &["integer", "c", "C", "", ". >"]];
    let answer = check(&[("survey", survey), SETTINGS]);
    for row in 2..=4 {
        assert!(answer.stderr.contains(&format!("row {row}")), "row {row} in:\n{}", answer.stderr);
    }
}

#[test]
fn good_forms_are_understood() {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, bytes) in [("household.xlsx", household_form().unwrap()), ("visit.xlsx", visit_form().unwrap())] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        run(&["form", "check", file.to_str().unwrap()]).done();
    }
}

#[test]
fn what_is_no_workbook_is_bad_input_and_no_panic() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("form.xlsx");
    for bytes in [&b""[..], b"PK\x03\x04", b"not a workbook at all", &[0u8; 4096]] {
        std::fs::write(&file, bytes).unwrap();
        let answer = run(&["form", "check", file.to_str().unwrap()]).refused(BAD_INPUT);
        assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    }
    run(&["form", "check", folder.path().join("absent.xlsx").to_str().unwrap()]).refused(BAD_INPUT);
}
