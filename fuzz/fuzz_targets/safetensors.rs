//! Safetensors files: refused, or every tensor is read in the size that the header says.

#![no_main]

use std::path::Path;

use etude_hub::SafetensorsCheckpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = SafetensorsCheckpoint::from_bytes(Path::new("model.safetensors"), bytes.to_vec()) {
        etude_fuzz::check_checkpoint(&checkpoint, bytes.len());
    }
});
