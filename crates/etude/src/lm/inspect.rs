//! `etude lm inspect`: what a checkpoint holds, without loading it.

use std::collections::BTreeMap;

use clap::Args;
use etude_hub::TensorInfo;
use etude_lm::Source;
use serde::Serialize;
use serde_json::Value;

use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::Table;
use crate::report::number::grouped;
use crate::terminal;

/// Tokens of a sequence for which memory is reckoned.
const TOKENS: usize = 1024;

/// What `etude lm inspect` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A GGUF file, a folder as Hugging Face's, or the name of a model in its cache, such as `org/model`
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: String,
    /// List every tensor
    #[arg(long)]
    tensors: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    path: String,
    architecture: String,
    /// As transformers would read it.
    config: Value,
    parameters: usize,
    bytes: usize,
    dtypes: BTreeMap<String, JsonDtype>,
    tensors: Vec<JsonTensor>,
    tokenizer: JsonTokenizer,
    chat_template: bool,
    memory: JsonMemory,
}

#[derive(Serialize, Default)]
struct JsonDtype {
    tensors: usize,
    elements: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct JsonTensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    bytes: usize,
}

#[derive(Serialize)]
struct JsonTokenizer {
    vocabulary: usize,
    bos: Option<String>,
    stop: Vec<String>,
}

/// Bytes.
#[derive(Serialize)]
struct JsonMemory {
    /// Weights as they are held to generate.
    weights: usize,
    /// Keys and values of one token.
    cache_per_token: usize,
    /// To generate with one sequence of 1,024 tokens.
    run: usize,
    /// To train in f32 with AdamW on 1,024 tokens at a time.
    train: usize,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let source =
        Source::open(&arguments.checkpoint).bad_input(|| format!("cannot inspect {}", arguments.checkpoint))?;
    let json = examine(&source);
    show(&json, arguments.tensors, output);
    output.result_json(&json);
    Ok(())
}

fn examine(source: &Source) -> Json {
    let config = &source.config;
    let tensors = source.checkpoint.tensors();
    let mut dtypes: BTreeMap<String, JsonDtype> = BTreeMap::new();
    for tensor in tensors {
        let entry = dtypes.entry(tensor.dtype.to_string()).or_default();
        entry.tensors += 1;
        entry.elements += tensor.elements();
        entry.bytes += tensor.bytes();
    }
    let parameters = tensors.iter().map(TensorInfo::elements).sum();
    let name = |token: u32| source.tokenizer.token(token).unwrap_or("?").to_owned();
    let memory = source.memory();
    Json {
        path: source.path.display().to_string(),
        architecture: config.architecture.to_string(),
        config: config.to_json().unwrap_or_default(),
        parameters,
        bytes: tensors.iter().map(TensorInfo::bytes).sum(),
        dtypes,
        tensors: tensors
            .iter()
            .map(|tensor| JsonTensor {
                name: tensor.name.clone(),
                dtype: tensor.dtype.to_string(),
                shape: tensor.shape.clone(),
                bytes: tensor.bytes(),
            })
            .collect(),
        tokenizer: JsonTokenizer {
            vocabulary: source.tokenizer.vocabulary_size(),
            bos: config.bos_token.map(name),
            stop: source.stop_tokens.iter().map(|&token| name(token)).collect(),
        },
        chat_template: source.chat_template.is_some(),
        memory: JsonMemory {
            weights: memory.weights,
            cache_per_token: memory.cache_per_token,
            run: memory.run(TOKENS),
            train: memory.train(TOKENS),
        },
    }
}

fn show(json: &Json, all: bool, output: &Output) {
    let row = |label: &str, value: String| output.line(&format!("  {label:<15}{value}"));
    output.line(&format!("{}\n", json.path));
    row("architecture", json.architecture.clone());
    let number = |key: &str| json.config[key].as_u64().unwrap_or(0) as usize;
    row(
        "sizes",
        format!(
            "{} layers, width {}, feed-forward {}, {} heads, {} of keys and values, context {}",
            number("num_hidden_layers"),
            grouped(number("hidden_size")),
            grouped(number("intermediate_size")),
            number("num_attention_heads"),
            number("num_key_value_heads"),
            grouped(number("max_position_embeddings")),
        ),
    );
    row("parameters", grouped(json.parameters));
    let tokenizer = &json.tokenizer;
    row("tokenizer", format!("{} tokens", grouped(tokenizer.vocabulary)));
    row("ends with", tokenizer.stop.join(" "));
    row("chat template", if json.chat_template { "yes" } else { "no" }.into());
    let memory = &json.memory;
    row(
        "to generate",
        format!(
            "{} of weights, {} a token of keys and values",
            size(memory.weights),
            size(memory.cache_per_token)
        ),
    );
    row(
        "to train",
        format!("{} in f32 with AdamW, {TOKENS} tokens at a time", size(memory.train)),
    );
    let mut dtypes = Table::new(["type", "tensors", "elements", "size"]);
    for (name, dtype) in &json.dtypes {
        dtypes = dtypes.row([
            name.clone(),
            dtype.tensors.to_string(),
            grouped(dtype.elements),
            size(dtype.bytes),
        ]);
    }
    output.line("");
    output.line(terminal::table(&dtypes).trim_end());
    if all {
        let mut table = Table::new(["tensor", "type", "shape", "size"]);
        for tensor in &json.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
            table = table.row([
                tensor.name.clone(),
                tensor.dtype.clone(),
                shape.join(" x "),
                size(tensor.bytes),
            ]);
        }
        output.line("");
        output.line(terminal::table(&table).trim_end());
    } else {
        output.line(&format!("\n`--tensors` lists all {} tensors.", json.tensors.len()));
    }
}

/// Bytes in words.
fn size(bytes: usize) -> String {
    let bytes = bytes as f64;
    [("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .map(|(unit, power)| (unit, bytes / f64::from(1 << power)))
        .find(|&(_, count)| count >= 1.0)
        .map_or_else(
            || format!("{bytes} bytes"),
            |(unit, count)| format!("{count:.1} {unit}"),
        )
}
