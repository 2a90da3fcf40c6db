//! What a learning run writes while it runs: metrics, TensorBoard events, and Stable-Baselines3's monitor file.

use std::io::Write;
use std::path::Path;

use etude_rl::Episode;
use etude_train::{JsonlObserver, LogFile, LogPlace, Observer, RunFolder, TensorBoardObserver, TrainError};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The logs of one run.
pub(super) struct Logs {
    metrics: JsonlObserver,
    tensorboard: TensorBoardObserver,
    /// An episode a line: its return, its length, and seconds since the start.
    monitor: LogFile,
}

/// How far they had come at a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Places {
    metrics: LogPlace,
    tensorboard: LogPlace,
    monitor: LogPlace,
}

impl Logs {
    /// Starts them.
    pub(super) fn create(folder: &RunFolder, environment: &str) -> Result<Self, TrainError> {
        let mut monitor = LogFile::create(&folder.path().join("monitor.csv"))?;
        let started = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0.0, |time| time.as_secs_f64());
        monitor.append(|file| {
            writeln!(file, "#{}", json!({ "t_start": started, "env_id": environment }))?;
            writeln!(file, "r,l,t")
        });
        Ok(Self {
            metrics: folder.jsonl()?,
            tensorboard: folder.tensorboard()?,
            monitor,
        })
    }

    /// Goes on with them where a checkpoint found them.
    pub(super) fn resume(folder: &Path, places: &Places) -> Result<Self, TrainError> {
        Ok(Self {
            metrics: JsonlObserver::resume(folder, &places.metrics)?,
            tensorboard: TensorBoardObserver::resume(folder, &places.tensorboard)?,
            monitor: LogFile::resume(folder, &places.monitor)?,
        })
    }

    /// An episode has ended, `seconds` after the start.
    pub(super) fn episode(&mut self, episode: Episode, seconds: f64) {
        self.monitor
            .append(|file| writeln!(file, "{},{},{seconds:.6}", episode.reward, episode.length));
    }

    /// Writes everything out, and tells how far the files have come.
    pub(super) fn places(&mut self) -> Result<Places, TrainError> {
        Ok(Places {
            metrics: self.metrics.place()?,
            tensorboard: self.tensorboard.place()?,
            monitor: self.monitor.place()?,
        })
    }
}

impl Observer for Logs {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        self.metrics.scalar(name, step, value);
        self.tensorboard.scalar(name, step, value);
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        let finished = self.metrics.finish().and(self.tensorboard.finish());
        finished.and(self.monitor.finish())
    }
}
