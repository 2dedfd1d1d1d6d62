//! Devices: who they are, what they hold, when they were last here.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::membership::{Act, Cut, Subject};
use karwan_proto::{CaseloadId, DeviceId, IncarnationId, PersonId, Role};

use super::Organisation;
use crate::database::{Transaction, params};
use crate::problem::Problem;

/// Lives of one device's database that are remembered.
const LIVES_MAX: i64 = 64;

/// One device.
#[derive(Debug, Clone)]
pub struct DeviceRow {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Who enrolled it.
    pub person: PersonId,
    /// The most that anybody may do on it.
    pub role: String,
    /// Caseloads granted.
    pub caseloads: Vec<CaseloadId>,
    /// Six digits that the device showed when it joined, where it may do more than an enumerator.
    pub short_code: Option<String>,
    /// Caseloads that it said it holds when it was last here.
    pub held: Vec<CaseloadId>,
    /// When it last synced, in milliseconds since 1970.
    pub last_sync_ms: Option<i64>,
    /// Envelopes of it that came and do not count, or not wholly.
    pub waiting: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// When two copies of its database were last seen in use, in milliseconds since 1970.
    pub copied_ms: Option<i64>,
}

impl Organisation {
    /// All devices, in the order in which they joined.
    pub fn devices(&self) -> Result<Vec<DeviceRow>, Problem> {
        let membership = self.membership()?;
        let synced: BTreeMap<DeviceId, i64> = self.read(|db| {
            let statement = db.prepare("SELECT device, last_sync_ms FROM device_state");
            Ok(statement.query_map((), |row| Ok((DeviceId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let waiting: BTreeMap<DeviceId, i64> = self.read(|db| {
            let statement = db.prepare(
                "SELECT envelope.device, count(DISTINCT envelope.hash) FROM verdict JOIN envelope ON envelope.hash = verdict.envelope \
                 WHERE verdict.verdict IN (1, 2) AND verdict.reason NOT IN (14, 16) GROUP BY envelope.device",
            );
            Ok(statement.query_map((), |row| Ok((DeviceId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let mut held: BTreeMap<DeviceId, Vec<CaseloadId>> = BTreeMap::new();
        self.read(|db| {
            let statement = db.prepare("SELECT device, caseload FROM held ORDER BY caseload");
            let rows = statement.query(())?;
            for row in rows {
                held.entry(DeviceId(row.get(0)?)).or_default().push(CaseloadId(row.get(1)?));
            }
            Ok(())
        })?;
        let copied: BTreeMap<DeviceId, i64> = self.read(|db| {
            let statement = db.prepare("SELECT device, at_ms FROM device_copied");
            Ok(statement.query_map((), |row| Ok((DeviceId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let mut devices: Vec<_> = membership.devices().iter().collect();
        devices.sort_by_key(|(_, known)| known.position);
        let row = |(device, known): (&DeviceId, &karwan_proto::membership::Device)| DeviceRow {
            device: *device,
            name: self.device_name(*device),
            person: known.person,
            role: known.role.to_string(),
            caseloads: known.caseloads.iter().copied().collect(),
            short_code: (known.role > Role::Enumerator).then(|| self.server_key.public().short_code(&known.key)),
            held: held.get(device).cloned().unwrap_or_default(),
            last_sync_ms: synced.get(device).copied(),
            waiting: waiting.get(device).map_or(0, |count| *count as u64),
            revoked: known.revoked,
            copied_ms: copied.get(device).copied(),
        };
        Ok(devices.into_iter().map(row).collect())
    }

    /// Takes everything from a device from here on: what it sent before counts, what comes later waits for a supervisor.
    pub fn revoke_device(&self, name: &str) -> Result<DeviceId, Problem> {
        let device = self.device_named(name)?;
        let mut core = self.writing()?;
        if core.membership.device(device).is_none() {
            return Err(Problem::input("no-such-device", format!("no device {name}"), "See the names: karwan devices ORG."));
        }
        let cuts = crate::log::cuts(&core.db)?;
        self.decide(&mut core, Act::Revoke { subject: Subject::Device(device), cuts })?;
        Ok(device)
    }

    /// Grants a caseload to a device or person.
    pub fn grant(&self, subject: Subject, caseload: &str) -> Result<(), Problem> {
        let caseload = self.caseload_named(caseload)?;
        self.decide(&mut *self.writing()?, Act::Grant { subject, caseload })
    }

    /// Takes a caseload from a device or person: what was sent before counts, what comes later waits for a supervisor, and a device drops
    /// the caseload at its next sync.
    pub fn withdraw(&self, subject: Subject, caseload: &str) -> Result<(), Problem> {
        let caseload = self.caseload_named(caseload)?;
        let mut core = self.writing()?;
        let sequence = crate::log::head(&core.db, caseload)?.map_or(0, |head| head.sequence);
        self.decide(&mut core, Act::Withdraw { subject, cut: Cut { caseload, sequence } })
    }

    /// A device says which life of its database it is. Where that was here before and another one since, two copies are in use: that is noted, and said
    /// here.
    pub(crate) fn note_life(&self, device: DeviceId, incarnation: IncarnationId) -> Result<bool, Problem> {
        let lives: Vec<(IncarnationId, i64)> = self.read(|db| {
            let statement = db.prepare("SELECT incarnation, number FROM device_life WHERE device = ?1 ORDER BY number DESC");
            Ok(statement.query_map([device.0], |row| Ok((IncarnationId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let last = lives.first().copied();
        if last.is_some_and(|(last, _)| last == incarnation) {
            return Ok(false);
        }
        let number = last.map_or(1, |(_, number)| number + 1);
        let copied = lives.iter().any(|(life, _)| *life == incarnation);
        let now = self.now_ms();
        let core = self.writing_beside_others()?;
        let transaction = core.db.transaction()?;
        transaction.execute(
            "INSERT INTO device_life(device, incarnation, number) VALUES(?1, ?2, ?3) \
             ON CONFLICT(device, incarnation) DO UPDATE SET number = excluded.number",
            params![device.0, incarnation.0, number],
        )?;
        transaction
            .execute("DELETE FROM device_life WHERE device = ?1 AND number <= ?2", params![device.0, number - LIVES_MAX])?;
        if copied {
            tracing::warn!(%device, "two copies of its database are in use");
            transaction.execute(
                "INSERT INTO device_copied(device, at_ms) VALUES(?1, ?2) ON CONFLICT(device) DO UPDATE SET at_ms = excluded.at_ms",
                params![device.0, now],
            )?;
        }
        transaction.commit()?;
        Ok(copied)
    }

    /// A device says which caseloads it holds.
    pub(crate) fn note_held(&self, device: DeviceId, caseloads: BTreeSet<CaseloadId>) -> Result<(), Problem> {
        let known: BTreeSet<CaseloadId> = self.read(|db| {
            let statement = db.prepare("SELECT caseload FROM held WHERE device = ?1");
            Ok(statement.query_map([device.0], |row| row.get(0).map(CaseloadId))?.collect::<Result<_, _>>()?)
        })?;
        if known == caseloads {
            return Ok(());
        }
        let core = self.writing_beside_others()?;
        let transaction = core.db.transaction()?;
        transaction.execute("DELETE FROM held WHERE device = ?1", [device.0])?;
        for caseload in caseloads {
            transaction.execute("INSERT INTO held(device, caseload) VALUES(?1, ?2)", params![device.0, caseload.0])?;
        }
        Ok(transaction.commit()?)
    }

    /// A device says that nothing of a caseload is left on it.
    pub(crate) fn note_evicted(&self, device: DeviceId, caseload: CaseloadId) -> Result<(), Problem> {
        let text = "DELETE FROM held WHERE device = ?1 AND caseload = ?2";
        self.writing_beside_others()?.db.execute(text, params![device.0, caseload.0])?;
        Ok(())
    }

    /// Devices have heard everything.
    pub(crate) fn note_syncs(&self, transaction: &Transaction<'_>, devices: &[DeviceId]) -> Result<(), Problem> {
        let now = self.now_ms();
        let statement = transaction.prepare(
            "INSERT INTO device_state(device, last_sync_ms) VALUES(?1, ?2) \
             ON CONFLICT(device) DO UPDATE SET last_sync_ms = excluded.last_sync_ms",
        );
        devices.iter().try_for_each(|device| Ok(statement.put(params![device.0, now])?))
    }
}
