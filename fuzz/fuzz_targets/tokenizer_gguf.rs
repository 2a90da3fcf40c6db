//! The vocabulary of a GGUF file, made of the input, and a text.

#![no_main]

use etude_fuzz::input::Input;
use etude_fuzz::tokenizer::check;
use etude_lm::tokenizer::{GgufVocabulary, Tokenizer};
use libfuzzer_sys::fuzz_target;

/// Words that mean something to a tokenizer, and characters that their names are made of.
const PIECES: [&str; 24] = [
    "a",
    "b",
    "ab",
    "\u{120}",
    "\u{120}a",
    "\u{2581}",
    "\u{2581}a",
    "<0x0A>",
    "<0xE2>",
    "<unk>",
    "<s>",
    "</s>",
    "1",
    "'s",
    "\u{10A}",
    "\u{e9}",
    "\u{4f60}",
    "\u{1F600}",
    " ",
    "\n",
    "",
    "<|im_end|>",
    "aa",
    "\u{c3}",
];
/// Expressions that cut words take milliseconds to compile, so there are few of `gpt2`.
const MODELS: [&str; 16] = [
    "llama", "llama", "llama", "llama", "llama", "llama", "llama", "llama", "llama", "llama", "llama", "llama",
    "llama", "llama", "gpt2", "bert",
];
const WORDS: [&str; 8] = [
    "gpt-2",
    "smollm",
    "llama-bpe",
    "qwen2",
    "falcon",
    "default",
    "dbrx",
    "none",
];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let word = |input: &mut Input<'_>| {
        let parts = input.below(4);
        (0..parts).map(|_| PIECES[input.below(24)]).collect::<String>()
    };
    let count = input.below(40);
    let sized = |input: &mut Input<'_>| if input.below(16) == 0 { input.below(40) } else { count };
    let id = |input: &mut Input<'_>| (input.below(3) == 0).then(|| input.below(40) as u32);
    let flag = |input: &mut Input<'_>| [None, Some(false), Some(true)][input.below(3)];
    let model = MODELS[input.below(16)].to_owned();
    let pre_tokenizer = (input.below(4) != 0).then(|| WORDS[input.below(8)].to_owned());
    let tokens: Vec<String> = (0..count).map(|_| word(&mut input)).collect();
    let pick = |input: &mut Input<'_>| tokens.get(input.below(40)).cloned().unwrap_or_default();
    let merges = (0..input.below(20))
        .map(|_| format!("{} {}", pick(&mut input), pick(&mut input)))
        .collect();
    let scores = (0..sized(&mut input)).map(|_| input.numbers::<f32>(1)[0]).collect();
    let token_types = (0..sized(&mut input)).map(|_| input.below(8) as i32).collect();
    let vocabulary = GgufVocabulary {
        model,
        pre_tokenizer,
        scores,
        token_types,
        merges,
        bos: id(&mut input),
        eos: id(&mut input),
        unknown: id(&mut input),
        padding: id(&mut input),
        eot: id(&mut input),
        add_bos: flag(&mut input),
        add_eos: flag(&mut input),
        add_space_prefix: flag(&mut input),
        tokens: tokens.clone(),
    };
    let text = String::from_utf8_lossy(input.0);
    if let Ok(tokenizer) = Tokenizer::from_gguf(&vocabulary) {
        check(&tokenizer, &text);
    }
});
