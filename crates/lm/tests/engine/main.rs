//! The engine: the same tokens alone and in any batch, in any chunks, and with what was read before.

mod tiny;

use burn::tensor::Device;
use etude_kernels::Precision;
use etude_lm::LmError;
use etude_lm::cpu_decoder::CpuDecoder;
use etude_lm::decoder::Decoder;
use etude_lm::engine::{Completion, Engine, EngineOptions, Event, FinishReason, Request, Sampling};
use proptest::prelude::*;

use tiny::{FAMILIES, TinyCheckpoint};

fn decoder(family: &str) -> CpuDecoder {
    let checkpoint = TinyCheckpoint::new(family, 1);
    CpuDecoder::load(checkpoint.config.clone(), &checkpoint.checkpoint(), Precision::F32).unwrap()
}

fn options(max_batch: usize, prefill_chunk: usize) -> EngineOptions {
    EngineOptions {
        max_batch,
        prefill_chunk,
        cache_capacity: 0,
    }
}

fn request(prompt: &[u32], max_tokens: usize, seed: u64) -> Request {
    Request {
        sampling: Sampling {
            temperature: 1.0,
            top_k: 20,
            seed,
            ..Sampling::default()
        },
        log_probabilities: Some(2),
        score_prompt: seed.is_multiple_of(2),
        ..Request::new(prompt.to_vec(), max_tokens)
    }
}

fn alone(decoder: &CpuDecoder, request: &Request) -> Completion {
    Engine::new(decoder, options(1, 1000))
        .complete([request.clone()])
        .unwrap()
        .remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_request_gives_the_same_alone_and_in_any_batch(
        family in prop::sample::select(FAMILIES.to_vec()),
        prompts in prop::collection::vec((prop::collection::vec(0_u32..64, 1..24), 0_usize..9, 0_u64..6), 1..6),
        max_batch in 1_usize..5,
        chunk in 1_usize..30,
    ) {
        let decoder = decoder(family);
        let requests: Vec<Request> = prompts.iter().map(|(prompt, count, seed)| request(prompt, *count, *seed)).collect();
        let together = Engine::new(&decoder, options(max_batch, chunk)).complete(requests.clone()).unwrap();
        for (request, found) in requests.iter().zip(together) {
            // Equal to the last bit, log-probabilities too.
            prop_assert_eq!(alone(&decoder, request), found);
        }
    }

    #[test]
    fn what_was_read_before_changes_nothing(
        family in prop::sample::select(FAMILIES.to_vec()),
        first in prop::collection::vec(0_u32..64, 1..20),
        common in 0_usize..20,
        rest in prop::collection::vec(0_u32..64, 1..10),
    ) {
        let decoder = decoder(family);
        let mut second = first[..common.min(first.len())].to_vec();
        second.extend(rest);
        let mut engine = Engine::new(&decoder, EngineOptions { cache_capacity: 60, ..options(1, 7) });
        engine.complete([request(&first, 6, 1)]).unwrap();
        let again = request(&second, 8, 3);
        let found = engine.complete([again.clone()]).unwrap().remove(0);
        prop_assert_eq!(alone(&decoder, &again), found);
    }
}

#[test]
fn greedy_tokens_are_the_likeliest_and_scores_their_log_probabilities() {
    for family in FAMILIES {
        let decoder = decoder(family);
        let prompt = vec![3, 1, 4, 1, 5];
        let request = Request {
            log_probabilities: Some(1),
            ..Request::new(prompt.clone(), 10)
        };
        let mut engine = Engine::new(&decoder, options(2, 3));
        let answer = engine.complete([request]).unwrap().remove(0);
        let mut text = prompt.clone();
        for generated in &answer.tokens {
            let log = generated.log_probabilities.as_ref().unwrap();
            assert_eq!(log.alternatives, [(generated.token, log.token)], "{family}");
            text.push(generated.token);
        }
        // The same numbers come out where the text is given and scored.
        let scores = engine.score([text]).unwrap().remove(0);
        let generated: Vec<f32> = answer
            .tokens
            .iter()
            .map(|it| it.log_probabilities.as_ref().unwrap().token)
            .collect();
        assert_eq!(scores[prompt.len() - 1..], generated, "{family}");
    }
}

/// What is trained and what generates are one model: the bits of training are those of scoring.
#[test]
fn scores_are_those_of_the_decoder_that_is_trained_bit_by_bit() {
    let texts: [Vec<u32>; 2] = [(0..40).map(|place| place * 7 % 64).collect(), vec![5, 60, 3, 3, 9]];
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    for family in FAMILIES {
        for precision in [Precision::F32, Precision::Bf16] {
            let tiny = TinyCheckpoint::new(family, 2);
            let trained = Decoder::load(tiny.config.clone(), &tiny.checkpoint(), &Device::flex()).unwrap();
            let trained = trained.with_precision(precision);
            let decoder = CpuDecoder::load(tiny.config.clone(), &tiny.checkpoint(), precision).unwrap();
            let scores = Engine::new(&decoder, options(2, 7)).score(texts.clone()).unwrap();
            for (text, scores) in texts.iter().zip(scores) {
                let hidden = trained.hidden(&text[..text.len() - 1], &[0, text.len() - 1]);
                let expected: Vec<f32> = trained.log_probabilities(hidden, &text[1..]).to_data().iter().collect();
                assert_eq!(bits(&scores), bits(&expected), "{family}, {precision:?}");
            }
        }
    }
}

#[test]
fn log_probabilities_are_those_of_a_distribution() {
    let decoder = decoder("llama");
    let request = Request {
        log_probabilities: Some(64),
        ..Request::new(vec![7], 1)
    };
    let answer = Engine::new(&decoder, options(1, 8))
        .complete([request])
        .unwrap()
        .remove(0);
    let alternatives = &answer.tokens[0].log_probabilities.as_ref().unwrap().alternatives;
    let total: f64 = alternatives.iter().map(|&(_, log)| f64::from(log).exp()).sum();
    assert!(alternatives.len() == 64 && (total - 1.0).abs() < 1e-5, "{total}");
}

#[test]
fn requests_join_and_leave_between_steps() {
    let decoder = decoder("llama");
    let requests = [
        request(&[1, 2, 3], 9, 1),
        request(&[4, 5], 3, 2),
        request(&[6; 12], 5, 3),
    ];
    let mut engine = Engine::new(&decoder, options(2, 4));
    let mut waiting = requests.iter();
    let (mut answers, mut ids) = (vec![Vec::new(); 3], Vec::new());
    while !engine.is_idle() || waiting.len() > 0 {
        // One more before each step.
        ids.extend(waiting.next().map(|request| engine.submit(request.clone()).unwrap()));
        for event in engine.step().unwrap() {
            if let Event::Token { id, token } = event {
                answers[ids.iter().position(|&other| other == id).unwrap()].push(token);
            }
        }
    }
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(alone(&decoder, request).tokens, answer);
    }
}

#[test]
fn a_stop_token_ends_the_answer_and_a_cancelled_request_leaves() {
    let decoder = decoder("llama");
    let free = Engine::new(&decoder, options(1, 8))
        .complete([Request::new(vec![1, 2], 6)])
        .unwrap()
        .remove(0);
    let stop = free.tokens[2].token;
    let first = free.tokens.iter().position(|it| it.token == stop).unwrap();
    let request = Request {
        stop_tokens: vec![stop],
        ..Request::new(vec![1, 2], 6)
    };
    let mut engine = Engine::new(&decoder, options(1, 8));
    let stopped = engine.complete([request]).unwrap().remove(0);
    assert_eq!(
        (&stopped.tokens[..], stopped.reason),
        (&free.tokens[..=first], FinishReason::Stop)
    );

    let running = engine.submit(Request::new(vec![1, 2], 50)).unwrap();
    let waiting = engine.submit(Request::new(vec![3], 50)).unwrap();
    engine.step().unwrap();
    engine.cancel(waiting);
    engine.cancel(running);
    let ended = |id| Event::Finished {
        id,
        reason: FinishReason::Cancelled,
    };
    assert_eq!(engine.step().unwrap(), [ended(waiting), ended(running)]);
    assert!(engine.is_idle());
}

#[test]
fn what_cannot_be_answered_is_an_error() {
    let decoder = decoder("llama");
    let mut engine = Engine::new(&decoder, options(1, 8));
    let context = decoder.config().context;
    assert!(matches!(
        engine.submit(Request::new(vec![], 1)),
        Err(LmError::EmptyPrompt)
    ));
    assert!(matches!(
        engine.submit(Request::new(vec![64], 1)),
        Err(LmError::TokenId { id: 64, size: 64 })
    ));
    assert!(matches!(
        engine.submit(Request::new(vec![1; context + 1], 0)),
        Err(LmError::Context { .. })
    ));
    assert!(matches!(
        engine.submit(Request::new(vec![1; 9], context)),
        Err(LmError::Context { .. })
    ));
    let sampling = Sampling {
        top_p: 2.0,
        ..Sampling::default()
    };
    let wrong = Request {
        sampling,
        ..Request::new(vec![1], 1)
    };
    assert!(matches!(
        engine.submit(wrong),
        Err(LmError::Setting { name: "top_p", .. })
    ));
    assert!(engine.is_idle());
    // The whole context can be filled.
    let full = engine
        .complete([Request::new(vec![1; context - 3], 4)])
        .unwrap()
        .remove(0);
    assert_eq!((full.tokens.len(), full.reason), (4, FinishReason::Length));
}

#[test]
fn a_wrong_checkpoint_is_named() {
    let mut checkpoint = TinyCheckpoint::new("llama", 1);
    checkpoint.set("model.layers.1.mlp.up_proj.weight", 5, f32::NAN);
    let error = CpuDecoder::load(checkpoint.config.clone(), &checkpoint.checkpoint(), Precision::F32)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.layers.1.mlp.up_proj.weight") && error.contains("NaN"),
        "{error}"
    );

    let mut checkpoint = TinyCheckpoint::new("llama", 1);
    checkpoint.remove("model.norm.weight");
    let error = CpuDecoder::load(checkpoint.config.clone(), &checkpoint.checkpoint(), Precision::F32)
        .unwrap_err()
        .to_string();
    assert!(error.contains("model.norm.weight"), "{error}");

    let mut checkpoint = TinyCheckpoint::new("llama", 1);
    checkpoint.config.intermediate += 2;
    let error = CpuDecoder::load(checkpoint.config.clone(), &checkpoint.checkpoint(), Precision::F32)
        .unwrap_err()
        .to_string();
    assert!(error.contains("mlp") && error.contains("48"), "{error}");
}

#[test]
fn one_thread_and_two_give_the_same() {
    let decoder = decoder("gemma3");
    let answers = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| alone(&decoder, &request(&[9; 40], 12, 4)))
    });
    assert_eq!(answers[0], answers[1]);
}
