//! Tells a default that is an expression from one that is a value, as pyxform does: by its operators, calls and references.

/// Whether a default is to be evaluated. `dashes`: the type's values have `-` in them (dates, places).
pub fn is_dynamic(text: &str, dashes: bool) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let letter = |at: usize| letters.get(at).copied().unwrap_or('\0');
    let mut at = 0;
    while at < letters.len() {
        match letter(at) {
            quote @ ('\'' | '"') => match letters.iter().skip(at + 1).position(|other| *other == quote) {
                Some(length) => at += length + 2,
                None => at += 1,
            },
            '$' if letter(at + 1) == '{' => return true,
            digit if digit.is_ascii_digit() || digit == '-' && letter(at + 1).is_ascii_digit() => at = after_number(&letters, at),
            '-' if dashes => return false,
            '*' | '+' | '-' | '|' => return true,
            start if start.is_alphabetic() || start == '_' => {
                let end = letters
                    .iter()
                    .enumerate()
                    .skip(at)
                    .find(|(_, other)| !(other.is_alphanumeric() || matches!(other, '_' | '-' | '.' | ':')))
                    .map_or(letters.len(), |(end, _)| end);
                let word: String = letters.get(at..end).unwrap_or_default().iter().collect();
                let is_operator = matches!(word.as_str(), "mod" | "div") && at > 0 && letter(at - 1) == ' ' && letter(end) == ' ';
                if letter(end) == '(' || is_operator {
                    return true;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    false
}

/// The end of a number, a date (`2026-11-23`) or a time (`10:30:00+03:30`).
fn after_number(letters: &[char], from: usize) -> usize {
    let rest: String = letters.get(from..).unwrap_or_default().iter().take(40).collect();
    let shape: String = rest.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
    let unsigned = shape.strip_prefix('-').unwrap_or(&shape);
    let sign = shape.len() - unsigned.len();
    let mut length = 0;
    if unsigned.starts_with("9999-99-99") {
        length = 10;
        if unsigned.get(10..).is_some_and(|rest| rest.starts_with("T99:99:99")) {
            length = 19;
        }
    } else if unsigned.starts_with("99:99:99") {
        length = 8;
    }
    if length >= 8 && length != 10 {
        let rest = unsigned.get(length..).unwrap_or_default();
        let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + rest.chars().take_while(|letter| *letter == '9').count());
        length += fraction;
        let rest = unsigned.get(length..).unwrap_or_default();
        if rest.starts_with("+99:99") || rest.starts_with("-99:99") {
            length += 6;
        }
    }
    if length == 0 {
        length = unsigned.chars().take_while(|letter| matches!(letter, '9' | '.')).count();
    }
    from + sign + length.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::is_dynamic;

    #[test]
    fn defaults_are_values_unless_they_compute() {
        for text in [
            "yes",
            "foo-bar",
            "12",
            "-5",
            "2026-11-23",
            "10:30:00",
            "10:30:00.000+03:30",
            "N/A",
            "jr://images/a.jpg",
            "35.1 51.2 0 0",
            "two words",
            "'a + b'",
            "a_1 b_2",
        ] {
            assert!(!is_dynamic(text, false), "{text}");
        }
        for text in [
            "today()",
            "${a}",
            "1 + 1",
            "a div b",
            "once(uuid())",
            "../x | ../y",
            "today() - 3",
            "if(true(), 1, 2)",
            "now()",
            "1 - 1",
        ] {
            assert!(is_dynamic(text, false), "{text}");
        }
        assert!(is_dynamic("today() - 3", true));
        assert!(!is_dynamic("12 - 11", true));
    }
}
