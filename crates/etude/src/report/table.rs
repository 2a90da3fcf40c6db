//! Tables, for the page and for the terminal.

use maud::{Markup, Render, html};

use super::{figure, number};

/// A table of text cells; a column whose filled cells are all quantities is set flush right.
///
/// ```
/// use etude::report::Table;
///
/// let table = Table::new(["method", "sweeps"]).row(["value iteration", "133"]).row(["policy iteration", "8"]);
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self {
            caption: String::new(),
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Sets the text that goes with the table: below it on the page, above it in the terminal.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When the row has not one cell for each column of the header.
    pub fn row<S: Into<String>>(mut self, cells: impl IntoIterator<Item = S>) -> Self {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(
            cells.len(),
            self.header.len(),
            "a row needs one cell for each column of the header"
        );
        self.rows.push(cells);
        self
    }

    /// For each column, whether it holds numbers.
    pub(crate) fn numeric_columns(&self) -> Vec<bool> {
        (0..self.header.len())
            .map(|column| {
                let mut filled = self
                    .rows
                    .iter()
                    .map(|row| &row[column])
                    .filter(|cell| !number::is_blank(cell))
                    .peekable();
                filled.peek().is_some() && filled.all(|cell| number::is_quantity(cell))
            })
            .collect()
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        let numeric = self.numeric_columns();
        let table = html! {
            table {
                thead {
                    tr {
                        @for (name, numeric) in self.header.iter().zip(&numeric) {
                            th scope="col" .number[*numeric] { (name) }
                        }
                    }
                }
                tbody {
                    @for row in &self.rows {
                        tr { @for (cell, numeric) in row.iter().zip(&numeric) { td.number[*numeric] { (cell) } } }
                    }
                }
            }
        };
        figure("table", &self.caption, &table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_columns_are_found() {
        let table = Table::new(["method", "sweeps", "time", "grid", "none"])
            .row(["value iteration", "1,330", "2.5 ms", "4x4", "—"])
            .row(["closed form", "—", "< 1 ms", "8x8", ""]);
        assert_eq!(table.numeric_columns(), [false, true, true, false, false]);
    }

    #[test]
    fn cells_are_escaped() {
        let page = Table::new(["<b>"]).row(["<i>"]).caption("&").render().into_string();
        assert!(page.contains("&lt;b&gt;") && page.contains("&lt;i&gt;") && page.contains("&amp;"));
    }

    #[test]
    #[should_panic(expected = "one cell for each column")]
    fn a_short_row_is_a_mistake_of_the_caller() {
        let _ = Table::new(["a", "b"]).row(["1"]);
    }
}
