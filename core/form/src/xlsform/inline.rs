//! Expressions that stand in words as they are: `Your village: instance('villages')/root/item[name = ${village}]/label`.

use std::ops::Range;

/// Where a text has look-ups in a list: `instance('…')`, a path, and predicates. Outside of a predicate white space ends one, as in
/// pyxform.
pub fn lookups(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("instance(")).map(|at| from + at) {
        let after = start + "instance(".len();
        let inside_word =
            text.get(..start).is_some_and(|before| before.ends_with(|last: char| last.is_alphanumeric() || last == '-'));
        match end(text, after).filter(|_| !inside_word) {
            Some(end) => {
                found.push(start..end);
                from = end;
            }
            None => from = after,
        }
    }
    found
}

/// The end of a look-up whose `instance(` ends at `from`; none where no quoted name and no path follow.
fn end(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let named = rest.trim_start();
    let quote = named.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let (_, after) = named.get(1..)?.split_once(quote)?;
    let path = after.trim_start().strip_prefix(')')?.trim_start();
    if !path.starts_with('/') {
        return None;
    }
    let begin = text.len() - path.len();
    let (mut depth, mut quoted) = (0_usize, None);
    for (at, letter) in path.char_indices() {
        match (quoted, letter) {
            (Some(quote), letter) if quote == letter => quoted = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quoted = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth > 0 => depth -= 1,
            (None, letter) if depth == 0 && (letter.is_whitespace() || matches!(letter, '<' | '\'' | '"')) => {
                return Some(begin + at);
            }
            _ => {}
        }
    }
    (depth == 0).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::lookups;

    #[test]
    fn a_lookup_ends_with_its_path() {
        for (text, expected) in [
            ("none here", &[][..]),
            ("It is instance('a')/root/item[name = ${b}]/label today", &["instance('a')/root/item[name = ${b}]/label"]),
            ("instance(\"a\")/root/item[x = ']']/y", &["instance(\"a\")/root/item[x = ']']/y"]),
            (
                "instance('a')/r[n = instance('b')/r[m = 1]/k]/l and instance('c')/x",
                &["instance('a')/r[n = instance('b')/r[m = 1]/k]/l", "instance('c')/x"],
            ),
            ("an instance(of something)", &[]),
            ("instance('a') alone, and instance('a')/r[open", &[]),
        ] {
            let found: Vec<&str> = lookups(text).into_iter().filter_map(|range| text.get(range)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
