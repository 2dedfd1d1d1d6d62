//! The interview of this form that was saved last, as a secondary instance: `${last-saved#name}`.
//!
//! Only what was entered is stored, so the interview is opened once more for what it calculates. Its nodes are the rows of
//! a table: name, value, and the row that each is in. What was not relevant is not there.

use std::sync::Arc;

use super::context::{Context, Mode};
use super::host::World;
use super::plan::Plan;
use super::settle::Engine;
use super::tree::ElementId;
use super::values::shown;
use crate::model::Table;

/// Column of a node's name.
pub(super) const NAME: u16 = 0;
/// Column of its value.
pub(super) const VALUE: u16 = 1;
/// Column of the row that it is in; blank for what is in the root.
pub(super) const PARENT: u16 = 2;

/// The interview as a table; without rows where none was saved.
pub(super) fn table(plan: &Arc<Plan>, context: &Context) -> Table {
    let mut table = Table::new(["name", "value", "parent"].map(str::to_owned).to_vec(), Vec::new());
    let Some(answers) = &context.last_saved else { return table };
    let world = World::new(plan, Context { last_saved: None, ..context.clone() });
    let mut engine = Engine::new(plan.clone(), world, Mode::Judge);
    engine.open(answers);
    add(&engine, 0, "", &mut table);
    table
}

fn add(engine: &Engine, parent: ElementId, row: &str, table: &mut Table) {
    let Some(element) = engine.tree.element(parent) else { return };
    for child in element.children.iter().flatten() {
        let Some(found) = engine.tree.element(*child).filter(|found| found.relevant) else { continue };
        let Some(node) = engine.plan.form.nodes.get(found.node) else { continue };
        let own = table.rows.len().to_string();
        table.rows.push(vec![node.name.clone(), shown(node.bind.data_type, &found.value), row.to_owned()]);
        add(engine, *child, &own, table);
    }
}
