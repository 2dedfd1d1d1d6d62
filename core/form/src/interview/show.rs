//! What an interview shows: nodes with their states, violations, and lines to read.

use super::complete::ENTITY_ID;
use super::context::Mode;
use super::host::View;
use super::settle::Engine;
use super::state::{ChoiceState, DisplayValue, NodeState, ShownValue, StateKind, Violation, ViolationKind};
use super::tree::ElementId;
use super::values;
use crate::model::{ControlKind, Node as FormNode, NodeKind, Text};
use crate::xpath::Expression;
use crate::xpath::host::{Host, Node};

impl Engine {
    /// Everything in document order, without the root; ranges of repeats before their instances where asked for.
    pub(super) fn nodes(&self, all: bool) -> Vec<NodeState> {
        let mut nodes = Vec::new();
        self.show_below(0, false, all, &mut nodes);
        nodes
    }

    fn show_below(&self, top: ElementId, readonly: bool, all: bool, into: &mut Vec<NodeState>) {
        let Some(element) = self.tree.element(top) else { return };
        let Some(node) = self.plan.form.nodes.get(element.node) else { return };
        for (slot, child) in node.children.iter().enumerate() {
            let Some(child_node) = self.plan.form.nodes.get(*child) else { continue };
            if child_node.name == ENTITY_ID || *child >= self.plan.own_nodes && !all {
                continue;
            }
            if let NodeKind::Repeat { count } = &child_node.kind {
                into.push(self.range(top, *child, child_node, count.is_none() && !readonly));
            }
            for id in self.tree.instances(top, slot) {
                let state = self.state(*id, readonly);
                let inner = state.readonly;
                into.push(state);
                self.show_below(*id, inner, all, into);
            }
        }
    }

    fn range(&self, parent: ElementId, node: usize, form_node: &FormNode, may_add: bool) -> NodeState {
        let view = self.view();
        let place = format!("{}/{}", self.tree.path(&self.plan, parent, false), form_node.name);
        let reference = format!("{}/{}", self.tree.path(&self.plan, parent, true), form_node.name);
        NodeState {
            place,
            reference,
            node: Some(node),
            kind: StateKind::Repeat,
            data_type: form_node.bind.data_type,
            value: None,
            relevant: self.tree.element(parent).is_some_and(|parent| parent.relevant),
            readonly: !may_add,
            required: false,
            violation: None,
            message: None,
            label: control_text(&view, form_node, parent, |control| control.label.as_ref()),
            hint: None,
            guidance: None,
            choices: None,
            multiple: false,
            appearance: form_node.control.as_ref().map(|control| control.appearance.clone()).unwrap_or_default(),
            may_add,
        }
    }

    /// One element.
    pub(super) fn state(&self, id: ElementId, readonly_above: bool) -> NodeState {
        let view = self.view();
        let (node_id, relevant) = self.tree.element(id).map_or((0, true), |element| (element.node, element.relevant));
        let Some(node) = self.plan.form.nodes.get(node_id) else {
            return self.range(id, node_id, &self.plan.form.nodes[0], false);
        };
        let is_value = node.kind == NodeKind::Value;
        let readonly = readonly_above || self.is_readonly(id, node);
        let required = is_value && self.is_required(id, node);
        let broken = if is_value { self.broken(id) } else { None };
        let choices = node.control.as_ref().and_then(|control| control.itemset.as_ref()).map(|_| self.choice_states(node_id, id));
        NodeState {
            place: self.tree.path(&self.plan, id, false),
            reference: self.tree.path(&self.plan, id, true),
            node: Some(node_id),
            kind: kind(node),
            data_type: node.bind.data_type,
            value: is_value.then(|| {
                self.tree.element(id).map(|element| values::shown(node.bind.data_type, &element.value)).unwrap_or_default()
            }),
            relevant,
            readonly,
            required,
            violation: broken,
            message: broken.and_then(|broken| message(&view, node, id, broken)),
            label: control_text(&view, node, id, |control| control.label.as_ref()),
            hint: control_text(&view, node, id, |control| control.hint.as_ref()),
            guidance: control_text(&view, node, id, |control| control.guidance_hint.as_ref()),
            choices,
            multiple: node
                .control
                .as_ref()
                .is_some_and(|control| matches!(control.kind, ControlKind::SelectMultiple | ControlKind::Rank)),
            appearance: node.control.as_ref().map(|control| control.appearance.clone()).unwrap_or_default(),
            may_add: false,
        }
    }

    pub(super) fn is_readonly_now(&self, id: ElementId) -> bool {
        std::iter::successors(Some(id), |id| self.tree.parent(*id))
            .any(|id| self.plan.form.nodes.get(self.tree.node_of(id)).is_some_and(|node| self.is_readonly(id, node)))
    }

    fn is_readonly(&self, id: ElementId, node: &FormNode) -> bool {
        node.bind.readonly.as_ref().is_some_and(|readonly| self.view().truth_at(readonly, id, false))
    }

    fn is_required(&self, id: ElementId, node: &FormNode) -> bool {
        let external = self.plan.nodes.get(self.tree.node_of(id)).is_some_and(|node| node.external_required);
        let judged = !(self.mode == Mode::Judge && external);
        judged && node.bind.required.as_ref().is_some_and(|required| self.view().truth_at(required, id, false))
    }

    /// Which rule a value breaks.
    pub(super) fn broken(&self, id: ElementId) -> Option<ViolationKind> {
        let element = self.tree.element(id)?;
        if !element.relevant {
            return None;
        }
        let node = self.plan.form.nodes.get(element.node)?;
        if element.value.is_empty() {
            return self.is_required(id, node).then_some(ViolationKind::Required);
        }
        let external = self.plan.nodes.get(element.node).is_some_and(|node| node.external_constraint);
        if self.mode == Mode::Judge && external {
            return None;
        }
        let constraint = node.bind.constraint.as_ref()?;
        (!self.view().truth_at(constraint, id, true)).then_some(ViolationKind::Constraint)
    }

    /// What keeps the interview from being accepted.
    pub(super) fn violations(&self) -> Vec<Violation> {
        let view = self.view();
        let mut below = Vec::new();
        self.tree.below(0, &mut below);
        let found = below.into_iter().filter_map(|id| {
            let broken = self.broken(id)?;
            let node = self.plan.form.nodes.get(self.tree.node_of(id))?;
            Some(Violation {
                place: self.tree.path(&self.plan, id, false),
                reference: self.tree.path(&self.plan, id, true),
                kind: broken,
                message: message(&view, node, id, broken).unwrap_or_default(),
            })
        });
        found.collect()
    }

    fn choice_states(&self, node: usize, id: ElementId) -> Vec<ChoiceState> {
        let label_ref = self.label_ref(node);
        let view = self.view();
        let itemset = self.plan.form.nodes.get(node).and_then(|node| node.control.as_ref()?.itemset.as_ref());
        let search = itemset.and_then(|itemset| itemset.search.as_ref());
        let label = |item: Node| match item {
            item if search.is_some() => search.map(|search| view.searched_label(search, item, id)).unwrap_or_default(),
            Node::Row(table, row) => view.row_label(table, row, &label_ref, id),
            other => {
                let mut below = Vec::new();
                view.children(other, Some(&label_ref), &mut below);
                below.first().map(|node| view.text(*node).into_owned()).unwrap_or_default()
            }
        };
        let offered = self.offered(node, id).unwrap_or_default();
        offered.into_iter().map(|(value, item)| ChoiceState { label: label(item), value }).collect()
    }

    fn label_ref(&self, node: usize) -> String {
        let itemset =
            self.plan.form.nodes.get(node).and_then(|node| node.control.as_ref()).and_then(|control| control.itemset.as_ref());
        itemset.map(|itemset| itemset.label_ref.clone()).unwrap_or_default()
    }

    /// What shows, without what a person reads around it.
    pub(super) fn shown_values(&self) -> Vec<ShownValue<'_>> {
        let mut shown = Vec::new();
        self.shown_below(0, &mut self.tree.path(&self.plan, 0, false), &mut shown);
        shown
    }

    fn shown_below<'a>(&'a self, top: ElementId, place: &mut String, into: &mut Vec<ShownValue<'a>>) {
        let Some(element) = self.tree.element(top).filter(|element| element.relevant) else { return };
        let above = place.len();
        for id in element.children.iter().flatten() {
            let Some(found) = self.tree.element(*id) else { continue };
            let Some(node) = self.plan.form.nodes.get(found.node) else { continue };
            place.push('/');
            place.push_str(&node.name);
            if matches!(node.kind, NodeKind::Repeat { .. }) {
                place.extend(["[", found.id.as_str(), "]"]);
            }
            if node.kind != NodeKind::Value {
                self.shown_below(*id, place, into);
            } else if found.relevant && !found.value.is_empty() {
                into.push(ShownValue { place: place.clone(), value: &found.value, identity: node.bind.identity.as_deref() });
            }
            place.truncate(above);
        }
    }

    /// Lines to read.
    pub(super) fn display_values(&self) -> Vec<DisplayValue> {
        let mut lines = Vec::new();
        self.display_below(0, &mut Vec::new(), &mut lines);
        lines
    }

    fn display_below(&self, top: ElementId, groups: &mut Vec<String>, into: &mut Vec<DisplayValue>) {
        let Some(element) = self.tree.element(top).filter(|element| element.relevant) else { return };
        let view = self.view();
        for id in element.children.iter().flatten() {
            let node_id = self.tree.node_of(*id);
            let Some(node) = self.plan.form.nodes.get(node_id) else { continue };
            let label = control_text(&view, node, *id, |control| control.label.as_ref()).unwrap_or_default();
            if node.kind != NodeKind::Value {
                let position = matches!(node.kind, NodeKind::Repeat { .. }).then(|| self.tree.position(&self.plan, *id));
                groups.push(position.map_or(label.clone(), |position| format!("{label} {position}").trim().to_owned()));
                self.display_below(*id, groups, into);
                groups.pop();
                continue;
            }
            let Some(value) = self.tree.element(*id).filter(|value| value.relevant && !value.value.is_empty()) else { continue };
            let display = if self.plan.is_select(node_id) {
                let labels = value.value.split_whitespace().map(|choice| {
                    view.choice_label(Node::Element(*id), choice)
                        .filter(|label| !label.is_empty())
                        .unwrap_or_else(|| choice.to_owned())
                });
                labels.collect::<Vec<_>>().join("، ").replace("، ", if is_latin(self) { ", " } else { "، " })
            } else {
                value.value.clone()
            };
            into.push(DisplayValue {
                place: self.tree.path(&self.plan, *id, false),
                reference: self.tree.path(&self.plan, *id, true),
                path: node.path.clone(),
                label,
                value: value.value.clone(),
                display,
                groups: groups.iter().filter(|group| !group.is_empty()).cloned().collect(),
                calculated: node.control.is_none(),
                data_type: node.bind.data_type,
            });
        }
    }
}

/// The form's own words about a violation.
fn message(view: &View<'_>, node: &FormNode, id: ElementId, broken: ViolationKind) -> Option<String> {
    let text = match broken {
        ViolationKind::Constraint => node.bind.constraint_message.as_ref(),
        ViolationKind::Required => node.bind.required_message.as_ref(),
    };
    view.words(text?, id)
}

/// Whether lists of words in the language shown are joined by a Latin comma.
fn is_latin(engine: &Engine) -> bool {
    let name = engine.plan.form.languages.get(engine.world.language).map_or("", String::as_str);
    !name.chars().any(|character| matches!(character, '\u{600}'..='\u{6ff}'))
}

fn control_text(
    view: &View<'_>,
    node: &FormNode,
    id: ElementId,
    which: impl Fn(&crate::model::Control) -> Option<&Text>,
) -> Option<String> {
    view.words(which(node.control.as_ref()?)?, id)
}

fn is_fixed(node: &FormNode) -> bool {
    let always = node.bind.readonly.as_ref().and_then(Expression::constant_truth) == Some(true);
    always && node.control.as_ref().is_some_and(|control| control.label.is_some() || control.hint.is_some())
}

/// What a node of the form is on a screen.
pub(super) fn kind(node: &FormNode) -> StateKind {
    match (&node.kind, node.control.as_ref().map(|control| control.kind)) {
        (NodeKind::Repeat { .. }, _) => StateKind::RepeatInstance,
        (NodeKind::Group, _) => StateKind::Group,
        (NodeKind::Value, None | Some(ControlKind::Group | ControlKind::Repeat)) => StateKind::ModelValue,
        // As in ODK, a question with words that nobody may ever answer is a note, whatever its type.
        (NodeKind::Value, Some(ControlKind::Input)) if is_fixed(node) => StateKind::Note,
        (NodeKind::Value, Some(ControlKind::Input)) => StateKind::Input,
        (NodeKind::Value, Some(ControlKind::Note)) => StateKind::Note,
        (NodeKind::Value, Some(ControlKind::SelectOne | ControlKind::SelectMultiple)) => StateKind::Select,
        (NodeKind::Value, Some(ControlKind::Rank)) => StateKind::Rank,
        (NodeKind::Value, Some(ControlKind::Range)) => StateKind::Range,
        (NodeKind::Value, Some(ControlKind::Trigger)) => StateKind::Trigger,
        (NodeKind::Value, Some(ControlKind::Upload)) => StateKind::Upload,
    }
}
