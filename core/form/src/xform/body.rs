//! The body: how each node is asked.

use super::document::Element;
use super::reader::Reader;
use crate::model::{Control, ControlKind, DataType, MergeRule, NodeId, NodeKind};
use crate::xpath::Expression;

/// Attributes of controls and the parameters that they are in the model.
const PARAMETERS: [(&str, &str); 16] = [
    ("mediatype", "mediatype"),
    ("start", "start"),
    ("end", "end"),
    ("step", "step"),
    ("rows", "rows"),
    ("autoplay", "autoplay"),
    ("intent", "intent"),
    ("orx:max-pixels", "max-pixels"),
    ("odk:max-pixels", "max-pixels"),
    ("odk:quality", "quality"),
    ("accuracyThreshold", "capture-accuracy"),
    ("unacceptableAccuracyThreshold", "warning-accuracy"),
    ("odk:allow-mock-accuracy", "allow-mock-accuracy"),
    ("incremental", "incremental"),
    ("odk:tick-interval", "tick_interval"),
    ("odk:placeholder", "placeholder"),
];

/// Attributes that the model has a place for beside the parameters.
const KNOWN: [&str; 9] = ["ref", "nodeset", "bind", "appearance", "query", "jr:count", "jr:noAddRemove", "id", "class"];

/// Attributes of binds that are parameters of the control.
const FROM_BIND: [(&str, &str); 3] = [
    ("bind::orx:max-pixels", "max-pixels"),
    ("bind::odk:quality", "quality"),
    ("bind::odk:allow-mock-accuracy", "allow-mock-accuracy"),
];

impl Reader {
    pub(super) fn body(&mut self, body: &Element) {
        let root = self.nodes.first().map(|node| node.path.clone()).unwrap_or_default();
        self.controls(body, &root, None);
        self.finish_binds();
    }

    /// What is in a container whose path is `inside`; `around` is a group without a node, whose label is its repeat's.
    fn controls(&mut self, element: &Element, inside: &str, around: Option<&Element>) {
        for child in element.children() {
            match child.local() {
                "group" => self.group(child, inside),
                "repeat" => self.repeat(child, inside, around),
                "input" | "secret" => self.control(child, inside, ControlKind::Input),
                "select1" => self.control(child, inside, ControlKind::SelectOne),
                "select" => self.control(child, inside, ControlKind::SelectMultiple),
                "rank" => self.control(child, inside, ControlKind::Rank),
                "range" => self.control(child, inside, ControlKind::Range),
                "trigger" => self.control(child, inside, ControlKind::Trigger),
                "upload" => self.control(child, inside, ControlKind::Upload),
                "label" | "hint" | "help" | "setvalue" | "setgeopoint" | "recordaudio" => {}
                other => {
                    let message = format!("`<{other}>` is not a control of ODK's forms and is left out");
                    self.warn(child, &message);
                }
            }
        }
    }

    fn group(&mut self, group: &Element, inside: &str) {
        let named = group.has("ref") || group.has("nodeset") || group.has("bind");
        let id = if named { self.referred(group, inside) } else { None };
        let path = id.and_then(|id| self.nodes.get(id)).map_or_else(|| inside.to_owned(), |node| node.path.clone());
        let is_repeat = id.and_then(|id| self.nodes.get(id)).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }));
        if let Some(id) = id.filter(|_| !is_repeat) {
            // A group with nothing in it looks like a question in the instance.
            if let Some(node) = self.nodes.get_mut(id) {
                node.kind = NodeKind::Group;
            }
            self.ask(group, id, ControlKind::Group);
            self.actions(group, Some(id));
        }
        self.controls(group, &path, Some(group).filter(|_| is_repeat || !named));
    }

    fn repeat(&mut self, repeat: &Element, inside: &str, around: Option<&Element>) {
        let Some(id) = self.referred(repeat, inside) else { return };
        let mut count = self.expression(repeat, "jr:count");
        if count.is_none() && repeat.attribute("jr:noAddRemove").is_some_and(|text| text != "false()" && text != "false") {
            let held = self.held.get(&id).copied().unwrap_or_default();
            count = Expression::parse(&held.to_string()).ok();
        }
        self.ask(repeat, id, ControlKind::Repeat);
        let label = around.and_then(|group| group.child("label")).and_then(|label| self.text_of(label));
        let appearance = around.and_then(|group| group.attribute("appearance")).map(str::to_owned);
        if let Some(node) = self.nodes.get_mut(id) {
            node.kind = NodeKind::Repeat { count };
            if let Some(control) = &mut node.control {
                control.label = control.label.take().or(label);
                if let Some(appearance) = appearance.filter(|_| control.appearance.is_empty()) {
                    control.appearance = appearance;
                }
            }
        }
        self.actions(repeat, Some(id));
        let path = self.nodes.get(id).map(|node| node.path.clone()).unwrap_or_default();
        self.controls(repeat, &path, None);
    }

    fn control(&mut self, element: &Element, inside: &str, kind: ControlKind) {
        let Some(id) = self.referred(element, inside) else {
            if !["ref", "nodeset", "bind"].iter().any(|name| element.has(name)) {
                self.fault(element, "ref", "the control refers to nothing", "write the path of a node of the primary instance");
            }
            return;
        };
        if self.nodes.get(id).is_none_or(|node| node.kind != NodeKind::Value) {
            self.fault(element, "ref", "a control needs a node without elements in it", "refer to a question");
            return;
        }
        let kind = if element.has("query") { ControlKind::SelectOne } else { kind };
        self.ask(element, id, kind);
        self.actions(element, Some(id));
        if matches!(kind, ControlKind::SelectOne | ControlKind::SelectMultiple | ControlKind::Rank) {
            self.choices(element, id);
        }
    }

    /// Notes how a node is asked.
    fn ask(&mut self, element: &Element, id: NodeId, kind: ControlKind) {
        let label = element.child("label").and_then(|label| self.text_of(label));
        let hint = element.child("hint").and_then(|hint| self.text_of(hint));
        let guidance = element
            .child("hint")
            .and_then(|hint| hint.attribute("ref"))
            .and_then(super::words::itext_id)
            .and_then(|id| self.form_of(&id, "guidance"));
        let media = element.child("label").map(|label| self.media_of(label)).unwrap_or_default();
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (attribute, parameter) in PARAMETERS {
            if let Some(value) = element.attribute(attribute) {
                parameters.push((parameter.to_owned(), value.to_owned()));
            }
        }
        for (name, value) in &element.attributes {
            if !KNOWN.contains(&name.as_str()) && !PARAMETERS.iter().any(|(attribute, _)| attribute == name) {
                parameters.push((format!("body::{name}"), value.clone()));
            }
        }
        if kind == ControlKind::Range || kind == ControlKind::Input {
            parameters.extend(places(element, kind));
        }
        let appearance = element.attribute("appearance").unwrap_or_default().to_owned();
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.control.is_some() && kind != ControlKind::Group {
            // ODK asks it twice; one place is enough to know how.
            return;
        }
        for (attribute, parameter) in FROM_BIND {
            if let Some(value) = node.bind.extra.remove(attribute) {
                parameters.push((parameter.to_owned(), value));
            }
        }
        let is_text = node.bind.data_type == DataType::String;
        let fixed = node.bind.readonly.as_ref().and_then(Expression::constant_truth) == Some(true);
        let is_note = kind == ControlKind::Input && is_text && fixed && node.bind.calculate.is_none();
        match kind {
            ControlKind::SelectOne => node.bind.data_type = DataType::SelectOne,
            ControlKind::SelectMultiple => {
                node.bind.data_type = DataType::SelectMultiple;
                if node.bind.merge == MergeRule::Review {
                    node.bind.merge = MergeRule::Union;
                }
            }
            ControlKind::Rank => node.bind.data_type = DataType::Rank,
            _ => {}
        }
        node.control = Some(Control {
            kind: if is_note && (label.is_some() || hint.is_some() || !media.is_empty()) { ControlKind::Note } else { kind },
            label,
            hint,
            guidance_hint: guidance,
            appearance,
            parameters: parameters.into_iter().collect(),
            itemset: None,
            media: media.into_iter().collect(),
        });
    }
}

/// The list of a range's tick labels, or of the places that a map shows beside a question.
fn places(element: &Element, kind: ControlKind) -> Option<(String, String)> {
    let nodeset = element.child("itemset")?.attribute("nodeset")?;
    let list = nodeset.split(['\'', '"']).nth(1).filter(|_| nodeset.trim_start().starts_with("instance("));
    let source = list.unwrap_or_else(|| nodeset.split('[').next().unwrap_or_default().trim());
    let name = if kind == ControlKind::Range { "tick_labelset" } else { "reference-geometry" };
    Some((name.to_owned(), source.to_owned()))
}
