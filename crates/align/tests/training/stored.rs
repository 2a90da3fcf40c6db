//! Data that are on the disk, and what the reference has said of them.

use burn::tensor::Device;
use etude_align::data::{Examples, StoredExamples};
use etude_align::ppo::Question;
use etude_align::preference::{Aggregation, PreferenceExample, ReferenceLogProbabilities, pair_log_probabilities};
use etude_lm::decoder::Decoder;

use crate::common::{pairs, records, source};

fn reference() -> Decoder {
    let source = source("model");
    Decoder::load(source.config, &*source.checkpoint, &Device::flex()).unwrap()
}

#[test]
fn a_reference_that_is_interrupted_goes_on_where_it_was() {
    let (reference, folder) = (reference(), tempfile::tempdir().unwrap());
    let pairs: Vec<_> = pairs("pairs.jsonl", 96)
        .into_iter()
        .map(PreferenceExample::new)
        .collect();
    // In another order, and one of them twice.
    let places: Vec<usize> = (0..pairs.len()).rev().chain([0]).collect();
    let expected: Vec<[f32; 2]> = (places.iter())
        .map(|&place| pair_log_probabilities(&reference, &[&pairs[place].sequences], Aggregation::Average)[0])
        .collect();
    let ask = |heard: &mut Vec<usize>, until: usize| {
        let mut known = ReferenceLogProbabilities::open(folder.path(), &reference).unwrap();
        let progress = |done| {
            heard.push(done);
            done < until
        };
        known
            .ask(Aggregation::Average, &reference, &pairs, &places, 2, progress)
            .unwrap()
    };
    let mut heard = Vec::new();
    let some = ask(&mut heard, 4);
    assert!(heard.starts_with(&[0, 2, 4]), "{heard:?}");
    assert_eq!(some.len(), 4);
    let mut heard = Vec::new();
    let all = ask(&mut heard, usize::MAX);
    assert!(heard[0] >= 4, "{heard:?}");
    assert_eq!(heard.last(), Some(&places.len()));
    for (found, expected) in all.iter().zip(&expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
    assert_eq!(all.len(), places.len());
    assert_eq!(all.last(), all.iter().rev().nth(1));
    // Now nothing is computed.
    assert_eq!(ask(&mut Vec::new(), 0), all);
}

#[test]
fn questions_are_found_again_with_all_that_the_data_say_of_them() {
    let mut stored = StoredExamples::new();
    let questions: Vec<Question> = (records("pairs.jsonl").into_iter())
        .chain(records("completions.jsonl"))
        .map(|record| Question {
            tokens: vec![1, 70_000, 3],
            text: "\u{1f600}".to_owned(),
            record,
        })
        .collect();
    for question in &questions {
        stored.push(question).unwrap();
    }
    let found: Vec<Question> = stored
        .examples()
        .map(|question| question.unwrap().into_owned())
        .collect();
    assert_eq!(found, questions);
}
