//! The constants of a training run.

use etude_kernels::adam_w::AdamW;
use etude_kernels::muon::{AdjustLr, Muon};
use serde::{Deserialize, Serialize};

use super::{Optim, Schedule};
use crate::AlignError;
use crate::error::require;

/// How a run goes, by the names and with the defaults of transformers' `TrainingArguments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingArguments {
    /// Examples of a batch; every rank has batches of its own.
    pub per_device_train_batch_size: usize,
    /// Batches of a step, of each rank.
    pub gradient_accumulation_steps: usize,
    /// Examples of a batch of evaluation.
    pub per_device_eval_batch_size: usize,
    /// How often the data are read; a part of an epoch counts as well.
    pub num_train_epochs: f64,
    /// Steps in all; none where epochs decide.
    pub max_steps: Option<u64>,
    /// The greatest learning rate, which must be there: what is right depends on what is trained.
    pub learning_rate: Option<f64>,
    /// How the learning rate goes.
    pub lr_scheduler_type: Schedule,
    /// Steps in which the learning rate rises; below 1, a share of all steps.
    pub warmup_steps: f64,
    /// `adamw` or `muon`.
    pub optim: Optim,
    /// How much matrices decay.
    pub weight_decay: f64,
    /// AdamW's beta 1.
    pub adam_beta1: f64,
    /// AdamW's beta 2.
    pub adam_beta2: f64,
    /// AdamW's epsilon.
    pub adam_epsilon: f64,
    /// Decay of Muon's running mean of gradients.
    pub muon_momentum: f64,
    /// How far Muon's steps go: `match_rms_adamw`, as far as AdamW's, so that the learning rates are the same; or `original`, which wants
    /// a learning rate of its own, such as 0.02.
    pub muon_adjust_lr_fn: AdjustLr,
    /// The greatest learning rate of what Muon steps; none where it is `learning_rate`.
    pub muon_learning_rate: Option<f64>,
    /// The decay d of the moving average of parameters, e <- d e + (1 - d) w after every step, from 0 to below 1; none where there is none.
    /// Evaluation, the best model and the one at the end are the average. It takes 4 bytes for each number that is trained.
    pub ema_decay: Option<f64>,
    /// NEFTune's alpha, such as 5: how much noise the embeddings have in steps of training; none where they have none.
    pub neftune_noise_alpha: Option<f64>,
    /// Gradients of a greater norm are scaled down to it; 0 stands for no limit.
    pub max_grad_norm: f64,
    /// Activations are computed again in the backward pass, layer by layer, and not kept: less memory, a third more work.
    pub gradient_checkpointing: bool,
    /// Whether every epoch, and with PPO every pass over a step's answers, has an order of its own.
    pub shuffle: bool,
    /// Where random numbers start.
    pub seed: u64,
    /// Steps from one line of the logs to the next.
    pub logging_steps: u64,
    /// Steps from one evaluation to the next; none where there is one at the end alone.
    pub eval_steps: Option<u64>,
    /// Steps from one checkpoint to the next.
    pub save_steps: u64,
    /// How many checkpoints are kept, the last ones.
    pub save_total_limit: usize,
    /// The run ends where the evaluation has not become better for so many times; none where it goes on.
    pub early_stopping_patience: Option<u32>,
}

impl Default for TrainingArguments {
    /// TRL's, but for `save_total_limit`: a checkpoint has three times the size of the model.
    fn default() -> Self {
        Self {
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 1,
            per_device_eval_batch_size: 8,
            num_train_epochs: 3.0,
            max_steps: None,
            learning_rate: None,
            lr_scheduler_type: Schedule::Linear,
            warmup_steps: 0.0,
            optim: Optim::AdamW,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            muon_momentum: 0.95,
            muon_adjust_lr_fn: AdjustLr::MatchRmsAdamw,
            muon_learning_rate: None,
            ema_decay: None,
            neftune_noise_alpha: None,
            max_grad_norm: 1.0,
            gradient_checkpointing: false,
            shuffle: true,
            seed: 42,
            logging_steps: 10,
            eval_steps: None,
            save_steps: 500,
            save_total_limit: 2,
            early_stopping_patience: None,
        }
    }
}

impl TrainingArguments {
    /// These arguments, if all are within their ranges.
    ///
    /// # Errors
    /// Names the first one that is not.
    pub fn checked(self) -> Result<Self, AlignError> {
        for (name, count) in [
            ("per_device_train_batch_size", self.per_device_train_batch_size),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps),
            ("per_device_eval_batch_size", self.per_device_eval_batch_size),
            ("save_total_limit", self.save_total_limit),
        ] {
            require(count > 0, name, &count, "at least 1")?;
        }
        for (name, steps) in [
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("logging_steps", self.logging_steps),
            ("eval_steps", self.eval_steps.unwrap_or(1)),
            ("save_steps", self.save_steps),
        ] {
            require(steps > 0, name, &steps, "at least 1")?;
        }
        let epochs = self.num_train_epochs;
        require(
            epochs > 0.0 && epochs.is_finite(),
            "num_train_epochs",
            &epochs,
            "above 0",
        )?;
        let rate = self.learning_rate;
        let good = rate.is_some_and(|rate| rate >= 0.0 && rate.is_finite());
        require(good, "learning_rate", &rate, "a number of at least 0")?;
        for (name, number) in [
            ("warmup_steps", self.warmup_steps),
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", self.max_grad_norm),
        ] {
            require(number >= 0.0 && number.is_finite(), name, &number, "at least 0")?;
        }
        if let Some(muon) = self.muon_learning_rate {
            let good = muon >= 0.0 && muon.is_finite();
            require(good, "muon_learning_rate", &muon, "a number of at least 0")?;
            require(
                rate != Some(0.0),
                "learning_rate",
                &rate,
                "above 0 beside muon_learning_rate",
            )?;
        }
        let alpha = self.neftune_noise_alpha;
        let good = alpha.is_none_or(|alpha| alpha > 0.0 && alpha.is_finite());
        require(good, "neftune_noise_alpha", &alpha, "a number above 0")?;
        for (name, beta) in [
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
            ("muon_momentum", self.muon_momentum),
            ("ema_decay", self.ema_decay.unwrap_or(0.0)),
        ] {
            require((0.0..1.0).contains(&beta), name, &beta, "from 0 to below 1")?;
        }
        let epsilon = self.adam_epsilon;
        require(
            epsilon > 0.0 && epsilon.is_finite(),
            "adam_epsilon",
            &epsilon,
            "above 0",
        )?;
        Ok(self)
    }

    /// Steps in all, where an epoch has `steps_per_epoch`.
    pub fn steps(&self, steps_per_epoch: u64) -> u64 {
        let epochs = (self.num_train_epochs * steps_per_epoch as f64).ceil() as u64;
        self.max_steps.unwrap_or(epochs).max(1)
    }

    /// The learning rate of a step of `steps`; the first one is step 0.
    pub fn learning_rate(&self, step: u64, steps: u64) -> f64 {
        let warmup = if self.warmup_steps < 1.0 {
            (self.warmup_steps * steps as f64).ceil()
        } else {
            self.warmup_steps.ceil()
        };
        self.learning_rate.unwrap_or(f64::NAN) * self.lr_scheduler_type.factor(step, warmup as u64, steps)
    }

    /// Muon's constants.
    pub fn muon(&self) -> Muon {
        Muon {
            momentum: self.muon_momentum as f32,
            weight_decay: self.weight_decay as f32,
            adjust_lr_fn: self.muon_adjust_lr_fn,
        }
    }

    /// What AdamW's learning rate is multiplied by to be Muon's.
    pub fn muon_ratio(&self) -> f64 {
        match (self.muon_learning_rate, self.learning_rate) {
            (Some(muon), Some(adam_w)) => muon / adam_w,
            _ => 1.0,
        }
    }

    /// AdamW's constants.
    pub fn adam_w(&self) -> AdamW {
        AdamW {
            beta1: self.adam_beta1 as f32,
            beta2: self.adam_beta2 as f32,
            epsilon: self.adam_epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}
