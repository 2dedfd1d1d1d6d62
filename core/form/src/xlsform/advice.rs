//! What an author should know of expressions that can be read and hardly say what was meant: paths that lead nowhere, words without
//! quotes, comparisons in a chain, columns that a list does not have; and of defaults that a question cannot hold.

use std::collections::{BTreeMap, BTreeSet};

use super::assemble::Header;
use super::check::paths_of;
use super::references::similar;
use super::report::{Place, Report};
use crate::interview::values::typed;
use crate::model::{InstanceSource, Node, NodeKind, SecondaryInstance, Table};
use crate::xpath::Expression;
use crate::xpath::syntax::{Axis, Comparison, Path, Start, Test, Tree};

/// Warns of what is odd in the expressions of all nodes.
pub fn give(nodes: &[Node], instances: &BTreeMap<String, SecondaryInstance>, header: Header<'_>, report: &mut Report) {
    let known: BTreeSet<&str> = nodes.iter().map(|node| node.path.as_str()).collect();
    let names: BTreeSet<&str> = nodes.iter().skip(1).map(|node| node.name.as_str()).collect();
    let Some(root) = nodes.first().map(|node| format!("{}/", node.path)) else { return };
    for node in nodes {
        // A count that is more than a reference was made a question beside its repeat.
        let counts = nodes.iter().any(|other| {
            matches!(&other.kind, NodeKind::Repeat { count: Some(_) })
                && format!("{}_count", other.path) == node.path
                && other.row == node.row
        });
        for (key, expression) in expressions(node) {
            let column = header(if counts { "repeat_count" } else { key });
            let place = Place { sheet: "survey", row: node.row, column: &column };
            let words = lone_words(&expression.tree);
            for (path, _) in paths_of(expression, &node.path) {
                if path.starts_with(&root) && !known.contains(path.as_str()) && !path.contains("/meta") {
                    let last = path.rsplit('/').next().unwrap_or_default();
                    report.warn(place, &nowhere(&path, last, &words, &names));
                }
            }
            if is_chain(&expression.tree) {
                report.warn(
                    place,
                    "a comparison of a comparison, such as `1 < . < 5`, is not what it looks like: write `. > 1 and . < 5`",
                );
            }
        }
        columns(node, instances, &header("choice_filter"), report);
        if let Err(expected) = typed(node.bind.data_type, &node.default, 0) {
            let message =
                format!("the default `{}` is not {expected}; an expression is one by its brackets, as `today()`", node.default);
            report.warn(Place { sheet: "survey", row: node.row, column: &header("default") }, &message);
        }
    }
}

fn expressions(node: &Node) -> Vec<(&'static str, &Expression)> {
    let bind = &node.bind;
    let mut found: Vec<(&'static str, &Expression)> = Vec::new();
    let binds = [
        ("calculation", &bind.calculate),
        ("relevant", &bind.relevant),
        ("constraint", &bind.constraint),
        ("required", &bind.required),
        ("read_only", &bind.readonly),
    ];
    found.extend(binds.into_iter().filter_map(|(key, expression)| Some((key, expression.as_ref()?))));
    if let NodeKind::Repeat { count: Some(count) } = &node.kind {
        found.push(("repeat_count", count));
    }
    found
}

/// Names that stand alone where a value is expected, as `yes` in `${a} = yes`.
fn lone_words(tree: &Tree) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    tree.walk(&mut |tree| {
        if let Tree::Path(path) = tree {
            found.extend(lone(path).map(str::to_owned));
        }
    });
    found
}

fn lone(path: &Path) -> Option<&str> {
    match (&path.start, path.steps.as_slice()) {
        (Start::Context, [step]) if step.axis == Axis::Child && step.predicates.is_empty() => match &step.test {
            Test::Name(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn nowhere(path: &str, last: &str, words: &BTreeSet<String>, names: &BTreeSet<&str>) -> String {
    if !words.contains(last) {
        return format!("the path `{path}` leads to nothing in this form");
    }
    if names.contains(last) {
        return format!("`{last}` is not read as the question of that name: write `${{{last}}}`");
    }
    format!("`{last}` is read as the name of an element, and there is none: a text stands in quotes, `'{last}'`")
}

/// `a < b < c`: compares `true` or `false` with a number.
fn is_chain(tree: &Tree) -> bool {
    let is_order = |comparison: &Comparison| !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let mut found = false;
    tree.walk(&mut |tree| {
        if let Tree::Compare(outer, left, _) = tree
            && let Tree::Compare(inner, ..) = &**left
        {
            found |= is_order(outer) && is_order(inner);
        }
    });
    found
}

/// Columns that the filter of a select names and its list does not have.
fn columns(node: &Node, instances: &BTreeMap<String, SecondaryInstance>, column: &str, report: &mut Report) {
    let Some(itemset) =
        node.control.as_ref().and_then(|control| control.itemset.as_ref()).filter(|itemset| itemset.search.is_none())
    else {
        return;
    };
    let Some(InstanceSource::Internal(table)) = instances.get(&itemset.instance).map(|instance| &instance.source) else { return };
    let Tree::Path(path) = &*itemset.nodeset.tree else { return };
    let mut told = BTreeSet::new();
    for predicate in path.steps.iter().flat_map(|step| &step.predicates) {
        predicate.tree.walk(&mut |tree| {
            // What stands in a predicate of another list names that list's columns.
            let Tree::Path(path) = tree else { return };
            if let Some(name) = lone(path).filter(|name| !has_column(table, name)) {
                told.insert(name.to_owned());
            }
        });
        if reads_lists(&predicate.tree) {
            return;
        }
    }
    for name in told {
        let near = similar(&name, table.columns.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let message = format!("the list `{}` has no column `{name}`, so the filter finds nothing in it{near}", itemset.instance);
        report.warn(Place { sheet: "survey", row: node.row, column }, &message);
    }
}

fn has_column(table: &Table, name: &str) -> bool {
    name == "itextId" || table.column(name).is_some()
}

fn reads_lists(tree: &Tree) -> bool {
    let mut found = false;
    tree.walk(&mut |tree| found |= matches!(tree, Tree::Call { function, .. } if function.name == "instance"));
    found
}
