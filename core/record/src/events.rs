//! Answers that are events: each one given is kept, and the state shown is a fold over them with the form's legality table.
//!
//! An event names the events that it was shown. Those that no other effective event was shown are the *tips*; a tip is left out
//! where the table says that another beats it. One tip is the state. Several that differ are a conflict; so are several equal ones
//! that each needed a role (two approvals of one instalment): the state holds, once.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::Hash;
use serde::{Deserialize, Serialize};

use crate::provenance::Provenance;
use crate::shape::Rule;

/// Most events of one question.
pub const MAX_EVENTS: usize = 10_000;

/// What an event's key holds, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBody {
    /// The state entered.
    #[serde(rename = "v")]
    pub value: String,
    /// The tips that it was shown.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// A person decided a conflict with it: the table does not apply.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub decision: bool,
}

/// One event with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identifier.
    pub id: String,
    /// What it says.
    pub body: EventBody,
    /// The change that carries it.
    pub change: Hash,
    /// Who, when.
    pub provenance: Provenance,
}

/// What the events of one question come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// The state.
    pub shown: Option<String>,
    /// Events that stand, the one shown first: more than one is a conflict.
    pub tips: Vec<String>,
    /// Events that the table does not allow to their author.
    pub refused: Vec<String>,
    /// Events that another beat.
    pub beaten: Vec<String>,
    /// The state was entered by a rule that needs a role, and something may follow it.
    pub payable: bool,
}

/// Folds the events of one question. Order, duplication and path of arrival make no difference.
pub fn fold(events: &[Event], rules: &[Rule]) -> Folded {
    let by_id: BTreeMap<&str, &Event> = events.iter().take(MAX_EVENTS).map(|event| (event.id.as_str(), event)).collect();
    let mut folded = Folded::default();
    let mut effective: BTreeSet<&str> = BTreeSet::new();
    // Depth first over what each was shown, so that an event is judged after those before it.
    let mut judged: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<(&Event, bool)> = by_id.values().rev().map(|event| (*event, false)).collect();
    let mut entered: BTreeSet<&str> = BTreeSet::new();
    while let Some((event, expanded)) = open.pop() {
        let id = event.id.as_str();
        if judged.contains(id) {
            continue;
        }
        if !expanded {
            if !entered.insert(id) {
                continue;
            }
            open.push((event, true));
            for seen in &event.body.seen {
                if let Some(before) = by_id.get(seen.as_str()) {
                    open.push((before, false));
                }
            }
            continue;
        }
        judged.insert(id);
        if event.body.decision || is_allowed(event, rules, &by_id, &effective) {
            effective.insert(id);
        } else {
            folded.refused.push(event.id.clone());
        }
    }
    let covered = covered(&by_id, &effective);
    let mut tips: Vec<&Event> =
        effective.iter().filter(|id| !covered.contains(*id)).filter_map(|id| by_id.get(id).copied()).collect();
    let values: BTreeSet<&str> = tips.iter().map(|tip| tip.body.value.as_str()).collect();
    let loses =
        |value: &str| values.iter().any(|other| *other != value && beats(other, value, rules) && !beats(value, other, rules));
    let (stay, lost): (Vec<&Event>, Vec<&Event>) = tips.iter().partition(|tip| !loses(&tip.body.value));
    if !stay.is_empty() {
        folded.beaten = lost.iter().map(|event| event.id.clone()).collect();
        tips = stay;
    }
    tips.sort_by(|a, b| b.id.cmp(&a.id));
    folded.shown = tips.first().map(|tip| tip.body.value.clone());
    let differ = tips.iter().any(|tip| Some(&tip.body.value) != folded.shown.as_ref());
    let needs_role = folded.shown.as_ref().is_some_and(|value| rules.iter().any(|rule| rule.to == *value && rule.role.is_some()));
    let onward = folded.shown.as_ref().is_some_and(|value| rules.iter().any(|rule| rule.from == *value));
    folded.payable = needs_role && onward;
    folded.tips = if differ || needs_role {
        tips.iter().map(|tip| tip.id.clone()).collect()
    } else {
        tips.first().map(|tip| tip.id.clone()).into_iter().collect()
    };
    folded
}

fn beats(winner: &str, loser: &str, rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.to == winner && rule.beats.iter().any(|beaten| beaten == loser))
}

/// Whether the table has a way from something that the event was shown, and its author may go it.
fn is_allowed(event: &Event, rules: &[Rule], by_id: &BTreeMap<&str, &Event>, effective: &BTreeSet<&str>) -> bool {
    if rules.is_empty() {
        return true;
    }
    let states: BTreeSet<&str> = event
        .body
        .seen
        .iter()
        .filter(|id| effective.contains(id.as_str()))
        .filter_map(|id| by_id.get(id.as_str()))
        .map(|before| before.body.value.as_str())
        .collect();
    rules.iter().any(|rule| {
        let from = if states.is_empty() { rule.from.is_empty() } else { states.contains(rule.from.as_str()) };
        from && rule.to == event.body.value && rule.role.is_none_or(|role| event.provenance.role >= role)
    })
}

/// Events that an effective event was shown, directly or through others.
fn covered<'a>(by_id: &BTreeMap<&'a str, &'a Event>, effective: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let mut covered = BTreeSet::new();
    let mut open: Vec<&str> = effective.iter().copied().collect();
    while let Some(id) = open.pop() {
        let Some(event) = by_id.get(id) else { continue };
        for seen in &event.body.seen {
            if let Some((seen, _)) = by_id.get_key_value(seen.as_str())
                && covered.insert(*seen)
            {
                open.push(seen);
            }
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use karwan_proto::{DeviceId, PersonId, Role};

    fn event(id: &str, value: &str, seen: &[&str], role: Role) -> Event {
        let provenance = Provenance { device: DeviceId([1; 16]), person: PersonId([2; 16]), role, at_ms: 0, offset_minutes: 0 };
        let body = EventBody { value: value.to_owned(), seen: seen.iter().map(|id| (*id).to_owned()).collect(), decision: false };
        Event { id: id.to_owned(), body, change: Hash([0; 32]), provenance }
    }

    fn rule(from: &str, to: &str, role: Option<Role>, beats: &[&str]) -> Rule {
        Rule { from: from.to_owned(), to: to.to_owned(), role, beats: beats.iter().map(|state| (*state).to_owned()).collect() }
    }

    #[test]
    fn a_withdrawal_beats_a_concurrent_booking() {
        let rules = [
            rule("", "registered", None, &[]),
            rule("registered", "booked", None, &[]),
            rule("registered", "withdrawn", None, &["booked"]),
        ];
        let events = [
            event("1", "registered", &[], Role::Enumerator),
            event("2", "booked", &["1"], Role::Enumerator),
            event("3", "withdrawn", &["1"], Role::Enumerator),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let folded = fold(&order.map(|at| events[at].clone()), &rules);
            assert_eq!(folded.shown.as_deref(), Some("withdrawn"));
            assert_eq!(folded.tips, ["3"]);
            assert_eq!(folded.beaten, ["2"]);
        }
    }

    #[test]
    fn two_approvals_of_one_instalment_are_a_conflict_and_payable_once() {
        let supervisor = Some(Role::Supervisor);
        let rules = [
            rule("", "planned", None, &[]),
            rule("planned", "approved", supervisor, &[]),
            rule("approved", "paid", supervisor, &[]),
        ];
        let events = [
            event("1", "planned", &[], Role::Enumerator),
            event("2", "approved", &["1"], Role::Supervisor),
            event("3", "approved", &["1"], Role::Supervisor),
        ];
        let folded = fold(&events, &rules);
        assert_eq!(folded.tips.len(), 2);
        assert!(folded.payable);
        assert_eq!(folded.shown.as_deref(), Some("approved"));
        let mut decided = events.to_vec();
        decided.push(event("4", "approved", &["2", "3"], Role::Supervisor));
        decided[3].body.decision = true;
        let folded = fold(&decided, &rules);
        assert_eq!(folded.tips, ["4"]);
        assert!(folded.payable);
    }

    #[test]
    fn an_event_that_its_author_may_not_enter_has_no_effect_and_is_kept() {
        let rules = [rule("", "planned", None, &[]), rule("planned", "approved", Some(Role::Supervisor), &[])];
        let events = [event("1", "planned", &[], Role::Enumerator), event("2", "approved", &["1"], Role::Enumerator)];
        let folded = fold(&events, &rules);
        assert_eq!(folded.shown.as_deref(), Some("planned"));
        assert_eq!(folded.refused, ["2"]);
    }
}
