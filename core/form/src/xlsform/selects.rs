//! Selects and ranks of the survey sheet: which list they show, and what `or_other` and `table-list` add.

use super::columns::Row;
use super::draft::{List, Made, Pending};
use super::survey::{Reader, TableList};
use super::types::From;
use crate::model::{ControlKind, DataType, MergeRule, NodeId, NodeKind};

impl Reader<'_> {
    /// A select or rank, with the question that `or_other` adds.
    pub fn select(&mut self, row: &Row, kind: ControlKind, list: &str, from: From, or_other: bool) {
        let parent = self.parent();
        let Some(name) = self.name(row, parent) else { return };
        let mut pending = self.pending(row);
        let (stem, extension) = list.rsplit_once('.').unwrap_or((list, ""));
        let is_file = matches!(extension, "csv" | "xml" | "geojson");
        let reference = list.starts_with("${");
        let command = self.cell(row, "type").split(' ').next().unwrap_or_default().to_owned();
        if list.is_empty() {
            self.fault(row, "type", "the type names no list", format!("write the list's name after the type: `{command} LIST`"));
        } else if list.contains(' ') && !reference {
            let mend = format!("write the name of one list, without spaces: `{command} LIST`");
            self.fault(row, "type", format!("`{list}` cannot be the name of a list"), mend);
        } else if from == From::File && (!is_file || stem.contains('.')) {
            self.fault(
                row,
                "type",
                format!("`{list}` is not a file that choices can come from"),
                "name a `.csv`, `.xml` or `.geojson` file, in small letters and with no other point in its name",
            );
        }
        let source = if from == From::ExternalChoices {
            List::ExternalChoices(list.to_owned())
        } else if reference {
            List::Repeat(list.to_owned())
        } else if is_file || from == From::File {
            List::File(list.to_owned())
        } else {
            List::Choices(list.to_owned())
        };
        if from == From::ExternalChoices && pending.choice_filter.is_empty() {
            self.warn(row, "choice_filter", "`select_one_external` is meant for choices that are filtered");
        }
        let mut parameters = self.parameters(row);
        let geojson = extension == "geojson";
        pending.value_ref = parameters.remove("value").unwrap_or_else(|| if geojson { "id" } else { "name" }.to_owned());
        pending.label_ref = parameters.remove("label").unwrap_or_else(|| if geojson { "title" } else { "label" }.to_owned());
        pending.randomize = parameters.get("randomize").is_some_and(|value| value == "true");
        pending.seed = parameters.get("seed").cloned().unwrap_or_default();
        if !pending.seed.is_empty() && !parameters.contains_key("randomize") {
            self.fault(
                row,
                "parameters",
                "a seed without `randomize=true` does nothing",
                "add `randomize=true` or remove the seed",
            );
        }
        let mend = "add a choice `other` and a text question instead";
        if or_other && !pending.choice_filter.is_empty() {
            self.fault(row, "choice_filter", "`or_other` cannot be used with a choice filter", mend);
        } else if or_other && !matches!(source, List::Choices(_)) {
            self.fault(row, "type", "`or_other` needs a list of the choices sheet", mend);
        }
        if kind == ControlKind::SelectMultiple && self.settings.none_alone {
            let and = if pending.constraint.is_empty() { "" } else { " and " };
            pending.constraint = format!("{}{and}(.='none' or not(selected(., 'none')))", pending.constraint);
        }
        let filtered = !pending.choice_filter.is_empty();
        pending.list = Some(source.clone());
        let data_type = match kind {
            ControlKind::SelectMultiple => DataType::SelectMultiple,
            ControlKind::Rank => DataType::Rank,
            _ => DataType::SelectOne,
        };
        let unseen = pending.label.is_empty()
            && pending.hint.is_empty()
            && (!pending.calculation.is_empty() || !pending.trigger.is_empty());
        let shared = self.table_header(row, parent, kind, &source, filtered);
        let made =
            Made { name: &name, parent, kind: NodeKind::Value, data_type, control: if unseen { None } else { Some(kind) } };
        let id = self.draft.add(&made, pending);
        if kind == ControlKind::SelectMultiple
            && let Some(node) = self.draft.nodes.get_mut(id)
        {
            node.bind.merge = MergeRule::Union;
        }
        self.finish(row, id, true);
        let named = self.cell(row, "type").starts_with("select_") && from == From::File;
        self.check_parameters(row, if named { "select from file" } else { "select" });
        if shared {
            self.control(id, |control| "list-nolabel".clone_into(&mut control.appearance));
        }
        self.check_seen(row, id, &name);
        if or_other {
            let other = format!("{name}_other");
            if self.draft.has_child(parent, &other) {
                self.fault(
                    row,
                    "type",
                    format!("`or_other` adds a question `{other}`, which is here already"),
                    "rename that question",
                );
                return;
            }
            let made = Made {
                name: &other,
                parent,
                kind: NodeKind::Value,
                data_type: DataType::String,
                control: Some(ControlKind::Input),
            };
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
        let in_table = self.open.last().is_some_and(|open| open.table_list != TableList::No);
        let List::Choices(list) = source else {
            if in_table {
                self.fault(
                    row,
                    "type",
                    "a `table-list` needs a list of the choices sheet",
                    "use such a list, or remove the appearance",
                );
            }
            return false;
        };
        match self.open.last().map_or(TableList::No, |open| open.table_list.clone()) {
            TableList::No => return false,
            TableList::Empty => {
                if filtered {
                    self.fault(
                        row,
                        "choice_filter",
                        "a `table-list` cannot have a choice filter",
                        "remove the filter or the appearance",
                    );
                }
                if let Some(open) = self.open.last_mut() {
                    open.table_list = TableList::Of(list.clone());
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
            TableList::Of(first) if first != *list => {
                let message = format!("a `table-list` shows one list, and has both `{first}` and `{list}`");
                self.fault(row, "type", message, "use the same list for all its selects, or remove the appearance");
            }
            TableList::Of(_) => {}
        }
        true
    }
}
