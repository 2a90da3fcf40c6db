//! Files of JSON beside a model. The first byte says which: the index of shards, how to generate, the tokenizer's configuration,
//! or that of an adapter.

#![no_main]

use std::path::Path;

use etude_hub::peft::LoraConfig;
use etude_hub::safetensors::ShardIndex;
use etude_hub::{ChatTemplates, GenerationConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, json)) = bytes.split_first() else {
        return;
    };
    let path = Path::new("a.json");
    match kind % 4 {
        0 => {
            if let Ok(index) = ShardIndex::from_json(path, json) {
                for (_, file) in index.tensors() {
                    assert!(!file.is_empty() && !file.contains(['/', '\\']) && file != "..");
                }
            }
        }
        1 => {
            if let Ok(config) = GenerationConfig::from_json(path, json) {
                let again = serde_json::to_vec(&config).expect("everything in it was JSON");
                assert_eq!(
                    config,
                    GenerationConfig::from_json(path, &again).expect("it was read before")
                );
            }
        }
        2 => {
            if let Ok(config) = serde_json::from_slice(json) {
                let _ = ChatTemplates::from_tokenizer_config(path, &config);
            }
        }
        _ => {
            if let Ok(config) = LoraConfig::from_json(path, json) {
                let again = serde_json::to_vec(&config).expect("everything in it was JSON");
                assert_eq!(config, LoraConfig::from_json(path, &again).expect("it was read before"));
            }
        }
    }
});
