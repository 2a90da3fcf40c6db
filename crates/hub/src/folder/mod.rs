//! Folders as Hugging Face keeps models in them: a configuration, tensors, and what belongs to the tokenizer.
//!
//! Source: what transformers' `from_pretrained` reads and `save_pretrained` writes.

mod generation_config;
mod model_folder;
mod save;
mod templates;

pub use generation_config::{GenerationConfig, Tokens};
pub use model_folder::ModelFolder;
pub use save::SavedModel;

/// The configuration of the model.
pub const CONFIG: &str = "config.json";

/// How the model's authors want text to be generated.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// The tokenizer, whole.
pub const TOKENIZER: &str = "tokenizer.json";

/// What is to be known of the tokenizer besides.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The special tokens by their roles.
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

/// The template of conversations.
pub const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// The folder of further templates, each in a file `NAME.jinja`.
pub const ADDITIONAL_CHAT_TEMPLATES: &str = "additional_chat_templates";

/// Further files of tokenizers, older than `tokenizer.json`; they are kept when a folder is saved again.
const OLD_TOKENIZER_FILES: [&str; 5] = [
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "added_tokens.json",
    "vocab.txt",
];
