//! Writes a form as an ODK XForm: the head here, the body in [`super::write_body`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::write_body::body;
use crate::answers::{Answer, Answers};
use crate::interview::complete::{ENTITY_ID, completed};
use crate::model::{
    Action, ActionValue, Bind, ControlKind, DataType, EntityDeclaration, Form, InstanceSource, Itemset, MergeRule, Node, NodeId,
    NodeKind, SecondaryInstance, Text, TextPart,
};
use crate::submission::escape;
use crate::xlsform::{is_name, is_yes};
use crate::xpath::Expression;

const NAMESPACES: &str = "xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\" \
     xmlns:ev=\"http://www.w3.org/2001/xml-events\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
     xmlns:jr=\"http://openrosa.org/javarosa\" xmlns:orx=\"http://openrosa.org/xforms\" \
     xmlns:odk=\"http://www.opendatakit.org/xforms\" xmlns:entities=\"http://www.opendatakit.org/xforms/entities\" \
     xmlns:karwan=\"urn:karwan:xforms\"";

/// Parameters of controls that are attributes of the bind.
const BIND_PARAMETERS: [(&str, &str); 3] =
    [("max-pixels", "orx:max-pixels"), ("quality", "odk:quality"), ("allow-mock-accuracy", "odk:allow-mock-accuracy")];

/// The event of actions that stand in a repeat.
const NEW_REPEAT: &str = "odk-new-repeat";

/// Prefixes that [`NAMESPACES`] declares: an attribute of another one is left out.
const PREFIXES: [&str; 7] = ["jr", "orx", "odk", "entities", "xsd", "ev", "karwan"];

/// The form as an XForm. What only this project knows (rules of merging, status rules) stands in attributes of its own
/// namespace, which other tools pass over.
pub fn write(form: &Form) -> String {
    let whole = completed(form, form.settings.contains_key("omit_instanceID"));
    let form = whole.as_ref().unwrap_or(form);
    let namespaces = form.settings.get("namespaces").map(|text| namespaces(text)).unwrap_or_default();
    let mut writer = Writer { form, xml: String::new(), spoken: BTreeMap::new(), namespaces };
    writer.whole();
    writer.xml
}

/// What an element of the primary instance stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Form,
    Template,
    Instance,
}

pub(super) struct Writer<'form> {
    pub(super) form: &'form Form,
    pub(super) xml: String,
    /// Texts of `itext` by id: forms and their texts.
    spoken: BTreeMap<String, Vec<(String, Text)>>,
    /// Prefixes that the form's own settings declare, with their addresses.
    namespaces: BTreeMap<String, String>,
}

/// `a="http://…" b="http://…"` in pieces.
fn namespaces(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .filter_map(|part| part.split_once('='))
        .filter(|(prefix, address)| is_name(prefix) && !PREFIXES.contains(prefix) && *prefix != "h" && !address.contains('='))
        .map(|(prefix, address)| (prefix.to_owned(), address.replace(['"', '\''], "")))
        .collect()
}

impl Writer<'_> {
    fn whole(&mut self) {
        // The body is written first, because it says which texts there are.
        body(self);
        let body = std::mem::take(&mut self.xml);
        self.instances();
        self.binds();
        self.model_actions();
        let model = std::mem::take(&mut self.xml);
        let title = escape(&self.form.title, false);
        let mut declared = String::new();
        for (prefix, address) in &self.namespaces {
            let _ = write!(declared, " xmlns:{prefix}=\"{}\"", escape(address, true));
        }
        let _ =
            write!(self.xml, "<?xml version=\"1.0\"?>\n<h:html {NAMESPACES}{declared}>\n<h:head>\n<h:title>{title}</h:title>\n");
        self.xml.push_str("<model odk:xforms-version=\"1.0.0\"");
        match self.form.entities.as_slice() {
            [] => {}
            // One entity of the whole form is what the older version has.
            [only] if only.scope == 0 => self.xml.push_str(" entities:entities-version=\"2024.1.0\""),
            _ => self.xml.push_str(" entities:entities-version=\"2025.1.0\""),
        }
        self.xml.push_str(">\n");
        self.submission();
        self.itext();
        let _ = write!(self.xml, "{model}</model>\n</h:head>\n{body}</h:html>\n");
    }

    /// Where and how other tools send, as the settings say.
    fn submission(&mut self) {
        let mut attributes = String::new();
        let settings = [
            ("submission_url", "action"),
            ("public_key", "base64RsaPublicKey"),
            ("auto_send", "orx:auto-send"),
            ("auto_delete", "orx:auto-delete"),
        ];
        for (setting, attribute) in settings {
            let Some(value) = self.form.settings.get(setting) else { continue };
            let _ = write!(attributes, " {attribute}=\"{}\"", escape(value, true));
            if setting == "submission_url" {
                attributes.push_str(" method=\"post\"");
            }
        }
        if self.form.settings.get("client_editable").is_some_and(|value| is_yes(value)) {
            attributes.push_str(" odk:client-editable=\"true\"");
        }
        if !attributes.is_empty() {
            let _ = writeln!(self.xml, "<submission{attributes}/>");
        }
    }

    fn itext(&mut self) {
        if self.spoken.is_empty() {
            return;
        }
        let spoken = std::mem::take(&mut self.spoken);
        let untranslated = ["default".to_owned()];
        let languages = if self.form.languages.is_empty() { &untranslated[..] } else { &self.form.languages };
        self.xml.push_str("<itext>\n");
        for (language, name) in languages.iter().enumerate() {
            let default = if language == self.form.default_language { " default=\"true()\"" } else { "" };
            let _ = writeln!(self.xml, "<translation lang=\"{}\"{default}>", escape(name, true));
            for (id, forms) in &spoken {
                let _ = write!(self.xml, "<text id=\"{}\">", escape(id, true));
                for (form, text) in forms {
                    let words =
                        text.by_language.get(language).or(text.by_language.first().filter(|_| text.by_language.len() == 1));
                    let words = words.and_then(Option::as_ref);
                    match (form.as_str(), words) {
                        ("", words) => {
                            let words = words.map_or_else(|| "-".to_owned(), |parts| parts_xml(parts));
                            let _ = write!(self.xml, "<value>{words}</value>");
                        }
                        (form, Some(parts)) => {
                            let _ = write!(self.xml, "<value form=\"{form}\">{}{}</value>", folder(form), parts_xml(parts));
                        }
                        (_, None) => {}
                    }
                }
                self.xml.push_str("</text>\n");
            }
            self.xml.push_str("</translation>\n");
        }
        self.xml.push_str("</itext>\n");
    }

    /// Whether an attribute of a name can be written: its prefix is declared.
    pub(super) fn is_writable(&self, name: &str) -> bool {
        match name.split_once(':') {
            Some((prefix, local)) => (PREFIXES.contains(&prefix) || self.namespaces.contains_key(prefix)) && is_name(local),
            None => is_name(name),
        }
    }

    /// The words of a text without outputs in a form without languages. In others `itext` has each, as pyxform writes it: an expression may
    /// ask for it by its id, whether or not the languages differ.
    pub(super) fn plain(&self, text: &Text) -> Option<String> {
        if !self.form.languages.is_empty() {
            return None;
        }
        plain(text)
    }

    /// Notes a text of `itext`; gives the reference to it.
    pub(super) fn speak(&mut self, id: &str, forms: Vec<(String, Text)>) -> String {
        self.spoken.insert(id.to_owned(), forms);
        format!("jr:itext('{id}')")
    }

    fn instances(&mut self) {
        self.xml.push_str("<instance>\n");
        self.node(0, Around::Form, false, &self.form.initial, "");
        self.xml.push_str("\n</instance>\n");
        // A list that names columns for a search stands in the select, and the file that is searched in its appearance.
        let itemsets = self.form.nodes.iter().filter_map(|node| node.control.as_ref()?.itemset.as_ref());
        let searches: Vec<&Itemset> = itemsets.filter(|itemset| itemset.search.is_some()).collect();
        for instance in self.form.instances.values() {
            let is_list = searches.iter().any(|itemset| itemset.search.as_ref().is_some_and(|search| search.list == instance.id));
            let is_searched =
                instance.id.strip_suffix(".csv").is_some() && searches.iter().any(|itemset| itemset.instance == instance.id);
            if !is_list && !is_searched {
                self.secondary(instance);
            }
        }
    }

    /// A node as an element; `held` are the instances and values of the scope that it is in, by their keys from there.
    fn node(&mut self, id: NodeId, around: Around, template: bool, held: &Answers, key: &str) {
        let Some(node) = self.form.nodes.get(id) else { return };
        if node.name == ENTITY_ID {
            return;
        }
        let _ = write!(self.xml, "<{}", node.name);
        if id == 0 {
            self.root_attributes();
        }
        if template {
            self.xml.push_str(" jr:template=\"\"");
        }
        // A template has none, as pyxform writes it.
        let extra = node.bind.extra.iter().filter(|_| !template);
        let own = extra.filter_map(|(name, value)| Some((name.strip_prefix("instance::")?, value)));
        let own: Vec<(&str, &String)> = own.filter(|(name, _)| self.is_writable(name)).collect();
        for (name, value) in own {
            let _ = write!(self.xml, " {name}=\"{}\"", escape(value, true));
        }
        if node.name == "entity" && node.path.ends_with("/meta/entity") {
            self.entity_attributes(node);
        }
        let value = match held.values.get(key) {
            Some(Answer::Text(text)) => text.as_str(),
            _ => node.default.as_str(),
        };
        if node.children.is_empty() && value.is_empty() {
            self.xml.push_str("/>");
            return;
        }
        self.xml.push('>');
        if node.kind == NodeKind::Value {
            self.xml.push_str(&escape(value, false));
        }
        for child in &node.children {
            let Some(below) = self.form.nodes.get(*child) else { continue };
            let inside = id == 0 || matches!(node.kind, NodeKind::Repeat { .. });
            let child_key = if inside { below.name.clone() } else { format!("{key}/{}", below.name) };
            if !matches!(below.kind, NodeKind::Repeat { .. }) {
                self.node(*child, around, false, held, &child_key);
                continue;
            }
            // As pyxform writes it: a template holds templates, and what a new instance begins with; an instance holds instances.
            if around != Around::Instance {
                self.node(*child, Around::Template, true, &Answers::default(), "");
            }
            if around == Around::Template && !self.form.nested_first.contains(child) {
                continue;
            }
            match held.repeats.get(&child_key) {
                Some(instances) => {
                    for instance in instances {
                        self.node(*child, Around::Instance, false, &instance.answers, "");
                    }
                }
                None => self.node(*child, Around::Instance, false, &Answers::default(), ""),
            }
        }
        let _ = write!(self.xml, "</{}>", node.name);
    }

    fn root_attributes(&mut self) {
        let form = self.form;
        let _ = write!(self.xml, " id=\"{}\"", escape(&form.id, true));
        if !form.version.is_empty() {
            let _ = write!(self.xml, " version=\"{}\"", escape(&form.version, true));
        }
        for (setting, attribute) in [("instance_xmlns", "xmlns"), ("prefix", "odk:prefix"), ("delimiter", "odk:delimiter")] {
            if let Some(value) = form.settings.get(setting) {
                let _ = write!(self.xml, " {attribute}=\"{}\"", escape(value, true));
            }
        }
        for (setting, value) in &form.settings {
            if let Some(name) = setting.strip_prefix("attribute::")
                && self.is_writable(name)
                && !matches!(name, "id" | "version" | "xmlns")
            {
                let _ = write!(self.xml, " {name}=\"{}\"", escape(value, true));
            }
        }
    }

    fn declaration(&self, entity: &Node) -> Option<&EntityDeclaration> {
        let scope = entity.path.strip_suffix("/meta/entity")?;
        let scope = *self.form.by_path.get(scope)?;
        self.form.entities.iter().find(|declaration| declaration.scope == scope)
    }

    fn entity_attributes(&mut self, entity: &Node) {
        let Some(declaration) = self.declaration(entity) else { return };
        let mut attributes = format!(" dataset=\"{}\"", escape(&declaration.list, true));
        if declaration.create_if.is_some() || declaration.entity_id.is_none() {
            attributes.push_str(" create=\"1\"");
        }
        if declaration.entity_id.is_some() {
            attributes.push_str(" update=\"1\" baseVersion=\"\" trunkVersion=\"\" branchId=\"\"");
        }
        attributes.push_str(" id=\"\"");
        self.xml.push_str(&attributes);
    }

    fn secondary(&mut self, instance: &SecondaryInstance) {
        let id = escape(&instance.id, true);
        let table = match &instance.source {
            InstanceSource::LastSaved => {
                let _ = writeln!(self.xml, "<instance id=\"{id}\" src=\"jr://instance/last-saved\"/>");
                return;
            }
            InstanceSource::External { file } => {
                let kind = if file.to_lowercase().ends_with(".csv") { "file-csv" } else { "file" };
                let _ = writeln!(self.xml, "<instance id=\"{id}\" src=\"jr://{kind}/{}\"/>", escape(file, true));
                return;
            }
            InstanceSource::Internal(table) => table.clone(),
        };
        let named = |name: &str, usual: &str| if name.is_empty() { usual.to_owned() } else { name.to_owned() };
        let (root, row_name) = (named(&table.root_name, "root"), named(&table.row_name, "item"));
        let spoken = !table.media.is_empty() || table.labels.iter().any(|label| self.plain(label).is_none());
        let _ = write!(self.xml, "<instance id=\"{id}\"><{root}>");
        for (number, row) in table.rows.iter().enumerate() {
            let _ = write!(self.xml, "<{row_name}");
            let cells: Vec<(&String, &String)> = table.columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()).collect();
            for (column, cell) in &cells {
                if let Some(name) = column.strip_prefix('@') {
                    let _ = write!(self.xml, " {name}=\"{}\"", escape(cell, true));
                }
            }
            self.xml.push('>');
            if spoken && table.column("itextId").is_none() {
                let text_id = format!("{}-{number}", instance.id);
                let _ = write!(self.xml, "<itextId>{}</itextId>", escape(&text_id, false));
            }
            if let Some(label) = table.labels.get(number).filter(|_| spoken) {
                let known = table.column("itextId").map(|column| table.cell(number, column).to_owned());
                let mut forms: Vec<(String, Text)> =
                    table.media.get(number).into_iter().flatten().map(|(kind, text)| (kind.clone(), text.clone())).collect();
                if !label.by_language.is_empty() {
                    forms.insert(0, (String::new(), label.clone()));
                }
                self.speak(&known.unwrap_or_else(|| format!("{}-{number}", instance.id)), forms);
            }
            for (column, cell) in cells {
                if !(column.starts_with('@') || spoken && column == "label") {
                    let _ = write!(self.xml, "<{column}>{}</{column}>", escape(cell, false));
                }
            }
            let _ = write!(self.xml, "</{row_name}>");
        }
        let _ = writeln!(self.xml, "</{root}></instance>");
    }

    fn binds(&mut self) {
        for node in self.form.nodes.iter().skip(1) {
            if node.name == ENTITY_ID {
                continue;
            }
            if node.name == "entity" && node.path.ends_with("/meta/entity") {
                self.entity_binds(node);
                continue;
            }
            let attributes = self.bind_attributes(node);
            // A type that only other tools know stands among the attributes.
            let other_type = node.bind.extra.contains_key("bind::type");
            if node.kind == NodeKind::Value || !attributes.is_empty() {
                let _ = write!(self.xml, "<bind nodeset=\"{}\"", node.path);
                if node.kind == NodeKind::Value && !other_type {
                    let _ = write!(self.xml, " type=\"{}\"", type_name(node.bind.data_type));
                }
                let _ = writeln!(self.xml, "{attributes}/>");
            }
        }
    }

    fn bind_attributes(&mut self, node: &Node) -> String {
        let Bind { relevant, constraint, required, readonly, calculate, .. } = &node.bind;
        let mut attributes = String::new();
        let mut add = |name: &str, value: &str| {
            let _ = write!(attributes, " {name}=\"{}\"", escape(value, true));
        };
        let is_note = node.control.as_ref().is_some_and(|control| control.kind == ControlKind::Note);
        let expressions = [
            ("relevant", relevant),
            ("constraint", constraint),
            ("required", required),
            ("readonly", readonly),
            ("calculate", calculate),
        ];
        for (name, expression) in expressions {
            if let Some(expression) = expression {
                add(name, &expression.source);
            }
        }
        if is_note && readonly.is_none() {
            add("readonly", "true()");
        }
        let as_it_came = ["bind::jr:preload", "bind::jr:preloadParams"].iter().any(|name| node.bind.extra.contains_key(*name));
        let preload_of = node.bind.preload.as_deref().filter(|_| !as_it_came);
        if let Some((kind, parameter)) = preload_of.map(preload) {
            add("jr:preload", kind);
            if !parameter.is_empty() {
                add("jr:preloadParams", parameter);
            }
        }
        if let Some((_, property)) = &node.bind.save_to {
            add("entities:saveto", property);
        }
        if node.bind.merge == MergeRule::Events {
            add("karwan:merge", "events");
        }
        if let Some(identity) = &node.bind.identity {
            add("karwan:identity", identity);
        }
        for (name, value) in &node.bind.extra {
            let name = name.strip_prefix("bind::").unwrap_or(name);
            if !name.starts_with("instance::") && self.is_writable(name) {
                add(name, value);
            }
        }
        let parameters = node.control.as_ref().map(|control| &control.parameters);
        for (name, attribute) in BIND_PARAMETERS {
            if let Some(value) = parameters.and_then(|parameters| parameters.get(name)) {
                add(attribute, value);
            }
        }
        for (name, text) in [("jr:constraintMsg", &node.bind.constraint_message), ("jr:requiredMsg", &node.bind.required_message)]
        {
            let Some(text) = text else { continue };
            let words = match self.plain(text) {
                Some(words) => words,
                None => self.speak(&format!("{}:{name}", node.path), vec![(String::new(), text.clone())]),
            };
            let _ = write!(attributes, " {name}=\"{}\"", escape(&words, true));
        }
        attributes
    }

    fn entity_binds(&mut self, entity: &Node) {
        let Some(declaration) = self.declaration(entity).cloned() else { return };
        let mut bind = |what: &str, expression: Option<&Expression>| {
            let calculate =
                expression.map(|expression| format!(" calculate=\"{}\"", escape(&expression.source, true))).unwrap_or_default();
            let _ =
                writeln!(self.xml, "<bind nodeset=\"{}/{what}\" type=\"string\" readonly=\"true()\"{calculate}/>", entity.path);
        };
        bind("@id", declaration.entity_id.as_ref());
        if declaration.create_if.is_some() {
            bind("@create", declaration.create_if.as_ref());
        }
        if let Some(id) = &declaration.entity_id {
            if declaration.update_if.is_some() {
                bind("@update", declaration.update_if.as_ref());
            }
            for (name, column) in
                [("@baseVersion", "__version"), ("@trunkVersion", "__trunkVersion"), ("@branchId", "__branchId")]
            {
                // Only where the list is at hand can its versions be looked up.
                if self.form.instances.contains_key(&declaration.list) {
                    let inside = from_current(id.source.trim());
                    let source = format!("instance('{}')/root/item[name={inside}]/{column}", declaration.list);
                    bind(name, Expression::parse(&source).ok().as_ref());
                }
            }
        }
    }

    /// Actions that stand in the model: those of a load.
    fn model_actions(&mut self) {
        for node in &self.form.nodes {
            for action in &node.actions {
                self.action(node, action, |event| event != NEW_REPEAT);
            }
            if self.makes_id(node) {
                self.entity_id(node, "odk-instance-first-load");
            }
        }
    }

    /// Actions of a new instance of a repeat, and ids of its entities: they stand in the repeat, as pyxform writes them.
    pub(super) fn repeat_actions(&mut self, repeat: NodeId) {
        for (id, node) in self.form.nodes.iter().enumerate() {
            if repeat_around(self.form, id) != Some(repeat) {
                continue;
            }
            for action in &node.actions {
                self.action(node, action, |event| event == NEW_REPEAT);
            }
            if self.makes_id(node) {
                self.entity_id(node, NEW_REPEAT);
            }
        }
    }

    /// Whether a node is an entity that is created, and so needs an id of its own.
    fn makes_id(&self, node: &Node) -> bool {
        let is_entity = node.name == "entity" && node.path.ends_with("/meta/entity");
        is_entity && self.declaration(node).is_some_and(|declaration| declaration.entity_id.is_none())
    }

    fn entity_id(&mut self, entity: &Node, event: &str) {
        let _ = writeln!(self.xml, "<setvalue ref=\"{}/@id\" event=\"{event}\" value=\"uuid()\"/>", entity.path);
    }

    /// Actions that a question triggers: they stand in it.
    pub(super) fn triggered(&mut self, trigger: NodeId) {
        for node in &self.form.nodes {
            for action in node.actions.iter().filter(|action| action.trigger == Some(trigger)) {
                self.write_action(node, action, &action.events.join(" "));
            }
        }
    }

    /// An action that no question triggers, for those of its events that are written here.
    fn action(&mut self, node: &Node, action: &Action, here: impl Fn(&str) -> bool) {
        let events: Vec<&str> = action.events.iter().map(String::as_str).filter(|event| here(event)).collect();
        if action.trigger.is_none() && !events.is_empty() {
            self.write_action(node, action, &events.join(" "));
        }
    }

    fn write_action(&mut self, node: &Node, action: &Action, events: &str) {
        let path = &node.path;
        let _ = match &action.value {
            ActionValue::Expression(value) => {
                let value = escape(&value.source, true);
                writeln!(self.xml, "<setvalue ref=\"{path}\" event=\"{events}\" value=\"{value}\"/>")
            }
            ActionValue::Literal(text) => {
                writeln!(self.xml, "<setvalue ref=\"{path}\" event=\"{events}\">{}</setvalue>", escape(text, false))
            }
            ActionValue::GeoPoint => writeln!(self.xml, "<odk:setgeopoint ref=\"{path}\" event=\"{events}\"/>"),
            ActionValue::RecordAudio(quality) => {
                let quality =
                    if quality.is_empty() { String::new() } else { format!(" odk:quality=\"{}\"", escape(quality, true)) };
                writeln!(self.xml, "<odk:recordaudio ref=\"{path}\" event=\"{events}\"{quality}/>")
            }
        };
    }
}

/// An expression as it stands in a predicate over a list: each relative path begins at the node that the whole is evaluated for.
fn from_current(source: &str) -> String {
    let mut moved = String::with_capacity(source.len());
    let mut quoted = None;
    for (at, letter) in source.char_indices() {
        match quoted {
            Some(quote) if quote == letter => quoted = None,
            Some(_) => {}
            None if matches!(letter, '\'' | '"') => quoted = Some(letter),
            None => {
                let begins = source.get(at..).is_some_and(|rest| rest.starts_with("../"));
                let goes_on = source.get(..at).is_some_and(|before| before.ends_with(['/', '.']));
                if begins && !goes_on {
                    moved.push_str("current()/");
                }
            }
        }
        moved.push(letter);
    }
    moved
}

fn repeat_around(form: &Form, id: NodeId) -> Option<NodeId> {
    let mut above = form.nodes.get(id)?.parent;
    while let Some(id) = above {
        let node = form.nodes.get(id)?;
        if matches!(node.kind, NodeKind::Repeat { .. }) {
            return Some(id);
        }
        above = node.parent;
    }
    None
}

/// The words of a text that is the same in every language and has no outputs.
pub(super) fn plain(text: &Text) -> Option<String> {
    let (first, others) = text.by_language.split_first()?;
    let parts = first.as_ref().filter(|_| others.iter().all(|other| other == first))?;
    parts
        .iter()
        .map(|part| match part {
            TextPart::Literal(words) => Some(words.as_str()),
            TextPart::Output(_) => None,
        })
        .collect()
}

/// Words and outputs as XML.
pub(super) fn parts_xml(parts: &[TextPart]) -> String {
    let mut xml = String::new();
    for part in parts {
        match part {
            TextPart::Literal(words) => xml.push_str(&escape(words, false)),
            TextPart::Output(expression) => {
                let _ = write!(xml, "<output value=\"{}\"/>", escape(&expression.source, true));
            }
        }
    }
    xml
}

/// Where the file of a medium is.
fn folder(form: &str) -> &'static str {
    match form {
        "image" | "big-image" => "jr://images/",
        "audio" => "jr://audio/",
        "video" => "jr://video/",
        _ => "",
    }
}

fn preload(preload: &str) -> (&str, &str) {
    match preload {
        "start" | "end" => ("timestamp", preload),
        "today" => ("date", preload),
        "uid" => ("uid", ""),
        other => ("property", other),
    }
}

fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::String | DataType::SelectMultiple | DataType::SelectOne => "string",
        DataType::Int => "int",
        DataType::Decimal => "decimal",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Time => "time",
        DataType::DateTime => "dateTime",
        DataType::GeoPoint => "geopoint",
        DataType::GeoTrace => "geotrace",
        DataType::GeoShape => "geoshape",
        DataType::Binary => "binary",
        DataType::Barcode => "barcode",
        DataType::Intent => "intent",
        DataType::Rank => "odk:rank",
    }
}
