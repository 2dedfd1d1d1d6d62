//! Dates and times, in the clock and the offset of the host.

use super::super::evaluate::{EvaluationError, Scope, evaluate};
use super::super::moment::{DAY_MS, Moment, parse_time};
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

pub(super) fn today(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    let now = scope.host.now();
    let shift = i64::from(now.offset_minutes) * 60_000;
    let midnight = (now.milliseconds + shift).div_euclid(DAY_MS) * DAY_MS - shift;
    Ok(Value::Moment(Moment { milliseconds: midnight, offset_minutes: now.offset_minutes }))
}

pub(super) fn now(scope: &Scope<'_>, _: &[Tree]) -> Outcome {
    let now = scope.host.now();
    Ok(Value::Moment(Moment { milliseconds: now.milliseconds, offset_minutes: now.offset_minutes }))
}

/// A date of a text, or of days since 1970.
pub(super) fn date(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let value = evaluate(argument(arguments, 0, "date")?, scope)?;
    if let Value::Nodes(_) | Value::Text(_) = value
        && value.text(scope).is_empty()
    {
        return Ok(Value::Text(String::new()));
    }
    Ok(match moment(&value, scope) {
        Some(moment) => Value::Moment(moment),
        None => Value::Text("Invalid Date".to_owned()),
    })
}

fn moment(value: &Value, scope: &Scope<'_>) -> Option<Moment> {
    let offset_minutes = scope.host.now().offset_minutes;
    match value {
        Value::Moment(moment) => Some(*moment),
        Value::Boolean(_) => None,
        Value::Number(days) => of_days(*days, offset_minutes),
        Value::Nodes(_) | Value::Text(_) => {
            let text = value.text(scope);
            Moment::parse(&text, offset_minutes).or_else(|| Moment::parse(&padded(&text)?, offset_minutes))
        }
    }
}

/// The largest number of days that a date may have: the year 9999.
const DAYS_MAX: f64 = 2_932_896.0;

fn of_days(days: f64, offset_minutes: i32) -> Option<Moment> {
    if !(-DAYS_MAX..=DAYS_MAX).contains(&days) {
        return None;
    }
    let milliseconds = (days * DAY_MS as f64).round() as i64 - i64::from(offset_minutes) * 60_000;
    Some(Moment { milliseconds, offset_minutes })
}

/// `2026-1-5` as `2026-01-05`.
fn padded(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, format!("T{time}")),
        None => (text, String::new()),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    Some(format!("{year}-{month:0>2}-{day:0>2}{time}"))
}

/// Days and the part of the day since 1970, UTC.
pub(super) fn decimal_date_time(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let value = evaluate(argument(arguments, 0, "decimal-date-time")?, scope)?;
    let days = moment(&value, scope).map_or(f64::NAN, |moment| moment.milliseconds as f64 / DAY_MS as f64);
    Ok(Value::Number(days))
}

/// The part of the day, in local time.
pub(super) fn decimal_time(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = scope.text(argument(arguments, 0, "decimal-time")?)?;
    let part = match parse_time(&text) {
        Some((milliseconds, offset)) => {
            let shift = offset.map_or(0, |offset| i64::from(scope.host.now().offset_minutes - offset) * 60_000);
            (milliseconds + shift).rem_euclid(DAY_MS) as f64 / DAY_MS as f64
        }
        None => f64::NAN,
    };
    Ok(Value::Number(part))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

pub(super) fn format_date_time(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let value = evaluate(argument(arguments, 0, "format-date-time")?, scope)?;
    let format = scope.text(argument(arguments, 1, "format-date-time")?)?;
    let Some(moment) = moment(&value, scope) else { return Ok(Value::Text(String::new())) };
    let parts = moment.parts();
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match rest.next() {
            Some('Y') => out.push_str(&format!("{:04}", parts.year)),
            Some('y') => out.push_str(&format!("{:02}", parts.year.rem_euclid(100))),
            Some('m') => out.push_str(&format!("{:02}", parts.month)),
            Some('n') => out.push_str(&parts.month.to_string()),
            Some('b') => out.push_str(MONTHS.get(parts.month.wrapping_sub(1) as usize).unwrap_or(&"")),
            Some('d') => out.push_str(&format!("{:02}", parts.day)),
            Some('e') => out.push_str(&parts.day.to_string()),
            Some('a') => out.push_str(WEEKDAYS.get(parts.weekday as usize).unwrap_or(&"")),
            Some('H') => out.push_str(&format!("{:02}", parts.hour)),
            Some('h') => out.push_str(&parts.hour.to_string()),
            Some('M') => out.push_str(&format!("{:02}", parts.minute)),
            Some('S') => out.push_str(&format!("{:02}", parts.second)),
            Some('3') => out.push_str(&format!("{:03}", parts.millisecond)),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    Ok(Value::Text(out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;

    #[test]
    fn the_clock() {
        check(&[
            ("today()", "2026-11-23"),
            ("now()", "2026-11-23T10:00:00.000+00:00"),
            ("today() = '2026-11-23'", "true"),
            ("number(today())", "20780"),
            ("decimal-date-time('2026-11-23T12:00:00Z')", "20780.5"),
        ]);
    }

    #[test]
    fn dates_from_texts_and_numbers() {
        check(&[
            ("date('2026-11-23')", "2026-11-23"),
            ("date('2026-1-5')", "2026-01-05"),
            ("date(20780)", "2026-11-23"),
            ("date('')", ""),
            ("date('soon')", "Invalid Date"),
            ("date('2026-11-23') + 1", "20781"),
            ("date(date('2026-11-23') + 1)", "2026-11-24"),
            ("decimal-time('06:00:00.000')", "0.25"),
            ("decimal-time('noon')", ""),
            ("int((decimal-date-time(today()) - decimal-date-time('2000-11-24')) div 365.2425)", "25"),
        ]);
    }

    #[test]
    fn formats() {
        check(&[
            ("format-date('2026-11-03', '%Y%m%d %y %n %e %b %a')", "20261103 26 11 3 Nov Tue"),
            ("format-date-time('2026-11-23T09:05:07.080Z', '%H:%M:%S.%3 %h')", "09:05:07.080 9"),
            ("format-date('', '%Y')", ""),
            ("format-date('x', '%Y')", ""),
        ]);
    }
}
