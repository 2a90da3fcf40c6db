//! `etude lm init`: a model that knows nothing yet.

use std::fs;
use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use etude_hub::folder::{CHAT_TEMPLATE, CONFIG, GENERATION_CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER, TOKENIZER_CONFIG};
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, parameters};
use etude_lm::tokenizer::Tokenizer;
use serde_json::json;

use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::number::grouped;

/// What `etude lm init` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder with config.json and tokenizer.json, and what else belongs to the tokenizer
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The folder of the model, which must not be there yet
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Where random numbers start
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let Arguments { folder, out, seed } = arguments;
    let path = folder.join(CONFIG);
    let refused = || format!("cannot read {}", path.display());
    let config: serde_json::Value = serde_json::from_slice(&fs::read(&path).bad_input(refused)?).bad_input(refused)?;
    let config = DecoderConfig::from_json(&config).bad_input(refused)?;
    let path = folder.join(TOKENIZER);
    let refused = || format!("cannot read {}", path.display());
    let tokenizer = Tokenizer::from_json(&fs::read(&path).bad_input(refused)?).bad_input(refused)?;
    tokenizer.check_model(config.vocabulary).bad_input(refused)?;

    let written = || format!("cannot write {}", out.display());
    if out.exists() {
        return Err(CommandError::bad_input(written()).because("it is there already"));
    }
    let sizes = parameters(&config);
    let count: usize = sizes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let decoder = Decoder::random(config, *seed, &Device::flex()).bad_input(refused)?;
    decoder.save(out).failed_run(written)?;
    for name in [
        TOKENIZER,
        TOKENIZER_CONFIG,
        SPECIAL_TOKENS_MAP,
        GENERATION_CONFIG,
        CHAT_TEMPLATE,
    ] {
        let file = folder.join(name);
        if file.exists() {
            fs::copy(&file, out.join(name)).failed_run(written)?;
        }
    }
    if !output.is_json() {
        output.line(&format!("{}: {} parameters, drawn anew", out.display(), grouped(count)));
    }
    output.result_json(&json!({"model": out.display().to_string(), "parameters": count, "seed": seed}));
    Ok(())
}
