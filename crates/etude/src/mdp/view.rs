//! Values and policies as people see them: a map where the states are cells, else a table.

use std::fmt::Write as _;

use etude_mdp::{ActionValues, CellKind as Cell, GridWorld, Mdp, Model, TERMINAL};

use super::problem::{AnyModel, Problem, with_model};
use crate::output::Output;
use crate::report::number::{grouped, short};
use crate::report::{CellKind, Directions, GridMap, Plot, Table};
use crate::terminal;

/// States that a table of values shows at most; of larger models it shows the first [`FIRST_STATES`].
const TABLE_STATES: usize = 100;
const FIRST_STATES: usize = 20;

/// The most actions that get a column each in a table of values.
const COLUMNS: usize = 8;

/// Bars of a histogram.
const BINS: usize = 40;

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
            (columns, vec![CellKind::Plain; mdp.states()])
        }
    };
    let arrows: Vec<Directions> = (0..values.len())
        .map(|state| {
            if matches!(&problem.model, AnyModel::Stored(mdp) if is_over(mdp, state)) {
                return Directions::NONE;
            }
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

/// What a cell of a grid world is drawn as.
pub(crate) fn cell_kind(grid: &GridWorld, state: usize) -> CellKind {
    match grid.kind(state) {
        Cell::Forbidden => CellKind::Forbidden,
        Cell::Target => CellKind::Target,
        Cell::Wall => CellKind::Wall,
        Cell::Plain if grid.start() == Some(state) => CellKind::Start,
        Cell::Plain => CellKind::Plain,
    }
}

/// Whether nothing more happens in a state: whatever is done there, the agent stays or the episode ends, and nothing is
/// earned. All actions are optimal in it, and arrows would tell of choices that nobody has.
fn is_over(mdp: &Mdp, state: usize) -> bool {
    (0..mdp.actions(state)).all(|action| {
        let mut stays = mdp.reward(state, action) == 0.0;
        mdp.successors(state, action, |next, _| {
            stays &= next == state as u32 || next == TERMINAL;
        });
        stays
    })
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

/// A table of the values, action values and actions of all states, or of the first ones where there are many.
pub(super) fn value_table(
    problem: &Problem,
    values: &[f64],
    action_values: &ActionValues,
    actions: &dyn Fn(usize) -> Vec<u32>,
) -> Table {
    let shown = if values.len() > TABLE_STATES {
        FIRST_STATES
    } else {
        values.len()
    };
    let reach = values.iter().fold(0.0, |reach: f64, value| reach.max(value.abs()));
    let names = |state: usize, actions: Vec<u32>| -> Vec<String> {
        with_model!(&problem.model, model => actions
            .into_iter()
            .map(|action| problem.action_name(model.action_label(state, action as usize)))
            .collect())
    };
    let all = |state: usize| names(state, (0..action_values.of(state).len() as u32).collect());
    // Where all states have the same few actions, each action gets a column.
    let mut sets = (0..shown).map(all).filter(|names| !names.is_empty());
    let first = sets.next().unwrap_or_default();
    let columns = (first.len() <= COLUMNS && sets.all(|names| names == first)).then_some(first);

    let mut header = vec!["state".to_owned(), "value".to_owned()];
    match &columns {
        Some(names) => header.extend(names.iter().map(|name| format!("q({name})"))),
        None => header.push("action values".into()),
    }
    header.push("actions".into());
    let mut table = Table::new(header);
    for (state, value) in values.iter().enumerate().take(shown) {
        let q: Vec<String> = action_values.of(state).iter().map(|q| precise(*q, reach)).collect();
        let mut row = vec![state.to_string(), precise(*value, reach)];
        match &columns {
            Some(names) if q.is_empty() => row.extend(names.iter().map(|_| String::new())),
            Some(_) => row.extend(q),
            None => row.push(q.join(", ")),
        }
        row.push(names(state, actions(state)).join(", "));
        table = table.row(row);
    }
    if values.len() > shown {
        table = table.caption(format!("The first {shown} of {} states", grouped(values.len())));
    }
    table
}

/// A value to six decimals, or in exponential form where the values of its set, the largest of them `reach` in size,
/// are too large or too small for that.
pub(super) fn precise(value: f64, reach: f64) -> String {
    if value == 0.0 || (1e-2..1e7).contains(&reach) {
        format!("{value:.6}")
    } else {
        format!("{value:.6e}")
    }
}

/// How values are distributed: the share of them in each of some equal intervals from `low` to `high`.
struct Distribution {
    low: f64,
    high: f64,
    shares: Vec<f64>,
}

fn shares(values: &[f64]) -> Distribution {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Equal values make one bar of some width.
    let (low, high) = if high > low {
        (low, high)
    } else {
        (low - 0.5, high + 0.5)
    };
    let width = (high - low) / BINS as f64;
    let mut counts = [0_usize; BINS];
    for value in values {
        counts[(((value - low) / width) as usize).min(BINS - 1)] += 1;
    }
    let shares = counts.map(|count| count as f64 / values.len() as f64).to_vec();
    Distribution { low, high, shares }
}

/// A histogram for the page, as an outline of bars.
pub(super) fn histogram(caption: &str, x_label: &str, y_label: &str, values: &[f64]) -> Plot {
    let Distribution { low, high, shares } = shares(values);
    let width = (high - low) / BINS as f64;
    let bars = shares
        .iter()
        .enumerate()
        .flat_map(|(bin, &share)| [bin, bin + 1].map(|edge| (low + edge as f64 * width, share)));
    let outline = std::iter::once((low, 0.0)).chain(bars).chain([(high, 0.0)]);
    Plot::new(caption, x_label, y_label).series(y_label, outline)
}

/// A histogram in one line of text, between its ends.
pub(super) fn bars(values: &[f64]) -> String {
    let Distribution { low, high, shares } = shares(values);
    format!("{} {} {}", short(low), terminal::sparkline(&shares, BINS), short(high))
}

/// The digits of a quantity that shrinks, in one line of text.
pub(super) fn digits(history: &[f64]) -> String {
    let logarithms: Vec<f64> = history
        .iter()
        .filter(|&&value| value > 0.0 && value.is_finite())
        .map(|value| value.log10())
        .collect();
    terminal::sparkline(&logarithms, BINS)
}

/// The map or the table for the terminal.
pub(super) fn show(output: &Output, map: Option<&GridMap>, table: &Table) {
    match map {
        Some(map) => output.line(terminal::grid_map(map, output.style()).trim_end()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use maud::Render as _;

    #[test]
    fn values_of_any_size_read_well() {
        assert_eq!(precise(3.486_784_4, 10.0), "3.486784");
        assert_eq!(precise(0.0, 1e9), "0.000000");
        assert_eq!(precise(1.5e9, 1.5e9), "1.500000e9");
        assert_eq!(precise(-2e-5, 2e-5), "-2.000000e-5");
    }

    #[test]
    fn histograms_of_any_values_are_drawn() {
        for values in [
            vec![1.0],
            vec![2.0; 3],
            vec![0.0, 1.0, 1.0],
            vec![-1e300, 1e300],
            Vec::new(),
        ] {
            let page = histogram("c", "value", "share", &values).render().into_string();
            assert!(!page.contains("NaN"), "{values:?}: {page}");
            assert!(bars(&values).chars().count() > BINS, "{values:?}");
        }
        assert_eq!(bars(&[0.0, 1.0]), format!("0 █{}█ 1", "▁".repeat(BINS - 2)));
    }

    #[test]
    fn digits_of_what_is_not_positive_are_left_out() {
        assert_eq!(digits(&[f64::INFINITY, 1.0, 0.1, 0.01, 0.0]), "█▅▁");
    }
}
