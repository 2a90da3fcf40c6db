//! `etude boxes assign`: which row belongs to which column.

use std::path::PathBuf;

use clap::Args;
use etude_boxes::BoxError;
use etude_boxes::assign::{Assignment, linear_assignment};
use serde::Serialize;

use super::numbers::{Numbers, Wanted};
use super::{SHOWN, show};
use crate::error::CommandError;
use crate::output::Output;
use crate::report::Table;
use crate::report::number::short;

/// What `etude boxes assign` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The costs, a row of numbers for each row: a CSV file, or JSON with a list of rows. `inf` (in JSON `null`) is for pairs that may not be
    #[arg(value_name = "COSTS")]
    costs: PathBuf,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    rows: Vec<u32>,
    columns: Vec<u32>,
    cost: f64,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let wanted = Wanted {
        columns: &[],
        null: Some(f64::INFINITY),
    };
    let costs = Numbers::read(&arguments.costs, wanted)?;
    let shape = [costs.len(), costs.width()];
    let found = linear_assignment(costs.flat(), shape);
    let Assignment { rows, columns, cost } = found.map_err(|error| match error {
        BoxError::Cost { row, .. } => costs.reject(row, &error.to_string()),
        _ => CommandError::bad_input(format!("cannot assign {}", arguments.costs.display())).caused_by(&error),
    })?;
    if !output.is_json() {
        let pairs = rows.iter().zip(&columns);
        let table = pairs
            .take(SHOWN)
            .fold(Table::new(["row", "column", "cost"]), |table, (row, column)| {
                let cost = costs.flat()[*row as usize * shape[1] + *column as usize];
                table.row([row.to_string(), column.to_string(), short(cost)])
            });
        show(&table, rows.len(), "pairs", output);
        output.line(&format!("The least total cost is {cost}."));
    }
    output.result_json(&Json { rows, columns, cost });
    Ok(())
}
