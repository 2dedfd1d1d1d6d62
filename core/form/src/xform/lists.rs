//! Secondary instances and the choices that selects take from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Element;
use super::reader::Reader;
use super::words::itext_column;
use crate::external;
use crate::model::{InstanceSource, Itemset, NodeId, SecondaryInstance, Table, Text, TextPart};
use crate::search;
use crate::xlsform::LAST_SAVED;
use crate::xpath::Expression;
use crate::xpath::syntax::Tree;

impl Reader {
    /// An instance beside the primary one.
    pub(super) fn secondary(&mut self, element: &Element) {
        let Some(id) = element.attribute("id").map(str::to_owned) else {
            self.fault(element, "id", "a secondary instance needs an id", "add the attribute `id`");
            return;
        };
        if self.instances.contains_key(&id) {
            self.fault(element, "id", format!("the instance `{id}` is here twice"), "give each instance an id of its own");
            return;
        }
        let source = match element.attribute("src") {
            Some("jr://instance/last-saved") => InstanceSource::LastSaved,
            Some(address) => InstanceSource::External { file: address.rsplit('/').next().unwrap_or(address).to_owned() },
            None => InstanceSource::Internal(Arc::new(table(element))),
        };
        self.instances.insert(id.clone(), SecondaryInstance { id, source });
    }

    /// The choices of a select: an itemset, or items in place.
    pub(super) fn choices(&mut self, select: &Element, id: NodeId) {
        let itemset = match select.child("itemset") {
            _ if select.has("query") => self.query(select),
            Some(itemset) => self.itemset(itemset),
            None => self.items(select, id),
        };
        let itemset = itemset.map(|itemset| self.searched(select, itemset));
        if let Some(control) = self.nodes.get_mut(id).and_then(|node| node.control.as_mut()) {
            control.itemset = itemset;
        }
    }

    /// The appearance `search()` takes the choices from rows of a file.
    fn searched(&mut self, select: &Element, itemset: Itemset) -> Itemset {
        let appearance = select.attribute("appearance").unwrap_or_default();
        let Some(call) = search::call(appearance) else { return itemset };
        let found = call.search(&itemset.instance, |argument| {
            let from = if argument.starts_with('.') { "current()/" } else { "" };
            Expression::parse(&format!("{from}{argument}"))
        });
        let name = call.file().map(|file| format!("{file}.csv")).unwrap_or_default();
        let file = call.file().unwrap_or_default();
        let is_list = self.instances.get(file).is_some_and(|instance| matches!(instance.source, InstanceSource::Internal(_)));
        let instance = if is_list { name.clone() } else { file.to_owned() };
        let nodeset = Expression::parse(&format!("instance('{instance}')/root/item"));
        match (found, nodeset) {
            (Ok(found), Ok(nodeset)) if !instance.is_empty() => {
                let source = InstanceSource::External { file: name };
                let made = SecondaryInstance { id: instance.clone(), source };
                self.instances.entry(instance.clone()).or_insert(made);
                Itemset { instance, nodeset, search: Some(found), ..itemset }
            }
            _ => {
                self.warn(select, "`search()` cannot be read, and is ignored");
                itemset
            }
        }
    }

    /// `query="instance('towns')/root/item[state = …]"`: the rows of the list `towns` in the file that holds all such lists.
    fn query(&mut self, select: &Element) -> Option<Itemset> {
        let query = select.attribute("query").unwrap_or_default();
        let written = self.parsed(select, "query", query)?;
        let Some(list) = written.instances().first().cloned() else {
            self.fault(select, "query", "the query names no list", "write `instance('LIST')/root/item[…]`");
            return None;
        };
        let (before, rest) = query.split_once("/root/item").unwrap_or((query, ""));
        let nodeset = format!("{before}/root/item[list_name = '{list}']{rest}");
        let nodeset = self.parsed(select, "query", &nodeset)?;
        let source = InstanceSource::External { file: external::ITEMSETS.to_owned() };
        let made = SecondaryInstance { id: list.clone(), source };
        self.instances.entry(list.clone()).or_insert(made);
        let (value_ref, label_ref) = ("name".to_owned(), "label".to_owned());
        Some(Itemset { instance: list, nodeset, value_ref, label_ref, randomize: false, seed: None, search: None })
    }

    fn itemset(&mut self, itemset: &Element) -> Option<Itemset> {
        let whole = self.expression(itemset, "nodeset")?;
        // `randomize(nodeset, seed)`: the order is the select's affair, so that it stays while the person looks.
        let parts = match &*whole.tree {
            Tree::Call { function, .. } if function.name == "randomize" => Some(arguments(&whole.source)),
            _ => None,
        };
        let randomize = parts.is_some();
        let (nodeset, seed) = match parts {
            None => (whole, None),
            Some(parts) => {
                let nodeset = Expression::parse(parts.first().map_or("", String::as_str)).ok()?;
                (nodeset, parts.get(1).and_then(|seed| Expression::parse(seed).ok()))
            }
        };
        let value_ref = itemset.child("value").and_then(|value| value.attribute("ref")).unwrap_or("name").to_owned();
        let label = itemset.child("label").and_then(|label| label.attribute("ref")).unwrap_or("label");
        let instance = nodeset.instances().first().cloned().unwrap_or_default();
        let label_ref = match itext_column(label) {
            Some(column) => {
                self.speak(&instance, column);
                "label".to_owned()
            }
            None => label.to_owned(),
        };
        Some(Itemset { instance, nodeset, value_ref, label_ref, randomize, seed, search: None })
    }

    /// Gives the rows of a list the words that a column of theirs names.
    fn speak(&mut self, instance: &str, column: &str) {
        let Some(InstanceSource::Internal(table)) = self.instances.get(instance).map(|instance| &instance.source) else { return };
        if !table.labels.is_empty() {
            return;
        }
        let Some(place) = table.column(column) else { return };
        let labels: Vec<Text> =
            (0..table.rows.len()).map(|row| self.form_of(table.cell(row, place), "").unwrap_or_default()).collect();
        let media: Vec<BTreeMap<String, Text>> =
            (0..table.rows.len()).map(|row| self.media_of_text(table.cell(row, place)).into_iter().collect()).collect();
        let mut spoken = (**table).clone();
        spoken.labels = labels;
        if media.iter().any(|media| !media.is_empty()) {
            spoken.media = media;
        }
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.source = InstanceSource::Internal(Arc::new(spoken));
        }
    }

    /// Items written into the select become a list of its own.
    fn items(&mut self, select: &Element, id: NodeId) -> Option<Itemset> {
        let mut rows = Vec::new();
        let mut labels: Vec<Text> = Vec::new();
        for item in select.children().filter(|child| child.local() == "item") {
            let value = item.child("value").map(Element::text).unwrap_or_default().trim().to_owned();
            let label = item.child("label").and_then(|label| self.text_of(label)).unwrap_or_default();
            let shown = label.by_language.get(self.default_language).or(label.by_language.first());
            let plain = shown.and_then(Option::as_ref).and_then(|parts| match parts.as_slice() {
                [TextPart::Literal(text)] => Some(text.clone()),
                _ => None,
            });
            rows.push(vec![value, plain.unwrap_or_default()]);
            labels.push(label);
        }
        if rows.is_empty() {
            self.fault(select, "", "the select has neither an itemset nor items", "add an `<itemset>` or `<item>` elements");
            return None;
        }
        let path = self.nodes.get(id).map(|node| node.path.clone()).unwrap_or_default();
        let list = format!("items{}", path.replace('/', "."));
        let nodeset = Expression::parse(&format!("instance('{list}')/root/item")).ok()?;
        let mut table = Table::new(vec!["name".to_owned(), "label".to_owned()], rows);
        table.labels = labels;
        let source = InstanceSource::Internal(Arc::new(table));
        self.instances.insert(list.clone(), SecondaryInstance { id: list.clone(), source });
        Some(Itemset {
            instance: list,
            nodeset,
            value_ref: "name".to_owned(),
            label_ref: "label".to_owned(),
            randomize: false,
            seed: None,
            search: None,
        })
    }

    /// Every list that an expression names must be there; `pulldata` names files.
    pub(super) fn finish_lists(&mut self) {
        let mut missing: BTreeMap<String, String> = BTreeMap::new();
        // pyxform leaves the instance out where only words look at it.
        if self.looked_up.iter().any(|(id, _)| id == LAST_SAVED) {
            let made = SecondaryInstance { id: LAST_SAVED.to_owned(), source: InstanceSource::LastSaved };
            self.instances.entry(LAST_SAVED.to_owned()).or_insert(made);
        }
        for (id, place) in std::mem::take(&mut self.looked_up) {
            let plain = id.strip_suffix(".csv").unwrap_or(&id);
            if !self.instances.contains_key(&id) && !self.instances.contains_key(plain) {
                missing.entry(id).or_insert(place);
            }
        }
        let pulled: Vec<String> = missing.keys().filter(|id| self.is_pulled(id)).cloned().collect();
        for id in pulled {
            missing.remove(&id);
            let file = if id.contains('.') { id.clone() } else { format!("{id}.csv") };
            let plain = id.strip_suffix(".csv").unwrap_or(&id).to_owned();
            self.instances.insert(plain.clone(), SecondaryInstance { id: plain, source: InstanceSource::External { file } });
        }
        for (id, place) in missing {
            self.faults.push(crate::fault::Fault::at(
                &place,
                0,
                "",
                format!("`instance('{id}')` names no instance of this form"),
                "add `<instance id=…>` to the model, or mend the name",
            ));
        }
    }

    fn is_pulled(&self, id: &str) -> bool {
        let mut found = false;
        for node in &self.nodes {
            for expression in [&node.bind.calculate, &node.bind.relevant, &node.bind.constraint, &node.bind.required] {
                let Some(expression) = expression else { continue };
                expression.tree.walk(&mut |tree| {
                    if let Tree::Call { function, arguments } = tree
                        && function.name == "pulldata"
                        && let Some(Tree::Text(file)) = arguments.first()
                    {
                        found |= **file == *id;
                    }
                });
            }
        }
        found
    }
}

/// Rows of an instance in the form: the root's elements, each with its own elements and attributes as cells.
pub(super) fn table(instance: &Element) -> Table {
    let Some(root) = instance.children().next() else { return Table::default() };
    let mut table = Table::default();
    if root.local() != "root" {
        root.local().clone_into(&mut table.root_name);
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for item in root.children() {
        if table.row_name.is_empty() && item.local() != "item" {
            item.local().clone_into(&mut table.row_name);
        }
        let mut cells: Vec<String> = vec![String::new(); table.columns.len()];
        let attributes = item.attributes.iter().map(|(name, value)| (format!("@{name}"), value.clone()));
        let elements = item.children().map(|cell| (cell.local().to_owned(), cell.text()));
        for (name, value) in attributes.chain(elements) {
            let place = *places.entry(name.clone()).or_insert_with(|| {
                table.columns.push(name);
                table.columns.len() - 1
            });
            if cells.len() <= place {
                cells.resize(place + 1, String::new());
            }
            if let Some(cell) = cells.get_mut(place) {
                *cell = value;
            }
        }
        table.rows.push(cells);
    }
    table
}

/// Arguments of a call, as written.
fn arguments(call: &str) -> Vec<String> {
    let inside = call.trim().split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(inside, _)| inside);
    let mut parts = vec![String::new()];
    let (mut depth, mut quote) = (0i32, None);
    for character in inside.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}
