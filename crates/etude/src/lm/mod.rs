//! `etude lm`: language models.

mod chat;
mod eval;
mod frontier;
mod generate;
mod init;
mod inspect;
mod lint;
mod open;
mod sampling;
pub(crate) mod tour;
mod train;

use clap::Subcommand;
use etude_lm::LmError;
use train::Stage;

use crate::cli::examples;
use crate::error::CommandError;
use crate::output::Output;

/// The verbs of `etude lm`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Continue prompts
    #[command(after_help = examples! {
        "etude lm generate smollm2.gguf 'The capital of France is' --max-tokens 40"
        "etude lm generate models/SmolLM2-135M-Instruct --chat 'Name three rivers.' --temperature 0.7 --seed 1"
        "etude lm generate smollm2.gguf --prompts prompts.txt --batch 8 --json > answers.jsonl"
    })]
    Generate(Box<generate::Arguments>),

    /// Talk to a model
    #[command(after_help = examples! {
        "etude lm chat smollm2.gguf"
        "etude lm chat models/SmolLM2-135M-Instruct --system 'Answer in French.' --temperature 0.3"
    })]
    Chat(Box<chat::Arguments>),

    /// Judge a model: perplexity of a text, or multiple choice by likelihood
    #[command(after_help = examples! {
        "etude lm eval smollm2.gguf --text book.txt"
        "etude lm eval smollm2.gguf --choices questions.jsonl --json"
    })]
    Eval(eval::Arguments),

    /// Look a checkpoint over: architecture, tensors, tokenizer, template, memory
    #[command(after_help = examples! {
        "etude lm inspect smollm2.gguf"
        "etude lm inspect models/SmolLM2-135M-Instruct --json | jq .memory"
    })]
    Inspect(inspect::Arguments),

    /// Draw the parameters of a model that knows nothing yet, to train it from scratch
    #[command(after_help = examples! {
        "etude lm init recipes/lm/digits/untrained --out runs/untrained"
        "etude lm init recipes/lm/imdb/model --tokenizer-data texts.jsonl --out runs/untrained"
    })]
    Init(init::Arguments),

    /// Look data over before training: decoded text with its loss mask, stop tokens, truncation, duplicates
    #[command(after_help = examples! {
        "etude lm lint train.jsonl --model smollm2.gguf"
        "etude lm lint pairs.parquet --model models/SmolLM2-135M-Instruct --max-length 512 --json"
        "etude lm lint gsm8k.jsonl --model smollm2.gguf --columns instruction=question,output=answer"
    })]
    Lint(lint::Arguments),

    /// Fine-tune a model on texts, conversations or answers
    #[command(after_help = examples! {
        "etude lm sft --model smollm2.gguf --data train.jsonl"
        "etude lm sft recipes/lm/sft-gsm8k.toml --out runs/gsm8k"
        "etude lm sft trl-config.yaml --set training.max_steps=100"
    })]
    Sft(Box<train::Arguments>),

    /// Train a reward model on pairs of answers
    #[command(after_help = examples! {
        "etude lm reward --model smollm2.gguf --data pairs.jsonl --set reward.center_rewards_coefficient=0.01"
        "etude lm reward trl-config.yaml --out runs/reward"
    })]
    Reward(Box<train::Arguments>),

    /// Align a model with preferences, by direct preference optimisation or one of its family
    #[command(after_help = examples! {
        "etude lm dpo --model runs/sft/model --data pairs.jsonl --set dpo.beta=0.1"
        "etude lm dpo recipes/lm/dpo-hh.toml --set dpo.loss_type=ipo"
    })]
    Dpo(Box<train::Arguments>),

    /// Align a model with answers that are good or bad by themselves (KTO)
    #[command(after_help = examples! {
        "etude lm kto --model runs/sft/model --data labels.jsonl --set kto.undesirable_weight=1.5"
        "etude lm kto trl-config.yaml --out runs/kto"
    })]
    Kto(Box<train::Arguments>),

    /// Align a model with preferences, without a reference: CPO and SimPO
    #[command(after_help = examples! {
        "etude lm cpo --model runs/sft/model --data pairs.jsonl"
        "etude lm cpo --model runs/sft/model --data pairs.jsonl --set 'cpo={loss_type=\"simpo\", beta=2.0, simpo_gamma=1.0, cpo_alpha=0.0}'"
    })]
    Cpo(Box<train::Arguments>),

    /// Fine-tune a model on the better answers of pairs, and away from the worse ones (ORPO)
    #[command(after_help = examples! {
        "etude lm orpo --model smollm2.gguf --data pairs.jsonl --set orpo.beta=0.1"
    })]
    Orpo(Box<train::Arguments>),

    /// Let a model learn from its own answers, which a reward model, rules or a command score
    #[command(after_help = examples! {
        "etude lm ppo recipes/lm/digits/ppo.toml"
        "etude lm ppo --model runs/sft/model --data prompts.jsonl --set rewards.model=runs/reward/model"
        "etude lm ppo --model smollm2.gguf --data prompts.jsonl --set 'rewards.command=[\"python3\", \"reward.py\"]'"
    })]
    Ppo(Box<train::Arguments>),

    /// Sweep DPO and PPO on film reviews: reward against the distance from the reference
    #[command(after_help = examples! {
        "etude lm frontier recipes/lm/imdb/frontier.toml --out runs/frontier"
        "etude lm frontier --out runs/frontier --resume"
    })]
    Frontier(frontier::Arguments),
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<(), CommandError> {
    match verb {
        Verb::Generate(arguments) => generate::run(arguments, output),
        Verb::Chat(arguments) => chat::run(arguments, output),
        Verb::Eval(arguments) => eval::run(arguments, output),
        Verb::Init(arguments) => init::run(arguments, output),
        Verb::Inspect(arguments) => inspect::run(arguments, output),
        Verb::Lint(arguments) => lint::run(arguments, output),
        Verb::Sft(arguments) => train::run(Stage::Sft, arguments, output),
        Verb::Reward(arguments) => train::run(Stage::Reward, arguments, output),
        Verb::Dpo(arguments) => train::run(Stage::Dpo, arguments, output),
        Verb::Kto(arguments) => train::run(Stage::Kto, arguments, output),
        Verb::Cpo(arguments) => train::run(Stage::Cpo, arguments, output),
        Verb::Orpo(arguments) => train::run(Stage::Orpo, arguments, output),
        Verb::Ppo(arguments) => train::run(Stage::Ppo, arguments, output),
        Verb::Frontier(arguments) => frontier::run(arguments, output),
    }
}

/// What went wrong while a model worked, and whose turn it is.
fn failed(error: &LmError) -> CommandError {
    match error {
        LmError::Logits => CommandError::failed_run("the model has broken down")
            .caused_by(error)
            .hint("a weight is damaged: `etude lm inspect` shows which checkpoint this is; fetch it again"),
        LmError::Context { .. } => CommandError::bad_input("the prompt does not fit the model's context")
            .caused_by(error)
            .hint("shorten the prompt, or lower --max-tokens"),
        _ => CommandError::bad_input("cannot answer this").caused_by(error),
    }
}
