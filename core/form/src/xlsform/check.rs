//! Looks at the form as a whole: lists that selects name, circles of calculations.

use std::collections::{BTreeMap, BTreeSet};

use super::assemble::Header;
use super::choices::{ChoiceList, add_other};
use super::columns::Sheet;
use super::compile::Compiler;
use super::draft::{Draft, List};
use super::references::Source;
use super::report::{Place, Report};
use super::types::{RowType, parse};
use crate::model::{ControlKind, Node, NodeId, NodeKind};
use crate::xpath::Expression;
use crate::xpath::syntax::{Axis, Path, Start, Test, Tree};

/// Names of a circle that are written out.
const NAMES_SHOWN: usize = 20;

/// Lists of a workbook that a message names.
const LISTS_SHOWN: usize = 12;

/// The lists of a workbook.
#[derive(Debug, Default)]
pub struct Lists {
    /// Those of the choices sheet.
    pub choices: BTreeMap<String, ChoiceList>,
    /// Those of the sheet `external_choices`.
    pub external: BTreeMap<String, ChoiceList>,
}

/// Every list that a select names exists, and can be used as the select does. Adds the choice of `or_other`.
pub fn lists(draft: &Draft, sheet: &Sheet, lists: &mut Lists, has_sheet: impl Fn(&str) -> bool, report: &mut Report) {
    let column = sheet.header_text("type");
    for row in &sheet.rows {
        if let RowType::Select { list, or_other: true, .. } = parse(sheet.text(row, "type"))
            && let Some(list) = lists.choices.get_mut(&list)
        {
            add_other(list);
        }
    }
    let mut spaced: BTreeSet<(String, bool)> = BTreeSet::new();
    for (node, pending) in draft.nodes.iter().zip(&draft.pending) {
        let (name, known, sheet) = match &pending.list {
            Some(List::Choices(name)) => (name, &lists.choices, "choices"),
            Some(List::ExternalChoices(name)) => (name, &lists.external, "external_choices"),
            _ => continue,
        };
        if name.is_empty() || name.contains(' ') {
            continue;
        }
        let place = Place { sheet: "survey", row: pending.row, column: &column };
        let Some(list) = known.get(name) else {
            let similar = super::references::similar(name, known.keys().map(String::as_str));
            let mend = match similar {
                Some(similar) => format!("did you mean `{similar}`?"),
                None if !known.is_empty() && known.len() <= LISTS_SHOWN => {
                    let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
                    format!("name one of its lists ({}), or add choices with the list name `{name}`", names.join(", "))
                }
                None if has_sheet(sheet) => format!("add choices with the list name `{name}` to the {sheet} sheet"),
                None => format!("add a sheet `{sheet}` with the columns `list_name`, `name` and `label`"),
            };
            report.fault(place, format!("the {sheet} sheet has no list `{name}`"), mend);
            continue;
        };
        let kind = node.control.as_ref().map(|control| control.kind);
        let several = kind == Some(ControlKind::SelectMultiple);
        if (several || kind == Some(ControlKind::Rank)) && spaced.insert((name.clone(), several)) {
            for choice in list.rows.iter().filter(|choice| choice.name.contains(' ')) {
                let place = Place { sheet, row: choice.row, column: "name" };
                let message = format!(
                    "the choice `{}` of `{name}` has a space in its name, and several choices are separated by spaces",
                    choice.name
                );
                if several {
                    report.fault(place, message, "use `_` instead of the space");
                } else {
                    report.warn(place, &message);
                }
            }
        }
    }
}

/// A list that names columns for `search()` is of no use to a select without it.
pub fn searches(nodes: &[Node], column: &str, report: &mut Report) {
    let itemsets = || nodes.iter().filter_map(|node| Some((node, node.control.as_ref()?.itemset.as_ref()?)));
    for (node, search) in itemsets().filter_map(|(node, itemset)| Some((node, itemset.search.as_ref()?))) {
        let other = itemsets().find(|(_, itemset)| itemset.search.is_none() && itemset.instance == search.list);
        if let Some((other, _)) = other {
            let message =
                format!("`{}` searches by the list `{}`, which `{}` shows as it is", node.name, search.list, other.name);
            let mend = "use `search()` for both, or a list of its own for each";
            report.fault(Place { sheet: "survey", row: node.row, column }, message, mend);
        }
    }
}

/// `${name}` in cells that say nothing else to the reader: notes, rows that are disabled, attributes. Faults of other cells
/// are known by now.
pub fn references(sheets: &BTreeMap<String, Sheet>, compiler: &mut Compiler<'_>) {
    for (name, sheet) in sheets {
        for row in &sheet.rows {
            for (header, text) in sheet.cells(row).filter(|(_, text)| text.contains("${")) {
                let passed_over = match name.as_str() {
                    "survey" => matches!(header.key.as_str(), "type" | "name" | "trigger"),
                    "choices" => header.key != "label",
                    "settings" => false,
                    "entities" => matches!(header.key.as_str(), "list_name" | "repeat"),
                    _ => true,
                };
                let place = Place { sheet: name, row: row.number, column: &header.text };
                if passed_over {
                    continue;
                }
                if let Err(faults) = compiler.names.label_parts(text, Source { container: None, steps: 0 }) {
                    compiler.report.further_references(place, faults);
                }
            }
        }
    }
}

/// Ids that `pulldata('id', …)` names in a text that is not parsed yet.
pub fn pulled(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("pulldata") {
        rest = rest.get(at + "pulldata".len()..).unwrap_or_default();
        let inner = rest.trim_start().strip_prefix('(').map(str::trim_start).unwrap_or_default();
        let Some(quote) = inner.chars().next().filter(|quote| matches!(quote, '\'' | '"')) else { continue };
        if let Some(id) = inner.get(1..).and_then(|inner| inner.split(quote).next()) {
            found.push(id.to_owned());
        }
    }
    found
}

/// Where an expression of a node belongs: the column, and whether it decides about what is inside the node too.
fn expressions(node: &Node) -> Vec<(&'static str, &Expression)> {
    let bind = &node.bind;
    let mut found: Vec<(&'static str, &Expression)> = Vec::new();
    found.extend(bind.calculate.as_ref().map(|expression| ("calculation", expression)));
    found.extend(bind.relevant.as_ref().map(|expression| ("relevant", expression)));
    if let NodeKind::Repeat { count: Some(count) } = &node.kind {
        found.push(("repeat_count", count));
    }
    found
}

/// Finds calculations, relevances and counts that wait for each other.
pub fn cycles(nodes: &[Node], header: Header<'_>, report: &mut Report) {
    let by_path: BTreeMap<&str, NodeId> = nodes.iter().enumerate().map(|(id, node)| (node.path.as_str(), id)).collect();
    // A node's value waits for what its calculation reads, and for its own and its groups' relevance.
    let waits: Vec<Vec<(NodeId, &'static str)>> = nodes
        .iter()
        .enumerate()
        .map(|(id, node)| {
            let mut waits: Vec<(NodeId, &'static str)> = Vec::new();
            for (column, expression) in expressions(node) {
                for (path, chosen) in paths_of(expression, &node.path) {
                    if let Some(target) = by_path.get(path.as_str())
                        && nodes.get(*target).is_some_and(|target| target.kind == NodeKind::Value)
                        && (*target != id || !keeps_itself(expression))
                        && !(chosen && share_repeat(nodes, id, *target))
                    {
                        waits.push((*target, column));
                    }
                }
            }
            if let Some(parent) = node.parent {
                waits.push((parent, ""));
            }
            waits.sort_unstable();
            waits.dedup_by_key(|(target, _)| *target);
            waits
        })
        .collect();
    let mut state = vec![0_u8; nodes.len()];
    for start in 0..nodes.len() {
        if state.get(start) == Some(&0) {
            walk(start, &waits, &mut state, nodes, header, report);
        }
    }
}

/// `once(…)` keeps its own value: no circle.
fn keeps_itself(expression: &Expression) -> bool {
    let mut found = false;
    expression.tree.walk(&mut |tree| {
        if let Tree::Call { function, .. } = tree {
            found |= function.name == "once";
        }
    });
    found
}

/// Both are in one repeat, so what a predicate chooses may be another instance of it (the one before, say).
fn share_repeat(nodes: &[Node], one: NodeId, other: NodeId) -> bool {
    let repeats = |id: NodeId| {
        let mut found = Vec::new();
        let mut next = nodes.get(id).and_then(|node| node.parent);
        while let Some(above) = next {
            let Some(node) = nodes.get(above) else { break };
            if matches!(node.kind, NodeKind::Repeat { .. }) {
                found.push(above);
            }
            next = node.parent;
        }
        found
    };
    let around = repeats(one);
    repeats(other).iter().any(|id| around.contains(id))
}

/// Depth first, without recursion: a form may have thousands of questions in one chain.
fn walk(
    start: NodeId,
    waits: &[Vec<(NodeId, &'static str)>],
    state: &mut [u8],
    nodes: &[Node],
    header: Header<'_>,
    report: &mut Report,
) {
    let mut stack: Vec<(NodeId, usize)> = vec![(start, 0)];
    set(state, start, 1);
    while let Some((id, next)) = stack.last_mut() {
        let Some((target, _)) = waits.get(*id).and_then(|waits| waits.get(*next)).copied() else {
            set(state, *id, 2);
            stack.pop();
            continue;
        };
        *next += 1;
        match state.get(target).copied() {
            Some(0) => {
                set(state, target, 1);
                stack.push((target, 0));
            }
            Some(1) => circle(target, &stack, waits, nodes, header, report),
            _ => {}
        }
    }
}

fn set(state: &mut [u8], id: NodeId, to: u8) {
    if let Some(slot) = state.get_mut(id) {
        *slot = to;
    }
}

fn circle(
    first: NodeId,
    stack: &[(NodeId, usize)],
    waits: &[Vec<(NodeId, &'static str)>],
    nodes: &[Node],
    header: Header<'_>,
    report: &mut Report,
) {
    let Some(from) = stack.iter().position(|(id, _)| *id == first) else { return };
    if report.is_full() {
        return;
    }
    let members: Vec<(NodeId, &'static str)> = stack
        .iter()
        .skip(from)
        .map(|(id, next)| {
            let column = waits.get(*id).and_then(|waits| waits.get(next.saturating_sub(1))).map_or("", |(_, column)| *column);
            (*id, column)
        })
        .collect();
    let Some((at, column)) = members.iter().find(|(_, column)| !column.is_empty()).copied() else { return };
    let Some(node) = nodes.get(at) else { return };
    let name = |id: NodeId| nodes.get(id).map(|node| node.name.clone()).unwrap_or_default();
    let mut names: Vec<String> = members.iter().map(|(id, _)| name(*id)).collect();
    names.push(name(first));
    if names.len() > NAMES_SHOWN {
        let half = NAMES_SHOWN / 2;
        let left_out = names.len() - 2 * half;
        names.splice(half..half + left_out, [format!("({left_out} more)")]);
    }
    let column = header(column);
    let message = if members.len() == 1 {
        format!("`{}` depends on itself", node.name)
    } else {
        format!("these depend on each other in a circle: {}", names.join(" → "))
    };
    report.fault(
        Place { sheet: "survey", row: node.row, column: &column },
        message,
        "change one of them so that it does not need the others",
    );
}

/// Absolute paths that an expression of a node reads, as far as they can be known without an interview, and whether an
/// instance of a repeat is chosen on the way.
pub fn paths_of(expression: &Expression, own: &str) -> Vec<(String, bool)> {
    let mut reader = PathReader { own, found: Vec::new() };
    reader.collect(&expression.tree, Some(own), false);
    reader.found
}

struct PathReader<'own> {
    /// Path of the node whose expression it is.
    own: &'own str,
    found: Vec<(String, bool)>,
}

impl PathReader<'_> {
    /// `here` is the context node's path, `None` inside a list.
    fn collect(&mut self, tree: &Tree, here: Option<&str>, chosen: bool) {
        match tree {
            Tree::Number(_) | Tree::Text(_) => {}
            Tree::Negate(inner) => self.collect(inner, here, chosen),
            Tree::Or(left, right)
            | Tree::And(left, right)
            | Tree::Compare(_, left, right)
            | Tree::Arithmetic(_, left, right)
            | Tree::Union(left, right) => {
                self.collect(left, here, chosen);
                self.collect(right, here, chosen);
            }
            Tree::Call { function, arguments } => match function.name {
                // Asks where a node stands, not for its value.
                "position" => {}
                "indexed-repeat" => {
                    for (at, argument) in arguments.iter().enumerate() {
                        self.collect(argument, here, chosen || at == 0);
                    }
                }
                _ => arguments.iter().for_each(|argument| self.collect(argument, here, chosen)),
            },
            Tree::Path(path) => self.path(path, here, chosen),
        }
    }

    fn path(&mut self, path: &Path, here: Option<&str>, mut chosen: bool) {
        let mut at: Option<String> = match &path.start {
            Start::Root => Some(String::new()),
            Start::Context => here.map(str::to_owned),
            Start::Filter(base, predicates) => {
                let is_current = matches!(&**base, Tree::Call { function, .. } if function.name == "current");
                if !is_current {
                    self.collect(base, here, chosen);
                }
                for predicate in predicates {
                    self.collect(&predicate.tree, None, chosen);
                }
                is_current.then(|| self.own.to_owned())
            }
        };
        for step in &path.steps {
            chosen |= !step.predicates.is_empty();
            at = at.and_then(|at| match (step.axis, &step.test) {
                (Axis::Child, Test::Name(name)) => Some(format!("{at}/{name}")),
                (Axis::Parent, _) => at.rsplit_once('/').map(|(above, _)| above.to_owned()),
                (Axis::Itself, _) => Some(at),
                _ => None,
            });
            for predicate in &step.predicates {
                self.collect(&predicate.tree, at.as_deref(), true);
            }
        }
        if let Some(at) = at {
            self.found.push((at, chosen));
        }
    }
}
