//! First reading of the survey sheet: rows become a tree of groups, repeats and questions.

use std::collections::BTreeSet;

use super::columns::{Row, Sheet};
use super::draft::{Draft, List, Made, Pending, Words};
use super::parameters;
use super::references::{Names, is_name};
use super::report::{Place, Report};
use super::settings::{Settings, is_yes};
use super::types::{self, Question, RowType, Special};
use crate::model::{ControlKind, DataType, MergeRule, NodeId, NodeKind};

/// Deepest nesting of groups and repeats.
pub const DEPTH_MAX: usize = 64;

const IDENTITIES: [&str; 8] = ["given_name", "surname", "father_name", "birth_year", "birth_date", "document", "phone", "sex"];

struct Open {
    node: NodeId,
    repeat: bool,
    row: u32,
    name: String,
    /// `table-list`: the list that all its selects share, once the first is seen.
    table_list: Option<Option<String>>,
}

struct Reader<'read> {
    sheet: &'read Sheet,
    settings: &'read Settings,
    report: &'read mut Report,
    draft: Draft,
    open: Vec<Open>,
    repeats: BTreeSet<String>,
    audits: Vec<Pending>,
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
    for row in &sheet.rows {
        reader.row(row);
    }
    while let Some(open) = reader.open.pop() {
        let what = if open.repeat { "repeat" } else { "group" };
        let place = Place { sheet: "survey", row: open.row, column: "type" };
        reader.report.fault(place, format!("the {what} `{}` is never closed", open.name), format!("add a row `end_{what}`"));
    }
    reader.meta();
    reader.draft
}

impl Reader<'_> {
    fn cell(&self, row: &Row, key: &str) -> String {
        let text = self.sheet.text(row, key);
        if self.settings.keep_spaces { text.to_owned() } else { single_spaces(text) }
    }

    fn words(&self, row: &Row, key: &str) -> Words {
        self.sheet
            .texts(row, key)
            .into_iter()
            .map(|(language, text)| {
                let text = if self.settings.keep_spaces { text.to_owned() } else { single_spaces(text) };
                (language.map(str::to_owned), text)
            })
            .collect()
    }

    fn fault(&mut self, row: &Row, key: &str, message: impl Into<String>, mend: impl Into<String>) {
        let column = self.sheet.header_text(key);
        self.report.fault(Place { sheet: "survey", row: row.number, column: &column }, message, mend);
    }

    fn warn(&mut self, row: &Row, key: &str, message: &str) {
        let column = self.sheet.header_text(key);
        self.report.warn(Place { sheet: "survey", row: row.number, column: &column }, message);
    }

    fn parent(&self) -> NodeId {
        self.open.last().map_or(0, |open| open.node)
    }

    fn row(&mut self, row: &Row) {
        if is_yes(self.sheet.text(row, "disabled")) {
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
            RowType::BeginGroup => self.begin(row, false),
            RowType::BeginRepeat => self.begin(row, true),
            RowType::EndGroup => self.end(row, false),
            RowType::EndRepeat => self.end(row, true),
            RowType::Question(question) => self.question(row, &question),
            RowType::Select { kind, list, from_file, or_other } => self.select(row, kind, &list, from_file, or_other),
            RowType::ExternalInstance(extension) => {
                let name = self.cell(row, "name");
                if name.is_empty() {
                    self.fault(row, "name", "an external file needs a name", "write the file's name without its extension");
                } else {
                    self.draft.files.push((name.clone(), format!("{name}.{extension}"), row.number));
                }
            }
            RowType::Audit => {
                let pending = Pending { row: row.number, ..Pending::default() };
                self.audits.push(pending);
            }
            RowType::Setting => self.warn(row, "type", "settings in the survey sheet are ignored: use the settings sheet"),
            RowType::Refused(mend) => {
                self.fault(row, "type", format!("the question type `{text}` is not supported"), mend);
                self.placeholder(row);
            }
            RowType::Unknown => {
                let mend = if text.starts_with("select") || text.starts_with("rank") {
                    "write `select_one LIST`, `select_multiple LIST` or `rank LIST` with a list of the choices sheet".to_owned()
                } else {
                    super::references::similar(&text, types::NAMES.iter().copied())
                        .map_or_else(|| "use a question type of XLSForm, such as `text`".to_owned(), |name| format!("did you mean `{name}`?"))
                };
                self.fault(row, "type", format!("`{text}` is not a question type"), mend);
                self.placeholder(row);
            }
        }
    }

    /// Keeps the name of a row with a fault, so that references to it are not reported as well.
    fn placeholder(&mut self, row: &Row) {
        let name = self.cell(row, "name");
        let parent = self.parent();
        if is_name(&name) && !self.draft.has_child(parent, &name) {
            let made = Made { name: &name, parent, kind: NodeKind::Value, data_type: DataType::String, control: None };
            self.draft.add(&made, Pending { row: row.number, ..Pending::default() });
        }
    }

    /// The row's name, where it can be one here.
    fn name(&mut self, row: &Row, parent: NodeId) -> Option<String> {
        let name = self.cell(row, "name");
        if name.is_empty() {
            self.fault(row, "name", "this row has no name", "give it a name, for example `age`");
            return None;
        }
        if !is_name(&name) {
            self.fault(row, "name", format!("`{name}` cannot be a name"), "begin with a letter or `_`; use letters, digits, `_`, `-` and `.`, and no spaces");
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
        let lower = name.to_lowercase();
        let siblings = self.draft.nodes.get(parent).map(|node| node.children.clone()).unwrap_or_default();
        if siblings.iter().filter_map(|id| self.draft.nodes.get(*id)).any(|node| node.name.to_lowercase() == lower) {
            self.warn(row, "name", "the name differs from another here only in upper and lower case");
        }
        Some(name)
    }

    fn pending(&self, row: &Row) -> Pending {
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
                self.fault(row, "name", format!("a repeat cannot have the name of the form's root, `{name}`"), "rename the repeat");
            } else if !self.repeats.insert(name.clone()) {
                self.fault(row, "name", format!("another repeat is called `{name}`"), "give each repeat a name of its own");
            }
        }
        let mut pending = self.pending(row);
        if !pending.save_to.is_empty() {
            self.fault(row, "save_to", format!("a {what} cannot be saved to an entity"), "save a question instead");
            pending.save_to.clear();
        }
        let count = std::mem::take(&mut pending.count);
        if repeat && !count.is_empty() {
            pending.count = self.count(row, parent, &name, count);
        } else if !count.is_empty() {
            self.warn(row, "repeat_count", "only repeats have a count");
        }
        let kind = if repeat { NodeKind::Repeat { count: None } } else { NodeKind::Group };
        let appearance = self.cell(row, "appearance");
        let table_list = appearance.split_whitespace().any(|word| word == "table-list");
        let moved = table_list.then(|| (std::mem::take(&mut pending.label), std::mem::take(&mut pending.hint)));
        let control_kind = if repeat { ControlKind::Repeat } else { ControlKind::Group };
        let made = Made { name: &name, parent, kind, data_type: DataType::String, control: Some(control_kind) };
        let id = self.draft.add(&made, pending);
        self.finish(row, id);
        if let Some((label, hint)) = moved {
            let others: Vec<&str> = appearance.split_whitespace().filter(|word| *word != "table-list").collect();
            let appearance = std::iter::once("field-list").chain(others).collect::<Vec<_>>().join(" ");
            self.control(id, |control| control.appearance = appearance);
            if !label.is_empty() || !hint.is_empty() {
                let name = format!("generated_table_list_label_{}", row.number);
                let made = Made { name: &name, parent: id, kind: NodeKind::Value, data_type: DataType::String, control: Some(ControlKind::Note) };
                self.draft.add(&made, Pending { row: row.number, readonly: "true()".to_owned(), label, hint, ..Pending::default() });
            }
        }
        self.open.push(Open { node: id, repeat, row: row.number, name, table_list: table_list.then_some(None) });
    }

    /// A count that is more than a reference is calculated beside the repeat.
    fn count(&mut self, row: &Row, parent: NodeId, name: &str, count: String) -> String {
        let mentioned = Names::mentioned(&count);
        if let [only] = mentioned.as_slice()
            && count.trim() == format!("${{{only}}}")
        {
            return count;
        }
        let count_name = format!("{name}_count");
        if self.draft.has_child(parent, &count_name) {
            self.fault(row, "repeat_count", format!("the count would be calculated in `{count_name}`, which is here already"), "rename that question");
            return String::new();
        }
        let made = Made { name: &count_name, parent, kind: NodeKind::Value, data_type: DataType::String, control: None };
        self.draft.add(&made, Pending { row: row.number, readonly: "true()".to_owned(), calculation: count, ..Pending::default() });
        format!("${{{count_name}}}")
    }

    fn end(&mut self, row: &Row, repeat: bool) {
        let what = if repeat { "repeat" } else { "group" };
        match self.open.last() {
            None => self.fault(row, "type", format!("`end_{what}` closes nothing"), format!("remove it, or add `begin_{what}` above")),
            Some(open) if open.repeat != repeat => {
                let other = if open.repeat { "repeat" } else { "group" };
                let message = format!("`end_{what}` stands where the {other} `{}` of row {} is open", open.name, open.row);
                let mend = format!("write `end_{other}`, or close the {other} first");
                self.fault(row, "type", message, mend);
                // If the matching one is open further out, everything inside it is closed, so that one slip is one fault.
                if let Some(at) = self.open.iter().rposition(|open| open.repeat == repeat) {
                    self.open.truncate(at);
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
        if question.special == Special::Note && pending.readonly.is_empty() {
            pending.readonly = "true()".to_owned();
        }
        if pending.constraint.is_empty()
            && let Some(constraint) = question.constraint
        {
            pending.constraint = constraint.to_owned();
        }
        match question.special {
            Special::Calculate if pending.calculation.is_empty() && pending.default.is_empty() => {
                self.fault(row, "calculation", format!("`{name}` calculates nothing"), "write an expression in the column `calculation`");
            }
            Special::BackgroundGeopoint => {
                if pending.trigger.is_empty() {
                    self.fault(row, "trigger", "a `background-geopoint` needs a trigger", "name the question whose change takes the position");
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
        let unseen = pending.label.is_empty() && pending.hint.is_empty() && (!pending.calculation.is_empty() || !pending.trigger.is_empty());
        let control = if unseen { None } else { question.control };
        let made = Made { name: &name, parent, kind: NodeKind::Value, data_type: question.data_type, control };
        let id = self.draft.add(&made, pending);
        if let Some(node) = self.draft.nodes.get_mut(id) {
            node.bind.preload = question.preload.map(str::to_owned);
        }
        self.finish(row, id);
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
        }
        self.check_seen(row, id, &name);
    }

    fn check_seen(&mut self, row: &Row, id: NodeId, name: &str) {
        let asked = self.draft.nodes.get(id).is_some_and(|node| node.control.is_some());
        let says = self.draft.pending.get(id).is_some_and(|pending| !pending.label.is_empty() || !pending.hint.is_empty() || !pending.media.is_empty());
        if asked && !says {
            self.fault(row, "label", format!("`{name}` is asked without a label or hint"), "write a label, or use the type `calculate` or `hidden`");
        }
    }

    fn select(&mut self, row: &Row, kind: ControlKind, list: &str, from_file: bool, or_other: bool) {
        let parent = self.parent();
        let Some(name) = self.name(row, parent) else { return };
        let mut pending = self.pending(row);
        let extension = list.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
        let is_file = matches!(extension.as_str(), "csv" | "xml" | "geojson");
        let reference = list.starts_with("${");
        if list.is_empty() || list.contains(' ') && !reference {
            self.fault(row, "type", "the type names no list", "write the list's name after the type: `select_one LIST`");
        } else if from_file && !is_file {
            self.fault(row, "type", format!("`{list}` is not a file that choices can come from"), "name a `.csv`, `.xml` or `.geojson` file");
        }
        let source = if reference {
            List::Repeat(list.to_owned())
        } else if is_file || from_file {
            List::File(list.to_owned())
        } else {
            List::Choices(list.to_owned())
        };
        let mut parameters = self.parameters(row);
        let geojson = extension == "geojson";
        pending.value_ref = parameters.remove("value").unwrap_or_else(|| if geojson { "id" } else { "name" }.to_owned());
        pending.label_ref = parameters.remove("label").unwrap_or_else(|| if geojson { "title" } else { "label" }.to_owned());
        pending.randomize = parameters.get("randomize").is_some_and(|value| value == "true");
        pending.seed = parameters.get("seed").cloned().unwrap_or_default();
        if !pending.seed.is_empty() && !pending.randomize {
            self.fault(row, "parameters", "a seed without `randomize=true` does nothing", "add `randomize=true` or remove the seed");
        }
        if or_other && !pending.choice_filter.is_empty() {
            self.fault(row, "choice_filter", "`or_other` cannot be used with a choice filter", "add a choice `other` and a text question instead");
        }
        let filtered = !pending.choice_filter.is_empty();
        pending.list = Some(source.clone());
        let data_type = match kind {
            ControlKind::SelectMultiple => DataType::SelectMultiple,
            ControlKind::Rank => DataType::Rank,
            _ => DataType::SelectOne,
        };
        let unseen = pending.label.is_empty() && pending.hint.is_empty() && (!pending.calculation.is_empty() || !pending.trigger.is_empty());
        let shared = self.table_header(row, parent, kind, &source, filtered);
        let made = Made { name: &name, parent, kind: NodeKind::Value, data_type, control: if unseen { None } else { Some(kind) } };
        let id = self.draft.add(&made, pending);
        if kind == ControlKind::SelectMultiple
            && let Some(node) = self.draft.nodes.get_mut(id)
        {
            node.bind.merge = MergeRule::Union;
        }
        self.finish(row, id);
        if shared {
            self.control(id, |control| "list-nolabel".clone_into(&mut control.appearance));
        }
        if self.draft.nodes.get(id).and_then(|node| node.control.as_ref()).is_some_and(|control| control.appearance.contains("search(")) {
            self.fault(row, "appearance", "`search()` is not supported", "use `select_one_from_file` with a CSV file and a `choice_filter`");
        }
        self.check_seen(row, id, &name);
        if or_other {
            let other = format!("{name}_other");
            if self.draft.has_child(parent, &other) {
                self.fault(row, "type", format!("`or_other` adds a question `{other}`, which is here already"), "rename that question");
                return;
            }
            let made = Made { name: &other, parent, kind: NodeKind::Value, data_type: DataType::String, control: Some(ControlKind::Input) };
            let pending = Pending {
                row: row.number,
                relevant: format!("selected(../{name}, 'other')"),
                label: vec![(None, "Specify other.".to_owned())],
                ..Pending::default()
            };
            self.draft.add(&made, pending);
        }
    }

    /// In a `table-list` the first select is preceded by one that shows the choices' labels once.
    fn table_header(&mut self, row: &Row, parent: NodeId, kind: ControlKind, source: &List, filtered: bool) -> bool {
        let List::Choices(list) = source else { return false };
        let Some(shared) = self.open.last().and_then(|open| open.table_list.clone()) else { return false };
        match shared {
            None => {
                if filtered {
                    self.fault(row, "choice_filter", "a `table-list` cannot have a choice filter", "remove the filter or the appearance");
                }
                if let Some(open) = self.open.last_mut() {
                    open.table_list = Some(Some(list.clone()));
                }
                let name = format!("reserved_name_for_field_list_labels_{}", row.number);
                let data_type = if kind == ControlKind::SelectMultiple { DataType::SelectMultiple } else { DataType::SelectOne };
                let made = Made { name: &name, parent, kind: NodeKind::Value, data_type, control: Some(kind) };
                let pending = Pending {
                    row: row.number,
                    list: Some(source.clone()),
                    value_ref: "name".to_owned(),
                    label_ref: "label".to_owned(),
                    ..Pending::default()
                };
                let id = self.draft.add(&made, pending);
                self.control(id, |control| "label".clone_into(&mut control.appearance));
            }
            Some(first) if first != *list => {
                let message = format!("a `table-list` shows one list, and has both `{first}` and `{list}`");
                self.fault(row, "type", message, "use the same list for all its selects, or remove the appearance");
            }
            Some(_) => {}
        }
        true
    }

    fn control(&mut self, id: NodeId, change: impl FnOnce(&mut crate::model::Control)) {
        if let Some(control) = self.draft.nodes.get_mut(id).and_then(|node| node.control.as_mut()) {
            change(control);
        }
    }

    fn parameters(&mut self, row: &Row) -> std::collections::BTreeMap<String, String> {
        let text = self.cell(row, "parameters");
        match parameters::parse(&text) {
            Ok(parameters) => parameters,
            Err(message) => {
                self.fault(row, "parameters", message, "write `name=value` pairs separated by spaces, commas or semicolons");
                std::collections::BTreeMap::new()
            }
        }
    }

    /// What a row says beside expressions and words: appearance, parameters, binds.
    fn finish(&mut self, row: &Row, id: NodeId) {
        let appearance = self.cell(row, "appearance");
        let mut parameters = self.parameters(row);
        for key in ["autoplay", "rows", "intent"] {
            let value = self.cell(row, key);
            if !value.is_empty() {
                parameters.insert(key.to_owned(), value);
            }
        }
        for (name, value) in self.sheet.with_prefix(row, "body::") {
            parameters.insert(name.to_owned(), value.to_owned());
        }
        if let Some(word) = appearance.split_whitespace().find(|word| !parameters::is_appearance(word)) {
            let message = format!("the appearance `{word}` is not known and is ignored");
            self.warn(row, "appearance", &message);
        }
        self.control(id, |control| {
            control.appearance = appearance;
            control.parameters.extend(parameters);
        });
        let mut extra: Vec<(String, String)> = Vec::new();
        extra.extend(self.sheet.with_prefix(row, "instance::").into_iter().map(|(name, value)| (format!("instance::{name}"), value.to_owned())));
        let binds: Vec<(String, String)> =
            self.sheet.with_prefix(row, "bind::").into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, value) in binds {
            match name.as_str() {
                "karwan:merge" => self.merge(row, id, &value),
                "karwan:identity" => {
                    if IDENTITIES.contains(&value.as_str()) {
                        self.bind(id, |bind| bind.identity = Some(value));
                    } else {
                        self.fault(row, "bind::karwan:identity", format!("`{value}` is not a part of an identity"), format!("use one of {}", IDENTITIES.join(", ")));
                    }
                }
                "type" => match data_type(&value) {
                    Some(data_type) => {
                        let select = self.draft.pending.get(id).is_some_and(|pending| pending.list.is_some());
                        if !select {
                            self.bind(id, |bind| bind.data_type = data_type);
                        }
                    }
                    None => self.fault(row, "bind::type", format!("`{value}` is not a data type"), "use one of string, int, decimal, date, time, dateTime, boolean"),
                },
                "jr:preload" | "jr:preloadParams" => {
                    // `property` and `deviceid`, `timestamp` and `start`: the parameter says which.
                    let both = self.sheet.text(row, "bind::jr:preloadParams");
                    let preload = if both.is_empty() { self.sheet.text(row, "bind::jr:preload") } else { both };
                    let preload = preload.to_owned();
                    self.bind(id, |bind| bind.preload = Some(preload));
                }
                _ => extra.push((format!("bind::{name}"), value)),
            }
        }
        self.bind(id, |bind| bind.extra.extend(extra));
    }

    fn merge(&mut self, row: &Row, id: NodeId, value: &str) {
        let rule = match value {
            "review" => MergeRule::Review,
            "union" => MergeRule::Union,
            "events" => MergeRule::Events,
            _ => {
                self.fault(row, "bind::karwan:merge", format!("`{value}` is not a merge rule"), "use `review`, `union` or `events`");
                return;
            }
        };
        let several = self.draft.nodes.get(id).is_some_and(|node| node.bind.data_type == DataType::SelectMultiple);
        if rule == MergeRule::Union && !several {
            self.fault(row, "bind::karwan:merge", "only a `select_multiple` can be merged as a union", "use `review` or `events`");
            return;
        }
        self.bind(id, |bind| bind.merge = rule);
    }

    fn bind(&mut self, id: NodeId, change: impl FnOnce(&mut crate::model::Bind)) {
        if let Some(node) = self.draft.nodes.get_mut(id) {
            change(&mut node.bind);
        }
    }

    fn range(&mut self, row: &Row, id: NodeId) {
        let Some(control) = self.draft.nodes.get(id).and_then(|node| node.control.clone()) else { return };
        let mut numbers = Vec::new();
        let mut filled = control.parameters;
        for (key, default) in [("start", "1"), ("end", "10"), ("step", "1")] {
            let text = filled.entry(key.to_owned()).or_insert_with(|| default.to_owned()).clone();
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => numbers.push(number),
                _ => self.fault(row, "parameters", format!("`{key}` of the range is `{text}`, not a number"), "write a number"),
            }
        }
        if let [start, end, step] = numbers.as_slice() {
            if *step == 0.0 {
                self.fault(row, "parameters", "the range's step is 0", "write a step above 0");
            } else if *step > (end - start).abs() {
                self.fault(row, "parameters", "the range's step is larger than the range", "write a smaller step");
            }
        }
        if numbers.iter().any(|number| number.fract() != 0.0) {
            self.bind(id, |bind| bind.data_type = DataType::Decimal);
        }
        self.control(id, |control| control.parameters = filled);
    }

    /// A photo's default is a file of the form's media.
    fn photo_default(&mut self, id: NodeId) {
        if let Some(pending) = self.draft.pending.get_mut(id)
            && !pending.default.is_empty()
            && !pending.default.contains("://")
            && !pending.default.contains(['$', '('])
        {
            pending.default = format!("jr://images/{}", pending.default);
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
        if let Some(audit) = audits.into_iter().next() {
            self.draft.add(&Made { data_type: DataType::Binary, ..value("audit") }, audit);
        }
        if !self.settings.omit_instance_id {
            let pending = Pending { readonly: "true()".to_owned(), ..Pending::default() };
            let id = self.draft.add(&value("instanceID"), pending);
            self.bind(id, |bind| bind.preload = Some("uid".to_owned()));
        }
        if !self.settings.instance_name.is_empty() {
            let pending = Pending { row: self.settings.row, calculation: self.settings.instance_name.clone(), ..Pending::default() };
            self.draft.add(&value("instanceName"), pending);
        }
    }
}

fn data_type(name: &str) -> Option<DataType> {
    Some(match name.strip_prefix("xsd:").unwrap_or(name) {
        "string" => DataType::String,
        "int" | "integer" => DataType::Int,
        "decimal" => DataType::Decimal,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "dateTime" | "datetime" => DataType::DateTime,
        "geopoint" => DataType::GeoPoint,
        "geotrace" => DataType::GeoTrace,
        "geoshape" => DataType::GeoShape,
        "binary" => DataType::Binary,
        "barcode" => DataType::Barcode,
        "intent" => DataType::Intent,
        _ => return None,
    })
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
