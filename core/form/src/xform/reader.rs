//! What all parts of the reader share: the nodes so far, the faults, and how an attribute becomes a path or an expression.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Element;
use super::words::Spoken;
use crate::fault::Fault;
use crate::interview::plan::Prepared;
use crate::model::{EntityDeclaration, Form, Node, NodeId, SecondaryInstance};
use crate::xlsform::check;
use crate::xlsform::report::Report;
use crate::xpath::Expression;

/// Most faults that are given.
const FAULTS_MAX: usize = 500;

/// A form while it is read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
    pub(super) nodes: Vec<Node>,
    pub(super) by_path: BTreeMap<String, NodeId>,
    /// Paths by the `id` of their bind.
    pub(super) bind_ids: BTreeMap<String, String>,
    pub(super) languages: Vec<String>,
    pub(super) default_language: usize,
    /// `itext`, by id and language.
    pub(super) spoken: BTreeMap<String, BTreeMap<usize, Spoken>>,
    pub(super) instances: BTreeMap<String, SecondaryInstance>,
    /// `instance('…')` as the expressions name them, with where.
    pub(super) looked_up: Vec<(String, String)>,
    /// Entities that the instance declares: scope and element's attributes, then what the binds say of them.
    pub(super) entities: Vec<(NodeId, EntityDeclaration)>,
    /// How many instances the definition itself holds of a repeat.
    pub(super) held: BTreeMap<NodeId, usize>,
    /// See [`Form::nested_first`].
    pub(super) nested_first: BTreeSet<NodeId>,
}

impl Reader {
    pub(super) fn read(mut self, html: &Element, bytes: &[u8], file_name: &str) -> Result<Form, Vec<Fault>> {
        let (Some(head), Some(body)) = (html.child("head"), html.child("body")) else {
            self.fault(html, "", "an XForm has a head and a body", "begin with `<h:html>`, `<h:head>` and `<h:body>`");
            return Err(self.faults);
        };
        let Some(model) = head.child("model") else {
            self.fault(head, "", "the head has no model", "add `<model>` with an `<instance>`");
            return Err(self.faults);
        };
        let primary = model.children().find(|child| child.local() == "instance").and_then(|first| first.children().next());
        let Some(root) = primary else {
            self.fault(model, "", "the model has no primary instance", "add `<instance>` with the form's root element in it");
            return Err(self.faults);
        };
        if let Some(itext) = model.child("itext") {
            self.itext(itext);
        }
        for bind in model.children().filter(|child| child.local() == "bind") {
            if let (Some(id), Some(path)) = (bind.attribute("id"), bind.attribute("nodeset")) {
                self.bind_ids.insert(id.to_owned(), plain_path(path));
            }
        }
        let initial = self.instance(root, body);
        for secondary in model.children().filter(|child| child.local() == "instance").skip(1) {
            self.secondary(secondary);
        }
        for bind in model.children().filter(|child| child.local() == "bind") {
            self.bind(bind);
        }
        self.body(body);
        self.actions(model, None);
        self.finish_entities();
        self.finish_lists();
        let id = root.attribute("id").or_else(|| root.attribute("xmlns")).map_or_else(|| stem(file_name), str::to_owned);
        let version = ["version", "orx:version"].iter().find_map(|name| root.attribute(name)).unwrap_or_default().to_owned();
        let title = head.child("title").map(Element::text).filter(|title| !title.trim().is_empty());
        let root_path = self.nodes.first().map(|node| node.path.clone()).unwrap_or_default();
        let name = self.by_path.get(&format!("{root_path}/meta/instanceName")).and_then(|id| self.nodes.get(*id));
        let instance_name = name.and_then(|node| node.bind.calculate.clone());
        self.circles();
        let form = Form {
            title: title.map_or_else(|| id.clone(), |title| title.trim().to_owned()),
            id,
            version,
            root_name: root.name.clone(),
            hash: *blake3::hash(bytes).as_bytes(),
            default_language: self.default_language,
            instance_name,
            style: body.attribute("class").unwrap_or_default().to_owned(),
            settings: settings(model, root),
            languages: self.languages,
            nodes: self.nodes,
            by_path: self.by_path,
            instances: self.instances,
            entities: self.entities.into_iter().map(|(_, declaration)| declaration).collect(),
            status_rules: Vec::new(),
            initial,
            nested_first: self.nested_first,
            warnings: self.warnings,
            prepared: Prepared::default(),
        };
        if self.faults.is_empty() { Ok(form) } else { Err(self.faults) }
    }

    /// Nodes that wait for themselves, as the workbook's reader finds them.
    fn circles(&mut self) {
        let mut report = Report::default();
        let attribute = |column: &str| if column == "calculation" { "calculate" } else { column }.to_owned();
        check::cycles(&self.nodes, &attribute, &mut report);
        for fault in report.faults {
            let place = format!("line {}, <bind {}>", fault.row, fault.column);
            self.faults.push(Fault::at(&place, 0, "", fault.message, fault.mend));
        }
    }

    pub(super) fn fault(&mut self, element: &Element, attribute: &str, message: impl Into<String>, mend: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::at(&place(element, attribute), 0, "", message, mend));
        }
    }

    pub(super) fn warn(&mut self, element: &Element, message: &str) {
        if self.warnings.len() < FAULTS_MAX {
            self.warnings.push(Fault::at(&place(element, ""), 0, "", message, "").to_string());
        }
    }

    /// An attribute's expression; a fault where it cannot be read.
    pub(super) fn expression(&mut self, element: &Element, attribute: &str) -> Option<Expression> {
        let source = element.attribute(attribute)?.replace("orx:", "");
        self.parsed(element, attribute, &source)
    }

    pub(super) fn parsed(&mut self, element: &Element, attribute: &str, source: &str) -> Option<Expression> {
        match Expression::parse(source) {
            Ok(expression) => {
                let at = place(element, attribute);
                self.looked_up.extend(expression.instances().into_iter().map(|id| (id, at.clone())));
                Some(expression)
            }
            Err(error) => {
                let mend = "look at brackets, quotes, operators and the names of functions";
                self.fault(element, attribute, error.to_string(), mend);
                None
            }
        }
    }

    /// The node that an element refers to, by `ref`, `nodeset` or `bind`, seen from the container around it.
    pub(super) fn referred(&mut self, element: &Element, container: &str) -> Option<NodeId> {
        let named = ["ref", "nodeset"].into_iter().find_map(|name| element.attribute(name).map(|path| (name, path)));
        let (attribute, path) = match (named, element.attribute("bind")) {
            (Some((attribute, path)), _) => (attribute, absolute(path, container)),
            (None, Some(id)) => {
                let Some(path) = self.bind_ids.get(id) else {
                    self.fault(element, "bind", format!("no bind has the id `{id}`"), "name the id of a bind, or use `ref`");
                    return None;
                };
                ("bind", path.clone())
            }
            (None, None) => return None,
        };
        let found = self.by_path.get(&path).copied();
        if found.is_none() {
            self.fault(
                element,
                attribute,
                format!("`{path}` leads to nothing in the primary instance"),
                "add the element to the instance, or mend the path",
            );
        }
        found
    }
}

/// What the form says to other tools.
fn settings(model: &Element, root: &Element) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut take = |element: &Element, pairs: &[(&str, &str)]| {
        for (attribute, setting) in pairs {
            if let Some(value) = element.attribute(attribute) {
                settings.insert((*setting).to_owned(), value.to_owned());
            }
        }
    };
    take(root, &[("odk:prefix", "prefix"), ("odk:delimiter", "delimiter")]);
    if let Some(submission) = model.child("submission") {
        let pairs = [
            ("action", "submission_url"),
            ("base64RsaPublicKey", "public_key"),
            ("orx:auto-send", "auto_send"),
            ("orx:auto-delete", "auto_delete"),
            ("odk:client-editable", "client_editable"),
        ];
        take(submission, &pairs);
    }
    settings
}

/// Where an element or one of its attributes stands, for messages.
fn place(element: &Element, attribute: &str) -> String {
    let attribute = if attribute.is_empty() { String::new() } else { format!(" {attribute}") };
    format!("line {}, <{}{attribute}>", element.line, element.name)
}

/// A path without spaces and without the prefix that old forms give their metadata.
pub(super) fn plain_path(path: &str) -> String {
    path.chars().filter(|character| !character.is_whitespace()).collect::<String>().replace("orx:", "")
}

/// A path from the root, where the container's path is known.
fn absolute(path: &str, container: &str) -> String {
    let path = plain_path(path);
    if path.starts_with('/') {
        return path;
    }
    let mut at = container.to_owned();
    for step in path.split('/') {
        match step {
            "." | "" | "current()" => {}
            ".." => at = at.rsplit_once('/').map(|(above, _)| above.to_owned()).unwrap_or_default(),
            name => at = format!("{at}/{name}"),
        }
    }
    at
}

fn stem(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}
