//! Devices: who has come home and who has not.

use super::{DeviceListed, Scope};
use crate::clock::rfc3339;
use crate::host::Host;
use crate::problem::Problem;

/// Devices, in the order in which they joined; those that share a caseload with whoever may not see all.
pub fn devices(host: &Host, scope: &Scope) -> Result<Vec<DeviceListed>, Problem> {
    let organisation = &host.organisation;
    let rows = organisation.devices()?.into_iter().filter(|row| match scope {
        Scope::Everything | Scope::Health => true,
        Scope::Caseloads(caseloads) => row.caseloads.iter().any(|caseload| caseloads.contains(caseload)),
    });
    let listed = rows.map(|row| DeviceListed {
        device: row.device.to_string(),
        person: organisation.person_name(row.person),
        caseloads: row.caseloads.iter().map(|caseload| organisation.caseload_name(*caseload)).collect(),
        held: row.held.iter().map(|caseload| organisation.caseload_name(*caseload)).collect(),
        short_code: row.short_code,
        last_sync: row.last_sync_ms.map(rfc3339),
        name: row.name,
        role: row.role,
        unsent: row.waiting,
        revoked: row.revoked,
        copied: row.copied_ms.map(rfc3339),
    });
    Ok(listed.collect())
}
