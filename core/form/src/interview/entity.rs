//! Entities that an interview creates or updates as it stands.
//!
//! An entity that is created takes its id from what makes it: the repeat instance's own, or the interview's. So it is the same
//! every time it is computed, on every device, without being stored.

use super::complete::ENTITY_ID;
use super::host::uuid;
use super::settle::Engine;
use super::state::{EntityOperation, EntityWrite};
use super::tree::ElementId;
use crate::model::EntityDeclaration;

impl Engine {
    /// Writes by declaration, then by instance.
    pub(super) fn entity_writes(&self) -> Vec<EntityWrite> {
        let mut writes = Vec::new();
        for (number, declaration) in self.plan.form.entities.iter().enumerate() {
            for scope in self.tree.within(&self.plan, 0, declaration.scope) {
                if self.tree.element(scope).is_some_and(|element| element.relevant) {
                    writes.extend(self.entity_write(number, declaration, scope));
                }
            }
        }
        writes
    }

    fn entity_write(&self, number: usize, declaration: &EntityDeclaration, scope: ElementId) -> Option<EntityWrite> {
        let (create, update, id) = self.entity_operation(number, declaration, scope);
        let operation = match (create, update) {
            (true, _) => EntityOperation::Create,
            (false, true) => EntityOperation::Update,
            (false, false) => return None,
        };
        if id.is_empty() {
            return None;
        }
        let view = self.view();
        let mut properties = std::collections::BTreeMap::new();
        for (name, node) in &declaration.properties {
            for element in self.tree.within(&self.plan, scope, *node) {
                if let Some(found) = self.tree.element(element).filter(|found| found.relevant) {
                    properties.insert(name.clone(), found.value.clone());
                }
            }
        }
        let label = declaration
            .label
            .as_ref()
            .map(|label| view.text_at(label, self.entity_element(scope)))
            .filter(|label| !label.is_empty());
        let place = self.tree.path(&self.plan, scope, false);
        Some(EntityWrite { list: declaration.list.clone(), id, operation, label, properties, place })
    }

    /// Whether an entity is created, whether it is updated, and its id.
    pub(super) fn entity_operation(
        &self,
        number: usize,
        declaration: &EntityDeclaration,
        scope: ElementId,
    ) -> (bool, bool, String) {
        let view = self.view();
        let at = self.entity_element(scope);
        let truth = |expression: &Option<crate::xpath::Expression>| {
            expression.as_ref().map(|expression| view.truth_at(expression, at, false))
        };
        let (create_if, update_if) = (truth(&declaration.create_if), truth(&declaration.update_if));
        match &declaration.entity_id {
            // Without an id there is nothing to update: it is created, always or if.
            None => (create_if.unwrap_or(true), false, self.own_id(number, scope)),
            Some(id) => {
                let id = view.text_at(id, at);
                let update = update_if.unwrap_or(create_if.is_none());
                (create_if.unwrap_or(false), update, id)
            }
        }
    }

    /// Where the expressions of a scope's declaration stand.
    fn entity_element(&self, scope: ElementId) -> ElementId {
        let path =
            self.plan.form.nodes.get(self.tree.node_of(scope)).map(|node| format!("{}/meta/entity/{ENTITY_ID}", node.path));
        let node = path.and_then(|path| self.plan.form.by_path.get(&path).copied());
        node.and_then(|node| self.tree.within(&self.plan, scope, node).first().copied()).unwrap_or(scope)
    }

    fn own_id(&self, number: usize, scope: ElementId) -> String {
        let interview = self.tree.find(&self.plan, &format!("/{}/meta/instanceID", self.plan.form.root_name));
        let interview = interview.and_then(|id| self.tree.element(id)).map(|element| element.value.clone()).unwrap_or_default();
        let first =
            self.plan.form.entities.iter().position(|other| {
                self.plan.form.entities.get(number).is_some_and(|declaration| declaration.scope == other.scope)
            });
        let own = self.tree.element(scope).map(|element| element.id.as_str()).unwrap_or_default();
        let base = if scope == 0 { interview.strip_prefix("uuid:").unwrap_or(&interview) } else { own };
        if first == Some(number) && base.len() == 36 {
            return base.to_owned();
        }
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 entity id");
        let place = self.tree.path(&self.plan, scope, false);
        for part in [interview.as_str(), place.as_str(), &number.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut bytes = [0u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        uuid(bytes)
    }
}
