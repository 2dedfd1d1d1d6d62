//! Entities: `meta/entity` of the root, a group or a repeat, and the binds that say when one is made and from what.

use super::document::Element;
use super::reader::{Reader, plain_path};
use crate::model::{EntityDeclaration, NodeId};

impl Reader {
    /// `<entity dataset="persons" create="1" id="">` in a `meta`.
    pub(super) fn entity(&mut self, entity: &Element, meta: NodeId) {
        let Some(scope) = self.nodes.get(meta).and_then(|node| node.parent) else { return };
        let Some(list) = entity.attribute("dataset") else {
            self.fault(entity, "dataset", "the entity names no list", "add the attribute `dataset`");
            return;
        };
        let declaration = EntityDeclaration {
            list: list.to_owned(),
            label: None,
            entity_id: None,
            create_if: None,
            update_if: None,
            scope,
            properties: Vec::new(),
        };
        self.entities.push((scope, declaration));
    }

    /// A bind of an entity's attribute or label.
    pub(super) fn entity_bind(&mut self, bind: &Element, nodeset: &str) {
        let path = plain_path(nodeset);
        let Some((scope, what)) = path.split_once("/meta/entity/") else { return };
        let Some(scope) = self.by_path.get(scope).copied() else { return };
        // Versions are an ODK server's affair, and the list that they are looked up in may not be here.
        if matches!(what, "@baseVersion" | "@trunkVersion" | "@branchId") {
            return;
        }
        let expression = self.expression(bind, "calculate");
        let Some((_, declaration)) = self.entities.iter_mut().find(|(own, _)| *own == scope) else { return };
        match what {
            "label" => declaration.label = expression,
            "@id" => declaration.entity_id = expression,
            "@create" => declaration.create_if = expression,
            "@update" => declaration.update_if = expression,
            _ => {}
        }
    }

    /// `entities:saveto`: the property of the nearest declaration.
    pub(super) fn saved(&mut self, id: NodeId, property: &str) {
        let above = std::iter::successors(Some(id), |id| self.nodes.get(*id).and_then(|node| node.parent));
        let around: Vec<NodeId> = above.collect();
        let nearest = around.iter().find_map(|id| self.entities.iter().position(|(scope, _)| scope == id));
        let Some((_, declaration)) = nearest.and_then(|at| self.entities.get_mut(at)) else { return };
        declaration.properties.push((property.to_owned(), id));
        let list = declaration.list.clone();
        if let Some(node) = self.nodes.get_mut(id) {
            node.bind.save_to = Some((list, property.to_owned()));
        }
    }

    /// Properties in document order.
    pub(super) fn finish_entities(&mut self) {
        for (_, declaration) in &mut self.entities {
            declaration.properties.sort_by_key(|(_, node)| *node);
        }
    }
}
