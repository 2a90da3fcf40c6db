//! Chat templates, rendered with a conversation that has a bit of everything.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use etude_lm::chat_template::{ChatTemplate, Conversation, SpecialTokens};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static CONVERSATION: LazyLock<Conversation> = LazyLock::new(|| {
    let messages = json!([
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": " u "}, {"type": "image"}]},
        {"role": "assistant", "content": "<think>t</think> a", "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2.5, null]}}}]},
        {"role": "tool", "content": "é\u{1F600}"},
    ]);
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]);
    Conversation::new(messages)
        .tools(tools)
        .documents(json!([{"title": "t", "text": "d"}]))
        .add_generation_prompt()
        .variable("n", 3)
        .variable("l", [3, 1, 2])
        .at(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let Ok(template) = ChatTemplate::new(
        source,
        SpecialTokens([("bos_token".to_owned(), "<s>".to_owned())].into()),
    ) else {
        return;
    };
    if let Ok(rendered) = template.render(&CONVERSATION) {
        assert!(rendered.generated.is_sorted_by(|a, b| a.end <= b.start));
        for range in rendered.generated {
            assert!(rendered.text.get(range).is_some());
        }
    }
});
