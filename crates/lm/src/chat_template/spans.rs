//! Finds parts of a rendered text again, by characters that no text has.
//!
//! Unicode sets some code points aside for use within programs, U+FDD0 to U+FDEF. Put around what is rendered in a
//! `{% generation %}` block, they say where it came to lie, also where the text went through other filters; and one behind the
//! last message says where that ends.

use minijinja::Value;
use minijinja::value::DynObject;

use super::Rendered;
use crate::LmError;

/// Two characters that mark the beginning and the end of a part.
#[derive(Debug)]
pub(super) struct Marks {
    begin: char,
    end: char,
}

impl Marks {
    /// The first two that no string in `context` has.
    pub(super) fn absent_from(context: &Value) -> Self {
        let mut taken = Vec::new();
        collect(context, &mut taken);
        let mut free = ('\u{FDD1}'..='\u{FDEF}').filter(|mark| !taken.contains(mark));
        Self {
            begin: free.next().unwrap_or('\u{FDD1}'),
            end: free.next().unwrap_or('\u{FDD2}'),
        }
    }

    pub(super) fn around(&self, text: &str) -> String {
        format!("{}{text}{}", self.begin, self.end)
    }

    /// The text without the marks, and where they were. A text that was `cut` may end within a part.
    pub(super) fn take_out(&self, marked: &str, cut: bool) -> Result<Rendered, LmError> {
        let mut rendered = Rendered {
            text: String::with_capacity(marked.len()),
            generated: Vec::new(),
        };
        let mut open = None;
        for character in marked.chars() {
            let place = rendered.text.len();
            match (character == self.begin, character == self.end, open) {
                (true, _, None) => open = Some(place),
                (_, true, Some(start)) => {
                    rendered.generated.push(start..place);
                    open = None;
                }
                (false, false, _) => rendered.text.push(character),
                _ => {
                    return Err(LmError::TemplateRender(
                        "a generation block is inside another, or cut in two".to_owned(),
                    ));
                }
            }
        }
        match open {
            Some(start) if cut => rendered.generated.push(start..rendered.text.len()),
            Some(_) => return Err(LmError::TemplateRender("a generation block is cut in two".to_owned())),
            None => {}
        }
        Ok(rendered)
    }
}

/// The characters of the kind that are in a value.
fn collect(value: &Value, taken: &mut Vec<char>) {
    if let Some(text) = value.as_str() {
        taken.extend(
            text.chars()
                .filter(|character| ('\u{FDD0}'..='\u{FDEF}').contains(character)),
        );
        taken.sort_unstable();
        taken.dedup();
    } else if let Some(pairs) = value.as_object().and_then(DynObject::try_iter_pairs) {
        for (key, value) in pairs {
            collect(&key, taken);
            collect(&value, taken);
        }
    }
}

/// What stands behind the last message, with a space that shows whether the template trimmed the message.
const MARK: char = '\u{FDD0}';

/// Puts mark and space behind the text of the last message.
pub(super) fn mark_last(messages: &mut [Value]) -> Result<(), LmError> {
    let no_text = || LmError::TemplateRender("the last message has no text that could be continued".to_owned());
    let tagged = |text: &Value| text.as_str().map(|text| Value::from(format!("{text}{MARK} ")));
    let last = messages.last_mut().ok_or_else(no_text)?;
    let mut fields = fields_of(last).ok_or_else(no_text)?;
    let content = field(&mut fields, "content").ok_or_else(no_text)?;
    if let Some(text) = tagged(content) {
        *content = text;
    } else {
        let mut blocks: Vec<Value> = content.try_iter().map_err(|_| no_text())?.collect();
        let has_text = |block: &&mut Value| block.get_attr("text").is_ok_and(|text| text.as_str().is_some());
        let block = blocks.iter_mut().rev().find(has_text).ok_or_else(no_text)?;
        let mut inner = fields_of(block).ok_or_else(no_text)?;
        if let Some(text) = field(&mut inner, "text") {
            *text = tagged(text).ok_or_else(no_text)?;
        }
        *block = Value::from_pairs(inner);
        *content = Value::from(blocks);
    }
    *last = Value::from_pairs(fields);
    Ok(())
}

fn fields_of(value: &Value) -> Option<Vec<(Value, Value)>> {
    Some(value.as_object()?.try_iter_pairs()?.collect())
}

fn field<'f>(fields: &'f mut [(Value, Value)], name: &str) -> Option<&'f mut Value> {
    fields
        .iter_mut()
        .find(|(key, _)| key.as_str() == Some(name))
        .map(|(_, value)| value)
}

/// The text up to the mark.
pub(super) fn cut(mut text: String) -> Result<String, LmError> {
    let Some(place) = text.rfind(MARK) else {
        let message = "the last message is to be continued, but the template does not render all of it";
        return Err(LmError::TemplateRender(message.to_owned()));
    };
    let trimmed = !text[place..].starts_with("\u{FDD0} ");
    text.truncate(place);
    if trimmed {
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}
