//! `etude mdp sweep`: how the discount and the rewards change the optimal policy, and how an affine map of the rewards
//! does not.

use etude_mdp::optimal::SolveOptions;
use etude_mdp::{AffineRewards, GridWorld, GridWorldSpec, Model};
use serde::Serialize;

use super::compare::distance;
use super::problem::{Problem, with_model};
use super::recipe::ModelRecipe;
use super::solve::{Solved, options, solve_model};
use super::{reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::report::number::magnitude;
use crate::report::{Report, Section, Table};
use crate::run_report::{Finished, Run};
use crate::terminal;

/// One thing that changes from case to case.
struct Group {
    heading: String,
    text: &'static str,
    cases: Vec<Case>,
}

/// One setting and its solution.
struct Case {
    name: String,
    solved: Solved,
}

#[derive(Serialize)]
struct Json {
    cases: Vec<JsonCase>,
    affine: Vec<JsonAffine>,
}

#[derive(Serialize)]
struct JsonCase {
    name: String,
    values: Vec<f64>,
    optimal_actions: Vec<Vec<u32>>,
    /// States whose optimal actions differ from those of the case before; null for the first case.
    changed: Option<usize>,
    bound: f64,
}

/// What an affine map of the rewards did.
#[derive(Serialize)]
struct JsonAffine {
    scale: f64,
    shift: f64,
    /// The sup norm of v' - (a v* + b / (1 - gamma)).
    error: f64,
    /// What that may be at most by the two guaranteed bounds.
    allowed: f64,
    /// Whether some optimal action is the same in every state.
    same_policy: bool,
}

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let options = options(problem);
    let mut groups = vec![by_discount(problem, &options, output)?];
    groups.extend(by_reward(problem, &options, output)?);
    let affine = affine_maps(problem, &options, output)?;
    output.result_json(&Json {
        cases: groups
            .iter()
            .flat_map(|group| changes(&group.cases).into_iter().zip(&group.cases))
            .map(|(changed, case)| JsonCase {
                name: case.name.clone(),
                values: case.solved.solution.values.clone(),
                optimal_actions: action_sets(&case.solved),
                changed,
                bound: case.solved.solution.bound,
            })
            .collect(),
        affine: affine.iter().map(JsonAffine::copy).collect(),
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }

    output.line(&format!("{}: {}", problem.title, problem.describe()));
    let mut report =
        Report::new(format!("{}: what changes the optimal policy", problem.title)).subtitle(problem.describe());
    for Group { heading, text, cases } in &groups {
        if cases.is_empty() {
            continue;
        }
        let mut table = Table::new([
            "case",
            "least value",
            "greatest value",
            "states whose optimal actions changed",
        ]);
        let mut section = Section::new(heading.as_str()).text(text);
        for (case, changed) in cases.iter().zip(changes(cases)) {
            let values = &case.solved.solution.values;
            let actions = |state| case.solved.optimal_actions(state);
            if let Some(map) = view::value_map(problem, &case.name, values, &actions) {
                view::show(output, Some(&map), &Table::new(["state"]));
                section = section.item(&map);
            }
            let (low, high) = values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
            table = table.row([
                case.name.clone(),
                view::precise(low, low.abs().max(high.abs())),
                view::precise(high, low.abs().max(high.abs())),
                changed.map_or_else(|| "-".into(), |changed: usize| changed.to_string()),
            ]);
        }
        output.line(terminal::table(&table).trim_end());
        report = report.section(section.item(&table));
    }
    if !affine.is_empty() {
        let table = affine_table(&affine);
        let note = if with_model!(&problem.model, model => model.has_terminal()) {
            "Rewards a r with a > 0 leave the optimal policies as they are, and v' = a v*. Nothing is added to the \
             rewards, since episodes can end here: that would change how long it pays to go on."
        } else {
            "Rewards a r + b with a > 0 leave the optimal policies as they are, and v' = a v* + b / (1 - gamma)."
        };
        output.line(note);
        output.line(terminal::table(&table).trim_end());
        report = report.section(Section::new("Affine maps of the rewards").text(note).item(&table));
    }
    let finished = Finished {
        command: "mdp sweep",
        name: &problem.stem,
        config: &problem.config,
        seed: None,
        report,
    };
    run.finish(finished, |observer| {
        for map in &affine {
            observer.scalar(&format!("affine/{}", map.label()), 0, map.error);
        }
    })
}

fn by_discount(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Group, CommandError> {
    let solve = |gamma: f64| {
        let name = format!("gamma = {gamma}");
        let solved = with_model!(&problem.model, model => solve_model(model, gamma, options, &name, output))?;
        Ok(Case { name, solved })
    };
    let gammas = problem.recipe.sweep.gammas.iter();
    Ok(Group {
        heading: "The discount".into(),
        text: "A small discount sees only what is near; a large one goes far for a reward.",
        cases: gammas
            .map(|gamma| solve(gamma.get()))
            .collect::<Result<_, CommandError>>()?,
    })
}

/// A group for each kind of reward that the recipe names values for.
fn by_reward(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Vec<Group>, CommandError> {
    let ModelRecipe::Grid(spec) = &problem.recipe.model else {
        return Ok(Vec::new());
    };
    let solve = |key: &str, reward: f64| {
        let name = format!("{key} = {reward}");
        let mut spec: GridWorldSpec = spec.clone();
        let rewards = &mut spec.rewards;
        *match key {
            "boundary" => &mut rewards.boundary,
            "forbidden" => &mut rewards.forbidden,
            "target" => &mut rewards.target,
            _ => &mut rewards.step,
        } = reward;
        let grid = GridWorld::new(&spec).map_err(|error| reject(&error))?;
        Ok(Case {
            solved: solve_model(&grid, problem.gamma, options, &name, output)?,
            name,
        })
    };
    let named = problem.recipe.sweep.rewards();
    let named = named.into_iter().filter(|(_, rewards)| !rewards.is_empty());
    named
        .map(|(key, rewards)| {
            let cases = rewards.iter().map(|reward| solve(key, reward.get()));
            Ok(Group {
                heading: format!("The reward `{key}`"),
                text: "All other rewards stay as they are in the recipe.",
                cases: cases.collect::<Result<_, CommandError>>()?,
            })
        })
        .collect()
}

/// Solves the problem with its rewards mapped, and compares with what the theorem says. Where episodes can end, only
/// scaling leaves the optimal policies alone, so that nothing is added there.
fn affine_maps(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Vec<JsonAffine>, CommandError> {
    let maps = &problem.recipe.sweep.affine;
    if maps.is_empty() {
        return Ok(Vec::new());
    }
    with_model!(&problem.model, model => {
        let gamma = problem.gamma;
        let ends = model.has_terminal();
        let original = solve_model(model, gamma, options, "rewards r", output)?;
        maps.iter().map(|&(scale, shift)| {
            let (scale, shift) = (scale.get(), if ends { 0.0 } else { shift.get() });
            let label = format!("rewards {}", affine_label(scale, shift));
            let mapped = solve_model(&AffineRewards::new(model, scale, shift), gamma, options, &label, output)?;
            let lift = if ends { 0.0 } else { shift / (1.0 - gamma) };
            let predicted: Vec<f64> = original.solution.values.iter().map(|value| scale * value + lift).collect();
            let same_policy = (0..predicted.len()).all(|state| {
                let mapped = mapped.optimal_actions(state);
                let original = original.optimal_actions(state);
                original.is_empty() || original.iter().any(|action| mapped.contains(action))
            });
            Ok(JsonAffine {
                scale,
                shift,
                error: distance(&mapped.solution.values, &predicted),
                allowed: mapped.solution.bound + scale * original.solution.bound,
                same_policy,
            })
        }).collect()
    })
}

/// A map of the rewards in words: `2 r + 1`, `0.1 r - 3`.
fn affine_label(scale: f64, shift: f64) -> String {
    match shift {
        0.0 => format!("{scale} r"),
        0.0.. => format!("{scale} r + {shift}"),
        _ => format!("{scale} r - {}", -shift),
    }
}

impl JsonAffine {
    fn copy(&self) -> Self {
        Self { ..*self }
    }

    fn label(&self) -> String {
        affine_label(self.scale, self.shift)
    }
}

fn affine_table(affine: &[JsonAffine]) -> Table {
    let mut table = Table::new([
        "rewards",
        "max |v' - (a v* + b / (1 - gamma))|",
        "allowed by the bounds",
        "same policy",
    ]);
    for map in affine {
        table = table.row([
            map.label(),
            magnitude(map.error),
            magnitude(map.allowed),
            if map.same_policy { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table
}

fn action_sets(solved: &Solved) -> Vec<Vec<u32>> {
    (0..solved.solution.values.len())
        .map(|state| solved.optimal_actions(state))
        .collect()
}

/// For each case the number of states whose sets of optimal actions differ from the case before.
fn changes(cases: &[Case]) -> Vec<Option<usize>> {
    let sets: Vec<_> = cases.iter().map(|case| action_sets(&case.solved)).collect();
    let differing = |pair: &[Vec<Vec<u32>>]| Some(pair[0].iter().zip(&pair[1]).filter(|(a, b)| a != b).count());
    let first = sets.first().map(|_| None);
    first.into_iter().chain(sets.windows(2).map(differing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_the_rewards_read_as_formulas() {
        for (scale, shift, label) in [(2.0, 1.0, "2 r + 1"), (0.1, -3.0, "0.1 r - 3"), (2.0, 0.0, "2 r")] {
            assert_eq!(affine_label(scale, shift), label);
        }
    }
}
