//! The tree of one interview: elements in an arena, each an instance of a form's node. A repeat has no element of its own; its
//! instances are elements in their parent's slot.

use std::cmp::Ordering;

use super::plan::Plan;
use crate::model::{NodeId, NodeKind};

/// Number of an element in the arena.
pub(super) type ElementId = u32;

/// Most elements of one interview.
pub(super) const ELEMENTS_MAX: usize = 1_000_000;

/// Most bytes of defaults that are copied into one interview: an instance has a copy of each.
pub(super) const DEFAULT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One element.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    pub(super) node: NodeId,
    pub(super) parent: Option<ElementId>,
    /// Children by slot of the form's node: one each, or the instances of a repeat.
    pub(super) children: Vec<Vec<ElementId>>,
    /// Instances of a repeat only.
    pub(super) id: String,
    /// Instances of a repeat only.
    pub(super) order: String,
    pub(super) value: String,
    /// Chosen, and not offered for the moment: comes back when it is offered again.
    pub(super) withheld: String,
    /// What was calculated last, where a person may answer too: only another result takes the answer's place.
    pub(super) calculated: Option<String>,
    /// What its own condition says.
    pub(super) own_relevant: bool,
    /// Its own condition and those around it.
    pub(super) relevant: bool,
    /// Read from stored answers: a captured value is not taken again.
    pub(super) stored: bool,
    /// The element was taken away.
    pub(super) gone: bool,
}

/// The arena.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) elements: Vec<Element>,
    /// Surplus instances of counted repeats, kept and not shown: parent, slot, element.
    pub(super) surplus: Vec<(ElementId, usize, ElementId)>,
    /// Bytes of the defaults that were copied so far.
    pub(super) default_bytes: usize,
}

impl Tree {
    /// No further instance can be made.
    pub(super) fn is_full(&self) -> bool {
        self.elements.len() >= ELEMENTS_MAX || self.default_bytes >= DEFAULT_BYTES_MAX
    }

    pub(super) fn element(&self, id: ElementId) -> Option<&Element> {
        self.elements.get(id as usize)
    }

    pub(super) fn element_mut(&mut self, id: ElementId) -> Option<&mut Element> {
        self.elements.get_mut(id as usize)
    }

    pub(super) fn node_of(&self, id: ElementId) -> NodeId {
        self.element(id).map_or(0, |element| element.node)
    }

    pub(super) fn parent(&self, id: ElementId) -> Option<ElementId> {
        self.element(id)?.parent
    }

    /// Makes an element and everything in it; repeats are left without instances. Not yet among its parent's children.
    pub(super) fn make(&mut self, plan: &Plan, node: NodeId, parent: Option<ElementId>, made: &mut Vec<ElementId>) -> ElementId {
        let id = self.elements.len() as ElementId;
        let found = plan.form.nodes.get(node);
        self.default_bytes = self.default_bytes.saturating_add(found.map_or(0, |node| node.default.len()));
        let is_bounded = self.default_bytes <= DEFAULT_BYTES_MAX;
        let value = found.filter(|_| is_bounded).map(|node| node.default.clone()).unwrap_or_default();
        let slots = found.map_or(0, |node| node.children.len());
        self.elements.push(Element {
            node,
            parent,
            children: vec![Vec::new(); slots],
            value,
            own_relevant: true,
            relevant: true,
            ..Element::default()
        });
        made.push(id);
        for (slot, child) in found.map(|node| node.children.clone()).unwrap_or_default().into_iter().enumerate() {
            let is_repeat = plan.form.nodes.get(child).is_some_and(|child| matches!(child.kind, NodeKind::Repeat { .. }));
            if !is_repeat {
                let made_child = self.make(plan, child, Some(id), made);
                if let Some(children) = self.element_mut(id).and_then(|element| element.children.get_mut(slot)) {
                    children.push(made_child);
                }
            }
        }
        id
    }

    /// Puts an instance among its parent's children, by order and id.
    pub(super) fn attach(&mut self, parent: ElementId, slot: usize, child: ElementId) {
        let key = |id: ElementId| self.element(id).map(|element| (element.order.as_str(), element.id.as_str()));
        let own = key(child);
        let at = self.instances(parent, slot).partition_point(|sibling| key(*sibling) <= own);
        if let Some(children) = self.element_mut(parent).and_then(|element| element.children.get_mut(slot)) {
            children.insert(at, child);
        }
    }

    /// Takes an instance from among its parent's children.
    pub(super) fn detach(&mut self, parent: ElementId, slot: usize, child: ElementId) {
        if let Some(children) = self.element_mut(parent).and_then(|element| element.children.get_mut(slot)) {
            children.retain(|id| *id != child);
        }
    }

    pub(super) fn instances(&self, parent: ElementId, slot: usize) -> &[ElementId] {
        self.element(parent).and_then(|element| element.children.get(slot)).map_or(&[], Vec::as_slice)
    }

    /// An element and everything in it, in document order.
    pub(super) fn below(&self, id: ElementId, into: &mut Vec<ElementId>) {
        into.push(id);
        if let Some(element) = self.element(id) {
            for child in element.children.iter().flatten() {
                self.below(*child, into);
            }
        }
    }

    /// The instance of `repeat` around an element, itself included.
    pub(super) fn around(&self, id: ElementId, repeat: NodeId) -> Option<ElementId> {
        std::iter::successors(Some(id), |id| self.parent(*id)).find(|id| self.node_of(*id) == repeat)
    }

    /// Elements of a form's node inside an element.
    pub(super) fn within(&self, plan: &Plan, top: ElementId, node: NodeId) -> Vec<ElementId> {
        let top_node = self.node_of(top);
        let mut way = Vec::new();
        let mut at = node;
        while at != top_node {
            way.push(at);
            match plan.form.nodes.get(at).and_then(|node| node.parent) {
                Some(parent) => at = parent,
                None => return Vec::new(),
            }
        }
        let mut found = vec![top];
        for step in way.into_iter().rev() {
            let Some(slot) = plan.nodes.get(step).map(|node| node.slot) else { return Vec::new() };
            found = found.into_iter().flat_map(|id| self.instances(id, slot).iter().copied()).collect();
        }
        found
    }

    /// The first element of a form's node inside an element.
    pub(super) fn first_within(&self, plan: &Plan, top: ElementId, node: NodeId) -> Option<ElementId> {
        if node == self.node_of(top) {
            return Some(top);
        }
        let above = self.first_within(plan, top, plan.form.nodes.get(node)?.parent?)?;
        self.instances(above, plan.nodes.get(node)?.slot).first().copied()
    }

    /// Position among the instances of its repeat, from 1.
    pub(super) fn position(&self, plan: &Plan, id: ElementId) -> usize {
        let Some(element) = self.element(id) else { return 1 };
        let (Some(parent), Some(slot)) = (element.parent, plan.nodes.get(element.node).map(|node| node.slot)) else { return 1 };
        let siblings = self.instances(parent, slot);
        // They stand by order and id: see `attach`.
        let key = |id: ElementId| self.element(id).map(|element| (element.order.as_str(), element.id.as_str()));
        let from = siblings.partition_point(|sibling| key(*sibling) < key(id));
        let after = siblings.get(from..).unwrap_or_default();
        after.iter().position(|sibling| *sibling == id).map_or(1, |at| from + at + 1)
    }

    pub(super) fn is_instance(&self, plan: &Plan, id: ElementId) -> bool {
        plan.form.nodes.get(self.node_of(id)).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }))
    }

    /// The way from the root, as comparable steps.
    fn way(&self, plan: &Plan, id: ElementId) -> Vec<(usize, usize)> {
        let mut way = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let slot = plan.nodes.get(self.node_of(id)).map_or(0, |node| node.slot);
            let position = if self.is_instance(plan, id) { self.position(plan, id) } else { 0 };
            way.push((slot, position));
            at = self.parent(id);
        }
        way.reverse();
        way
    }

    pub(super) fn order(&self, plan: &Plan, left: ElementId, right: ElementId) -> Ordering {
        if left == right { Ordering::Equal } else { self.way(plan, left).cmp(&self.way(plan, right)) }
    }

    /// The path with ids (`place`) or positions (`reference`).
    pub(super) fn path(&self, plan: &Plan, id: ElementId, positions: bool) -> String {
        let mut parts = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let Some(element) = self.element(id) else { break };
            let name = plan.form.nodes.get(element.node).map_or("", |node| node.name.as_str());
            parts.push(if !self.is_instance(plan, id) {
                name.to_owned()
            } else if positions {
                format!("{name}[{}]", self.position(plan, id))
            } else {
                format!("{name}[{}]", element.id)
            });
            at = element.parent;
        }
        parts.reverse();
        format!("/{}", parts.join("/"))
    }

    /// The element at a place or reference. A repeat without brackets is its only instance.
    pub(super) fn find(&self, plan: &Plan, path: &str) -> Option<ElementId> {
        let mut steps = path.strip_prefix('/')?.split('/');
        let (root, _) = bracketed(steps.next()?);
        if plan.form.nodes.first().is_none_or(|node| node.name != root) {
            return None;
        }
        let mut at: ElementId = 0;
        for step in steps {
            let (name, inside) = bracketed(step);
            let slot = plan.slot_of(self.node_of(at), name)?;
            let siblings = self.instances(at, slot);
            at = match inside {
                None => *siblings.first()?,
                Some(inside) => {
                    let by_id = siblings.iter().find(|id| self.element(**id).is_some_and(|element| element.id == inside));
                    let by_position = || siblings.get(inside.parse::<usize>().ok()?.checked_sub(1)?);
                    *by_id.or_else(by_position)?
                }
            };
        }
        Some(at)
    }

    /// Where instances of the repeat at a path go: parent and slot.
    pub(super) fn find_repeat(&self, plan: &Plan, path: &str) -> Option<(ElementId, NodeId)> {
        let (parent, name) = path.rsplit_once('/')?;
        let (name, _) = bracketed(name);
        let parent = self.find(plan, parent)?;
        let parent_node = self.node_of(parent);
        let slot = plan.slot_of(parent_node, name)?;
        let node = *plan.form.nodes.get(parent_node)?.children.get(slot)?;
        let is_repeat = plan.form.nodes.get(node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }));
        is_repeat.then_some((parent, node))
    }
}

fn bracketed(step: &str) -> (&str, Option<&str>) {
    step.strip_suffix(']').and_then(|step| step.split_once('[')).map_or((step, None), |(name, inside)| (name, Some(inside)))
}
