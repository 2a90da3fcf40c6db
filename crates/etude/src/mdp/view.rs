//! Values and policies as people see them: a map where the states are cells, else a table.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use etude_mdp::{ActionValues, CellKind as Cell, GridWorld, Model};

use super::problem::{AnyModel, Problem, with_model};
use crate::output::Output;
use crate::report::{CellKind, Directions, GridMap, Table};
use crate::terminal::{self, Colour, Style};

/// States that a table of values shows at most.
const TABLE_STATES: usize = 100;

/// The width of the terminal, where it cannot be told.
const DEFAULT_WIDTH: usize = 100;

/// A map of `values`, with arrows for the `actions` (indices) of each state; `None` where states are no cells.
pub(super) fn value_map(
    problem: &Problem,
    caption: &str,
    values: &[f64],
    actions: &dyn Fn(usize) -> Vec<u32>,
) -> Option<GridMap> {
    let (columns, kinds): (usize, Vec<CellKind>) = match &problem.model {
        AnyModel::Grid(grid) => (
            grid.columns(),
            (0..grid.states()).map(|state| cell_kind(grid, state)).collect(),
        ),
        AnyModel::Stored(mdp) => {
            let columns = problem.recipe.draw.columns?.get();
            if !mdp.states().is_multiple_of(columns) {
                return None;
            }
            (columns, vec![CellKind::Plain; mdp.states()])
        }
    };
    let arrows: Vec<Directions> = (0..values.len())
        .map(|state| {
            with_model!(&problem.model, model => actions(state)
                .into_iter()
                .map(|action| direction(&problem.action_name(model.action_label(state, action as usize))))
                .fold(Directions::NONE, |set, direction| set | direction))
        })
        .collect();
    Some(
        GridMap::new(caption, values.len() / columns, columns, values)
            .kinds(kinds)
            .arrows(arrows),
    )
}

fn cell_kind(grid: &GridWorld, state: usize) -> CellKind {
    match grid.kind(state) {
        Cell::Forbidden => CellKind::Forbidden,
        Cell::Target => CellKind::Target,
        Cell::Wall => CellKind::Wall,
        Cell::Plain if grid.start() == Some(state) => CellKind::Start,
        Cell::Plain => CellKind::Plain,
    }
}

fn direction(name: &str) -> Directions {
    match name {
        "up" => Directions::UP,
        "right" => Directions::RIGHT,
        "down" => Directions::DOWN,
        "left" => Directions::LEFT,
        "stay" => Directions::STAY,
        _ => Directions::NONE,
    }
}

/// A table of the values, action values and actions of the first states.
pub(super) fn value_table(
    problem: &Problem,
    values: &[f64],
    action_values: &ActionValues,
    actions: &dyn Fn(usize) -> Vec<u32>,
) -> Table {
    let mut table = Table::new(["state", "value", "action values", "actions"]);
    for (state, value) in values.iter().enumerate().take(TABLE_STATES) {
        let q: Vec<String> = action_values.of(state).iter().map(|q| format!("{q:.6}")).collect();
        let names: Vec<String> = with_model!(&problem.model, model => actions(state)
            .into_iter()
            .map(|action| problem.action_name(model.action_label(state, action as usize)))
            .collect());
        table = table.row([state.to_string(), format!("{value:.6}"), q.join("  "), names.join(", ")]);
    }
    if values.len() > TABLE_STATES {
        table = table.caption(format!("the first {TABLE_STATES} of {} states", values.len()));
    }
    table
}

/// How pictures look on standard output.
pub(super) fn style(output: &Output) -> Style {
    let colour = if output.colour() {
        Colour::detect(std::io::stdout().is_terminal())
    } else {
        Colour::None
    };
    let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0.into());
    Style { colour, width }
}

/// The map or the table for the terminal.
pub(super) fn show(output: &Output, map: Option<&GridMap>, table: &Table) {
    match map {
        Some(map) => output.line(terminal::grid_map(map, style(output)).trim_end()),
        None => output.line(terminal::table(table).trim_end()),
    }
}

/// Lines of `name value`, aligned.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}
