//! Hyperparameter files of Stable-Baselines3's zoo (`hyperparams/dqn.yml`, `a2c.yml`, `ppo.yml`, `ddpg.yml`, `td3.yml`), read as
//! recipes.
//!
//! What has no counterpart here is told and left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::recipe::nearest;
use crate::rl::train::Algorithm;

/// The settings of one environment, by name.
type Settings = BTreeMap<String, Value>;

/// A recipe made of the settings of one environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The recipe, as TOML.
    pub(super) recipe: String,
    /// Settings without a counterpart.
    pub(super) left_out: Vec<String>,
}

/// Whether a file is one of the zoo's, by its ending.
pub(super) fn is_zoo(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "yml" || ending == "yaml")
}

/// Reads the settings of `environment` for an algorithm from the file at `path`, and tells what could not be mapped.
pub(super) fn read(
    path: &Path,
    algorithm: Algorithm,
    environment: Option<&str>,
    output: &Output,
) -> Result<String, CommandError> {
    let refuse = || CommandError::bad_input(format!("cannot read the hyperparameters {}", path.display()));
    let Some(kind) = Kind::of(algorithm) else {
        return Err(refuse()
            .because(format!("Stable-Baselines3 has no {}", algorithm.name()))
            .hint("the zoo has files for a2c, ddpg, dqn, ppo and td3"));
    };
    let text = fs::read_to_string(path).map_err(|error| refuse().caused_by(&error))?;
    let all: BTreeMap<String, Settings> =
        serde_saphyr::from_str(&text).bad_input(|| format!("cannot read the hyperparameters {}", path.display()))?;
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let environment = match (environment, &names[..]) {
        (Some(environment), _) => environment,
        (None, [only]) => only,
        (None, _) => {
            return Err(refuse()
                .because(format!("it has settings for {} environments", names.len()))
                .hint(format!("choose one with `--env`: {}", names.join(", "))));
        }
    };
    let Some(settings) = all.get(environment) else {
        let hint = nearest(environment, &names).map_or_else(
            || format!("it has {}", names.join(", ")),
            |near| format!("did you mean `--env {near}`?"),
        );
        let error = refuse().because(format!("it has no settings for `{environment}`"));
        return Err(error.hint(hint));
    };
    let translated = translate((algorithm.name(), kind), environment, settings);
    for setting in &translated.left_out {
        output.note(&format!(
            "{}: left out, for want of a counterpart: {setting}",
            path.display()
        ));
    }
    Ok(translated.recipe)
}

/// What the settings of an algorithm are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dqn,
    OnPolicy,
    /// DDPG and TD3.
    Deterministic,
}

impl Kind {
    fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Dqn => Some(Self::Dqn),
            Algorithm::A2c | Algorithm::Ppo => Some(Self::OnPolicy),
            Algorithm::Ddpg | Algorithm::Td3 => Some(Self::Deterministic),
            _ => None,
        }
    }

    /// The line of the recipe for a setting of this kind alone, where there is one.
    fn line(self, name: &str, value: &Value) -> Option<String> {
        let number = value.as_f64();
        match (self, name) {
            (Self::OnPolicy, "ent_coef") => Some(format!("entropy_coefficient = {:?}", number?)),
            (Self::OnPolicy, "vf_coef") => Some(format!("value_coefficient = {:?}", number?)),
            (Self::OnPolicy, "gae_lambda") => Some(format!("gae_lambda = {:?}", number?)),
            (Self::OnPolicy, "n_epochs") => Some(format!("epochs = {}", number?)),
            (Self::OnPolicy, "clip_range") => Some(format!("clip_range = {}", schedule(value)?)),
            (Self::OnPolicy, "use_rms_prop") => {
                let optimizer = if value.as_bool()? { "rmsprop" } else { "adam" };
                Some(format!("optimizer = {optimizer:?}"))
            }
            (Self::Deterministic, "learning_rate") => {
                let rate = schedule(value)?;
                Some(format!("actor_learning_rate = {rate}\ncritic_learning_rate = {rate}"))
            }
            _ => None,
        }
    }

    /// Stable-Baselines3's own values, where the file is silent and étude's usual ones are others.
    fn defaults(self, settings: &Settings) -> Vec<String> {
        let number = |name: &str, usual: f64| settings.get(name).and_then(Value::as_f64).unwrap_or(usual);
        match self {
            Self::OnPolicy => Vec::new(),
            Self::Dqn => {
                let [over, from, to] = [("fraction", 0.1), ("initial_eps", 1.0), ("final_eps", 0.05)]
                    .map(|(part, usual)| number(&format!("exploration_{part}"), usual));
                vec![format!(
                    "exploration = {{ from = {from:?}, to = {to:?}, over = {over:?} }}"
                )]
            }
            Self::Deterministic => {
                let deviation = number("noise_std", 0.0);
                let noise = match settings.get("noise_type").and_then(Value::as_str) {
                    // Its time step is a hundredth where nothing is said.
                    Some("ornstein-uhlenbeck") => {
                        format!("{{ ornstein-uhlenbeck = {{ theta = 0.15, sigma = {deviation:?}, dt = 0.01 }} }}")
                    }
                    _ => format!("{{ gaussian = {deviation:?} }}"),
                };
                let mut lines = vec![
                    format!("noise = {noise}"),
                    "action_layer = \"first\"".into(),
                    "last_layer_bound = 0.0".into(),
                    "critic_weight_decay = 0.0".into(),
                ];
                for (name, line) in [
                    (
                        "learning_rate",
                        "actor_learning_rate = 1e-3\ncritic_learning_rate = 1e-3",
                    ),
                    ("batch_size", "batch_size = 256"),
                    ("buffer_size", "buffer_size = 1000000"),
                    ("learning_starts", "learning_starts = 100"),
                    ("tau", "tau = 0.005"),
                    ("policy_kwargs", "hidden = [400, 300]"),
                ] {
                    if !settings.contains_key(name) {
                        lines.push(line.into());
                    }
                }
                lines
            }
        }
    }
}

/// A number, or `lin_` and a number, from which it goes to zero in the course of the run.
fn schedule(value: &Value) -> Option<String> {
    if let Some(number) = value.as_f64() {
        return Some(format!("{number:?}"));
    }
    let from: f64 = value.as_str()?.strip_prefix("lin_")?.parse().ok()?;
    Some(format!("{{ from = {from:?}, to = 0.0 }}"))
}

/// The recipe that these settings make for an algorithm of this name and kind.
fn translate((algorithm, kind): (&str, Kind), environment: &str, settings: &Settings) -> Translated {
    let mut translated = Translated {
        recipe: String::new(),
        left_out: Vec::new(),
    };
    // The whole run first, as TOML wants the keys of the root before any table.
    let (mut root, mut lines) = (vec![format!("environment = {:?}", environment)], Vec::new());
    let mut wrappers = Vec::new();
    for (name, value) in settings {
        let whole = value
            .as_f64()
            .filter(|number| number.fract() == 0.0)
            .map(|number| number as i64);
        let line = match (&**name, value.as_f64(), whole) {
            ("n_timesteps", _, Some(steps)) => {
                root.push(format!("steps = {steps}"));
                continue;
            }
            ("n_envs", _, Some(count)) => {
                root.push(format!("environments = {count}"));
                continue;
            }
            ("frame_stack", _, Some(frames)) => {
                wrappers.push(format!("frame_stack = {frames}"));
                continue;
            }
            ("normalize", ..) => {
                if let Some([observations, rewards]) = normalize(value) {
                    wrappers.push(format!("normalize_observations = {observations}"));
                    wrappers.push(format!("normalize_rewards = {rewards}"));
                } else {
                    translated.left_out.push(format!("{name}: {value}"));
                }
                continue;
            }
            ("policy", ..) if value == "MlpPolicy" => continue,
            ("noise_type" | "noise_std", ..) if kind == Kind::Deterministic => continue,
            _ if kind.line(name, value).is_some() => kind.line(name, value),
            ("learning_rate", ..) => schedule(value).map(|rate| format!("learning_rate = {rate}")),
            ("batch_size", _, Some(whole)) => Some(format!("batch_size = {whole}")),
            ("buffer_size" | "learning_starts", _, Some(whole)) if kind != Kind::OnPolicy => {
                Some(format!("{name} = {whole}"))
            }
            ("target_update_interval", _, Some(whole)) if kind == Kind::Dqn => Some(format!("{name} = {whole}")),
            ("train_freq", _, Some(steps)) if kind != Kind::OnPolicy => Some(format!("train_frequency = {steps}")),
            ("gradient_steps", _, Some(steps)) if kind != Kind::OnPolicy => {
                Some(format!("gradient_steps = {}", steps.max(0)))
            }
            ("n_steps", _, Some(steps)) => Some(format!("n_steps = {steps}")),
            ("gamma", Some(number), _) => Some(format!("gamma = {number:?}")),
            ("tau", Some(number), _) if kind != Kind::OnPolicy => Some(format!("tau = {number:?}")),
            ("max_grad_norm", Some(norm), _) if kind != Kind::Deterministic => {
                Some(format!("max_gradient_norm = {norm:?}"))
            }
            ("exploration_fraction" | "exploration_initial_eps" | "exploration_final_eps", Some(_), _)
                if kind == Kind::Dqn =>
            {
                continue;
            }
            ("policy_kwargs", ..) => value.as_str().and_then(hidden),
            _ => None,
        };
        match line {
            Some(line) => lines.push(line),
            None => translated.left_out.push(format!("{name}: {value}")),
        }
    }
    lines.extend(kind.defaults(settings));
    translated.recipe = format!(
        "{}\n\n[wrappers]\n{}\n\n[{algorithm}]\n{}\n",
        root.join("\n"),
        wrappers.join("\n"),
        lines.join("\n")
    );
    translated
}

/// Whether observations and rewards are normalised: `true`, or `dict(norm_obs=True, norm_reward=False)`, where it says nothing else.
fn normalize(value: &Value) -> Option<[bool; 2]> {
    if let Some(both) = value.as_bool() {
        return Some([both; 2]);
    }
    let text: String = value.as_str()?.split_whitespace().collect();
    // The zoo writes dictionaries in both of Python's ways.
    let text = text.replace(['\'', '"', '{', '}'], "").replace(':', "=");
    let inside = text
        .strip_prefix("dict(")
        .and_then(|text| text.strip_suffix(')'))
        .unwrap_or(&text);
    let mut normalized = [true; 2];
    for setting in inside.split(',') {
        let (name, value) = setting.split_once('=')?;
        let value = match value {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        match name {
            "norm_obs" => normalized[0] = value,
            "norm_reward" => normalized[1] = value,
            _ => return None,
        }
    }
    Some(normalized)
}

/// The widths of the hidden layers in `dict(net_arch=[256, 256])`, where it says nothing else.
fn hidden(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    let widths = text.strip_prefix("dict(net_arch=[")?.strip_suffix("])")?;
    let widths = widths
        .split(',')
        .map(str::parse::<usize>)
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    Some(format!("hidden = {widths:?}"))
}

#[cfg(test)]
mod tests {
    use etude_rl::actor_critic::OnPolicyOptions;
    use etude_rl::ddpg::DdpgOptions;

    use super::*;
    use crate::recipe;
    use crate::rl::recipe::Recipe;

    const ZOO: &str = "
CartPole-v1:
  n_timesteps: !!float 5e4
  policy: 'MlpPolicy'
  learning_rate: !!float 2.3e-3
  batch_size: 64
  buffer_size: 100000
  learning_starts: 1000
  gamma: 0.99
  target_update_interval: 10
  train_freq: 256
  gradient_steps: 128
  exploration_fraction: 0.16
  exploration_final_eps: 0.04
  policy_kwargs: \"dict(net_arch=[256, 256])\"
Odd-v0:
  n_timesteps: 1000
  n_envs: 4
  policy: 'CnnPolicy'
  learning_rate: lin_1e-3
  gradient_steps: -1
  frame_stack: 4
  normalize: \"{'norm_obs': True, 'norm_reward': False}\"
  env_wrapper: my.Wrapper
  policy_kwargs: \"dict(net_arch=[64], activation_fn=nn.Tanh)\"
";

    fn translated(environment: &str) -> Translated {
        let all: BTreeMap<String, Settings> = serde_saphyr::from_str(ZOO).unwrap();
        translate(("dqn", Kind::Dqn), environment, &all[environment])
    }

    #[test]
    fn the_zoos_cart_pole_is_our_recipe() {
        let translated = translated("CartPole-v1");
        assert!(translated.left_out.is_empty());
        let read = |text: &str| {
            let recipe = recipe::load_text::<Recipe>("zoo".as_ref(), text, &[]).unwrap().value;
            (recipe.environment.clone(), recipe.steps.get(), recipe.dqn.options())
        };
        let ours = include_str!("../../../../recipes/rl/dqn/CartPole-v1.toml");
        assert_eq!(read(&translated.recipe), read(ours));
    }

    #[test]
    fn what_has_no_counterpart_is_told() {
        let translated = translated("Odd-v0");
        assert_eq!(
            translated.left_out,
            [
                "env_wrapper: \"my.Wrapper\"",
                "policy: \"CnnPolicy\"",
                "policy_kwargs: \"dict(net_arch=[64], activation_fn=nn.Tanh)\"",
            ]
        );
        assert!(translated.recipe.contains("learning_rate = { from = 0.001, to = 0.0 }"));
        assert!(translated.recipe.contains("environments = 4") && translated.recipe.contains("gradient_steps = 0"));
        let recipe = recipe::load_text::<Recipe>("zoo".as_ref(), &translated.recipe, &[]);
        let wrappers = recipe.unwrap().value.wrappers;
        assert_eq!(wrappers.wrapping().frame_stack, 4);
        let normalizer = wrappers.normalizer(0.9).unwrap();
        assert!(normalizer.observations && !normalizer.rewards);
    }

    #[test]
    fn actor_critics_of_the_zoo_are_our_recipes() {
        const ZOO: &str = "
CartPole-v1:
  n_envs: 8
  n_timesteps: !!float 1e5
  policy: 'MlpPolicy'
  n_steps: 32
  batch_size: 256
  gae_lambda: 0.8
  gamma: 0.98
  n_epochs: 20
  ent_coef: 0.0
  learning_rate: lin_0.001
  clip_range: lin_0.2
Pendulum-v1:
  n_timesteps: 20000
  policy: 'MlpPolicy'
  gamma: 0.98
  buffer_size: 200000
  learning_starts: 10000
  noise_type: 'normal'
  noise_std: 0.1
  gradient_steps: 1
  train_freq: 1
  learning_rate: !!float 1e-3
  policy_kwargs: \"dict(net_arch=[400, 300])\"
";
        let all: BTreeMap<String, Settings> = serde_saphyr::from_str(ZOO).unwrap();
        let read = |text: &str| recipe::load_text::<Recipe>("zoo".as_ref(), text, &[]).unwrap().value;

        let translated = translate(("ppo", Kind::OnPolicy), "CartPole-v1", &all["CartPole-v1"]);
        assert!(translated.left_out.is_empty(), "{:?}", translated.left_out);
        let (zoo, ours) = (
            read(&translated.recipe),
            read(include_str!("../../../../recipes/rl/ppo/CartPole-v1.toml")),
        );
        let options = |recipe: &Recipe| recipe.ppo.options(OnPolicyOptions::ppo()).unwrap();
        assert_eq!(options(&zoo), options(&ours));
        assert_eq!((zoo.environments.get(), zoo.steps.get()), (8, 100_000));

        let translated = translate(("ddpg", Kind::Deterministic), "Pendulum-v1", &all["Pendulum-v1"]);
        assert!(translated.left_out.is_empty(), "{:?}", translated.left_out);
        let (zoo, ours) = (
            read(&translated.recipe),
            read(include_str!("../../../../recipes/rl/ddpg/Pendulum-v1.toml")),
        );
        let options = |recipe: &Recipe| recipe.ddpg.options(DdpgOptions::default()).unwrap();
        // Ours begins to learn earlier.
        let earlier = DdpgOptions {
            learning_starts: 1000,
            ..options(&zoo)
        };
        assert_eq!(earlier, options(&ours));
    }

    #[test]
    fn normalisation_is_read_as_the_zoo_writes_it() {
        let read = |text: &str| normalize(&serde_saphyr::from_str::<Value>(text).unwrap());
        assert_eq!(read("true"), Some([true; 2]));
        assert_eq!(read("\"dict(norm_obs=False, norm_reward=True)\""), Some([false, true]));
        assert_eq!(read("\"{'norm_obs': True}\""), Some([true; 2]));
        assert_eq!(read("\"dict(norm_obs=True, clip_obs=5.0)\""), None);
    }
}
