//! The body of an XForm as it is written: controls with their words and choices.

use std::fmt::Write as _;

use super::write::{Writer, parts_xml};
use crate::model::{Control, ControlKind, InstanceSource, Itemset, Node, NodeId, NodeKind, Search, Text};
use crate::submission::escape;
use crate::xpath::Expression;

/// Parameters that are attributes of a control.
const ATTRIBUTES: [(&str, &str); 13] = [
    ("mediatype", "mediatype"),
    ("start", "start"),
    ("end", "end"),
    ("step", "step"),
    ("rows", "rows"),
    ("autoplay", "autoplay"),
    ("intent", "intent"),
    ("app", "intent"),
    ("incremental", "incremental"),
    ("tick_interval", "odk:tick-interval"),
    ("placeholder", "odk:placeholder"),
    ("capture-accuracy", "accuracyThreshold"),
    ("warning-accuracy", "unacceptableAccuracyThreshold"),
];

/// Writes the body.
pub(super) fn body(writer: &mut Writer<'_>) {
    let style = &writer.form.style;
    let class = if style.is_empty() { String::new() } else { format!(" class=\"{}\"", escape(style, true)) };
    let _ = writeln!(writer.xml, "<h:body{class}>");
    writer.children(0);
    writer.xml.push_str("</h:body>\n");
}

impl Writer<'_> {
    fn children(&mut self, id: NodeId) {
        let children = self.form.nodes.get(id).map(|node| node.children.as_slice()).unwrap_or_default();
        for child in children {
            self.asked(*child);
        }
    }

    fn asked(&mut self, id: NodeId) {
        let Some(node) = self.form.nodes.get(id) else { return };
        match (&node.kind, &node.control) {
            (NodeKind::Value, Some(control)) => self.control(id, node, control),
            (NodeKind::Value, None) => {}
            (NodeKind::Group, control) => {
                if !self.is_asked(id) {
                    return;
                }
                self.open("group", node, control.as_ref());
                self.children(id);
                self.xml.push_str("</group>\n");
            }
            (NodeKind::Repeat { count }, control) => {
                let _ = writeln!(self.xml, "<group ref=\"{}\">", node.path);
                if let Some(control) = control {
                    self.said(node, control);
                }
                let _ = write!(self.xml, "<repeat nodeset=\"{}\"", node.path);
                if let Some(control) = control {
                    self.attributes(control);
                }
                if let Some(count) = count {
                    let _ = write!(self.xml, " jr:count=\"{}\"", escape(&count.source, true));
                }
                self.xml.push_str(">\n");
                self.repeat_actions(id);
                self.children(id);
                self.xml.push_str("</repeat>\n</group>\n");
            }
        }
    }

    /// Whether anything in a group is shown.
    fn is_asked(&self, id: NodeId) -> bool {
        let Some(node) = self.form.nodes.get(id) else { return false };
        node.control.is_some() || node.children.iter().any(|child| self.is_asked(*child))
    }

    fn open(&mut self, element: &str, node: &Node, control: Option<&Control>) {
        let _ = write!(self.xml, "<{element} ref=\"{}\"", node.path);
        let Some(control) = control else {
            self.xml.push('>');
            return;
        };
        self.attributes(control);
        self.xml.push_str(">\n");
        self.said(node, control);
    }

    /// How a control looks and what it takes.
    fn attributes(&mut self, control: &Control) {
        if !control.appearance.is_empty() {
            let _ = write!(self.xml, " appearance=\"{}\"", escape(&control.appearance, true));
        }
        for (parameter, attribute) in ATTRIBUTES {
            let plain_or_annotated = matches!(control.appearance.as_str(), "" | "annotate");
            if let Some(value) = control.parameters.get(parameter).filter(|_| parameter != "app" || plain_or_annotated) {
                // An author may write `yes`; XForms knows `true`.
                let value = if parameter == "incremental" { "true" } else { value };
                let _ = write!(self.xml, " {attribute}=\"{}\"", escape(value, true));
            }
        }
        for (parameter, value) in &control.parameters {
            if let Some(name) = parameter.strip_prefix("body::").filter(|name| self.is_writable(name)) {
                let _ = write!(self.xml, " {name}=\"{}\"", escape(value, true));
            }
        }
    }

    /// What a control says: its label and hint.
    fn said(&mut self, node: &Node, control: &Control) {
        let mut forms: Vec<(String, Text)> = control.media.iter().map(|(kind, text)| (kind.clone(), text.clone())).collect();
        self.words("label", node, control.label.as_ref(), &mut forms);
        let mut guidance: Vec<(String, Text)> =
            control.guidance_hint.iter().map(|text| ("guidance".to_owned(), text.clone())).collect();
        self.words("hint", node, control.hint.as_ref(), &mut guidance);
    }

    fn words(&mut self, element: &str, node: &Node, text: Option<&Text>, others: &mut Vec<(String, Text)>) {
        if let (Some(text), true) = (text, others.is_empty())
            && let Some(Some(parts)) = text.by_language.first()
            && self.form.languages.is_empty()
        {
            let _ = writeln!(self.xml, "<{element}>{}</{element}>", parts_xml(parts));
            return;
        }
        let mut forms = std::mem::take(others);
        if let Some(text) = text {
            forms.insert(0, (String::new(), text.clone()));
        }
        if !forms.is_empty() {
            let reference = self.speak(&format!("{}:{element}", node.path), forms);
            let _ = writeln!(self.xml, "<{element} ref=\"{}\"/>", escape(&reference, true));
        }
    }

    fn control(&mut self, id: NodeId, node: &Node, control: &Control) {
        let element = match control.kind {
            ControlKind::Input | ControlKind::Note | ControlKind::Group | ControlKind::Repeat => "input",
            ControlKind::SelectOne => "select1",
            ControlKind::SelectMultiple => "select",
            ControlKind::Rank => "odk:rank",
            ControlKind::Range => "range",
            ControlKind::Trigger => "trigger",
            ControlKind::Upload => "upload",
        };
        self.open(element, node, Some(control));
        if let Some(itemset) = &control.itemset {
            self.itemset(itemset);
        }
        self.places(control);
        self.triggered(id);
        let _ = writeln!(self.xml, "</{element}>");
    }

    /// The labels of a range's ticks, and the places that a map shows beside a question.
    fn places(&mut self, control: &Control) {
        let ticks = control.parameters.get("tick_labelset");
        let Some(source) = ticks.or_else(|| control.parameters.get("reference-geometry")) else { return };
        if source.starts_with('/') {
            let nodeset = escape(&format!("{source}[./geometry != '']"), true);
            let _ =
                writeln!(self.xml, "<itemset nodeset=\"{nodeset}\"><value ref=\"geometry\"/><label ref=\"geometry\"/></itemset>");
        } else if let Ok(nodeset) = Expression::parse(&format!("instance('{source}')/root/item")) {
            self.itemset(&Itemset {
                instance: source.clone(),
                nodeset,
                value_ref: "name".to_owned(),
                label_ref: "label".to_owned(),
                randomize: false,
                seed: None,
                search: None,
            });
        }
    }

    /// The choices of a `search()` stand in the select itself: Collect reads the columns from them.
    fn items(&mut self, search: &Search) {
        let Some(InstanceSource::Internal(table)) = self.form.instances.get(&search.list).map(|instance| &instance.source) else {
            return;
        };
        let (names, labels) = (table.column("name"), table.column("label"));
        for row in 0..table.rows.len() {
            let cell = |column: Option<usize>| column.map_or("", |column| table.cell(row, column));
            let spoken = table.labels.get(row).filter(|label| self.plain(label).is_none());
            let label = match spoken {
                Some(label) => {
                    let reference = self.speak(&format!("{}-{row}", search.list), vec![(String::new(), label.clone())]);
                    format!("<label ref=\"{}\"/>", escape(&reference, true))
                }
                None => format!("<label>{}</label>", escape(cell(labels), false)),
            };
            let _ = writeln!(self.xml, "<item>{label}<value>{}</value></item>", escape(cell(names), false));
        }
    }

    fn itemset(&mut self, itemset: &Itemset) {
        if let Some(search) = &itemset.search {
            self.items(search);
            return;
        }
        let mut nodeset = itemset.nodeset.source.clone();
        if itemset.randomize {
            let seed = itemset.seed.as_ref().map(|seed| format!(", {}", seed.source)).unwrap_or_default();
            nodeset = format!("randomize({nodeset}{seed})");
        }
        let table = self.form.instances.get(&itemset.instance).and_then(|instance| match &instance.source {
            InstanceSource::Internal(table) => Some(table),
            _ => None,
        });
        let spoken =
            table.is_some_and(|table| !table.media.is_empty() || table.labels.iter().any(|label| self.plain(label).is_none()));
        let label = if spoken && itemset.label_ref == "label" { "jr:itext(itextId)" } else { itemset.label_ref.as_str() };
        let _ = writeln!(
            self.xml,
            "<itemset nodeset=\"{}\"><value ref=\"{}\"/><label ref=\"{}\"/></itemset>",
            escape(&nodeset, true),
            escape(&itemset.value_ref, true),
            escape(label, true)
        );
    }
}
