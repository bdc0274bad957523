//! Tables and the shapes of numbers in them.

use cloudron_core::escape;

/// The widest that a column is padded to: one long cell must not blow up all rows.
const WIDEST: usize = 100;

/// A table of text: columns padded by two blanks.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// Adds a row; each cell is one line, whatever it holds.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| escape::line(cell).into_owned()).collect());
    }

    pub(crate) fn render(&self) -> String {
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

/// A number of bytes for people, in powers of 1024 (IEC 80000-13).
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_to_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(200 * 1024 * 1024), "200.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

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
