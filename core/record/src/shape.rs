//! What a record needs to know of its form: which answers are sets, which are events and by which rules, which were captured,
//! and which repeats a formula looks into by position.

use std::collections::{BTreeMap, BTreeSet};

use karwan_form::model::{DataType, Form, InstanceSource, MergeRule, NodeKind, StatusRule};
use karwan_form::xpath::Expression;
use karwan_form::xpath::syntax::{Path, Shortcut, Start, Tree};
use karwan_proto::Role;

/// The form as a record sees it. Paths are the form's, below the root and without instances.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    root: String,
    events: BTreeMap<String, Vec<Rule>>,
    captured: BTreeSet<String>,
    unions: BTreeMap<String, Vec<String>>,
    positional: BTreeSet<String>,
    counted: BTreeSet<String>,
}

/// A row of the legality table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// State before; empty: none.
    pub from: String,
    /// State after.
    pub to: String,
    /// Least role that may do it.
    pub role: Option<Role>,
    /// States that a concurrent event into `to` wins against.
    pub beats: Vec<String>,
}

impl Shape {
    /// The shape of a form.
    pub fn of(form: &Form) -> Self {
        let mut shape = Self { root: form.root_name.clone(), ..Self::default() };
        let prefix = format!("/{}/", form.root_name);
        for node in &form.nodes {
            let Some(path) = node.path.strip_prefix(&prefix) else { continue };
            match &node.kind {
                NodeKind::Repeat { count: Some(_) } => {
                    shape.counted.insert(path.to_owned());
                }
                NodeKind::Value => {
                    if node.bind.merge == MergeRule::Events {
                        shape.events.insert(path.to_owned(), rules_for(&form.status_rules, path));
                    }
                    if node.bind.captured || node.bind.preload.is_some() {
                        shape.captured.insert(path.to_owned());
                    }
                    if node.bind.merge == MergeRule::Union || node.bind.data_type == DataType::SelectMultiple {
                        shape.unions.insert(path.to_owned(), offered(form, node));
                    }
                }
                _ => {}
            }
            for expression in expressions(node) {
                positional(&expression.tree, node, form, &mut shape.positional);
            }
        }
        shape
    }

    /// The shape of a form that is not here: everything is shown, nothing is folded or judged.
    pub fn unknown() -> Self {
        Self { root: "data".to_owned(), ..Self::default() }
    }

    /// Name of the root element.
    pub fn root(&self) -> &str {
        if self.root.is_empty() { "data" } else { &self.root }
    }

    /// The legality table of an `events` question; `None` for any other question. Takes the form's path.
    pub fn rules(&self, form_path: &str) -> Option<&[Rule]> {
        self.events.get(form_path).map(Vec::as_slice)
    }

    /// Whether the answer was captured, not given: it makes no review item.
    pub fn is_captured(&self, form_path: &str) -> bool {
        self.captured.contains(form_path) || form_path.starts_with("meta/")
    }

    /// Whether the answer is a set.
    pub fn is_union(&self, form_path: &str) -> bool {
        self.unions.contains_key(form_path)
    }

    /// Choices in the order of the list, as far as the form says.
    pub fn choices(&self, form_path: &str) -> &[String] {
        self.unions.get(form_path).map_or(&[], Vec::as_slice)
    }

    /// Repeats into which a formula looks by position.
    pub fn positional(&self) -> &BTreeSet<String> {
        &self.positional
    }

    /// Whether the repeat's instances are keyed by their ordinal.
    pub fn is_counted(&self, form_path: &str) -> bool {
        self.counted.contains(form_path)
    }
}

fn rules_for(rules: &[StatusRule], path: &str) -> Vec<Rule> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let meant = |question: &str| {
        let question = question.trim_start_matches('/');
        question.is_empty()
            || question == name
            || question == path
            || question.split_once('/').is_some_and(|(_, below)| below == path)
    };
    let chosen = rules.iter().filter(|rule| meant(&rule.question));
    chosen
        .map(|rule| Rule {
            from: rule.from.clone(),
            to: rule.to.clone(),
            role: role_named(&rule.role),
            beats: rule.beats.clone(),
        })
        .collect()
}

/// A role by its name. A name that this version does not know is the highest: nobody below may do it.
fn role_named(name: &str) -> Option<Role> {
    Some(match name.trim().to_ascii_lowercase().replace(['_', ' '], "-").as_str() {
        "" | "anybody" | "enumerator" => return None,
        "supervisor" => Role::Supervisor,
        "data-manager" => Role::DataManager,
        _ => Role::Administrator,
    })
}

fn offered(form: &Form, node: &karwan_form::model::Node) -> Vec<String> {
    let itemset = node.control.as_ref().and_then(|control| control.itemset.as_ref());
    let Some(itemset) = itemset else { return Vec::new() };
    let Some(instance) = form.instances.get(&itemset.instance) else { return Vec::new() };
    let InstanceSource::Internal(table) = &instance.source else { return Vec::new() };
    let Some(column) = table.columns.iter().position(|column| *column == itemset.value_ref) else { return Vec::new() };
    table.rows.iter().filter_map(|row| row.get(column).cloned()).collect()
}

fn expressions(node: &karwan_form::model::Node) -> Vec<&Expression> {
    let bind = &node.bind;
    let mut found: Vec<&Expression> =
        [&bind.relevant, &bind.constraint, &bind.required, &bind.readonly, &bind.calculate].into_iter().flatten().collect();
    if let Some(itemset) = node.control.as_ref().and_then(|control| control.itemset.as_ref()) {
        found.push(&itemset.nodeset);
    }
    found
}

/// Finds repeats that are looked into by position: `indexed-repeat(x, repeat, n)` and `/data/member[2]/…`.
fn positional(tree: &Tree, node: &karwan_form::model::Node, form: &Form, found: &mut BTreeSet<String>) {
    match tree {
        Tree::Number(_) | Tree::Text(_) => {}
        Tree::Or(left, right)
        | Tree::And(left, right)
        | Tree::Compare(_, left, right)
        | Tree::Arithmetic(_, left, right)
        | Tree::Union(left, right) => {
            positional(left, node, form, found);
            positional(right, node, form, found);
        }
        Tree::Negate(inner) => positional(inner, node, form, found),
        Tree::Call { function, arguments } => {
            if function.name == "indexed-repeat" {
                for argument in arguments.iter().skip(1).step_by(2) {
                    if let Tree::Path(path) = argument {
                        note(path, path.steps.len(), node, form, found);
                    }
                }
            }
            for argument in arguments {
                positional(argument, node, form, found);
            }
        }
        Tree::Path(path) => {
            if let Start::Filter(inner, predicates) = &path.start {
                positional(inner, node, form, found);
                for predicate in predicates {
                    positional(&predicate.tree, node, form, found);
                }
            }
            for (at, step) in path.steps.iter().enumerate() {
                for predicate in &step.predicates {
                    if matches!(predicate.shortcut, Shortcut::Position(_)) {
                        note(path, at + 1, node, form, found);
                    }
                    positional(&predicate.tree, node, form, found);
                }
            }
        }
    }
}

/// Resolves the first `count` steps of a path to a repeat of the form.
fn note(path: &Path, count: usize, node: &karwan_form::model::Node, form: &Form, found: &mut BTreeSet<String>) {
    use karwan_form::xpath::syntax::{Axis, Test};
    let mut at: Vec<&str> = match &path.start {
        Start::Root => Vec::new(),
        Start::Context => node.path.split('/').filter(|name| !name.is_empty()).collect(),
        Start::Filter(..) => return,
    };
    for step in path.steps.iter().take(count) {
        match (&step.axis, &step.test) {
            (Axis::Parent, _) => {
                at.pop();
            }
            (Axis::Child, Test::Name(name)) => at.push(name),
            (Axis::Itself, _) => {}
            _ => return,
        }
    }
    let absolute = format!("/{}", at.join("/"));
    let is_repeat = form.by_path.get(&absolute).and_then(|id| form.nodes.get(*id));
    if is_repeat.is_some_and(|node| matches!(node.kind, NodeKind::Repeat { count: None }))
        && let Some(below) = absolute.strip_prefix(&format!("/{}/", form.root_name))
    {
        found.insert(below.to_owned());
    }
}
