//! Chat templates: the text that transformers gives, the tokens that the assistant said, and templates that are wrong.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use etude_lm::LmError;
use etude_lm::chat_template::{
    ChatTemplate, ChatTemplates, Conversation, Rendered, SpecialTokens, TemplateValue, assistant_mask, ordered_json,
};
use etude_lm::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Family {
    name: String,
    template: String,
    tokens: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    messages: String,
    options: BTreeMap<String, Value>,
    tools: Option<String>,
    documents: Option<String>,
    text: Option<String>,
    error: Option<String>,
    ids: Option<Vec<u32>>,
    mask: Option<Vec<u8>>,
}

fn families() -> Vec<Family> {
    serde_json::from_str(include_str!("fixtures/chat_template/conversations.json")).unwrap()
}

fn conversation(case: &Case) -> Conversation {
    let mut conversation = Conversation::new(ordered_json(&case.messages).unwrap());
    if let Some(tools) = &case.tools {
        conversation = conversation.tools(ordered_json(tools).unwrap());
    }
    if let Some(documents) = &case.documents {
        conversation = conversation.documents(ordered_json(documents).unwrap());
    }
    for (name, value) in &case.options {
        conversation = match name.as_str() {
            "add_generation_prompt" => conversation.add_generation_prompt(),
            "continue_final_message" => conversation.continue_final_message(),
            _ => conversation.variable(name, value),
        };
    }
    conversation
}

#[test]
fn the_text_is_that_of_transformers() {
    for family in families() {
        let template = ChatTemplate::new(&family.template, SpecialTokens(family.tokens)).unwrap();
        for case in &family.cases {
            let found = template.render(&conversation(case));
            match (&case.text, &case.error) {
                (Some(text), _) => assert_eq!(&found.unwrap().text, text, "{}: {}", family.name, case.messages),
                (None, Some(message)) => {
                    let error = found.unwrap_err();
                    let raised = matches!(&error, LmError::TemplateRaised(found) if found == message);
                    assert!(raised, "{}: {error}", family.name);
                }
                (None, None) => panic!("{}: a case without an answer", family.name),
            }
        }
    }
}

#[test]
fn the_assistant_masks_are_those_of_transformers() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/tokenizer/qwen_2.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&serde_json::to_vec(&fixture["tokenizer"]).unwrap()).unwrap();
    let mut masks = 0;
    for family in families() {
        let template = ChatTemplate::new(&family.template, SpecialTokens(family.tokens)).unwrap();
        for case in &family.cases {
            let (Some(ids), Some(mask)) = (&case.ids, &case.mask) else {
                continue;
            };
            let rendered = template.render(&conversation(case)).unwrap();
            let encoded = tokenizer.encode_with_offsets(&rendered.text, false).unwrap();
            assert_eq!(&encoded.ids, ids);
            let found = assistant_mask(&encoded.offsets, &rendered.generated);
            let expected: Vec<bool> = mask.iter().map(|bit| *bit == 1).collect();
            assert_eq!(found, expected, "{}: {}", family.name, case.messages);
            masks += 1;
        }
    }
    assert_eq!(masks, 16);
}

#[test]
fn every_part_of_the_language_does_what_it_does_in_transformers() {
    #[derive(Deserialize)]
    struct File {
        context: String,
        snippets: Vec<Snippet>,
    }
    #[derive(Deserialize)]
    struct Snippet {
        template: String,
        text: String,
    }
    let file: File = serde_json::from_str(include_str!("fixtures/chat_template/snippets.json")).unwrap();
    let context: TemplateValue = ordered_json(&file.context).unwrap();
    let mut conversation = Conversation::new(context.get_attr("messages").unwrap());
    for name in context
        .try_iter()
        .unwrap()
        .filter(|name| name.as_str() != Some("messages"))
    {
        conversation = conversation.variable(name.as_str().unwrap(), context.get_item(&name).unwrap());
    }
    let mut wrong = Vec::new();
    for Snippet { template, text } in &file.snippets {
        let found =
            ChatTemplate::new(template, SpecialTokens::default()).and_then(|compiled| compiled.render(&conversation));
        match found {
            Ok(Rendered { text: found, .. }) if found == *text => {}
            found => wrong.push(format!("{template}\n  expected {text:?}\n  found    {found:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        file.snippets.len(),
        wrong.join("\n")
    );
}

#[test]
fn dates_are_those_of_python() {
    let dates: Vec<(u64, String, String)> =
        serde_json::from_str(include_str!("fixtures/chat_template/dates.json")).unwrap();
    for (seconds, format, expected) in dates {
        let template = ChatTemplate::new("{{ strftime_now(format) }}", SpecialTokens::default()).unwrap();
        let conversation = Conversation::new(json!([{"role": "user", "content": ""}])).variable("format", &format);
        let rendered = template
            .render(&conversation.at(UNIX_EPOCH + Duration::from_secs(seconds)))
            .unwrap();
        assert_eq!(rendered.text, expected, "{seconds} {format}");
    }
}

fn render(source: &str, messages: &Value) -> Result<Rendered, LmError> {
    ChatTemplate::new(source, SpecialTokens::default())?.render(&Conversation::new(messages))
}

fn hi() -> Value {
    json!([{"role": "user", "content": "hi"}])
}

#[test]
fn a_template_that_is_wrong_is_refused_with_its_line() {
    let message = |source: &str| render(source, &hi()).unwrap_err().to_string();
    assert_eq!(
        message("a\n{% if x %}"),
        "chat template: syntax error: unexpected end of input, expected end of block (in chat_template:2)"
    );
    assert!(message("{% nonsense %}").contains("unknown statement nonsense"));
    assert!(message("\n\n{{ messages.a.b }}").contains("chat_template:3"));
    assert!(message("{{ missing() }}").contains("missing"));
    assert!(message("{{ 'a' is nonsense }}").contains("nonsense"));
    assert_eq!(
        message("{{ raise_exception('no ' + 'system') }}"),
        "the chat template refuses the conversation: no system"
    );
    assert_eq!(
        message("{% macro f() %}{{ raise_exception('deep') }}{% endmacro %}{{ f() }}"),
        "the chat template refuses the conversation: deep"
    );
}

#[test]
fn messages_are_objects_in_a_list() {
    let message = |messages: Value| render("{{ messages|length }}", &messages).unwrap_err().to_string();
    assert_eq!(message(json!([])), "chat template: the conversation has no messages");
    assert!(message(json!(["hi"])).contains("messages must be a list of objects: found a string"));
    assert!(message(json!(5)).contains("messages must be a list of objects"));
}

#[test]
fn fields_without_a_value_are_no_fields() {
    let messages = json!([{"role": "assistant", "content": null, "tool_calls": null}]);
    let rendered = render(
        "{{ 'tool_calls' in messages[0] }} {{ messages[0].content is defined }}",
        &messages,
    )
    .unwrap();
    assert_eq!(rendered.text, "False False");
}

#[test]
fn what_is_generated_is_found_wherever_it_lands() {
    let template = "{% macro say(text) %}<{% generation %}{{ text }}{% endgeneration %}>{% endmacro %}{% set all %}{% for m in \
                    messages %}{{ say(m.content) }}{% endfor %}{% endset %}é{{ all|trim }}";
    let messages = json!([{"role": "a", "content": "ü1"}, {"role": "a", "content": ""}, {"role": "a", "content": "\u{FDD1}x\u{FDD2}"}]);
    let rendered = render(template, &messages).unwrap();
    assert_eq!(rendered.text, "é<ü1><><\u{FDD1}x\u{FDD2}>");
    let found: Vec<&str> = rendered
        .generated
        .iter()
        .map(|range| &rendered.text[range.clone()])
        .collect();
    assert_eq!(found, ["ü1", "", "\u{FDD1}x\u{FDD2}"]);
    let error = render(
        "{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %}",
        &messages,
    )
    .unwrap_err();
    assert!(error.to_string().contains("inside another"), "{error}");
    let error = render(
        "{% set x %}{% generation %}abc{% endgeneration %}{% endset %}{{ x[:3] }}",
        &messages,
    )
    .unwrap_err();
    assert!(error.to_string().contains("cut in two"), "{error}");
}

#[test]
fn a_message_that_is_not_at_the_end_cannot_be_continued() {
    let template = ChatTemplate::new(
        "{% for m in messages %}{{ m.content[:2] }}{% endfor %}",
        SpecialTokens::default(),
    )
    .unwrap();
    let conversation = Conversation::new(json!([{"role": "assistant", "content": "abc"}])).continue_final_message();
    let error = template.render(&conversation).unwrap_err();
    assert!(error.to_string().contains("does not render all of it"), "{error}");
    let conversation = Conversation::new(json!([{"role": "assistant", "content": 5}])).continue_final_message();
    let error = template.render(&conversation).unwrap_err();
    assert!(error.to_string().contains("no text that could be continued"), "{error}");
}

#[test]
fn templates_are_chosen_by_name_and_by_tools() {
    let text = |templates: &ChatTemplates, name, tools| {
        templates
            .select(name, tools)
            .map(|template| template.render(&Conversation::new(hi())).unwrap().text)
    };
    let config = json!({
        "chat_template": [{"name": "default", "template": "d{{ bos_token }}"}, {"name": "tool_use", "template": "t{{ eos_token }}"},
                          {"name": "rag", "template": "r"}],
        "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false},
    });
    let several = ChatTemplates::from_config(&config).unwrap().unwrap();
    assert_eq!(text(&several, None, false).unwrap(), "d<s>");
    assert_eq!(text(&several, None, true).unwrap(), "t</s>");
    assert_eq!(text(&several, Some("rag"), true).unwrap(), "r");
    let error = several.select(Some("none"), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no chat template is called \"none\"; there are default, tool_use, rag"
    );
    let one = ChatTemplates::from_config(&json!({"chat_template": "x{{ bos_token }}"}))
        .unwrap()
        .unwrap();
    assert_eq!(text(&one, None, true).unwrap(), "x");
    assert!(
        ChatTemplates::from_config(&json!({"chat_template": null}))
            .unwrap()
            .is_none()
    );
    assert!(ChatTemplates::from_config(&json!({"chat_template": 5})).is_err());
    assert!(ChatTemplates::from_config(&json!({"chat_template": [{"name": "x"}]})).is_err());
}
