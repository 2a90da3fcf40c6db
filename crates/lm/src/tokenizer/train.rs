//! A new vocabulary from texts: byte-pair encoding (Sennrich, Haddow and Birch, 2016) over bytes (Radford et al., 2019).

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, TokenizerImpl};

use super::Tokenizer;
use crate::LmError;

/// The token that ends a text; its id is 0.
const END: &str = "<|endoftext|>";
/// Every byte has a token, beside the one that ends a text.
const LEAST: usize = 257;

/// The tokenizer whose words are those of GPT-2, and whose merges are the most frequent pairs of `texts`, until it has `size` tokens or
/// nothing is left to merge.
pub(super) fn train(texts: &[&str], size: usize) -> Result<Tokenizer, LmError> {
    if size < LEAST {
        return Err(LmError::TokenizerPart {
            part: "the size of a new vocabulary",
            found: size.to_string(),
            expected: "at least 257, one for each byte and one that ends a text",
        });
    }
    // More than that there is nothing to merge to, and the trainer makes room for all that it is asked for.
    let size = size.min(LEAST + texts.iter().map(|text| text.len()).sum::<usize>());
    let broken = |error: tokenizers::Error| LmError::TokenizerJson(error.to_string());
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .show_progress(false)
        .special_tokens(vec![AddedToken::from(END, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let bytes = ByteLevel::new(false, true, true);
    let mut inner: TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, ByteLevel> =
        TokenizerImpl::new(BPE::default());
    inner.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    inner.train(&mut trainer, texts.iter()).map_err(broken)?;
    // From here on as if it had been in a file all along.
    let json = inner.to_string(false).map_err(broken)?;
    let tokenizer = Tokenizer::from_json(json.as_bytes())?;
    Ok(tokenizer.with_config(&serde_json::json!({"eos_token": END})))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 3] = [
        "the film was good, the film was long",
        "the plot was good",
        "the end of the film was the best",
    ];

    #[test]
    fn frequent_words_become_tokens_and_the_vocabulary_is_as_large_as_was_asked() {
        let tokenizer = train(&TEXTS, 270).unwrap();
        assert_eq!(tokenizer.vocabulary_size(), 270);
        assert_eq!(
            (tokenizer.token_id(END), tokenizer.special_ids().eos),
            (Some(0), Some(0))
        );
        assert_eq!(tokenizer.encode(" the", false).unwrap().len(), 1);
        let all = train(&TEXTS, 1 << 40).unwrap();
        assert!(all.vocabulary_size() < 400, "{}", all.vocabulary_size());
        assert_eq!(
            train(&TEXTS, 270).unwrap().to_json().unwrap(),
            tokenizer.to_json().unwrap()
        );
    }

    #[test]
    fn a_vocabulary_without_room_for_every_byte_is_refused() {
        let error = train(&TEXTS, 256).unwrap_err().to_string();
        assert!(error.contains("256") && error.contains("at least 257"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,40}") {
            let tokenizer = train(&TEXTS, 280).unwrap();
            let ids = tokenizer.encode(&text, false).unwrap();
            prop_assume!(!text.contains(END));
            prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
    }
}
