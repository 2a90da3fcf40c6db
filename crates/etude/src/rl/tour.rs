//! The tour's stop at value function approximation.

use etude_rl::{Autoreset, Policy, Surface, Training, evaluate, make_drawn, make_envs};
use etude_train::Seed;
use serde_json::json;

use super::failed;
use super::film::film;
use super::recipe::Recipe;
use super::train::{Algorithm, unfit};
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe;
use crate::report::number::short;
use crate::report::{Code, GridMap, Plot, Section, Table};
use crate::terminal;
use crate::tour::{Curve, Stop};

/// One grid, three ways to write down its action values.
const GRID: [(&str, Algorithm, &str); 3] = [
    (
        "table",
        Algorithm::QLearning,
        "environment = \"GridWorld-v0\"\nsteps = 100_000\n\n[control]\nfeatures = \"one-hot\"\ngamma = 0.9\nstep_size = 0.2\nepsilon = 0.5\n",
    ),
    (
        "linear function",
        Algorithm::QLearning,
        "environment = \"GridWorld-v0\"\nsteps = 300_000\n\n[control]\nfeatures = { fourier = { order = 5 } }\ngamma = 0.9\nstep_size = 5e-3\nepsilon = 0.5\n",
    ),
    (
        "network",
        Algorithm::Dqn,
        "environment = \"GridWorld-v0\"\nsteps = 20_000\n\n[dqn]\nhidden = [64, 64]\ngamma = 0.9\nlearning_rate = { from = 2e-3, to = 0.0 }\nbatch_size = 64\nbuffer_size = 20_000\nlearning_starts = 500\ntrain_frequency = 4\ngradient_steps = 1\ntarget_update_interval = 100\nexploration = 0.5\n",
    ),
];

/// Deep Q-learning that balances a pole.
const POLE: &str = include_str!("../../../../recipes/rl/dqn/CartPole-v1.toml");

const SEED: u64 = 1;
/// Times that the pole's policy is judged, in so many episodes; at the end in as many as a user would ask for.
const JUDGEMENTS: u64 = 25;
const EPISODES: usize = 20;
const FINAL_EPISODES: usize = 100;
const PATIENCE: u32 = 10_000;
/// Judged in other episodes at the end than on the way.
const JUDGED: [u64; 2] = [1_000_000_000, 2_000_000_000];

/// System 3: one grid by table, linear function and network; and a pole balanced by DQN.
pub(crate) fn value_functions(output: &Output) -> Result<Stop, CommandError> {
    let (grid, mut results, mut curves) = grid(output)?;
    let pole = pole(output)?;
    results.push(json!({
        "problem": "CartPole-v1",
        "algorithm": "dqn",
        "steps": pole.steps,
        "best_return": pole.best,
        "returns": pole.returns,
    }));
    curves.push(Curve {
        name: "CartPole-v1/dqn/eval/mean_reward".into(),
        points: pole.returns.clone(),
    });
    Ok(Stop {
        sections: vec![grid, pole.section],
        card: [
            "Value functions".into(),
            format!("{:.0}", pole.best),
            format!("of 500 steps balanced after {} of learning", pole.steps),
        ],
        results,
        curves,
    })
}

/// Lets an agent learn as `text` says, and calls `each` when a share of the run is done.
fn learn(
    name: &str,
    algorithm: Algorithm,
    text: &str,
    shares: u64,
    output: &Output,
    mut each: impl FnMut(&mut Training) -> Result<String, CommandError>,
) -> Result<Recipe, CommandError> {
    let recipe = recipe::load_text::<Recipe>(name.as_ref(), text, &[])?.value;
    let failed = |error| failed(&error, &recipe.environment);
    let steps = recipe.steps.get() as u64;
    let envs = make_envs(&recipe.environment, 1, Autoreset::SameStep).map_err(failed)?;
    let agent = algorithm
        .agent(&recipe, &*envs, None, steps, Seed(SEED))
        .map_err(failed)?
        .map_err(|reason| unfit(algorithm, &recipe, reason))?;
    let mut training = Training::new(envs, agent, SEED).map_err(failed)?;
    let bar = Progress::bar(output, name.to_owned(), steps);
    for share in 1..=shares {
        training.run_until(steps * share / shares).map_err(failed)?;
        bar.set(training.steps(), each(&mut training)?);
        if interrupt::interrupted() {
            return Err(CommandError::failed_run("stopped on request"));
        }
    }
    bar.finish();
    Ok(recipe)
}

/// The grid's part: its section, results and curves.
fn grid(output: &Output) -> Result<(Section, Vec<serde_json::Value>, Vec<Curve>), CommandError> {
    let map = |caption: String, values: &[f64]| GridMap::new(caption, 5, 5, values);
    let mut table = Table::new(["q(s, a) is a", "steps", "root mean square error of max q"]);
    let mut errors = Plot::new("Distance to the exact values", "steps", "root mean square error").log_y();
    let (mut learnt, mut exact) = (Vec::new(), Vec::new());
    let (mut results, mut curves) = (Vec::new(), Vec::new());
    for (form, algorithm, text) in GRID {
        let (mut points, mut last) = (Vec::new(), None);
        let name = format!("{} by a {form}", algorithm.name());
        let recipe = learn(&name, algorithm, text, 50, output, |training| {
            last = training.surface();
            let error = last.as_ref().map_or(f64::NAN, rmse);
            points.push((training.steps(), error));
            Ok(format!("error {}", short(error)))
        })?;
        let Some(surface) = last else { continue };
        table = table.row([form.to_owned(), recipe.steps.get().to_string(), short(rmse(&surface))]);
        errors = errors.series(form, points.iter().map(|&(step, error)| (step as f64, error)));
        results.push(json!({
            "problem": "GridWorld-v0",
            "algorithm": algorithm.name(),
            "form": form,
            "values": surface.learnt,
            "rmse": rmse(&surface),
        }));
        curves.push(Curve {
            name: format!("GridWorld-v0/{form}/rmse"),
            points,
        });
        learnt.push(map(format!("Learnt as a {form}"), &surface.learnt));
        exact = surface.exact;
    }
    let exact = map("The exact optimal values".into(), &exact);
    output.line("The book's grid once more, but nobody tells the rules: the values are learnt by trying.");
    output.line(terminal::grid_map(&exact, output.style()).trim_end());
    output.line(terminal::table(&table).trim_end());
    let section = Section::new("Value functions: learning what is best").text(
        "The same grid, whose exact values are known, and three ways to write down what has been learnt of it: a table with a \
         number for each state and action, a linear function of Fourier features, and a network. All three learn by \
         Q-learning from what they try; none of them sees the model.",
    );
    let section = learnt
        .iter()
        .fold(section.item(&exact), Section::item)
        .item(&table)
        .item(&errors);
    Ok((section, results, curves))
}

fn rmse(surface: &Surface) -> f64 {
    let named = surface.errors.iter().find(|(name, _)| *name == "truth/rmse");
    named.map_or(f64::NAN, |&(_, error)| error)
}

/// The pole's part.
struct Pole {
    section: Section,
    steps: u64,
    /// The mean return of the best policy in fresh episodes.
    best: f64,
    returns: Vec<(u64, f64)>,
}

fn pole(output: &Output) -> Result<Pole, CommandError> {
    output.line("\nA pole on a cart, learnt by a network from nothing but its own mistakes (DQN):");
    let failed = |error| failed(&error, "CartPole-v1");
    let judge = |count, seed, policy: &mut dyn Policy| {
        let mut envs = make_envs("CartPole-v1", count, Autoreset::Disabled)?;
        Ok(evaluate(&mut *envs, policy, seed, PATIENCE)?.mean())
    };
    let mut returns: Vec<(u64, f64)> = Vec::new();
    let mut best: Option<(f64, u64, Box<dyn Policy>)> = None;
    learn(
        "dqn on CartPole-v1",
        Algorithm::Dqn,
        POLE,
        JUDGEMENTS,
        output,
        |training| {
            let mut policy = training.policy();
            let mean: f64 = judge(EPISODES, JUDGED[0], &mut *policy).map_err(failed)?;
            returns.push((training.steps(), mean));
            if best.as_ref().is_none_or(|(highest, ..)| mean > *highest) {
                best = Some((mean, training.steps(), policy));
            }
            Ok(format!("return {mean:.0}"))
        },
    )?;
    for &(step, mean) in &returns {
        let bar = "█".repeat((mean / 500.0 * 40.0).round() as usize);
        output.line(&format!("{step:>7} steps  {mean:>5.0}  {bar}"));
    }
    let Some((_, steps, mut policy)) = best else {
        return Err(CommandError::failed_run("no policy was learnt"));
    };
    let best = judge(FINAL_EPISODES, JUDGED[1], &mut *policy).map_err(failed)?;
    output.line(&format!(
        "the best policy, of step {steps}, balances for {best:.1} of 500 steps on average over {FINAL_EPISODES} fresh episodes"
    ));
    let plot = Plot::new(
        "Mean return of 20 fixed episodes, without exploration",
        "step",
        "return",
    )
    .series("DQN", returns.iter().map(|&(step, mean)| (step as f64, mean)));
    let section = Section::new("Deep Q-learning: a pole on a cart")
        .text(format!(
            "DQN with the settings of Stable-Baselines3's zoo. The best policy, of step {steps}, was judged in {FINAL_EPISODES} \
             other episodes: {best:.1} steps on average, where 500 is the most there is."
        ))
        .item(&plot)
        .item(&film(&mut *make_drawn("CartPole-v1").map_err(failed)?, &mut *policy).map_err(failed)?)
        .item(&Code::toml(POLE).folded("The recipe of this task"));
    Ok(Pole {
        section,
        steps,
        best,
        returns,
    })
}
