//! Messages, in the ways in which files write them.

use etude_lm::chat_template::{TemplateValue, ordered_json};

use super::fields::{entries, pairs, wrong};
use super::record::{Message, Place};
use crate::AlignError;

/// What is expected of a field with a conversation.
pub(super) const MESSAGES: &str = "a list of messages, each an object with role and content";

/// A conversation of the field `field`: messages with `role` and `content`, or with `from` and `value` as ShareGPT has them.
///
/// # Errors
/// It is no list of such objects, or an empty one, or ShareGPT's with a speaker that is not known.
pub(super) fn messages(place: &Place, field: &str, value: &TemplateValue) -> Result<Vec<Message>, AlignError> {
    let list = entries(value).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| wrong(place, field, Some(value), MESSAGES))?;
    let message = |(index, value): (usize, &TemplateValue)| message(place, &format!("{field}[{index}]"), value);
    list.iter().enumerate().map(message).collect()
}

/// Whether a value is a list of messages rather than text.
pub(super) fn is_conversation(value: &TemplateValue) -> bool {
    let first = entries(value).and_then(|list| list.into_iter().next());
    let fields = first.as_ref().and_then(pairs).unwrap_or_default();
    fields.iter().any(|(name, _)| name == "role" || name == "from")
}

/// One message.
pub(super) fn message(place: &Place, field: &str, value: &TemplateValue) -> Result<Message, AlignError> {
    let mut fields = pairs(value).ok_or_else(|| wrong(place, field, Some(value), "a message with role and content"))?;
    let sharegpt = fields.iter().any(|(name, _)| name == "from");
    if sharegpt {
        for (name, _) in &mut fields {
            match name.as_str() {
                "from" => "role".clone_into(name),
                "value" => "content".clone_into(name),
                _ => {}
            }
        }
    }
    let path = |name: &str| {
        let name = match name {
            "role" if sharegpt => "from",
            "content" if sharegpt => "value",
            name => name,
        };
        format!("{field}.{name}")
    };

    let role = fields.iter_mut().find(|(name, _)| name == "role");
    let Some((_, role)) = role else {
        return Err(wrong(
            place,
            &path("role"),
            None,
            "who says it, such as user or assistant",
        ));
    };
    if sharegpt {
        const SPEAKERS: &str = "human, user, gpt, chatgpt, assistant, model, system, tool or observation";
        let known = role.as_str().and_then(speaker);
        *role = known
            .ok_or_else(|| wrong(place, &path("role"), Some(role), SPEAKERS))?
            .into();
    }
    let Some(role) = role.as_str().filter(|role| !role.is_empty()).map(ToOwned::to_owned) else {
        return Err(wrong(
            place,
            &path("role"),
            Some(role),
            "who says it, such as user or assistant",
        ));
    };

    let content = fields
        .iter()
        .find(|(name, _)| name == "content")
        .map(|(_, value)| value);
    let content = content.filter(|content| !content.is_none());
    let calls = fields
        .iter()
        .any(|(name, value)| name == "tool_calls" && value.is_true());
    match content {
        None if calls => {}
        Some(content) if content.as_str().is_some() || entries(content).is_some() => {}
        other => return Err(wrong(place, &path("content"), other, "text, or a list of parts")),
    }

    let mut trained = true;
    if let Some(index) = fields.iter().position(|(name, _)| name == "weight") {
        let (_, weight) = fields.remove(index);
        trained = match f64::try_from(weight.clone()) {
            _ if weight.is_none() => true,
            Ok(1.0) => true,
            Ok(0.0) => false,
            _ => return Err(wrong(place, &path("weight"), Some(&weight), "0 or 1")),
        };
    }
    for (_, value) in fields.iter_mut().filter(|(name, _)| name == "tool_calls") {
        if let Some(calls) = entries(value) {
            *value = calls.into_iter().map(with_arguments).collect();
        }
    }
    Ok(Message {
        role,
        value: TemplateValue::from_pairs(fields),
        trained,
    })
}

/// The role of one of ShareGPT's speakers.
fn speaker(name: &str) -> Option<&'static str> {
    Some(match name {
        "human" | "user" => "user",
        "gpt" | "chatgpt" | "assistant" | "model" => "assistant",
        "system" => "system",
        "tool" | "observation" => "tool",
        _ => return None,
    })
}

/// A tool call whose arguments are an object, where they were JSON in a text.
fn with_arguments(call: TemplateValue) -> TemplateValue {
    let Some(mut fields) = pairs(&call) else { return call };
    for (name, value) in &mut fields {
        match name.as_str() {
            "function" => *value = with_arguments(value.clone()),
            "arguments" => {
                let parsed = value.as_str().and_then(|text| ordered_json(text).ok());
                if let Some(object) = parsed.filter(|parsed| pairs(parsed).is_some()) {
                    *value = object;
                }
            }
            _ => {}
        }
    }
    TemplateValue::from_pairs(fields)
}
