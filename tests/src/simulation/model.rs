//! What must be true, told as plainly as it can be: who wrote which value having seen which others, and who holds it.
//!
//! A write replaces the values that its author was shown, and no others. So the values of a question are those writes that nobody replaced, and a
//! write counts as long as one place holds it. The model knows nothing of changes, envelopes, logs or cursors.

use std::collections::{BTreeMap, BTreeSet};

/// A write by its number.
pub type WriteId = usize;
/// A question of a record: the record's number in the world and the question's name.
pub type Question = (usize, &'static str);

/// One value that somebody gave. Values are never given twice.
#[derive(Debug, Clone)]
struct Write {
    question: Question,
    value: String,
    /// Values that the author was shown.
    seen: BTreeSet<WriteId>,
}

/// All writes that were ever tried.
#[derive(Debug, Default)]
pub struct Model {
    writes: BTreeMap<WriteId, Write>,
    named: BTreeMap<String, WriteId>,
    /// Written again by a copy of a phone that did not know what became of them: may stand beside what replaced them.
    again: BTreeSet<WriteId>,
    /// Tried, and not acknowledged.
    unsure: BTreeSet<WriteId>,
    /// Tried by somebody who had lost the right: may be seen nowhere else.
    forbidden: BTreeSet<WriteId>,
}

/// How the values of a question differ from what must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<String>,
    pub unexpected: Vec<String>,
}

impl Model {
    /// Notes a write before it is tried.
    pub fn try_write(&mut self, id: WriteId, question: Question, value: &str, seen: BTreeSet<WriteId>) {
        self.writes.insert(id, Write { question, value: value.to_owned(), seen });
        self.named.insert(value.to_owned(), id);
        self.unsure.insert(id);
    }

    /// It was acknowledged, or somebody was shown it.
    pub fn is_sure(&mut self, id: WriteId) {
        self.unsure.remove(&id);
    }

    /// It may be seen nowhere but on its author's phone.
    pub fn forbid(&mut self, id: WriteId) {
        self.forbidden.insert(id);
        self.unsure.remove(&id);
    }

    /// Nobody is left who knows of what had been forbidden: it may be there or not.
    pub fn pardon(&mut self) {
        self.unsure.append(&mut self.forbidden);
    }

    /// A copy of a phone held these, not sent: they may be written again.
    pub fn may_come_again(&mut self, ids: impl IntoIterator<Item = WriteId>) {
        self.again.extend(ids);
    }

    /// The write that began a record.
    pub fn beginning_of(&self, record: usize) -> Option<WriteId> {
        self.writes.iter().find(|(_, write)| write.question.0 == record).map(|(id, _)| *id)
    }

    /// The record that a write is of, by its number in the world.
    pub fn record_of(&self, id: WriteId) -> Option<usize> {
        self.writes.get(&id).map(|write| write.question.0)
    }

    /// The writes that these values are.
    pub fn of_values<'a>(&self, values: impl IntoIterator<Item = &'a String>) -> BTreeSet<WriteId> {
        values.into_iter().filter_map(|value| self.named.get(value).copied()).collect()
    }

    /// Questions that anybody ever answered.
    pub fn questions(&self) -> BTreeSet<Question> {
        self.writes.values().map(|write| write.question).collect()
    }

    /// Compares the values shown with what must be where these writes are held by somebody.
    pub fn difference(&self, question: Question, shown: &BTreeSet<String>, held: &BTreeSet<WriteId>) -> Difference {
        let shown_ids = self.of_values(shown);
        let real: BTreeSet<WriteId> = self
            .writes
            .iter()
            .filter(|(_, write)| write.question == question)
            .map(|(id, _)| *id)
            .filter(|id| !self.forbidden.contains(id))
            .filter(|id| held.contains(id) || shown_ids.contains(id))
            .collect();
        // What a write replaced had replaced something itself, also where nobody but this write tells of it any more.
        let mut replaced = BTreeSet::new();
        let mut open: Vec<WriteId> = real.iter().flat_map(|id| self.writes[id].seen.iter().copied()).collect();
        while let Some(id) = open.pop() {
            if replaced.insert(id) {
                open.extend(self.writes[&id].seen.iter().copied());
            }
        }
        let standing: BTreeSet<WriteId> = real.difference(&replaced).copied().collect();
        let values = |ids: &mut dyn Iterator<Item = WriteId>| ids.map(|id| self.writes[&id].value.clone()).collect::<Vec<_>>();
        let missing = values(&mut standing.difference(&shown_ids).copied().filter(|id| held.contains(id)));
        let mut unexpected = values(&mut shown_ids.difference(&standing).copied().filter(|id| !self.again.contains(id)));
        unexpected.extend(shown.iter().filter(|value| !self.named.contains_key(*value)).cloned());
        Difference { missing, unexpected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_write_replaces_what_its_author_saw_and_nothing_else() {
        let mut model = Model::default();
        let question = (0, "phone");
        model.try_write(1, question, "a", BTreeSet::new());
        model.try_write(2, question, "b", [1].into());
        model.try_write(3, question, "c", [1].into());
        let held = [1, 2, 3].into();
        assert_eq!(model.difference(question, &set(&["b", "c"]), &held), Difference::default());
        let loser_dropped = model.difference(question, &set(&["c"]), &held);
        assert_eq!(loser_dropped.missing, ["b"]);
        let resurrected = model.difference(question, &set(&["a", "b", "c"]), &held);
        assert_eq!(resurrected.unexpected, ["a"]);
    }

    #[test]
    fn what_was_not_acknowledged_may_be_there_or_not_and_what_is_forbidden_may_not() {
        let mut model = Model::default();
        let question = (0, "phone");
        model.try_write(1, question, "a", BTreeSet::new());
        model.is_sure(1);
        model.try_write(2, question, "b", [1].into());
        assert_eq!(model.difference(question, &set(&["a"]), &[1].into()), Difference::default());
        assert_eq!(model.difference(question, &set(&["b"]), &[1].into()), Difference::default());
        model.try_write(3, question, "c", [2].into());
        assert_eq!(model.difference(question, &set(&["c"]), &[1].into()), Difference::default());
        model.forbid(2);
        assert_eq!(model.difference(question, &set(&["a", "b"]), &[1].into()).unexpected, ["b"]);
    }
}
