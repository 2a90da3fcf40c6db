//! What holds for every tokenizer.

use etude_lm::tokenizer::{StreamDecoder, Tokenizer};

/// Encodes a text, and decodes its ids and all others.
///
/// # Panics
///
/// Where the tokenizer does not keep its promises.
pub fn check(tokenizer: &Tokenizer, text: &str) {
    // A thread keeps the words of every tokenizer that it encoded with until it ends: this one would, of a million of them.
    std::thread::scope(|scope| {
        scope.spawn(|| check_here(tokenizer, text));
    });
}

fn check_here(tokenizer: &Tokenizer, text: &str) {
    let size = tokenizer.vocabulary_size();
    for add_special in [false, true] {
        let Ok(ids) = tokenizer.encode(text, add_special) else {
            continue;
        };
        assert!(ids.iter().all(|id| (*id as usize) < size));
        let encoded = tokenizer.encode_with_offsets(text, add_special).unwrap();
        assert_eq!(encoded.ids, ids);
        assert_eq!(encoded.offsets.len(), ids.len());
        assert!(
            encoded.offsets.iter().all(|range| text.get(range.clone()).is_some()),
            "{:?}",
            encoded.offsets
        );
        streams(tokenizer, &ids);
    }
    let all: Vec<u32> = tokenizer.tokens().map(|(id, _)| id).collect();
    streams(tokenizer, &all);
    let backwards: Vec<u32> = all.into_iter().rev().collect();
    streams(tokenizer, &backwards);
    assert!(tokenizer.token_bytes(size as u32).is_err());
    assert!(tokenizer.check_model(size).is_ok());
}

fn streams(tokenizer: &Tokenizer, ids: &[u32]) {
    for skip in [false, true] {
        let mut stream = StreamDecoder::new(tokenizer, skip);
        let mut text: String = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
        text.push_str(&stream.finish());
        assert_eq!(text, tokenizer.decode(ids, skip).unwrap());
    }
}
