//! The tokenizer that a file carries.

use super::metadata::Metadata;
use crate::chat_templates::ChatTemplates;
use crate::error::{HubError, fault};

/// What a file says about its tokenizer: plain data, from which a tokenizer is built elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct GgufTokenizer {
    /// The kind: `gpt2` for byte-pair encoding, `llama` for SentencePiece.
    pub model: String,
    /// The name of the rule by which text is cut before it is encoded: `smollm`, `llama-bpe`.
    pub pre: Option<String>,
    /// The text of each token.
    pub tokens: Vec<String>,
    /// The score of each token, in SentencePiece.
    pub scores: Option<Vec<f32>>,
    /// The type of each token: 1 normal, 2 unknown, 3 control, 4 defined by the user, 5 unused, 6 a byte.
    pub types: Option<Vec<i32>>,
    /// Pairs that are merged, the first first, with a blank between: `h e`.
    pub merges: Option<Vec<String>>,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// The token that ends a text.
    pub eos: Option<u32>,
    /// The token that ends a turn of a conversation.
    pub eot: Option<u32>,
    /// The token that stands for what has none.
    pub unknown: Option<u32>,
    /// The token between two texts.
    pub separator: Option<u32>,
    /// The token that fills up.
    pub padding: Option<u32>,
    /// The token that hides another.
    pub mask: Option<u32>,
    /// Whether a text begins with `bos` when it is encoded.
    pub add_bos: Option<bool>,
    /// Whether a text ends with `eos` when it is encoded.
    pub add_eos: Option<bool>,
    /// Whether a blank is put before a text.
    pub add_space_prefix: Option<bool>,
    /// Whether a run of blanks counts as one.
    pub remove_extra_whitespaces: Option<bool>,
    /// How conversations become text.
    pub chat_templates: ChatTemplates,
}

impl GgufTokenizer {
    /// Reads what there is; nothing where the file names no kind of tokenizer, or says that it has none.
    pub(super) fn read(metadata: &Metadata) -> Result<Option<Self>, HubError> {
        let ggml = |name: &str| format!("tokenizer.ggml.{name}");
        let Some(model) = metadata.text(&ggml("model"))?.filter(|&model| model != "no_vocab") else {
            return Ok(None);
        };
        let tokens = metadata.texts(&ggml("tokens"))?.ok_or_else(|| {
            let detail = "`tokenizer.ggml.tokens` is missing; expected the texts of the tokens";
            fault(metadata.path(), detail)
        })?;
        let same_count = |name: &str, count: Option<usize>| match count {
            Some(count) if count != tokens.len() => Err(fault(
                metadata.path(),
                format!(
                    "`tokenizer.ggml.{name}`: found {count}; expected one for each of the {} tokens",
                    tokens.len()
                ),
            )),
            _ => Ok(()),
        };
        let scores = metadata.numbers(&ggml("scores"))?.map(<[f32]>::to_vec);
        same_count("scores", scores.as_ref().map(Vec::len))?;
        let types = metadata.integers(&ggml("token_type"))?;
        same_count("token_type", types.as_ref().map(Vec::len))?;
        let id = |name: &str| {
            let key = ggml(&format!("{name}_token_id"));
            match metadata.unsigned(&key)? {
                Some(id) if id >= tokens.len() as u64 => Err(fault(
                    metadata.path(),
                    format!(
                        "`{key}`: found {id}; expected the number of one of the {} tokens",
                        tokens.len()
                    ),
                )),
                id => Ok(id.map(|id| id as u32)),
            }
        };
        Ok(Some(Self {
            model: model.to_owned(),
            pre: metadata.text(&ggml("pre"))?.map(str::to_owned),
            tokens: tokens.to_vec(),
            scores,
            types,
            merges: metadata.texts(&ggml("merges"))?.map(<[String]>::to_vec),
            bos: id("bos")?,
            eos: id("eos")?,
            eot: id("eot")?,
            unknown: id("unknown")?,
            separator: id("seperator")?,
            padding: id("padding")?,
            mask: id("mask")?,
            add_bos: metadata.boolean(&ggml("add_bos_token"))?,
            add_eos: metadata.boolean(&ggml("add_eos_token"))?,
            add_space_prefix: metadata.boolean(&ggml("add_space_prefix"))?,
            remove_extra_whitespaces: metadata.boolean(&ggml("remove_extra_whitespaces"))?,
            chat_templates: templates(metadata)?,
        }))
    }
}

/// The template without a name, and those with one, which `tokenizer.chat_templates` lists.
fn templates(metadata: &Metadata) -> Result<ChatTemplates, HubError> {
    let mut templates = ChatTemplates::default();
    if let Some(template) = metadata.text("tokenizer.chat_template")? {
        templates.insert(ChatTemplates::DEFAULT, template);
    }
    for name in metadata.texts("tokenizer.chat_templates")?.unwrap_or_default() {
        if let Some(template) = metadata.text(&format!("tokenizer.chat_template.{name}"))? {
            templates.insert(name, template);
        }
    }
    Ok(templates)
}
