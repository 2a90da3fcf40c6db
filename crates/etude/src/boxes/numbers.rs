//! Tables of numbers from a file: CSV, or JSON as a list of rows.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{CommandError, Context as _};
use crate::recipe;

/// A table of numbers, and where its rows stand in the file.
#[derive(Debug)]
pub(super) struct Numbers {
    path: PathBuf,
    flat: Vec<f64>,
    width: usize,
    places: Places,
}

/// What a table is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What the numbers of a row are, by how many there may be; empty where any number will do.
    pub(super) columns: &'a [&'a str],
    /// The number that JSON's `null` stands for, where it stands for one.
    pub(super) null: Option<f64>,
}

#[derive(Debug)]
enum Places {
    /// The line of each row.
    Lines(Vec<usize>),
    /// The rows of a list.
    Rows,
}

impl Places {
    fn of(&self, row: usize) -> String {
        match self {
            Self::Lines(lines) => format!("line {}", lines.get(row).copied().unwrap_or_default()),
            Self::Rows => format!("row {}", row + 1),
        }
    }
}

impl Numbers {
    /// Reads `path`: JSON where it ends in `.json`, else CSV, whose first line may be a heading.
    ///
    /// # Errors
    /// The file cannot be read; a cell is no number; a row has another length than wanted, or than the first one.
    pub(super) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Self, CommandError> {
        let text = fs::read_to_string(path).map_err(|error| {
            let refused = refuse(path);
            match error.kind() {
                ErrorKind::NotFound => refused.because("there is no such file").hint(recipe::where_to_look(
                    path,
                    &["csv", "json"],
                    "table",
                )),
                _ => refused.caused_by(&error),
            }
        })?;
        let (rows, places) = if path.extension().is_some_and(|ending| ending == "json") {
            (list(path, &text, wanted.null)?, Places::Rows)
        } else {
            let (rows, lines) = csv(path, &text)?;
            (rows, Places::Lines(lines))
        };
        let width = rows.first().map_or(0, Vec::len);
        for (row, numbers) in rows.iter().enumerate() {
            let expected = if row > 0 && numbers.len() != width {
                Some(format!("{width} as in {}", places.of(0)))
            } else if wanted.columns.is_empty() || wanted.lengths().any(|length| length == numbers.len()) {
                None
            } else {
                Some(wanted.in_words())
            };
            if let Some(expected) = expected {
                let (place, found) = (places.of(row), numbers.len());
                return Err(refuse(path).because(format!("{place}: found {found} numbers, expected {expected}")));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            flat: rows.concat(),
            width,
            places,
        })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.flat.len().checked_div(self.width).unwrap_or(0)
    }

    /// How many numbers a row has; none where there are no rows.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// All numbers, row by row.
    pub(super) fn flat(&self) -> &[f64] {
        &self.flat
    }

    /// The rows, each cut to its first `N` numbers.
    pub(super) fn rows<const N: usize>(&self) -> Vec<[f64; N]> {
        let rows = self.flat.chunks_exact(self.width.max(1));
        rows.filter_map(|row| row.first_chunk().copied()).collect()
    }

    /// One number of every row.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = f64> {
        self.flat.iter().copied().skip(column).step_by(self.width.max(1))
    }

    /// What is wrong with a row, and with its file.
    pub(super) fn reject(&self, row: usize, reason: &str) -> CommandError {
        refuse(&self.path).because(format!("{}: {reason}", self.places.of(row)))
    }
}

impl Wanted<'_> {
    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|names| names.split(' ').count())
    }

    /// "4 (x1 y1 x2 y2)"
    fn in_words(&self) -> String {
        let choices: Vec<String> = self
            .lengths()
            .zip(self.columns)
            .map(|(length, names)| format!("{length} ({names})"))
            .collect();
        choices.join(" or ")
    }
}

fn refuse(path: &Path) -> CommandError {
    CommandError::bad_input(format!("cannot read {}", path.display()))
}

/// The rows of a JSON list.
fn list(path: &Path, text: &str, null: Option<f64>) -> Result<Vec<Vec<f64>>, CommandError> {
    let unreadable = || format!("cannot read {}", path.display());
    if null.is_none() {
        return serde_json::from_str(text).bad_input(unreadable);
    }
    let rows: Vec<Vec<Option<f64>>> = serde_json::from_str(text).bad_input(unreadable)?;
    let row = |row: Vec<Option<f64>>| row.into_iter().map(|cell| cell.or(null).unwrap_or_default()).collect();
    Ok(rows.into_iter().map(row).collect())
}

/// The rows of a CSV file, and the lines that they stand in. Empty lines do not count.
fn csv(path: &Path, text: &str) -> Result<(Vec<Vec<f64>>, Vec<usize>), CommandError> {
    let mut filled = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    // A first line without a number is a heading.
    filled.next_if(|(_, line)| cells(line).all(|cell| cell.parse::<f64>().is_err()));
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for (line, content) in filled {
        let number = |cell: &str| {
            cell.parse().map_err(|_| {
                let found = recipe::short(cell);
                refuse(path).because(format!("line {line}: found `{found}`, expected a number"))
            })
        };
        rows.push(cells(content).map(number).collect::<Result<Vec<f64>, CommandError>>()?);
        lines.push(line);
    }
    Ok((rows, lines))
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(str::trim)
}
