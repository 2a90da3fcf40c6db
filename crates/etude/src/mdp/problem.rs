//! From a recipe or a model file to a model that can be solved.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etude_mdp::{GridWorld, Mdp, MdpError, Model, read};

use super::recipe::{Draw, ModelRecipe, Recipe};
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe::{self, Loaded, Override};
use crate::report::number::grouped;

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
    /// Where the recipe lies, which the paths in it are relative to.
    pub(super) folder: PathBuf,
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
        output: &Output,
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
        let mut loaded = recipe::load::<Recipe>((!is_model).then_some(input), &all)?;
        let folder = loaded.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let folder = folder.to_path_buf();
        let model = match &loaded.value.model {
            ModelRecipe::Grid(spec) => {
                AnyModel::Grid(GridWorld::new(spec).map_err(|error| bad_grid(&loaded, input, &error))?)
            }
            ModelRecipe::File(file) => {
                // What a flag names is relative to where the command runs, what a recipe names to the recipe.
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
                let reading = Progress::spinner(output, format!("reading {}", path.display()));
                let mdp = read::model(&path, rewards.as_deref()).map_err(|error| {
                    let refused = bad_model(&path, &error);
                    match (path.extension(), &rewards) {
                        (Some(ending), None) if ending == "npz" => refused.hint("name it with `--rewards FILE`"),
                        _ => refused,
                    }
                })?;
                reading.finish();
                keep_paths(&mut loaded, &path, rewards.as_deref())?;
                AnyModel::Stored(mdp)
            }
        };
        check(&loaded, &model)?;
        let policies = [
            ("evaluate.policy", loaded.value.evaluate.policy.file(&folder)),
            ("simulate.policy", loaded.value.simulate.policy.file(&folder)),
        ];
        for (field, file) in policies {
            if let Some(file) = file {
                keep_path(&mut loaded, field, &file)?;
            }
        }
        let stem = input
            .file_stem()
            .map_or_else(|| "mdp".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self::new(loaded.value, model, stem, loaded.resolved, folder))
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
            folder,
        }
    }

    /// The seed of a simulation.
    pub(super) fn seed(&self) -> u64 {
        self.recipe.seed.map_or(0, |seed| seed.get() as u64)
    }

    /// One line on the size of the model.
    pub(super) fn describe(&self) -> String {
        match &self.model {
            AnyModel::Grid(grid) => {
                format!("a grid world of {} x {} cells", grid.rows(), grid.columns())
            }
            AnyModel::Stored(mdp) => format!(
                "{} states, {} state-action pairs, {} transitions",
                grouped(mdp.states()),
                grouped(mdp.rows()),
                grouped(mdp.transitions())
            ),
        }
    }

    /// The label of an action, by name.
    pub(super) fn action_label(&self, name: &str) -> Option<u32> {
        let position = match &self.model {
            AnyModel::Grid(_) => GridWorld::ACTIONS.iter().position(|action| *action == name),
            AnyModel::Stored(_) => self.recipe.draw.actions.iter().position(|action| action == name),
        };
        position.map(|label| label as u32)
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

/// Checks what only the model can tell of a recipe.
fn check(loaded: &Loaded<Recipe>, model: &AnyModel) -> Result<(), CommandError> {
    let recipe = &loaded.value;
    let states = with_model!(model, model => model.states());
    if let Some(start) = recipe.simulate.start.filter(|start| start.get() >= states) {
        let reason = format!("found {}; the model has states 0 to {}", start.get(), states - 1);
        return Err(loaded.reject("simulate.start", reason));
    }
    if recipe.compare.methods.is_empty() {
        return Err(loaded.reject("compare.methods", "found an empty list; name one method at least"));
    }
    if let AnyModel::Stored(_) = model {
        if let Some(columns) = recipe
            .draw
            .columns
            .filter(|columns| !states.is_multiple_of(columns.get()))
        {
            let reason = format!("found {}; expected a divisor of the {states} states", columns.get());
            return Err(loaded.reject("draw.columns", reason));
        }
        if let Some((key, _)) = recipe.sweep.rewards().iter().find(|(_, rewards)| !rewards.is_empty()) {
            let reason = "only a grid world has rewards by kind of cell, and this model comes from a file";
            return Err(loaded.reject(&format!("sweep.{key}"), reason));
        }
    }
    Ok(())
}

/// Makes the paths of a model in the resolved recipe absolute, since that recipe will lie in another folder.
fn keep_paths(loaded: &mut Loaded<Recipe>, path: &Path, rewards: Option<&Path>) -> Result<(), CommandError> {
    keep_path(loaded, "model.file.path", path)?;
    rewards.map_or(Ok(()), |rewards| keep_path(loaded, "model.file.rewards", rewards))
}

fn keep_path(loaded: &mut Loaded<Recipe>, field: &str, path: &Path) -> Result<(), CommandError> {
    let absolute = std::path::absolute(path).failed_run(|| format!("cannot tell where {} is", path.display()))?;
    loaded.rewrite(field, &absolute.to_string_lossy())
}

/// A grid world's error, with the line or the flag that its field comes from.
fn bad_grid(loaded: &Loaded<Recipe>, path: &Path, error: &MdpError) -> CommandError {
    match error {
        MdpError::Grid { field, detail } => loaded.reject(&format!("model.grid.{field}"), detail),
        _ => bad_model(path, error),
    }
}

fn bad_model(path: &Path, error: &MdpError) -> CommandError {
    let refused = CommandError::bad_input(format!("cannot use the model {}", path.display())).caused_by(error);
    match error {
        MdpError::Read { path, source } if source.kind() == ErrorKind::NotFound => {
            refused.hint(recipe::where_to_look(path, &MODEL_FILES, "model file"))
        }
        _ => refused,
    }
}
