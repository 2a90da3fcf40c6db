//! Training: what supervised fine-tuning, reward models and preference optimisation share.
//!
//! A step takes some batches of examples. Each is laid out as sequences beside each other, without padding; the decoder gives hidden
//! states; the [`Objective`] makes a loss of them; gradients are added up over the step's batches, clipped, and followed by AdamW or
//! Muon.
//!
//! - [`Objective`]: the loss. [`Sft`](crate::sft::Sft), [`Dpo`](crate::preference::Dpo) and
//!   [`RewardModeling`](crate::reward::RewardModeling) are three of those that learn from data; [`Ppo`](crate::ppo::Ppo) learns from answers
//!   that are drawn anew.
//! - [`TrainingArguments`]: every constant, by the names of transformers.
//! - [`Schedule`]: the learning rate. [`Order`]: which examples a step takes.
//! - [`Optimizer`]: AdamW or Muon, and the moving average of what they step.
//! - [`Ranks`]: the processes that share a step.
//! - [`checkpoint`]: what a run is resumed from.
//! - [`Trainer`]: steps and evaluation. What it does depends on the arguments, the data and the step alone, so that a run which is
//!   resumed is the run that never stopped.

mod arguments;
pub mod checkpoint;
mod metrics;
mod neftune;
mod objective;
mod optimizer;
mod order;
mod ranks;
mod schedule;
mod state;
mod trainer;

pub use arguments::TrainingArguments;
pub use metrics::Metrics;
pub use objective::{Objective, Sequences, Trained};
pub use optimizer::{Optim, Optimizer, OptimizerState};
pub use order::Order;
pub use ranks::Ranks;
pub use schedule::Schedule;
pub use state::{Progress, TrainerState};
pub use trainer::Trainer;
