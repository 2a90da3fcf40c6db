//! The tour's stops at what is learnt by trying: value functions, actor-critic methods, DDPG.

mod task;

use etude_rl::{Autoreset, Surface, Training, make_envs};
use etude_train::Seed;
use serde_json::json;

use self::task::Task;
use super::failed;
use super::recipe::Recipe;
use super::train::{Algorithm, unfit};
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe;
use crate::report::number::short;
use crate::report::{GridMap, Plot, Section, Table};
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
const POLE: Task = Task {
    algorithm: Algorithm::Dqn,
    environment: "CartPole-v1",
    recipe: include_str!("../../../../recipes/rl/dqn/CartPole-v1.toml"),
    title: "Deep Q-learning: a pole on a cart",
    text: "DQN with the settings of Stable-Baselines3's zoo.",
    range: [0.0, 500.0],
};

/// Actor-critic that swings two links up.
const LINKS: Task = Task {
    algorithm: Algorithm::Ppo,
    environment: "Acrobot-v1",
    recipe: "environment = \"Acrobot-v1\"\nsteps = 100_000\nenvironments = 16\n\n[wrappers]\nnormalize_observations = true\nnormalize_rewards = true\n\n[ppo]\nn_steps = 64\nbatch_size = 128\nepochs = 4\ngae_lambda = 0.94\n",
    title: "Actor-critic: two links swing up",
    text: "A policy that learns from what a value function makes of its actions, by proximal policy optimisation. Every step costs 1 until the tip is high \
           enough.",
    range: [-500.0, -70.0],
};

/// DDPG that swings a pendulum up.
const PENDULUM: Task = Task {
    algorithm: Algorithm::Ddpg,
    environment: "Pendulum-v1",
    recipe: "environment = \"Pendulum-v1\"\nsteps = 15_000\n\n[ddpg]\nhidden = [64, 64]\naction_layer = \"first\"\nlast_layer_bound = 0.0\ngamma = 0.98\nactor_learning_rate = 1e-3\ncritic_learning_rate = 1e-3\ncritic_weight_decay = 0.0\nbatch_size = 64\nbuffer_size = 20_000\nlearning_starts = 1_000\ntau = 0.01\nnoise = { gaussian = 0.1 }\n",
    title: "Deep deterministic policy gradient: a pendulum swings up",
    text: "The action is a torque, any number from -2 to 2, too weak to lift the pendulum at once. An actor learns to choose it from the slope of what a critic \
           expects.",
    range: [-1500.0, -137.0],
};

const SEED: u64 = 1;

/// System 3: one grid by table, linear function and network; and a pole balanced by DQN.
pub(crate) fn value_functions(output: &Output) -> Result<Stop, CommandError> {
    let (grid, mut results, mut curves) = grid(output)?;
    output.line("\nA pole on a cart, learnt by a network from nothing but its own mistakes (DQN):");
    let pole = task::play(&POLE, output)?;
    results.push(pole.result);
    curves.push(pole.curve);
    Ok(Stop {
        sections: vec![grid, pole.section],
        card: [
            "Value functions".into(),
            format!("{:.0}", pole.best),
            format!("of 500 steps balanced after {} of learning", pole.step),
        ],
        results,
        curves,
    })
}

/// System 4: two links that swing up, by an actor and a critic.
pub(crate) fn actor_critic(output: &Output) -> Result<Stop, CommandError> {
    output.line("Two links, of which only the joint between them has a motor, are to swing up (PPO):");
    let links = task::play(&LINKS, output)?;
    Ok(Stop {
        card: [
            "Actor-critic".into(),
            format!("{:.0}", -links.best),
            format!("steps to swing two links up, after {} of learning", links.step),
        ],
        sections: vec![links.section],
        results: vec![links.result],
        curves: vec![links.curve],
    })
}

/// System 5: a pendulum that swings up, by a torque that may be any number.
pub(crate) fn ddpg(output: &Output) -> Result<Stop, CommandError> {
    output.line("A pendulum with a weak motor, whose torque may be any number (DDPG):");
    let pendulum = task::play(&PENDULUM, output)?;
    Ok(Stop {
        card: [
            "DDPG".into(),
            format!("{:.0}", pendulum.best),
            format!(
                "earned by a pendulum after {} steps, where -137 is about the most",
                pendulum.step
            ),
        ],
        sections: vec![pendulum.section],
        results: vec![pendulum.result],
        curves: vec![pendulum.curve],
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
    let envs = make_envs(&recipe.environment, recipe.environments.get(), Autoreset::SameStep).map_err(failed)?;
    let normalizer = algorithm.normalizer(&recipe, &*envs).map_err(failed)?;
    let agent = algorithm
        .agent(&recipe, &*envs, normalizer.as_ref(), steps, Seed(SEED))
        .map_err(failed)?
        .map_err(|reason| unfit(algorithm, &recipe, reason))?;
    let mut training = Training::new(envs, agent, SEED).map_err(failed)?.normalized(normalizer);
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
