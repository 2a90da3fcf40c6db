//! `etude lm init`: a model that knows nothing yet.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use etude_align::data::{DataFiles, DataOptions, Text};
use etude_hub::folder::{CHAT_TEMPLATE, CONFIG, GENERATION_CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER, TOKENIZER_CONFIG};
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, parameters};
use etude_lm::tokenizer::Tokenizer;
use serde_json::json;

use crate::doctor::memory;
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::number::grouped;

/// What `etude lm init` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder with config.json and tokenizer.json, and what else belongs to the tokenizer
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Make a new byte-level tokenizer from the texts of these files of records, with as many tokens as config.json says
    #[arg(long, value_name = "DATA")]
    tokenizer_data: Vec<PathBuf>,
    /// The folder of the model, which must not be there yet
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Where random numbers start
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let Arguments {
        folder,
        tokenizer_data,
        out,
        seed,
    } = arguments;
    let count = init(folder, tokenizer_data, out, *seed)?;
    if !output.is_json() {
        output.line(&format!("{}: {} parameters, drawn anew", out.display(), grouped(count)));
    }
    output.result_json(&json!({"model": out.display().to_string(), "parameters": count, "seed": seed}));
    Ok(())
}

/// Draws the parameters of a model that is configured as the one in `folder`, with the tokenizer there or a new one made from data, and
/// says how many there are.
pub(super) fn init(folder: &Path, tokenizer_data: &[PathBuf], out: &Path, seed: u64) -> Result<usize, CommandError> {
    let mut config = config(folder)?;
    let refused = || format!("cannot make a model from {}", folder.display());
    let mut new_tokenizer = None;
    if tokenizer_data.is_empty() {
        let path = folder.join(TOKENIZER);
        let refused = || format!("cannot read {}", path.display());
        let tokenizer = Tokenizer::from_json(&fs::read(&path).bad_input(refused)?).bad_input(refused)?;
        tokenizer.check_model(config.vocabulary).bad_input(refused)?;
    } else {
        let texts = texts(tokenizer_data)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokenizer = Tokenizer::train(&texts, config.vocabulary).bad_input(refused)?;
        config.bos_token = None;
        config.eos_tokens = tokenizer.special_ids().eos.into_iter().collect();
        config.pad_token = None;
        new_tokenizer = Some(tokenizer);
    }

    let written = || format!("cannot write {}", out.display());
    if out.exists() {
        return Err(CommandError::bad_input(written()).because("it is there already"));
    }
    let sizes = parameters(&config);
    let count: usize = sizes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    // The system would end the process.
    if memory().is_some_and(|memory| memory / 4 < count as u64) {
        let gigabytes = 4e-9 * count as f64;
        let reason = format!("its parameters take {gigabytes:.1} GB, and this machine does not have so much");
        return Err(CommandError::bad_input(refused()).because(reason));
    }
    let decoder = Decoder::random(config, seed, &Device::flex()).bad_input(refused)?;
    decoder.save(out).failed_run(written)?;
    let mut beside = vec![GENERATION_CONFIG, CHAT_TEMPLATE];
    if let Some(tokenizer) = new_tokenizer {
        let files = [
            (TOKENIZER, tokenizer.to_json().failed_run(written)?),
            (TOKENIZER_CONFIG, format!("{:#}\n", tokenizer.config_json(None))),
        ];
        for (name, text) in files {
            fs::write(out.join(name), text).failed_run(written)?;
        }
    } else {
        beside.extend([TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP]);
    }
    for name in beside {
        let file = folder.join(name);
        if file.exists() {
            fs::copy(&file, out.join(name)).failed_run(written)?;
        }
    }
    Ok(count)
}

/// What the model in a folder is made of.
pub(super) fn config(folder: &Path) -> Result<DecoderConfig, CommandError> {
    let path = folder.join(CONFIG);
    let refused = || format!("cannot read {}", path.display());
    let config: serde_json::Value = serde_json::from_slice(&fs::read(&path).bad_input(refused)?).bad_input(refused)?;
    DecoderConfig::from_json(&config).bad_input(refused)
}

/// What is written in records of any kind.
fn texts(paths: &[PathBuf]) -> Result<Vec<String>, CommandError> {
    let refused = || "cannot read the data for the tokenizer".to_owned();
    let files = DataFiles::find(paths).bad_input(refused)?;
    let mut all = Vec::new();
    for record in files.records(&DataOptions::default()) {
        for text in record.bad_input(refused)?.example.texts() {
            match text {
                Text::Standard(text) => all.push(text.clone()),
                Text::Conversational(messages) => {
                    let contents = messages
                        .iter()
                        .filter_map(|message| message.value.get_attr("content").ok());
                    all.extend(contents.filter_map(|content| content.as_str().map(str::to_owned)));
                }
            }
        }
    }
    Ok(all)
}
