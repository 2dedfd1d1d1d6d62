//! Choices: what is selected, and how it is called.

use super::super::Expression;
use super::super::evaluate::{EvaluationError, Scope, evaluate};
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

fn list(scope: &Scope<'_>, arguments: &[Tree], function: &'static str) -> Result<Vec<String>, EvaluationError> {
    let text = scope.text(argument(arguments, 0, function)?)?;
    Ok(text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

pub(super) fn selected(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let list = list(scope, arguments, "selected")?;
    let wanted = scope.text(argument(arguments, 1, "selected")?)?;
    let wanted = wanted.trim();
    // A blank question has one empty word in ODK: `selected(., '')` is how forms ask for blank.
    let blank = list.is_empty() && wanted.is_empty();
    Ok(Value::Boolean(blank || list.iter().any(|word| word == wanted)))
}

pub(super) fn selected_at(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let index = scope.number(argument(arguments, 1, "selected-at")?)?.trunc();
    let list = list(scope, arguments, "selected-at")?;
    let at = if index >= 0.0 { list.get(index as usize) } else { None };
    Ok(Value::Text(at.cloned().unwrap_or_default()))
}

pub(super) fn count_selected(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(list(scope, arguments, "count-selected")?.len() as f64))
}

/// `jr:choice-name(value, 'path of the question')`.
pub(super) fn choice_name(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let value = scope.text(argument(arguments, 0, "jr:choice-name")?)?;
    let place = argument(arguments, 1, "jr:choice-name")?;
    let nodes = match evaluate(place, scope)? {
        Value::Nodes(nodes) => nodes,
        other => {
            let path = Expression::parse(&other.text(scope))
                .map_err(|fault| EvaluationError::PathText { function: "jr:choice-name", message: fault.to_string() })?;
            scope.nodes(&path.tree, "jr:choice-name")?
        }
    };
    let label = nodes.first().and_then(|question| scope.host.choice_label(*question, &value));
    Ok(Value::Text(label.unwrap_or_default()))
}

pub(super) fn itext(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let id = scope.text(argument(arguments, 0, "jr:itext")?)?;
    Ok(Value::Text(scope.host.translation(&id).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;

    #[test]
    fn selected_choices() {
        check(&[
            ("selected('a b c', 'b')", "true"),
            ("selected('a bc', 'b')", "false"),
            ("selected('', '')", "true"),
            ("selected-at('a b c', 1)", "b"),
            ("selected-at('a b c', 9)", ""),
            ("selected-at('a b c', -1)", ""),
            ("count-selected('a  b')", "2"),
            ("count-selected('')", "0"),
            ("jr:choice-name('a', ' /data/x ')", "label of a"),
            ("jr:choice-name('a', '../x')", "label of a"),
            ("jr:itext('none')", ""),
        ]);
    }
}
