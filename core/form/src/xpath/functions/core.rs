//! Truth, choice and the node itself.

use super::super::evaluate::{EvaluationError, Scope, evaluate};
use super::super::syntax::Tree;
use super::super::value::Value;

type Outcome = Result<Value, EvaluationError>;

pub(super) fn argument<'tree>(
    arguments: &'tree [Tree],
    index: usize,
    function: &'static str,
) -> Result<&'tree Tree, EvaluationError> {
    arguments.get(index).ok_or(EvaluationError::Argument { function, expected: "one more argument" })
}

pub(super) fn true_(_: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Boolean(true))
}

pub(super) fn false_(_: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Boolean(false))
}

pub(super) fn boolean(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Boolean(scope.truth(argument(arguments, 0, "boolean")?)?))
}

pub(super) fn boolean_from_string(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = scope.text(argument(arguments, 0, "boolean-from-string")?)?;
    Ok(Value::Boolean(matches!(text.as_str(), "1" | "true")))
}

pub(super) fn not(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Boolean(!scope.truth(argument(arguments, 0, "not")?)?))
}

pub(super) fn if_(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let branch = if scope.truth(argument(arguments, 0, "if")?)? { 1 } else { 2 };
    evaluate(argument(arguments, branch, "if")?, scope)
}

pub(super) fn coalesce(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    for tree in arguments {
        let text = scope.text(tree)?;
        if !text.is_empty() {
            return Ok(Value::Text(text));
        }
    }
    Ok(Value::Text(String::new()))
}

/// The first argument, computed again whenever one of the others changes.
pub(super) fn depend(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(scope.text(argument(arguments, 0, "depend")?)?))
}

/// Keeps the value that the question already has.
pub(super) fn once(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let present = scope.host.text(scope.current);
    if present.is_empty() {
        return Ok(Value::Text(scope.text(argument(arguments, 0, "once")?)?));
    }
    Ok(Value::Text(present.into_owned()))
}

pub(super) fn checklist(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let weights = arguments.iter().skip(2).map(|tree| (tree, 1.0));
    let mut met = 0.0;
    for (tree, weight) in weights {
        met += weight * truths(tree, scope)?;
    }
    within(scope, arguments, met, "checklist")
}

pub(super) fn weighted_checklist(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let mut met = 0.0;
    for pair in arguments.get(2..).unwrap_or(&[]).chunks(2) {
        let [condition, weight] = pair else {
            return Err(EvaluationError::Argument { function: "weighted-checklist", expected: "a weight for each condition" });
        };
        met += scope.number(weight)? * truths(condition, scope)?;
    }
    within(scope, arguments, met, "weighted-checklist")
}

/// How many are true: each node of a node-set counts by its value.
fn truths(tree: &Tree, scope: &Scope<'_>) -> Result<f64, EvaluationError> {
    Ok(match evaluate(tree, scope)? {
        Value::Nodes(nodes) => nodes.iter().filter(|node| !scope.host.text(**node).trim().is_empty()).count() as f64,
        other => f64::from(u8::from(other.truth())),
    })
}

/// Bounds of -1 mean none.
fn within(scope: &Scope<'_>, arguments: &[Tree], met: f64, function: &'static str) -> Outcome {
    let least = scope.number(argument(arguments, 0, function)?)?;
    let most = scope.number(argument(arguments, 1, function)?)?;
    Ok(Value::Boolean((least < 0.0 || met >= least) && (most < 0.0 || met <= most)))
}

pub(super) fn uuid(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = random_uuid(scope.host.random(), scope.host.random());
    let Some(length) = arguments.first() else { return Ok(Value::Text(text)) };
    let length = scope.number(length)?;
    if !(0.0..=UUID_CHARACTERS_MAX).contains(&length) {
        return Err(EvaluationError::Argument { function: "uuid", expected: "a length between 0 and 1000" });
    }
    let mut long = text;
    while long.len() < length as usize {
        long.push_str(&random_uuid(scope.host.random(), scope.host.random()));
    }
    long.truncate(length as usize);
    Ok(Value::Text(long))
}

/// Longest text that `uuid(length)` makes.
const UUID_CHARACTERS_MAX: f64 = 1_000.0;

/// A version 4 UUID of 128 random bits.
pub(crate) fn random_uuid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

pub(super) fn property(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let name = scope.text(argument(arguments, 0, "property")?)?;
    Ok(Value::Text(scope.host.property(&name)))
}

pub(super) fn version(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Text(scope.host.property("version")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::{check, text_of};

    #[test]
    fn truth_and_choice() {
        check(&[
            ("true()", "true"),
            ("not(false())", "true"),
            ("depend('kept', 1, 2)", "kept"),
            ("boolean('x')", "true"),
            ("boolean(/data/none)", "false"),
            ("boolean-from-string('1')", "true"),
            ("boolean-from-string('yes')", "false"),
            ("if(1 > 2, 'a', 'b')", "b"),
            ("if(true(), 7.0, 'b')", "7"),
            ("coalesce('', 'b')", "b"),
            ("coalesce('a', 'b')", "a"),
            ("coalesce(/data/x[3], '0')", "0"),
            ("once('new')", "2"),
            ("property('deviceid')", "device-1"),
        ]);
    }

    #[test]
    fn checklists_count_what_is_true() {
        check(&[
            ("checklist(1, 2, true(), false(), true())", "true"),
            ("checklist(3, -1, true(), true())", "false"),
            ("checklist(-1, 1, true(), true())", "false"),
            ("checklist(2, 2, /data/x)", "true"),
            ("weighted-checklist(3, 5, true(), 3, false(), 9)", "true"),
            ("weighted-checklist(4, 5, true(), 3, false(), 9)", "false"),
        ]);
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        assert_eq!(text_of("uuid()"), "01234567-89ab-4def-8123-456789abcdef");
        assert_eq!(text_of("uuid(4)"), "0123");
        assert_eq!(text_of("string-length(uuid(50))"), "50");
    }
}
