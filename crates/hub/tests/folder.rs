//! Folders with models: opened, saved, and refused where something is wrong.

use std::fs;
use std::path::Path;

use etude_hub::folder::Tokens;
use etude_hub::{ChatTemplates, Dtype, GenerationConfig, MemoryCheckpoint, ModelFolder, SavedModel};
use serde_json::{Value, json};
use tempfile::TempDir;

const SHARD: usize = 1 << 30;

fn tensors() -> MemoryCheckpoint {
    let mut tensors = MemoryCheckpoint::new(Path::new("tensors"));
    tensors.insert_f32("model.embed_tokens.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0], Dtype::Bf16);
    tensors.insert_f32("lm_head.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0], Dtype::Bf16);
    tensors
}

fn save(config: &Value, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let generation = br#"{"do_sample": true, "eos_token_id": [1, 2], "temperature": 0.6, "cache": {"size": 3}}"#;
    let model = SavedModel {
        config,
        generation_config: Some(&GenerationConfig::from_json(Path::new("g"), generation).unwrap()),
        files: files.iter().map(|&(name, text)| (name.into(), text.into())).collect(),
        checkpoint: &tensors(),
    };
    model.save(folder.path(), SHARD).unwrap();
    folder
}

fn names(folder: &ModelFolder) -> Vec<&str> {
    folder
        .checkpoint()
        .tensors()
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect()
}

#[test]
fn a_saved_folder_opens_with_all_that_was_given() {
    let files = [
        ("tokenizer.json", "{\"a\": 1}"),
        (
            "tokenizer_config.json",
            r#"{"chat_template": "not this one", "eos_token": "</s>"}"#,
        ),
        ("special_tokens_map.json", r#"{"eos_token": "</s>"}"#),
        ("chat_template.jinja", "{{ messages }}"),
        ("additional_chat_templates/tool_use.jinja", "{{ tools }}"),
        ("merges.txt", "h e\n"),
    ];
    let config = json!({ "model_type": "llama", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "n": u64::MAX });
    let first = save(&config, &files);
    let folder = ModelFolder::open(first.path()).unwrap();
    let second = tempfile::tempdir().unwrap();
    folder
        .saved(folder.checkpoint())
        .unwrap()
        .save(second.path(), SHARD)
        .unwrap();
    for at in [first.path(), second.path()] {
        let folder = ModelFolder::open(at).unwrap();
        assert_eq!(folder.config()["rms_norm_eps"], 1e-5);
        assert_eq!(folder.config()["n"], u64::MAX);
        assert_eq!(folder.config()["dtype"], "bfloat16");
        let generation = folder.generation_config().unwrap();
        assert_eq!((generation.do_sample, generation.temperature), (Some(true), Some(0.6)));
        assert_eq!(generation.eos_token_id.as_slice(), [1, 2]);
        assert_eq!(generation.rest["cache"], json!({ "size": 3 }));
        assert_eq!(folder.tokenizer().unwrap(), b"{\"a\": 1}");
        assert_eq!(folder.tokenizer_config().unwrap()["eos_token"], "</s>");
        assert_eq!(folder.special_tokens_map().unwrap()["eos_token"], "</s>");
        let templates: Vec<_> = folder.chat_templates().iter().collect();
        assert_eq!(templates, [("default", "{{ messages }}"), ("tool_use", "{{ tools }}")]);
        assert_eq!(names(&folder), ["lm_head.weight", "model.embed_tokens.weight"]);
        assert_eq!(fs::read_to_string(at.join("merges.txt")).unwrap(), "h e\n");
    }
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        assert_eq!(
            fs::read(first.path().join(file)).unwrap(),
            fs::read(second.path().join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn tied_heads_are_left_out() {
    for (config, tied) in [
        (json!({ "model_type": "llama", "tie_word_embeddings": true }), true),
        (json!({ "model_type": "gemma3_text" }), true),
        (
            json!({ "model_type": "gemma3_text", "tie_word_embeddings": false }),
            false,
        ),
        (json!({ "model_type": "llama" }), false),
    ] {
        let folder = save(&config, &[]);
        let names = names(&ModelFolder::open(folder.path()).unwrap()).len();
        assert_eq!(names, if tied { 1 } else { 2 }, "{config}");
    }
}

#[test]
fn the_type_in_an_old_configuration_keeps_its_name() {
    let folder = save(&json!({ "torch_dtype": "float32" }), &[]);
    let folder = ModelFolder::open(folder.path()).unwrap();
    assert_eq!(*folder.config(), json!({ "torch_dtype": "bfloat16" }));
}

#[test]
fn templates_come_from_the_tokenizers_configuration_too() {
    let open = |template: Value| {
        let config = json!({ "chat_template": template }).to_string();
        let folder = save(&json!({}), &[("tokenizer_config.json", &config)]);
        ModelFolder::open(folder.path())
    };
    assert_eq!(
        open(json!("x")).unwrap().chat_templates().get(ChatTemplates::DEFAULT),
        Some("x")
    );
    assert!(open(Value::Null).unwrap().chat_templates().is_empty());
    let list = json!([{ "name": "default", "template": "x" }, { "name": "rag", "template": "y" }]);
    let folder = open(list).unwrap();
    assert_eq!(
        folder.chat_templates().iter().collect::<Vec<_>>(),
        [("default", "x"), ("rag", "y")]
    );
    let refused = |template: Value| open(template).unwrap_err().to_string();
    assert!(refused(json!(1)).contains("tokenizer_config.json: `chat_template`: expected a text, or a list"));
    assert!(
        refused(json!([{ "name": "x" }])).contains("`chat_template`, entry 0: expected texts `name` and `template`")
    );
    let twice = json!([{ "name": "x", "template": "" }, { "name": "x", "template": "" }]);
    assert!(refused(twice).contains("`chat_template`: the name `x` comes twice"));
}

#[test]
fn tokens_may_be_one_or_several() {
    let read = |text: &str| GenerationConfig::from_json(Path::new("g.json"), text.as_bytes());
    let eos = |text: &str| read(text).unwrap().eos_token_id;
    assert_eq!(eos("{}"), Tokens::None);
    assert_eq!(eos(r#"{"eos_token_id": null}"#), Tokens::None);
    assert_eq!(eos(r#"{"eos_token_id": 7}"#), Tokens::One(7));
    assert_eq!(eos(r#"{"eos_token_id": [7]}"#), Tokens::Several(vec![7]));
    let written =
        serde_json::to_value(read(r#"{"eos_token_id": 7, "stop_strings": "x", "top_p": null}"#).unwrap()).unwrap();
    assert_eq!(written, json!({ "eos_token_id": 7, "stop_strings": ["x"] }));
    for (text, message) in [
        (
            r#"{"temperature": -1}"#,
            "`temperature`: found -1; expected a number, not negative",
        ),
        (r#"{"top_p": 1.5}"#, "`top_p`: found 1.5; expected a number in [0, 1]"),
        (r#"{"min_p": -0.5}"#, "`min_p`: found -0.5; expected"),
        (
            r#"{"repetition_penalty": 0}"#,
            "`repetition_penalty`: found 0; expected a positive number",
        ),
        (r#"{"temperature": 1e999}"#, "number out of range"),
        (r#"{"top_k": -1}"#, "invalid value: integer `-1`"),
        (r#"{"eos_token_id": "x"}"#, "not the JSON that belongs here"),
        ("[]", "not the JSON that belongs here"),
    ] {
        let found = read(text).unwrap_err().to_string();
        assert!(
            found.starts_with("g.json: ") && found.contains(message),
            "{text}: {found}"
        );
    }
}

#[test]
fn broken_folders_are_refused_by_name() {
    let refused = |file: &str, text: Option<&str>| {
        let folder = save(&json!({}), &[("tokenizer_config.json", "{}")]);
        let path = folder.path().join(file);
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        ModelFolder::open(folder.path()).unwrap_err().to_string()
    };
    assert!(refused("config.json", None).contains("there is no `config.json`"));
    assert!(refused("config.json", Some("{")).contains("config.json: not the JSON that belongs here: EOF"));
    assert!(refused("config.json", Some("[]")).contains("config.json: found no object"));
    assert!(refused("config.json", Some("\0\0\0")).contains("config.json: not the JSON"));
    assert!(refused("tokenizer_config.json", Some("3")).contains("tokenizer_config.json: found no object"));
    assert!(refused("generation_config.json", Some("{\"top_p\": 2}")).contains("generation_config.json: `top_p`"));
    assert!(refused("model.safetensors", None).contains("neither a file model.safetensors nor"));
    assert!(refused("model.safetensors", Some("")).contains("model.safetensors: it has 0 bytes"));
    let folder = save(&json!({}), &[]);
    let error = ModelFolder::open(folder.path()).unwrap().tokenizer().unwrap_err();
    assert!(error.to_string().ends_with("tokenizer.json"), "{error}");
}
