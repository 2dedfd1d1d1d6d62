//! Numbers and sums.

use super::super::evaluate::{EvaluationError, Scope, evaluate};
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

/// Dates become their days.
pub(super) fn number(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(match arguments.first() {
        Some(tree) => scope.number(tree)?,
        None => scope.text_number(&scope.host.text(scope.node)),
    }))
}

macro_rules! of_one_number {
    ($($name:ident, $written:literal, $body:expr;)+) => {
        $(pub(super) fn $name(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
            let body: fn(f64) -> f64 = $body;
            Ok(Value::Number(body(scope.number(argument(arguments, 0, $written)?)?)))
        })+
    };
}

of_one_number! {
    int, "int", f64::trunc;
    floor, "floor", f64::floor;
    ceiling, "ceiling", f64::ceil;
    abs, "abs", f64::abs;
    log, "log", f64::ln;
    log10, "log10", f64::log10;
    exp, "exp", f64::exp;
    exp10, "exp10", |power| 10f64.powf(power);
    sqrt, "sqrt", f64::sqrt;
    sin, "sin", f64::sin;
    cos, "cos", f64::cos;
    tan, "tan", f64::tan;
    asin, "asin", f64::asin;
    acos, "acos", f64::acos;
    atan, "atan", f64::atan;
}

/// Halves away from zero; a second argument is the number of decimals, which may be negative.
pub(super) fn round(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let value = scope.number(argument(arguments, 0, "round")?)?;
    let decimals = arguments.get(1).map_or(Ok(0.0), |tree| scope.number(tree))?;
    let shift = 10f64.powf(decimals);
    Ok(Value::Number((value.abs() * shift).round() / shift * value.signum()))
}

pub(super) fn pow(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (base, power) = (scope.number(argument(arguments, 0, "pow")?)?, scope.number(argument(arguments, 1, "pow")?)?);
    Ok(Value::Number(base.powf(power)))
}

pub(super) fn atan2(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let (y, x) = (scope.number(argument(arguments, 0, "atan2")?)?, scope.number(argument(arguments, 1, "atan2")?)?);
    Ok(Value::Number(y.atan2(x)))
}

pub(super) fn pi(_: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Number(std::f64::consts::PI))
}

/// Not a number where one of the nodes is none, or where there is no node.
pub(super) fn sum(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let numbers = numbers(scope, arguments)?;
    Ok(Value::Number(if numbers.is_empty() { f64::NAN } else { numbers.iter().sum() }))
}

pub(super) fn min(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(extreme(&numbers(scope, arguments)?, f64::min)))
}

pub(super) fn max(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    Ok(Value::Number(extreme(&numbers(scope, arguments)?, f64::max)))
}

fn extreme(numbers: &[f64], better: fn(f64, f64) -> f64) -> f64 {
    if numbers.iter().any(|number| number.is_nan()) {
        return f64::NAN;
    }
    numbers.iter().copied().reduce(better).unwrap_or(f64::NAN)
}

fn numbers(scope: &Scope<'_>, arguments: &[Tree]) -> Result<Vec<f64>, EvaluationError> {
    let mut numbers = Vec::new();
    for tree in arguments {
        match evaluate(tree, scope)? {
            Value::Nodes(nodes) => numbers.extend(nodes.iter().map(|node| scope.text_number(&scope.host.text(*node)))),
            other => numbers.push(other.number(scope)),
        }
    }
    Ok(numbers)
}

/// At least 0 and less than 1.
pub(super) fn random(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    Ok(Value::Number((scope.host.random() >> 11) as f64 / (1u64 << 53) as f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;

    #[test]
    fn arithmetic_functions() {
        check(&[
            ("number('12.50')", "12.5"),
            ("number()", "2"),
            ("number('2026-11-23')", "20780"),
            ("number('x')", ""),
            ("int(-2.7)", "-2"),
            ("int(2.7)", "2"),
            ("round(2.5)", "3"),
            ("round(-2.5)", "-3"),
            ("round(66.666, 1)", "66.7"),
            ("round(1234, -2)", "1200"),
            ("floor(-1.5)", "-2"),
            ("ceiling(1.2)", "2"),
            ("abs(-3)", "3"),
            ("pow(2, 10)", "1024"),
            ("log10(1000)", "3"),
            ("exp10(2)", "100"),
            ("sqrt(81)", "9"),
            ("round(sin(pi() div 2), 6)", "1"),
            ("round(cos(0) + tan(0) + asin(0) + acos(1) + atan(0) + atan2(0, 1), 6)", "1"),
            ("round(log(exp(2)), 6)", "2"),
        ]);
    }

    #[test]
    fn sums_and_extremes() {
        check(&[
            ("sum(/data/x[. != ''])", "3"),
            ("sum(/data/x)", ""),
            ("sum(/data/none)", ""),
            ("min(/data/x[. != ''], 0.5)", "0.5"),
            ("max(3, 7, 5)", "7"),
            ("max(3, 'x')", ""),
            ("random() < 1", "true"),
        ]);
    }
}
