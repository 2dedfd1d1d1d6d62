//! Planted faults: what a wrong program would do, done from outside. A simulation that does not find them proves nothing.

use karwan_client::Folder;
use karwan_store::{Store, StoreError};

use super::world::World;
use crate::home::phone_key;

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// An envelope is acknowledged before it is on the server's disk, and never comes there.
    EarlyAcknowledgement,
    /// A phone's cursor goes to the end of the log without what lies before it.
    SkippingCursor,
    /// A copied phone takes its unsent work for written again when it is not.
    CloneForgets,
    /// A merge writes over what disagrees.
    CarelessMerge,
    /// The server does not keep a revocation that it confirmed.
    RevocationForgotten,
    /// A disk says that it synced when it had not.
    LyingDisk,
}

/// All of them.
pub const CANARIES: [Canary; 6] = [
    Canary::EarlyAcknowledgement,
    Canary::SkippingCursor,
    Canary::CloneForgets,
    Canary::CarelessMerge,
    Canary::RevocationForgotten,
    Canary::LyingDisk,
];

impl World {
    fn open_store(&self, number: usize) -> Option<Store> {
        let phone = &self.phones[number];
        Store::open(Folder::new(&phone.folder).with_witness(&phone.witness), &phone_key(phone.key)).ok().map(|(store, _)| store)
    }

    pub(super) fn plant_before_sync(&mut self, number: usize) {
        if self.canary != Some(Canary::SkippingCursor) {
            return;
        }
        let Some(heads) = self.server.as_ref().and_then(|server| server.host.organisation.heads().ok()) else { return };
        self.phones[number].device = None;
        if let Some(mut store) = self.open_store(number) {
            let skipped = store.write(|batch| {
                for (caseload, head) in &heads {
                    batch.set_cursor(*caseload, head.sequence, head.chain)?;
                }
                Ok::<_, StoreError>(())
            });
            skipped.expect("the cursor is set");
        }
        self.open_phone(number);
    }

    pub(super) fn plant_after_sync(&mut self, number: usize, done: bool) {
        if self.canary != Some(Canary::CarelessMerge) || !done {
            return;
        }
        let Some(device) = self.phones[number].device.clone() else { return };
        for record in self.records.clone() {
            let Ok(shown) = device.show(&record.to_string()) else { continue };
            let disagreeing = shown.values.iter().find(|(reference, held)| held.len() > 1 && !reference.contains('['));
            let Some((reference, _)) = disagreeing else { continue };
            let written = device.person().and_then(|person| {
                let mut collect = device.edit(record, person, karwan_client::Filling::AtOnce)?;
                collect.set(reference, "what the merge made of it")?;
                collect.finalize()
            });
            drop(written);
        }
    }

    pub(super) fn plant_in_clone(&mut self, number: usize) {
        if self.canary != Some(Canary::CloneForgets) {
            return;
        }
        if let Some(mut store) = self.open_store(number) {
            store
                .write(|batch| {
                    batch.rewrite_done()?;
                    Ok::<_, StoreError>(())
                })
                .expect("the mark is taken away");
        }
    }
}
