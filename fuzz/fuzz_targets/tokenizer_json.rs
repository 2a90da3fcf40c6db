//! `tokenizer.json`: the length of a text in a byte, the text, and the file.

#![no_main]

use etude_fuzz::tokenizer::check;
use etude_lm::tokenizer::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&length, rest)) = bytes.split_first() else {
        return;
    };
    let (text, json) = rest.split_at(usize::from(length).min(rest.len()));
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(tokenizer) = Tokenizer::from_json(json) {
        check(&tokenizer, text);
    }
});
