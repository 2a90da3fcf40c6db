//! `result.json`: what a learning run of one seed came to, for `etude rl compare` and for scripts.

use std::fs;
use std::path::{Path, PathBuf};

use etude_train::{TrainError, write_atomically};
use serde::{Deserialize, Serialize};

use crate::error::{CommandError, Context as _};

const FILE: &str = "result.json";

/// What one seed came to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeedResult {
    pub(super) algorithm: String,
    pub(super) environment: String,
    pub(super) seed: u64,
    pub(super) steps: u64,
    pub(super) seconds: f64,
    /// Step and mean return of each evaluation on the way.
    pub(super) evaluations: Vec<(u64, f64)>,
    /// The step of the best policy on the way.
    pub(super) best_step: u64,
    /// Returns of the best policy and of the last in the final episodes.
    pub(super) best_returns: Vec<f64>,
    pub(super) last_returns: Vec<f64>,
}

impl SeedResult {
    /// The mean final return of the best policy.
    pub(super) fn best(&self) -> f64 {
        self.best_returns.iter().sum::<f64>() / self.best_returns.len() as f64
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        write_atomically(&folder.join(FILE), format!("{text}\n").as_bytes())
    }

    /// The results of a run: one, or one in each of its folders `seed-*`, by seed.
    pub(super) fn of_run(run: &Path) -> Result<Vec<Self>, CommandError> {
        let refuse = || CommandError::bad_input(format!("cannot read the run {}", run.display()));
        let mut folders: Vec<PathBuf> = if run.join(FILE).exists() {
            vec![run.to_owned()]
        } else {
            let entries = fs::read_dir(run).map_err(|error| refuse().caused_by(&error))?;
            entries.flatten().map(|entry| entry.path()).collect()
        };
        folders.retain(|folder| folder.join(FILE).exists());
        if folders.is_empty() {
            return Err(refuse()
                .because("there is no result.json in it, nor in folders of its own")
                .hint("`etude rl train` writes one at its end; a run that was stopped goes on with `--resume`"));
        }
        let mut results = folders
            .iter()
            .map(|folder| {
                let path = folder.join(FILE);
                let bytes = fs::read(&path).map_err(|error| refuse().caused_by(&error))?;
                let result: Self =
                    serde_json::from_slice(&bytes).bad_input(|| format!("cannot read {}", path.display()))?;
                if result.best_returns.is_empty() {
                    return Err(refuse().because(format!("{} holds no returns", path.display())));
                }
                Ok(result)
            })
            .collect::<Result<Vec<_>, CommandError>>()?;
        results.sort_by_key(|result| result.seed);
        Ok(results)
    }
}
