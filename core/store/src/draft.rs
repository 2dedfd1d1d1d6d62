//! Interviews that are not finished: a journal with one row an answer, each committed before the next question is asked.
//!
//! The journal says what changed in the stored answers (what was captured along with an answer included), by flat keys; folding
//! it gives the answers again. So a killed process loses nothing that was acknowledged, and a resumed interview shows the same
//! captured values as before.

use std::collections::BTreeMap;

use karwan_form::answers::{Answer, Answers, Instance};
use karwan_proto::ids::{CaseloadId, Hash, PersonId, RecordId};
use rusqlite::params;

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// How deep repeats nest in a stored draft at most.
const DEPTH_MAX: usize = 32;

/// A draft without its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The record that it will be, or that it edits.
    pub record: RecordId,
    /// Its caseload.
    pub caseload: CaseloadId,
    /// The form version.
    pub form: Hash,
    /// Who fills it.
    pub person: PersonId,
    /// Language shown; empty for the form's own.
    pub language: String,
    /// Heads that an edit stands on; `None` in a new interview.
    pub base: Option<Vec<Hash>>,
    /// Seed of its context: instance ids and captured random values are drawn from it.
    pub seed: [u8; 32],
    /// What it is called in lists so far.
    pub title: String,
    /// When it was begun.
    pub started_ms: i64,
    /// When it was last answered.
    pub updated_ms: i64,
    /// The device's offset from UTC in minutes.
    pub offset_minutes: i32,
}

/// Answers by flat key: `m_name`, `member[ID]/m_name`; an instance itself is `member[ID]/#` with its order key.
pub type FlatAnswers = BTreeMap<String, String>;

/// Marks a set among the flat values; text starts with the other one.
const SET: char = 's';
const TEXT: char = 't';
const INSTANCE_MARK: &str = "#";

/// Answers as flat keys.
pub fn flatten(answers: &Answers) -> FlatAnswers {
    let mut flat = FlatAnswers::new();
    flatten_into(answers, "", 0, &mut flat);
    flat
}

fn flatten_into(answers: &Answers, prefix: &str, depth: usize, flat: &mut FlatAnswers) {
    for (key, answer) in &answers.values {
        let value = match answer {
            Answer::Text(text) => format!("{TEXT}{text}"),
            Answer::Set(names) => names.iter().fold(SET.to_string(), |mut all, name| {
                if all.len() > 1 {
                    all.push(' ');
                }
                all.push_str(name);
                all
            }),
        };
        flat.insert(format!("{prefix}{key}"), value);
    }
    if depth >= DEPTH_MAX {
        return;
    }
    for (key, instances) in &answers.repeats {
        for instance in instances {
            let inner = format!("{prefix}{key}[{}]/", instance.id);
            flat.insert(format!("{inner}{INSTANCE_MARK}"), instance.order.clone());
            flatten_into(&instance.answers, &inner, depth + 1, flat);
        }
    }
}

/// Answers from flat keys; what is no such key is left out.
pub fn unflatten(flat: &FlatAnswers) -> Answers {
    let mut answers = Answers::default();
    // An instance's mark sorts before its answers ('#' is below every name character), so instances exist before they are filled.
    for (key, value) in flat {
        let mut here = &mut answers;
        let mut rest = key.as_str();
        while let Some((repeat, after)) = rest.split_once('[') {
            let Some((id, after)) = after.split_once("]/") else { break };
            let instances = here.repeats.entry(repeat.to_owned()).or_default();
            let position = instances.iter().position(|instance| instance.id == id).unwrap_or_else(|| {
                instances.push(Instance { id: id.to_owned(), order: String::new(), answers: Answers::default() });
                instances.len() - 1
            });
            let Some(instance) = instances.get_mut(position) else { break };
            if after == INSTANCE_MARK {
                value.clone_into(&mut instance.order);
            }
            here = &mut instance.answers;
            rest = after;
        }
        if rest != INSTANCE_MARK && !rest.contains('[') {
            let mut characters = value.chars();
            let answer = match characters.next() {
                Some(SET) => {
                    Answer::Set(characters.as_str().split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect())
                }
                _ => Answer::Text(characters.as_str().to_owned()),
            };
            here.values.insert(rest.to_owned(), answer);
        }
    }
    sort_instances(&mut answers, 0);
    answers
}

fn sort_instances(answers: &mut Answers, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for instances in answers.repeats.values_mut() {
        instances.sort_by(|a, b| (&a.order, &a.id).cmp(&(&b.order, &b.id)));
        for instance in instances.iter_mut() {
            sort_instances(&mut instance.answers, depth + 1);
        }
    }
}

/// What an answer changed: keys with their new value, or none where it was taken away.
pub fn difference(before: &FlatAnswers, after: &FlatAnswers) -> Vec<(String, Option<String>)> {
    let changed = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
    changed.chain(gone).collect()
}

impl View<'_> {
    /// One draft.
    pub fn draft(&self, record: RecordId) -> Result<Option<Draft>, StoreError> {
        Ok(self.drafts_where("WHERE record = ?1", [record.0])?.pop())
    }

    /// All drafts, the last answered first.
    pub fn drafts(&self) -> Result<Vec<Draft>, StoreError> {
        self.drafts_where("ORDER BY updated_ms DESC, rowid DESC", [])
    }

    fn drafts_where(&self, tail: &str, parameters: impl rusqlite::Params) -> Result<Vec<Draft>, StoreError> {
        let text = format!(
            "SELECT record, caseload, form, person, language, base, seed, title, started_ms, updated_ms, offset_minutes FROM draft {tail}"
        );
        let mut statement = self.sql.prepare_cached(&text)?;
        let rows = statement.query_map(parameters, |row| {
            let base: Option<String> = row.get(5)?;
            Ok(Draft {
                record: RecordId(row.get(0)?),
                caseload: CaseloadId(row.get(1)?),
                form: Hash(row.get(2)?),
                person: PersonId(row.get(3)?),
                language: row.get(4)?,
                base: base.map(|text| text.split_whitespace().filter_map(|hash| hash.parse().ok()).collect()),
                seed: row.get(6)?,
                title: row.get(7)?,
                started_ms: row.get(8)?,
                updated_ms: row.get(9)?,
                offset_minutes: row.get(10)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A draft's answers, folded from its journal.
    pub fn draft_answers(&self, record: RecordId) -> Result<FlatAnswers, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT key, value FROM draft_step WHERE record = ?1 ORDER BY position")?;
        let mut flat = FlatAnswers::new();
        let mut rows = statement.query([record.0])?;
        while let Some(row) = rows.next()? {
            let (key, value): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            match value {
                Some(value) => flat.insert(key, value),
                None => flat.remove(&key),
            };
        }
        Ok(flat)
    }

    /// The newest draft step's time and key, oldest first: what was answered when.
    pub fn draft_steps(&self, record: RecordId) -> Result<Vec<(i64, String)>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT at_ms, key FROM draft_step WHERE record = ?1 ORDER BY position")?;
        Ok(statement.query_map([record.0], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }
}

impl Batch<'_> {
    /// Begins a draft with what is answered already.
    pub fn begin_draft(&self, draft: &Draft, answers: &FlatAnswers) -> Result<(), StoreError> {
        let base = draft.base.as_ref().map(|heads| heads.iter().map(Hash::to_string).collect::<Vec<_>>().join(" "));
        let text = "INSERT INTO draft(record, caseload, form, person, language, base, seed, title, started_ms, updated_ms, offset_minutes)
                    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        self.transaction.execute(
            text,
            params![
                draft.record.0,
                draft.caseload.0,
                draft.form.0,
                draft.person.0,
                draft.language,
                base,
                draft.seed,
                draft.title,
                draft.started_ms,
                draft.updated_ms,
                draft.offset_minutes
            ],
        )?;
        self.append_draft(draft.record, &difference(&FlatAnswers::new(), answers), draft.updated_ms)
    }

    /// Writes one answer to the journal.
    pub fn append_draft(&self, record: RecordId, steps: &[(String, Option<String>)], now_ms: i64) -> Result<(), StoreError> {
        let text = "INSERT INTO draft_step(record, position, at_ms, key, value)
                    VALUES(?1, (SELECT coalesce(max(position), 0) + 1 FROM draft_step WHERE record = ?1), ?2, ?3, ?4)";
        let mut statement = self.transaction.prepare_cached(text)?;
        for (key, value) in steps {
            statement.execute(params![record.0, now_ms, key, value])?;
        }
        Ok(())
    }

    /// Keeps what a draft is called, its language, who fills it and when it was last answered.
    pub fn touch_draft(
        &self,
        record: RecordId,
        title: &str,
        language: &str,
        person: PersonId,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let text = "UPDATE draft SET title = ?2, language = ?3, person = ?4, updated_ms = ?5 WHERE record = ?1";
        self.transaction.prepare_cached(text)?.execute(params![record.0, title, language, person.0, now_ms])?;
        Ok(())
    }

    /// Ends a draft: it became a change, or was discarded.
    pub fn end_draft(&self, record: RecordId) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM draft WHERE record = ?1", [record.0])?;
        self.transaction.execute("DELETE FROM draft_step WHERE record = ?1", [record.0])?;
        self.settle_attachments(record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn text(value: &str) -> Answer {
        Answer::Text(value.to_owned())
    }

    fn household() -> Answers {
        let instance = |id: &str, order: &str, name: &str| Instance {
            id: id.to_owned(),
            order: order.to_owned(),
            answers: Answers { values: [("m_name".to_owned(), text(name))].into(), ..Answers::default() },
        };
        let mut first = instance("b7", "V", "زهرا");
        first.answers.repeats.insert("dose".to_owned(), vec![instance("1", "V", "x[y]/z #")]);
        Answers {
            values: [
                ("visit/team".to_owned(), text("s1 with spaces")),
                ("needs".to_owned(), Answer::Set(["food".to_owned(), "shelter".to_owned()].into())),
                ("none".to_owned(), Answer::Set([].into())),
            ]
            .into(),
            repeats: [("g/member".to_owned(), vec![first, instance("a1", "W", "علی")]), ("empty".to_owned(), vec![])].into(),
        }
    }

    #[test]
    fn flat_answers_read_back_as_they_were() {
        let mut expected = household();
        assert_eq!(flatten(&expected).get("g/member[b7]/dose[1]/m_name").map(String::as_str), Some("tx[y]/z #"));
        expected.repeats.remove("empty");
        assert_eq!(unflatten(&flatten(&household())), expected);
    }

    #[test]
    fn a_difference_is_what_changed_and_what_went() {
        let before: FlatAnswers = [("a".to_owned(), "t1".to_owned()), ("b".to_owned(), "t2".to_owned())].into();
        let after: FlatAnswers = [("a".to_owned(), "t1".to_owned()), ("c".to_owned(), "t3".to_owned())].into();
        assert_eq!(difference(&before, &after), [("c".to_owned(), Some("t3".to_owned())), ("b".to_owned(), None)]);
    }
}
