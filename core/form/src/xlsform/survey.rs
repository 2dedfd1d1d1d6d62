//! First reading of the survey sheet: rows become a tree of groups, repeats and questions.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Row, Sheet};
use super::draft::{Draft, Made, Pending, Words};
use super::dynamic::is_dynamic;
use super::parameters;
use super::references::{Names, is_element_name};
use super::report::{Place, Report};
use super::settings::{Settings, is_yes};
use super::types::{self, Container, Question, RowType, Special};
use crate::model::{ControlKind, DataType, NodeId, NodeKind};

/// Most rows of the survey sheet.
pub const QUESTIONS_MAX: usize = 100_000;
/// Deepest nesting of groups and repeats.
pub const DEPTH_MAX: usize = 64;

pub struct Open {
    node: NodeId,
    repeat: bool,
    row: u32,
    name: String,
    /// An end of the other kind stands in it, and was told.
    closed_wrongly: bool,
    pub table_list: TableList,
}

/// The appearance `table-list` of a group.
#[derive(Clone, PartialEq)]
pub enum TableList {
    No,
    /// No select yet.
    Empty,
    /// The list that all its selects share.
    Of(String),
}

pub struct Reader<'read> {
    pub sheet: &'read Sheet,
    pub settings: &'read Settings,
    report: &'read mut Report,
    pub draft: Draft,
    pub open: Vec<Open>,
    repeats: BTreeSet<String>,
    audits: Vec<(Pending, BTreeMap<String, String>)>,
}

/// Reads all rows, and adds `meta`.
pub fn read(sheet: &Sheet, settings: &Settings, report: &mut Report) -> Draft {
    let mut reader = Reader {
        sheet,
        settings,
        report,
        draft: Draft::new(&settings.root_name),
        open: Vec::new(),
        repeats: BTreeSet::new(),
        audits: Vec::new(),
    };
    if let Some(row) = sheet.rows.get(QUESTIONS_MAX) {
        let place = Place { sheet: "survey", row: row.number, column: "" };
        reader.report.fault(place, format!("a form has at most {QUESTIONS_MAX} rows"), "make several forms of it");
    }
    for row in sheet.rows.iter().take(QUESTIONS_MAX) {
        reader.row(row);
    }
    while let Some(open) = reader.open.pop() {
        if open.closed_wrongly {
            continue;
        }
        let what = if open.repeat { "repeat" } else { "group" };
        let place = Place { sheet: "survey", row: open.row, column: "type" };
        reader.report.fault(place, format!("the {what} `{}` is never closed", open.name), format!("add a row `end_{what}`"));
    }
    reader.meta();
    reader.draft
}

impl Reader<'_> {
    pub fn cell(&self, row: &Row, key: &str) -> String {
        let text = self.sheet.text(row, key);
        if self.settings.keep_spaces { text.to_owned() } else { single_spaces(text) }
    }

    pub fn words(&self, row: &Row, key: &str) -> Words {
        self.sheet
            .texts(row, key)
            .into_iter()
            .map(|(language, text)| {
                let text = if self.settings.keep_spaces { text.to_owned() } else { single_spaces(text) };
                (language.map(str::to_owned), text)
            })
            .collect()
    }

    pub fn fault(&mut self, row: &Row, key: &str, message: impl Into<String>, mend: impl Into<String>) {
        let column = self.sheet.header_text(key);
        self.report.fault(Place { sheet: "survey", row: row.number, column: &column }, message, mend);
    }

    pub fn warn(&mut self, row: &Row, key: &str, message: &str) {
        let column = self.sheet.header_text(key);
        self.report.warn(Place { sheet: "survey", row: row.number, column: &column }, message);
    }

    pub fn parent(&self) -> NodeId {
        self.open.last().map_or(0, |open| open.node)
    }

    fn row(&mut self, row: &Row) {
        let disabled = self.sheet.text(row, "disabled");
        if !disabled.is_empty() {
            self.warn(row, "disabled", "this column is no part of XLSForm: remove the row, or use `relevant`");
        }
        if is_yes(disabled) {
            return;
        }
        let text = self.cell(row, "type");
        if text.is_empty() {
            if self.cell(row, "name").is_empty() && self.words(row, "label").is_empty() {
                self.warn(row, "type", "this row has no type, name or label and is ignored");
            } else {
                self.fault(row, "type", "this row has no type", "write a type such as `text` or `select_one LIST`");
            }
            return;
        }
        match types::parse(&text) {
            RowType::Begin(container) => self.begin(row, container == Container::Repeat),
            RowType::End(container) => self.end(row, container == Container::Repeat),
            RowType::Question(question) => self.question(row, &question),
            RowType::Select { kind, list, from, or_other } => self.select(row, kind, &list, from, or_other),
            RowType::ExternalInstance(extension) => self.external_instance(row, extension),
            RowType::Audit => {
                self.check_parameters(row, "audit");
                if !matches!(self.cell(row, "name").as_str(), "" | "audit") {
                    self.fault(row, "name", "an audit is always called `audit`", "leave the name blank");
                }
                if !self.audits.is_empty() {
                    self.fault(row, "type", "the form has an audit already", "keep one of them");
                }
                let parameters =
                    self.parameters(row).into_iter().map(|(name, value)| (format!("bind::odk:{name}"), value)).collect();
                self.audits.push((Pending { row: row.number, ..Pending::default() }, parameters));
            }
            RowType::Setting => {
                self.warn(row, "type", "a setting belongs into the settings sheet");
                self.draft.settings.push((text, self.cell(row, "name")));
            }
            RowType::Refused(mend) => {
                self.fault(row, "type", format!("the question type `{text}` is not supported"), mend);
                self.placeholder(row);
            }
            RowType::Unknown => {
                let mend = if text.starts_with("select") || text.starts_with("rank") {
                    "write `select_one LIST`, `select_multiple LIST` or `rank LIST` with a list of the choices sheet".to_owned()
                } else {
                    types::meant(&text)
                };
                self.fault(row, "type", format!("`{text}` is not a question type"), mend);
                // A group's misspelt end or beginning is one fault, not two.
                match super::references::similar(&text, types::ENDS.iter().copied()).as_deref() {
                    Some("end_group" | "end_repeat") => _ = self.open.pop(),
                    Some(begin) => self.begin(row, begin == "begin_repeat"),
                    None => self.placeholder(row),
                }
            }
        }
    }

    /// `csv-external`, `xml-external`: a file with the row's name.
    fn external_instance(&mut self, row: &Row, extension: &str) {
        let parent = self.parent();
        let Some(name) = self.name(row, parent) else { return };
        if self.draft.files.iter().any(|(other, ..)| *other == name) {
            self.fault(row, "name", format!("the file `{name}` is named already"), "name each file once");
            return;
        }
        self.draft.reserve(parent, &name);
        self.draft.files.push((name.clone(), format!("{name}.{extension}"), row.number));
    }

    /// Keeps the name of a row with a fault, so that references to it are not reported as well.
    fn placeholder(&mut self, row: &Row) {
        let name = self.cell(row, "name");
        let parent = self.parent();
        if is_element_name(&name) && !self.draft.has_child(parent, &name) {
            let made = Made { name: &name, parent, kind: NodeKind::Value, data_type: DataType::String, control: None };
            self.draft.add(&made, Pending { row: row.number, ..Pending::default() });
        }
    }

    /// The row's name, where it can be one here.
    pub fn name(&mut self, row: &Row, parent: NodeId) -> Option<String> {
        let name = self.cell(row, "name");
        if name.is_empty() {
            let renamed = self.sheet.lookalike("name").map(|text| format!("rename the column `{text}` to `name`"));
            self.fault(
                row,
                "name",
                "this row has no name",
                renamed.unwrap_or_else(|| "give it a name, for example `age`".to_owned()),
            );
            return None;
        }
        if !is_element_name(&name) {
            self.fault(
                row,
                "name",
                format!("`{name}` cannot be a name"),
                "begin with a letter or `_`; use letters, digits, `_`, `-` and `.`, and no spaces",
            );
            return None;
        }
        if name == "meta" {
            self.fault(row, "name", "the name `meta` is taken by the form itself", "choose another name");
            return None;
        }
        if self.draft.has_child(parent, &name) {
            self.fault(row, "name", format!("`{name}` is here twice"), "names must differ within a group or repeat: rename one");
            return None;
        }
        if self.draft.has_similar_child(parent, &name) {
            self.warn(row, "name", "the name differs from another here only in upper and lower case");
        }
        Some(name)
    }

    pub fn pending(&self, row: &Row) -> Pending {
        let media = ["image", "audio", "video", "big-image"]
            .iter()
            .map(|medium| ((*medium).to_owned(), self.words(row, &format!("media::{medium}"))))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        Pending {
            row: row.number,
            relevant: self.cell(row, "relevant"),
            constraint: self.cell(row, "constraint"),
            required: self.cell(row, "required"),
            readonly: self.cell(row, "read_only"),
            calculation: self.cell(row, "calculation"),
            default: self.cell(row, "default"),
            trigger: self.cell(row, "trigger"),
            count: self.cell(row, "repeat_count"),
            choice_filter: self.cell(row, "choice_filter"),
            save_to: self.cell(row, "save_to"),
            label: self.words(row, "label"),
            hint: self.words(row, "hint"),
            guidance_hint: self.words(row, "guidance_hint"),
            constraint_message: self.words(row, "constraint_message"),
            required_message: self.words(row, "required_message"),
            media,
            ..Pending::default()
        }
    }

    fn begin(&mut self, row: &Row, repeat: bool) {
        let parent = self.parent();
        let what = if repeat { "repeat" } else { "group" };
        let name = self.name(row, parent).unwrap_or_else(|| format!("unnamed_{}", row.number));
        if self.open.len() >= DEPTH_MAX {
            self.fault(row, "type", format!("groups are nested deeper than {DEPTH_MAX}"), "nest them less deeply");
        }
        if repeat {
            if name == self.settings.root_name {
                self.fault(
                    row,
                    "name",
                    format!("a repeat cannot have the name of the form's root, `{name}`"),
                    "rename the repeat",
                );
            } else if !self.repeats.insert(name.clone()) {
                self.fault(row, "name", format!("another repeat is called `{name}`"), "give each repeat a name of its own");
            }
        }
        let mut pending = self.pending(row);
        if !pending.save_to.is_empty() {
            self.fault(row, "save_to", format!("a {what} cannot be saved to an entity"), "save a question instead");
            pending.save_to.clear();
        }
        for (key, cell) in [("default", &pending.default), ("trigger", &pending.trigger)] {
            if !cell.is_empty() {
                self.warn(row, key, &format!("a {what} holds no value, and the cell is ignored"));
            }
        }
        for (key, words) in [("hint", &pending.hint), ("guidance_hint", &pending.guidance_hint)] {
            if !words.is_empty() && !self.is_table_list(row) {
                self.warn(row, key, &format!("a {what} shows no hint: put it into the label, or into a note"));
            }
        }
        let count = std::mem::take(&mut pending.count);
        if repeat && !count.is_empty() {
            pending.count = self.count(row, parent, &name, count);
        } else if !count.is_empty() {
            self.warn(row, "repeat_count", "only repeats have a count");
        }
        if repeat && pending.label.is_empty() && pending.media.is_empty() {
            self.warn(row, "label", "the repeat has no label");
        }
        let kind = if repeat { NodeKind::Repeat { count: None } } else { NodeKind::Group };
        let appearance = self.cell(row, "appearance");
        let table_list = self.is_table_list(row);
        let moved = table_list.then(|| (std::mem::take(&mut pending.label), std::mem::take(&mut pending.hint)));
        let control_kind = if repeat { ControlKind::Repeat } else { ControlKind::Group };
        let made = Made { name: &name, parent, kind, data_type: DataType::String, control: Some(control_kind) };
        let id = self.draft.add(&made, pending);
        self.finish(row, id, false);
        if let Some((label, hint)) = moved {
            let others: Vec<&str> = appearance.split_whitespace().filter(|word| *word != "table-list").collect();
            let appearance = std::iter::once("field-list").chain(others).collect::<Vec<_>>().join(" ");
            self.control(id, |control| control.appearance = appearance);
            if !label.is_empty() || !hint.is_empty() {
                let name = format!("generated_table_list_label_{}", row.number);
                let made = Made {
                    name: &name,
                    parent: id,
                    kind: NodeKind::Value,
                    data_type: DataType::String,
                    control: Some(ControlKind::Note),
                };
                self.draft
                    .add(&made, Pending { row: row.number, readonly: "true()".to_owned(), label, hint, ..Pending::default() });
            }
        }
        self.open.push(Open {
            node: id,
            repeat,
            row: row.number,
            name,
            closed_wrongly: false,
            table_list: if table_list { TableList::Empty } else { TableList::No },
        });
    }

    /// Whether a group shows selects of one list as a table.
    fn is_table_list(&self, row: &Row) -> bool {
        self.cell(row, "appearance").split_whitespace().any(|word| word == "table-list")
    }

    /// A count that is more than a reference is calculated beside the repeat.
    fn count(&mut self, row: &Row, parent: NodeId, name: &str, count: String) -> String {
        if Names::is_reference(count.trim()) {
            return count;
        }
        let count_name = format!("{name}_count");
        if self.draft.has_child(parent, &count_name) {
            self.fault(
                row,
                "repeat_count",
                format!("the count would be calculated in `{count_name}`, which is here already"),
                "rename that question",
            );
            return String::new();
        }
        let made = Made { name: &count_name, parent, kind: NodeKind::Value, data_type: DataType::String, control: None };
        self.draft.add(
            &made,
            Pending { row: row.number, readonly: "true()".to_owned(), calculation: count, counts: true, ..Pending::default() },
        );
        format!("${{{count_name}}}")
    }

    fn end(&mut self, row: &Row, repeat: bool) {
        let what = if repeat { "repeat" } else { "group" };
        match self.open.last() {
            None => {
                self.fault(
                    row,
                    "type",
                    format!("`end_{what}` closes nothing"),
                    format!("remove it, or add `begin_{what}` above"),
                );
            }
            Some(open) if open.repeat != repeat => {
                let other = if open.repeat { "repeat" } else { "group" };
                let message = format!("`end_{what}` stands where the {other} `{}` of row {} is open", open.name, open.row);
                let mend = format!("write `end_{other}`, or close the {other} first");
                self.fault(row, "type", message, mend);
                // One slip is one fault: if the matching one is open further out, everything inside it is closed; and where none is
                // open, this may be a slip for the other word.
                if let Some(at) = self.open.iter().rposition(|open| open.repeat == repeat) {
                    self.open.truncate(at);
                } else if let Some(open) = self.open.last_mut() {
                    open.closed_wrongly = true;
                }
            }
            Some(_) => {
                self.open.pop();
            }
        }
    }

    fn question(&mut self, row: &Row, question: &Question) {
        let parent = self.parent();
        let name = if question.special == Special::Note && self.cell(row, "name").is_empty() {
            format!("generated_note_name_{}", row.number)
        } else {
            match self.name(row, parent) {
                Some(name) => name,
                None => return,
            }
        };
        let mut pending = self.pending(row);
        if question.control == Some(ControlKind::Note) && pending.readonly.is_empty() {
            "true()".clone_into(&mut pending.readonly);
        }
        if pending.constraint.is_empty()
            && let Some(constraint) = question.constraint
        {
            constraint.clone_into(&mut pending.constraint);
        }
        if pending.hint.is_empty()
            && let Some(hint) = question.hint
        {
            pending.hint = vec![(None, hint.to_owned())];
        }
        match question.special {
            Special::Calculate if pending.calculation.is_empty() && !is_dynamic(&pending.default, false) => {
                self.fault(
                    row,
                    "calculation",
                    format!("`{name}` calculates nothing"),
                    "write an expression in the column `calculation`",
                );
            }
            Special::BackgroundGeopoint => {
                if pending.trigger.is_empty() {
                    self.fault(
                        row,
                        "trigger",
                        "a `background-geopoint` needs a trigger",
                        "name the question whose change takes the position",
                    );
                }
                if !pending.calculation.is_empty() {
                    self.fault(row, "calculation", "a `background-geopoint` cannot be calculated", "empty the cell");
                }
                pending.geopoint_on_trigger = true;
            }
            Special::StartGeopoint => pending.geopoint_at_start = true,
            Special::BackgroundAudio => {
                pending.record_audio = Some(self.parameters(row).remove("quality").unwrap_or_default());
            }
            _ => {}
        }
        let unseen = pending.label.is_empty()
            && pending.hint.is_empty()
            && (!pending.calculation.is_empty() || !pending.trigger.is_empty());
        let control = if unseen { None } else { question.control };
        let made = Made { name: &name, parent, kind: NodeKind::Value, data_type: question.data_type, control };
        let id = self.draft.add(&made, pending);
        if let Some(node) = self.draft.nodes.get_mut(id) {
            node.bind.preload = question.preload.map(str::to_owned);
        }
        self.finish(row, id, !question.parameters.is_empty());
        self.check_parameters(row, question.parameters);
        if let Some(media_type) = question.media_type {
            self.control(id, |control| {
                control.parameters.insert("mediatype".to_owned(), media_type.to_owned());
            });
        }
        if question.special == Special::Range {
            self.range(row, id);
        }
        if question.special == Special::Photo {
            self.photo_default(id);
            if !self.parameters(row).contains_key("max-pixels") {
                self.warn(row, "parameters", "without `max-pixels` a picture is kept and sent in its full size");
            }
        }
        if matches!(question.preload, Some("simserial" | "subscriberid")) {
            self.warn(row, "type", "most devices no longer tell this");
        }
        self.check_seen(row, id, &name);
    }

    pub fn check_seen(&mut self, row: &Row, id: NodeId, name: &str) {
        let asked = self.draft.nodes.get(id).is_some_and(|node| node.control.is_some());
        let media = self.draft.pending.get(id).map(|pending| &pending.media);
        if asked && media.is_some_and(|media| media.contains_key("big-image") && !media.contains_key("image")) {
            self.fault(row, "media::big-image", "a `big-image` needs an `image` too", "name the image that is shown first");
        }
        let says = self
            .draft
            .pending
            .get(id)
            .is_some_and(|pending| !pending.label.is_empty() || !pending.hint.is_empty() || !pending.media.is_empty());
        if asked && !says {
            self.fault(
                row,
                "label",
                format!("`{name}` is asked without a label or hint"),
                match self.sheet.lookalike("label") {
                    Some(text) => format!("rename the column `{text}` to `label`"),
                    None => "write a label, or use the type `calculate` or `hidden`".to_owned(),
                },
            );
        }
    }

    pub fn control(&mut self, id: NodeId, change: impl FnOnce(&mut crate::model::Control)) {
        if let Some(control) = self.draft.nodes.get_mut(id).and_then(|node| node.control.as_mut()) {
            change(control);
        }
    }

    pub fn parameters(&mut self, row: &Row) -> BTreeMap<String, String> {
        let text = self.cell(row, "parameters");
        match parameters::parse(&text) {
            Ok(parameters) => parameters,
            Err(message) => {
                self.fault(
                    row,
                    "parameters",
                    message,
                    "write `name=value` pairs with spaces between them, such as `start=1 end=10`",
                );
                BTreeMap::new()
            }
        }
    }

    /// Faults of the parameters of a row whose type is `of`.
    pub fn check_parameters(&mut self, row: &Row, of: &str) {
        let given = parameters::parse(&self.cell(row, "parameters")).unwrap_or_default();
        for (message, mend) in parameters::faults(of, &given) {
            self.fault(row, "parameters", message, mend);
        }
    }

    pub fn bind(&mut self, id: NodeId, change: impl FnOnce(&mut crate::model::Bind)) {
        if let Some(node) = self.draft.nodes.get_mut(id) {
            change(&mut node.bind);
        }
    }

    /// `meta` as every submission has it.
    fn meta(&mut self) {
        let audits = std::mem::take(&mut self.audits);
        if audits.is_empty() && self.settings.omit_instance_id && self.settings.instance_name.is_empty() {
            return;
        }
        let group = Made { name: "meta", parent: 0, kind: NodeKind::Group, data_type: DataType::String, control: None };
        let meta = self.draft.add(&group, Pending::default());
        let value = |name| Made { name, parent: meta, kind: NodeKind::Value, data_type: DataType::String, control: None };
        if let Some((audit, parameters)) = audits.into_iter().next() {
            let id = self.draft.add(&Made { data_type: DataType::Binary, ..value("audit") }, audit);
            self.bind(id, |bind| bind.extra = parameters);
        }
        if !self.settings.omit_instance_id {
            let pending = Pending { readonly: "true()".to_owned(), ..Pending::default() };
            let id = self.draft.add(&value("instanceID"), pending);
            self.bind(id, |bind| bind.preload = Some("uid".to_owned()));
            if !matches!(self.settings.instance_id.as_str(), "" | "uid") {
                let word = self.settings.instance_id.clone();
                self.bind(id, |bind| _ = bind.extra.insert("bind::jr:preload".to_owned(), word));
            }
        }
        if !self.settings.instance_name.is_empty() {
            let pending =
                Pending { row: self.settings.row, calculation: self.settings.instance_name.clone(), ..Pending::default() };
            self.draft.add(&value("instanceName"), pending);
        }
    }
}

/// Several spaces become one; line breaks stay.
fn single_spaces(text: &str) -> String {
    if !text.contains("  ") {
        return text.to_owned();
    }
    let mut single = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != ' ' || !single.ends_with(' ') {
            single.push(letter);
        }
    }
    single
}
