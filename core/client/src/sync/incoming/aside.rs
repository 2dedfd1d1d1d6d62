//! What was set aside because something below it had not come: tried again when it has.

use karwan_proto::envelope::Envelope;
use karwan_proto::membership::Role;
use karwan_store::change::{ChangeState, EnvelopeState};

use super::page::Page;
use crate::error::ClientError;
use crate::sync::verdict::ACCEPTED;

impl Page<'_, '_> {
    /// Applies what the log had accepted and this device could not apply, of the records that the page touched.
    pub(super) fn try_set_aside_again(&mut self) -> Result<(), ClientError> {
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for (name, record) in self.batch.view().not_applied()? {
                if !self.project.contains(&record) {
                    continue;
                }
                let Some(stored) = self.batch.view().envelope(name)? else { continue };
                let Ok(envelope) = Envelope::decode(&stored.bytes) else { continue };
                let (role, sequence) = (stored.role.unwrap_or(Role::Enumerator), stored.sequence.unwrap_or(0));
                let judged = stored.state == EnvelopeState::Judged;
                let as_before =
                    std::mem::replace(&mut self.counts, if judged { ChangeState::Accepted } else { ChangeState::New });
                let failed_before = self.not_applied.len();
                for item in envelope.items().iter().filter(|item| item.record() == Some(record)) {
                    self.admit(&envelope, item, role, sequence)?;
                }
                self.counts = as_before;
                if self.not_applied.len() == failed_before {
                    self.batch.apply_aside(name, record, ACCEPTED)?;
                    progress = true;
                }
                self.not_applied.truncate(failed_before);
            }
        }
        Ok(())
    }
}
