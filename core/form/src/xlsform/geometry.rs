//! The parameter `reference-geometry`: places that a map shows beside the question, from a list, a file, an entity list or a
//! repeat of this form.

use super::check::Lists;
use super::draft::{Draft, List};
use super::report::{Place, Report};
use crate::model::NodeKind;

const NAME: &str = "reference-geometry";

/// Finds what the parameters name. A repeat becomes its path.
pub fn check(draft: &mut Draft, column: &str, lists: &Lists, entity_lists: &[&str], report: &mut Report) {
    let files: Vec<String> = draft.pending.iter().filter_map(|pending| file_of(pending.list.as_ref())).collect();
    let repeats: Vec<(String, String)> = draft
        .nodes
        .iter()
        .filter(|node| matches!(node.kind, NodeKind::Repeat { .. }))
        .map(|node| (format!("${{{}}}", node.name.to_lowercase()), node.path.clone()))
        .collect();
    let Draft { nodes, pending, files: named, .. } = draft;
    for (node, pending) in nodes.iter_mut().zip(pending) {
        let Some(target) = node.control.as_mut().and_then(|control| control.parameters.get_mut(NAME)) else { continue };
        let is_list = lists.choices.contains_key(target) || entity_lists.contains(&target.as_str()) || files.contains(target);
        if is_list || named.iter().any(|(id, ..)| id == target) {
            continue;
        }
        if let Some((_, path)) = repeats.iter().find(|(reference, _)| reference == target) {
            target.clone_from(path);
            continue;
        }
        let message = format!("`{target}` is no list of places");
        let mend = "name a list, an entity list, a file without its extension, or `${repeat}`";
        report.fault(Place { sheet: "survey", row: pending.row, column }, message, mend);
    }
}

/// The file of a select, without its extension.
fn file_of(list: Option<&List>) -> Option<String> {
    match list? {
        List::File(file) => Some(file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem).to_owned()),
        _ => None,
    }
}
