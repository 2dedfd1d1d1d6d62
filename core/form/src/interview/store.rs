//! Stored answers and the tree: reading them into a new tree, and taking out what is worth storing.

use std::collections::BTreeMap;

use super::context::Mode;
use super::plan::Plan;
use super::settle::Engine;
use super::tree::ElementId;
use crate::answers::{Answer, Answers, Instance};
use crate::model::{NodeId, NodeKind};

/// Answers that this version of the form has no place for: kept as they are.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The root, or the instance that they are in.
    pub(super) element: ElementId,
    pub(super) answers: Answers,
}

/// An answer's text form.
pub(super) fn text_of(answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Set(members) => members.iter().cloned().collect::<Vec<_>>().join(" "),
    }
}

impl Engine {
    /// Reads stored answers into a new tree and settles it; gives what has no place.
    pub(super) fn open(&mut self, answers: &Answers) -> Vec<Kept> {
        self.opening = true;
        let mut kept = Vec::new();
        self.blank(0);
        self.read_in(0, answers, &mut kept);
        self.queue_all(0);
        self.settle();
        self.opening = false;
        kept
    }

    /// Puts answers into the tree below the root or an instance; gives what has no place.
    pub(super) fn read_in(&mut self, top: ElementId, answers: &Answers, kept: &mut Vec<Kept>) {
        let plan = self.plan.clone();
        let mut rest = Answers::default();
        for (key, answer) in &answers.values {
            let found = node_at(&plan, self.tree.node_of(top), key)
                .filter(|node| plan.form.nodes.get(*node).is_some_and(|node| node.kind == NodeKind::Value));
            let element = found.and_then(|node| self.tree.first_within(&plan, top, node));
            match (found, element) {
                (Some(node), Some(element)) if plan.is_stored(node) || plan.may_differ(node) => {
                    let text = self.in_order(node, element, answer);
                    if let Some(element) = self.tree.element_mut(element) {
                        element.value = text;
                        element.stored = true;
                    }
                }
                _ => {
                    rest.values.insert(key.clone(), answer.clone());
                }
            }
        }
        if self.mode == Mode::Edit && !rest.values.is_empty() {
            self.carry_over(top, answers, &rest);
        }
        for (key, instances) in &answers.repeats {
            let found = node_at(&plan, self.tree.node_of(top), key)
                .filter(|node| plan.form.nodes.get(*node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. })));
            let Some(node) = found else {
                rest.repeats.insert(key.clone(), instances.clone());
                continue;
            };
            let parent_node = plan.form.nodes.get(node).and_then(|node| node.parent).unwrap_or(0);
            let Some(parent) = self.tree.first_within(&plan, top, parent_node) else { continue };
            for instance in instances {
                let element = self.instance(node, parent, instance.id.clone(), Some(instance.order.clone()));
                self.blank(element);
                self.read_in(element, &instance.answers, kept);
            }
        }
        if rest != Answers::default() {
            kept.push(Kept { element: top, answers: rest });
        }
    }

    /// An answer whose question stands in another group of this version answers it there too, where only one question of the
    /// root or the repeat has the name, and it has no answer. The answer also stays where it was.
    fn carry_over(&mut self, top: ElementId, answers: &Answers, rest: &Answers) {
        let plan = self.plan.clone();
        let scope = self.tree.node_of(top);
        let mut named: BTreeMap<&str, Option<NodeId>> = BTreeMap::new();
        for (id, node) in plan.form.nodes.iter().enumerate() {
            let own = plan.nodes.get(id).and_then(|found| found.repeat).unwrap_or(0) == scope;
            named.entry(&node.name).and_modify(|found| *found = None).or_insert(Some(id).filter(|_| own));
        }
        for (key, answer) in &rest.values {
            let name = key.rsplit('/').next().unwrap_or(key);
            let Some(node) = named.get(name).copied().flatten().filter(|node| plan.is_stored(*node)) else { continue };
            if plan.nodes.get(node).is_none_or(|found| answers.values.contains_key(&found.key)) {
                continue;
            }
            let Some(element) = self.tree.within(&plan, top, node).first().copied() else { continue };
            let text = self.in_order(node, element, answer);
            if let Some(element) = self.tree.element_mut(element) {
                element.value = text;
                element.stored = true;
            }
        }
    }

    /// Stored answers say everything: what is not among them is blank, whatever the form's defaults are.
    pub(super) fn blank(&mut self, top: ElementId) {
        let mut below = Vec::new();
        self.tree.below(top, &mut below);
        for id in below {
            let is_stored = self.plan.is_stored(self.tree.node_of(id));
            if let Some(element) = self.tree.element_mut(id).filter(|_| is_stored) {
                element.value.clear();
            }
        }
    }

    /// A set reads in the order of its choice list.
    fn in_order(&self, node: NodeId, element: ElementId, answer: &Answer) -> String {
        let Answer::Set(members) = answer else { return text_of(answer) };
        let Some(offered) = self.offered(node, element) else { return text_of(answer) };
        let mut chosen: Vec<&String> = members.iter().collect();
        chosen.sort_by_key(|member| offered.iter().position(|(value, _)| value == *member).unwrap_or(usize::MAX));
        chosen.into_iter().cloned().collect::<Vec<_>>().join(" ")
    }

    /// What is stored below the root or an instance.
    pub(super) fn answers(&self, top: ElementId, kept: &[Kept]) -> Answers {
        let mut answers = kept.iter().find(|kept| kept.element == top).map(|kept| kept.answers.clone()).unwrap_or_default();
        self.collect(top, kept, &mut answers);
        answers
    }

    fn collect(&self, at: ElementId, kept: &[Kept], into: &mut Answers) {
        let Some(element) = self.tree.element(at) else { return };
        let Some(node) = self.plan.form.nodes.get(element.node) else { return };
        for (slot, child) in node.children.iter().enumerate() {
            let (Some(child_node), Some(child_plan)) = (self.plan.form.nodes.get(*child), self.plan.nodes.get(*child)) else {
                continue;
            };
            match &child_node.kind {
                NodeKind::Group => {
                    for group in self.tree.instances(at, slot) {
                        self.collect(*group, kept, into);
                    }
                }
                NodeKind::Repeat { .. } => {
                    let hidden = self.tree.surplus.iter().filter(|(parent, at_slot, _)| *parent == at && *at_slot == slot);
                    let all = self.tree.instances(at, slot).iter().copied().chain(hidden.map(|(_, _, element)| *element));
                    let instances: Vec<Instance> = all
                        .filter_map(|id| {
                            let element = self.tree.element(id)?;
                            Some(Instance {
                                id: element.id.clone(),
                                order: element.order.clone(),
                                answers: self.answers(id, kept),
                            })
                        })
                        .collect();
                    if !instances.is_empty() {
                        into.repeats.insert(child_plan.key.clone(), instances);
                    }
                }
                NodeKind::Value => {
                    let Some(value) = self.tree.instances(at, slot).first().and_then(|id| self.tree.element(*id)) else {
                        continue;
                    };
                    let differs = || {
                        let given = value.calculated.as_ref().is_some_and(|calculated| *calculated != value.value);
                        given && self.plan.may_differ(*child)
                    };
                    if value.value.is_empty() || !(self.plan.is_stored(*child) || differs()) {
                        continue;
                    }
                    let answer = if self.plan.is_set(*child) {
                        Answer::Set(value.value.split_whitespace().map(str::to_owned).collect())
                    } else {
                        Answer::Text(value.value.clone())
                    };
                    into.values.insert(child_plan.key.clone(), answer);
                }
            }
        }
    }
}

/// The node at a key below a node.
fn node_at(plan: &Plan, top: NodeId, key: &str) -> Option<NodeId> {
    let path = format!("{}/{key}", plan.form.nodes.get(top)?.path);
    plan.form.by_path.get(&path).copied()
}
