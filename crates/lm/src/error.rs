//! Everything that can be wrong with what this crate is asked for.

use std::path::PathBuf;

use etude_hub::HubError;
use etude_kernels::KernelError;
use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LmError {
    /// A configuration describes a family of models that this crate does not have.
    #[error(
        "the configuration: {field}: found {found}, expected one of {expected}; other architectures are not supported"
    )]
    Architecture {
        /// The field that names the architecture.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A field of a configuration is missing, or has a value that it cannot have.
    #[error("the configuration: {field}: found {found}, expected {expected}")]
    Field {
        /// The field, with the path to it.
        field: String,
        /// Its value, or that there is none.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A configuration has a field that this crate does not know, so that the model may be another one.
    #[error(
        "the configuration: {field}: found {found}, a field that is not known here and may change what the model computes; \
         remove it if it does not"
    )]
    UnknownField {
        /// The field, with the path to it.
        field: String,
        /// Its value.
        found: String,
    },
    /// A configuration cannot be written as a config.json that other programs read to the same model.
    #[error("config.json cannot say this model: {detail}")]
    NotSayable {
        /// What it cannot say.
        detail: &'static str,
    },
    /// The file of a tokenizer cannot be read.
    #[error("tokenizer.json: {0}")]
    TokenizerJson(String),
    /// A part of a tokenizer is of a kind that is not there.
    #[error("tokenizer: {part} is {found}, expected {expected}")]
    TokenizerPart {
        /// The field, with its path.
        part: &'static str,
        /// What it holds.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
    /// The vocabulary of a GGUF file has no regular expressions under this name.
    #[error("tokenizer.ggml.pre is {name:?}, which is not known; known are {known}")]
    PreTokenizer {
        /// The name found.
        name: String,
        /// The names that are known.
        known: String,
    },
    /// Two tokens of a vocabulary that do not merge into a third.
    #[error("tokenizer: merge {index} joins {left:?} and {right:?}; all three of them must be in the vocabulary")]
    Merge {
        /// Position in the list of merges.
        index: usize,
        /// The left token.
        left: String,
        /// The right token.
        right: String,
    },
    /// An entry of a vocabulary that cannot be.
    #[error("tokenizer: token {id} ({text:?}): {message}")]
    Token {
        /// Its id.
        id: u32,
        /// Its text, shortened.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// An id that no token has.
    #[error("token id {id} is out of range: the vocabulary has {size} ids")]
    TokenId {
        /// The id.
        id: u32,
        /// One more than the largest id.
        size: usize,
    },
    /// The tokenizer knows ids for which the model has no embedding.
    #[error(
        "the tokenizer does not match the model: it has ids up to {largest}, and the model has embeddings for {rows}; take both \
         from the same checkpoint"
    )]
    VocabularySize {
        /// The largest id.
        largest: u32,
        /// Rows of the embedding.
        rows: usize,
    },
    /// A text that cannot be cut into tokens.
    #[error("the text cannot be encoded: {0}")]
    Encode(String),
    /// A chat template that is no template.
    #[error("chat template: {0}")]
    TemplateSyntax(String),
    /// A chat template that failed, or that refused the conversation.
    #[error("chat template: {0}")]
    TemplateRender(String),
    /// The template called `raise_exception`.
    #[error("the chat template refuses the conversation: {0}")]
    TemplateRaised(String),
    /// A chat template that does more work, or makes larger values, than a conversation can need.
    #[error("chat template: {0}; a template must end in bounded time and memory")]
    TemplateLimit(String),
    /// No template of that name.
    #[error("no chat template is called {name:?}; there are {known}")]
    TemplateName {
        /// The name asked for.
        name: String,
        /// The names that are there.
        known: String,
    },
    /// A quantised matrix cannot be used.
    #[error("{tensor}: {source}")]
    Blocks {
        /// The tensor.
        tensor: String,
        /// Why not.
        source: KernelError,
    },
    /// A model without a template is asked to hold a conversation.
    #[error("the model has no chat template; expected chat_template.jinja or the key chat_template beside it")]
    NoChatTemplate,
    /// There is nothing to continue or to score.
    #[error("the prompt is empty: it has no token; expected at least one, and two where they are scored")]
    EmptyPrompt,
    /// A prompt and its answer are longer than the model's context.
    #[error("{prompt} tokens of the prompt and {max_tokens} to generate: the model's context has {context}")]
    Context {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens that may be generated.
        max_tokens: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A sequence has no room for more tokens.
    #[error("a cache with room for {capacity} tokens holds {held}: {more} more do not fit")]
    Cache {
        /// Tokens that are there.
        held: usize,
        /// Tokens that are to join them.
        more: usize,
        /// Tokens that there is room for.
        capacity: usize,
    },
    /// A setting is out of its range.
    #[error("{name}: found {found}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The model's numbers have left the range of f32.
    #[error("the model's logits are not finite")]
    Logits,
    /// A file beside the weights cannot be used.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A checkpoint is not that of the model that the configuration describes.
    #[error(
        "{}: not the parameters of this model: missing {}; not of this model {}",
        path.display(), list(missing), list(surplus)
    )]
    Parameters {
        /// The checkpoint.
        path: PathBuf,
        /// Parameters that it does not have.
        missing: Vec<String>,
        /// Tensors that the model has not.
        surplus: Vec<String>,
    },
    /// A head is not the embedding, though the configuration says that they are one.
    #[error(
        "{}: the tensor `{name}` differs from the embedding, though tie_word_embeddings is true; set it to false",
        path.display()
    )]
    Untied {
        /// The checkpoint.
        path: PathBuf,
        /// The head.
        name: String,
    },
    /// A parameter is infinite or not a number.
    #[error("{}: the tensor `{name}` has {value} at {index}; expected finite numbers", path.display())]
    NotFinite {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first such number, in row-major order.
        index: usize,
        /// The number.
        value: f32,
    },
    /// An adapter is not one of this model.
    #[error("the adapter of `{module}`: found {found}; expected {expected}")]
    Adapter {
        /// The adapted module.
        module: String,
        /// What it has.
        found: String,
        /// What the model takes.
        expected: String,
    },
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// The first few names, and how many there are.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names if names.len() <= 4 => names.join(", "),
        names => format!("{}, .. ({} in all)", names[..4].join(", "), names.len()),
    }
}
