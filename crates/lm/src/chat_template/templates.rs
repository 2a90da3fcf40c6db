//! Models with several templates.

use serde_json::Value;

use super::{ChatTemplate, SpecialTokens};
use crate::LmError;

/// The templates of a model, by name. Most have one, called `default`; some have another for conversations with tools, called
/// `tool_use`.
#[derive(Debug, Clone)]
pub struct ChatTemplates(Vec<(String, ChatTemplate)>);

impl ChatTemplates {
    /// One template, as in `chat_template.jinja` or a GGUF file.
    ///
    /// # Errors
    ///
    /// As for [`ChatTemplate::new`].
    pub fn one(source: &str, special: SpecialTokens) -> Result<Self, LmError> {
        Ok(Self(vec![("default".to_owned(), ChatTemplate::new(source, special)?)]))
    }

    /// The field `chat_template` of `tokenizer_config.json`, a string or a list of objects with `name` and `template`, with
    /// that file's special tokens. `None` where there is no such field.
    ///
    /// # Errors
    ///
    /// Where the field is of another kind, and as for [`ChatTemplate::new`].
    pub fn from_config(config: &Value) -> Result<Option<Self>, LmError> {
        let special = SpecialTokens::from_config(config);
        let field = &config["chat_template"];
        let wrong = || {
            let message =
                "tokenizer_config.json: chat_template must be a string or a list of objects with name and template";
            LmError::TemplateSyntax(message.to_owned())
        };
        match field {
            Value::Null => Ok(None),
            Value::String(source) => Self::one(source, special).map(Some),
            Value::Array(list) => {
                let template = |entry: &Value| {
                    let name = entry["name"].as_str().ok_or_else(wrong)?;
                    let source = entry["template"].as_str().ok_or_else(wrong)?;
                    Ok((name.to_owned(), ChatTemplate::new(source, special.clone())?))
                };
                Ok(Some(Self(list.iter().map(template).collect::<Result<_, LmError>>()?)))
            }
            _ => Err(wrong()),
        }
    }

    /// The template of that name. Without a name: `tool_use` where there are tools and such a template, and otherwise
    /// `default`.
    ///
    /// # Errors
    ///
    /// Where there is no such template.
    pub fn select(&self, name: Option<&str>, tools: bool) -> Result<&ChatTemplate, LmError> {
        let find = |name: &str| {
            self.0
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, template)| template)
        };
        let found = match name {
            Some(name) => find(name),
            None if tools => find("tool_use").or_else(|| find("default")),
            None => find("default"),
        };
        found.ok_or_else(|| LmError::TemplateName {
            name: name.unwrap_or("default").to_owned(),
            known: self
                .0
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}
