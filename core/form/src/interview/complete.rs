//! What every form has though it may not say it: `meta` with the interview's id and name, and a place for its entities.

use std::collections::BTreeMap;

use crate::model::{Bind, Form, Node, NodeId, NodeKind};
use crate::xpath::Expression;

/// The node of an entity at which its expressions are evaluated; never shown, stored or submitted.
pub(crate) const ENTITY_ID: &str = "@id";

/// The form with `meta/instanceID`, `meta/instanceName` and `meta/entity` where they were missing. Nodes that were there
/// keep their ids. `nameless`: the form says that it wants no `meta/instanceID`, which counts where it is written for others.
pub(crate) fn completed(form: &Form, nameless: bool) -> Option<Form> {
    let root = form.nodes.first()?.path.clone();
    let missing_id = !nameless && !form.by_path.contains_key(&format!("{root}/meta/instanceID"));
    let missing_name = form.instance_name.is_some() && !form.by_path.contains_key(&format!("{root}/meta/instanceName"));
    let missing_entities = form.entities.iter().any(|declaration| entity_missing(form, declaration.scope));
    if !missing_id && !missing_name && !missing_entities {
        return None;
    }
    let mut form = form.clone();
    for index in 0..form.entities.len() {
        let Some(declaration) = form.entities.get(index).cloned() else { continue };
        let meta = child(&mut form, declaration.scope, "meta", NodeKind::Group, Bind::default(), false);
        if !form.by_path.contains_key(&path_of(&form, meta, "entity")) {
            // An entity comes first in `meta`, as pyxform writes it.
            let entity = child(&mut form, meta, "entity", NodeKind::Group, Bind::default(), true);
            // Where the declaration's expressions stand: three steps below their scope, as attributes of the entity would.
            child(&mut form, entity, ENTITY_ID, NodeKind::Value, Bind::default(), false);
            if declaration.label.is_some() {
                let bind = Bind { calculate: declaration.label.clone(), readonly: always(), ..Bind::default() };
                child(&mut form, entity, "label", NodeKind::Value, bind, false);
            }
        }
    }
    if !missing_id && !missing_name {
        return Some(form);
    }
    let meta = child(&mut form, 0, "meta", NodeKind::Group, Bind::default(), false);
    if missing_id {
        let bind = Bind { preload: Some("uid".to_owned()), readonly: always(), ..Bind::default() };
        child(&mut form, meta, "instanceID", NodeKind::Value, bind, false);
    }
    if missing_name {
        let bind = Bind { calculate: form.instance_name.clone(), ..Bind::default() };
        child(&mut form, meta, "instanceName", NodeKind::Value, bind, false);
    }
    Some(form)
}

fn always() -> Option<Expression> {
    Expression::parse("true()").ok()
}

fn entity_missing(form: &Form, scope: NodeId) -> bool {
    form.nodes.get(scope).is_some_and(|node| !form.by_path.contains_key(&format!("{}/meta/entity", node.path)))
}

fn path_of(form: &Form, parent: NodeId, name: &str) -> String {
    let parent = form.nodes.get(parent).map(|node| node.path.as_str()).unwrap_or_default();
    format!("{parent}/{name}")
}

/// The child of that name, made where it is missing.
fn child(form: &mut Form, parent: NodeId, name: &str, kind: NodeKind, bind: Bind, first: bool) -> NodeId {
    let path = path_of(form, parent, name);
    if let Some(id) = form.by_path.get(&path) {
        return *id;
    }
    let id = form.nodes.len();
    form.nodes.push(Node {
        name: name.to_owned(),
        path: path.clone(),
        parent: Some(parent),
        children: Vec::new(),
        kind,
        bind: Bind { extra: BTreeMap::new(), ..bind },
        control: None,
        default: String::new(),
        actions: Vec::new(),
        row: 0,
    });
    form.by_path.insert(path, id);
    if let Some(parent) = form.nodes.get_mut(parent) {
        if first {
            parent.children.insert(0, id);
        } else {
            parent.children.push(id);
        }
    }
    id
}
