//! What people decide: each decision is a change in the name of who decided it, written through the same ingest as a device's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::Host;
use crate::problem::Problem;

/// A decision to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewCommand {
    /// What is decided.
    pub act: ReviewAct,
    /// Why.
    pub note: String,
    /// Who decides: a name or identifier. Without one, the administrator, whose key the folder holds.
    pub person: Option<String>,
}

/// What is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ReviewAct {
    /// A review item.
    Resolve {
        /// The item, as it was listed: one that changed meanwhile is another one, and the decision is refused.
        item: String,
        /// How.
        decision: ItemDecision,
    },
    /// A record goes back to who made it.
    Return {
        /// The record.
        record: String,
    },
    /// A record stands.
    Approve {
        /// The record.
        record: String,
    },
    /// Somebody is to go on with records.
    Assign {
        /// The records.
        records: Vec<String>,
        /// Name or identifier of a person.
        to: String,
        /// Until when, as a date.
        due: Option<String>,
    },
}

/// How an item is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ItemDecision {
    /// This text.
    Value(String),
    /// What came from this device: a name or identifier.
    Keep(String),
    /// It stands as it is; of a duplicate: it is one person.
    Accept,
    /// It does not stand; of a duplicate: they are different people.
    Reject,
}

/// Carries out a decision. It is durable and projected when this returns.
pub fn run(host: &Host, command: ReviewCommand) -> Result<Value, Problem> {
    let _ = (host, command);
    Err(Problem::later("review"))
}
