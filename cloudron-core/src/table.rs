//! Tables of text.

use crate::escape;

/// Maximum padding of a column, in characters: one long cell must not widen all rows.
const WIDEST: usize = 100;

/// A text table with columns separated by two spaces.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these names of columns.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// Adds a row. Line breaks in cells are escaped.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| escape::line(cell).into_owned()).collect());
    }

    /// Writes it, with a line for each row.
    #[must_use]
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |c: usize| self.rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0).min(WIDEST)).collect();
        let mut out = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_pads_its_columns_and_leaves_no_trailing_blanks() {
        let mut table = Table::new(["Id", "Size"]);
        table.row(["longer".into(), "1".into()]);
        assert_eq!(table.render(), "Id      Size\nlonger  1\n");
    }

    #[test]
    fn a_cell_cannot_pretend_to_be_another_row() {
        let mut table = Table::new(["Id", "Host"]);
        table.row(["a\nb".into(), "\u{1b}[1A".into()]);
        assert_eq!(table.render(), "Id    Host\na\\nb  \\u{1b}[1A\n");
    }
}
