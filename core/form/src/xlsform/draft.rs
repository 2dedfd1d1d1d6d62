//! A form between its two readings: the tree is there, and cells still hold the author's words.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Bind, Control, ControlKind, DataType, Node, NodeId, NodeKind};

/// Words by language as the sheet has them.
pub type Words = Vec<(Option<String>, String)>;

/// The tree with what is still to be read for each node.
#[derive(Debug)]
pub struct Draft {
    pub nodes: Vec<Node>,
    /// By [`NodeId`].
    pub pending: Vec<Pending>,
    /// Names of the children of each node, as written and in lower case.
    taken: BTreeSet<(NodeId, String)>,
    taken_lower: BTreeSet<(NodeId, String)>,
    /// Files that `csv-external` and `xml-external` name: instance id, file, row.
    pub files: Vec<(String, String, u32)>,
    /// Settings that rows name: the type and the value.
    pub settings: Vec<(String, String)>,
}

/// Cells of a row that need the whole tree to be read.
#[derive(Debug, Default, Clone)]
pub struct Pending {
    pub row: u32,
    pub relevant: String,
    pub constraint: String,
    pub required: String,
    pub readonly: String,
    pub calculation: String,
    pub default: String,
    pub trigger: String,
    pub count: String,
    pub choice_filter: String,
    pub save_to: String,
    pub seed: String,
    pub label: Words,
    pub hint: Words,
    pub guidance_hint: Words,
    pub constraint_message: Words,
    pub required_message: Words,
    pub media: BTreeMap<String, Words>,
    pub list: Option<List>,
    pub value_ref: String,
    pub label_ref: String,
    pub randomize: bool,
    /// The position is written here, once at the start or when the trigger changes.
    pub geopoint_at_start: bool,
    pub geopoint_on_trigger: bool,
    pub record_audio: Option<String>,
    /// The calculation is what the column `repeat_count` says of a repeat.
    pub counts: bool,
}

/// Where a select's choices are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Name of a list in the choices sheet.
    Choices(String),
    /// Name of a list in the sheet `external_choices`.
    ExternalChoices(String),
    /// Name of a file.
    File(String),
    /// `${question}` in a repeat.
    Repeat(String),
}

/// What a new node is.
pub struct Made<'name> {
    pub name: &'name str,
    pub parent: NodeId,
    pub kind: NodeKind,
    pub data_type: DataType,
    pub control: Option<ControlKind>,
}

impl Draft {
    /// A tree with its root.
    pub fn new(root_name: &str) -> Self {
        let root = Node {
            name: root_name.to_owned(),
            path: format!("/{root_name}"),
            parent: None,
            children: Vec::new(),
            kind: NodeKind::Group,
            bind: Bind::default(),
            control: None,
            default: String::new(),
            actions: Vec::new(),
            row: 0,
        };
        Self {
            nodes: vec![root],
            pending: vec![Pending::default()],
            taken: BTreeSet::new(),
            taken_lower: BTreeSet::new(),
            files: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Adds a node after everything that its parent has.
    pub fn add(&mut self, made: &Made<'_>, pending: Pending) -> NodeId {
        let id = self.nodes.len();
        let above = self.nodes.get(made.parent).map(|node| node.path.clone()).unwrap_or_default();
        let bind = Bind { data_type: made.data_type, ..Bind::default() };
        self.nodes.push(Node {
            name: made.name.to_owned(),
            path: format!("{above}/{}", made.name),
            parent: Some(made.parent),
            children: Vec::new(),
            kind: made.kind.clone(),
            bind,
            control: made.control.map(control),
            default: String::new(),
            actions: Vec::new(),
            row: pending.row,
        });
        if let Some(parent) = self.nodes.get_mut(made.parent) {
            parent.children.push(id);
        }
        self.pending.push(pending);
        self.taken.insert((made.parent, made.name.to_owned()));
        self.taken_lower.insert((made.parent, made.name.to_lowercase()));
        id
    }

    /// Takes a name that makes no node.
    pub fn reserve(&mut self, parent: NodeId, name: &str) {
        self.taken.insert((parent, name.to_owned()));
        self.taken_lower.insert((parent, name.to_lowercase()));
    }

    /// Whether something else under the parent has the name.
    pub fn has_child(&self, parent: NodeId, name: &str) -> bool {
        self.taken.contains(&(parent, name.to_owned()))
    }

    /// Whether something else under the parent has the name, but for upper and lower case.
    pub fn has_similar_child(&self, parent: NodeId, name: &str) -> bool {
        self.taken_lower.contains(&(parent, name.to_lowercase()))
    }

    /// Questions that are calculated or triggered, and not shown.
    pub fn computed(&self) -> BTreeSet<NodeId> {
        let computed = |pending: &Pending| !pending.calculation.is_empty() || !pending.trigger.is_empty();
        let asked = |id: NodeId| self.nodes.get(id).is_some_and(|node| node.control.is_some());
        self.pending.iter().enumerate().filter(|(id, pending)| computed(pending) && !asked(*id)).map(|(id, _)| id).collect()
    }

    /// Whether a node or something above it is a repeat.
    pub fn in_repeat(&self, id: NodeId) -> bool {
        let mut next = Some(id);
        while let Some(node) = next.and_then(|id| self.nodes.get(id)) {
            if matches!(node.kind, NodeKind::Repeat { .. }) {
                return true;
            }
            next = node.parent;
        }
        false
    }
}

/// A control without words.
pub fn control(kind: ControlKind) -> Control {
    Control {
        kind,
        label: None,
        hint: None,
        guidance_hint: None,
        appearance: String::new(),
        parameters: BTreeMap::new(),
        itemset: None,
        media: BTreeMap::new(),
    }
}
