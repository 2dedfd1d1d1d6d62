//! What the phones know that they collected, written down when each said that it was safe, and never read from the server; and the
//! comparison of that with what the server has.

use std::collections::{BTreeMap, BTreeSet};

use karwan_client::interview::EntityOperation;
use karwan_client::{Collect, RecordId};
use karwan_form::answers::{Answer, Answers};
use karwan_form::model::{Form, MergeRule};
use serde::Serialize;
use serde_json::Value;

use super::HOUSEHOLDS;
use super::PEOPLE;

/// One interview, before it is known to be safe.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    form: String,
    families: BTreeSet<String>,
    people: BTreeSet<String>,
    answers: BTreeMap<String, String>,
    /// Those of them that are sets of choices.
    sets: BTreeSet<String>,
}

/// One phone's ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    interviews: BTreeMap<RecordId, Noted>,
    edits: Vec<(RecordId, String, String)>,
}

/// How much of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The phones collected it.
    pub collected: usize,
    /// The server has it.
    pub arrived: usize,
    /// The phones collected it and the server has it not.
    pub lost: usize,
}

/// What was collected and what arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Households.
    pub families: Count,
    /// Their members.
    pub people: Count,
    /// Interviews.
    pub interviews: Count,
    /// Answers that a person gave, edits included.
    pub answers: Count,
}

impl Balance {
    /// Whether anything that a phone held for safe is not at the server.
    pub fn lost(&self) -> usize {
        [self.families, self.people, self.interviews, self.answers].iter().map(|count| count.lost).sum()
    }
}

impl Ledger {
    /// What an interview says as it stands: whom it registers, and each answer that a person gave.
    pub fn note(collect: &Collect, form: &str) -> Noted {
        let interview = collect.interview();
        let mut noted = Noted { form: form.to_owned(), ..Noted::default() };
        for write in interview.entity_writes() {
            if write.operation == EntityOperation::Create {
                match write.list.as_str() {
                    HOUSEHOLDS => drop(noted.families.insert(write.id)),
                    PEOPLE => drop(noted.people.insert(write.id)),
                    _ => {}
                }
            }
        }
        let root = format!("/{}", interview.form().root_name);
        given(interview.form(), &interview.answers(), (&root, &root), &mut noted);
        noted
    }

    /// The phone said that the interview is safe.
    pub fn collected(&mut self, record: RecordId, noted: Noted) {
        self.interviews.insert(record, noted);
    }

    /// The phone said that the edit of a question, outside repeats, is safe.
    pub fn edited(&mut self, record: RecordId, form: &Form, place: &str, value: &str) {
        if asked(form, place) {
            self.edits.push((record, place.to_owned(), value.to_owned()));
        }
    }

    /// Records of interviews with a form.
    pub fn records(&self, form: &str) -> Vec<RecordId> {
        self.interviews.iter().filter(|(_, noted)| noted.form == form).map(|(record, _)| *record).collect()
    }

    /// The households that an interview registered.
    pub fn families_of(&self, record: RecordId) -> Vec<String> {
        self.interviews.get(&record).map(|noted| noted.families.iter().cloned().collect()).unwrap_or_default()
    }

    /// How many interviews.
    pub fn count(&self) -> usize {
        self.interviews.len()
    }
}

/// Answers to questions that are asked, by reference. Answers that are events are not compared by their text: which of them shows is the
/// form's to say.
fn given(form: &Form, answers: &Answers, at: (&str, &str), into: &mut Noted) {
    let (place, path) = at;
    for (key, answer) in &answers.values {
        if !asked(form, &format!("{path}/{key}")) {
            continue;
        }
        let reference = format!("{place}/{key}");
        let text = match answer {
            Answer::Text(text) => text.clone(),
            Answer::Set(names) => {
                into.sets.insert(reference.clone());
                names.iter().cloned().collect::<Vec<_>>().join(" ")
            }
        };
        into.answers.insert(reference, text);
    }
    for (key, instances) in &answers.repeats {
        for instance in instances {
            let place = format!("{place}/{key}[{}]", instance.id);
            given(form, &instance.answers, (&place, &format!("{path}/{key}")), into);
        }
    }
}

fn asked(form: &Form, path: &str) -> bool {
    let node = form.by_path.get(path).and_then(|node| form.nodes.get(*node));
    node.is_some_and(|node| node.control.is_some() && node.bind.merge != MergeRule::Events)
}

/// Compares what all phones hold for safe with what the server says: the identifiers of its interviews and entities, and `records show`
/// of each interview.
pub fn balance(
    ledgers: &[&Ledger],
    interviews: &BTreeSet<String>,
    households: &BTreeSet<String>,
    people: &BTreeSet<String>,
    shown: &BTreeMap<String, Value>,
) -> Balance {
    let count = |collected: &BTreeSet<String>, there: &BTreeSet<String>| {
        let arrived = collected.intersection(there).count();
        Count { collected: collected.len(), arrived, lost: collected.len() - arrived }
    };
    let noted = || ledgers.iter().flat_map(|ledger| &ledger.interviews);
    let records = noted().map(|(record, _)| record.to_string()).collect();
    let mut balance = Balance {
        families: count(&noted().flat_map(|(_, noted)| noted.families.clone()).collect(), households),
        people: count(&noted().flat_map(|(_, noted)| noted.people.clone()).collect(), people),
        interviews: count(&records, interviews),
        answers: Count::default(),
    };
    let sets: BTreeSet<&String> = noted().flat_map(|(_, noted)| &noted.sets).collect();
    for ((record, reference), values) in expected(ledgers) {
        let there = shown_values(shown.get(&record), &reference, sets.contains(&reference));
        let arrived = values.intersection(&there).count();
        balance.answers.collected += values.len();
        balance.answers.arrived += arrived;
        balance.answers.lost += values.len() - arrived;
    }
    balance
}

/// What each question must hold: what was edited last on each phone where somebody edited, else what the interview said.
fn expected(ledgers: &[&Ledger]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut expected = BTreeMap::new();
    for (record, noted) in ledgers.iter().flat_map(|ledger| &ledger.interviews) {
        for (reference, value) in &noted.answers {
            expected.insert((record.to_string(), reference.clone()), BTreeSet::from([value.clone()]));
        }
    }
    let mut edited: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for ledger in ledgers {
        let mut last = BTreeMap::new();
        for (record, reference, value) in &ledger.edits {
            last.insert((record.to_string(), reference.clone()), value.clone());
        }
        for (place, value) in last {
            edited.entry(place).or_default().insert(value);
        }
    }
    expected.extend(edited);
    expected
}

/// The values of a question; of a set of choices, whose order is the form's, in the order of the alphabet.
fn shown_values(record: Option<&Value>, reference: &str, set: bool) -> BTreeSet<String> {
    let values = record.and_then(|record| record.get("values")).and_then(|values| values.get(reference));
    let entries = values.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts = entries.iter().filter_map(|entry| entry.get("value").and_then(Value::as_str));
    let sorted = |text: &str| text.split(' ').collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ");
    texts.map(|text| if set { sorted(text) } else { text.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|text| (*text).to_owned()).collect()
    }

    fn record(digit: u8) -> RecordId {
        RecordId::from_random([digit; 16])
    }

    fn ledger(digit: u8, family: &str) -> Ledger {
        let mut ledger = Ledger::default();
        let answers = BTreeMap::from([("/data/phone".to_owned(), "1".to_owned()), ("/data/name".to_owned(), "Ali".to_owned())]);
        let noted = Noted { form: "f".to_owned(), families: set(&[family]), answers, ..Noted::default() };
        ledger.collected(record(digit), noted);
        ledger
    }

    #[test]
    fn what_the_server_lacks_is_lost() {
        let (one, other) = (ledger(1, "a"), ledger(2, "b"));
        let there = BTreeSet::from([record(1).to_string()]);
        let shown = BTreeMap::from([(
            record(1).to_string(),
            json!({"values": {"/data/phone": [{"value": "1"}], "/data/name": [{"value": "Ali"}]}}),
        )]);
        let balance = balance(&[&one, &other], &there, &set(&["a"]), &BTreeSet::new(), &shown);
        assert_eq!(balance.interviews, Count { collected: 2, arrived: 1, lost: 1 });
        assert_eq!(balance.families, Count { collected: 2, arrived: 1, lost: 1 });
        assert_eq!(balance.answers, Count { collected: 4, arrived: 2, lost: 2 });
        assert_eq!(balance.lost(), 4);
    }

    #[test]
    fn two_phones_that_edit_one_answer_are_both_owed_theirs() {
        let (mut one, mut other) = (ledger(1, "a"), Ledger::default());
        one.edits.push((record(1), "/data/phone".to_owned(), "2".to_owned()));
        other.edits.push((record(1), "/data/phone".to_owned(), "3".to_owned()));
        let there = BTreeSet::from([record(1).to_string()]);
        let overwritten = json!({"values": {"/data/phone": [{"value": "3"}], "/data/name": [{"value": "Ali"}]}});
        let shown = BTreeMap::from([(record(1).to_string(), overwritten)]);
        let families = set(&["a"]);
        let lossy = balance(&[&one, &other], &there, &families, &BTreeSet::new(), &shown);
        assert_eq!(lossy.answers, Count { collected: 3, arrived: 2, lost: 1 });
        let kept = json!({"values": {"/data/phone": [{"value": "3"}, {"value": "2"}], "/data/name": [{"value": "Ali"}]}});
        let shown = BTreeMap::from([(record(1).to_string(), kept)]);
        assert_eq!(balance(&[&one, &other], &there, &families, &BTreeSet::new(), &shown).lost(), 0);
    }
}
