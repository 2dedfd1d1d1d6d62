//! Text. Lengths and positions count UTF-16 units, as ODK's engines (Java and JavaScript) do.

use std::collections::BTreeMap;

use super::super::evaluate::{EvaluationError, Scope};
use super::super::pattern::BACKTRACKS_MAX;
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

fn own_text(scope: &Scope<'_>, arguments: &[Tree]) -> Result<String, EvaluationError> {
    match arguments.first() {
        Some(tree) => scope.text(tree),
        None => Ok(scope.host.text(scope.node).into_owned()),
    }
}

fn pair(scope: &Scope<'_>, arguments: &[Tree], function: &'static str) -> Result<(String, String), EvaluationError> {
    Ok((scope.text(argument(arguments, 0, function)?)?, scope.text(argument(arguments, 1, function)?)?))
}

pub(super) fn string(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(own_text(scope, arguments)?))
}

/// All nodes of a node-set, one after the other.
pub(super) fn concat(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(scope.texts(arguments)?.concat()))
}

pub(super) fn join(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let glue = scope.text(argument(arguments, 0, "join")?)?;
    let texts = scope.texts(arguments.get(1..).unwrap_or(&[]))?;
    scope.spend_text(glue.len().saturating_mul(texts.len()))?;
    Ok(Value::Text(texts.join(&glue)))
}

pub(super) fn contains(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, part) = pair(scope, arguments, "contains")?;
    Ok(Value::Boolean(text.contains(&part)))
}

pub(super) fn starts_with(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, part) = pair(scope, arguments, "starts-with")?;
    Ok(Value::Boolean(text.starts_with(&part)))
}

pub(super) fn ends_with(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, part) = pair(scope, arguments, "ends-with")?;
    Ok(Value::Boolean(text.ends_with(&part)))
}

pub(super) fn substring_before(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, part) = pair(scope, arguments, "substring-before")?;
    Ok(Value::Text(text.split_once(&part).map(|(before, _)| before.to_owned()).unwrap_or_default()))
}

pub(super) fn substring_after(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, part) = pair(scope, arguments, "substring-after")?;
    Ok(Value::Text(text.split_once(&part).map(|(_, after)| after.to_owned()).unwrap_or_default()))
}

/// XPath's: positions from 1, a length.
pub(super) fn substring(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let units: Vec<u16> = scope.text(argument(arguments, 0, "substring")?)?.encode_utf16().collect();
    let start = round_half_up(scope.number(argument(arguments, 1, "substring")?)?);
    let end = match arguments.get(2) {
        Some(length) => start + round_half_up(scope.number(length)?),
        None => f64::INFINITY,
    };
    let kept: Vec<u16> = units
        .into_iter()
        .enumerate()
        .filter(|(index, _)| {
            let position = (*index + 1) as f64;
            position >= start && position < end
        })
        .map(|(_, unit)| unit)
        .collect();
    Ok(Value::Text(String::from_utf16_lossy(&kept)))
}

fn round_half_up(number: f64) -> f64 {
    (number + 0.5).floor()
}

/// ODK's: from 0, up to and without the end; negative ones count from the end.
pub(super) fn substr(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let units: Vec<u16> = scope.text(argument(arguments, 0, "substr")?)?.encode_utf16().collect();
    let length = units.len() as f64;
    let place = |number: f64| if number < 0.0 { length + number } else { number }.clamp(0.0, length) as usize;
    let start = place(scope.number(argument(arguments, 1, "substr")?)?.trunc());
    let end = match arguments.get(2) {
        Some(tree) => place(scope.number(tree)?.trunc()),
        None => units.len(),
    };
    Ok(Value::Text(String::from_utf16_lossy(units.get(start..end).unwrap_or(&[]))))
}

pub(super) fn string_length(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(own_text(scope, arguments)?.encode_utf16().count() as f64))
}

pub(super) fn normalize_space(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = own_text(scope, arguments)?;
    let words: Vec<&str> = text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    Ok(Value::Text(words.join(" ")))
}

pub(super) fn translate(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = scope.text(argument(arguments, 0, "translate")?)?;
    let from = scope.text(argument(arguments, 1, "translate")?)?;
    let to = scope.text(argument(arguments, 2, "translate")?)?;
    let mut becomes = BTreeMap::new();
    let mut to = to.chars();
    for character in from.chars() {
        // What stands twice means what it meant first.
        let other = to.next();
        becomes.entry(character).or_insert(other);
    }
    let translated = text.chars().filter_map(|character| becomes.get(&character).copied().unwrap_or(Some(character)));
    Ok(Value::Text(translated.collect()))
}

pub(super) fn lower_case(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(own_text(scope, arguments)?.to_lowercase()))
}

pub(super) fn upper_case(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Text(own_text(scope, arguments)?.to_uppercase()))
}

/// Found anywhere: `^` and `$` anchor it.
pub(super) fn regex(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (text, pattern) = pair(scope, arguments, "regex")?;
    let pattern =
        scope.host.pattern(&pattern).ok_or(EvaluationError::Argument { function: "regex", expected: "a regular expression" })?;
    scope.spend_text(text.len())?;
    if let Some(found) = pattern.is_match_quickly(&text) {
        return Ok(Value::Boolean(found));
    }
    scope.spend(BACKTRACKS_MAX)?;
    Ok(Value::Boolean(pattern.is_match(&text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;

    #[test]
    fn parts_of_texts() {
        check(&[
            ("string()", "2"),
            ("string(7.0)", "7"),
            ("concat('a', 1, true())", "a1true"),
            ("concat(/data/x)", "12"),
            ("concat()", ""),
            ("join('-', 'a', /data/x)", "a-1-2-"),
            ("contains('abc', 'bc')", "true"),
            ("starts-with('abc', 'ab')", "true"),
            ("ends-with('abc', 'ab')", "false"),
            ("substring-before('a-b-c', '-')", "a"),
            ("substring-after('a--b', '--')", "b"),
            ("substring-after('ab', 'x')", ""),
            ("substring('12345', 2, 3)", "234"),
            ("substring('12345', 2)", "2345"),
            ("substring('12345', 1.5, 2.6)", "234"),
            ("substr('12345', 0, 4)", "1234"),
            ("substr('12345', -2)", "45"),
            ("substr('12345', 3, 1)", ""),
            ("substr('+989', 1)", "989"),
        ]);
    }

    #[test]
    fn shapes_of_texts() {
        check(&[
            ("string-length('é😀')", "3"),
            ("string-length()", "1"),
            ("normalize-space('  a \t b ')", "a b"),
            ("translate('۰۹۱۲-٣', '۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩-', '01234567890123456789')", "09123"),
            ("translate('aab', 'aa', 'xy')", "xxb"),
            ("lower-case('ABC')", "abc"),
            ("upper-case('abc')", "ABC"),
            ("regex('0912', '^09[0-9]+$')", "true"),
            ("regex('x0912', '09')", "true"),
        ]);
    }
}
