//! Reads an XLSForm workbook (`.xlsx`, `.xls`) into the model, as pyxform 4 reads it.
//!
//! [`workbook`] gives text cells, [`columns`] knows which column is which, [`types`] what a row asks for. [`survey`] (with
//! [`selects`] and [`attributes`]) makes the tree of [`draft`]; when all names are known, [`assemble`] and [`compile`] read the expressions and words, with
//! [`references`] for `${name}`. [`entities`] and [`status`] read their sheets, [`check`] looks at the whole.

mod advice;
mod assemble;
mod attributes;
pub(crate) mod check;
mod choices;
mod columns;
mod compile;
mod draft;
mod dynamic;
mod entities;
mod geometry;
mod inline;
mod languages;
mod parameters;
mod range;
mod references;
pub(crate) mod report;
mod selects;
mod settings;
mod status;
mod survey;
mod syntax;
mod types;
mod workbook;

use std::collections::{BTreeMap, BTreeSet};

use check::Lists;
use columns::{Kind, Sheet};
use compile::Compiler;
use draft::{Draft, List};
use references::Names;
use report::{Place, Report};

use crate::answers::Answers;
use crate::fault::Fault;
use crate::interview::plan::Prepared;
use crate::model::{Form, Node, NodeId, NodeKind};

pub(crate) use references::{LAST_SAVED, is_name};
pub(crate) use settings::is_yes;
pub use workbook::{BYTES_MAX, COLUMNS_MAX, ROWS_MAX, UNPACKED_BYTES_MAX};

/// Reads a workbook. All faults that can be found are given, not only the first. `file_name` names the form where its
/// settings do not.
pub fn read(bytes: &[u8], file_name: &str) -> Result<Form, Vec<Fault>> {
    let mut report = Report::default();
    match read_sheets(bytes, file_name, &mut report) {
        Ok(form) if report.faults.is_empty() => Ok(Form { warnings: report.warnings, ..form }),
        Ok(_) => Err(in_order(report.faults)),
        Err(fault) => {
            report.faults.push(fault);
            Err(in_order(report.faults))
        }
    }
}

/// Sheet by sheet and row by row, each fault once.
fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    let sheet = |fault: &Fault| match fault.sheet.as_str() {
        "" => 0,
        "settings" => 1,
        "survey" => 2,
        "choices" | "external_choices" => 3,
        _ => 4,
    };
    faults.sort_by(|left, right| sheet(left).cmp(&sheet(right)).then(left.row.cmp(&right.row)));
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    faults
}

fn read_sheets(bytes: &[u8], file_name: &str, report: &mut Report) -> Result<Form, Fault> {
    let (raw, sheet_names) = workbook::read(bytes)?;
    let mut sheets: BTreeMap<String, Sheet> = BTreeMap::new();
    for sheet in raw {
        let kind = match sheet.name.as_str() {
            "survey" => Kind::Survey,
            "choices" | "external_choices" => Kind::Choices,
            "settings" => Kind::Settings,
            "entities" => Kind::Entities,
            "karwan_status" => Kind::Status,
            _ => continue,
        };
        sheets.insert(sheet.name.clone(), columns::read(sheet, kind, report));
    }
    let Some(survey_sheet) = sheets.get("survey") else {
        let similar = references::similar("survey", sheet_names.iter().map(String::as_str));
        let mend = similar.map_or_else(
            || "add a sheet called `survey` with the columns `type`, `name` and `label`".to_owned(),
            |name| format!("rename the sheet `{name}` to `survey`"),
        );
        return Err(Fault::of_file("the workbook has no sheet called `survey`", mend));
    };
    misspelt_sheets(&sheets, &sheet_names, report);
    if survey_sheet.headers.is_empty()
        && let Some(fault) = report.faults.pop()
    {
        return Err(fault);
    }
    if !survey_sheet.has("type") {
        return Err(Fault::at(
            "survey",
            1,
            "type",
            columns::MISSING,
            survey_sheet.add("type", "; it says what each row asks for"),
        ));
    }
    let mut settings = settings::read(sheets.get("settings"), file_name, report);
    let mut lists = Lists {
        choices: sheets
            .get("choices")
            .map(|sheet| choices::read(sheet, settings.allow_choice_duplicates, report))
            .unwrap_or_default(),
        external: sheets.get("external_choices").map(|sheet| choices::read(sheet, true, report)).unwrap_or_default(),
    };
    let mut draft = survey::read(survey_sheet, &settings, report);
    settings.amend(&draft.settings);
    if report.faults.is_empty() && draft.nodes.iter().skip(1).all(|node| node.row == 0) {
        report.warn(Place { sheet: "survey", row: 0, column: "" }, "the survey sheet asks nothing");
    }
    // Where the choices sheet lacks a column, that is the one thing to tell of it.
    let listless =
        report.faults.iter().any(|fault| fault.sheet == "choices" && fault.row == 1 && fault.message == columns::MISSING);
    if !listless {
        check::lists(&draft, survey_sheet, &mut lists, |sheet| sheets.contains_key(sheet), report);
    }
    let entity_lists: Vec<&str> =
        sheets.get("entities").iter().flat_map(|sheet| sheet.rows.iter().map(|row| sheet.text(row, "list_name"))).collect();
    geometry::check(&mut draft, &survey_sheet.header_text("parameters"), &lists, &entity_lists, report);
    range::check(&draft, &survey_sheet.header_text("parameters"), &lists, report);

    let languages = languages::found(&draft, &lists.choices, &settings);
    let default_language = languages::first_shown(&languages, &settings, report);
    let other_added = survey_sheet.rows.iter().any(|row| types::adds_other(survey_sheet.text(row, "type")));
    languages::check(&sheets, &languages, other_added, report);
    let skeleton = draft.nodes.clone();
    let mut compiler = Compiler {
        names: Names::new(&skeleton).with_computed(draft.computed()),
        languages: &languages,
        default_language,
        report,
        instances: BTreeMap::new(),
        list_names: lists.choices.keys().cloned().collect(),
    };
    files(&mut compiler, &draft);
    let header = |key: &str| survey_sheet.header_text(key);
    let in_repeat: Vec<bool> = (0..draft.nodes.len()).map(|id| draft.in_repeat(id)).collect();
    let Draft { mut nodes, pending, .. } = draft;
    for (id, (node, pending)) in nodes.iter_mut().zip(&pending).enumerate() {
        assemble::node(&mut compiler, id, pending, node, in_repeat.get(id).copied().unwrap_or_default(), &header);
    }
    let entities = sheets
        .get("entities")
        .map(|sheet| entities::read(sheet, &mut compiler, &mut nodes, &pending, &header))
        .unwrap_or_default();
    if !sheets.contains_key("entities") {
        entities::check_without_sheet(&mut compiler, &pending, &header);
    }
    check::references(&sheets, &mut compiler);
    for (name, list) in &lists.choices {
        compiler.internal(name, list);
    }
    for (name, list) in &lists.external {
        let id = compile::external_id(name, &compiler.list_names);
        compiler.internal(&id, list);
    }
    let instances = std::mem::take(&mut compiler.instances);
    let status_rules = sheets.get("karwan_status").map(|sheet| status::read(sheet, &nodes, report)).unwrap_or_default();
    check::searches(&nodes, &header("type"), report);
    check::cycles(&nodes, &header, report);
    advice::give(&nodes, &instances, &header, report);

    let instance_name = nodes
        .iter()
        .find(|node| node.path == format!("/{}/meta/instanceName", settings.root_name))
        .and_then(|node| node.bind.calculate.clone());
    let nested_first = nested_first(&nodes);
    let by_path = nodes.iter().enumerate().map(|(id, node)| (node.path.clone(), id)).collect();
    Ok(Form {
        id: settings.form_id,
        version: settings.version,
        title: settings.form_title,
        root_name: settings.root_name,
        hash: *blake3::hash(bytes).as_bytes(),
        languages,
        default_language,
        instance_name,
        style: settings.style,
        settings: settings.others,
        nodes,
        by_path,
        instances,
        entities,
        status_rules,
        initial: Answers::default(),
        nested_first,
        warnings: Vec::new(),
        prepared: Prepared::default(),
    })
}

/// Files that rows name, so that an expression above such a row may read them.
fn files(compiler: &mut Compiler<'_>, draft: &Draft) {
    for (id, file, row) in &draft.files {
        compiler.file(id, file, Place { sheet: "survey", row: *row, column: "name" });
    }
    for pending in &draft.pending {
        if let Some(List::File(file)) = &pending.list {
            let id = file.rsplit_once('.').map_or(file.as_str(), |(id, _)| id);
            compiler.file(id, file, Place { sheet: "survey", row: pending.row, column: "type" });
        }
    }
    // `pulldata` names files too, and `instance()` may read those.
    for pending in &draft.pending {
        for text in [&pending.calculation, &pending.relevant, &pending.constraint, &pending.default, &pending.choice_filter] {
            for id in check::pulled(text) {
                compiler.file(&id, &format!("{id}.csv"), Place { sheet: "survey", row: pending.row, column: "calculation" });
            }
        }
    }
}

fn misspelt_sheets(sheets: &BTreeMap<String, Sheet>, names: &[String], report: &mut Report) {
    for wanted in ["choices", "settings", "entities", "karwan_status"] {
        if sheets.contains_key(wanted) {
            continue;
        }
        let others = names
            .iter()
            .map(String::as_str)
            .filter(|name| !name.starts_with('_') && !sheets.contains_key(&workbook::sheet_key(name)));
        if let Some(other) = references::similar(wanted, others) {
            report.warn(
                Place { sheet: &other, row: 0, column: "" },
                &format!("this sheet is not read; is it meant to be `{wanted}`?"),
            );
        }
    }
}

/// Repeats that begin with one instance inside of a new instance: those in a group of another repeat, since the template that pyxform
/// writes has one there, and none where a repeat stands in another directly.
fn nested_first(nodes: &[Node]) -> BTreeSet<NodeId> {
    let parent = |id: NodeId| nodes.get(id).and_then(|node| node.parent);
    let is_repeat = |id: NodeId| nodes.get(id).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }));
    let is_first = |id: &NodeId| {
        let mut around = std::iter::successors(parent(*id), |id| parent(*id));
        is_repeat(*id) && around.next().is_some_and(|nearest| !is_repeat(nearest)) && around.any(is_repeat)
    };
    (0..nodes.len()).filter(is_first).collect()
}
