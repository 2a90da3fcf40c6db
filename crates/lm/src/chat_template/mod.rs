//! Conversations to text, by the template that comes with a model.
//!
//! Templates are in Jinja, in the dialect of transformers' `apply_chat_template`: whitespace around blocks is trimmed, strings
//! and mappings have Python's methods, and there are `raise_exception`, `strftime_now`, `tojson` with Python's spacing, `break`
//! and `continue`, and `{% generation %}` around what the model says. A [`ChatTemplate`] renders a [`Conversation`] to the text
//! that transformers gives, and says which of it lies in such blocks.
//!
//! Templates come from strangers. They can read nothing but the conversation, and end in time and memory that are bounded by
//! its size: `limits.rs` says how.

mod conversation;
mod functions;
mod json;
mod limits;
mod mask;
mod source;
mod spans;
mod templates;
mod tokens;

use std::error::Error as _;
use std::ops::Range;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{DynObject, Kwargs, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value};

pub use conversation::{Conversation, SpecialTokens, TemplateValue, ordered_json};
pub use mask::assistant_mask;
pub use templates::ChatTemplates;

use crate::LmError;
use spans::Marks;

/// A template that has been compiled.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: SpecialTokens,
    generation: bool,
}

/// What a template made of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Which bytes of it lie within `{% generation %}`: what the assistant said. Empty where the template has no such blocks.
    pub generated: Vec<Range<usize>>,
}

/// The name under which messages speak of the template.
const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// Where it is no template, or nested beyond measure.
    pub fn new(source: &str, special: SpecialTokens) -> Result<Self, LmError> {
        let prepared = source::prepare(source)?;
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| LmError::TemplateSyntax(error.to_string()))?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_filter(source::WEIGH, functions::weigh);
        environment.add_filter(source::FACTOR, functions::factor);
        environment.add_filter(source::STORE, functions::store);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", functions::raise_exception);
        environment.set_unknown_method_callback(functions::method);
        environment.remove_global("debug");
        environment
            .add_template_owned(NAME, prepared.source)
            .map_err(|error| LmError::TemplateSyntax(describe(&error)))?;
        Ok(Self {
            environment,
            special,
            generation: prepared.generation,
        })
    }

    /// Renders a conversation.
    ///
    /// # Errors
    ///
    /// Where the template fails or raises, where it does more than a conversation of this size can need, and where the last
    /// message is to be continued but is not at the end of the text.
    pub fn render(&self, conversation: &Conversation) -> Result<Rendered, LmError> {
        let mut messages = messages(&conversation.messages)?;
        if conversation.continue_final_message {
            spans::mark_last(&mut messages)?;
        }
        let special = self
            .special
            .0
            .iter()
            .map(|(name, text)| (name.as_str(), Value::from(text.as_str())));
        let variables = conversation
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        let own = [
            ("messages", Value::from(messages)),
            ("tools", conversation.tools.clone()),
            ("documents", conversation.documents.clone()),
            ("add_generation_prompt", Value::from(conversation.add_generation_prompt)),
        ];
        // The last of one name counts.
        let context = Value::from_pairs(special.chain(variables).chain(own));
        let weight = limits::weigh(&context, u64::MAX).map_err(|error| failed(&error))?;

        let mut environment = self.environment.clone();
        environment.set_fuel(Some(limits::fuel(weight)));
        let now = conversation.now;
        environment.add_function("strftime_now", move |format: &str| functions::strftime(format, now));
        let marks = self.generation.then(|| Arc::new(Marks::absent_from(&context)));
        if let Some(marks) = &marks {
            let marks = Arc::clone(marks);
            environment.add_function(source::GENERATION, move |state: &mut State<'_, '_>, named: Kwargs| {
                let caller: Value = named.get("caller")?;
                let text = caller.call(state, &[])?;
                Ok(marks.around(text.as_str().unwrap_or_default()))
            });
        }
        let template = environment.get_template(NAME).map_err(|error| failed(&error))?;
        let text = template.render(context).map_err(|error| failed(&error))?;
        let cut = conversation.continue_final_message;
        let text = if cut { spans::cut(text)? } else { text };
        match marks {
            Some(marks) => marks.take_out(&text, cut),
            None => Ok(Rendered {
                text,
                generated: Vec::new(),
            }),
        }
    }
}

/// The messages without fields that hold nothing, since templates ask whether there is a field; and with what the model thought
/// under the name that templates read.
fn messages(value: &Value) -> Result<Vec<Value>, LmError> {
    let wrong = |what: &dyn ToString| {
        LmError::TemplateRender(format!("messages must be a list of objects: {}", what.to_string()))
    };
    let mut messages = Vec::new();
    for message in value.try_iter().map_err(|error| wrong(&error))? {
        let object = message.as_object().and_then(DynObject::try_iter_pairs);
        let object = object.filter(|_| message.kind() == ValueKind::Map);
        let pairs = object.ok_or_else(|| wrong(&format!("found a {}", message.kind())))?;
        let mut fields: Vec<(Value, Value)> = pairs.filter(|(_, value)| !value.is_none()).collect();
        let field = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key.as_str() == Some(name))
                .map(|(_, value)| value.clone())
        };
        let thought = ["reasoning_content", "thinking", "reasoning"]
            .into_iter()
            .find_map(field);
        if let Some(thought) = thought {
            // The first of one name has its place, and the last its value.
            fields.insert(0, (Value::from("thinking"), thought.clone()));
            fields.push((Value::from("reasoning_content"), thought));
        }
        messages.push(Value::from_pairs(fields));
    }
    if messages.is_empty() {
        return Err(LmError::TemplateRender("the conversation has no messages".to_owned()));
    }
    Ok(messages)
}

/// Which kind of failure an error is.
fn failed(error: &minijinja::Error) -> LmError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(raised) = inner.downcast_ref::<functions::Raised>() {
            return LmError::TemplateRaised(raised.0.clone());
        }
        if inner.downcast_ref::<limits::Limit>().is_some() {
            return LmError::TemplateLimit(describe(error));
        }
        if inner
            .downcast_ref::<minijinja::Error>()
            .is_some_and(|inner| inner.kind() == ErrorKind::OutOfFuel)
        {
            return LmError::TemplateLimit(format!(
                "it does more than a conversation of this size can need ({})",
                describe(error)
            ));
        }
        cause = inner.source();
    }
    LmError::TemplateRender(describe(error))
}

/// An error with what caused it.
fn describe(error: &minijinja::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
