//! What is read out of the projections: lists, one record, open review items, devices. Every query is told whose eyes it is for.

mod arrivals;
mod devices;
mod items;
mod names;
mod records;
mod show;

pub use arrivals::{Arrival, arrivals};
pub use devices::devices;
pub(crate) use items::{FoundItem, find as find_item, no_such_item};
pub use items::{item, items};
pub(crate) use names::Names;
pub use records::{count, records};
pub(crate) use show::no_such_record;
pub use show::show;

use std::collections::BTreeSet;

use karwan_client::query::ShownValue;
use karwan_proto::{CaseloadId, PersonId, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::Host;
use crate::problem::Problem;

/// What somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Who holds the folder, and administrators.
    Everything,
    /// People with these caseloads.
    Caseloads(BTreeSet<CaseloadId>),
    /// Operators: health, no personal data.
    Health,
}

impl Scope {
    /// What a person may see who may still do something.
    pub fn of(host: &Host, person: PersonId) -> Result<Self, Problem> {
        let standing = host.organisation.person_standing(person)?;
        let (role, caseloads) = standing.ok_or_else(|| {
            Problem::refused("disabled", "this person may do nothing here", "Ask an administrator: karwan user list ORG.")
        })?;
        Ok(Self::granted(role, caseloads))
    }

    /// What somebody with this role and these caseloads may see.
    pub fn granted(role: Role, caseloads: BTreeSet<CaseloadId>) -> Self {
        match role {
            Role::Administrator => Self::Everything,
            Role::Operator => Self::Health,
            Role::Enumerator | Role::Supervisor | Role::DataManager => Self::Caseloads(caseloads),
        }
    }

    /// Whether records of a caseload may be seen.
    pub fn sees(&self, caseload: CaseloadId) -> bool {
        match self {
            Self::Everything => true,
            Self::Caseloads(caseloads) => caseloads.contains(&caseload),
            Self::Health => false,
        }
    }

    /// The condition that it adds to a query of rows with a column `caseload`.
    pub(crate) fn condition(&self, column: &str, parameters: &mut Vec<crate::database::Value>) -> String {
        match self {
            Self::Everything => "1 = 1".to_owned(),
            Self::Health => "1 = 0".to_owned(),
            Self::Caseloads(caseloads) => {
                let marks = vec!["?"; caseloads.len()].join(", ");
                parameters.extend(caseloads.iter().map(|caseload| crate::database::Value::Blob(caseload.0.to_vec())));
                format!("{column} IN ({marks})")
            }
        }
    }
}

/// Anything that is only read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Query {
    /// Interviews and entities.
    Records(RecordsQuery),
    /// One of them.
    Show {
        /// A record's or an entity's identifier; `LIST:ID` where entities of several lists share it.
        record: String,
    },
    /// Review items that nobody has decided.
    Items,
    /// Devices.
    Devices,
}

/// Which records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecordsQuery {
    /// Identifier of a form, or an entity list.
    pub form: Option<String>,
    /// Name of a caseload.
    pub caseload: Option<String>,
    /// `interview` or `entity`.
    pub kind: Option<String>,
    /// `sent`, `returned`, `approved`.
    pub status: Option<String>,
    /// Words to be found in whatever script's spelling.
    pub search: String,
    /// At most so many; 0 for all.
    pub limit: usize,
    /// How many to leave out at the beginning.
    pub offset: usize,
}

/// One open review item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemListed {
    /// The same on every replica; another one as soon as anything in it changes.
    pub item: String,
    /// `conflict`, `invalid`, `duplicate`, `removed-but-edited`, `quarantined`, `moved-position`.
    pub kind: String,
    /// The record's or entity's identifier.
    pub record: String,
    /// `interview` or `entity`.
    pub record_kind: String,
    /// What the record or entity is called.
    pub title: String,
    /// The form, or the entity list.
    pub source: String,
    /// Name of the caseload.
    pub caseload: String,
    /// The question's reference, or the entity's property.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The values, the one shown first. Of a duplicate: what the people are called, each with its record.
    pub values: Vec<ItemListedValue>,
    /// The form's own words, where it has some; why something is quarantined.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it arose.
    pub since: String,
}

/// One value of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemListedValue {
    /// With who gave it and when.
    #[serde(flatten)]
    pub shown: ShownValue,
    /// Of a duplicate: the record that the person is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceListed {
    /// Its identifier.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Who uses it.
    pub person: String,
    /// The most that anybody may do on it.
    pub role: String,
    /// Names of its caseloads.
    pub caseloads: Vec<String>,
    /// Six digits that the device showed when it joined, where it may do more than an enumerator: somebody compares them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_code: Option<String>,
    /// Names of caseloads that are still on it, as it last said: one that it was not granted any more is among them until it has dropped it.
    pub held: Vec<String>,
    /// When it last synced; nothing where it never did.
    pub last_sync: Option<String>,
    /// Envelopes of it that came and do not count yet.
    pub unsent: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// When two copies of its folder were last seen in use: somebody else may read what it can.
    pub copied: Option<String>,
}

/// Carries out a query for who holds the folder; the answer is what `--json` prints.
pub fn run(host: &Host, query: &Query) -> Result<Value, Problem> {
    let scope = Scope::Everything;
    Ok(match query {
        Query::Records(query) => serde_json::to_value(records(host, &scope, query)?)?,
        Query::Show { record } => serde_json::to_value(show(host, &scope, record)?)?,
        Query::Items => serde_json::to_value(items(host, &scope)?)?,
        Query::Devices => serde_json::to_value(devices(host, &scope)?)?,
    })
}
