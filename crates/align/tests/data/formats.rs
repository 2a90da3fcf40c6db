//! What the columns of every format become.

use etude_align::data::{Example, ExampleTokenizer, Format, LossOptions, Message, Text};
use etude_lm::chat_template::{ChatTemplate, SpecialTokens};
use serde_json::{Value, json};

use crate::model::{failure, parts, read, record, record_as, tokenizer};

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn assistant(text: &str) -> Value {
    json!({ "role": "assistant", "content": text })
}

#[test]
fn kinds_are_known_by_their_columns() {
    for (line, kind) in [
        (json!({ "text": "a" }), "language modeling"),
        (json!({ "messages": [user("a")] }), "language modeling"),
        (json!({ "prompt": "a" }), "prompt only"),
        (json!({ "prompt": "a", "answer": "42" }), "prompt only"),
        (json!({ "prompt": "a", "completion": "b" }), "prompt and completion"),
        (
            json!({ "prompt": "a", "completion": "b", "label": true }),
            "unpaired preference",
        ),
        (json!({ "prompt": "a", "chosen": "b", "rejected": "c" }), "preference"),
        (json!({ "chosen": "ab", "rejected": "ac" }), "preference"),
        (
            json!({ "conversations": [{ "from": "human", "value": "a" }] }),
            "language modeling",
        ),
        (json!({ "instruction": "a", "output": "b" }), "prompt and completion"),
        (json!({ "prompt": "a", "completions": ["b", "c", "d"] }), "ranking"),
        // TRL's steps of one answer, which nothing here is trained on.
        (
            json!({ "prompt": "a", "completions": ["b", "c"], "labels": [true, false] }),
            "prompt only",
        ),
    ] {
        assert_eq!(record(&line.to_string()).example.kind(), kind, "{line}");
    }
}

#[test]
fn rankings_are_lists_of_answers() {
    let line = json!({ "prompt": [user("a")], "completions": [[assistant("b")], [assistant("c")], [assistant("d")]], "margin": 1 });
    let found = record(&line.to_string());
    let answers = ["b", "c", "d"].map(|answer| json!([assistant(answer)]));
    assert_eq!(parts(&found.example), [&[json!([user("a")])], &answers[..]].concat());
    assert_eq!(found.margin, Some(1.0));
    // A cell of CSV holds the list as JSON.
    let cell = read("a.csv", "prompt,completions\na,\"[\"\"b\"\", \"\"c\"\"]\"\n").remove(0);
    assert_eq!(parts(&cell.unwrap().example), [json!("a"), json!("b"), json!("c")]);
    for (line, words) in [
        (
            json!({ "prompt": "a", "completions": ["b"] }),
            "\"completions\" is [\"b\"], expected a list of at least two answers",
        ),
        (
            json!({ "prompt": "a", "completions": "b" }),
            "\"completions\" is \"b\", expected a list",
        ),
        (
            json!({ "prompt": "a", "completions": ["b", 1] }),
            "\"completions[1]\" is 1, expected text",
        ),
        (
            json!({ "prompt": "a", "completions": ["b", [assistant("c")]] }),
            "\"completions[1]\" is a list of messages, expected both to be of one kind",
        ),
        (json!({ "completions": ["b", "c"] }), "\"prompt\" is missing"),
    ] {
        let error = failure("a.jsonl", line.to_string());
        assert!(error.contains(words), "{error}");
    }
}

/// What is too long for a reward model is left out, answer by answer, and a ranking of one answer is none.
#[test]
fn answers_of_a_ranking_are_read_whole_or_not_at_all() {
    let tokens = tokenizer("qwen_2");
    let examples = ExampleTokenizer::new(&tokens, None);
    let line = json!({ "prompt": "How?", "completions": [" So", " Not so", " In no way that anybody knows of"] });
    let ranking = examples.ranking(&record(&line.to_string())).unwrap();
    let all = ranking.sequences(1000).unwrap();
    assert_eq!(all.len(), 3);
    for (sequence, answer) in all.iter().zip(&ranking.completions) {
        assert_eq!(sequence.ids, [&ranking.prompt[..], answer].concat());
    }
    let [first, second] = [0, 1].map(|answer: usize| all[answer].ids.len());
    assert_eq!(ranking.sequences(second).unwrap(), all[..2]);
    assert!(first < second && ranking.sequences(first).is_none());
    // A pair is a ranking of two.
    let line = json!({ "prompt": "How?", "chosen": " So", "rejected": " Not so" });
    let pair = examples.ranking(&record(&line.to_string())).unwrap();
    assert_eq!(pair.sequences(1000).unwrap(), all[..2]);
}

#[test]
fn columns_beside_the_record_are_kept() {
    let line = r#"{"prompt": "a", "chosen": "b", "rejected": "c", "margin": 2, "ref_chosen_logps": -1.5,
        "ref_rejected_logps": -2.5, "tools": [{"z": 1, "a": 2}], "chat_template_kwargs": {"enable_thinking": false},
        "score_chosen": 8, "nothing": null}"#;
    let record = record(&line.replace('\n', " "));
    assert_eq!(record.margin, Some(2.0));
    assert_eq!(
        (record.ref_chosen_logps, record.ref_rejected_logps),
        (Some(-1.5), Some(-2.5))
    );
    // Fields keep their order, since templates write tools as they come.
    assert_eq!(serde_json::to_string(&record.tools).unwrap(), r#"[{"z":1,"a":2}]"#);
    assert_eq!(record.chat_template_kwargs[0].0, "enable_thinking");
    let other: Vec<&str> = record.other.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(other, ["score_chosen"]);
}

#[test]
fn sharegpt_becomes_messages() {
    let line = json!({
        "system": "Be brief.",
        "conversations": [
            { "from": "human", "value": "Hello" },
            { "from": "gpt", "value": "Hi" },
            { "from": "observation", "value": "42" },
        ],
    });
    let system = json!({ "role": "system", "content": "Be brief." });
    let tool = json!({ "role": "tool", "content": "42" });
    assert_eq!(
        parts(&record(&line.to_string()).example),
        [json!([system, user("Hello"), assistant("Hi"), tool])]
    );
    let pair = json!({
        "conversations": [{ "from": "human", "value": "Hello" }],
        "chosen": { "from": "gpt", "value": "Hi" },
        "rejected": { "from": "gpt", "value": "What?" },
    });
    assert_eq!(
        parts(&record(&pair.to_string()).example),
        [
            json!([user("Hello")]),
            json!([assistant("Hi")]),
            json!([assistant("What?")])
        ]
    );
}

#[test]
fn alpaca_becomes_messages_or_its_own_words() {
    let line = json!({
        "instruction": "Translate.", "input": "Haus", "output": "house", "system": "Be brief.",
        "history": [["Hello", "Hi"]],
    });
    let system = json!({ "role": "system", "content": "Be brief." });
    let prompt = json!([system, user("Hello"), assistant("Hi"), user("Translate.\nHaus")]);
    assert_eq!(
        parts(&record(&line.to_string()).example),
        [prompt, json!([assistant("house")])]
    );
    let line = json!({ "instruction": "Sing.", "input": "", "output": "La" });
    assert_eq!(
        parts(&record_as(&line, Format::AlpacaText).example),
        [
            json!(
                "Below is an instruction that describes a task. Write a response that appropriately completes the \
                 request.\n\n### Instruction:\nSing.\n\n### Response:"
            ),
            json!("La"),
        ]
    );
    let line = json!({ "instruction": "Sing.", "input": "loud", "chosen": "La", "rejected": "no" });
    let texts = parts(&record_as(&line, Format::AlpacaText).example);
    assert!(
        texts[0]
            .as_str()
            .unwrap()
            .ends_with("Sing.\n\n### Input:\nloud\n\n### Response:")
    );
    assert_eq!(texts[1..], [json!("La"), json!("no")]);
}

#[test]
fn transcripts_of_hh_become_turns_or_text() {
    let start = "\n\nHuman: Hello\n\nAssistant: Hi. \n\nHuman: A joke?\n\nAssistant:";
    let line = json!({ "chosen": format!("{start} Why not?"), "rejected": format!("{start} No.") });
    let found = record(&line.to_string());
    assert_eq!(
        parts(&found.example),
        [
            json!([user("Hello"), assistant("Hi."), user("A joke?")]),
            json!([assistant("Why not?")]),
            json!([assistant("No.")]),
        ]
    );
    assert_eq!(
        parts(&record_as(&line, Format::HhText).example),
        [json!(start), json!(" Why not?"), json!(" No.")]
    );
}

#[test]
fn openai_fine_tuning_is_read() {
    let call =
        json!({ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{\"z\": 1, \"a\": [2]}" } });
    let line = json!({ "messages": [
        user("Hello"),
        { "role": "assistant", "content": "Wrong", "weight": 0 },
        user("Again"),
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "1", "content": "3" },
        { "role": "assistant", "content": "3", "weight": 1 },
    ] });
    let Example::LanguageModeling(Text::Conversational(messages)) = record(&line.to_string()).example else {
        panic!("it has messages")
    };
    let trained: Vec<bool> = messages.iter().map(|message| message.trained).collect();
    assert_eq!(trained, [true, false, true, true, true, true]);
    let called = serde_json::to_string(&messages[3].value).unwrap();
    assert!(called.contains(r#""arguments":{"z":1,"a":[2]}"#), "{called}");
    assert!(!serde_json::to_string(&messages[1].value).unwrap().contains("weight"));

    let pair = json!({
        "input": { "messages": [user("Hello")], "tools": [{ "name": "f" }] },
        "preferred_output": [assistant("Hi")],
        "non_preferred_output": [assistant("What?")],
    });
    let pair = record(&pair.to_string());
    assert_eq!(
        parts(&pair.example),
        [
            json!([user("Hello")]),
            json!([assistant("Hi")]),
            json!([assistant("What?")])
        ]
    );
    assert!(pair.tools.is_some());
}

#[test]
fn a_prompt_as_text_beside_conversations_that_repeat_it_is_left_out() {
    let line = json!({
        "prompt": "Hello",
        "chosen": [user("Hello"), assistant("Hi")],
        "rejected": [user("Hello"), assistant("What?")],
    });
    assert_eq!(
        parts(&record(&line.to_string()).example),
        [
            json!([user("Hello")]),
            json!([assistant("Hi")]),
            json!([assistant("What?")])
        ]
    );
}

const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
                      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The text of the tokens that count.
fn supervised(line: &Value, template: &str, assistant_only_loss: bool) -> Vec<String> {
    let tokens = tokenizer("qwen_2");
    let template = ChatTemplate::new(template, SpecialTokens::default()).unwrap();
    let options = LossOptions {
        assistant_only_loss,
        ..LossOptions::default()
    };
    let record = record(&line.to_string());
    let found = ExampleTokenizer::new(&tokens, Some(&template))
        .language_modeling(&record, &options)
        .unwrap();
    let ids: Vec<(u32, bool)> = found.ids.into_iter().zip(found.loss).collect();
    let runs = ids.chunk_by(|one, other| one.1 == other.1).filter(|run| run[0].1);
    let text = |run: &[(u32, bool)]| {
        let ids: Vec<u32> = run.iter().map(|(id, _)| *id).collect();
        tokens.decode(&ids, false).unwrap()
    };
    runs.map(text).collect()
}

#[test]
fn answers_are_found_without_marks_in_the_template() {
    let line = json!({ "messages": [user("One"), assistant("Two"), user("Three"), assistant("Four")] });
    let marked = CHATML.replace(
        "{{ message.content }}<|im_end|>\n",
        "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>\n{% endgeneration %}\
         {% else %}{{ message.content }}<|im_end|>\n{% endif %}",
    );
    for template in [CHATML, &marked] {
        assert_eq!(
            supervised(&line, template, true),
            ["Two<|im_end|>\n", "Four<|im_end|>\n"],
            "{template}"
        );
    }
}

#[test]
fn answers_of_weight_0_are_read_and_not_learnt() {
    let wrong = json!({ "role": "assistant", "content": "Wrong", "weight": 0 });
    let line = json!({ "messages": [user("One"), wrong, user("Three"), assistant("Four")] });
    assert_eq!(supervised(&line, CHATML, true), ["Four<|im_end|>\n"]);
    let all = supervised(&line, CHATML, false);
    assert_eq!(all.len(), 2);
    assert!(
        all[0].ends_with("assistant\n") && all[1].ends_with("Four<|im_end|>\n"),
        "{all:?}"
    );
}

#[test]
fn a_prompt_that_ends_with_the_assistant_is_continued() {
    let tokens = tokenizer("qwen_2");
    let template = ChatTemplate::new(CHATML, SpecialTokens::default()).unwrap();
    let examples = ExampleTokenizer::new(&tokens, Some(&template));
    for (messages, end) in [
        (json!([user("One")]), "<|im_start|>assistant\n"),
        (json!([user("One"), assistant("I am")]), "I am"),
    ] {
        let record = record(&json!({ "prompt": messages }).to_string());
        let ids = examples.prompt_only(&record).unwrap();
        assert!(tokens.decode(&ids, false).unwrap().ends_with(end));
    }
}

#[test]
fn emptiness_is_seen() {
    let empty = |line: Value| {
        let texts: Vec<bool> = record(&line.to_string()).example.texts().map(Text::is_empty).collect();
        texts
    };
    assert_eq!(empty(json!({ "prompt": "a", "completion": " \n" })), [false, true]);
    assert_eq!(
        empty(json!({ "prompt": [user("a")], "completion": [assistant("")] })),
        [false, true]
    );
    let call = json!({ "role": "assistant", "content": "", "tool_calls": [{ "name": "f" }] });
    assert_eq!(
        empty(json!({ "prompt": [user("a")], "completion": [call] })),
        [false, false]
    );
    let Example::PromptOnly(Text::Conversational(messages)) =
        record(r#"{"prompt": [{"role": "user", "content": []}]}"#).example
    else {
        panic!("it is a prompt")
    };
    assert!(messages.iter().all(Message::is_empty));
}
