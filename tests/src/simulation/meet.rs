//! Two phones of a simulated world meet where no server is: what one has made the other holds too from then on, provisionally.

use std::collections::BTreeSet;

use super::line::{Line, meet_over};
use super::model::WriteId;
use super::world::World;

impl World {
    /// One meeting, over a line that may be harmed in one of its sessions.
    pub(super) fn meet(&mut self, guest: usize, host: usize, line: (usize, Line)) {
        self.plant_before_meeting(host);
        let devices = (self.phones[guest].device.clone(), self.phones[host].device.clone());
        let (Some(came), Some(listened)) = devices else { return };
        let (outcomes, struck) = meet_over(&self.runtime, (&came, &listened), line);
        drop((came, listened));
        self.tally.meetings += 1;
        if let (true, Line::Up(harm, _) | Line::Down(harm, _)) = (struck, line.1) {
            self.tally.fault(harm.kind());
        }
        let done = outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|report| report.refused.is_empty()));
        self.note(&format!("  {guest} and {host}: {}", if done { "met" } else { "not met" }));
        if let [Ok(came), Ok(listened)] = &outcomes {
            let knows = &self.phones[guest].knows | &self.phones[host].knows;
            for number in [guest, host] {
                self.phones[number].knows.clone_from(&knows);
            }
            if done {
                self.exchanged([guest, host], [came.kept_back > 0, listened.kept_back > 0]);
            }
        }
        self.plant_after_meeting(host);
        self.revive();
    }

    /// Both hold what the other held, but for what is to be written again before it goes anywhere. What a phone brings that has lost its rights counts
    /// nowhere.
    fn exchanged(&mut self, [one, other]: [usize; 2], keeps_back: [bool; 2]) {
        let held = [(one, keeps_back[0]), (other, keeps_back[1])].map(|(number, keeps_back)| {
            let phone = &self.phones[number];
            let kept_back = if keeps_back { phone.unsent.clone() } else { BTreeSet::new() };
            if phone.outlaw { BTreeSet::<WriteId>::new() } else { &phone.held - &kept_back }
        });
        let [of_one, of_other] = held;
        for (number, came) in [(one, of_other), (other, of_one)] {
            self.phones[number].held.extend(came);
        }
    }
}
