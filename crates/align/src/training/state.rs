//! `trainer_state.json`, as transformers writes it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::TrainingArguments;

/// How far a run has come, and what was logged on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Steps taken.
    pub global_step: u64,
    /// Steps in all.
    pub max_steps: u64,
    /// How often the data have been read.
    pub epoch: f64,
    /// The step of the best evaluation.
    pub best_global_step: Option<u64>,
    /// Its loss.
    pub best_metric: Option<f64>,
    /// Tokens that the model has read in training.
    pub num_input_tokens_seen: u64,
    /// What transformers has no field for: what callbacks keep there.
    #[serde(rename = "stateful_callbacks")]
    pub progress: Progress,
    /// What was logged: `step`, `epoch`, and numbers by TRL's names.
    pub log_history: Vec<Map<String, Value>>,
}

/// What is known of a run besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Ranks that train.
    #[serde(default = "one")]
    pub ranks: usize,
    /// Evaluations since the best one.
    pub evaluations_since_best: u32,
    /// Seconds of training, with evaluations and checkpoints.
    pub seconds: f64,
}

fn one() -> usize {
    1
}

impl TrainerState {
    /// Adds what was logged after the present step.
    pub fn log<'a>(&mut self, numbers: impl IntoIterator<Item = (&'a str, f64)>) {
        let mut line = Map::new();
        line.insert("step".to_owned(), json!(self.global_step));
        line.insert("epoch".to_owned(), json!(self.epoch));
        line.extend(numbers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
        self.log_history.push(line);
    }

    /// Whether what was logged after the present step has an evaluation.
    pub fn is_evaluated(&self) -> bool {
        let lines = self.log_history.iter().rev();
        let mut present = lines.take_while(|line| line.get("step").and_then(Value::as_u64) == Some(self.global_step));
        present.any(|line| line.keys().any(|name| name.starts_with("eval_")))
    }

    /// The points of one name: step and value.
    pub fn series(&self, name: &str) -> Vec<(u64, f64)> {
        let point = |line: &Map<String, Value>| Some((line.get("step")?.as_u64()?, line.get(name)?.as_f64()?));
        self.log_history.iter().filter_map(point).collect()
    }

    /// The text of the file, with the other fields that transformers reads.
    pub(super) fn to_json(&self, arguments: &TrainingArguments) -> String {
        let mut fields = json!({
            "eval_steps": arguments.eval_steps, "logging_steps": arguments.logging_steps, "save_steps": arguments.save_steps,
            "num_train_epochs": arguments.num_train_epochs, "train_batch_size": arguments.per_device_train_batch_size,
            "is_hyper_param_search": false, "is_local_process_zero": true, "is_world_process_zero": true,
            "best_model_checkpoint": null, "total_flos": 0, "trial_name": null, "trial_params": null,
        });
        if let (Value::Object(fields), Ok(Value::Object(own))) = (&mut fields, serde_json::to_value(self)) {
            fields.extend(own);
        }
        format!("{fields:#}\n")
    }

    pub(super) fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}
