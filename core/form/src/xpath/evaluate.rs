//! The evaluator: XPath 1.0's semantics over a [`Host`].

#![allow(clippy::float_cmp, reason = "XPath compares numbers exactly")]

use super::host::{Host, Node, OnlyChild};
use super::moment::Moment;
use super::syntax::{Axis, Comparison, Operator, Path, Predicate, Shortcut, Start, Step, Test, Tree};
use super::value::{Value, parse_number};

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'host> {
    /// The trees and the world.
    pub host: &'host dyn Host,
    /// What `current()` gives: the node that the whole expression belongs to.
    pub current: Node,
    /// The context node.
    pub node: Node,
    /// The context position, from 1.
    pub position: usize,
    /// The context size.
    pub size: usize,
}

/// Why an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum EvaluationError {
    /// The wrong type where no conversion exists.
    #[error("{function}() expects nodes, such as a path")]
    NotNodes { function: &'static str },
    /// An argument that the function cannot use.
    #[error("{function}() expects {expected}")]
    Argument { function: &'static str, expected: &'static str },
    /// A path in a text that is none.
    #[error("{function}() expects a path in quotes: {message}")]
    PathText { function: &'static str, message: String },
    /// The work limit of one answer is reached.
    #[error("the expression takes too long")]
    TooMuchWork,
    /// A text is longer than any answer could be.
    #[error("the expression makes a text of more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

type Outcome<T> = Result<T, EvaluationError>;

/// Longest text that an expression makes on its way, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of text that are read or made for one unit of work.
pub(crate) const BYTES_A_UNIT: usize = 8;

impl<'host> Scope<'host> {
    /// At a node, alone.
    pub fn at(host: &'host dyn Host, node: Node) -> Self {
        Self { host, current: node, node, position: 1, size: 1 }
    }

    /// A text as a number: dates and date-times count days.
    pub fn text_number(&self, text: &str) -> f64 {
        // Dates are told apart by their first hyphen before anything dearer is tried.
        if text.as_bytes().get(4) == Some(&b'-')
            && let Some(moment) = Moment::parse(text, self.host.now().offset_minutes)
        {
            return moment.days();
        }
        parse_number(text)
    }

    /// Counts work: an error where there was too much.
    pub fn spend(&self, work: usize) -> Outcome<()> {
        if self.host.spend(work as u64) { Ok(()) } else { Err(EvaluationError::TooMuchWork) }
    }

    /// Counts a text that was read or made, by its bytes.
    pub fn spend_text(&self, bytes: usize) -> Outcome<()> {
        if bytes > TEXT_BYTES_MAX {
            return Err(EvaluationError::TooLong);
        }
        self.spend(bytes / BYTES_A_UNIT)
    }

    /// Evaluates to text.
    pub fn text(&self, tree: &Tree) -> Outcome<String> {
        let text = match only_end(tree, self)? {
            OnlyChild::One(node) => self.host.text(node).into_owned(),
            OnlyChild::None => String::new(),
            OnlyChild::Several => evaluate(tree, self)?.text(self),
        };
        self.spend_text(text.len())?;
        Ok(text)
    }

    /// The text of every node of each, or of what is none, in their order.
    pub fn texts(&self, trees: &[Tree]) -> Outcome<Vec<String>> {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        let mut add = |text: String| {
            bytes += text.len();
            texts.push(text);
            // The whole is bounded, and each part is paid for.
            if bytes > TEXT_BYTES_MAX {
                Err(EvaluationError::TooLong)
            } else {
                self.spend_text(texts.last().map_or(0, String::len))
            }
        };
        for tree in trees {
            match evaluate(tree, self)? {
                Value::Nodes(nodes) => nodes.iter().try_for_each(|node| add(self.host.text(*node).into_owned()))?,
                other => add(other.text(self))?,
            }
        }
        Ok(texts)
    }

    /// Evaluates to a number.
    pub fn number(&self, tree: &Tree) -> Outcome<f64> {
        Ok(match only_end(tree, self)? {
            OnlyChild::One(node) => self.text_number(&self.host.text(node)),
            OnlyChild::None => f64::NAN,
            OnlyChild::Several => evaluate(tree, self)?.number(self),
        })
    }

    /// Evaluates to truth.
    pub fn truth(&self, tree: &Tree) -> Outcome<bool> {
        Ok(match only_end(tree, self)? {
            OnlyChild::One(_) => true,
            OnlyChild::None => false,
            OnlyChild::Several => evaluate(tree, self)?.truth(),
        })
    }

    /// Evaluates to nodes; an error for anything else.
    pub fn nodes(&self, tree: &Tree, function: &'static str) -> Outcome<Vec<Node>> {
        match evaluate(tree, self)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Err(EvaluationError::NotNodes { function }),
        }
    }
}

/// Evaluates a tree.
pub fn evaluate(tree: &Tree, scope: &Scope<'_>) -> Outcome<Value> {
    scope.spend(1)?;
    match tree {
        Tree::Number(number) => Ok(Value::Number(*number)),
        Tree::Text(text) => {
            scope.spend_text(text.len())?;
            Ok(Value::Text(text.to_string()))
        }
        Tree::Or(left, right) => Ok(Value::Boolean(scope.truth(left)? || scope.truth(right)?)),
        Tree::And(left, right) => Ok(Value::Boolean(scope.truth(left)? && scope.truth(right)?)),
        Tree::Compare(comparison, left, right) => {
            let (left, right) = (evaluate(left, scope)?, evaluate(right, scope)?);
            Ok(Value::Boolean(compare(*comparison, &left, &right, scope)?))
        }
        Tree::Arithmetic(operator, left, right) => {
            let (left, right) = (scope.number(left)?, scope.number(right)?);
            Ok(Value::Number(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                Operator::Modulo => left % right,
            }))
        }
        Tree::Negate(inner) => Ok(Value::Number(-scope.number(inner)?)),
        Tree::Union(left, right) => {
            let mut nodes = scope.nodes(left, "|")?;
            nodes.extend(scope.nodes(right, "|")?);
            in_document_order(&mut nodes, scope)?;
            Ok(Value::Nodes(nodes))
        }
        Tree::Call { function, arguments } => {
            let value = (function.body)(scope, arguments)?;
            if let Value::Text(text) = &value {
                scope.spend_text(text.len())?;
            }
            Ok(value)
        }
        Tree::Path(path) => Ok(Value::Nodes(walk(path, scope)?)),
    }
}

/// XPath 1.0, section 3.4; a date counts as a number.
fn compare(comparison: Comparison, left: &Value, right: &Value, scope: &Scope<'_>) -> Outcome<bool> {
    Ok(match (left, right) {
        (Value::Nodes(lefts), Value::Nodes(rights)) => {
            for left in lefts {
                scope.spend(rights.len())?;
                let left = scope.host.text(*left);
                let holds = rights.iter().any(|right| {
                    let right = scope.host.text(*right);
                    match comparison {
                        Comparison::Equal => left == right,
                        Comparison::NotEqual => left != right,
                        _ => ordered(comparison, scope.text_number(&left), scope.text_number(&right)),
                    }
                });
                if holds {
                    return Ok(true);
                }
            }
            false
        }
        (Value::Nodes(nodes), other) => compare_nodes(comparison, nodes, other, scope, false),
        (other, Value::Nodes(nodes)) => compare_nodes(comparison, nodes, other, scope, true),
        _ => match comparison {
            Comparison::Equal | Comparison::NotEqual => {
                let equal = if matches!(left, Value::Boolean(_)) || matches!(right, Value::Boolean(_)) {
                    left.truth() == right.truth()
                } else if let (Value::Text(left), Value::Text(right)) = (left, right) {
                    left == right
                } else {
                    left.number(scope) == right.number(scope)
                };
                equal == (comparison == Comparison::Equal)
            }
            _ => ordered(comparison, left.number(scope), right.number(scope)),
        },
    })
}

fn compare_nodes(comparison: Comparison, nodes: &[Node], other: &Value, scope: &Scope<'_>, swapped: bool) -> bool {
    let order = |node: f64, other: f64| if swapped { ordered(comparison, other, node) } else { ordered(comparison, node, other) };
    match (comparison, other) {
        (Comparison::Equal, Value::Boolean(truth)) => nodes.is_empty() != *truth,
        (Comparison::NotEqual, Value::Boolean(truth)) => nodes.is_empty() == *truth,
        (Comparison::Equal, Value::Text(text)) => nodes.iter().any(|node| scope.host.text(*node) == text.as_str()),
        (Comparison::NotEqual, Value::Text(text)) => nodes.iter().any(|node| scope.host.text(*node) != text.as_str()),
        _ => {
            let number = other.number(scope);
            nodes.iter().any(|node| order(scope.text_number(&scope.host.text(*node)), number))
        }
    }
}

fn ordered(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

fn in_document_order(nodes: &mut Vec<Node>, scope: &Scope<'_>) -> Outcome<()> {
    // Each comparison walks up to the root.
    scope.spend(nodes.len() * 8)?;
    nodes.sort_by(|left, right| scope.host.document_order(*left, *right));
    nodes.dedup();
    Ok(())
}

fn walk(path: &Path, scope: &Scope<'_>) -> Outcome<Vec<Node>> {
    let mut steps = path.steps.as_slice();
    let mut nodes = match &path.start {
        Start::Root | Start::Context => {
            let (end, rest) = lead(path, scope);
            steps = rest;
            end.into_iter().collect()
        }
        Start::Filter(base, predicates) => {
            // `'text'/x` and `3[1]` have no nodes.
            let Value::Nodes(mut nodes) = evaluate(base, scope)? else {
                return Err(EvaluationError::NotNodes { function: "/" });
            };
            for predicate in predicates {
                nodes = keep(predicate, nodes, scope)?;
            }
            nodes
        }
    };
    for step in steps {
        if nodes.is_empty() {
            break;
        }
        nodes = take_step(step, &nodes, scope)?;
    }
    Ok(nodes)
}

/// Where a path leads as long as each step leads from one node to one node, and the steps that are left. Most paths have
/// none left: no list is needed on the way.
fn lead<'path>(path: &'path Path, scope: &Scope<'_>) -> (Option<Node>, &'path [Step]) {
    let mut steps = path.steps.as_slice();
    let mut at = if matches!(path.start, Start::Root) { Node::Document } else { scope.node };
    while let Some((step, rest)) = steps.split_first() {
        match alone(step, at, scope.host) {
            Some(OnlyChild::One(node)) => at = node,
            Some(OnlyChild::None) => return (None, &[]),
            Some(OnlyChild::Several) | None => break,
        }
        steps = rest;
    }
    (Some(at), steps)
}

/// The end of a path that leads from one node to one node all the way. Any other tree may have several nodes, or none at all.
fn only_end(tree: &Tree, scope: &Scope<'_>) -> Outcome<OnlyChild> {
    let Tree::Path(path) = tree else { return Ok(OnlyChild::Several) };
    if matches!(path.start, Start::Filter(..)) {
        return Ok(OnlyChild::Several);
    }
    scope.spend(1)?;
    let (end, rest) = lead(path, scope);
    Ok(if rest.is_empty() { end.map_or(OnlyChild::None, OnlyChild::One) } else { OnlyChild::Several })
}

/// A step that leads from one node to at most one other, and needs no list: `name`, `..` and `.` without conditions.
fn alone(step: &Step, at: Node, host: &dyn Host) -> Option<OnlyChild> {
    if !step.predicates.is_empty() {
        return None;
    }
    match (step.axis, &step.test) {
        (Axis::Child, Test::Name(name)) if !matches!(at, Node::TableRoot(_)) => Some(host.only_child(at, name)),
        (Axis::Parent, Test::AnyNode) => Some(host.parent(at).map_or(OnlyChild::None, OnlyChild::One)),
        (Axis::Itself, Test::AnyNode) => Some(OnlyChild::One(at)),
        _ => None,
    }
}

fn take_step(step: &Step, from: &[Node], scope: &Scope<'_>) -> Outcome<Vec<Node>> {
    let mut found = Vec::new();
    for node in from {
        scope.spend(1)?;
        if let Some(rows) = look_up(step, *node, scope)? {
            scope.spend(rows.len())?;
            found.extend(rows);
            continue;
        }
        if step.predicates.is_empty() {
            let before = found.len();
            candidates(step, *node, scope, &mut found);
            scope.spend(found.len() - before)?;
            continue;
        }
        let mut reached = Vec::new();
        candidates(step, *node, scope, &mut reached);
        scope.spend(reached.len())?;
        for predicate in &step.predicates {
            reached = keep(predicate, reached, scope)?;
        }
        found.extend(reached);
    }
    // Two nodes may lead to the same one only in these directions.
    if from.len() > 1 && !matches!(step.axis, Axis::Child | Axis::Attribute | Axis::Itself)
        || is_reverse(step.axis) && found.len() > 1
    {
        in_document_order(&mut found, scope)?;
    }
    Ok(found)
}

fn is_reverse(axis: Axis) -> bool {
    matches!(axis, Axis::Ancestor | Axis::AncestorOrSelf | Axis::Preceding | Axis::PrecedingSibling)
}

/// `root/item[name = X]` answered by an index instead of by looking at every row.
fn look_up(step: &Step, node: Node, scope: &Scope<'_>) -> Outcome<Option<Vec<Node>>> {
    let (Node::TableRoot(_), Axis::Child, Some(first)) = (node, step.axis, step.predicates.first()) else { return Ok(None) };
    let Shortcut::Lookup { equalities, rest } = &first.shortcut else { return Ok(None) };
    let mut rows: Option<Vec<Node>> = None;
    for (column, tree) in equalities {
        let keys: Vec<String> = match evaluate(tree, scope)? {
            Value::Nodes(nodes) => nodes.iter().map(|node| scope.host.text(*node).into_owned()).collect(),
            Value::Text(text) => vec![text],
            // Numbers compare as numbers (`07` = 7), booleans as truth: no index of texts answers that.
            _ => return Ok(None),
        };
        let mut matching: Vec<Node> = Vec::new();
        for key in &keys {
            let Some(found) = scope.host.rows_equal(node, column, key) else { return Ok(None) };
            matching.extend(found);
        }
        if keys.len() > 1 {
            matching.sort_unstable();
            matching.dedup();
        }
        rows = Some(match rows {
            None => matching,
            Some(before) => before.into_iter().filter(|row| matching.binary_search(row).is_ok()).collect(),
        });
    }
    let Some(mut rows) = rows else { return Ok(None) };
    for condition in rest {
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            if (Scope { node: row, position: 1, size: 1, ..*scope }).truth(condition)? {
                kept.push(row);
            }
        }
        rows = kept;
    }
    for predicate in step.predicates.iter().skip(1) {
        rows = keep(predicate, rows, scope)?;
    }
    Ok(Some(rows))
}

fn keep(predicate: &Predicate, nodes: Vec<Node>, scope: &Scope<'_>) -> Outcome<Vec<Node>> {
    if let (Shortcut::Position(index), Some(first)) = (&predicate.shortcut, nodes.first()) {
        let wanted = evaluate(index, &Scope { node: *first, ..*scope })?.number(scope);
        let at = if wanted >= 1.0 && wanted.fract() == 0.0 { nodes.get(wanted as usize - 1) } else { None };
        return Ok(at.copied().into_iter().collect());
    }
    let size = nodes.len();
    let mut kept = Vec::new();
    for (index, node) in nodes.into_iter().enumerate() {
        let inner = Scope { node, position: index + 1, size, ..*scope };
        let passes = match evaluate(&predicate.tree, &inner)? {
            Value::Number(number) => number == (index + 1) as f64,
            other => other.truth(),
        };
        if passes {
            kept.push(node);
        }
    }
    Ok(kept)
}

fn candidates(step: &Step, node: Node, scope: &Scope<'_>, into: &mut Vec<Node>) {
    let host = scope.host;
    let name = match &step.test {
        Test::Name(name) => Some(&**name),
        Test::AnyName | Test::AnyNode => None,
        Test::Nothing => return,
    };
    let passes = |node: Node| match &step.test {
        Test::Name(name) => host.name(node) == **name,
        Test::AnyName => node != Node::Document && !matches!(node, Node::Table(_)),
        Test::AnyNode => true,
        Test::Nothing => false,
    };
    match step.axis {
        Axis::Child => host.children(node, name, into),
        Axis::Attribute => host.attributes(node, name, into),
        Axis::Itself => into.extend(Some(node).filter(|node| passes(*node))),
        Axis::Parent => into.extend(host.parent(node).filter(|node| passes(*node))),
        Axis::Ancestor | Axis::AncestorOrSelf => {
            let mut above = if step.axis == Axis::AncestorOrSelf { Some(node) } else { host.parent(node) };
            while let Some(found) = above {
                if passes(found) {
                    into.push(found);
                }
                above = host.parent(found);
            }
        }
        Axis::Descendant => descend(node, host, &passes, into),
        Axis::DescendantOrSelf => {
            into.extend(Some(node).filter(|node| passes(*node)));
            descend(node, host, &passes, into);
        }
        Axis::FollowingSibling => {
            into.extend(siblings(node, host, true).into_iter().filter(|node| passes(*node)));
        }
        Axis::PrecedingSibling => {
            into.extend(siblings(node, host, false).into_iter().rev().filter(|node| passes(*node)));
        }
        Axis::Following | Axis::Preceding => {
            let mut above = Some(node);
            while let Some(at) = above {
                let beside = siblings(at, host, step.axis == Axis::Following);
                for sibling in beside {
                    into.extend(Some(sibling).filter(|node| passes(*node)));
                    descend(sibling, host, &passes, into);
                }
                above = host.parent(at);
            }
        }
    }
}

fn descend(node: Node, host: &dyn Host, passes: &impl Fn(Node) -> bool, into: &mut Vec<Node>) {
    let mut children = Vec::new();
    host.children(node, None, &mut children);
    for child in children {
        if passes(child) {
            into.push(child);
        }
        descend(child, host, passes, into);
    }
}

fn siblings(node: Node, host: &dyn Host, after: bool) -> Vec<Node> {
    let Some(parent) = host.parent(node) else { return Vec::new() };
    let mut all = Vec::new();
    host.children(parent, None, &mut all);
    let Some(at) = all.iter().position(|sibling| *sibling == node) else { return Vec::new() };
    if after { all.split_off(at + 1) } else { all.into_iter().take(at).collect() }
}
