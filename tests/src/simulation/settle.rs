//! Everybody comes home, and everything is compared: phones with each other, with the server, and with the model.

use std::collections::{BTreeMap, BTreeSet};

use karwan_client::query::{RecordShown, ShownItem};
use karwan_server::query::{Scope, show};

use super::line::Line;
use super::model::WriteId;
use super::world::World;
use crate::faults::disk;

/// Rounds in which every phone syncs: what one brings in the first the others have after the second, and what had to be written again is
/// there after the third. What came while the server recovered was not told on: they are counted from the end of that.
const ROUNDS: usize = 3;
/// Times that one phone's sync is tried: the server may ask it to begin a new incarnation first.
const TRIES: usize = 5;

impl World {
    pub(super) fn settle(&mut self) {
        self.disarm();
        debug_assert!(!disk::is_dead());
        if !self.everybody_syncs(1) {
            return;
        }
        let mut rounds = ROUNDS - 1;
        let organisation = self.server.as_ref().map(|server| server.host.organisation.clone());
        if let Some(organisation) = organisation
            && organisation.recovering_since().is_ok_and(|since| since.is_some())
        {
            if let Err(problem) = organisation.close_recovery() {
                self.broken.push(format!("recovery does not close: {}", problem.error));
                return;
            }
            rounds = ROUNDS;
        }
        if self.everybody_syncs(rounds) {
            self.compare();
        }
    }

    fn everybody_syncs(&mut self, rounds: usize) -> bool {
        for _ in 0..rounds {
            for number in 0..self.phones.len() {
                if self.phones[number].outlaw {
                    // It tries, and what it brings must be nowhere.
                    self.sync(number, Line::Good).ok();
                    continue;
                }
                let mut last = Ok(());
                for _ in 0..TRIES {
                    last = self.sync(number, Line::Good);
                    if last.is_ok() {
                        break;
                    }
                }
                if let Err(why) = last
                    && !self.is_turned_away(number, &why)
                {
                    self.broken.push(format!("phone {number} cannot come home: {why}"));
                    return false;
                }
            }
        }
        true
    }

    fn compare(&mut self) {
        let lawful: Vec<usize> = (0..self.phones.len()).filter(|number| !self.phones[*number].outlaw).collect();
        let held: BTreeSet<WriteId> = lawful
            .iter()
            .flat_map(|number| self.phones[*number].held.iter().copied())
            .chain(self.server_held.iter().copied())
            .collect();
        let Some(server) = self.server.as_ref() else { return };
        let host = server.host.clone();
        if let Err(problem) = host.projector.catch_up(&host.organisation) {
            self.broken.push(format!("the projector fails: {}", problem.error));
            return;
        }
        for record in 0..self.records.len() {
            let id = self.records[record].to_string();
            let mut seen: Vec<(String, Option<RecordShown>)> = Vec::new();
            for number in &lawful {
                let device = self.phones[*number].device.as_ref();
                seen.push((format!("phone {number}"), device.and_then(|device| device.show(&id).ok())));
            }
            seen.push(("the server".to_owned(), show(&host, &Scope::Everything, &id).ok()));
            if self.decided.is_erased(record) {
                for (who, _) in seen.iter().filter(|(_, shown)| shown.is_some()) {
                    self.broken.push(format!("diverged: {who} shows record {record}, which was erased"));
                }
                self.note(&format!("  record {record} is erased"));
                continue;
            }
            self.compare_replicas(record, &seen);
            if self.decided.is_doubtful(record) {
                continue;
            }
            for question in self.questions().into_iter().filter(|question| question.0 == record) {
                for (who, shown) in &seen {
                    let values = shown.as_ref().map(|shown| Self::values(shown, question.1)).unwrap_or_default();
                    let difference = self.model.difference(question, &values, &held);
                    if !difference.missing.is_empty() {
                        self.broken.push(format!("lost: {who} lacks {:?} of record {record}", difference.missing));
                    }
                    if !difference.unexpected.is_empty() {
                        self.broken.push(format!("diverged: {who} shows {:?} of record {record}", difference.unexpected));
                    }
                    if who == "the server" {
                        self.note(&format!("  record {record} {}: {values:?}", question.1));
                    }
                }
            }
        }
    }

    fn compare_replicas(&mut self, record: usize, seen: &[(String, Option<RecordShown>)]) {
        let Some((first, one)) = seen.first() else { return };
        for (who, other) in &seen[1..] {
            let difference = match (one, other) {
                (Some(one), Some(other)) => differs(one, other),
                (None, None) => None,
                (Some(_), None) => Some("it is not there".to_owned()),
                (None, Some(_)) => Some("it is there".to_owned()),
            };
            if let Some(difference) = difference {
                self.broken.push(format!("diverged: {who} shows record {record} otherwise than {first}: {difference}"));
            }
        }
    }
}

/// The first difference between what two replicas show.
fn differs(one: &RecordShown, other: &RecordShown) -> Option<String> {
    for reference in one.values.keys().chain(other.values.keys()) {
        let (here, there) = (one.values.get(reference), other.values.get(reference));
        if here != there {
            return Some(format!("{reference} is {there:?} and not {here:?}"));
        }
    }
    // In whatever order. Who is who, and what waits for a supervisor, is the server's to tell.
    let items = |shown: &RecordShown| -> BTreeMap<String, ShownItem> {
        let found = shown.items.iter().filter(|item| !matches!(item.kind.as_str(), "duplicate" | "quarantined"));
        found.map(|item| (item.item.clone(), item.clone())).collect()
    };
    let (here, there) = (items(one), items(other));
    for item in here.keys().chain(there.keys()) {
        if here.get(item) != there.get(item) {
            return Some(format!("to decide is {:?} and not {:?}", there.get(item), here.get(item)));
        }
    }
    (one.title != other.title).then(|| "its title is another".to_owned())
}
