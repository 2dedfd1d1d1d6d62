//! A form made ready for interviews: who depends on whom, in which order, and where each answer is kept. Made once a form;
//! any number of interviews share it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::complete::completed;
use super::references::{references, repeat_around};
use crate::model::{ActionValue, ControlKind, DataType, Form, InstanceSource, NodeId, NodeKind};
use crate::xpath::Expression;
use crate::xpath::syntax::{Path, Start, Tree};

/// What of a node is computed eagerly. Everything else is computed when somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    Count,
    Relevant,
    Choices,
    Calculate,
}

/// An aspect of a node that looks at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependent {
    pub(super) node: NodeId,
    pub(super) aspect: Aspect,
    pub(super) anchor: Option<NodeId>,
}

/// What an interview needs to know of a node beside the form.
#[derive(Debug, Default)]
pub(super) struct PlanNode {
    /// Place among the parent's children.
    pub(super) slot: usize,
    /// Children by name: see [`PlanNode::slot_of`].
    slots: Vec<(u64, usize)>,
    /// Distance from the root.
    pub(super) depth: usize,
    /// The repeat around it.
    pub(super) repeat: Option<NodeId>,
    /// Key in [`crate::answers::Answers`].
    pub(super) key: String,
    /// What it looks at has a smaller rank.
    pub(super) rank: u32,
    /// Its calculation is taken once and stored.
    pub(super) captured: bool,
    /// Nothing that it is offered or shown by can be judged without a list from outside.
    pub(super) external_relevant: bool,
    pub(super) external_constraint: bool,
    pub(super) external_required: bool,
    pub(super) external_choices: bool,
    /// The list whose rows, all of them and always, are the choices.
    pub(super) whole_list: Option<String>,
    /// The choices depend on other answers.
    pub(super) filtered: bool,
}

/// A form made ready for interviews.
#[derive(Debug)]
pub struct Plan {
    /// The form, completed with what every form has.
    pub(super) form: Arc<Form>,
    /// Nodes that the author's form has; those after it were added.
    pub(super) own_nodes: usize,
    pub(super) nodes: Vec<PlanNode>,
    /// By the node that is looked at.
    pub(super) dependents: Vec<Vec<Dependent>>,
    /// Computed again when the language changes.
    pub(super) language: Vec<(NodeId, Aspect)>,
    /// By trigger: the target and which of its actions.
    pub(super) triggers: BTreeMap<NodeId, Vec<(NodeId, usize)>>,
    /// Ids of secondary instances, in order: their numbers in [`crate::xpath::Node`].
    pub(super) instance_ids: Vec<String>,
}

impl Plan {
    /// The place of a node's child by its name.
    pub(super) fn slot_of(&self, node: NodeId, name: &str) -> Option<usize> {
        let slots = &self.nodes.get(node)?.slots;
        let key = name_key(name);
        let from = slots.partition_point(|(own, _)| *own < key);
        let children = &self.form.nodes.get(node)?.children;
        let is_it = |slot: usize| {
            children.get(slot).and_then(|child| self.form.nodes.get(*child)).is_some_and(|child| child.name == name)
        };
        slots.iter().skip(from).take_while(|(own, _)| *own == key).map(|(_, slot)| *slot).find(|slot| is_it(*slot))
    }

    /// Reads the dependencies out of a form.
    pub fn new(form: &Form) -> Self {
        let own_nodes = form.nodes.len();
        // A copy even where nothing is missing: the form keeps its plan, and must not be kept by it.
        let form = Arc::new(completed(form, false).unwrap_or_else(|| form.clone()));
        let mut nodes: Vec<PlanNode> = form.nodes.iter().map(|_| PlanNode::default()).collect();
        // Parents may come after children among the nodes that were added: walk from the root.
        let mut open = vec![0];
        while let Some(id) = open.pop() {
            let Some(node) = form.nodes.get(id) else { continue };
            for (slot, child) in node.children.iter().enumerate() {
                let Some(child_node) = form.nodes.get(*child) else { continue };
                let key = match (id, &node.kind) {
                    (0, _) | (_, NodeKind::Repeat { .. }) => child_node.name.clone(),
                    _ => format!("{}/{}", nodes.get(id).map(|plan| plan.key.as_str()).unwrap_or_default(), child_node.name),
                };
                let depth = nodes.get(id).map_or(0, |plan| plan.depth) + 1;
                let repeat = repeat_around(&form, *child);
                if let Some(plan) = nodes.get_mut(*child) {
                    *plan = PlanNode { slot, depth, repeat, key, ..std::mem::take(plan) };
                }
                if let Some(plan) = nodes.get_mut(id) {
                    plan.slots.push((name_key(&child_node.name), slot));
                }
                open.push(*child);
            }
        }
        for node in &mut nodes {
            node.slots.sort_unstable();
        }
        let instance_ids = form.instances.keys().cloned().collect();
        let mut plan = Self {
            own_nodes,
            dependents: vec![Vec::new(); nodes.len()],
            nodes,
            language: Vec::new(),
            triggers: BTreeMap::new(),
            instance_ids,
            form,
        };
        plan.connect();
        plan.rank();
        plan
    }

    /// The plan of a form, made once.
    pub fn of(form: &Form) -> Arc<Self> {
        form.prepared.0.get_or_init(|| Arc::new(Self::new(form))).clone()
    }

    /// The form, with what every form has.
    pub fn form(&self) -> &Arc<Form> {
        &self.form
    }

    fn connect(&mut self) {
        let form = self.form.clone();
        for (id, node) in form.nodes.iter().enumerate() {
            let mut aspects: Vec<(Aspect, &Expression)> = Vec::new();
            if let NodeKind::Repeat { count: Some(count) } = &node.kind {
                aspects.push((Aspect::Count, count));
            }
            aspects.extend(node.bind.relevant.iter().map(|relevant| (Aspect::Relevant, relevant)));
            aspects.extend(node.bind.calculate.iter().map(|calculate| (Aspect::Calculate, calculate)));
            let itemset = node.control.as_ref().and_then(|control| control.itemset.as_ref());
            if let Some(itemset) = itemset {
                aspects.push((Aspect::Choices, &itemset.nodeset));
                aspects.extend(itemset.seed.iter().map(|seed| (Aspect::Choices, seed)));
                let search = itemset.search.iter();
                aspects.extend(
                    search
                        .flat_map(|search| search.value.iter().chain(search.filter.iter().map(|(_, value)| value)))
                        .map(|value| (Aspect::Choices, value)),
                );
            }
            let mut filtered = false;
            for (aspect, expression) in aspects {
                for reference in references(&form, id, expression) {
                    filtered |= aspect == Aspect::Choices;
                    let own_value = reference.node == id && reference.anchor == repeat_around(&form, id);
                    if own_value && aspect != Aspect::Count && matches!(node.kind, NodeKind::Value) {
                        continue;
                    }
                    if let Some(dependents) = self.dependents.get_mut(reference.node) {
                        dependents.push(Dependent { node: id, aspect, anchor: reference.anchor });
                    }
                }
                if expression.depends_on_language() {
                    self.language.push((id, aspect));
                }
            }
            for (index, action) in node.actions.iter().enumerate() {
                if let Some(trigger) = action.trigger
                    && !matches!(action.value, ActionValue::RecordAudio(_) | ActionValue::GeoPoint)
                {
                    self.triggers.entry(trigger).or_default().push((id, index));
                }
            }
            let external = |expression: Option<&Expression>| expression.is_some_and(|expression| is_external(&form, expression));
            let captured = node
                .bind
                .calculate
                .as_ref()
                .is_some_and(|calculate| node.bind.captured || calculate.is_volatile() || is_external(&form, calculate));
            if let Some(plan) = self.nodes.get_mut(id) {
                plan.captured = captured;
                plan.external_relevant = external(node.bind.relevant.as_ref());
                plan.external_constraint = external(node.bind.constraint.as_ref());
                plan.external_required = external(node.bind.required.as_ref());
                plan.external_choices = external(itemset.map(|itemset| &itemset.nodeset));
                plan.whole_list = itemset
                    .filter(|itemset| !itemset.randomize && itemset.search.is_none())
                    .and_then(|itemset| whole_list(&itemset.nodeset));
                plan.filtered = filtered;
            }
        }
        for dependents in &mut self.dependents {
            dependents.sort_unstable();
            dependents.dedup();
        }
    }

    /// Edges of the graph: who must be known before whom.
    fn edges(&self, aspects: &[Aspect]) -> Vec<Vec<NodeId>> {
        let mut edges: Vec<Vec<NodeId>> = self
            .dependents
            .iter()
            .enumerate()
            .map(|(id, dependents)| {
                let others = dependents.iter().filter(|dependent| aspects.contains(&dependent.aspect) && dependent.node != id);
                others.map(|dependent| dependent.node).collect()
            })
            .collect();
        for (id, node) in self.form.nodes.iter().enumerate() {
            if let Some(edges) = edges.get_mut(id) {
                edges.extend(&node.children);
                edges.sort_unstable();
                edges.dedup();
            }
        }
        edges
    }

    /// Ranks by longest path (Kahn). What is in a circle comes last and is settled by repetition.
    fn rank(&mut self) {
        let edges = self.edges(&[Aspect::Count, Aspect::Relevant, Aspect::Choices, Aspect::Calculate]);
        let mut waiting = vec![0usize; edges.len()];
        for target in edges.iter().flatten() {
            if let Some(count) = waiting.get_mut(*target) {
                *count += 1;
            }
        }
        let mut ready: Vec<NodeId> = (0..edges.len()).filter(|id| waiting.get(*id) == Some(&0)).collect();
        let mut highest = 0;
        let mut ranked = vec![false; edges.len()];
        while let Some(id) = ready.pop() {
            if let Some(done) = ranked.get_mut(id) {
                *done = true;
            }
            let rank = self.nodes.get(id).map_or(0, |node| node.rank);
            highest = highest.max(rank);
            for target in edges.get(id).into_iter().flatten() {
                if let Some(node) = self.nodes.get_mut(*target) {
                    node.rank = node.rank.max(rank + 1);
                }
                if let Some(count) = waiting.get_mut(*target) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(*target);
                    }
                }
            }
        }
        for (node, done) in self.nodes.iter_mut().zip(ranked) {
            if !done {
                node.rank = highest + 1;
            }
        }
    }

    /// Whether the node is asked of a person as a select.
    pub(super) fn is_select(&self, node: NodeId) -> bool {
        self.form.nodes.get(node).and_then(|node| node.control.as_ref()).is_some_and(|control| control.itemset.is_some())
    }

    /// Whether a value is kept with the answers: everything but plain calculations and notes.
    pub(super) fn is_stored(&self, node: NodeId) -> bool {
        let Some(found) = self.form.nodes.get(node) else { return false };
        let captured = self.nodes.get(node).is_some_and(|plan| plan.captured);
        matches!(found.kind, NodeKind::Value)
            && found.name != super::complete::ENTITY_ID
            && (found.bind.calculate.is_none() || captured)
    }

    /// Whether a person may answer what is calculated too: such an answer is stored where it differs from the result.
    pub(super) fn may_differ(&self, node: NodeId) -> bool {
        let found = self.form.nodes.get(node);
        found.is_some_and(|found| found.kind == NodeKind::Value && found.bind.calculate.is_some() && found.control.is_some())
    }

    /// Whether an answer is a set of choices.
    pub(super) fn is_set(&self, node: NodeId) -> bool {
        self.form.nodes.get(node).is_some_and(|node| {
            let several = node.control.as_ref().is_some_and(|control| control.kind == ControlKind::SelectMultiple);
            (several || node.bind.data_type == DataType::SelectMultiple) && node.bind.merge == crate::model::MergeRule::Union
        })
    }
}

/// A number by which names are sorted and found (FNV-1a): nearer at hand than the words themselves.
fn name_key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The plan of a form, once somebody needed it. A copy of a form makes its own.
#[derive(Debug, Default)]
pub struct Prepared(OnceLock<Arc<Plan>>);

impl Clone for Prepared {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Nodes that depend on themselves through others: calculations, relevances and counts that go round. Each circle's nodes
/// in the order of the form; empty where the form has none.
pub fn circular(form: &Arc<Form>) -> Vec<NodeId> {
    let plan = Plan::of(form);
    let edges = plan.edges(&[Aspect::Count, Aspect::Relevant, Aspect::Calculate]);
    let mut inside = vec![true; edges.len()];
    // Whoever has nobody before or nobody after is in no circle; what remains after peeling is.
    loop {
        let mut before = vec![0usize; edges.len()];
        let mut after = vec![0usize; edges.len()];
        for (id, targets) in edges.iter().enumerate() {
            for target in targets {
                if inside.get(id) == Some(&true) && inside.get(*target) == Some(&true) {
                    if let Some(count) = before.get_mut(*target) {
                        *count += 1;
                    }
                    if let Some(count) = after.get_mut(id) {
                        *count += 1;
                    }
                }
            }
        }
        let mut peeled = false;
        for (id, is_inside) in inside.iter_mut().enumerate() {
            if *is_inside && (before.get(id) == Some(&0) || after.get(id) == Some(&0)) {
                *is_inside = false;
                peeled = true;
            }
        }
        if !peeled {
            break;
        }
    }
    inside.iter().enumerate().filter(|(id, inside)| **inside && *id < plan.own_nodes).map(|(id, _)| id).collect()
}

/// Reads a list that is not in the form.
fn is_external(form: &Form, expression: &Expression) -> bool {
    expression.instances().iter().any(|id| {
        let id = id.strip_suffix(".csv").unwrap_or(id);
        form.instances.get(id).is_none_or(|instance| !matches!(instance.source, InstanceSource::Internal(_)))
    })
}

/// `instance('x')/root/item` and nothing more: the id.
fn whole_list(nodeset: &Expression) -> Option<String> {
    let Tree::Path(Path { start: Start::Filter(base, predicates), steps }) = &*nodeset.tree else { return None };
    let Tree::Call { function, arguments } = &**base else { return None };
    let plain = predicates.is_empty() && steps.len() == 2 && steps.iter().all(|step| step.predicates.is_empty());
    match arguments.as_slice() {
        [Tree::Text(id)] if function.name == "instance" && plain => Some(id.to_string()),
        _ => None,
    }
}
