//! An answers file to fill in: one line a question, with its words, type and choices as a comment above.

use karwan_form::model::{Control, ControlKind, DataType, Form, InstanceSource, Node, NodeId, NodeKind, SecondaryInstance};
use karwan_form::outline::words;

/// Choices of a list that are written out; the rest is counted.
const CHOICES_SHOWN: usize = 20;

/// The file, with the questions in this language.
pub(super) fn template(form: &Form, language: usize) -> String {
    let mut text = format!("# {} ({})\n# Take the # away before each line that you answer: name=value.\n", form.title, form.id);
    text.push_str("# In a repeat, name@2=value answers in the second instance.\n");
    for child in form.nodes.first().map(|root| root.children.as_slice()).unwrap_or_default() {
        write(form, language, *child, 0, &mut text);
    }
    text
}

fn write(form: &Form, language: usize, id: NodeId, repeats: usize, text: &mut String) {
    let Some(node) = form.nodes.get(id) else { return };
    let label = node.control.as_ref().and_then(|control| control.label.as_ref()).map(|label| words(form, label, language));
    match &node.kind {
        NodeKind::Value => {
            if let Some(control) = node.control.as_ref().filter(|control| control.kind != ControlKind::Note) {
                text.push_str(&format!("\n# {}{}\n", label.unwrap_or_default(), remarks(form, language, node, control)));
                text.push_str(&format!("# {}{}=\n", name(form, node), instances(repeats)));
            }
        }
        kind => {
            if let Some(label) = label.filter(|label| !label.is_empty()) {
                text.push_str(&format!("\n## {label}\n"));
            }
            let repeated = matches!(kind, NodeKind::Repeat { .. });
            if *kind == (NodeKind::Repeat { count: None }) {
                text.push_str(&format!("# repeat {}{}=1\n", name(form, node), instances(repeats)));
            }
            for child in &node.children {
                write(form, language, *child, repeats + usize::from(repeated), text);
            }
        }
    }
}

/// A name that only this node has, else its path.
fn name<'form>(form: &'form Form, node: &'form Node) -> &'form str {
    let alone = form.nodes.iter().filter(|other| other.name == node.name).count() == 1;
    if alone { &node.name } else { &node.path }
}

fn instances(repeats: usize) -> String {
    if repeats == 0 { String::new() } else { format!("@{}", vec!["1"; repeats].join(".")) }
}

fn remarks(form: &Form, language: usize, node: &Node, control: &Control) -> String {
    let mut told = vec![question_type(node.bind.data_type, control).to_owned()];
    if node.bind.required.is_some() {
        told.push("required".to_owned());
    }
    if node.bind.relevant.is_some() {
        told.push("not always asked".to_owned());
    }
    let instance = control.itemset.as_ref().and_then(|itemset| form.instances.get(&itemset.instance));
    let choices = instance.map(|instance| offered(form, language, instance)).unwrap_or_default();
    format!(" [{}]{choices}", told.join(", "))
}

/// The word that an author writes in the column `type`.
fn question_type(data_type: DataType, control: &Control) -> &'static str {
    match (control.kind, data_type) {
        (ControlKind::Range, _) => "range",
        (ControlKind::Trigger, _) => "acknowledge",
        (ControlKind::Rank, _) => DataType::Rank.word(),
        (_, DataType::String) => "text",
        (_, DataType::Int) => "integer",
        (_, DataType::Binary) => match control.parameters.get("mediatype").map(String::as_str) {
            Some("image/*") => "image",
            Some("audio/*") => "audio",
            Some("video/*") => "video",
            _ => "file",
        },
        (_, data_type) => data_type.word(),
    }
}

/// The choices of a list that stands in the form: names with their words.
fn offered(form: &Form, language: usize, instance: &SecondaryInstance) -> String {
    let InstanceSource::Internal(table) = &instance.source else { return String::new() };
    let column = |name: &str| table.columns.iter().position(|column| column == name);
    let (name_at, label_at) = (column("name"), column("label"));
    let mut text = String::new();
    for (index, row) in table.rows.iter().enumerate().take(CHOICES_SHOWN) {
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map(String::as_str).unwrap_or_default();
        let translated = table.labels.get(index).map(|label| words(form, label, language)).filter(|words| !words.is_empty());
        let label = translated.unwrap_or_else(|| cell(label_at).to_owned());
        text.push_str(&format!("\n#   {}: {label}", cell(name_at)));
    }
    if table.rows.len() > CHOICES_SHOWN {
        text.push_str(&format!("\n#   and {} more", table.rows.len() - CHOICES_SHOWN));
    }
    text
}
