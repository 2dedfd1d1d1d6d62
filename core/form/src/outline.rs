//! A form as a person reads it: its questions in one language, in order, each with its logic.

use std::fmt::Write as _;

use crate::model::{
    Action, ActionValue, ControlKind, DataType, EntityDeclaration, Form, InstanceSource, MergeRule, Node, NodeId, NodeKind,
    SecondaryInstance, Text, TextPart,
};
use crate::xpath::Expression;

/// Choices of a list that are written out; the rest is counted.
const CHOICES_SHOWN: usize = 30;

/// The outline in a language of the form (as the form names it, or its code: `fa`), else in the form's first.
pub fn outline(form: &Form, language: Option<&str>) -> String {
    let language = language.and_then(|wanted| language_index(form, wanted)).unwrap_or(form.default_language);
    let mut outline = Outline { form, language, text: String::new() };
    outline.head();
    outline.children(0, 0);
    outline.lists();
    outline.entities();
    outline.status_rules();
    for warning in &form.warnings {
        outline.line(0, &format!("warning: {warning}"));
    }
    outline.text
}

/// Index of a language by its name or by the code in its brackets.
pub fn language_index(form: &Form, wanted: &str) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    form.languages.iter().position(|language| {
        let language = language.to_lowercase();
        language == wanted || language.ends_with(&format!("({wanted})")) || language.split(" (").next() == Some(&wanted)
    })
}

/// A text in a language, else in the form's first, else in any; outputs as `{path}`.
pub fn words(form: &Form, text: &Text, language: usize) -> String {
    let said = |at: usize| text.by_language.get(at).and_then(Option::as_ref);
    let parts = said(language).or_else(|| said(form.default_language)).or_else(|| text.by_language.iter().flatten().next());
    let mut words = String::new();
    for part in parts.into_iter().flatten() {
        match part {
            TextPart::Literal(literal) => words.push_str(literal),
            TextPart::Output(expression) => {
                let _ = write!(words, "{{{}}}", expression.source.trim());
            }
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Outline<'form> {
    form: &'form Form,
    language: usize,
    text: String,
}

impl Outline<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.text, "{}{text}", "  ".repeat(depth));
    }

    fn said(&self, text: Option<&Text>) -> String {
        text.map(|text| words(self.form, text, self.language))
            .filter(|words| !words.is_empty())
            .map(|words| format!(" «{words}»"))
            .unwrap_or_default()
    }

    fn head(&mut self) {
        let form = self.form;
        self.line(0, &form.title);
        self.line(0, &format!("form {} version {}", form.id, if form.version.is_empty() { "(none)" } else { &form.version }));
        if !form.languages.is_empty() {
            self.line(0, &format!("languages: {}", form.languages.join(", ")));
        }
        if let Some(name) = &form.instance_name {
            self.line(0, &format!("name of an interview: {}", plain(name)));
        }
        self.line(0, "");
    }

    fn children(&mut self, id: NodeId, depth: usize) {
        let form = self.form;
        let Some(node) = form.nodes.get(id) else { return };
        for child in &node.children {
            if let Some(node) = form.nodes.get(*child) {
                self.node(node, depth);
                self.children(*child, depth + 1);
            }
        }
    }

    fn node(&mut self, node: &Node, depth: usize) {
        let label = self.said(node.control.as_ref().and_then(|control| control.label.as_ref()));
        self.line(depth, &format!("{} [{}]{label}", node.name, kind(node)));
        let below = depth + 2;
        let bind = &node.bind;
        if let NodeKind::Repeat { count: Some(count) } = &node.kind {
            self.line(below, &format!("repeated: {}", plain(count)));
        }
        if let Some(control) = &node.control {
            for (what, text) in [("hint", &control.hint), ("guidance", &control.guidance_hint)] {
                if text.is_some() {
                    let said = self.said(text.as_ref());
                    self.line(below, &format!("{what}:{said}"));
                }
            }
            if let Some(itemset) = &control.itemset {
                let random = if itemset.randomize { " in random order" } else { "" };
                self.line(below, &format!("choices: {}{random}", plain(&itemset.nodeset)));
            }
            if !control.appearance.is_empty() {
                self.line(below, &format!("appearance: {}", control.appearance));
            }
            let parameters: Vec<String> = control.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if !parameters.is_empty() {
                self.line(below, &format!("parameters: {}", parameters.join(" ")));
            }
        }
        for (what, expression, message) in [
            ("asked if", &bind.relevant, None),
            ("must hold", &bind.constraint, bind.constraint_message.as_ref()),
            ("required if", &bind.required, bind.required_message.as_ref()),
            ("read only if", &bind.readonly, None),
            ("is", &bind.calculate, None),
        ] {
            let Some(expression) = expression else { continue };
            let message = self.said(message);
            let always = expression.constant_truth() == Some(true);
            match (what, always) {
                ("required if", true) => self.line(below, &format!("required{message}")),
                ("read only if", true) => self.line(below, "read only"),
                _ => self.line(below, &format!("{what}: {}{message}", plain(expression))),
            }
        }
        if bind.captured {
            self.line(below, "captured once and stored");
        }
        if let Some(preload) = &bind.preload {
            self.line(below, &format!("filled in by the device: {preload}"));
        }
        if !node.default.is_empty() {
            self.line(below, &format!("begins as: {}", node.default));
        }
        for action in &node.actions {
            let action = self.action(action);
            self.line(below, &action);
        }
        if let Some((list, property)) = &bind.save_to {
            self.line(below, &format!("saved to: {list} {property}"));
        }
        match bind.merge {
            MergeRule::Review => {}
            MergeRule::Union if bind.data_type == DataType::SelectMultiple => {}
            MergeRule::Union => self.line(below, "merged: union"),
            MergeRule::Events => self.line(below, "merged: every answer is an event that is kept"),
        }
        if let Some(identity) = &bind.identity {
            self.line(below, &format!("identifies a person by: {identity}"));
        }
    }

    fn action(&self, action: &Action) -> String {
        let name = |id: NodeId| self.form.nodes.get(id).map(|node| node.name.clone()).unwrap_or_default();
        let when = match action.trigger {
            Some(trigger) => format!("when {} changes", name(trigger)),
            None => format!("at {}", action.events.join(" ")),
        };
        let value = match &action.value {
            ActionValue::Expression(expression) => plain(expression),
            ActionValue::Literal(text) if text.is_empty() => "empty".to_owned(),
            ActionValue::Literal(text) => format!("'{text}'"),
            ActionValue::GeoPoint => "the position".to_owned(),
            ActionValue::RecordAudio(_) => "a sound recording".to_owned(),
        };
        format!("set {when}: {value}")
    }

    fn lists(&mut self) {
        let form = self.form;
        if form.instances.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "lists");
        for instance in form.instances.values() {
            self.list(instance);
        }
    }

    fn list(&mut self, instance: &SecondaryInstance) {
        match &instance.source {
            InstanceSource::External { file } => self.line(1, &format!("{}: file {file}", instance.id)),
            InstanceSource::LastSaved => self.line(1, &format!("{}: the record saved last", instance.id)),
            InstanceSource::Internal(table) => {
                self.line(1, &format!("{}:", instance.id));
                let at = |name: &str| table.columns.iter().position(|column| column == name);
                let (name_at, label_at) = (at("name"), at("label"));
                for (index, row) in table.rows.iter().enumerate().take(CHOICES_SHOWN) {
                    let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map(String::as_str).unwrap_or_default();
                    let translated = table
                        .labels
                        .get(index)
                        .map(|text| words(self.form, text, self.language))
                        .filter(|words| !words.is_empty());
                    let label = translated.unwrap_or_else(|| cell(label_at).to_owned());
                    let line = format!("{} «{label}»", cell(name_at));
                    self.line(2, &line);
                }
                if table.rows.len() > CHOICES_SHOWN {
                    self.line(2, &format!("and {} more", table.rows.len() - CHOICES_SHOWN));
                }
            }
        }
    }

    fn entities(&mut self) {
        let form = self.form;
        if form.entities.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "entities");
        for entity in &form.entities {
            self.entity(entity);
        }
    }

    fn entity(&mut self, entity: &EntityDeclaration) {
        let form = self.form;
        let path = |id: NodeId| form.nodes.get(id).map(|node| node.path.as_str()).unwrap_or_default();
        self.line(1, &format!("{} in {}", entity.list, path(entity.scope)));
        for (what, expression) in [
            ("label", &entity.label),
            ("id", &entity.entity_id),
            ("created if", &entity.create_if),
            ("updated if", &entity.update_if),
        ] {
            if let Some(expression) = expression {
                self.line(2, &format!("{what}: {}", plain(expression)));
            }
        }
        for (property, node) in &entity.properties {
            self.line(2, &format!("{property}: {}", path(*node)));
        }
    }

    fn status_rules(&mut self) {
        let form = self.form;
        if form.status_rules.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, "states");
        for rule in &form.status_rules {
            let question = if rule.question.is_empty() { String::new() } else { format!("{}: ", rule.question) };
            let from = if rule.from.is_empty() { "(nothing yet)" } else { &rule.from };
            let role = if rule.role.is_empty() { String::new() } else { format!(", by {}", rule.role) };
            let beats = if rule.beats.is_empty() { String::new() } else { format!(", wins against {}", rule.beats.join(", ")) };
            self.line(1, &format!("{question}{from} → {}{role}{beats}", rule.to));
        }
    }
}

fn plain(expression: &Expression) -> String {
    expression.source.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(node: &Node) -> String {
    match (&node.kind, node.control.as_ref().map(|control| control.kind)) {
        (NodeKind::Group, _) => "group".to_owned(),
        (NodeKind::Repeat { .. }, _) => "repeat".to_owned(),
        (NodeKind::Value, Some(ControlKind::Note)) => "note".to_owned(),
        (NodeKind::Value, Some(ControlKind::Trigger)) => "acknowledge".to_owned(),
        (NodeKind::Value, Some(ControlKind::Range)) => format!("range, {}", data_type(node.bind.data_type)),
        (NodeKind::Value, Some(ControlKind::Upload)) => "file".to_owned(),
        (NodeKind::Value, Some(_)) => data_type(node.bind.data_type).to_owned(),
        (NodeKind::Value, None) => "not asked".to_owned(),
    }
}

fn data_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::String => "text",
        DataType::Int => "whole number",
        DataType::Decimal => "number",
        DataType::Boolean => "yes or no",
        DataType::Date => "date",
        DataType::Time => "time",
        DataType::DateTime => "date and time",
        DataType::GeoPoint => "position",
        DataType::GeoTrace => "line on a map",
        DataType::GeoShape => "area on a map",
        DataType::Binary => "file",
        DataType::Barcode => "barcode",
        DataType::Intent => "another app",
        DataType::SelectMultiple => "several choices",
        DataType::SelectOne => "one choice",
        DataType::Rank => "choices in order",
    }
}
