//! What expressions look at during an interview: the tree, the form's lists, the clock and chance.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::last_saved;
use super::plan::Plan;
use super::tree::Tree;
use super::values;
use crate::model::{DataType, InstanceSource, Table, Text, TextPart};
use crate::xpath::evaluate::BYTES_A_UNIT;
use crate::xpath::host::{Host, Node, Now, OnlyChild};
use crate::xpath::pattern::Pattern;
use crate::xpath::{Expression, Scope, Value};

/// Units of evaluation that one answer may cost: a second or less of one core.
const WORK_MAX: u64 = 40_000_000;
/// Compiled patterns that are kept.
const PATTERNS_MAX: usize = 200;
/// Namespaces of a form's elements.
const XFORMS: &str = "http://www.w3.org/2002/xforms";
const OPENROSA: &str = "http://openrosa.org/xforms";

/// Everything around the tree.
pub(super) struct World {
    pub(super) context: Context,
    /// By number of the secondary instance.
    pub(super) tables: Vec<Option<Arc<Table>>>,
    /// The instance of the interview saved last (see [`last_saved`]).
    pub(super) last_saved: Option<u16>,
    pub(super) language: usize,
    patterns: RefCell<BTreeMap<String, Option<Arc<Pattern>>>>,
    drawn: Cell<u64>,
    work: Cell<u64>,
}

impl World {
    pub(super) fn new(plan: &Arc<Plan>, context: Context) -> Self {
        let mut last_saved = None;
        let tables = plan
            .instance_ids
            .iter()
            .enumerate()
            .map(|(number, id)| match plan.form.instances.get(id).map(|instance| &instance.source) {
                Some(InstanceSource::Internal(table)) => Some(table.clone()),
                Some(InstanceSource::External { file }) => context.lists.table(file),
                Some(InstanceSource::LastSaved) => {
                    last_saved = u16::try_from(number).ok();
                    Some(Arc::new(last_saved::table(plan, &context)))
                }
                None => None,
            })
            .collect();
        let language = plan.form.default_language;
        Self { context, tables, last_saved, language, patterns: RefCell::default(), drawn: Cell::new(0), work: Cell::new(0) }
    }

    /// Lets the next answer begin with its whole allowance.
    pub(super) fn rested(&self) {
        self.work.set(0);
    }

    /// The next bytes of the interview's randomness.
    pub(super) fn draw(&self) -> [u8; 16] {
        self.drawn.set(self.drawn.get() + 1);
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 interview randomness");
        hasher.update(&self.context.random_seed).update(&self.drawn.get().to_le_bytes());
        let mut bytes = [0u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn table(&self, number: u16) -> Option<&Arc<Table>> {
        self.tables.get(usize::from(number))?.as_ref()
    }

    fn column(&self, table: u16, name: &str) -> Option<u16> {
        u16::try_from(self.table(table)?.column(name)?).ok()
    }

    fn cell(&self, table: u16, row: u32, column: u16) -> &str {
        self.table(table).map_or("", |table| table.cell(row as usize, usize::from(column)))
    }
}

/// A version 4 identifier of random bytes (RFC 9562).
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The tree in its world: what an expression is evaluated against.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tree: &'a Tree,
    pub(super) world: &'a World,
}

impl View<'_> {
    /// Evaluates at an element; nothing where the expression fails.
    pub(super) fn value(&self, expression: &Expression, element: u32) -> Option<Value> {
        expression.evaluate(&Scope::at(self, Node::Element(element))).ok()
    }

    pub(super) fn text_at(&self, expression: &Expression, element: u32) -> String {
        let scope = Scope::at(self, Node::Element(element));
        scope.text(&expression.tree).unwrap_or_default()
    }

    pub(super) fn truth_at(&self, expression: &Expression, element: u32, otherwise: bool) -> bool {
        if let Some(truth) = expression.constant_truth() {
            return truth;
        }
        self.value(expression, element).map_or(otherwise, |value| match value {
            // A path as a condition is the truth of its text, as in ODK: blank, `0` and `false` are not true.
            Value::Nodes(_) => {
                let scope = Scope::at(self, Node::Element(element));
                let text = value.text(&scope);
                !text.is_empty() && value.truth()
            }
            other => other.truth(),
        })
    }

    pub(super) fn number_at_node(&self, expression: &Expression, node: Node) -> f64 {
        let scope = Scope::at(self, node);
        expression.evaluate(&scope).map_or(f64::NAN, |value| value.number(&scope))
    }

    /// A text in the language shown, outputs filled in; nothing where it is not said in it.
    pub(super) fn words(&self, text: &Text, element: u32) -> Option<String> {
        let parts =
            if text.by_language.len() == 1 { text.by_language.first()? } else { text.by_language.get(self.world.language)? };
        let mut words = String::new();
        for part in parts.as_ref()? {
            match part {
                // Words are copied for each node that shows them.
                TextPart::Literal(literal) if self.spend((literal.len() / BYTES_A_UNIT) as u64) => words.push_str(literal),
                TextPart::Literal(_) => {}
                TextPart::Output(expression) => words.push_str(&self.text_at(expression, element)),
            }
        }
        Some(words)
    }

    fn column_name(&self, cell: Node) -> &str {
        let Node::Cell(table, _, column) = cell else { return "" };
        let name = || self.world.table(table)?.columns.get(usize::from(column));
        name().map_or("", String::as_str)
    }

    /// A word of a table's definition, or the usual one.
    fn table_word(&self, table: u16, which: impl Fn(&Table) -> &String, usual: &'static str) -> &str {
        let word = self.world.table(table).map_or("", |table| which(table).as_str());
        if word.is_empty() { usual } else { word }
    }

    fn is_last_saved(&self, table: u16) -> bool {
        self.world.last_saved == Some(table)
    }

    /// What a node of the interview saved last is in; nothing where that is its root.
    fn saved_parent(&self, table: u16, row: u32) -> Option<u32> {
        if self.is_last_saved(table) { self.world.cell(table, row, last_saved::PARENT).parse().ok() } else { None }
    }

    /// Nodes of the interview saved last that are in another, or in its root.
    fn saved_below(&self, table: u16, parent: Option<u32>, name: Option<&str>, into: &mut Vec<Node>) {
        let rows = self.world.table(table).map_or(0, |table| table.rows.len() as u32);
        let below = (0..rows).filter(|row| self.saved_parent(table, *row) == parent);
        let named = below.filter(|row| name.is_none_or(|name| self.world.cell(table, *row, last_saved::NAME) == name));
        into.extend(named.map(|row| Node::Row(table, row)));
    }

    /// A table by the number of its instance.
    pub(super) fn table_at(&self, number: u16) -> Option<&Table> {
        self.world.table(number).map(|table| &**table)
    }

    /// The label of a row of a list; a file may have one column a language, `label::English`.
    pub(super) fn row_label(&self, table: u16, row: u32, label_ref: &str, element: u32) -> String {
        let label = || {
            let found = self.world.table(table)?;
            if let Some(words) = found.labels.get(row as usize).and_then(|text| self.words(text, element)) {
                return Some(words);
            }
            let language = self.plan.form.languages.get(self.world.language);
            let spoken = language.and_then(|language| self.world.column(table, &format!("{label_ref}::{language}")));
            let column = spoken.or_else(|| self.world.column(table, label_ref)).or_else(|| self.world.column(table, "label"))?;
            Some(self.world.cell(table, row, column).to_owned())
        };
        label().unwrap_or_default()
    }
}

impl Host for View<'_> {
    fn parent(&self, node: Node) -> Option<Node> {
        match node {
            Node::Document | Node::Table(_) => None,
            Node::Element(id) => Some(self.tree.parent(id).map_or(Node::Document, Node::Element)),
            Node::Attribute(id, _) => Some(Node::Element(id)),
            Node::TableRoot(table) => Some(Node::Table(table)),
            Node::Row(table, row) => {
                Some(self.saved_parent(table, row).map_or(Node::TableRoot(table), |row| Node::Row(table, row)))
            }
            Node::Cell(table, row, _) => Some(Node::Row(table, row)),
        }
    }

    fn children(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>) {
        match node {
            Node::Document => {
                if name.is_none_or(|name| self.name(Node::Element(0)) == name) {
                    into.push(Node::Element(0));
                }
            }
            Node::Element(id) => {
                let Some(element) = self.tree.element(id) else { return };
                match name {
                    Some(name) => {
                        if let Some(slot) = self.plan.slot_of(element.node, name) {
                            into.extend(self.tree.instances(id, slot).iter().map(|child| Node::Element(*child)));
                        }
                    }
                    None => into.extend(element.children.iter().flatten().map(|child| Node::Element(*child))),
                }
            }
            Node::Attribute(..) | Node::Cell(..) => {}
            Node::Table(table) => {
                if name.is_none_or(|name| self.name(Node::TableRoot(table)) == name) {
                    into.push(Node::TableRoot(table));
                }
            }
            Node::TableRoot(table) if self.is_last_saved(table) => self.saved_below(table, None, name, into),
            Node::Row(table, row) if self.is_last_saved(table) => self.saved_below(table, Some(row), name, into),
            Node::TableRoot(table) => {
                let rows = self.world.table(table).map_or(0, |table| table.rows.len() as u32);
                let rows = (0..rows).map(|row| Node::Row(table, row));
                match name {
                    None => into.extend(rows),
                    Some(name) if self.name(Node::Row(table, 0)) == name => into.extend(rows),
                    Some(_) => {}
                }
            }
            Node::Row(table, row) => {
                let columns = self.world.table(table).map_or(0, |table| table.columns.len() as u16);
                match name {
                    Some(name) => into.extend(self.world.column(table, name).map(|column| Node::Cell(table, row, column))),
                    None => into.extend(
                        (0..columns)
                            .map(|column| Node::Cell(table, row, column))
                            .filter(|cell| !self.column_name(*cell).starts_with('@')),
                    ),
                }
            }
        }
    }

    fn only_child(&self, node: Node, name: &str) -> OnlyChild {
        match node {
            Node::Document if self.name(Node::Element(0)) == name => OnlyChild::One(Node::Element(0)),
            Node::Element(id) => {
                let slot = self.tree.element(id).and_then(|element| self.plan.slot_of(element.node, name));
                match slot.map_or(&[][..], |slot| self.tree.instances(id, slot)) {
                    [] => OnlyChild::None,
                    [child] => OnlyChild::One(Node::Element(*child)),
                    _ => OnlyChild::Several,
                }
            }
            Node::Table(table) if self.name(Node::TableRoot(table)) == name => OnlyChild::One(Node::TableRoot(table)),
            Node::Row(table, row) if !self.is_last_saved(table) => {
                self.world.column(table, name).map_or(OnlyChild::None, |column| OnlyChild::One(Node::Cell(table, row, column)))
            }
            // The rows of a table are many, and so may be the nodes of the interview saved last.
            Node::TableRoot(_) | Node::Row(..) => OnlyChild::Several,
            _ => OnlyChild::None,
        }
    }

    fn attributes(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>) {
        let Node::Row(table, row) = node else { return };
        let columns = self.world.table(table).map_or(&[][..], |table| &table.columns);
        for (column, column_name) in columns.iter().enumerate() {
            if let Some(own) = column_name.strip_prefix('@')
                && name.is_none_or(|name| name == own)
            {
                into.push(Node::Cell(table, row, column as u16));
            }
        }
    }

    fn name(&self, node: Node) -> Cow<'_, str> {
        match node {
            Node::Document | Node::Table(_) | Node::Attribute(..) => Cow::Borrowed(""),
            Node::Element(id) => {
                Cow::Borrowed(self.plan.form.nodes.get(self.tree.node_of(id)).map_or("", |node| node.name.as_str()))
            }
            Node::TableRoot(table) if self.is_last_saved(table) => Cow::Borrowed(self.plan.form.root_name.as_str()),
            Node::TableRoot(table) => Cow::Borrowed(self.table_word(table, |table| &table.root_name, "root")),
            Node::Row(table, row) if self.is_last_saved(table) => Cow::Borrowed(self.world.cell(table, row, last_saved::NAME)),
            Node::Row(table, _) => Cow::Borrowed(self.table_word(table, |table| &table.row_name, "item")),
            Node::Cell(..) => Cow::Borrowed(self.column_name(node).trim_start_matches('@')),
        }
    }

    /// An element without a prefix is in the namespace that XForms give their instances, unless the form says another.
    fn namespace(&self, node: Node) -> Cow<'_, str> {
        let form = &self.plan.form;
        match node {
            Node::Document | Node::Table(_) | Node::Attribute(..) => Cow::Borrowed(""),
            _ if self.name(node).starts_with("orx:") => Cow::Borrowed(OPENROSA),
            Node::Element(_) => Cow::Borrowed(form.settings.get("instance_xmlns").map_or(XFORMS, String::as_str)),
            _ => Cow::Borrowed(XFORMS),
        }
    }

    fn text(&self, node: Node) -> Cow<'_, str> {
        match node {
            Node::Element(id) => match self.tree.element(id) {
                // As text a decimal carries its fraction, in expressions too: `7.0`.
                Some(element) if element.relevant => match self.plan.form.nodes.get(element.node).map(|node| node.bind.data_type)
                {
                    Some(DataType::Decimal) => Cow::Owned(values::shown(DataType::Decimal, &element.value)),
                    _ => Cow::Borrowed(element.value.as_str()),
                },
                _ => Cow::Borrowed(""),
            },
            Node::Cell(table, row, column) => Cow::Borrowed(self.world.cell(table, row, column)),
            Node::Row(table, row) if self.is_last_saved(table) => Cow::Borrowed(self.world.cell(table, row, last_saved::VALUE)),
            _ => Cow::Borrowed(""),
        }
    }

    fn position(&self, node: Node) -> usize {
        match node {
            Node::Element(id) => self.tree.position(self.plan, id),
            Node::Row(_, row) => row as usize + 1,
            _ => 1,
        }
    }

    fn document_order(&self, left: Node, right: Node) -> Ordering {
        match (left, right) {
            (Node::Element(left), Node::Element(right)) => self.tree.order(self.plan, left, right),
            _ => left.cmp(&right),
        }
    }

    fn instance(&self, id: &str) -> Option<Node> {
        let find = |id: &str| self.plan.instance_ids.iter().position(|known| known == id);
        let number = find(id).or_else(|| find(id.strip_suffix(".csv")?))?;
        Some(Node::Table(u16::try_from(number).ok()?))
    }

    fn rows_equal(&self, root: Node, column: &str, value: &str) -> Option<Vec<Node>> {
        let Node::TableRoot(table) = root else { return None };
        if self.is_last_saved(table) {
            return None;
        }
        let Some(column) = self.world.column(table, column) else { return Some(Vec::new()) };
        let rows = self.world.table(table)?.rows_with(usize::from(column), value);
        Some(rows.iter().map(|row| Node::Row(table, *row)).collect())
    }

    fn now(&self) -> Now {
        Now { milliseconds: self.world.context.now_ms, offset_minutes: self.world.context.offset_minutes }
    }

    fn random(&self) -> u64 {
        self.world.draw().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn property(&self, name: &str) -> String {
        let context = &self.world.context;
        match name {
            "deviceid" => context.device_id.clone(),
            "username" => context.username.clone(),
            "phonenumber" => context.phone_number.clone(),
            "email" => context.email.clone(),
            "version" => self.plan.form.version.clone(),
            _ => String::new(),
        }
    }

    fn choice_label(&self, question: Node, value: &str) -> Option<String> {
        let Node::Element(element) = question else { return None };
        let node = self.plan.form.nodes.get(self.tree.node_of(element))?;
        let itemset = node.control.as_ref()?.itemset.as_ref()?;
        if let Some(search) = &itemset.search {
            let offered = self.searched(itemset, search, element);
            let (_, item) = offered.into_iter().find(|(name, _)| name == value)?;
            return Some(self.searched_label(search, item, element));
        }
        let Some(Node::Table(table)) = self.instance(&itemset.instance) else {
            // Choices made of answers: their names and labels stand beside each other.
            let Some(Value::Nodes(items)) = self.value(&itemset.nodeset, element) else { return None };
            let beside = |item: Node, name: &str| match self.only_child(item, name.trim_start_matches("./")) {
                OnlyChild::One(node) => Some(self.text(node)),
                _ => None,
            };
            let item = items.into_iter().find(|item| beside(*item, &itemset.value_ref).is_some_and(|name| name == value))?;
            return Some(beside(item, &itemset.label_ref)?.into_owned());
        };
        let rows = self.rows_equal(Node::TableRoot(table), &itemset.value_ref, value)?;
        let Some(Node::Row(table, row)) = rows.first().copied() else { return None };
        Some(self.row_label(table, row, &itemset.label_ref, element))
    }

    /// The words of a question by the name that XLSForm's converters give them: `/data/age:label`.
    fn translation(&self, id: &str) -> Option<String> {
        let (path, part) = id.split_once(':')?;
        let node = self.plan.form.nodes.get(*self.plan.form.by_path.get(path)?)?;
        let control = node.control.as_ref();
        let text = match part {
            "label" => control.and_then(|control| control.label.as_ref()),
            "hint" => control.and_then(|control| control.hint.as_ref()),
            "jr:constraintMsg" => node.bind.constraint_message.as_ref(),
            "jr:requiredMsg" => node.bind.required_message.as_ref(),
            _ => None,
        };
        let text = text?;
        // Where nothing is translated, converters write words where they are shown, and this name names nothing (pyxform 4.5).
        let is_named = !self.plan.form.languages.is_empty() || control.is_some_and(|control| !control.media.is_empty());
        self.words(text, 0).filter(|_| is_named)
    }

    fn pattern(&self, source: &str) -> Option<Arc<Pattern>> {
        if let Some(known) = self.world.patterns.borrow().get(source) {
            return known.clone();
        }
        if !self.spend(Pattern::compile_work(source)) {
            return None;
        }
        let compiled = Pattern::new(source).ok().map(Arc::new);
        let mut patterns = self.world.patterns.borrow_mut();
        if patterns.len() >= PATTERNS_MAX {
            patterns.clear();
        }
        patterns.insert(source.to_owned(), compiled.clone());
        compiled
    }

    fn spend(&self, work: u64) -> bool {
        let spent = self.world.work.get().saturating_add(work);
        self.world.work.set(spent);
        spent <= WORK_MAX
    }
}
