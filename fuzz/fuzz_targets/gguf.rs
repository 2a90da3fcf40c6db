//! GGUF files: refused, or every tensor is read in the size that the header says.

#![no_main]

use std::path::Path;

use etude_hub::GgufCheckpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = GgufCheckpoint::from_bytes(Path::new("model.gguf"), bytes.to_vec()) {
        etude_fuzz::check_checkpoint(&checkpoint, bytes.len());
        if let Some(tokenizer) = checkpoint.tokenizer() {
            let count = tokenizer.tokens.len();
            assert!(tokenizer.scores.as_ref().is_none_or(|scores| scores.len() == count));
            assert!(tokenizer.types.as_ref().is_none_or(|types| types.len() == count));
            for id in [tokenizer.bos, tokenizer.eos, tokenizer.eot, tokenizer.padding]
                .into_iter()
                .flatten()
            {
                assert!((id as usize) < count);
            }
        }
    }
});
