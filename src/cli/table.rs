//! Plain text tables with aligned columns.

use unicode_width::UnicodeWidthStr;

use crate::text::printable;

/// Which way a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table for people; cells are made printable.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|&(name, align)| (name.to_string(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, more than there are columns are dropped. The last cell of a
    /// short row may run over the columns that the row leaves empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| printable(cell.as_ref()).into_owned()).collect());
    }

    /// The table as lines, the column names first.
    pub fn render(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| {
                let fitted = lines().filter(|row| row.len() > c + 1 || row.len() == self.columns.len());
                fitted.filter_map(|row| row.get(c)).map(|cell| cell.width()).max().unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for row in lines() {
            let mut line = String::new();
            for (c, (&width, (_, align))) in widths.iter().zip(&self.columns).enumerate() {
                let cell = row.get(c).map_or("", String::as_str);
                let padding = " ".repeat(width.saturating_sub(cell.width()));
                if c > 0 {
                    line.push_str("  ");
                }
                match align {
                    Align::Left => line.extend([cell, &padding]),
                    Align::Right => line.extend([&padding, cell]),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.row(["日本", "7"]);
        table.row(["a\u{1b}b", "123"]);
        table.row(["a short row runs over"]);
        let expected = "NAME        N\n日本        7\na\\u{1b}b  123\na short row runs over\n";
        assert_eq!(table.render(), expected);
    }
}
