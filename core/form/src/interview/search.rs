//! Choices by the appearance `search()`: rows of a file that fit what the form's expressions say for now.

use std::collections::BTreeSet;

use super::host::View;
use crate::model::{Itemset, Search, Table};
use crate::search::{columns, is_choice, template};
use crate::xpath::Node;
use crate::xpath::host::Host;

/// The column by which Collect orders the rows, where a file has it.
const ORDER: &str = "sortby";

impl View<'_> {
    /// Value and place of each choice: those of the list that are choices themselves, then rows of the file.
    pub(super) fn searched(&self, itemset: &Itemset, search: &Search, element: u32) -> Vec<(String, Node)> {
        let mut offered = Vec::new();
        let Some((list_number, list)) = self.table_named(&search.list) else { return offered };
        let names = list.column("name");
        let name = |row: usize| names.map_or("", |names| list.cell(row, names));
        offered.extend(
            (0..list.rows.len())
                .filter(|row| is_choice(name(*row)))
                .map(|row| (name(row).to_owned(), Node::Row(list_number, row as u32))),
        );
        let found = template(list).zip(self.table_named(&itemset.instance));
        let Some((template, (number, table))) = found else { return offered };
        let Some(values) = table.column(name(template)) else { return offered };
        let mut seen = BTreeSet::new();
        for row in self.fitting(table, search, element) {
            let value = table.cell(row as usize, values);
            if !value.is_empty() && seen.insert(value) {
                offered.push((value.to_owned(), Node::Row(number, row)));
            }
        }
        offered
    }

    /// Rows of the file that fit, in their order.
    fn fitting(&self, table: &Table, search: &Search, element: u32) -> Vec<u32> {
        let mut rows: Vec<u32> = match &search.filter {
            None => (0..table.rows.len() as u32).collect(),
            Some((column, value)) => match table.column(column) {
                Some(column) => table.rows_with(column, &self.text_at(value, element)).to_vec(),
                None => Vec::new(),
            },
        };
        if !self.spend((rows.len() * (1 + search.columns.len())) as u64) {
            return Vec::new();
        }
        if let Some(value) = search.value.as_ref().filter(|_| !search.columns.is_empty()) {
            let wanted = self.text_at(value, element);
            let columns: Vec<usize> = search.columns.iter().filter_map(|column| table.column(column)).collect();
            rows.retain(|row| columns.iter().any(|column| search.kind.fits(table.cell(*row as usize, *column), &wanted)));
        }
        if let Some(order) = table.column(ORDER) {
            let place = |row: u32| table.cell(row as usize, order).trim().parse::<f64>().unwrap_or(f64::MAX);
            rows.sort_by(|left, right| place(*left).total_cmp(&place(*right)));
        }
        rows
    }

    /// The label of a choice: `first (second: its value)`, by the columns that the list's label names in this language.
    pub(super) fn searched_label(&self, search: &Search, item: Node, element: u32) -> String {
        let Node::Row(number, row) = item else { return String::new() };
        let Some((list_number, list)) = self.table_named(&search.list) else { return String::new() };
        if number == list_number {
            return self.row_label(number, row, "label", element);
        }
        let shown = template(list).map(|template| self.row_label(list_number, template as u32, "label", element));
        let Some(table) = self.table_at(number) else { return String::new() };
        let mut label = String::new();
        for (place, name) in columns(&shown.unwrap_or_default()).iter().enumerate() {
            let text = table.column(name).map_or("", |column| table.cell(row as usize, column));
            if place == 0 {
                label.push_str(text);
            } else {
                label.push_str(&format!(" ({name}: {text})"));
            }
        }
        label
    }

    fn table_named(&self, id: &str) -> Option<(u16, &Table)> {
        let Some(Node::Table(number)) = self.instance(id) else { return None };
        Some((number, self.table_at(number)?))
    }
}
