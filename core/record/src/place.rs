//! Paths in a record: how a question's place is written in the document and how people write it.
//!
//! A *path* is the place below the root with instance ids: `member[0b7e…]/m_name`, `instalment[1]/decision`. The document's
//! keys are paths relative to the map that holds them. An instance whose id is an ordinal belongs to a counted repeat and has
//! no map of its own; any other has one, under the key `member[0b7e…]`. A member of a set has the key `needs{food}`.
//! A *reference* is what people read: `/data/` and the path.

use std::borrow::Cow;

/// Deepest nesting of repeats.
pub const MAX_DEPTH: usize = 32;
/// Longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// What a key of the answers' map means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// `#`: the order key of an instance.
    Order,
    /// `-`: the removal mark of an instance.
    Removed,
    /// `needs{food}`.
    Member {
        /// The question's path.
        path: &'a str,
        /// The choice.
        choice: &'a str,
    },
    /// `member[0b7e…]`: holds a map.
    Instance,
    /// Anything else: a register.
    Register,
}

/// Order key of an instance.
pub const ORDER: &str = "#";
/// Removal mark of an instance.
pub const REMOVED: &str = "-";

impl<'a> Key<'a> {
    /// Reads a key.
    pub fn of(key: &'a str) -> Self {
        match key {
            ORDER => return Self::Order,
            REMOVED => return Self::Removed,
            _ => {}
        }
        if let Some(inner) = key.strip_suffix('}')
            && let Some((path, choice)) = inner.split_once('{')
        {
            return Self::Member { path, choice };
        }
        if key.ends_with(']') { Self::Instance } else { Self::Register }
    }
}

/// Whether an instance's id is the ordinal of a counted repeat.
pub fn is_ordinal(id: &str) -> bool {
    !id.is_empty() && id.len() <= 9 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Joins a map's path and a key in it.
pub fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}/{key}") }
}

/// The path of the innermost instance that has a map of its own, and the key in that map.
pub fn container(path: &str) -> (&str, &str) {
    let mut end = 0;
    let mut open = None;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'[' => open = Some(at),
            b']' => {
                let id = open.and_then(|open| path.get(open + 1..at)).unwrap_or("");
                if !is_ordinal(id) && at + 1 < path.len() {
                    end = at + 1;
                }
            }
            b'{' => break,
            _ => {}
        }
    }
    if end == 0 { ("", path) } else { (path.get(..end).unwrap_or(""), path.get(end + 1..).unwrap_or("")) }
}

/// Steps of a path: every (repeat, id) on the way, and the rest below the last.
pub fn steps(path: &str) -> (Vec<(&str, &str)>, &str) {
    let mut found = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest.get(open..).and_then(|tail| tail.find(']')).map(|close| open + close) else { break };
        found.push((rest.get(..open).unwrap_or(""), rest.get(open + 1..close).unwrap_or("")));
        rest = rest.get(close + 1..).unwrap_or("");
        rest = rest.strip_prefix('/').unwrap_or(rest);
        if found.len() > MAX_DEPTH {
            break;
        }
    }
    (found, rest)
}

/// The path without instance ids: the form's own path below the root.
pub fn form_path(path: &str) -> Cow<'_, str> {
    if !path.contains(['[', ']']) {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            other if !inside => text.push(other),
            _ => {}
        }
    }
    Cow::Owned(text)
}

/// The path of the innermost instance around a path (of a question or an instance below it); empty at the root.
pub fn instance_of(path: &str) -> &str {
    path.rfind(']').map_or("", |at| path.get(..=at).unwrap_or(""))
}

/// What people read: `/data/member[ID]/m_name`.
pub fn reference(root: &str, path: &str) -> String {
    format!("/{root}/{path}")
}

/// The path in a reference, whatever the root is called.
pub fn of_reference(reference: &str) -> &str {
    reference.strip_prefix('/').and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_at_the_instances_that_have_maps() {
        assert_eq!(container("visit/team"), ("", "visit/team"));
        assert_eq!(container("member[ab-1]/m_name"), ("member[ab-1]", "m_name"));
        assert_eq!(container("member[ab-1]/child[cd-2]/x/y"), ("member[ab-1]/child[cd-2]", "x/y"));
        assert_eq!(container("instalment[1]/decision"), ("", "instalment[1]/decision"));
        assert_eq!(container("member[ab-1]/day[2]/present"), ("member[ab-1]", "day[2]/present"));
        assert_eq!(container("member[ab-1]"), ("", "member[ab-1]"));
        assert_eq!(container("member[ab-1]/child[cd-2]"), ("member[ab-1]", "child[cd-2]"));
    }

    #[test]
    fn steps_and_form_paths_leave_the_instances_behind() {
        assert_eq!(steps("visit/member[ab]/day[2]/present"), (vec![("visit/member", "ab"), ("day", "2")], "present"));
        assert_eq!(form_path("visit/member[ab]/day[2]/present"), "visit/member/day/present");
        assert_eq!(instance_of("member[ab]/m_name"), "member[ab]");
        assert_eq!(of_reference("/data/member[ab]/m_name"), "member[ab]/m_name");
    }

    #[test]
    fn keys_say_what_they_hold() {
        assert_eq!(Key::of("needs{food}"), Key::Member { path: "needs", choice: "food" });
        assert_eq!(Key::of("member[ab]"), Key::Instance);
        assert_eq!(Key::of("instalment[1]/decision"), Key::Register);
        assert_eq!(Key::of("#"), Key::Order);
    }
}
