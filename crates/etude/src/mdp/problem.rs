//! From a recipe or a model file to a model that can be solved.

use std::path::{Path, PathBuf};

use etude_mdp::{GridWorld, Mdp, MdpError, Model, read};

use super::recipe::{Draw, ModelRecipe, Recipe};
use crate::error::{CommandError, Context as _};
use crate::recipe::{self, Loaded, Override};

/// A model of either kind.
pub(super) enum AnyModel {
    Grid(GridWorld),
    Stored(Mdp),
}

/// Runs `$body` with `$model` bound to the model inside, so that solvers are compiled for each kind.
macro_rules! with_model {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            $crate::mdp::problem::AnyModel::Grid($model) => $body,
            $crate::mdp::problem::AnyModel::Stored($model) => $body,
        }
    };
}
pub(super) use with_model;

/// What a verb of `etude mdp` works on.
pub(super) struct Problem {
    pub(super) title: String,
    /// A short name for the run's folder.
    pub(super) stem: String,
    pub(super) model: AnyModel,
    pub(super) gamma: f64,
    pub(super) recipe: Recipe,
    /// The resolved recipe, as TOML.
    pub(super) config: String,
    loaded_from: PathBuf,
}

/// Endings of model files; anything else is a recipe.
const MODEL_FILES: [&str; 3] = ["json", "csv", "npz"];

impl Problem {
    /// Reads `input`, a recipe (`.toml`) or a model file, with `flags` and `--set` overrides on top.
    pub(super) fn load(
        input: &Path,
        rewards: Option<&Path>,
        flags: Vec<Override>,
        overrides: &[Override],
    ) -> Result<Self, CommandError> {
        let is_model = input
            .extension()
            .is_some_and(|ending| MODEL_FILES.iter().any(|model| ending == *model));
        let mut all = Vec::new();
        if is_model {
            all.push(path_override("INPUT", "model.file.path", input)?);
        }
        if let Some(rewards) = rewards {
            all.push(path_override("--rewards", "model.file.rewards", rewards)?);
        }
        all.extend(flags);
        all.extend(overrides.iter().cloned());
        if is_model && !all.iter().any(|set| set.keys() == ["gamma"]) {
            return Err(CommandError::bad_input(format!("{} needs a discount", input.display()))
                .because("a model file holds no discount")
                .hint("give one, such as `--gamma 0.99`"));
        }
        let Loaded {
            value: recipe,
            resolved: config,
            path,
            ..
        } = recipe::load::<Recipe>((!is_model).then_some(input), &all)?;
        let folder = path
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
            .to_path_buf();
        let model = match &recipe.model {
            ModelRecipe::Grid(spec) => AnyModel::Grid(GridWorld::new(spec).map_err(|error| bad_model(input, &error))?),
            ModelRecipe::File(file) => {
                let path = if is_model {
                    file.path.clone()
                } else {
                    folder.join(&file.path)
                };
                let rewards = match (&file.rewards, rewards) {
                    (_, Some(given)) => Some(given.to_path_buf()),
                    (Some(named), None) => Some(folder.join(named)),
                    (None, None) => None,
                };
                AnyModel::Stored(read::model(&path, rewards.as_deref()).map_err(|error| bad_model(&path, &error))?)
            }
        };
        let stem = input
            .file_stem()
            .map_or_else(|| "mdp".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self::new(recipe, model, stem, config, folder))
    }

    /// A recipe that is part of the program, with the model file that it names, if any.
    pub(super) fn embedded(recipe: &str, model_file: Option<&str>) -> Result<Self, CommandError> {
        let config = recipe.to_owned();
        let recipe: Recipe = toml::from_str(recipe).failed_run(|| "cannot read a recipe of the tour".into())?;
        let name = Path::new("tour");
        let model = match (&recipe.model, model_file) {
            (ModelRecipe::Grid(spec), _) => {
                AnyModel::Grid(GridWorld::new(spec).map_err(|error| bad_model(name, &error))?)
            }
            (ModelRecipe::File(file), text) => {
                let text = text.unwrap_or_default().as_bytes();
                AnyModel::Stored(read::gymnasium::parse(&file.path, text).map_err(|error| bad_model(name, &error))?)
            }
        };
        Ok(Self::new(recipe, model, "tour".into(), config, PathBuf::new()))
    }

    fn new(recipe: Recipe, model: AnyModel, stem: String, config: String, folder: PathBuf) -> Self {
        let title = recipe.title.clone().unwrap_or_else(|| stem.clone());
        Self {
            title,
            stem,
            model,
            gamma: recipe.gamma.get(),
            recipe,
            config,
            loaded_from: folder,
        }
    }

    /// A path of the recipe, which is relative to the recipe's folder.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.loaded_from.join(relative)
    }

    /// One line on the size of the model.
    pub(super) fn describe(&self) -> String {
        match &self.model {
            AnyModel::Grid(grid) => {
                format!("a grid world of {} x {} cells", grid.rows(), grid.columns())
            }
            AnyModel::Stored(mdp) => format!(
                "{} states, {} state-action pairs, {} transitions",
                mdp.states(),
                mdp.rows(),
                mdp.transitions()
            ),
        }
    }

    /// The name of an action, by label.
    pub(super) fn action_name(&self, label: u32) -> String {
        let draw: &Draw = &self.recipe.draw;
        match &self.model {
            AnyModel::Grid(_) => GridWorld::ACTIONS.get(label as usize).map(ToString::to_string),
            AnyModel::Stored(_) => draw.actions.get(label as usize).cloned(),
        }
        .unwrap_or_else(|| label.to_string())
    }
}

fn path_override(flag: &str, key: &str, path: &Path) -> Result<Override, CommandError> {
    let text = path.to_str().ok_or_else(|| {
        CommandError::bad_input(format!("cannot use the path {}", path.display())).because("it is not valid UTF-8")
    })?;
    Ok(Override::from_flag(flag, key, toml::Value::from(text).to_string()))
}

fn bad_model(path: &Path, error: &MdpError) -> CommandError {
    CommandError::bad_input(format!("cannot use the model {}", path.display())).caused_by(error)
}
