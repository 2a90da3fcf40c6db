//! The configuration of a decoder. The first byte says what the rest is: config.json, or what the target makes one of, or what
//! it makes the metadata of a GGUF file of.

#![no_main]

use std::path::Path;

use etude_fuzz::gguf::Gguf;
use etude_fuzz::input::Input;
use etude_fuzz::{check_config, config_json};
use etude_hub::GgufCheckpoint;
use etude_lm::config::DecoderConfig;
use etude_lm::{LmError, Memory};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind % 3 {
        0 => {
            if let Ok(json) = serde_json::from_slice(bytes) {
                read_json(&json);
            }
        }
        1 => read_json(&config_json(&mut Input(bytes))),
        _ => {
            let file = Gguf::file(&mut Input(bytes));
            if let Ok(file) = GgufCheckpoint::from_bytes(Path::new("model.gguf"), file) {
                read_gguf(&file);
            }
        }
    }
});

fn read_json(json: &Value) {
    if let Ok(config) = DecoderConfig::from_json(json) {
        check_config(&config);
        // It came from a config.json, so one can say it.
        check_saved(&config, &config.to_json().expect("it was read from one"));
    }
}

fn read_gguf(file: &GgufCheckpoint) {
    if let Ok(config) = DecoderConfig::from_gguf(file) {
        check_config(&config);
        let memory = Memory::new(&config, file);
        assert!(memory.run(config.context) >= memory.weights);
        memory.train(config.context);
        match config.to_json() {
            Ok(json) => check_saved(&config, &json),
            // Its tensors are not those of the family.
            Err(error) => assert!(matches!(error, LmError::NotSayable { .. }), "{error}"),
        }
    }
}

/// What is written is read to the same configuration.
fn check_saved(config: &DecoderConfig, json: &Value) {
    let written = serde_json::to_vec(json).expect("it is JSON");
    let read = serde_json::from_slice(&written).expect("it was written as JSON");
    assert_eq!(
        config,
        &DecoderConfig::from_json(&read).expect("it was said by this crate")
    );
}
