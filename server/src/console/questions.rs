//! One question of a form in the reader's language: its label, its choices, and what a stored value means.

use std::sync::Arc;

use karwan_form::model::{Form, InstanceSource, Itemset, NodeId};
use karwan_form::outline;

use super::say::Language;
use crate::host::Host;
use crate::organisation::forms::FormRow;
use crate::query::{self, Scope};

/// A question of a form.
#[derive(Clone)]
pub struct Question {
    form: Arc<Form>,
    node: NodeId,
    /// Index of the reader's language among the form's.
    language: usize,
}

/// One choice: what is stored and what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
}

impl Question {
    /// The question of a form at a path without instances.
    pub fn at(form: &Arc<Form>, path: &str, language: Language) -> Option<Self> {
        let node = *form.by_path.get(path)?;
        Some(Self { form: form.clone(), node, language: language_of(form, language) })
    }

    /// The question that writes a property of entities of a list, in the newest of these forms that has one.
    pub fn of_property(host: &Host, forms: &[FormRow], list: &str, property: &str, language: Language) -> Option<Self> {
        forms.iter().rev().find_map(|row| {
            let form = host.organisation.form(row.hash).ok()??;
            let of_list = form.entities.iter().filter(|declared| declared.list == list);
            let node = of_list.flat_map(|declared| &declared.properties).find(|(name, _)| name == property)?.1;
            // A calculation has no words: another form may ask the same in words.
            form.nodes.get(node)?.control.as_ref()?;
            Some(Self { language: language_of(&form, language), form, node })
        })
    }

    /// Its label; its name where it has none.
    pub fn label(&self) -> String {
        let Some(node) = self.form.nodes.get(self.node) else { return String::new() };
        let label = node.control.as_ref().and_then(|control| control.label.as_ref());
        let words = label.map(|label| outline::words(&self.form, label, self.language)).unwrap_or_default();
        if words.is_empty() { node.name.clone() } else { words }
    }

    /// What is offered, before any filter; nothing where the answer is typed or the list is not in the form.
    pub fn choices(&self) -> Vec<Choice> {
        let Some(itemset) = self.itemset() else { return Vec::new() };
        let Some(InstanceSource::Internal(table)) = self.form.instances.get(&itemset.instance).map(|instance| &instance.source)
        else {
            return Vec::new();
        };
        let column = |name: &str| table.columns.iter().position(|column| column == name);
        let (Some(value), label) = (column(&itemset.value_ref), column(&itemset.label_ref).or_else(|| column("label"))) else {
            return Vec::new();
        };
        let rows = table.rows.iter().enumerate().filter_map(|(at, row)| {
            let stored = row.get(value)?.clone();
            let words = table.labels.get(at).map(|text| outline::words(&self.form, text, self.language));
            let words = words.filter(|words| !words.is_empty()).or_else(|| row.get(label?).cloned());
            Some(Choice { label: words.filter(|words| !words.is_empty()).unwrap_or_else(|| stored.clone()), value: stored })
        });
        rows.collect()
    }

    /// The entity list that it chooses from, where it does.
    pub fn entity_list(&self) -> Option<&str> {
        match &self.form.instances.get(&self.itemset()?.instance)?.source {
            InstanceSource::External { file } => file.strip_suffix(".csv"),
            InstanceSource::Internal(_) | InstanceSource::LastSaved => None,
        }
    }

    /// Whether a stored value names choices.
    pub fn is_choice(&self) -> bool {
        self.itemset().is_some()
    }

    /// What a stored value means to the reader.
    pub fn said(&self, value: &str, host: &Host, scope: &Scope, language: Language) -> String {
        if !self.is_choice() {
            return value.to_owned();
        }
        let choices = self.choices();
        let said = value.split_whitespace().map(|name| {
            if let Some(choice) = choices.iter().find(|choice| choice.value == name) {
                return choice.label.clone();
            }
            let entity = self.entity_list().and_then(|list| query::show(host, scope, &format!("{list}:{name}")).ok());
            entity.map(|entity| entity.title).filter(|title| !title.is_empty()).unwrap_or_else(|| name.to_owned())
        });
        said.collect::<Vec<_>>().join(language.words().comma)
    }

    fn itemset(&self) -> Option<&Itemset> {
        self.form.nodes.get(self.node)?.control.as_ref()?.itemset.as_ref()
    }
}

/// Index of the reader's language in a form; the form's first where it does not speak it.
pub fn language_of(form: &Form, language: Language) -> usize {
    outline::language_index(form, language.code()).unwrap_or(form.default_language)
}
