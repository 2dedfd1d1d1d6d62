//! Which nodes of a form an expression looks at, found without any interview: what the dependency graph is made of.

use crate::model::{Form, NodeId, NodeKind};
use crate::xpath::Expression;
use crate::xpath::syntax::{Axis, Path, Predicate, Start, Step, Test, Tree};

/// A node that an expression looks at, seen from the expression's own node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) node: NodeId,
    /// The repeat whose instance both are in; `None`: any instance may be meant.
    pub(super) anchor: Option<NodeId>,
}

/// Where a path has come to. `None`: in a list, or nowhere.
type Place = Option<Reference>;

/// References of an expression that belongs to `owner`.
pub(super) fn references(form: &Form, owner: NodeId, expression: &Expression) -> Vec<Reference> {
    let start = Reference { node: owner, anchor: repeat_around(form, owner) };
    let mut walker = Walker { form, owner: start, found: Vec::new(), work: 0 };
    let reached = walker.tree(&expression.tree, Some(start));
    walker.found.extend(reached);
    walker.found.sort_unstable();
    walker.found.dedup();
    walker.found
}

/// The nearest repeat that a node is inside of; a repeat is not inside itself.
pub(super) fn repeat_around(form: &Form, node: NodeId) -> Option<NodeId> {
    let mut above = form.nodes.get(node)?.parent;
    while let Some(id) = above {
        let found = form.nodes.get(id)?;
        if matches!(found.kind, NodeKind::Repeat { .. }) {
            return Some(id);
        }
        above = found.parent;
    }
    None
}

/// Most steps that one expression is followed for: `//` inside predicates could otherwise multiply.
const WORK_MAX: usize = 200_000;

struct Walker<'form> {
    form: &'form Form,
    owner: Reference,
    found: Vec<Reference>,
    work: usize,
}

impl Walker<'_> {
    /// Notes what a tree looks at; gives the nodes that it evaluates to.
    fn tree(&mut self, tree: &Tree, context: Place) -> Vec<Reference> {
        match tree {
            Tree::Number(_) | Tree::Text(_) => Vec::new(),
            Tree::Negate(inner) => self.noted(inner, context),
            Tree::Or(left, right) | Tree::And(left, right) | Tree::Compare(_, left, right) | Tree::Arithmetic(_, left, right) => {
                self.noted(left, context);
                self.noted(right, context)
            }
            Tree::Union(left, right) => {
                let mut nodes = self.tree(left, context);
                nodes.extend(self.tree(right, context));
                nodes
            }
            Tree::Call { function, arguments } => {
                if function.name == "current" {
                    return vec![self.owner];
                }
                if function.name == "once" {
                    self.found.push(self.owner);
                }
                if function.reads_context(arguments.len()) && function.name != "once" {
                    self.found.extend(context);
                }
                if function.name == "jr:choice-name"
                    && let Some(Tree::Text(path)) = arguments.get(1)
                    && let Ok(path) = Expression::parse(path)
                {
                    let nodes = self.tree(&path.tree, context);
                    self.found.extend(nodes);
                }
                let mut nodes = Vec::new();
                for (index, argument) in arguments.iter().enumerate() {
                    let reached = self.tree(argument, context);
                    if index == 0 && matches!(function.name, "randomize" | "indexed-repeat") {
                        nodes.clone_from(&reached);
                    }
                    self.found.extend(reached);
                }
                nodes
            }
            Tree::Path(path) => self.path(path, context),
        }
    }

    fn noted(&mut self, tree: &Tree, context: Place) -> Vec<Reference> {
        let reached = self.tree(tree, context);
        self.found.extend(reached);
        Vec::new()
    }

    fn path(&mut self, path: &Path, context: Place) -> Vec<Reference> {
        // The document itself is written as the root's parent: a first step `child::data` finds the root.
        let mut at_document = false;
        let mut nodes: Vec<Reference> = match &path.start {
            Start::Root => {
                at_document = true;
                Vec::new()
            }
            Start::Context => context.into_iter().collect(),
            Start::Filter(base, predicates) => {
                let nodes = self.tree(base, context);
                self.predicates(predicates, &nodes);
                nodes
            }
        };
        // In a list there are no nodes of the form, but its predicates may look at some.
        for step in &path.steps {
            nodes = if at_document { self.document_step(step) } else { self.step(step, &nodes) };
            at_document = false;
            self.predicates(&step.predicates, &nodes);
        }
        nodes
    }

    fn predicates(&mut self, predicates: &[Predicate], nodes: &[Reference]) {
        for predicate in predicates {
            if nodes.is_empty() {
                self.noted(&predicate.tree, None);
            }
            for node in nodes {
                self.noted(&predicate.tree, Some(*node));
            }
        }
    }

    fn document_step(&mut self, step: &Step) -> Vec<Reference> {
        let root = Reference { node: 0, anchor: None };
        match step.axis {
            Axis::Child | Axis::Descendant if self.passes(step, 0) && step.axis == Axis::Child => vec![root],
            Axis::Descendant | Axis::DescendantOrSelf => {
                let mut nodes = Vec::new();
                if self.passes(step, 0) {
                    nodes.push(root);
                }
                self.descend(step, root, &mut nodes);
                nodes
            }
            _ => Vec::new(),
        }
    }

    fn step(&mut self, step: &Step, from: &[Reference]) -> Vec<Reference> {
        let mut nodes = Vec::new();
        for reference in from {
            self.work += 1;
            if self.work > WORK_MAX {
                break;
            }
            match step.axis {
                Axis::Itself => nodes.extend(Some(*reference).filter(|at| self.passes(step, at.node))),
                Axis::Child => self.children(step, *reference, &mut nodes),
                Axis::Parent => nodes.extend(self.parent(*reference).filter(|at| self.passes(step, at.node))),
                Axis::Ancestor | Axis::AncestorOrSelf => {
                    let mut above = if step.axis == Axis::AncestorOrSelf { Some(*reference) } else { self.parent(*reference) };
                    while let Some(at) = above {
                        nodes.extend(Some(at).filter(|at| self.passes(step, at.node)));
                        above = self.parent(at);
                    }
                }
                Axis::Descendant => self.descend(step, *reference, &mut nodes),
                Axis::DescendantOrSelf => {
                    nodes.extend(Some(*reference).filter(|at| self.passes(step, at.node)));
                    self.descend(step, *reference, &mut nodes);
                }
                Axis::FollowingSibling | Axis::PrecedingSibling => {
                    if let Some(parent) = self.parent(*reference) {
                        self.children(step, parent, &mut nodes);
                    }
                }
                Axis::Following | Axis::Preceding => self.descend(step, Reference { node: 0, anchor: None }, &mut nodes),
                Axis::Attribute => {}
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    fn children(&mut self, step: &Step, of: Reference, into: &mut Vec<Reference>) {
        let Some(parent) = self.form.nodes.get(of.node) else { return };
        let named = match &step.test {
            Test::Name(name) => Some(self.form.by_path.get(&format!("{}/{name}", parent.path))),
            _ => None,
        };
        let children: &[NodeId] = match &named {
            Some(child) => child.map_or(&[], std::slice::from_ref),
            None if step.test == Test::Nothing => &[],
            None => &parent.children,
        };
        for child in children {
            let reference = Reference { node: *child, anchor: of.anchor };
            // Through a repeat: instances that come and go matter.
            if self.is_repeat(*child) {
                self.found.push(reference);
            }
            into.push(reference);
        }
    }

    fn descend(&mut self, step: &Step, of: Reference, into: &mut Vec<Reference>) {
        let mut open = vec![of.node];
        while let Some(node) = open.pop() {
            self.work += 1;
            if self.work > WORK_MAX {
                return;
            }
            let Some(found) = self.form.nodes.get(node) else { continue };
            for child in &found.children {
                let reference = Reference { node: *child, anchor: of.anchor };
                if self.is_repeat(*child) {
                    self.found.push(reference);
                }
                if self.passes(step, *child) {
                    into.push(reference);
                }
                open.push(*child);
            }
        }
    }

    fn parent(&self, of: Reference) -> Place {
        let parent = self.form.nodes.get(of.node)?.parent?;
        // Out of one's own instance, every sibling instance is in reach.
        let leaves = of.anchor == Some(of.node) || of.anchor.is_some_and(|anchor| !self.is_above(anchor, of.node));
        let anchor = if leaves { repeat_around(self.form, of.node) } else { of.anchor };
        Some(Reference { node: parent, anchor })
    }

    fn is_above(&self, above: NodeId, node: NodeId) -> bool {
        std::iter::successors(Some(node), |node| self.form.nodes.get(*node)?.parent).any(|node| node == above)
    }

    fn is_repeat(&self, node: NodeId) -> bool {
        self.form.nodes.get(node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }))
    }

    fn passes(&self, step: &Step, node: NodeId) -> bool {
        match &step.test {
            Test::Name(name) => self.form.nodes.get(node).is_some_and(|node| node.name == **name),
            Test::AnyName | Test::AnyNode => true,
            Test::Nothing => false,
        }
    }
}
