//! A record in its form's words: questions, groups and repeats in the form's order and the reader's language, each answer with who gave
//! it, and all answers of a question where teams disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_client::query::{RecordShown, ShownValue};
use karwan_form::interview::{Interview, Mode};
use karwan_form::model::Form;
use karwan_proto::{AttachmentName, RecordId};
use karwan_record::{judge, place};

use super::fault::Fault;
use super::pages::file::is_picture;
use super::questions::{Question, language_of};
use super::say::Language;
use super::visit::Visit;
use crate::projector::rows;

/// One answered question.
#[derive(Debug, Clone)]
pub struct Line {
    /// Path with instance identifiers.
    pub place: String,
    /// Path with positions: the same in two records.
    pub reference: String,
    /// Groups that begin here: how deep, and what they are called.
    pub heads: Vec<(usize, String)>,
    pub label: String,
    /// The one shown first; more than one is a disagreement.
    pub answers: Vec<Answer>,
    /// Calculated or captured: nobody was asked.
    pub calculated: bool,
    /// The entity that the answer names.
    pub entity: Option<String>,
}

/// One answer with where it is from.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In the reader's language.
    pub text: String,
    /// Who gave it and when; nothing where it is calculated.
    pub given: Option<ShownValue>,
}

impl Answer {
    /// The file that the answer refers to.
    pub fn file(&self) -> Option<AttachmentName> {
        self.given.as_ref()?.value.parse().ok()
    }

    /// Whether that is a picture.
    pub fn is_picture(&self) -> bool {
        self.file().is_some_and(|name| is_picture(&name))
    }
}

/// A record opened for reading.
pub struct Reading<'a> {
    visit: &'a Visit<'a>,
    form: Option<Arc<Form>>,
    interview: Option<Interview>,
    /// Entities that it writes to: `LIST:ID` and what it calls them.
    pub writes: Vec<(String, String)>,
}

impl<'a> Reading<'a> {
    /// Opens a record that these eyes may see: [`crate::query::show`] has said so.
    pub fn of(visit: &'a Visit<'a>, record: &str) -> Result<Self, Fault> {
        let id: RecordId = record.parse().map_err(|_| Fault::NotFound)?;
        let host = visit.host();
        let nothing = Self { visit, form: None, interview: None, writes: Vec::new() };
        let Some(caseload) = host.organisation.caseload_of(id)? else { return Ok(nothing) };
        let Some(loaded) = rows::load(&host.projector, &host.organisation, caseload, id)? else { return Ok(nothing) };
        let writes = loaded.projection.entity_writes.iter();
        let writes =
            writes.map(|write| (format!("{}:{}", write.list, write.id), write.label.clone().unwrap_or_default())).collect();
        let Some(known) = &loaded.known else { return Ok(Self { writes, ..nothing }) };
        let context = judge::context_at(&loaded.record, &loaded.record.heads());
        let opened = Interview::open(known.form.clone(), &loaded.projection.answers, context, Mode::Judge);
        let mut interview = opened.ok();
        let language = known.form.languages.get(language_of(&known.form, visit.language()));
        if let (Some(interview), Some(language)) = (&mut interview, language) {
            // A form that lacks the language keeps its own.
            interview.set_language(language).ok();
        }
        Ok(Self { visit, form: Some(known.form.clone()), interview, writes })
    }

    /// Whether the form is here, so that questions have their words.
    pub fn has_form(&self) -> bool {
        self.interview.is_some()
    }

    /// The question at a place.
    pub fn question(&self, place: &str) -> Option<Question> {
        Question::at(self.form.as_ref()?, &place::form_path(place), self.visit.language())
    }

    /// What a question is called: its label with the repeat instance around it.
    pub fn label(&self, place: &str) -> String {
        let node = self.interview.as_ref().and_then(|interview| interview.node(place));
        let words = node.and_then(|node| node.label).filter(|label| !label.trim().is_empty());
        words.or_else(|| self.question(place).map(|question| question.label())).unwrap_or_else(|| named(place).to_owned())
    }

    /// The groups and instances around a place, outermost first.
    pub fn around(&self, place: &str) -> Vec<String> {
        let Some(interview) = &self.interview else { return Vec::new() };
        let mut labels = Vec::new();
        for (at, _) in place.match_indices('/').skip(2) {
            let Some(node) = place.get(..at).and_then(|above| interview.node(above)) else { continue };
            let label = node.label.unwrap_or_default();
            let position = node.reference.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map(|(_, position)| position);
            let told = match position {
                Some(position) => format!("{label} {}", self.visit.language().number(position)),
                None => label,
            };
            if !told.trim().is_empty() {
                labels.push(told.trim().to_owned());
            }
        }
        labels
    }

    /// What a stored value means at a place.
    pub fn said(&self, place: &str, value: &str) -> String {
        let question = self.question(place);
        question.map_or_else(
            || value.to_owned(),
            |question| question.said(value, self.visit.host(), &self.visit.scope, self.visit.language()),
        )
    }

    /// All answers: those that somebody gave, in the form's order; then what the form calculates or does not ask for as things stand.
    pub fn lines(&self, shown: &RecordShown) -> (Vec<Line>, Vec<Line>) {
        let (mut given, mut rest) = (Vec::new(), Vec::new());
        let mut told = BTreeSet::new();
        let mut above: Vec<String> = Vec::new();
        for value in self.interview.iter().flat_map(Interview::display_values) {
            told.insert(value.place.clone());
            let answers = match shown.values.get(&value.place) {
                Some(values) => self.answers(&value.place, values),
                None => vec![Answer { text: value.display.clone(), given: None }],
            };
            let calculated = value.calculated;
            let mut line = self.line(value.place, value.reference, value.label, answers);
            line.calculated = calculated;
            if calculated {
                rest.push(line);
                continue;
            }
            let groups: Vec<String> = value.groups.iter().map(|group| numbered(group, self.visit.language())).collect();
            let common = above.iter().zip(&groups).take_while(|(one, other)| one == other).count();
            line.heads = groups.iter().enumerate().skip(common).map(|(depth, group)| (depth, group.clone())).collect();
            above = groups;
            given.push(line);
        }
        for (place, values) in shown.values.iter().filter(|(place, _)| !told.contains(*place)) {
            let line = self.line(place.clone(), place.clone(), String::new(), self.answers(place, values));
            // A disagreement is never put aside, not even one in which nothing is the answer that shows.
            if values.len() > 1 { given.push(line) } else { rest.push(line) }
        }
        (given, rest)
    }

    /// The line of one question.
    pub fn line_at(&self, shown: &RecordShown, place: &str) -> Line {
        let values = shown.values.get(place).map_or(&[][..], Vec::as_slice);
        self.line(place.to_owned(), place.to_owned(), String::new(), self.answers(place, values))
    }

    /// Places of the questions that the rule of a question speaks of, itself first.
    pub fn involved(&self, shown: &RecordShown, place: &str) -> Vec<String> {
        let mut found = vec![place.to_owned()];
        let Some(form) = &self.form else { return found };
        let node = form.by_path.get(place::form_path(place).as_ref()).and_then(|node| form.nodes.get(*node));
        let Some(rule) = node.and_then(|node| node.bind.constraint.as_ref()) else { return found };
        let words =
            rule.source.split(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/')));
        let names: BTreeSet<&str> = words.filter(|word| word.contains('/')).map(named).collect();
        let here = place::instance_of(place);
        found.extend(
            shown
                .values
                .keys()
                .filter(|other| {
                    let near = place::instance_of(other);
                    *other != place && names.contains(named(other)) && (near == here || here.starts_with(near))
                })
                .cloned(),
        );
        found
    }

    fn line(&self, place: String, reference: String, label: String, answers: Vec<Answer>) -> Line {
        let label = if label.trim().is_empty() { self.label(&place) } else { label };
        let list = self.question(&place).and_then(|question| question.entity_list().map(str::to_owned));
        let entity = list.and_then(|list| {
            let value = answers.first()?.given.as_ref()?.value.trim();
            (!value.is_empty()).then(|| format!("{list}:{value}"))
        });
        Line { place, reference, heads: Vec::new(), label, answers, calculated: false, entity }
    }

    fn answers(&self, place: &str, values: &[ShownValue]) -> Vec<Answer> {
        values.iter().map(|value| Answer { text: self.said(place, &value.value), given: Some(value.clone()) }).collect()
    }
}

/// What the answers of two records have in common and where they differ, in the order of the first.
pub fn side_by_side(left: Vec<Line>, right: &[Line]) -> Vec<(String, [String; 2])> {
    let text = |line: &Line| line.answers.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>().join(" / ");
    let mut others: BTreeMap<String, Line> = right.iter().map(|line| (line.reference.clone(), line.clone())).collect();
    let mut rows = Vec::new();
    for line in left {
        let other = others.remove(&line.reference);
        rows.push((line.label.clone(), [text(&line), other.as_ref().map(text).unwrap_or_default()]));
    }
    let rest = right.iter().filter(|line| others.contains_key(&line.reference));
    rows.extend(rest.map(|line| (line.label.clone(), [String::new(), text(line)])));
    rows
}

/// The last name of a path.
fn named(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A group with its position in the reader's digits.
fn numbered(group: &str, language: Language) -> String {
    match group.rsplit_once(' ') {
        Some((label, position)) if !position.is_empty() && position.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{label} {}", language.number(position))
        }
        _ => group.to_owned(),
    }
}
