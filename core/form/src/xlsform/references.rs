//! Turns `${name}` into the path that pyxform writes: absolute, or relative where the reference and its target are in the
//! same repeat (`../m_name`), from `current()` inside a predicate over a list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::inline;
use crate::model::{Node, NodeId, NodeKind};

/// Id of the instance that holds the record saved last.
pub const LAST_SAVED: &str = "__last-saved";

/// All names of a form, for resolving references.
pub struct Names<'nodes> {
    nodes: &'nodes [Node],
    by_name: BTreeMap<&'nodes str, Vec<NodeId>>,
    /// Questions that are calculated or triggered, and not shown.
    computed: BTreeSet<NodeId>,
}

/// Where an expression stands: its nearest container and how many steps up that is.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub container: Option<NodeId>,
    pub steps: usize,
}

/// How a path is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// The whole text is a predicate: relative paths start from `current()`.
    pub predicate: bool,
    /// `select_one ${question}`: the path goes through the repeat, so that its instances can be filtered.
    pub through_repeat: bool,
}

/// Why a reference cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceFault {
    /// `${` without a name and `}`.
    Malformed(String),
    /// Nothing has this name; the most similar one.
    Unknown { name: String, similar: Option<String> },
    /// Several have this name.
    Ambiguous(String),
}

/// A piece of a text with references.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'text> {
    Plain(&'text str),
    Reference { name: &'text str, last_saved: bool, in_predicate: bool, repeat_argument: Option<usize> },
    Malformed(&'text str),
}

impl<'nodes> Names<'nodes> {
    /// Names of everything but the root and its `meta`, of which only the instance's id may be referred to.
    pub fn new(nodes: &'nodes [Node]) -> Self {
        let mut by_name: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
        let meta = nodes.iter().position(|node| node.parent == Some(0) && node.name == "meta");
        for (id, node) in nodes.iter().enumerate().skip(1) {
            if Some(id) != meta && (node.parent != meta || meta.is_none() || node.name == "instanceID") {
                by_name.entry(&node.name).or_default().push(id);
            }
        }
        Self { nodes, by_name, computed: BTreeSet::new() }
    }

    /// As it is, knowing which questions are calculated or triggered and not shown.
    pub fn with_computed(self, computed: BTreeSet<NodeId>) -> Self {
        Self { computed, ..self }
    }

    /// The one node of a name.
    pub fn find(&self, name: &str) -> Result<NodeId, ReferenceFault> {
        match self.by_name.get(name).map(Vec::as_slice) {
            Some([id]) => Ok(*id),
            Some(_) => Err(ReferenceFault::Ambiguous(name.to_owned())),
            None => Err(ReferenceFault::Unknown { name: name.to_owned(), similar: similar(name, self.by_name.keys().copied()) }),
        }
    }

    /// All questions of a name.
    pub fn questions(&self, name: &str) -> Vec<NodeId> {
        let is_question = |id: &NodeId| self.nodes.get(*id).is_some_and(|node| node.kind == NodeKind::Value);
        self.by_name.get(name).into_iter().flatten().copied().filter(is_question).collect()
    }

    /// Whether a person is shown the node.
    pub fn is_asked(&self, id: NodeId) -> bool {
        self.nodes.get(id).is_some_and(|node| node.kind == NodeKind::Value && node.control.is_some())
    }

    /// The name of a node.
    pub fn name(&self, id: NodeId) -> &str {
        self.nodes.get(id).map(|node| node.name.as_str()).unwrap_or_default()
    }

    /// Whether a node is not shown because it is calculated.
    pub fn is_computed(&self, id: NodeId) -> bool {
        self.computed.contains(&id)
    }

    /// Where the expressions of a node stand.
    pub fn source(&self, id: NodeId) -> Source {
        Source { container: self.nodes.get(id).and_then(|node| node.parent), steps: 1 }
    }

    /// An expression with every reference replaced, and whether it reads the record saved last.
    pub fn resolve(&self, text: &str, source: Source, style: Style) -> Result<(String, bool), Vec<ReferenceFault>> {
        let mut resolved = String::with_capacity(text.len());
        let mut faults = Vec::new();
        let mut reads_last_saved = false;
        for piece in pieces(text) {
            match piece {
                Piece::Plain(plain) => resolved.push_str(plain),
                Piece::Malformed(text) => faults.push(ReferenceFault::Malformed(text.to_owned())),
                Piece::Reference { name, last_saved, in_predicate, repeat_argument } => match self.find(name) {
                    Err(fault) => faults.push(fault),
                    Ok(target) if last_saved => {
                        reads_last_saved = true;
                        let _ = write!(resolved, " instance('{LAST_SAVED}'){} ", self.path(target));
                    }
                    Ok(target) => {
                        // The node and its repeats are named from the root; only the indexes stand where the expression does.
                        let absolute = matches!(repeat_argument, Some(0 | 1 | 3 | 5));
                        let from_current = style.predicate || in_predicate;
                        let relative = if absolute { None } else { self.relative(source, target, style.through_repeat) };
                        let _ = match relative {
                            Some(path) if from_current => write!(resolved, " current()/{path} "),
                            Some(path) => write!(resolved, " {path} "),
                            None => write!(resolved, " {} ", self.path(target)),
                        };
                    }
                },
            }
        }
        if faults.is_empty() { Ok((resolved, reads_last_saved)) } else { Err(faults) }
    }

    /// A label in pieces: words, and the expressions whose values go between them.
    pub fn label_parts(&self, text: &str, source: Source) -> Result<Vec<(bool, String)>, Vec<ReferenceFault>> {
        let mut parts: Vec<(bool, String)> = Vec::new();
        let mut faults = Vec::new();
        let mut from = 0;
        for lookup in inline::lookups(text) {
            let before = self.words_and_references(text.get(from..lookup.start).unwrap_or_default(), source);
            before.map_or_else(|found| faults.extend(found), |found| parts.extend(found));
            from = lookup.end;
            match self.resolve(text.get(lookup).unwrap_or_default(), source, Style::default()) {
                Ok((expression, _)) => parts.push((true, expression)),
                Err(found) => faults.extend(found),
            }
        }
        let rest = self.words_and_references(text.get(from..).unwrap_or_default(), source);
        rest.map_or_else(|found| faults.extend(found), |found| parts.extend(found));
        if faults.is_empty() { Ok(parts) } else { Err(faults) }
    }

    fn words_and_references(&self, text: &str, source: Source) -> Result<Vec<(bool, String)>, Vec<ReferenceFault>> {
        let mut parts: Vec<(bool, String)> = Vec::new();
        let mut faults = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Plain(plain) => parts.push((false, plain.to_owned())),
                Piece::Malformed(text) => faults.push(ReferenceFault::Malformed(text.to_owned())),
                Piece::Reference { name, last_saved, .. } => {
                    let reference = if last_saved { format!("${{last-saved#{name}}}") } else { format!("${{{name}}}") };
                    match self.resolve(&reference, source, Style::default()) {
                        Ok((path, _)) => parts.push((true, path)),
                        Err(found) => faults.extend(found),
                    }
                }
            }
        }
        if faults.is_empty() { Ok(parts) } else { Err(faults) }
    }

    /// Whether a text is one reference and nothing else.
    pub fn is_reference(text: &str) -> bool {
        matches!(pieces(text).as_slice(), [Piece::Reference { .. }])
    }

    /// Names that a text refers to, found or not.
    pub fn mentioned(text: &str) -> Vec<String> {
        pieces(text)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Reference { name, last_saved: false, .. } => Some(name.to_owned()),
                _ => None,
            })
            .collect()
    }

    fn path(&self, id: NodeId) -> &str {
        self.nodes.get(id).map(|node| node.path.as_str()).unwrap_or_default()
    }

    fn ancestors(&self, from: Option<NodeId>) -> Vec<NodeId> {
        let mut chain = Vec::new();
        let mut next = from;
        while let Some(id) = next {
            chain.push(id);
            next = self.nodes.get(id).and_then(|node| node.parent);
        }
        chain
    }

    fn is_repeat(&self, id: NodeId) -> bool {
        self.nodes.get(id).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. }))
    }

    fn nearest_repeat(&self, from: Option<NodeId>) -> Option<NodeId> {
        self.ancestors(from).into_iter().find(|id| self.is_repeat(*id))
    }

    /// `../../group/name`, where both are in instances of one repeat.
    fn relative(&self, source: Source, target: NodeId, through_repeat: bool) -> Option<String> {
        let target_container = self.nodes.get(target)?.parent;
        let above_source = self.ancestors(source.container);
        let above_target = self.ancestors(target_container);
        let (repeat_steps, repeat) = above_source
            .iter()
            .enumerate()
            .find(|(_, id)| self.is_repeat(**id) && above_target.contains(id))
            .map(|(at, id)| (at, *id))?;
        let (mut up, mut base) =
            above_source.iter().enumerate().find(|(_, id)| above_target.contains(id)).map(|(at, id)| (at, *id))?;
        if through_repeat {
            let repeat_container = self.nodes.get(repeat)?.parent;
            let outermost = self.nearest_repeat(repeat_container).is_none();
            let target_in_it = self.nearest_repeat(target_container) == Some(repeat);
            if target_in_it && (outermost || self.nearest_repeat(source.container) != Some(repeat)) {
                up = repeat_steps + 1;
                base = repeat_container?;
            }
        }
        let rest = self.path(target).strip_prefix(self.path(base))?;
        Some(format!("{}{rest}", vec![".."; up + source.steps].join("/")))
    }
}

/// The name most like a mistyped one, if any is near.
pub fn similar<'names>(name: &str, names: impl Iterator<Item = &'names str>) -> Option<String> {
    let bound = 1 + name.chars().count() / 4;
    names
        .map(|other| (distance(name, other, bound), other))
        .filter(|(far, _)| *far <= bound)
        .min()
        .map(|(_, other)| other.to_owned())
}

/// Letters to add, drop or change, without regard to case.
pub fn distance(left: &str, right: &str, bound: usize) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    if left.len().abs_diff(right.len()) > bound {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let changed = row.get(j).copied().unwrap_or(usize::MAX) + usize::from(a != b);
            let dropped = row.get(j + 1).copied().unwrap_or(usize::MAX) + 1;
            let added = next.last().copied().unwrap_or(usize::MAX) + 1;
            next.push(changed.min(dropped).min(added));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Cuts a text at its references, knowing for each the brackets and calls that it stands in.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let over_lists = text.contains("instance(");
    let mut found = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    let mut quote: Option<u8> = None;
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if text.get(at..).is_some_and(|rest| rest.starts_with("${") && !rest.starts_with("${}")) {
            found.push(Piece::Plain(text.get(plain_from..at).unwrap_or_default()));
            let rest = text.get(at + 2..).unwrap_or_default();
            let (inner, length) = match rest.find('}') {
                Some(end) => (rest.get(..end), end + 3),
                None => (None, rest.len() + 2),
            };
            let whole = text.get(at..at + length).unwrap_or_default();
            found.push(match inner.map(parse_reference) {
                Some(Some((name, last_saved))) => Piece::Reference {
                    name,
                    last_saved,
                    in_predicate: over_lists && frames.iter().any(|frame| matches!(frame, Frame::Predicate)),
                    repeat_argument: frames.iter().rev().find_map(|frame| match frame {
                        Frame::Call { indexed_repeat: true, argument } => Some(*argument),
                        _ => None,
                    }),
                },
                _ => Piece::Malformed(whole),
            });
            at += length;
            plain_from = at;
            continue;
        }
        match (quote, *byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(*byte),
            (None, b'[') => frames.push(Frame::Predicate),
            (None, b'(') => {
                let indexed_repeat = text.get(..at).is_some_and(|before| before.trim_end().ends_with("indexed-repeat"));
                frames.push(Frame::Call { indexed_repeat, argument: 0 });
            }
            (None, b']' | b')') => {
                frames.pop();
            }
            (None, b',') => {
                if let Some(Frame::Call { argument, .. }) = frames.last_mut() {
                    *argument += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found.push(Piece::Plain(text.get(plain_from..).unwrap_or_default()));
    found.retain(|piece| *piece != Piece::Plain(""));
    found
}

enum Frame {
    Predicate,
    Call { indexed_repeat: bool, argument: usize },
}

fn parse_reference(inner: &str) -> Option<(&str, bool)> {
    let (name, last_saved) = inner.strip_prefix("last-saved#").map_or((inner, false), |name| (name, true));
    is_name(name).then_some((name, last_saved))
}

/// A name of a question: an XML name without a colon.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(begins_name) && letters.all(|letter| begins_name(letter) || continues_name(letter))
}

/// A name of an element: that of a question, with a prefix and a colon before it or without.
pub fn is_element_name(name: &str) -> bool {
    name.split_once(':').map_or_else(|| is_name(name), |(prefix, local)| is_name(prefix) && is_name(local))
}

fn begins_name(letter: char) -> bool {
    matches!(letter,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

fn continues_name(letter: char) -> bool {
    matches!(letter, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::model::Bind;

    /// `/data` with `a`, group `g` (`b`), repeat `r` (`c`, group `h` (`d`, `e`), repeat `s` (`f`)).
    fn nodes() -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for (name, parent, repeat) in [
            ("data", None, false),
            ("a", Some(0), false),
            ("g", Some(0), false),
            ("b", Some(2), false),
            ("r", Some(0), true),
            ("c", Some(4), false),
            ("h", Some(4), false),
            ("d", Some(6), false),
            ("e", Some(6), false),
            ("s", Some(4), true),
            ("f", Some(9), false),
        ] {
            let above = parent.map_or(String::new(), |id: usize| nodes[id].path.clone());
            nodes.push(Node {
                name: name.to_owned(),
                path: format!("{above}/{name}"),
                parent,
                children: Vec::new(),
                kind: if repeat { NodeKind::Repeat { count: None } } else { NodeKind::Group },
                bind: Bind::default(),
                control: None,
                default: String::new(),
                actions: Vec::new(),
                row: 0,
            });
        }
        nodes
    }

    fn resolve(context: &str, text: &str, style: Style) -> String {
        let nodes = nodes();
        let names = Names::new(&nodes);
        let source = names.source(names.find(context).unwrap());
        names.resolve(text, source, style).unwrap().0
    }

    #[test]
    fn references_become_the_paths_that_pyxform_writes() {
        let plain = Style::default();
        assert_eq!(resolve("a", "${b} > 1", plain), " /data/g/b  > 1");
        assert_eq!(resolve("d", "${e}", plain), " ../e ");
        assert_eq!(resolve("d", "${c} + ${a}", plain), " ../../c  +  /data/a ");
        assert_eq!(resolve("c", "${d}", plain), " ../h/d ");
        assert_eq!(resolve("f", "${d}", plain), " ../../h/d ");
        assert_eq!(resolve("c", "sum(${f})", plain), "sum( ../s/f )");
        assert_eq!(resolve("c", "count(${r})", plain), "count( /data/r )");
        assert_eq!(resolve("c", "count(${s})", plain), "count( ../s )");
        assert_eq!(resolve("r", "${c} = 1", plain), " /data/r/c  = 1");
        assert_eq!(resolve("s", "${c} = 1", plain), " ../c  = 1");
        assert_eq!(resolve("a", "sum(${c})", plain), "sum( /data/r/c )");
    }

    #[test]
    fn predicates_over_lists_start_from_current() {
        let plain = Style::default();
        assert_eq!(
            resolve("d", "instance('p')/root/item[name = ${e}]/age", plain),
            "instance('p')/root/item[name =  current()/../e ]/age"
        );
        assert_eq!(
            resolve("d", "instance('p')/root/item[x[1] and name = ${e}]/age + ${e}", plain),
            "instance('p')/root/item[x[1] and name =  current()/../e ]/age +  ../e "
        );
        assert_eq!(resolve("d", "/data/r[c = ${e}]", plain), "/data/r[c =  ../e ]");
        assert_eq!(
            resolve("d", "x = ${e} or y = ${a}", Style { predicate: true, ..plain }),
            "x =  current()/../e  or y =  /data/a "
        );
    }

    #[test]
    fn indexed_repeat_names_its_nodes_from_the_root() {
        let plain = Style::default();
        assert_eq!(
            resolve("d", "indexed-repeat(${c}, ${r}, ${e} - 1) + ${c}", plain),
            "indexed-repeat( /data/r/c ,  /data/r ,  ../e  - 1) +  ../../c "
        );
    }

    #[test]
    fn selects_over_a_repeat_go_through_it() {
        let through = Style { through_repeat: true, ..Style::default() };
        assert_eq!(resolve("a", "${c}", through), " /data/r/c ");
        assert_eq!(resolve("d", "${c}", through), " ../../../r/c ");
    }

    #[test]
    fn last_saved_is_another_instance() {
        assert_eq!(resolve("d", "${last-saved#e}", Style::default()), " instance('__last-saved')/data/r/h/e ");
    }

    #[test]
    fn bad_references_are_named() {
        let nodes = nodes();
        let names = Names::new(&nodes);
        let source = names.source(1);
        assert_eq!(
            names.resolve("${aa} + ${ } + ${b", source, Style::default()).unwrap_err(),
            vec![
                ReferenceFault::Unknown { name: "aa".to_owned(), similar: Some("a".to_owned()) },
                ReferenceFault::Malformed("${ }".to_owned()),
                ReferenceFault::Malformed("${b".to_owned()),
            ]
        );
        assert_eq!(
            names.label_parts("Of ${a}!", source).unwrap(),
            vec![(false, "Of ".to_owned()), (true, " /data/a ".to_owned()), (false, "!".to_owned())]
        );
    }
}
