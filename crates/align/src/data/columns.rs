//! Columns to records, format by format.

use etude_lm::chat_template::TemplateValue;

use super::conversation::{MESSAGES, is_conversation, message, messages};
use super::fields::{Row, entries, pairs, wrong};
use super::format::Format;
use super::record::{Example, Message, Record, Text};
use super::transcript::{last_answer, turns};
use crate::AlignError;

const VARIABLES: &str = "an object with variables of the chat template";
const HISTORY: &str = "a list of pairs, each what was asked and what was answered";
const INPUT: &str = "an object with messages";
const RANKED: &str = "a list of at least two answers, the best first";
const TRANSCRIPT: &str = "a transcript that begins with \\n\\nHuman: and has an \\n\\nAssistant:";

impl Record {
    /// Understands the columns of a record.
    pub(super) fn read(mut row: Row, format: Format) -> Result<Self, AlignError> {
        let example = match format {
            Format::LanguageModeling => language_modeling(&mut row),
            Format::PromptOnly => Ok(Example::PromptOnly(text(&mut row, "prompt")?)),
            Format::PromptCompletion => prompt_completion(&mut row),
            Format::Preference => preference(&mut row),
            Format::UnpairedPreference => unpaired(&mut row),
            Format::ShareGpt => sharegpt(&mut row),
            Format::Alpaca => alpaca(&mut row),
            Format::AlpacaText => alpaca_text(&mut row),
            Format::OpenAi => openai(&mut row),
            Format::Hh => hh(&mut row),
            Format::HhText => hh_text(&mut row),
            Format::Ranking => ranking(&mut row),
        }?;
        let tools = row.json("tools", "a list of tools, each a JSON schema")?;
        let kwargs = row.json("chat_template_kwargs", VARIABLES)?;
        let chat_template_kwargs = match &kwargs {
            None => Vec::new(),
            Some(value) => pairs(value).ok_or_else(|| row.wrong("chat_template_kwargs", Some(value), VARIABLES))?,
        };
        Ok(Self {
            example,
            // Some templates speak of tools where the list is empty.
            tools: tools.filter(TemplateValue::is_true),
            chat_template_kwargs,
            margin: row.number("margin")?,
            ref_chosen_logps: row.number("ref_chosen_logps")?,
            ref_rejected_logps: row.number("ref_rejected_logps")?,
            ref_logps: row.number("ref_logps")?,
            place: row.place.clone(),
            other: row.into_other(),
        })
    }
}

const TEXT: &str = "text, or a list of messages";

/// A column that is text or a conversation.
fn text(row: &mut Row, name: &str) -> Result<Text, AlignError> {
    let value = row.require(name, TEXT)?;
    text_of(row, name, &value)
}

/// A value that is text or a conversation.
fn text_of(row: &Row, name: &str, value: &TemplateValue) -> Result<Text, AlignError> {
    if let Some(text) = value.as_str() {
        return Ok(Text::Standard(text.to_owned()));
    }
    if entries(value).is_none() {
        return Err(row.wrong(name, Some(value), TEXT));
    }
    Ok(Text::Conversational(messages(&row.place, name, value)?))
}

/// A column that is a conversation.
fn conversation(row: &mut Row, name: &str) -> Result<Vec<Message>, AlignError> {
    let value = row.json(name, MESSAGES)?;
    let value = value.ok_or_else(|| row.wrong(name, None, MESSAGES))?;
    messages(&row.place, name, &value)
}

fn language_modeling(row: &mut Row) -> Result<Example, AlignError> {
    Ok(Example::LanguageModeling(if row.has("messages") {
        Text::Conversational(conversation(row, "messages")?)
    } else {
        Text::Standard(row.require_string("text")?)
    }))
}

fn prompt_completion(row: &mut Row) -> Result<Example, AlignError> {
    let (prompt, completion) = (text(row, "prompt")?, text(row, "completion")?);
    same_kind(row, "prompt", &prompt, "completion", &completion)?;
    Ok(Example::PromptCompletion { prompt, completion })
}

fn unpaired(row: &mut Row) -> Result<Example, AlignError> {
    let label = row.require_bool("label")?;
    let (prompt, completion) = (text(row, "prompt")?, text(row, "completion")?);
    same_kind(row, "prompt", &prompt, "completion", &completion)?;
    Ok(Example::UnpairedPreference {
        prompt,
        completion,
        label,
    })
}

fn ranking(row: &mut Row) -> Result<Example, AlignError> {
    let prompt = text(row, "prompt")?;
    let value = row.json("completions", RANKED)?;
    let answers = value.as_ref().and_then(entries).filter(|answers| answers.len() > 1);
    let answers = answers.ok_or_else(|| row.wrong("completions", value.as_ref(), RANKED))?;
    let completion = |(index, answer): (usize, &TemplateValue)| {
        let name = format!("completions[{index}]");
        let answer = text_of(row, &name, answer)?;
        same_kind(row, "prompt", &prompt, &name, &answer)?;
        Ok(answer)
    };
    let completions: Result<Vec<Text>, AlignError> = answers.iter().enumerate().map(completion).collect();
    Ok(Example::Ranking {
        completions: completions?,
        prompt,
    })
}

fn preference(row: &mut Row) -> Result<Example, AlignError> {
    let (chosen, rejected) = (text(row, "chosen")?, text(row, "rejected")?);
    same_kind(row, "chosen", &chosen, "rejected", &rejected)?;
    // Some data have the prompt as text beside conversations that begin with it.
    let repeats = row.get("prompt").is_some_and(|prompt| {
        !is_conversation(prompt)
            && matches!((&chosen, &rejected), (Text::Conversational(chosen), Text::Conversational(rejected))
                if chosen.len() > 1 && chosen.first() == rejected.first())
    });
    if repeats || !row.has("prompt") {
        row.take("prompt");
        return Ok(implicit_prompt(chosen, rejected));
    }
    let prompt = text(row, "prompt")?;
    same_kind(row, "prompt", &prompt, "chosen", &chosen)?;
    Ok(Example::Preference {
        prompt,
        chosen,
        rejected,
    })
}

/// The prompt that two answers begin with: what they have in common, but for the last message or character of the shorter one.
fn implicit_prompt(chosen: Text, rejected: Text) -> Example {
    let (prompt, chosen, rejected) = match (chosen, rejected) {
        (Text::Conversational(mut chosen), Text::Conversational(mut rejected)) => {
            let most = chosen.len().min(rejected.len()).saturating_sub(1);
            let shared = chosen
                .iter()
                .zip(&rejected)
                .take_while(|(one, other)| one == other)
                .count();
            let rest = chosen.split_off(shared.min(most));
            let rejected = rejected.split_off(shared.min(most));
            (
                Text::Conversational(chosen),
                Text::Conversational(rest),
                Text::Conversational(rejected),
            )
        }
        (Text::Standard(mut chosen), Text::Standard(mut rejected)) => {
            let equal = chosen
                .chars()
                .zip(rejected.chars())
                .take_while(|(one, other)| one == other);
            let mut end: usize = equal.map(|(one, _)| one.len_utf8()).sum();
            if end == chosen.len().min(rejected.len()) {
                end -= chosen[..end].chars().next_back().map_or(0, char::len_utf8);
            } else if chosen[..end].ends_with(' ') {
                // The space before an answer belongs to it, as tokenizers see it.
                end -= 1;
            }
            let (rest, rejected) = (chosen.split_off(end), rejected.split_off(end));
            (Text::Standard(chosen), Text::Standard(rest), Text::Standard(rejected))
        }
        // Of two kinds they have nothing in common.
        (chosen, rejected) => (Text::Standard(String::new()), chosen, rejected),
    };
    Example::Preference {
        prompt,
        chosen,
        rejected,
    }
}

/// Whether two fields are both text or both conversations.
fn same_kind(row: &Row, name: &str, one: &Text, other_name: &str, other: &Text) -> Result<(), AlignError> {
    let kind = |text: &Text| match text {
        Text::Standard(_) => "text",
        Text::Conversational(_) => "a list of messages",
    };
    if kind(one) == kind(other) {
        return Ok(());
    }
    Err(AlignError::Record {
        place: row.place.clone(),
        detail: format!(
            "\"{name}\" is {} and \"{other_name}\" is {}, expected both to be of one kind",
            kind(one),
            kind(other)
        ),
    })
}

fn sharegpt(row: &mut Row) -> Result<Example, AlignError> {
    let mut turns = conversation(row, "conversations")?;
    if let Some(system) = row.string("system")?.filter(|system| !system.is_empty()) {
        turns.insert(0, Message::new("system", &system));
    }
    if !row.has("chosen") && !row.has("rejected") {
        return Ok(Example::LanguageModeling(Text::Conversational(turns)));
    }
    let mut answer = |name: &str| {
        let value = row.require(name, "a message with from and value")?;
        match entries(&value) {
            Some(_) => messages(&row.place, name, &value),
            None => Ok(vec![message(&row.place, name, &value)?]),
        }
    };
    Ok(Example::Preference {
        chosen: Text::Conversational(answer("chosen")?),
        rejected: Text::Conversational(answer("rejected")?),
        prompt: Text::Conversational(turns),
    })
}

fn alpaca(row: &mut Row) -> Result<Example, AlignError> {
    let mut prompt = Vec::new();
    if let Some(system) = row.string("system")?.filter(|system| !system.is_empty()) {
        prompt.push(Message::new("system", &system));
    }
    if let Some(history) = row.json("history", HISTORY)? {
        for turn in entries(&history).ok_or_else(|| row.wrong("history", Some(&history), HISTORY))? {
            let pair = entries(&turn).unwrap_or_default();
            match pair.iter().map(|said| said.as_str()).collect::<Vec<_>>()[..] {
                [Some(asked), Some(answered)] => {
                    prompt.push(Message::new("user", asked));
                    prompt.push(Message::new("assistant", answered));
                }
                _ => return Err(wrong(&row.place, "history", Some(&turn), HISTORY)),
            }
        }
    }
    let instruction = row.require_string("instruction")?;
    let input = row.string("input")?.filter(|input| !input.is_empty());
    prompt.push(Message::new(
        "user",
        &input.map_or_else(|| instruction.clone(), |input| format!("{instruction}\n{input}")),
    ));
    answers(row, Text::Conversational(prompt), |answer| {
        Text::Conversational(vec![Message::new("assistant", &answer)])
    })
}

/// Alpaca's own words (Taori et al., 2023).
fn alpaca_text(row: &mut Row) -> Result<Example, AlignError> {
    let instruction = row.require_string("instruction")?;
    let prompt = match row.string("input")?.filter(|input| !input.is_empty()) {
        Some(input) => format!(
            "Below is an instruction that describes a task, paired with an input that provides further context. \
             Write a response that appropriately completes the request.\n\n\
             ### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
        ),
        None => format!(
            "Below is an instruction that describes a task. \
             Write a response that appropriately completes the request.\n\n\
             ### Instruction:\n{instruction}\n\n### Response:"
        ),
    };
    answers(row, Text::Standard(prompt), Text::Standard)
}

/// The answer, or the two answers, of an instruction.
fn answers(row: &mut Row, prompt: Text, answer: impl Fn(String) -> Text) -> Result<Example, AlignError> {
    if row.has("chosen") || row.has("rejected") {
        return Ok(Example::Preference {
            prompt,
            chosen: answer(row.require_string("chosen")?),
            rejected: answer(row.require_string("rejected")?),
        });
    }
    let completion = answer(row.require_string("output")?);
    Ok(Example::PromptCompletion { prompt, completion })
}

fn openai(row: &mut Row) -> Result<Example, AlignError> {
    if row.has("messages") {
        return language_modeling(row);
    }
    let input = row.require("input", INPUT)?;
    let mut fields = Row::from_value(row.place.clone(), &input).map_err(|_| row.wrong("input", Some(&input), INPUT))?;
    let value = fields.require("messages", MESSAGES)?;
    let prompt = messages(&row.place, "input.messages", &value)?;
    if let Some(tools) = fields.take("tools") {
        row.put("tools", tools);
    }
    Ok(Example::Preference {
        prompt: Text::Conversational(prompt),
        chosen: Text::Conversational(conversation(row, "preferred_output")?),
        rejected: Text::Conversational(conversation(row, "non_preferred_output")?),
    })
}

fn hh(row: &mut Row) -> Result<Example, AlignError> {
    let mut transcript = |name: &str| {
        let text = row.require_string(name)?;
        let turns = turns(&text).ok_or_else(|| row.wrong(name, Some(&text.as_str().into()), TRANSCRIPT))?;
        Ok::<_, AlignError>(Text::Conversational(turns))
    };
    Ok(implicit_prompt(transcript("chosen")?, transcript("rejected")?))
}

fn hh_text(row: &mut Row) -> Result<Example, AlignError> {
    let (mut chosen, rejected) = (row.require_string("chosen")?, row.require_string("rejected")?);
    let Some(start) = last_answer(&chosen) else {
        return Err(row.wrong("chosen", Some(&chosen.into()), TRANSCRIPT));
    };
    let Some(other) = rejected.strip_prefix(&chosen[..start]) else {
        return Err(AlignError::Record {
            place: row.place.clone(),
            detail: "\"rejected\" does not begin as \"chosen\" up to its last \\n\\nAssistant:, expected one prompt"
                .into(),
        });
    };
    let answer = chosen.split_off(start);
    Ok(Example::Preference {
        prompt: Text::Standard(chosen),
        chosen: Text::Standard(answer),
        rejected: Text::Standard(other.to_owned()),
    })
}
