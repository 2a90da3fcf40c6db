//! Every level of instructions against the definition in 64 bits.

mod bits;
mod edges;

use proptest::prelude::*;

use super::*;

/// Irregular numbers between -1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    // The first ones of near seeds are alike.
    for _ in 0..8 {
        next();
    }
    (0..count).map(|_| next()).collect()
}

/// The levels that differ here.
fn levels() -> impl Iterator<Item = Instructions> {
    Instructions::available().filter(|level| *level <= Instructions::Avx512)
}

/// Outputs, log-sum-exps, and the gradients by queries, keys and values.
#[derive(Clone, Default)]
struct Exact([Vec<f64>; 5]);

/// The definition, and its derivative by hand.
fn exact(attention: &Attention, inputs: Inputs<'_>, d_outputs: &[f32]) -> Exact {
    let (size, group) = (attention.head_size, attention.heads / attention.key_value_heads);
    let lengths = [
        inputs.queries.len(),
        inputs.queries.len() / size,
        inputs.queries.len(),
        inputs.keys.len(),
        inputs.keys.len(),
    ];
    let mut exact = Exact(lengths.map(|length| vec![0.0; length]));
    let [outputs, log_sums, dq, dk, dv] = &mut exact.0;
    let wide = |numbers: &[f32]| -> Vec<f64> { numbers.iter().copied().map(f64::from).collect() };
    let (scale, cap) = (f64::from(attention.scale), attention.soft_cap.map(f64::from));
    for tokens in inputs.sequences() {
        for (p, head) in tokens
            .clone()
            .flat_map(|p| (0..attention.heads).map(move |head| (p, head)))
        {
            let at = (p * attention.heads + head) * size;
            let q = wide(&inputs.queries[at..at + size]);
            let d_output = wide(&d_outputs[at..at + size]);
            let sees = |k: usize| {
                let near = |window: usize| k.abs_diff(p) < window;
                (!attention.causal || k <= p) && attention.window.is_none_or(near)
            };
            let keys: Vec<usize> = tokens.clone().filter(|&k| sees(k)).collect();
            let place = |k: usize| (k * attention.key_value_heads + head / group) * size;
            let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
            let raw: Vec<f64> = keys
                .iter()
                .map(|&k| scale * dot(&q, &inputs.keys[place(k)..][..size]))
                .collect();
            let scores: Vec<f64> = raw
                .iter()
                .map(|&s| cap.map_or(s, |cap| cap * (s / cap).tanh()))
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = largest + scores.iter().map(|s| (s - largest).exp()).sum::<f64>().ln();
            log_sums[p * attention.heads + head] = log_sum;
            let weights: Vec<f64> = scores.iter().map(|s| (s - log_sum).exp()).collect();
            let slopes: Vec<f64> = keys
                .iter()
                .map(|&k| dot(&d_output, &inputs.values[place(k)..][..size]))
                .collect();
            let mean: f64 = weights.iter().zip(&slopes).map(|(w, s)| w * s).sum();
            for (index, &k) in keys.iter().enumerate() {
                let flat = cap.map_or(1.0, |cap| 1.0 - (raw[index] / cap).tanh().powi(2));
                let by_score = weights[index] * (slopes[index] - mean) * flat * scale;
                for entry in 0..size {
                    outputs[at + entry] += weights[index] * f64::from(inputs.values[place(k) + entry]);
                    dv[place(k) + entry] += weights[index] * d_output[entry];
                    dq[at + entry] += by_score * f64::from(inputs.keys[place(k) + entry]);
                    dk[place(k) + entry] += by_score * q[entry];
                }
            }
        }
    }
    exact
}

/// What the kernels make of the same.
fn found(attention: &Attention, instructions: Instructions, inputs: Inputs<'_>, d_outputs: &[f32]) -> [Vec<f32>; 5] {
    let (all, width) = (inputs.queries.len(), inputs.keys.len());
    let mut to = [all, all / attention.head_size, all, width, width].map(|length| vec![f32::NAN; length]);
    let [outputs, log_sums, dq, dk, dv] = &mut to;
    attention.forward_with(instructions, inputs, outputs, log_sums);
    let results = Results {
        outputs,
        log_sums,
        d_outputs,
    };
    attention.backward_with(instructions, inputs, results, [dq, dk, dv]);
    to
}

/// Any options.
fn attention() -> impl Strategy<Value = Attention> {
    let size = prop_oneof![4 => 1usize..20, 1 => 62usize..67];
    let window = prop_oneof![Just(None), (1usize..10).prop_map(Some), (60usize..300).prop_map(Some)];
    let cap = prop_oneof![Just(None), (0.5f32..5.0).prop_map(Some)];
    (1usize..3, 1usize..5, size, any::<bool>(), window, cap, 0.05f32..1.0).prop_map(
        |(key_value_heads, group, head_size, causal, window, soft_cap, scale)| Attention {
            heads: key_value_heads * group,
            key_value_heads,
            head_size,
            scale,
            causal,
            window,
            soft_cap,
        },
    )
}

/// Sequences that reach over no or one or two tiles and, in the backward pass, spans.
fn offsets() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![8 => 0usize..8, 3 => 60usize..70, 1 => 126usize..135];
    prop::collection::vec(length, 0..4).prop_map(|lengths| offsets_of(&lengths))
}

/// Where sequences of some lengths begin, and where the last ends.
fn offsets_of(lengths: &[usize]) -> Vec<usize> {
    let mut offsets = vec![0];
    for length in lengths {
        offsets.push(offsets[offsets.len() - 1] + length);
    }
    offsets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn outputs_and_gradients_are_those_of_the_definition(attention in attention(), offsets in offsets(), seed: u64) {
        let tokens = offsets[offsets.len() - 1];
        let (all, width) = (attention.heads * attention.head_size, attention.key_value_heads * attention.head_size);
        let [queries, d_outputs] = [0, 1].map(|salt| numbers(tokens * all, seed ^ salt));
        let [keys, values] = [2, 3].map(|salt| numbers(tokens * width, seed ^ salt));
        let inputs = Inputs { queries: &queries, keys: &keys, values: &values, offsets: &offsets };
        let exact = exact(&attention, inputs, &d_outputs);
        for instructions in levels() {
            let found = found(&attention, instructions, inputs, &d_outputs);
            let names = ["outputs", "log-sums", "d_queries", "d_keys", "d_values"];
            for ((name, found), exact) in names.iter().zip(found).zip(&exact.0) {
                for (index, (found, exact)) in found.iter().zip(exact).enumerate() {
                    let error = (f64::from(*found) - exact).abs();
                    prop_assert!(error < 2e-5 * (1.0 + exact.abs()), "{instructions}, {name} {index}: {found}, {exact}");
                }
            }
        }
    }
}
