//! TRL's YAML, read as a recipe.
//!
//! Names are those of `ScriptArguments`, `ModelConfig` and the configuration of a trainer, such as `DPOConfig`, which TRL keeps in one flat
//! file. What has no counterpart here is told and left out.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use toml::Table;

use super::Stage;
use crate::error::{CommandError, Context as _};

/// Settings that are called the same here, by the table that they are in. Of a name in several tables that of the stage is meant.
const SAME: [(&str, &[&str]); 9] = [
    ("data", &["max_length", "truncation_mode"]),
    (
        "training",
        &[
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "per_device_eval_batch_size",
            "num_train_epochs",
            "learning_rate",
            "lr_scheduler_type",
            "weight_decay",
            "adam_beta1",
            "adam_beta2",
            "adam_epsilon",
            "max_grad_norm",
            "neftune_noise_alpha",
            "gradient_checkpointing",
            "seed",
            "logging_steps",
            "eval_steps",
            "save_steps",
            "save_total_limit",
        ],
    ),
    ("sft", &["completion_only_loss", "assistant_only_loss"]),
    (
        "dpo",
        &[
            "beta",
            "loss_type",
            "loss_weights",
            "label_smoothing",
            "f_divergence_type",
            "f_alpha_divergence_coef",
            "discopop_tau",
            "ld_alpha",
            "use_weighting",
            "sync_ref_model",
            "ref_model_mixup_alpha",
            "ref_model_sync_steps",
        ],
    ),
    ("kto", &["loss_type", "beta", "desirable_weight", "undesirable_weight"]),
    (
        "cpo",
        &["loss_type", "beta", "label_smoothing", "cpo_alpha", "simpo_gamma"],
    ),
    ("orpo", &["beta"]),
    ("reward", &["center_rewards_coefficient"]),
    (
        "ppo",
        &[
            "response_length",
            "temperature",
            "num_ppo_epochs",
            "num_mini_batches",
            "kl_coef",
            "kl_estimator",
            "whiten_rewards",
            "gamma",
            "lam",
            "cliprange",
            "cliprange_value",
            "vf_coef",
        ],
    ),
];

/// A recipe made of a file of TRL's.
#[derive(Debug, PartialEq)]
pub(super) struct Translated {
    /// The recipe, as TOML.
    pub(super) recipe: String,
    /// Settings without a counterpart.
    pub(super) left_out: Vec<String>,
}

/// Whether a file is one of TRL's, by its ending.
pub(super) fn is_trl(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "yml" || ending == "yaml")
}

/// Reads a file's text.
pub(super) fn translate(path: &Path, text: &str, stage: Stage) -> Result<Translated, CommandError> {
    let refuse = || format!("cannot read the recipe {}", path.display());
    let settings: BTreeMap<String, Value> = serde_saphyr::from_str(text).bad_input(refuse)?;
    let mut recipe = Table::new();
    // Transcripts, which étude takes for conversations, are texts to TRL.
    let format = match stage {
        Stage::Sft | Stage::Ppo => None,
        Stage::Kto => Some("unpaired-preference"),
        Stage::Reward | Stage::Dpo | Stage::Cpo | Stage::Orpo => Some("preference"),
    };
    if let Some(format) = format {
        let format = Table::from_iter([("format".to_owned(), format.into())]);
        recipe.insert("data".to_owned(), format.into());
    }
    let mut left_out = Vec::new();
    for (name, value) in &settings {
        if value.is_null() || !place(&mut recipe, name, value, &settings, stage) {
            left_out.push(format!("{name}: {value}"));
        }
    }
    if stage == Stage::Ppo {
        cut_minibatches(&mut recipe).map_err(|reason| CommandError::bad_input(refuse()).because(reason))?;
    }
    let recipe = toml::to_string(&recipe).bad_input(refuse)?;
    Ok(Translated { recipe, left_out })
}

/// TRL cuts a batch into minibatches, and étude makes a step's answers of minibatches: the batch becomes that much smaller.
fn cut_minibatches(recipe: &mut Table) -> Result<(), String> {
    const BATCH: &str = "per_device_train_batch_size";
    let number = |table: &str, name: &str, default: i64| {
        let found = recipe.get(table).and_then(|table| table.get(name));
        found.and_then(toml::Value::as_integer).unwrap_or(default)
    };
    let (batch, minibatches) = (
        number("training", BATCH, 8),
        number("ppo", "num_mini_batches", 1).max(1),
    );
    if batch % minibatches != 0 {
        return Err(format!(
            "{BATCH}: {batch} examples are not {minibatches} minibatches of one size"
        ));
    }
    let training = recipe.entry("training").or_insert_with(|| Table::new().into());
    if let toml::Value::Table(training) = training {
        training.insert(BATCH.to_owned(), (batch / minibatches).into());
    }
    Ok(())
}

/// Puts a setting where it belongs; false where it belongs nowhere.
fn place(recipe: &mut Table, name: &str, value: &Value, all: &BTreeMap<String, Value>, stage: Stage) -> bool {
    let mut set = |table: &str, key: &str, value: toml::Value| {
        let table = recipe.entry(table).or_insert_with(|| toml::Value::Table(Table::new()));
        if let toml::Value::Table(table) = table {
            table.insert(key.to_owned(), value);
        }
        true
    };
    let Ok(plain) = toml::Value::try_from(value) else {
        return false;
    };
    let tables = SAME.iter().filter(|(_, names)| names.contains(&name));
    if let Some((table, _)) = tables.min_by_key(|(table, _)| *table != stage.name()) {
        return set(table, name, plain);
    }
    let adapted = all.get("use_peft") == Some(&Value::Bool(true));
    match (name, value) {
        ("model_name_or_path", Value::String(_)) => set("model", "path", plain),
        ("dtype" | "torch_dtype", Value::String(dtype)) => dtype == "float32",
        ("missing_eos_penalty", Value::Number(_)) => set(
            "ppo",
            "missing_eos",
            Table::from_iter([("subtract".to_owned(), plain)]).into(),
        ),
        // TRL's value model begins as the reward model.
        ("reward_model_path", Value::String(_)) => {
            set("rewards", "model", plain) && set("ppo", "value_model", "reward_model".into())
        }
        ("stop_token", Value::String(token)) => token == "eos",
        // In one sweep over a parameter or in several, it is the same.
        ("optim", Value::String(optim)) => ["adamw_torch", "adamw_torch_fused"].contains(&optim.as_str()),
        ("bf16", Value::Bool(true)) => set("model", "precision", "bf16".into()),
        ("bf16" | "fp16" | "use_peft" | "load_in_4bit" | "load_in_8bit" | "packing", Value::Bool(false))
        | ("packing_strategy", _) => true,
        ("use_peft", Value::Bool(true)) => {
            set(
                "lora",
                "r",
                all.get("lora_r").and_then(Value::as_i64).unwrap_or(16).into(),
            ) && set(
                "lora",
                "lora_alpha",
                all.get("lora_alpha").and_then(Value::as_f64).unwrap_or(32.0).into(),
            )
        }
        ("lora_r" | "lora_alpha", _) => adapted,
        ("lora_target_modules", _) if adapted => set("lora", "target_modules", plain),
        ("use_rslora" | "use_dora", _) if adapted => set("lora", name, plain),
        ("dataset_name", Value::String(_)) => set("data", "train", toml::Value::Array(vec![plain])),
        ("max_steps", Value::Number(steps)) => steps.as_i64() == Some(-1) || set("training", name, plain),
        // As in transformers, steps win where there are some.
        ("warmup_ratio", Value::Number(_)) => {
            let steps = all.get("warmup_steps").and_then(Value::as_f64).unwrap_or(0.0);
            steps > 0.0 || set("training", "warmup_steps", plain)
        }
        ("warmup_steps", Value::Number(steps)) => steps.as_f64() == Some(0.0) || set("training", "warmup_steps", plain),
        ("train_sampling_strategy", Value::String(strategy)) => match strategy.as_str() {
            "random" => true,
            "sequential" => set("training", "shuffle", false.into()),
            _ => false,
        },
        ("packing", Value::Bool(true)) => {
            let strategy = all.get("packing_strategy").and_then(Value::as_str).unwrap_or("bfd");
            set("sft", "packing", strategy.into())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_where_they_belong_and_what_cannot_be_mapped_is_told() {
        let text = "model_name_or_path: model\ndataset_name: train.jsonl\nlearning_rate: 2.0e-5\nbf16: true\npacking: true\n\
                    use_peft: true\nlora_r: 4\nneftune_noise_alpha: 5\nloss_type: [sigmoid, sft]\nreport_to: wandb\nmax_steps: -1\n";
        let translated = translate(Path::new("a.yaml"), text, Stage::Sft).unwrap();
        assert_eq!(translated.left_out, ["report_to: \"wandb\""]);
        let recipe: Table = translated.recipe.parse().unwrap();
        let expected = "[model]\npath = \"model\"\nprecision = \"bf16\"\n[data]\ntrain = [\"train.jsonl\"]\n[training]\nlearning_rate \
                        = 2e-5\nneftune_noise_alpha = 5\n[sft]\npacking = \"bfd\"\n[lora]\nr = 4\nlora_alpha = 32.0\n[dpo]\nloss_type = [\"sigmoid\", \"sft\"]\n";
        assert_eq!(recipe, expected.parse::<Table>().unwrap());
    }

    #[test]
    fn minibatches_of_trl_are_parts_of_its_batch() {
        let text = "per_device_train_batch_size: 16\nnum_mini_batches: 4\nmissing_eos_penalty: 1.0\nreward_model_path: reward\nstop_token: \
                    eos\ntotal_episodes: 100\n";
        let translated = translate(Path::new("a.yaml"), text, Stage::Ppo).unwrap();
        assert_eq!(translated.left_out, ["total_episodes: 100"]);
        let recipe: Table = translated.recipe.parse().unwrap();
        let expected = "[training]\nper_device_train_batch_size = 4\n[ppo]\nnum_mini_batches = 4\nvalue_model = \
                        \"reward_model\"\nmissing_eos = { subtract = 1.0 }\n[rewards]\nmodel = \"reward\"\n";
        assert_eq!(recipe, expected.parse::<Table>().unwrap());
        assert!(translate(Path::new("a.yaml"), "num_mini_batches: 3\n", Stage::Ppo).is_err());
    }

    #[test]
    fn a_name_that_several_trainers_have_is_that_of_the_stage() {
        let text = "beta: 0.5\nloss_type: simpo\ncpo_alpha: 0.0\n";
        let translated = translate(Path::new("a.yaml"), text, Stage::Cpo).unwrap();
        let recipe: Table = translated.recipe.parse().unwrap();
        let expected = "[data]\nformat = \"preference\"\n[cpo]\nbeta = 0.5\nloss_type = \"simpo\"\ncpo_alpha = 0.0\n";
        assert_eq!(recipe, expected.parse::<Table>().unwrap());
        let translated = translate(Path::new("a.yaml"), "beta: 0.5\n", Stage::Kto).unwrap();
        let expected = "[data]\nformat = \"unpaired-preference\"\n[kto]\nbeta = 0.5\n";
        assert_eq!(translated.recipe.parse::<Table>(), expected.parse::<Table>());
    }
}
