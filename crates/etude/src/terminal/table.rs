//! Tables in plain text.

use crate::report::Table;

/// A table as aligned text: its caption, where it has one, and the rows, numbers flush right, a rule below the header, two spaces between columns, a newline after
/// each row.
///
/// Widths count characters, which suits Latin text, digits and the usual signs.
pub fn table(table: &Table) -> String {
    let numeric = table.numeric_columns();
    let widths: Vec<usize> = (0..table.header.len())
        .map(|column| {
            let cells = table.rows.iter().map(|row| row[column].chars().count());
            cells.chain([table.header[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).zip(&numeric).map(|((cell, width), numeric)| {
            if *numeric {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let caption = if table.caption.is_empty() {
        String::new()
    } else {
        format!("{}\n", table.caption)
    };
    [caption, line(&table.header), line(&rule)]
        .into_iter()
        .chain(table.rows.iter().map(|row| line(row)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn columns_are_aligned() {
        let methods = Table::new(["méthode", "sweeps", "time", "why"])
            .row(["value iteration", "133", "1.2 ms", "small"])
            .row(["policy iteration", "8", "12.5 ms", ""])
            .row(["closed form", "—", "0.4 ms", "γ near 1"])
            .caption("All methods");
        assert_snapshot!(table(&methods), @r"
        All methods
        méthode           sweeps     time  why
        ────────────────  ──────  ───────  ────────
        value iteration      133   1.2 ms  small
        policy iteration       8  12.5 ms
        closed form            —   0.4 ms  γ near 1
        ");
    }
}
