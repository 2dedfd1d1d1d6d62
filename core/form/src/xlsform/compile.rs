//! Second reading: cells become expressions, words, actions and itemsets, now that every name is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::choices::{Choice, ChoiceList};
use super::draft::{List, Words};
use super::references::{LAST_SAVED, Names, ReferenceFault, Source, Style, similar};
use super::report::{Place, Report};
use super::syntax::explained;
use crate::model::{InstanceSource, SecondaryInstance, Table, Text, TextPart};
use crate::xpath::{Expression, XPathError};

/// What a language shows that lacks a text.
const UNSAID: &str = "-";

/// Reads cells of any sheet.
pub struct Compiler<'read> {
    pub names: Names<'read>,
    pub languages: &'read [String],
    pub default_language: usize,
    pub report: &'read mut Report,
    /// Instances that some cell needs: id to file, with the place that first named it.
    pub instances: BTreeMap<String, SecondaryInstance>,
    /// Lists that may be read by `instance('list')` alone.
    pub list_names: BTreeSet<String>,
}

impl Compiler<'_> {
    /// An expression: references resolved, parsed. `None` where the cell is empty or has a fault, which is noted.
    pub fn expression(&mut self, text: &str, source: Source, style: Style, place: Place<'_>) -> Option<Expression> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        // The author's cell is parsed first, with each reference masked by a name of its length, so that a fault's offset is
        // one in that cell.
        if let Err(error) = Expression::parse(&masked(text)) {
            let faults = self.names.resolve(text, source, style).err().unwrap_or_default();
            if !faults.iter().any(|fault| matches!(fault, ReferenceFault::Malformed(_))) {
                self.syntax(text, &error, place);
            }
            self.report.references(place, faults);
            return None;
        }
        let (resolved, last_saved) = match self.names.resolve(text, source, style) {
            Ok(resolved) => resolved,
            Err(faults) => {
                self.report.references(place, faults);
                return None;
            }
        };
        if last_saved {
            let instance = SecondaryInstance { id: LAST_SAVED.to_owned(), source: InstanceSource::LastSaved };
            self.instances.entry(LAST_SAVED.to_owned()).or_insert(instance);
        }
        match Expression::parse(&resolved) {
            Ok(expression) => {
                self.looked_up(&expression, place);
                Some(expression)
            }
            Err(error) => {
                self.syntax(&resolved, &error, place);
                None
            }
        }
    }

    /// `yes` and `no` where an expression may stand.
    pub fn condition(&mut self, text: &str, source: Source, place: Place<'_>) -> Option<Expression> {
        let text = match text {
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" => "true()",
            "no" | "No" | "NO" | "false" | "False" | "FALSE" => "false()",
            other => other,
        };
        self.expression(text, source, Style::default(), place)
    }

    fn syntax(&mut self, text: &str, error: &XPathError, place: Place<'_>) {
        let (message, mend) = explained(text, error);
        self.report.fault(place, message, mend);
    }

    /// Notes which lists an expression reads.
    fn looked_up(&mut self, expression: &Expression, place: Place<'_>) {
        use crate::xpath::syntax::Tree;
        let mut found: Vec<(bool, String)> = Vec::new();
        expression.tree.walk(&mut |tree| {
            if let Tree::Call { function, arguments } = tree
                && let Some(Tree::Text(id)) = arguments.first()
            {
                match function.name {
                    "pulldata" => found.push((true, id.to_string())),
                    "instance" => found.push((false, id.to_string())),
                    _ => {}
                }
            }
        });
        for (pulled, id) in found {
            if pulled {
                self.file(&id.clone(), &format!("{id}.csv"), place);
            } else if id == LAST_SAVED {
                let instance = SecondaryInstance { id: id.clone(), source: InstanceSource::LastSaved };
                self.instances.entry(id).or_insert(instance);
            } else if !self.instances.contains_key(&id) && !self.list_names.contains(&id) {
                let known = self.instances.keys().chain(&self.list_names).map(String::as_str);
                let mend = similar(&id, known).map_or_else(
                    || format!("add a row `csv-external` with the name `{id}`, or use `select_one_from_file {id}.csv`"),
                    |name| format!("did you mean `{name}`?"),
                );
                self.report.fault(place, format!("`instance('{id}')` names no list of this form"), mend);
            }
        }
    }

    /// Notes that the form reads a file. One id means one file.
    pub fn file(&mut self, id: &str, file: &str, place: Place<'_>) {
        if self.list_names.contains(id) {
            self.report.fault(
                place,
                format!("`{id}` is both a list of the choices sheet and the file `{file}`"),
                "rename the list",
            );
            return;
        }
        match self.instances.get(id).map(|instance| &instance.source) {
            Some(InstanceSource::External { file: other }) if other != file => {
                let message = format!("`{id}` would be read from both `{other}` and `{file}`");
                self.report.fault(place, message, "rename one of the files");
            }
            Some(_) => {}
            None => {
                let source = InstanceSource::External { file: file.to_owned() };
                self.instances.insert(id.to_owned(), SecondaryInstance { id: id.to_owned(), source });
            }
        }
    }

    /// Words in all languages. Words without a language are said in every language, unless the text has others too or is
    /// `spoken`: then they are those of the default language, and a language that lacks them shows `-`, as pyxform has it.
    pub fn text(&mut self, words: &Words, spoken: bool, source: Source, place: Place<'_>) -> Option<Text> {
        self.said(words, spoken, true, source, place)
    }

    /// Names of files in all languages; a language without one shows nothing.
    pub fn media(&mut self, words: &Words, source: Source, place: Place<'_>) -> Option<Text> {
        self.said(words, true, false, source, place)
    }

    fn said(&mut self, words: &Words, spoken: bool, spaced: bool, source: Source, place: Place<'_>) -> Option<Text> {
        if words.is_empty() {
            return None;
        }
        let count = self.languages.len().max(1);
        let mut by_language: Vec<Option<Vec<TextPart>>> = vec![None; count];
        let spoken = spoken || words.iter().any(|(language, _)| language.is_some());
        for (language, words) in words {
            let mut parts = self.parts(words, source, place);
            if spaced {
                space(&mut parts);
            }
            match language {
                Some(language) => {
                    let at = self.languages.iter().position(|other| other == language).unwrap_or(0);
                    if let Some(slot) = by_language.get_mut(at) {
                        *slot = Some(parts);
                    }
                }
                None if spoken => {
                    if let Some(slot) = by_language.get_mut(self.default_language)
                        && slot.is_none()
                    {
                        *slot = Some(parts);
                    }
                }
                None => by_language.fill(Some(parts)),
            }
        }
        if spaced {
            for missing in by_language.iter_mut().filter(|slot| slot.is_none()) {
                *missing = Some(vec![TextPart::Literal(UNSAID.to_owned())]);
            }
        }
        Some(Text { by_language })
    }

    fn parts(&mut self, words: &str, source: Source, place: Place<'_>) -> Vec<TextPart> {
        let parts = match self.names.label_parts(words, source) {
            Ok(parts) => parts,
            Err(faults) => {
                self.report.references(place, faults);
                return vec![TextPart::Literal(words.to_owned())];
            }
        };
        parts
            .into_iter()
            .map(|(output, text)| {
                if !output {
                    return TextPart::Literal(text);
                }
                if text.contains(LAST_SAVED) {
                    let instance = SecondaryInstance { id: LAST_SAVED.to_owned(), source: InstanceSource::LastSaved };
                    self.instances.entry(LAST_SAVED.to_owned()).or_insert(instance);
                }
                Expression::parse(&text).map_or(TextPart::Literal(text), TextPart::Output)
            })
            .collect()
    }

    /// A list of the choices sheet as a table.
    pub fn table(&mut self, list: &ChoiceList) -> Table {
        let nowhere = Source { container: None, steps: 0 };
        let mut columns = vec!["name".to_owned(), "label".to_owned()];
        columns.extend(list.columns.iter().cloned());
        let spoken = list.is_spoken();
        let (mut labels, mut media) = (Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(list.rows.len());
        for choice in &list.rows {
            let mut cells = vec![choice.name.clone(), self.shown(&choice.label)];
            for column in &list.columns {
                cells.push(extra(choice, column));
            }
            rows.push(cells);
            if spoken {
                let place = Place { sheet: "choices", row: choice.row, column: "label" };
                labels.push(self.text(&choice.label, true, nowhere, place).unwrap_or_default());
                let files = choice.media.iter();
                media.push(
                    files
                        .filter_map(|(medium, words)| Some((medium.clone(), self.media(words, nowhere, place)?)))
                        .collect::<BTreeMap<String, Text>>(),
                );
            }
        }
        if media.iter().all(BTreeMap::is_empty) {
            media.clear();
        }
        Table { labels, media, ..Table::new(columns, rows) }
    }

    /// The words of the language that is shown first.
    fn shown(&self, words: &Words) -> String {
        let language = self.languages.get(self.default_language);
        let first = words.iter().find(|(other, _)| other.is_some() && other.as_ref() == language);
        first
            .or_else(|| words.iter().find(|(other, _)| other.is_none()))
            .or(words.first())
            .map(|(_, text)| text.clone())
            .unwrap_or_default()
    }

    /// The table of a list as an instance of the form.
    pub fn internal(&mut self, id: &str, list: &ChoiceList) {
        let table = self.table(list);
        let source = InstanceSource::Internal(Arc::new(table));
        self.instances.insert(id.to_owned(), SecondaryInstance { id: id.to_owned(), source });
    }

    /// The nodeset of a select, the instance it reads, and the children that hold value and label.
    pub fn nodeset(
        &mut self,
        list: &List,
        filter: &str,
        source: Source,
        places: (Place<'_>, Place<'_>),
    ) -> Option<(String, Expression, Option<String>)> {
        let (type_place, filter_place) = places;
        let (instance, base, leaf) = match list {
            List::Choices(name) => (name.clone(), format!("instance('{name}')/root/item"), None),
            List::ExternalChoices(name) => {
                let id = external_id(name, &self.list_names);
                let nodeset = format!("instance('{id}')/root/item");
                (id, nodeset, None)
            }
            List::File(file) => {
                let id = file.rsplit_once('.').map_or(file.as_str(), |(id, _)| id).to_owned();
                self.file(&id, file, type_place);
                (id.clone(), format!("instance('{id}')/root/item"), None)
            }
            List::Repeat(reference) => {
                let style = Style { through_repeat: true, ..Style::default() };
                let (path, _) = self.resolved(reference, source, style, type_place)?;
                let (base, leaf) = path.trim().rsplit_once('/').map(|(base, leaf)| (base.to_owned(), leaf.to_owned()))?;
                (String::new(), base, Some(leaf))
            }
        };
        let mut predicate = String::new();
        if !filter.is_empty() {
            let style = Style { predicate: true, through_repeat: leaf.is_some() };
            // Faults are found in the filter as the author wrote it.
            self.expression(filter, source, style, filter_place)?;
            predicate = self.resolved(filter, source, style, filter_place)?.0;
            if leaf.is_some() {
                predicate = predicate.replace(&format!("current()/{base}"), ".").replace(&base, ".");
            }
        } else if let Some(leaf) = &leaf {
            predicate = format!("./{leaf} != ''");
        }
        let nodeset = if predicate.is_empty() { base } else { format!("{base}[{predicate}]") };
        match Expression::parse(&nodeset) {
            Ok(expression) => Some((instance, expression, leaf)),
            Err(error) => {
                self.syntax(&nodeset, &error, filter_place);
                None
            }
        }
    }

    /// A text with its references as paths.
    pub fn words(&mut self, text: &str, source: Source, place: Place<'_>) -> Option<String> {
        self.resolved(text, source, Style::default(), place).map(|(resolved, _)| resolved)
    }

    fn resolved(&mut self, text: &str, source: Source, style: Style, place: Place<'_>) -> Option<(String, bool)> {
        match self.names.resolve(text, source, style) {
            Ok(resolved) => Some(resolved),
            Err(faults) => {
                self.report.references(place, faults);
                None
            }
        }
    }
}

/// The id of a list of the sheet `external_choices`: its name, where the choices sheet has no such list.
pub fn external_id(name: &str, choices: &BTreeSet<String>) -> String {
    if choices.contains(name) { format!("{name}.external") } else { name.to_owned() }
}

/// Words around an output stand a space away from the text's ends, as pyxform writes them.
fn space(parts: &mut Vec<TextPart>) {
    if parts.len() < 2 {
        return;
    }
    if let Some(TextPart::Literal(words)) = parts.first_mut() {
        words.insert(0, ' ');
    }
    match parts.last_mut() {
        Some(TextPart::Literal(words)) => words.push(' '),
        _ => parts.push(TextPart::Literal(" ".to_owned())),
    }
}

fn extra(choice: &Choice, column: &str) -> String {
    choice.extras.iter().find(|(other, _)| other == column).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Each `${name}` as a name of the same length.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        masked.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at..).unwrap_or_default();
        let Some(end) = after.find('}') else {
            masked.push_str(after);
            return masked;
        };
        let letters = after.get(..=end).unwrap_or_default().chars().count();
        masked.extend(std::iter::repeat_n('x', letters));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    masked.push_str(rest);
    masked
}
