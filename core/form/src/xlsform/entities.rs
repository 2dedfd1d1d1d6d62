//! The entities sheet: which lists an interview creates or updates entities of, and where in the form each one is.

use std::collections::BTreeSet;

use super::assemble::Header;
use super::columns::{MISSING, Sheet};
use super::compile::Compiler;
use super::draft::Pending;
use super::references::{Names, Source, Style, is_element_name};
use super::report::Place;
use crate::model::{EntityDeclaration, Node, NodeId, NodeKind};

/// Names that start so are the protocol's own.
const RESERVED: &str = "__";

struct Declared {
    row: u32,
    list: String,
    label: String,
    entity_id: String,
    create_if: String,
    update_if: String,
    /// Node, property or none, row.
    uses: Vec<Use>,
}

struct Use {
    container: NodeId,
    property: Option<(String, NodeId)>,
    row: u32,
    name: String,
}

/// Reads all declarations and the column `save_to`.
pub fn read(
    sheet: &Sheet,
    compiler: &mut Compiler<'_>,
    nodes: &mut [Node],
    pending: &[Pending],
    header: Header<'_>,
) -> Vec<EntityDeclaration> {
    let mut declared = declarations(sheet, compiler);
    if declared.is_empty() {
        // A column that is missing is told already, and the one thing to mend.
        if sheet.rows.is_empty() || sheet.has("list_name") {
            check_without_sheet(compiler, pending, header);
        }
        return Vec::new();
    }
    saved(&mut declared, compiler, nodes, pending, header);
    mentioned(&mut declared, compiler, nodes);
    let scopes = scopes(&declared, compiler, nodes);
    declared
        .into_iter()
        .zip(scopes)
        .map(|(entity, scope)| {
            // Expressions stand in `meta/entity` of the scope, two steps below it.
            let source = Source { container: Some(scope), steps: 3 };
            let mut expression = |text: &str, column| {
                compiler.expression(text, source, Style::default(), Place { sheet: "entities", row: entity.row, column })
            };
            EntityDeclaration {
                label: expression(&entity.label, "label"),
                entity_id: expression(&entity.entity_id, "entity_id"),
                create_if: expression(&entity.create_if, "create_if"),
                update_if: expression(&entity.update_if, "update_if"),
                scope,
                properties: entity.uses.iter().filter_map(|used| used.property.clone()).collect(),
                list: entity.list,
            }
        })
        .collect()
}

/// `save_to` without an entities sheet.
pub fn check_without_sheet(compiler: &mut Compiler<'_>, pending: &[Pending], header: Header<'_>) {
    let column = header("save_to");
    for pending in pending.iter().filter(|pending| !pending.save_to.is_empty()) {
        let place = Place { sheet: "survey", row: pending.row, column: &column };
        compiler.report.fault(
            place,
            "the form declares no entity list to save to",
            "add a sheet `entities` with the columns `list_name` and `label`",
        );
    }
}

fn declarations(sheet: &Sheet, compiler: &mut Compiler<'_>) -> Vec<Declared> {
    let mut declared: Vec<Declared> = Vec::new();
    if !sheet.rows.is_empty() && !sheet.has("list_name") {
        compiler.report.fault(Place { sheet: "entities", row: 1, column: "list_name" }, MISSING, sheet.add("list_name", ""));
        return declared;
    }
    for header in sheet.headers.values() {
        if !matches!(header.key.as_str(), "list_name" | "label" | "entity_id" | "create_if" | "update_if" | "repeat") {
            let place = Place { sheet: "entities", row: 1, column: &header.text };
            compiler.report.fault(
                place,
                "this column is not known",
                "use `list_name`, `label`, `entity_id`, `create_if` and `update_if`",
            );
        }
    }
    for row in &sheet.rows {
        let text = |key: &str| sheet.text(row, key).to_owned();
        let place = |column| Place { sheet: "entities", row: row.number, column };
        let entity = Declared {
            row: row.number,
            list: text("list_name"),
            label: text("label"),
            entity_id: text("entity_id"),
            create_if: text("create_if"),
            update_if: text("update_if"),
            uses: Vec::new(),
        };
        if entity.list.is_empty() {
            compiler.report.fault(place("list_name"), "the declaration names no list", "write the list's name");
            continue;
        }
        if !is_element_name(&entity.list) || entity.list.starts_with(RESERVED) || entity.list.contains('.') {
            let mend = "begin with a letter; use letters, digits, `_` and `-`, no `.`, and no `__` at the start";
            compiler.report.fault(place("list_name"), format!("`{}` cannot name an entity list", entity.list), mend);
        }
        if declared.iter().any(|other| other.list == entity.list) {
            compiler.report.fault(place("list_name"), format!("`{}` is declared twice", entity.list), "declare each list once");
            continue;
        }
        if entity.entity_id.is_empty() && !entity.update_if.is_empty() {
            compiler.report.fault(
                place("entity_id"),
                "an update needs the id of the entity",
                "write an expression that gives the id",
            );
        }
        if !entity.entity_id.is_empty() && !entity.create_if.is_empty() && entity.update_if.is_empty() {
            compiler.report.fault(
                place("update_if"),
                "a declaration with an id and `create_if` needs `update_if` too",
                "write when the entity is updated",
            );
        }
        if entity.entity_id.is_empty() && entity.label.is_empty() {
            compiler.report.fault(
                place("label"),
                "an entity that is created needs a label",
                "write an expression that gives its label",
            );
        }
        declared.push(entity);
    }
    declared
}

/// Reads `save_to`: `property`, or `list#property` where several lists are declared.
fn saved(declared: &mut [Declared], compiler: &mut Compiler<'_>, nodes: &mut [Node], pending: &[Pending], header: Header<'_>) {
    let column = header("save_to");
    for (id, pending) in pending.iter().enumerate().filter(|(_, pending)| !pending.save_to.is_empty()) {
        let place = Place { sheet: "survey", row: pending.row, column: &column };
        let (list, property) = match pending.save_to.split_once('#') {
            Some((list, property)) => (list.trim().to_owned(), property.trim().to_owned()),
            None if declared.len() == 1 => {
                (declared.first().map(|entity| entity.list.clone()).unwrap_or_default(), pending.save_to.clone())
            }
            None => {
                let message = format!("`{}` could be saved to any of several entity lists", pending.save_to);
                compiler.report.fault(place, message, "write `LIST#property`");
                continue;
            }
        };
        let known: Vec<String> = declared.iter().map(|entity| entity.list.clone()).collect();
        let Some(entity) = declared.iter_mut().find(|entity| entity.list == list) else {
            let mend = super::references::similar(&list, known.iter().map(String::as_str))
                .map_or_else(|| "declare it in the entities sheet".to_owned(), |name| format!("did you mean `{name}`?"));
            compiler.report.fault(place, format!("the entity list `{list}` is not declared"), mend);
            continue;
        };
        if !is_element_name(&property)
            || property.starts_with(RESERVED)
            || matches!(property.to_lowercase().as_str(), "name" | "label")
        {
            let mend = "use letters, digits, `_`, `-` and `.`, no `__` at the start, and not `name` or `label`";
            compiler.report.fault(place, format!("`{property}` cannot name a property"), mend);
            continue;
        }
        if let Some(other) = entity.uses.iter().find(|used| used.property.as_ref().is_some_and(|(name, _)| *name == property)) {
            compiler.report.fault(
                place,
                format!("the property `{property}` is saved by row {} already", other.row),
                "save each property once",
            );
            continue;
        }
        let Some(node) = nodes.get_mut(id) else { continue };
        node.bind.save_to = Some((list, property.clone()));
        let container = node.parent.unwrap_or(0);
        entity.uses.push(Use { container, property: Some((property, id)), row: pending.row, name: node.name.clone() });
    }
}

/// Questions that a declaration's expressions look at: the entity is beside the deepest of them.
fn mentioned(declared: &mut [Declared], compiler: &Compiler<'_>, nodes: &[Node]) {
    for entity in declared {
        let mut names: Vec<String> = [&entity.label, &entity.entity_id, &entity.create_if, &entity.update_if]
            .iter()
            .flat_map(|text| Names::mentioned(text))
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            if let Ok(id) = compiler.names.find(&name) {
                let container = nodes.get(id).and_then(|node| node.parent).unwrap_or(0);
                entity.uses.push(Use { container, property: None, row: entity.row, name });
            }
        }
    }
}

/// From a container up to the root.
fn chain(nodes: &[Node], from: NodeId) -> Vec<NodeId> {
    let mut chain = Vec::new();
    let mut next = Some(from);
    while let Some(id) = next {
        chain.push(id);
        next = nodes.get(id).and_then(|node| node.parent);
    }
    chain
}

/// The nearest repeat at or above a container, else the root.
fn boundary(nodes: &[Node], container: NodeId) -> NodeId {
    chain(nodes, container)
        .into_iter()
        .find(|id| nodes.get(*id).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { .. })))
        .unwrap_or(0)
}

/// For each declaration the group, repeat or root whose `meta` holds it. One container holds one entity.
fn scopes(declared: &[Declared], compiler: &mut Compiler<'_>, nodes: &[Node]) -> Vec<NodeId> {
    let mut scopes: Vec<NodeId> = Vec::new();
    // What an entity is saved from stands in no entity's container but its own, so the way from there up to it is taken too.
    let mut taken: BTreeSet<NodeId> = BTreeSet::new();
    for entity in declared {
        let depth = |container: NodeId| chain(nodes, container).len();
        let scope = entity.uses.iter().map(|used| boundary(nodes, used.container)).max_by_key(|scope| depth(*scope)).unwrap_or(0);
        for used in &entity.uses {
            let own = boundary(nodes, used.container);
            let reachable = chain(nodes, scope).contains(&own);
            let misplaced = used.property.is_some() && own != scope;
            if !reachable || misplaced {
                let path = nodes.get(scope).map(|node| node.path.clone()).unwrap_or_default();
                let (sheet, column) = if used.property.is_some() { ("survey", "save_to") } else { ("entities", "") };
                let message = format!("`{}` is not in `{path}`, where the entity `{}` is made", used.name, entity.list);
                compiler.report.fault(
                    Place { sheet, row: used.row, column },
                    message,
                    "take everything that one entity needs from one repeat and what is above it",
                );
            }
        }
        let saved: Vec<NodeId> = entity.uses.iter().filter(|used| used.property.is_some()).map(|used| used.container).collect();
        let wanted = if saved.is_empty() {
            entity
                .uses
                .iter()
                .map(|used| used.container)
                .filter(|id| boundary(nodes, *id) == scope)
                .max_by_key(|id| depth(*id))
                .unwrap_or(scope)
        } else {
            let common = |left: NodeId, right: NodeId| {
                chain(nodes, left).into_iter().find(|id| chain(nodes, right).contains(id)).unwrap_or(0)
            };
            let shared = saved.iter().copied().reduce(common).unwrap_or(scope);
            if chain(nodes, shared).contains(&scope) { shared } else { scope }
        };
        let wanted = if declared.len() == 1 && scope == 0 { 0 } else { wanted };
        let room: Vec<NodeId> = {
            let above = chain(nodes, wanted);
            let end = above.iter().position(|id| *id == scope).unwrap_or(0);
            above.into_iter().take(end + 1).collect()
        };
        let crossed = saved.iter().any(|container| taken.contains(container));
        let free = room.iter().find(|id| !taken.contains(id)).filter(|free| !crossed || room.first() == Some(*free));
        if let Some(free) = free {
            taken.extend(saved.iter().flat_map(|container| {
                let above = chain(nodes, *container);
                let end = above.iter().position(|id| id == free).map_or(0, |end| end + 1);
                above.into_iter().take(end)
            }));
            taken.insert(*free);
            scopes.push(*free);
        } else {
            let path = nodes.get(scope).map(|node| node.path.clone()).unwrap_or_default();
            compiler.report.fault(
                Place { sheet: "entities", row: entity.row, column: "list_name" },
                format!("`{path}` already makes an entity of another list"),
                "put the questions of each list into a group of its own",
            );
            scopes.push(scope);
        }
    }
    scopes
}
