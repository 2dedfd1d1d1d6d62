//! What is decided at the server of a simulated world: a phone loses its rights, a record goes to another caseload or is erased. Whoever heard of
//! it obeys; what everybody has forgotten, because the server was restored and the phones were put back, never was.

use std::collections::{BTreeMap, BTreeSet};

use karwan_client::ClientError;
use karwan_proto::session::Refusal;
use karwan_server::decisions::{self, Decide, DecideAct};
use karwan_server::host::Host;

use super::canary::Canary;
use super::model::WriteId;
use super::world::World;

/// A decision by the number of its step.
pub(super) type DecisionId = usize;
/// Decisions that somebody is certain to know of.
pub(super) type Known = BTreeSet<DecisionId>;

/// What was decided and is not forgotten. A move changes nothing that anybody sees, where all phones have both caseloads.
#[derive(Debug, Default)]
pub(super) struct Decided {
    revocation: Option<DecisionId>,
    /// The revocation that everybody may have forgotten, and the key that it was of.
    pardoned: Option<(DecisionId, usize)>,
    /// Records that were erased, by which decision.
    erasures: BTreeMap<usize, DecisionId>,
    /// Records whose erasure everybody may have forgotten, or that somebody made who has lost the right: nobody can say whether they are there, and
    /// still all must say the same.
    doubtful: BTreeSet<usize>,
}

impl Decided {
    /// Whether a record must be nowhere.
    pub(super) fn is_erased(&self, record: usize) -> bool {
        self.erasures.contains_key(&record)
    }

    /// Whether a record may be there or not.
    pub(super) fn is_doubtful(&self, record: usize) -> bool {
        self.doubtful.contains(&record)
    }
}

impl World {
    /// The server where decisions can be taken: on a good disk, since what a commit that failed decided nobody can say, and not before everybody
    /// has come home after a restore.
    fn deciding(&mut self) -> Option<Host> {
        self.disarm();
        let host = self.server.as_ref()?.host.clone();
        host.organisation.recovering_since().is_ok_and(|since| since.is_none()).then_some(host)
    }

    pub(super) fn revoke(&mut self, number: usize, phone: usize) {
        let Some(host) = self.deciding() else { return };
        let key = self.phones[phone].key;
        if self.canary != Some(Canary::RevocationForgotten)
            && let Err(problem) = host.organisation.revoke_device(&format!("phone-{key}"))
        {
            self.broken.push(format!("no revocation: {}", problem.error));
            return;
        }
        self.decided.revocation = Some(number);
        self.server_knows.insert(number);
        self.tally.decision("phone revoked");
        self.phones.iter_mut().filter(|phone| phone.key == key).for_each(|phone| phone.outlaw = true);
        self.doubt_unsent_of(key);
    }

    /// What a phone made that loses its rights, and gave to others who have not brought it home, waits for a supervisor, and with it what others write in a
    /// record that began so.
    fn doubt_unsent_of(&mut self, key: usize) {
        let made = self.phones.iter().filter(|phone| phone.key == key).flat_map(|phone| phone.unsent.iter().copied());
        let waiting: BTreeSet<WriteId> = made.filter(|write| !self.server_held.contains(write)).collect();
        self.phones.iter_mut().filter(|phone| !phone.outlaw).for_each(|phone| phone.holds_no_more(&waiting));
        let begun: Vec<usize> = (0..self.records.len())
            .filter(|record| self.model.beginning_of(*record).is_some_and(|begun| waiting.contains(&begun)))
            .collect();
        self.decided.doubtful.extend(begun);
    }

    /// A session that came to its end has told decisions, whatever became of what was offered in it.
    pub(super) fn told_decisions(&mut self, number: usize, recovering: bool) {
        let phone = &mut self.phones[number];
        if phone.outlaw {
            return;
        }
        self.server_knows.extend(phone.knows.iter().copied());
        if !recovering {
            phone.knows.extend(self.server_knows.iter().copied());
        }
    }

    /// Whether a phone is turned away of whose revocation nobody was certain to know: somebody had heard of it in a session that was cut off, and it
    /// holds.
    pub(super) fn is_turned_away(&mut self, number: usize, why: &str) -> bool {
        let key = self.phones[number].key;
        let Some((decision, _)) = self.decided.pardoned.filter(|(_, pardoned)| *pardoned == key) else { return false };
        if why != ClientError::Refused(Refusal::Revoked).to_string() {
            return false;
        }
        self.decided.pardoned = None;
        self.decided.revocation = Some(decision);
        self.server_knows.insert(decision);
        self.phones.iter_mut().filter(|phone| phone.key == key).for_each(|phone| phone.outlaw = true);
        self.doubt_unsent_of(key);
        true
    }

    pub(super) fn move_record(&mut self, wanted: u64) {
        let (Some(host), Some((_, record))) = (self.deciding(), self.record_at(wanted)) else { return };
        // Otherwise it has not come yet, or is no more.
        let Ok(Some(here)) = host.organisation.caseload_of(record) else { return };
        let Some(to) = self.caseloads.iter().find(|caseload| **caseload != here) else { return };
        let act = DecideAct::Move { record: record.to_string(), to: to.to_string() };
        match decisions::run(&host, Decide { act, person: None }) {
            Ok(_) => self.tally.decision("record moved"),
            Err(problem) if problem.code == "erased" => {}
            Err(problem) => self.broken.push(format!("no move: {}", problem.error)),
        }
    }

    pub(super) fn erase(&mut self, number: usize, wanted: u64) {
        let (Some(host), Some((record, id))) = (self.deciding(), self.record_at(wanted)) else { return };
        if !matches!(host.organisation.caseload_of(id), Ok(Some(_))) {
            return;
        }
        if self.canary != Some(Canary::ErasureForgotten) {
            let act = DecideAct::Erase { record: id.to_string(), part: None, reason: "simulated".to_owned() };
            match decisions::run(&host, Decide { act, person: None }) {
                Ok(_) => {}
                Err(problem) if problem.code == "erased" => return,
                Err(problem) => {
                    self.broken.push(format!("no erasure: {}", problem.error));
                    return;
                }
            }
        }
        self.decided.erasures.insert(record, number);
        self.decided.doubtful.remove(&record);
        self.server_knows.insert(number);
        self.tally.decision("record erased");
    }

    /// Whether anybody who counts is certain to know of a decision.
    fn is_known(&self, decision: DecisionId) -> bool {
        self.server_knows.contains(&decision) || self.phones.iter().any(|phone| !phone.outlaw && phone.knows.contains(&decision))
    }

    /// A decision of which nobody is left who knows never was, or somebody heard of it in a session that was cut off.
    pub(super) fn forget_decisions(&mut self) {
        if let Some(decision) = self.decided.revocation.filter(|decision| !self.is_known(*decision)) {
            self.decided.revocation = None;
            let outlaw = self.phones.iter().find(|phone| phone.outlaw);
            self.decided.pardoned = outlaw.map(|phone| (decision, phone.key));
            self.phones.iter_mut().for_each(|phone| phone.outlaw = false);
            self.model.pardon();
        }
        let forgotten: Vec<usize> =
            self.decided.erasures.iter().filter(|(_, decision)| !self.is_known(**decision)).map(|(record, _)| *record).collect();
        for record in forgotten {
            self.decided.erasures.remove(&record);
            self.decided.doubtful.insert(record);
        }
    }
}
