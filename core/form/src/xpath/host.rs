//! What an expression looks at: trees of nodes, a clock, chance, and a form's lists and labels.

use std::borrow::Cow;
use std::sync::Arc;

use super::pattern::Pattern;

/// A node of one of a form's trees. What the numbers mean is the host's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// Parent of the root element.
    Document,
    /// Element of the interview.
    Element(u32),
    /// Attribute of an element, by the host's number for its name.
    Attribute(u32, u16),
    /// A secondary instance: what `instance('x')` gives.
    Table(u16),
    /// Its root element.
    TableRoot(u16),
    /// One row.
    Row(u16, u32),
    /// One value of a row.
    Cell(u16, u32, u16),
}

/// A moment as an expression sees the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970, UTC.
    pub milliseconds: i64,
    /// Offset of local time, in minutes.
    pub offset_minutes: i32,
}

/// How many children of a name a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyChild {
    /// No child.
    None,
    /// This one.
    One(Node),
    /// More than one.
    Several,
}

/// The trees and the world around an expression.
pub trait Host {
    /// Parent of a node.
    fn parent(&self, node: Node) -> Option<Node>;
    /// Child elements, in document order; all of them, or those of a name.
    fn children(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>);
    /// The child element of a name, where there is exactly one or none; what most steps of most paths ask for.
    fn only_child(&self, node: Node, name: &str) -> OnlyChild {
        let mut found = Vec::new();
        self.children(node, Some(name), &mut found);
        match found.as_slice() {
            [] => OnlyChild::None,
            [child] => OnlyChild::One(*child),
            _ => OnlyChild::Several,
        }
    }
    /// Attributes; all of them, or the one of a name.
    fn attributes(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>);
    /// Name of an element or attribute; empty for a document.
    fn name(&self, node: Node) -> Cow<'_, str>;
    /// Namespace of an element; empty for what has none.
    fn namespace(&self, _node: Node) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    /// String value; blank where not relevant.
    fn text(&self, node: Node) -> Cow<'_, str>;
    /// Position among siblings of the same name, from 1.
    fn position(&self, node: Node) -> usize;
    /// Orders two nodes as the document has them.
    fn document_order(&self, left: Node, right: Node) -> std::cmp::Ordering;
    /// `instance(id)`.
    fn instance(&self, id: &str) -> Option<Node>;
    /// Rows of a table whose `column` is exactly `value`, in order; `None` where the host has no index for it.
    fn rows_equal(&self, root: Node, column: &str, value: &str) -> Option<Vec<Node>>;
    /// The clock.
    fn now(&self) -> Now;
    /// 64 random bits.
    fn random(&self) -> u64;
    /// Device properties (`deviceid`, `username`, …); blank where there is none.
    fn property(&self, name: &str) -> String;
    /// Label of the choice `value` of a question, in the language shown.
    fn choice_label(&self, question: Node, value: &str) -> Option<String>;
    /// Text of a translation's id, in the language shown.
    fn translation(&self, id: &str) -> Option<String>;
    /// A compiled pattern; `None` where it is not one. A host may keep those it has compiled.
    fn pattern(&self, source: &str) -> Option<Arc<Pattern>> {
        Pattern::new(source).ok().map(Arc::new)
    }
    /// So many units of work done; `false` when an evaluation has had enough. A unit is about what one step to one node costs.
    fn spend(&self, _work: u64) -> bool {
        true
    }
}
