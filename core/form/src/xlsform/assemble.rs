//! Puts what the cells say into the tree's nodes: binds, controls, actions.

use super::compile::Compiler;
use super::draft::{List, Pending};
use super::dynamic::is_dynamic;
use super::languages::{is_label_spoken, refers};
use super::references::{Names, ReferenceFault, Source, Style};
use super::report::Place;
use crate::model::{Action, ActionValue, Control, ControlKind, DataType, Itemset, Node, NodeId, NodeKind};
use crate::search::{self, SearchFault};
use crate::xpath::Expression;

/// Headers as the author wrote them, for messages.
pub type Header<'read> = &'read dyn Fn(&str) -> String;

/// Reads what is pending of one node.
pub fn node(compiler: &mut Compiler<'_>, id: NodeId, pending: &Pending, node: &mut Node, in_repeat: bool, header: Header<'_>) {
    let source = compiler.names.source(id);
    let from_settings = node.path.ends_with("/meta/instanceName") && node.bind.preload.is_none();
    let (sheet, calculation_column) = if from_settings {
        ("settings", "instance_name".to_owned())
    } else {
        ("survey", header(if pending.counts { "repeat_count" } else { "calculation" }))
    };
    let columns: Vec<(&str, String)> = [
        "relevant",
        "constraint",
        "required",
        "read_only",
        "default",
        "trigger",
        "repeat_count",
        "choice_filter",
        "appearance",
        "label",
        "hint",
        "type",
        "guidance_hint",
        "constraint_message",
        "required_message",
        "parameters",
    ]
    .iter()
    .map(|key| (*key, header(key)))
    .collect();
    let at = |key: &str| Place {
        sheet,
        row: pending.row,
        column: columns.iter().find(|(other, _)| *other == key).map_or("calculation", |(_, column)| column.as_str()),
    };
    let calculation_at = Place { sheet, row: pending.row, column: &calculation_column };

    node.bind.relevant = compiler.condition(&pending.relevant, source, at("relevant"));
    node.bind.constraint = compiler.condition(&pending.constraint, source, at("constraint"));
    node.bind.required = compiler.condition(&pending.required, source, at("required"));
    node.bind.readonly = compiler.condition(&pending.readonly, source, at("read_only"));
    let (constraint, required) = (&pending.constraint_message, &pending.required_message);
    node.bind.constraint_message = compiler.text(constraint, refers(constraint), source, at("constraint_message"));
    node.bind.required_message = compiler.text(required, refers(required), source, at("required_message"));
    let holds_value = node.kind == NodeKind::Value;
    if pending.trigger.is_empty() || !holds_value {
        node.bind.calculate = compiler.condition(&pending.calculation, source, calculation_at);
    }
    if !pending.trigger.is_empty() {
        triggers(compiler, pending, node, at("trigger"), calculation_at);
    }
    node.bind.captured =
        node.bind.calculate.as_ref().is_some_and(|expression| expression.is_captured(|id| compiler.list_names.contains(id)));
    if let NodeKind::Repeat { count } = &mut node.kind {
        *count = compiler.expression(&pending.count, source, Style::default(), at("repeat_count"));
    }
    if holds_value {
        default(compiler, pending, node, source, in_repeat, at("default"));
    }
    if pending.geopoint_at_start {
        node.actions.push(Action { events: vec![FIRST_LOAD.to_owned()], trigger: None, value: ActionValue::GeoPoint });
    }
    if let Some(quality) = &pending.record_audio {
        let value = ActionValue::RecordAudio(quality.clone());
        node.actions.push(Action { events: vec!["odk-instance-load".to_owned()], trigger: None, value });
    }

    attributes(compiler, node, source, pending.row);
    let itemset = itemset(compiler, pending, source, at("type"), at("choice_filter"), at("parameters"));
    let Some(control) = &mut node.control else { return };
    control.label = compiler.text(&pending.label, is_label_spoken(pending), source, at("label"));
    if holds_value {
        control.hint = compiler.text(&pending.hint, !pending.guidance_hint.is_empty(), source, at("hint"));
        control.guidance_hint = compiler.text(&pending.guidance_hint, true, source, at("guidance_hint"));
    }
    for (medium, words) in &pending.media {
        let column = header(&format!("media::{medium}"));
        let place = Place { sheet: "survey", row: pending.row, column: &column };
        if let Some(text) = compiler.media(words, source, place) {
            control.media.insert(medium.clone(), text);
        }
    }
    control.itemset = itemset;
    appearance(compiler, control, pending.list.as_ref(), source, at("appearance"));
}

const FIRST_LOAD: &str = "odk-instance-first-load";
const NEW_REPEAT: &str = "odk-new-repeat";
const VALUE_CHANGED: &str = "xforms-value-changed";

/// A literal default stays in the instance; an expression is set when the form or the repeat instance begins.
fn default(compiler: &mut Compiler<'_>, pending: &Pending, node: &mut Node, source: Source, in_repeat: bool, place: Place<'_>) {
    let text = pending.default.as_str();
    let dashes = matches!(
        node.bind.data_type,
        DataType::Date | DataType::DateTime | DataType::GeoPoint | DataType::GeoTrace | DataType::GeoShape
    );
    // `+93 70…` has an operator and is no expression.
    let certain = text.contains("${") || text.contains('(');
    if text.is_empty() || !is_dynamic(text, dashes) || !certain && Expression::parse(text).is_err() {
        text.clone_into(&mut node.default);
        return;
    }
    if let Some(expression) = compiler.expression(text, source, Style::default(), place) {
        let mut events = vec![FIRST_LOAD.to_owned()];
        if in_repeat {
            events.push(NEW_REPEAT.to_owned());
        }
        node.actions.push(Action { events, trigger: None, value: ActionValue::Expression(expression) });
    }
}

/// `${a}` or `${a}, ${b}`: the calculation runs where one of them changes, and stands where the changed question stands.
fn triggers(compiler: &mut Compiler<'_>, pending: &Pending, node: &mut Node, place: Place<'_>, calculation: Place<'_>) {
    let mut names = Vec::new();
    for part in pending.trigger.split(',') {
        let mentioned = Names::mentioned(&part.replace("last-saved#", ""));
        if mentioned.len() > 1 || part.contains("${") && mentioned.is_empty() {
            names.clear();
            break;
        }
        names.extend(mentioned);
    }
    if names.is_empty() {
        compiler.report.fault(
            place,
            format!("`{}` is no trigger", pending.trigger),
            "write `${name}` of a question, or several with commas between",
        );
        return;
    }
    for name in names {
        let questions = compiler.names.questions(&name);
        if questions.is_empty() && !compiler.instances.contains_key(&name) {
            let similar = compiler.names.find(&name).err();
            let fault = similar.unwrap_or(ReferenceFault::Unknown { name, similar: None });
            compiler.report.references(place, vec![fault]);
        }
        if node.kind != NodeKind::Value {
            continue;
        }
        for trigger in questions {
            triggered(compiler, pending, node, trigger, place, calculation);
        }
    }
}

fn triggered(
    compiler: &mut Compiler<'_>,
    pending: &Pending,
    node: &mut Node,
    trigger: NodeId,
    place: Place<'_>,
    calculation: Place<'_>,
) {
    if !compiler.names.is_asked(trigger) {
        let name = compiler.names.name(trigger).to_owned();
        if compiler.names.is_computed(trigger) {
            compiler.report.fault(
                place,
                format!("`{name}` is never asked, so it cannot trigger"),
                "name a question that is shown",
            );
        } else {
            compiler.report.warn(place, &format!("`{name}` is never asked, so it triggers nothing"));
        }
        return;
    }
    let value = if pending.geopoint_on_trigger {
        Some(ActionValue::GeoPoint)
    } else if pending.calculation.is_empty() {
        Some(ActionValue::Literal(String::new()))
    } else {
        let source = compiler.names.source(trigger);
        compiler.expression(&pending.calculation, source, Style::default(), calculation).map(ActionValue::Expression)
    };
    if let Some(value) = value {
        node.actions.push(Action { events: vec![VALUE_CHANGED.to_owned()], trigger: Some(trigger), value });
    }
}

fn itemset(
    compiler: &mut Compiler<'_>,
    pending: &Pending,
    source: Source,
    type_place: Place<'_>,
    filter_place: Place<'_>,
    parameters_place: Place<'_>,
) -> Option<Itemset> {
    let list = pending.list.as_ref()?;
    if let List::Choices(name) = list
        && !compiler.list_names.contains(name)
    {
        // The fault was noted when the lists were checked.
        return None;
    }
    let (instance, nodeset, leaf) = compiler.nodeset(list, &pending.choice_filter, source, (type_place, filter_place))?;
    let seed = compiler.expression(&pending.seed, source, Style::default(), parameters_place);
    Some(Itemset {
        instance,
        nodeset,
        value_ref: leaf.clone().unwrap_or_else(|| pending.value_ref.clone()),
        label_ref: leaf.unwrap_or_else(|| pending.label_ref.clone()),
        randomize: pending.randomize,
        seed,
        search: None,
    })
}

/// References in attributes of the columns `bind::`, `body::` and `instance::` become paths.
fn attributes(compiler: &mut Compiler<'_>, node: &mut Node, source: Source, row: u32) {
    let parameters = node.control.iter_mut().flat_map(|control| control.parameters.iter_mut());
    let parameters = parameters.filter(|(name, _)| name.starts_with("body::"));
    for (name, value) in node.bind.extra.iter_mut().chain(parameters).filter(|(_, value)| value.contains("${")) {
        let place = Place { sheet: "survey", row, column: name };
        if let Some(resolved) = compiler.words(value, source, place) {
            resolved.trim().clone_into(value);
        }
    }
}

/// The appearance with its references as paths; and where it is a `search()`, the rows of its file as choices.
fn appearance(compiler: &mut Compiler<'_>, control: &mut Control, list: Option<&List>, source: Source, place: Place<'_>) {
    if control.appearance.contains("${")
        && let Some(resolved) = compiler.words(&control.appearance, source, place)
    {
        control.appearance = resolved;
    }
    let select = matches!(control.kind, ControlKind::SelectOne | ControlKind::SelectMultiple | ControlKind::Rank);
    let Some(call) = search::call(&control.appearance).filter(|_| select) else { return };
    let Some(List::Choices(list)) = list else {
        let message = "`search()` needs a list of the choices sheet that names the columns of the file";
        compiler.report.fault(place, message, "remove `search()`, or use such a list");
        return;
    };
    let Some(file) = call.file().map(str::to_owned) else {
        compiler.report.warn(place, "`search()` names no file in quotes, and is ignored");
        return;
    };
    let found = call.search(list, |argument| {
        let from = if argument.trim_start().starts_with('.') { "current()/" } else { "" };
        Expression::parse(&format!("{from}{argument}"))
    });
    match found {
        Ok(found) => {
            let name = format!("{file}.csv");
            // Not the file's own name: a list may have that, and other tools need no instance for a search.
            let id = name.clone();
            compiler.file(&id, &name, place);
            let nodeset = Expression::parse(&format!("instance('{id}')/root/item"));
            if let (Some(itemset), Ok(nodeset)) = (&mut control.itemset, nodeset) {
                itemset.search = Some(found);
                itemset.instance = id;
                itemset.nodeset = nodeset;
            }
        }
        Err(SearchFault::Count(count)) => {
            compiler.report.warn(place, &format!("`search()` takes 1, 4 or 6 arguments, not {count}, and is ignored"));
        }
        Err(SearchFault::Literal(argument)) => {
            compiler.report.warn(place, &format!("`{argument}` in `search()` is not in quotes, and the search is ignored"));
        }
        Err(SearchFault::Expression(error)) => {
            let mend = "write a value, or `${question}`";
            compiler.report.fault(place, format!("in `search()`: {error}"), mend);
        }
    }
}
