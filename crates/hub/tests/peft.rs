//! LoRA adapters: those of PEFT read, saved again, and refused where something is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use etude_hub::peft::{LoraAdapter, LoraConfig, LoraModule, Modules};
use etude_hub::safetensors::save_file;
use etude_hub::{Checkpoint, Dtype, MemoryCheckpoint, SafetensorsCheckpoint};
use serde_json::{Value, json};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_adapter_of_peft_is_read_with_its_scales_and_saved_the_same() {
    let adapter = LoraAdapter::open(&fixture()).unwrap();
    assert_eq!(adapter.config.task_type.as_deref(), Some("CAUSAL_LM"));
    assert_eq!(adapter.config.lora_dropout.to_bits(), 0.1_f64.to_bits());
    let scales: BTreeMap<String, f64> = serde_json::from_value(json(&fixture().join("scales.json"))).unwrap();
    let ours: BTreeMap<_, _> = adapter
        .modules
        .keys()
        .map(|name| (name.clone(), adapter.config.scale(name)))
        .collect();
    assert_eq!(ours, scales);
    let module = &adapter.modules["model.layers.1.self_attn.q_proj"];
    assert_eq!(
        (module.rank, module.inputs, module.outputs, module.embedding),
        (4, 8, 8, false)
    );
    let module = &adapter.modules["model.layers.0.mlp.down_proj"];
    assert_eq!((module.rank, module.inputs, module.outputs), (2, 12, 8));
    assert_eq!(module.down.len(), 24);

    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path()).unwrap();
    let open = |folder: &Path| SafetensorsCheckpoint::open(&folder.join("adapter_model.safetensors")).unwrap();
    let (ours, theirs) = (open(folder.path()), open(&fixture()));
    assert_eq!(ours.tensors(), theirs.tensors());
    for tensor in ours.tensors() {
        assert_eq!(ours.raw(&tensor.name).unwrap(), theirs.raw(&tensor.name).unwrap());
    }
    assert_eq!(ours.metadata("format"), Some("pt"));
    let (mut ours, mut theirs) = (
        json(&folder.path().join("adapter_config.json")),
        json(&fixture().join("adapter_config.json")),
    );
    // Whole numbers may be written as others.
    for config in [&mut ours, &mut theirs] {
        config["lora_alpha"] = config["lora_alpha"].as_f64().into();
        for alpha in config["alpha_pattern"].as_object_mut().unwrap().values_mut() {
            *alpha = alpha.as_f64().into();
        }
    }
    assert_eq!(ours, theirs);
}

/// An adapter of a product, an embedding and a module trained whole.
fn own() -> LoraAdapter {
    let numbers = |count: usize| (0..count).map(|i| i as f32 / 4.0).collect::<Vec<_>>();
    let module = |embedding, inputs, magnitude| LoraModule {
        embedding,
        rank: 2,
        inputs,
        outputs: 3,
        down: numbers(2 * inputs),
        up: numbers(6),
        magnitude,
        dtype: Dtype::Bf16,
    };
    let mut config = LoraConfig::new(2, 4.0, &["q_proj", "embed_tokens"]);
    config.use_rslora = true;
    config.modules_to_save = Some(vec!["lm_head".into()]);
    let mut whole = MemoryCheckpoint::new(Path::new("whole"));
    whole.insert_f32("lm_head.weight", &[1, 2], &[1.0, 2.0], Dtype::F32);
    let modules = [
        (
            "model.layers.0.self_attn.q_proj".into(),
            module(false, 4, Some(numbers(3))),
        ),
        ("model.embed_tokens".into(), module(true, 5, None)),
    ];
    LoraAdapter {
        config,
        modules: modules.into(),
        whole,
    }
}

#[test]
fn names_are_exactly_those_of_peft() {
    let folder = tempfile::tempdir().unwrap();
    own().save(folder.path()).unwrap();
    let saved = SafetensorsCheckpoint::open(&folder.path().join("adapter_model.safetensors")).unwrap();
    let found: Vec<_> = saved
        .tensors()
        .iter()
        .map(|tensor| (tensor.name.as_str(), &tensor.shape[..]))
        .collect();
    assert_eq!(
        found,
        [
            ("base_model.model.lm_head.weight", &[1, 2][..]),
            ("base_model.model.model.embed_tokens.lora_embedding_A", &[2, 5]),
            ("base_model.model.model.embed_tokens.lora_embedding_B", &[3, 2]),
            (
                "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                &[2, 4]
            ),
            (
                "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
                &[3, 2]
            ),
            (
                "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
                &[3]
            ),
        ]
    );
    let again = LoraAdapter::open(folder.path()).unwrap();
    assert_eq!(again.config, own().config);
    assert_eq!(again.modules, own().modules);
    assert_eq!(again.whole.read_f32("lm_head.weight").unwrap(), [1.0, 2.0]);
    assert!((again.config.scale("model.embed_tokens") - 8.0_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn broken_configurations_are_refused_by_field() {
    let read = |more: Value| {
        let mut config = json!({ "peft_type": "LORA" });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        LoraConfig::from_json(Path::new("a.json"), config.to_string().as_bytes())
    };
    let config = read(json!({ "target_modules": "all-linear", "rank_pattern": null })).unwrap();
    assert_eq!((config.r, config.lora_alpha), (8, 8.0));
    assert_eq!(config.target_modules, Modules::Expression("all-linear".into()));
    for (more, message) in [
        (json!({ "peft_type": "IA3" }), "`peft_type`: found IA3; expected LORA"),
        (json!({ "r": 0 }), "`r`: found 0; expected a rank, at least 1"),
        (json!({ "r": -1 }), "invalid value"),
        (
            json!({ "lora_dropout": 1 }),
            "`lora_dropout`: found 1; expected a number in [0, 1)",
        ),
        (
            json!({ "bias": "some" }),
            "`bias`: found some; expected none, all or lora_only",
        ),
        (
            json!({ "use_qalora": true }),
            "`use_qalora`: found true; expected null or false",
        ),
        (
            json!({ "layer_replication": [[0, 1]] }),
            "`layer_replication`: found [[0,1]]; expected null",
        ),
        (
            json!({ "rank_pattern": { "q_proj": 0 } }),
            "`rank_pattern`, `q_proj`: found 0; expected a rank",
        ),
        (
            json!({ "alpha_pattern": { "layers.[01]": 2 } }),
            "found layers.[01]; expected the last parts of names",
        ),
    ] {
        let found = read(more).unwrap_err().to_string();
        assert!(found.starts_with("a.json: ") && found.contains(message), "{found}");
    }
}

#[test]
fn patterns_match_the_last_parts_and_the_first_counts() {
    let config = json!({ "peft_type": "LORA", "r": 8 }).to_string();
    let patterns = r#", "rank_pattern": {"q_proj": 1, "layers.1.q_proj": 2, "proj": 3}}"#;
    let config = config.replace('}', patterns);
    let config = LoraConfig::from_json(Path::new("a"), config.as_bytes()).unwrap();
    assert_eq!(config.rank("model.layers.1.q_proj"), 1);
    assert_eq!(config.rank("q_proj"), 1);
    assert_eq!(config.rank("model.layers.1.k_proj"), 8);
}

#[test]
fn broken_adapters_are_refused_by_tensor() {
    let refused = |change: &dyn Fn(&mut MemoryCheckpoint)| {
        let folder = tempfile::tempdir().unwrap();
        own().save(folder.path()).unwrap();
        let path = folder.path().join("adapter_model.safetensors");
        let saved = SafetensorsCheckpoint::open(&path).unwrap();
        let mut tensors = MemoryCheckpoint::new(&path);
        for tensor in saved.tensors() {
            tensors.insert(
                &tensor.name,
                tensor.dtype,
                &tensor.shape,
                saved.raw(&tensor.name).unwrap().bytes.into_owned(),
            );
        }
        change(&mut tensors);
        save_file(&path, &tensors).unwrap();
        LoraAdapter::open(folder.path()).unwrap_err().to_string()
    };
    let with = |name: &'static str, shape: &'static [usize]| {
        let numbers = vec![0.0; shape.iter().product()];
        refused(&move |tensors| tensors.insert_f32(name, shape, &numbers, Dtype::F32))
    };
    let q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    assert!(with(q, &[3, 4]).contains("q_proj.lora_A.weight` has shape [3, 4]; expected [2, 4]"));
    assert!(with("model.x", &[1]).contains("tensor `model.x`: expected a name that begins with `base_model.model.`"));
    assert!(
        with("base_model.model.x.lora_A.default.weight", &[1])
            .contains("expected a name that ends with one of .lora_A.weight")
    );
    assert!(with("base_model.model.x.lora_A.weight", &[2, 1]).contains("no tensor `base_model.model.x.lora_B.weight`"));
    assert!(with("base_model.model.x.lora_B.weight", &[1, 2]).contains("is without its `lora_A`"));
    let message = LoraAdapter::open(Path::new("none")).unwrap_err().to_string();
    assert!(message.contains("cannot read none"), "{message}");
}
