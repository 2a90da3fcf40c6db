//! Attention against PyTorch: outputs, log-sum-exps and all three gradients, with every combination of the options; and
//! against finite differences.

use std::fs;
use std::path::Path;

use etude_kernels::attention::{Attention, KeyValueCache};
use serde::Deserialize;

/// See `scripts/kernels_attention_fixtures.py`.
#[derive(Deserialize)]
struct Fixture {
    size: usize,
    scale: f32,
    inputs: Vec<Inputs>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Inputs {
    heads: usize,
    key_value_heads: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    d_outputs: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    inputs: usize,
    causal: bool,
    window: Option<usize>,
    soft_cap: Option<f32>,
    offsets: Vec<usize>,
    outputs: Vec<f32>,
    log_sums: Vec<f32>,
    d_queries: Vec<f32>,
    d_keys: Vec<f32>,
    d_values: Vec<f32>,
}

fn fixture() -> Fixture {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attention.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The fixture's cases, ready to be computed.
fn cases(fixture: &Fixture) -> impl Iterator<Item = (Attention, &Inputs, &Case)> {
    fixture.cases.iter().map(|case| {
        let inputs = &fixture.inputs[case.inputs];
        let attention = Attention {
            heads: inputs.heads,
            key_value_heads: inputs.key_value_heads,
            head_size: fixture.size,
            scale: fixture.scale,
            causal: case.causal,
            window: case.window,
            soft_cap: case.soft_cap,
        };
        (attention, inputs, case)
    })
}

fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-5 * (1.0 + expected.abs()),
            "{what}, entry {index}: found {found}, expected {expected}"
        );
    }
}

#[test]
fn outputs_and_all_gradients_are_those_of_pytorch() {
    let fixture = fixture();
    assert_eq!(fixture.cases.len(), 32);
    for (attention, inputs, case) in cases(&fixture) {
        let Inputs {
            queries,
            keys,
            values,
            d_outputs,
            ..
        } = inputs;
        let offsets = &case.offsets[..];
        let mut outputs = vec![f32::NAN; queries.len()];
        let mut log_sums = vec![f32::NAN; queries.len() / fixture.size];
        attention.forward(queries, keys, values, offsets, &mut outputs, &mut log_sums);
        let mut dq = vec![f32::NAN; queries.len()];
        let (mut dk, mut dv) = (vec![f32::NAN; keys.len()], vec![f32::NAN; keys.len()]);
        attention.backward(
            queries, keys, values, offsets, &outputs, &log_sums, d_outputs, &mut dq, &mut dk, &mut dv,
        );
        for (name, found, expected) in [
            ("outputs", &outputs, &case.outputs),
            ("log-sums", &log_sums, &case.log_sums),
            ("d_queries", &dq, &case.d_queries),
            ("d_keys", &dk, &case.d_keys),
            ("d_values", &dv, &case.d_values),
        ] {
            assert_close(&format!("{name} of {attention:?}, {offsets:?}"), found, expected);
        }
    }
}

#[test]
fn attention_from_caches_is_that_of_pytorch() {
    let fixture = fixture();
    for (attention, inputs, case) in cases(&fixture) {
        let width = attention.key_value_heads * fixture.size;
        let caches: Vec<KeyValueCache> = case
            .offsets
            .windows(2)
            .map(|pair| {
                let mut cache = KeyValueCache::new(&attention, fixture.size * 4);
                let entries = pair[0] * width..pair[1] * width;
                cache.append(&inputs.keys[entries.clone()], &inputs.values[entries]);
                cache
            })
            .collect();
        let sequences: Vec<_> = caches.iter().map(|cache| (cache, cache.len())).collect();
        let mut outputs = vec![f32::NAN; inputs.queries.len()];
        attention.attend(&inputs.queries, &sequences, &mut outputs);
        assert_close(&format!("outputs of {attention:?}"), &outputs, &case.outputs);
    }
}

/// The outputs' sum weighted by `d_outputs`.
fn weighted(attention: &Attention, inputs: &Inputs, offsets: &[usize], moved: [&[f32]; 3]) -> f64 {
    let [queries, keys, values] = moved;
    let mut outputs = vec![0.0; queries.len()];
    let mut log_sums = vec![0.0; queries.len() / attention.head_size];
    attention.forward(queries, keys, values, offsets, &mut outputs, &mut log_sums);
    let terms = outputs.iter().zip(&inputs.d_outputs);
    terms
        .map(|(output, weight)| f64::from(*output) * f64::from(*weight))
        .sum()
}

#[test]
fn gradients_are_slopes() {
    let fixture = fixture();
    for (attention, inputs, case) in cases(&fixture) {
        let start = [&inputs.queries, &inputs.keys, &inputs.values];
        let gradients = [&case.d_queries, &case.d_keys, &case.d_values];
        for (which, gradient) in gradients.into_iter().enumerate() {
            // Along a direction that looks random.
            let direction: Vec<f32> = (0..gradient.len())
                .map(|index| ((index * 37) % 17) as f32 / 8.0 - 1.0)
                .collect();
            let at = |length: f32| {
                let steps = start[which].iter().zip(&direction);
                let moved: Vec<f32> = steps.map(|(x, step)| x + length * step).collect();
                let mut all = start.map(|tensor| &tensor[..]);
                all[which] = &moved;
                weighted(&attention, inputs, &case.offsets, all)
            };
            let length = 1e-2;
            let slope = (at(length) - at(-length)) / (2.0 * f64::from(length));
            let terms = gradient.iter().zip(&direction);
            let expected: f64 = terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!(
                (slope - expected).abs() < 2e-3 * (1.0 + expected.abs()),
                "{attention:?}, tensor {which}: {slope}, {expected}"
            );
        }
    }
}
