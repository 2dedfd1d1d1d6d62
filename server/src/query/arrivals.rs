//! What arrived on which day, by form and device.

use karwan_proto::DeviceId;

use super::{Names, Scope};
use crate::database::Value;
use crate::host::Host;
use crate::problem::Problem;

/// Interviews of one form that one device brought on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Identifier of the form.
    pub form: String,
    /// Name of the device that made them; empty where that is not known.
    pub device: String,
    /// The day on which the server took it in, by the clock of the people there, in days since 1970.
    pub day: i64,
    /// How many.
    pub count: u64,
}

/// What came since a moment of the server's clock, in milliseconds since 1970, and the offset in minutes of the clock that changed
/// something last: the days are its days.
pub fn arrivals(host: &Host, scope: &Scope, since_ms: i64) -> Result<(Vec<Arrival>, i32), Problem> {
    let mut parameters = vec![Value::Integer(since_ms)];
    let condition = scope.condition("record.caseload", &mut parameters);
    let names = Names::of(&host.organisation);
    let arrived = format!(
        "FROM arrival JOIN record ON record.caseload = arrival.caseload AND record.owner = arrival.owner \
         WHERE arrival.at_ms >= ?1 AND {condition}"
    );
    host.projector.read(|db| {
        let newest = db.prepare(format!("SELECT record.offset_minutes {arrived} ORDER BY record.updated_ms DESC LIMIT 1"));
        let offset = newest.query_map(&parameters, |row| row.get(0))?.next().transpose()?.unwrap_or(0);
        let statement = db.prepare(format!(
            "SELECT source, device, (arrival.at_ms + {offset} * 60000) / 86400000 AS day, count(*) {arrived} \
             GROUP BY source, device, day ORDER BY source, device, day"
        ));
        let rows = statement.query_map(&parameters, |row| {
            let device: Option<[u8; 16]> = row.get(1)?;
            Ok(Arrival {
                form: row.get(0)?,
                device: device.map(|device| names.device(DeviceId(device))).unwrap_or_default(),
                day: row.get(2)?,
                count: row.get::<i64>(3)? as u64,
            })
        })?;
        Ok((rows.collect::<Result<_, _>>()?, offset))
    })
}
