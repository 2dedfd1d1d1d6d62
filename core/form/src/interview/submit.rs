//! The tree as the elements of a submission.

use super::complete::ENTITY_ID;
use super::settle::Engine;
use super::tree::ElementId;
use super::values::shown;
use crate::submission::SubmissionElement;

/// What can be submitted.
pub(crate) trait Submitting {
    /// The root element.
    fn submission(&self) -> SubmissionElement;
}

impl Submitting for Engine {
    fn submission(&self) -> SubmissionElement {
        let mut root = self.submitted(0).unwrap_or_default();
        let form = &self.plan.form;
        let mut attributes = vec![("id".to_owned(), form.id.clone())];
        if !form.version.is_empty() {
            attributes.push(("version".to_owned(), form.version.clone()));
        }
        attributes.append(&mut root.attributes);
        SubmissionElement { attributes, ..root }
    }
}

impl Engine {
    fn submitted(&self, id: ElementId) -> Option<SubmissionElement> {
        let element = self.tree.element(id).filter(|element| element.relevant)?;
        let node = self.plan.form.nodes.get(element.node)?;
        if node.name == ENTITY_ID {
            return None;
        }
        let text = shown(node.bind.data_type, &element.value);
        let children = element.children.iter().flatten().filter_map(|child| self.submitted(*child)).collect();
        let mut attributes: Vec<(String, String)> = node
            .bind
            .extra
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("instance::")?.to_owned(), value.clone())))
            .collect();
        if node.name == "entity" && node.path.ends_with("/meta/entity") {
            attributes.extend(self.entity_attributes(element.parent.and_then(|meta| self.tree.parent(meta))));
        }
        Some(SubmissionElement { name: node.name.clone(), attributes, text, children })
    }

    fn entity_attributes(&self, scope: Option<ElementId>) -> Vec<(String, String)> {
        let Some(scope) = scope else { return Vec::new() };
        let scope_node = self.tree.node_of(scope);
        let Some((number, declaration)) =
            self.plan.form.entities.iter().enumerate().find(|(_, declaration)| declaration.scope == scope_node)
        else {
            return Vec::new();
        };
        let (create, update, id) = self.entity_operation(number, declaration, scope);
        let flag = |yes: bool| if yes { "1" } else { "0" }.to_owned();
        let mut attributes = vec![("dataset".to_owned(), declaration.list.clone())];
        if declaration.create_if.is_some() || declaration.entity_id.is_none() {
            attributes.push(("create".to_owned(), flag(create)));
        }
        if declaration.entity_id.is_some() {
            attributes.push(("update".to_owned(), flag(update)));
            // Versions are an ODK server's affair; ours is the fold over interviews.
            for name in ["baseVersion", "trunkVersion", "branchId"] {
                attributes.push((name.to_owned(), String::new()));
            }
        }
        attributes.push(("id".to_owned(), id));
        attributes
    }
}
