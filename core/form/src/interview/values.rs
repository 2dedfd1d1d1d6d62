//! What a person types, as a question's type holds it: digits of Persian and Arabic become Latin where a number or a date is
//! asked, numbers are written as ODK writes them, and what a type cannot hold is refused.

use crate::model::DataType;
use crate::xpath::moment::{self, Moment};
use crate::xpath::value::{number_text, parse_number};

/// Longest text of one answer, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The text form of a typed value; otherwise what the type expects.
pub(crate) fn typed(data_type: DataType, text: &str, offset_minutes: i32) -> Result<String, &'static str> {
    if text.len() > VALUE_BYTES_MAX {
        return Err("a shorter text");
    }
    if text.is_empty() {
        return Ok(String::new());
    }
    match data_type {
        DataType::Int => {
            let number = number(text).ok_or("a whole number")?;
            // Only what a double holds exactly is a whole number that survives a calculation.
            if number.fract() != 0.0 || number.abs() > 9_007_199_254_740_992.0 {
                return Err("a whole number");
            }
            Ok(number_text(number))
        }
        DataType::Decimal => Ok(number_text(number(text).ok_or("a number")?)),
        DataType::Date => {
            let text = latin_digits(text);
            let date = text.trim().split('T').next().unwrap_or("");
            moment::parse_date(date).ok_or("a date such as 2026-11-23")?;
            Ok(date.to_owned())
        }
        DataType::Time => {
            let text = latin_digits(text);
            moment::parse_time(text.trim()).ok_or("a time such as 14:30")?;
            Ok(text.trim().to_owned())
        }
        DataType::DateTime => {
            let text = latin_digits(text);
            Moment::parse(text.trim(), offset_minutes).ok_or("a date and time such as 2026-11-23T14:30:00Z")?;
            Ok(text.trim().to_owned())
        }
        DataType::Boolean => match text.trim() {
            "true" | "1" => Ok("true".to_owned()),
            "false" | "0" => Ok("false".to_owned()),
            _ => Err("true or false"),
        },
        DataType::GeoPoint => point(text).ok_or("latitude, longitude and, if known, altitude and accuracy"),
        DataType::GeoTrace | DataType::GeoShape => {
            let points: Option<Vec<String>> =
                text.trim().trim_end_matches(';').split(';').map(|part| point(part.trim())).collect();
            points.map(|points| points.join(";")).ok_or("points, separated by semicolons")
        }
        DataType::SelectOne => Ok(text.trim().to_owned()),
        DataType::SelectMultiple | DataType::Rank => {
            let mut seen = Vec::new();
            for choice in text.split_whitespace() {
                if !seen.contains(&choice) {
                    seen.push(choice);
                }
            }
            Ok(seen.join(" "))
        }
        DataType::String | DataType::Binary | DataType::Barcode | DataType::Intent => Ok(text.to_owned()),
    }
}

/// A calculated value as its type holds it; as in ODK, what the type cannot hold is blank, and so is what is longer than any answer:
/// each of a row of calculations may double the one before.
pub(super) fn calculated(data_type: DataType, text: String) -> String {
    if text.len() > VALUE_BYTES_MAX {
        return String::new();
    }
    match data_type {
        DataType::Decimal => number_of(&text).map(number_text).unwrap_or_default(),
        DataType::Int => {
            let number = number_of(&text).map(f64::trunc).filter(|number| (INT_LEAST..=INT_MOST).contains(number));
            number.map(number_text).unwrap_or_default()
        }
        DataType::Date => {
            let date = text.split('T').next().unwrap_or("");
            moment::parse_date(date).map(|_| date.to_owned()).unwrap_or_default()
        }
        _ => text,
    }
}

/// Bounds of an XML Schema `int`.
const INT_LEAST: f64 = -2_147_483_648.0;
const INT_MOST: f64 = 2_147_483_647.0;

fn number_of(text: &str) -> Option<f64> {
    let number = parse_number(text);
    number.is_finite().then_some(number)
}

/// A kept value as ODK writes it: what is bound as decimal carries a fraction.
pub(super) fn shown(data_type: DataType, value: &str) -> String {
    match data_type {
        DataType::Decimal => value.parse::<f64>().map_or_else(|_| value.to_owned(), decimal),
        _ => value.to_owned(),
    }
}

fn decimal(number: f64) -> String {
    let text = number_text(number);
    if text.contains('.') || text.is_empty() { text } else { format!("{text}.0") }
}

/// Persian and Arabic-Indic digits and their decimal separator, as Latin ones.
pub(super) fn latin_digits(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '۰'..='۹' => char::from_digit(character as u32 - '۰' as u32, 10).unwrap_or(character),
            '٠'..='٩' => char::from_digit(character as u32 - '٠' as u32, 10).unwrap_or(character),
            '٫' => '.',
            other => other,
        })
        .collect()
}

fn number(text: &str) -> Option<f64> {
    let text = latin_digits(text).replace('٬', "");
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f64 = if plain { text.parse().ok()? } else { return None };
    number.is_finite().then_some(number)
}

fn point(text: &str) -> Option<String> {
    let text = latin_digits(text);
    let numbers: Vec<f64> = text.split_whitespace().map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let in_range = numbers.first()?.abs() <= 90.0 && numbers.get(1)?.abs() <= 180.0 && numbers.len() <= 4;
    in_range.then(|| numbers.into_iter().map(decimal).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persian_and_arabic_digits_are_numbers_and_dates() {
        assert_eq!(typed(DataType::Int, "۱۲", 0), Ok("12".to_owned()));
        assert_eq!(typed(DataType::Decimal, "٧", 0), Ok("7".to_owned()));
        assert_eq!(shown(DataType::Decimal, "7"), "7.0");
        assert_eq!(typed(DataType::Decimal, "۸۵۰٫۵", 0), Ok("850.5".to_owned()));
        assert_eq!(typed(DataType::Date, "۲۰۲۶-۱۱-۲۳", 0), Ok("2026-11-23".to_owned()));
        assert_eq!(typed(DataType::String, "۰۹۱۵", 0), Ok("۰۹۱۵".to_owned()));
    }

    #[test]
    fn what_a_type_cannot_hold_is_refused() {
        assert!(typed(DataType::Int, "1.5", 0).is_err());
        assert!(typed(DataType::Int, "many", 0).is_err());
        assert!(typed(DataType::Date, "2026-02-30", 0).is_err());
        assert!(typed(DataType::GeoPoint, "95 10", 0).is_err());
    }
}
