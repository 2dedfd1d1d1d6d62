//! Planted faults: what a wrong program would do, done from outside. A simulation that does not find them proves nothing.

use std::path::Path;

use karwan_client::Folder;
use karwan_store::{Store, StoreError};

use super::line::Line;
use super::schedule::{Step, Whose};
use super::world::{World, run};
use crate::home::{Template, phone_key, restore_folder};

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// An envelope is acknowledged before it is on the server's disk, and never comes there.
    EarlyAcknowledgement,
    /// A phone's cursor goes to the end of the log without what lies before it.
    SkippingCursor,
    /// A copied or restored phone throws its unsent work away.
    CopyForgets,
    /// A merge writes over what disagrees.
    CarelessMerge,
    /// The server does not keep a revocation that it confirmed.
    RevocationForgotten,
    /// The server does not keep an erasure that it confirmed.
    ErasureForgotten,
    /// A disk says that it synced when it had not.
    LyingDisk,
    /// A phone that another met confirms what that gave, and does not keep it.
    MeetingForgotten,
}

/// All of them.
pub const CANARIES: [Canary; 8] = [
    Canary::EarlyAcknowledgement,
    Canary::SkippingCursor,
    Canary::CopyForgets,
    Canary::CarelessMerge,
    Canary::RevocationForgotten,
    Canary::ErasureForgotten,
    Canary::LyingDisk,
    Canary::MeetingForgotten,
];

/// A schedule in which the fault has occasion to show.
fn occasion(canary: Canary) -> Vec<(usize, Step)> {
    let edit = |phone| Step::Edit { phone, record: 0, question: "phone" };
    let sync = Step::Sync { phone: 0, line: Line::Good };
    let steps = match canary {
        Canary::EarlyAcknowledgement | Canary::SkippingCursor => vec![Step::Create { phone: 0 }, sync, Step::Settle],
        Canary::CopyForgets => {
            vec![Step::Create { phone: 0 }, Step::CopyPhone { phone: 0 }, Step::RestorePhone { phone: 0 }, Step::Settle]
        }
        Canary::CarelessMerge => vec![Step::Create { phone: 0 }, Step::Settle, edit(0), edit(1), Step::Settle],
        Canary::RevocationForgotten => {
            vec![Step::Create { phone: 2 }, Step::Settle, Step::Revoke { phone: 2 }, edit(2), Step::Settle]
        }
        Canary::ErasureForgotten => {
            vec![Step::Create { phone: 0 }, Step::Settle, Step::Erase { record: 0 }, edit(1), Step::Settle]
        }
        Canary::LyingDisk => {
            let mut steps = vec![Step::Create { phone: 0 }, Step::PowerCut { whose: Whose::Phone(0), after: 3 }];
            steps.extend([edit(0); 8]);
            steps.push(Step::Settle);
            steps
        }
        Canary::MeetingForgotten => {
            // Who made it loses it: only who was met can bring it home.
            let met = Step::Meet { guest: 0, host: 1, session: 0, line: Line::Good };
            vec![Step::CopyPhone { phone: 0 }, Step::Create { phone: 0 }, met, Step::RestorePhone { phone: 0 }, Step::Settle]
        }
    };
    steps.into_iter().enumerate().collect()
}

/// Whether the fault is found where it has occasion to show, and nothing is found there without it.
pub fn is_caught(template: &Template, canary: Canary) -> bool {
    let steps = occasion(canary);
    run(template, 0, &steps, None).broken.is_empty() && !run(template, 0, &steps, Some(canary)).broken.is_empty()
}

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

    pub(super) fn plant_before_meeting(&mut self, host: usize) {
        if self.canary == Some(Canary::MeetingForgotten) {
            self.replace(host, restore_folder);
        }
    }

    pub(super) fn plant_after_meeting(&mut self, host: usize) {
        if self.canary == Some(Canary::MeetingForgotten) {
            self.replace(host, |folder, kept| restore_folder(kept, folder));
        }
    }

    /// Does something with a closed phone's folder and the place where it is kept.
    fn replace(&mut self, number: usize, work: impl FnOnce(&Path, &Path)) {
        let phone = &mut self.phones[number];
        phone.device = None;
        work(&phone.folder, &phone.folder.with_extension("kept"));
        self.open_phone(number);
    }

    pub(super) fn plant_in_copy(&mut self, number: usize) {
        if self.canary != Some(Canary::CopyForgets) {
            return;
        }
        let Some(mut store) = self.open_store(number) else { return };
        let records = self.records.clone();
        let thrown_away = store.write(|batch| {
            for record in records {
                if batch.view().is_unsent(record)? {
                    batch.evict_record(record)?;
                }
            }
            Ok::<_, StoreError>(())
        });
        thrown_away.expect("the work is thrown away");
    }
}
