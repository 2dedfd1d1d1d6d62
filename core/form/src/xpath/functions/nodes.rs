//! Nodes: how many, which one, from which list.

use sha2::{Digest, Sha256};

use super::super::evaluate::{EvaluationError, Scope, evaluate};
use super::super::host::Node;
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

pub(super) fn count(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(scope.nodes(argument(arguments, 0, "count")?, "count")?.len() as f64))
}

pub(super) fn count_non_empty(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let nodes = scope.nodes(argument(arguments, 0, "count-non-empty")?, "count-non-empty")?;
    Ok(Value::Number(nodes.iter().filter(|node| !scope.host.text(**node).is_empty()).count() as f64))
}

/// Without an argument the context position; with one the position of an instance among its siblings.
pub(super) fn position(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let Some(tree) = arguments.first() else { return Ok(Value::Number(scope.position as f64)) };
    let nodes = scope.nodes(tree, "position")?;
    Ok(Value::Number(nodes.first().map_or(f64::NAN, |node| scope.host.position(*node) as f64)))
}

pub(super) fn last(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Number(scope.size as f64))
}

pub(super) fn name(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(first(scope, arguments, "name")?.map(|node| scope.host.name(node).into_owned()).unwrap_or_default()))
}

pub(super) fn local_name(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let name = first(scope, arguments, "local-name")?.map(|node| scope.host.name(node).into_owned()).unwrap_or_default();
    Ok(Value::Text(name.rsplit(':').next().unwrap_or_default().to_owned()))
}

pub(super) fn namespace_uri(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let node = first(scope, arguments, "namespace-uri")?;
    Ok(Value::Text(node.map(|node| scope.host.namespace(node).into_owned()).unwrap_or_default()))
}

fn first(scope: &Scope<'_>, arguments: &[Tree], function: &'static str) -> Result<Option<Node>, EvaluationError> {
    match arguments.first() {
        Some(tree) => Ok(scope.nodes(tree, function)?.first().copied()),
        None => Ok(Some(scope.node)),
    }
}

pub(super) fn current(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Nodes(vec![scope.current]))
}

pub(super) fn instance(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let id = scope.text(argument(arguments, 0, "instance")?)?;
    Ok(Value::Nodes(scope.host.instance(&id).into_iter().collect()))
}

/// `indexed-repeat(target, repeat, index, …)`: the target in that instance of each repeat, outermost first.
pub(super) fn indexed_repeat(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let mut within: Option<Node> = None;
    let mut pairs = Vec::new();
    for pair in arguments.get(1..).unwrap_or(&[]).chunks(2) {
        let [repeat, index] = pair else {
            return Err(EvaluationError::Argument { function: "indexed-repeat", expected: "an index for each repeat" });
        };
        let instances = scope.nodes(repeat, "indexed-repeat")?;
        pairs.push((instances, scope.number(index)?));
    }
    // The specification has the outermost first; forms in the field do not always.
    pairs.sort_by_key(|(instances, _)| instances.first().map_or(0, |node| depth(*node, scope)));
    for (instances, index) in pairs {
        let inside = |node: &Node| within.is_none_or(|outer| is_inside(*node, outer, scope));
        let chosen = if index >= 1.0 { instances.into_iter().filter(inside).nth(index as usize - 1) } else { None };
        match chosen {
            Some(instance) => within = Some(instance),
            None => return Ok(Value::Nodes(Vec::new())),
        }
    }
    let targets = scope.nodes(argument(arguments, 0, "indexed-repeat")?, "indexed-repeat")?;
    let inside = targets.into_iter().filter(|target| within.is_none_or(|outer| is_inside(*target, outer, scope)));
    Ok(Value::Nodes(inside.collect()))
}

fn depth(node: Node, scope: &Scope<'_>) -> usize {
    std::iter::successors(Some(node), |node| scope.host.parent(*node)).count()
}

fn is_inside(node: Node, outer: Node, scope: &Scope<'_>) -> bool {
    std::iter::successors(Some(node), |node| scope.host.parent(*node)).any(|above| above == outer)
}

/// `pulldata('persons', 'name', 'code', value)`: one value of the first row that matches.
pub(super) fn pulldata(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = |index: usize| scope.text(argument(arguments, index, "pulldata")?);
    let (file, wanted, column, value) = (text(0)?, text(1)?, text(2)?, text(3)?);
    let empty = Ok(Value::Text(String::new()));
    let id = file.strip_suffix(".csv").unwrap_or(&file);
    let Some(table) = scope.host.instance(id) else { return empty };
    let mut roots = Vec::new();
    scope.host.children(table, None, &mut roots);
    let Some(root) = roots.first() else { return empty };
    let row = if let Some(rows) = scope.host.rows_equal(*root, &column, &value) {
        rows.first().copied()
    } else {
        let mut rows = Vec::new();
        scope.host.children(*root, None, &mut rows);
        rows.into_iter().find(|row| cell(*row, &column, scope).as_deref() == Some(value.as_str()))
    };
    Ok(Value::Text(row.and_then(|row| cell(row, &wanted, scope)).unwrap_or_default()))
}

fn cell(row: Node, column: &str, scope: &Scope<'_>) -> Option<String> {
    let mut cells = Vec::new();
    scope.host.children(row, Some(column), &mut cells);
    cells.first().map(|cell| scope.host.text(*cell).into_owned())
}

/// Shuffled; the same way for the same seed, as JavaRosa shuffles.
pub(super) fn randomize(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let nodes = scope.nodes(argument(arguments, 0, "randomize")?, "randomize")?;
    let Some(seed) = arguments.get(1) else {
        let seed = (scope.host.random() >> 1) as i64;
        return Ok(Value::Nodes(shuffled(nodes, seed)));
    };
    Ok(Value::Nodes(shuffled(nodes, shuffle_seed(&evaluate(seed, scope)?, scope))))
}

/// The seed of a value: the number it is, else a digest of its text.
pub(crate) fn shuffle_seed(value: &Value, scope: &Scope<'_>) -> i64 {
    let number = value.number(scope);
    if !number.is_nan() {
        return number as i64;
    }
    let text = value.text(scope);
    if text.is_empty() {
        return 0;
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0i64, |seed, byte| seed << 8 | i64::from(*byte))
}

const MODULUS: i64 = 2_147_483_647;
const MULTIPLIER: i64 = 16_807;

/// Fisher and Yates inside out, with Park and Miller's generator.
pub(crate) fn shuffled<Item: Clone>(items: Vec<Item>, seed: i64) -> Vec<Item> {
    let mut state = seed % MODULUS;
    if state <= 0 {
        state += MODULUS - 1;
    }
    let mut out: Vec<Item> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        state = state * MULTIPLIER % MODULUS;
        let fraction = (state - 1) as f64 / (MODULUS - 1) as f64;
        let other = (fraction * (index + 1) as f64).floor() as usize;
        out.push(item.clone());
        if other < index {
            out.swap(other, index);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;
    use super::shuffled;

    #[test]
    fn counting_and_finding() {
        check(&[
            ("count(/data/x)", "3"),
            ("count-non-empty(/data/x)", "2"),
            ("position(.)", "2"),
            ("position(/data/none)", ""),
            ("/data/x[position() > 1]", "2"),
            ("name(.)", "x"),
            ("local-name(..)", "data"),
            ("namespace-uri(.)", ""),
            ("current()", "2"),
            ("current()/../x", "1"),
            ("indexed-repeat(/data/x, /data/x, 2)", "2"),
            ("indexed-repeat(/data/x, /data/x, 9)", ""),
            ("pulldata('none', 'a', 'b', 'c')", ""),
            ("count(instance('none')/root/item)", "0"),
            ("count(randomize(/data/x))", "3"),
        ]);
    }

    #[test]
    fn a_seed_shuffles_as_javarosa_does() {
        // The order that ODK's engines give five items with the seed 42.
        assert_eq!(shuffled(vec!["a", "b", "c", "d", "e"], 42), ["a", "e", "c", "b", "d"]);
        assert_eq!(shuffled(vec![1, 2, 3], 7), shuffled(vec![1, 2, 3], 7));
    }
}
