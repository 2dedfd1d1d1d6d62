//! Rows of a secondary instance: a choice list, a CSV file, an entity list. Held once and read by every interview; a look-up by
//! a column's value goes through an index that is made the first time somebody asks.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::model::Text;

/// Rows of a secondary instance. Labels in several languages stand in `labels`; the column `label` then holds the words of
/// the language that is shown first.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Column names in order; `@name` is an attribute of the row.
    pub columns: Vec<String>,
    /// Row-major cells, `columns.len()` each.
    pub rows: Vec<Vec<String>>,
    /// Translated labels by row, where the list is translated.
    pub labels: Vec<Text>,
    /// Pictures, sounds and films of the labels by row and kind, where any row has one: names of files.
    pub media: Vec<BTreeMap<String, Text>>,
    /// Name of the element that holds the rows; empty: `root`.
    pub root_name: String,
    /// Name of a row's element; empty: `item`.
    pub row_name: String,
    /// Made when somebody looks something up; the rows do not change after that.
    pub indexes: Indexes,
}

impl Table {
    /// A table of plain rows.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>) -> Self {
        Self { columns, rows, ..Self::default() }
    }

    /// Place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// One cell, blank where the row is short.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        self.rows.get(row).and_then(|cells| cells.get(column)).map_or("", String::as_str)
    }

    /// Rows whose cell in a column is exactly `value`, in order.
    pub fn rows_with(&self, column: usize, value: &str) -> &[u32] {
        let columns = self.indexes.0.get_or_init(|| self.columns.iter().map(|_| OnceLock::new()).collect());
        let Some(index) = columns.get(column) else { return &[] };
        let index = index.get_or_init(|| {
            let mut rows: Vec<(&str, u32)> = (0..self.rows.len()).map(|row| (self.cell(row, column), row as u32)).collect();
            rows.sort_unstable();
            rows.into_iter().map(|(_, row)| row).collect()
        });
        let from = index.partition_point(|row| self.cell(*row as usize, column) < value);
        let rest = index.get(from..).unwrap_or_default();
        let count = rest.partition_point(|row| self.cell(*row as usize, column) == value);
        rest.get(..count).unwrap_or_default()
    }
}

/// Rows by column, each sorted by the column's cells. A copy of a table makes its own.
#[derive(Debug, Default)]
pub struct Indexes(OnceLock<Vec<OnceLock<Box<[u32]>>>>);

impl Clone for Indexes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn rows_are_found_by_value_in_their_order() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["c", "1"]), row(["a", "2"]), row(["c", "3"]), vec!["b".to_owned()]];
        let table = Table::new(vec!["name".to_owned(), "size".to_owned()], rows);
        assert_eq!(table.rows_with(0, "c"), [0, 2]);
        assert!(table.rows_with(0, "d").is_empty());
        assert_eq!(table.rows_with(1, ""), [3]);
        assert!(table.rows_with(7, "c").is_empty());
    }
}
