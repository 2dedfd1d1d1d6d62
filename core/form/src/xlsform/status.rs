//! The sheet `karwan_status`: which event may follow which, who may do it, and what it wins against.

use super::columns::Sheet;
use super::references::similar;
use super::report::{Place, Report};
use crate::model::{MergeRule, Node, StatusRule};

const ROLES: [&str; 5] = ["operator", "enumerator", "supervisor", "data-manager", "administrator"];

/// Reads all rules.
pub fn read(sheet: &Sheet, nodes: &[Node], report: &mut Report) -> Vec<StatusRule> {
    let mut rules = Vec::new();
    if !sheet.rows.is_empty() && !sheet.has("to") {
        report.fault(Place { sheet: "karwan_status", row: 1, column: "to" }, "the column is missing", "add a column `to`");
        return rules;
    }
    for row in &sheet.rows {
        let text = |key: &str| sheet.text(row, key).to_owned();
        let place = |column| Place { sheet: "karwan_status", row: row.number, column };
        let rule = StatusRule {
            question: text("question").trim_start_matches("${").trim_end_matches('}').to_owned(),
            from: text("from"),
            to: text("to"),
            role: text("role").to_lowercase(),
            beats: text("beats").split([' ', ',', ';']).filter(|state| !state.is_empty()).map(str::to_owned).collect(),
        };
        if rule.to.is_empty() {
            report.fault(place("to"), "the rule leads to no state", "write the state that it leads to");
            continue;
        }
        if !rule.question.is_empty() {
            match nodes.iter().find(|node| node.name == rule.question) {
                None => {
                    let mend = similar(&rule.question, nodes.iter().map(|node| node.name.as_str())).map_or_else(
                        || "name a question of the survey sheet".to_owned(),
                        |name| format!("did you mean `{name}`?"),
                    );
                    report.fault(place("question"), format!("`{}` is not a question", rule.question), mend);
                }
                Some(node) if node.bind.merge != MergeRule::Events => report.fault(
                    place("question"),
                    format!("`{}` keeps no events", rule.question),
                    "set its column `bind::karwan:merge` to `events`",
                ),
                Some(_) => {}
            }
        }
        if !rule.role.is_empty() && !ROLES.contains(&rule.role.as_str()) {
            report.warn(place("role"), "this role is not one that Karwan has");
        }
        rules.push(rule);
    }
    rules
}
