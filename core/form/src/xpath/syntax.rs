//! The syntax tree of an expression.

use std::sync::Arc;

use super::functions::Function;

/// An expression.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Tree {
    /// `7`, `0.5`.
    Number(f64),
    /// `'yes'`.
    Text(Arc<str>),
    /// `a or b`.
    Or(Box<Tree>, Box<Tree>),
    /// `a and b`.
    And(Box<Tree>, Box<Tree>),
    /// `a = b` and its kin.
    Compare(Comparison, Box<Tree>, Box<Tree>),
    /// `a + b` and its kin.
    Arithmetic(Operator, Box<Tree>, Box<Tree>),
    /// `-a`.
    Negate(Box<Tree>),
    /// `a | b`.
    Union(Box<Tree>, Box<Tree>),
    /// `f(a, b)`.
    Call { function: &'static Function, arguments: Vec<Tree> },
    /// `/data/member[1]/m_name`.
    Path(Path),
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Arithmetic operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A location path.
#[derive(Debug, Clone)]
pub struct Path {
    /// Where it begins.
    pub start: Start,
    /// Steps from there.
    pub steps: Vec<Step>,
}

/// Where a path begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// `/`.
    Root,
    /// The context node.
    Context,
    /// `instance('x')`, `current()`, `(…)`, with predicates.
    Filter(Box<Tree>, Vec<Predicate>),
}

/// One step of a path.
#[derive(Debug, Clone)]
pub struct Step {
    /// Direction.
    pub axis: Axis,
    /// Which nodes in that direction.
    pub test: Test,
    /// Which of those.
    pub predicates: Vec<Predicate>,
}

/// Directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are XPath's")]
pub enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Parent,
    Ancestor,
    AncestorOrSelf,
    FollowingSibling,
    PrecedingSibling,
    Following,
    Preceding,
    Attribute,
    Itself,
}

/// Node tests. A prefix in a name is kept as part of it (`orx:meta`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `name`.
    Name(Arc<str>),
    /// `*`.
    AnyName,
    /// `node()`.
    AnyNode,
    /// `text()`, `comment()`, `processing-instruction()`: our trees have none.
    Nothing,
}

/// A predicate and how it can be answered without looking at every node.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// The whole condition.
    pub tree: Tree,
    /// The same, seen as a look-up, where it is one.
    pub shortcut: Shortcut,
}

/// What a predicate is, beside any condition.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Shortcut {
    /// Nothing better than trying every node.
    None,
    /// `[name = E and adm1 = F and rest]` where E and F do not look at the node: an index answers the equalities.
    Lookup { equalities: Vec<(Arc<str>, Tree)>, rest: Vec<Tree> },
    /// `[3]` or `[position() = E]` where E does not look at the node.
    Position(Box<Tree>),
}

impl Predicate {
    /// Sees what kind of predicate a condition is.
    pub fn new(tree: Tree) -> Self {
        let shortcut = Shortcut::of(&tree);
        Self { tree, shortcut }
    }
}

impl Shortcut {
    fn of(tree: &Tree) -> Self {
        if let Tree::Number(_) = tree {
            return Self::Position(Box::new(tree.clone()));
        }
        if let Tree::Compare(Comparison::Equal, left, right) = tree {
            for (position, index) in [(left, right), (right, left)] {
                let is_position = matches!(&**position, Tree::Call { function, arguments } if function.name == "position" && arguments.is_empty());
                if is_position && index.ignores_context() {
                    return Self::Position(index.clone());
                }
            }
        }
        let mut terms = Vec::new();
        tree.conjuncts(&mut terms);
        let mut equalities = Vec::new();
        let mut rest = Vec::new();
        for term in terms {
            match term.column_equality() {
                Some(equality) => equalities.push(equality),
                None => rest.push(term.clone()),
            }
        }
        if equalities.is_empty() || rest.iter().any(Tree::counts_positions) {
            return Self::None;
        }
        Self::Lookup { equalities, rest }
    }
}

impl Tree {
    /// Visits this tree and everything in it, paths' predicates too.
    pub fn walk(&self, visit: &mut impl FnMut(&Tree)) {
        visit(self);
        match self {
            Self::Number(_) | Self::Text(_) => {}
            Self::Negate(inner) => inner.walk(visit),
            Self::Or(left, right)
            | Self::And(left, right)
            | Self::Compare(_, left, right)
            | Self::Arithmetic(_, left, right)
            | Self::Union(left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            Self::Call { arguments, .. } => arguments.iter().for_each(|argument| argument.walk(visit)),
            Self::Path(path) => {
                if let Start::Filter(base, predicates) = &path.start {
                    base.walk(visit);
                    for predicate in predicates {
                        predicate.tree.walk(visit);
                    }
                }
                for predicate in path.steps.iter().flat_map(|step| &step.predicates) {
                    predicate.tree.walk(visit);
                }
            }
        }
    }

    /// The context node, its position and the context size do not matter: only `current()`, absolute paths and literals.
    pub fn ignores_context(&self) -> bool {
        match self {
            Self::Number(_) | Self::Text(_) => true,
            Self::Negate(inner) => inner.ignores_context(),
            Self::Or(left, right)
            | Self::And(left, right)
            | Self::Compare(_, left, right)
            | Self::Arithmetic(_, left, right)
            | Self::Union(left, right) => left.ignores_context() && right.ignores_context(),
            Self::Call { function, arguments } => {
                // A look-up moved out of the loop must not be drawn or formatted once instead of once a node.
                !function.volatile && !function.reads_context(arguments.len()) && arguments.iter().all(Self::ignores_context)
            }
            Self::Path(path) => match &path.start {
                Start::Root => true,
                Start::Context => false,
                Start::Filter(base, _) => base.ignores_context(),
            },
        }
    }

    /// Uses `position()` or `last()` of the nodes that it filters.
    fn counts_positions(&self) -> bool {
        let mut found = matches!(self, Self::Number(_) | Self::Arithmetic(..) | Self::Negate(_));
        self.walk(&mut |tree| {
            if let Self::Call { function, arguments } = tree {
                found |= matches!(function.name, "position" | "last") && arguments.is_empty();
                // A number as a condition means a position; a function may give one.
                found |= function.numeric && std::ptr::eq(tree, self);
            }
        });
        found
    }

    fn conjuncts<'tree>(&'tree self, into: &mut Vec<&'tree Tree>) {
        match self {
            Self::And(left, right) => {
                left.conjuncts(into);
                right.conjuncts(into);
            }
            other => into.push(other),
        }
    }

    fn column_equality(&self) -> Option<(Arc<str>, Tree)> {
        let Self::Compare(Comparison::Equal, left, right) = self else { return None };
        for (column, value) in [(left, right), (right, left)] {
            if let Some(name) = column.plain_child()
                && value.ignores_context()
            {
                return Some((name, (**value).clone()));
            }
        }
        None
    }

    fn plain_child(&self) -> Option<Arc<str>> {
        let Self::Path(Path { start: Start::Context, steps }) = self else { return None };
        match steps.as_slice() {
            [Step { axis: Axis::Child, test: Test::Name(name), predicates }] if predicates.is_empty() => Some(name.clone()),
            _ => None,
        }
    }
}
