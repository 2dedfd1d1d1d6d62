//! The primary instance: its elements become nodes, its texts defaults, and the instances that it holds of a repeat are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Element;
use super::reader::{Reader, plain_path};
use crate::answers::{Answer, Answers, Instance};
use crate::model::{Bind, Node, NodeId, NodeKind};

impl Reader {
    /// Makes the nodes; gives the instances that the definition itself holds.
    pub(super) fn instance(&mut self, root: &Element, body: &Element) -> Answers {
        let mut repeats = BTreeSet::new();
        repeat_paths(body, &mut repeats);
        let name = usual(&root.name);
        let id = self.node(root, &name, None, NodeKind::Group);
        self.grow(root, id, &repeats, false);
        self.held_by(root, id, false)
    }

    fn node(&mut self, element: &Element, name: &str, parent: Option<NodeId>, kind: NodeKind) -> NodeId {
        let id = self.nodes.len();
        let above = parent.and_then(|parent| self.nodes.get(parent)).map_or("", |parent| parent.path.as_str());
        let path = format!("{above}/{name}");
        let extra: BTreeMap<String, String> = if parent.is_none() {
            BTreeMap::new()
        } else {
            let own = element.attributes.iter().filter(|(name, _)| name != "jr:template");
            own.map(|(name, value)| (format!("instance::{name}"), value.clone())).collect()
        };
        self.nodes.push(Node {
            name: name.to_owned(),
            path: path.clone(),
            parent,
            children: Vec::new(),
            kind,
            bind: Bind { extra, ..Bind::default() },
            control: None,
            default: String::new(),
            actions: Vec::new(),
            row: element.line,
        });
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(id);
        }
        self.by_path.insert(path, id);
        id
    }

    /// Makes what is in an element. `blank`: the texts are those of an instance and no defaults.
    fn grow(&mut self, element: &Element, id: NodeId, repeats: &BTreeSet<String>, blank: bool) {
        let above = self.nodes.get(id).map(|node| node.path.clone()).unwrap_or_default();
        let in_meta = above.ends_with("/meta");
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for child in element.children() {
            let name = usual(&child.name);
            let path = format!("{above}/{name}");
            let is_repeat = repeats.contains(&path);
            if !seen.insert(name.clone()) {
                if !is_repeat {
                    let message = format!("`{path}` is here twice and no repeat");
                    self.fault(child, "", message, "give each element a name of its own, or make it a repeat");
                }
                continue;
            }
            if in_meta && name == "entity" {
                self.entity(child, id);
                continue;
            }
            let kind = if is_repeat {
                NodeKind::Repeat { count: None }
            } else if child.children().next().is_some() {
                NodeKind::Group
            } else {
                NodeKind::Value
            };
            let is_value = kind == NodeKind::Value;
            let made = self.node(child, &name, Some(id), kind);
            if is_value {
                let text = child.text();
                if let Some(node) = self.nodes.get_mut(made)
                    && !blank
                    && !text.trim().is_empty()
                {
                    node.default = text;
                }
            } else {
                let is_plain = |other: &Element| usual(&other.name) == name && !other.has("jr:template");
                if is_repeat && self.is_in_repeat(id) && element.children().any(is_plain) {
                    self.nested_first.insert(made);
                }
                // Without a template new instances are blank, whatever the first one holds.
                self.grow(child, made, repeats, blank || is_repeat && !child.has("jr:template"));
            }
        }
    }

    fn is_in_repeat(&self, id: NodeId) -> bool {
        let mut around = std::iter::successors(Some(id), |id| self.nodes.get(*id).and_then(|node| node.parent));
        around.any(|id| self.nodes.get(id).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. })))
    }

    /// Instances of repeats below an element, and (inside of one) texts that differ from the defaults.
    fn held_by(&mut self, element: &Element, id: NodeId, values: bool) -> Answers {
        let mut held = Answers::default();
        self.hold(element, id, "", values, &mut held);
        held
    }

    fn hold(&mut self, element: &Element, id: NodeId, prefix: &str, values: bool, into: &mut Answers) {
        let children = self.nodes.get(id).map(|node| node.children.clone()).unwrap_or_default();
        let mut by_name: BTreeMap<String, Vec<&Element>> = BTreeMap::new();
        for child in element.children() {
            by_name.entry(usual(&child.name)).or_default().push(child);
        }
        for child in children {
            let Some(node) = self.nodes.get(child) else { continue };
            let (name, kind, default) = (node.name.clone(), node.kind.clone(), node.default.clone());
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let mut elements = by_name.get(&name).into_iter().flatten().copied();
            match kind {
                NodeKind::Value => {
                    let text = elements.next().map(Element::text).unwrap_or_default();
                    let text = if text.trim().is_empty() { String::new() } else { text };
                    if values && text != default {
                        into.values.insert(key, Answer::Text(text));
                    }
                }
                NodeKind::Group => {
                    if let Some(group) = elements.next() {
                        self.hold(group, child, &key, values, into);
                    }
                }
                NodeKind::Repeat { .. } => {
                    let instances: Vec<&Element> = elements.filter(|element| !element.has("jr:template")).collect();
                    let read: Vec<Answers> = instances.iter().map(|instance| self.held_by(instance, child, true)).collect();
                    self.held.insert(child, read.len());
                    if read.len() == 1 && read.first() == Some(&Answers::default()) {
                        continue;
                    }
                    let numbered = read.into_iter().enumerate().map(|(number, answers)| Instance {
                        id: (number + 1).to_string(),
                        order: format!("{:09}", number + 1),
                        answers,
                    });
                    into.repeats.insert(key, numbered.collect());
                }
            }
        }
    }
}

/// Old forms give their metadata a prefix; it means the same without.
fn usual(name: &str) -> String {
    name.strip_prefix("orx:").unwrap_or(name).to_owned()
}

/// Paths that the body repeats.
fn repeat_paths(element: &Element, into: &mut BTreeSet<String>) {
    for child in element.children() {
        if child.local() == "repeat"
            && let Some(path) = child.attribute("nodeset")
        {
            into.insert(plain_path(path));
        }
        repeat_paths(child, into);
    }
}
