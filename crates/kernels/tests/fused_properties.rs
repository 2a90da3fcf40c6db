//! What is true of norms, rotary embeddings, gated units, linear cross-entropy and AdamW of any shape.

use etude_kernels::Precision;
use etude_kernels::adam_w::{AdamW, Step};
use etude_kernels::gated::{Gate, gated, gated_backward};
use etude_kernels::linear_cross_entropy::{Head, IGNORED};
use etude_kernels::norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
use etude_kernels::rotary::{RotaryTable, rotate, rotate_back};
use etude_train::Seed;
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

fn numbers(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Slopes of `function` along a random direction, in 64 bits, beside those that the gradient gives.
fn assert_slopes(random: &mut ChaCha8Rng, at: &[f32], gradient: &[f32], function: impl Fn(&[f64]) -> f64) {
    assert_eq!(at.len(), gradient.len());
    let direction = numbers(random, at.len());
    let moved = |length: f64| -> Vec<f64> {
        at.iter()
            .zip(&direction)
            .map(|(x, d)| f64::from(*x) + length * f64::from(*d))
            .collect()
    };
    let slope = (function(&moved(1e-5)) - function(&moved(-1e-5))) / 2e-5;
    let found: f64 = gradient
        .iter()
        .zip(&direction)
        .map(|(g, d)| f64::from(*g) * f64::from(*d))
        .sum();
    let size: f64 = gradient
        .iter()
        .zip(&direction)
        .map(|(g, d)| f64::from(g * d).abs())
        .sum();
    assert!((found - slope).abs() < 1e-4 * (1e-2 + size), "{found}, {slope}, {size}");
}

fn dot(weights: &[f32], numbers: impl Iterator<Item = f64>) -> f64 {
    weights
        .iter()
        .zip(numbers)
        .map(|(weight, number)| f64::from(*weight) * number)
        .sum()
}

/// The rows of a norm in 64 bits: of root mean square 1 or, with `centred`, of mean 0 and variance 1.
fn normalised(x: &[f64], width: usize, epsilon: f64, centred: bool) -> Vec<f64> {
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = if centred {
            row.iter().sum::<f64>() / width as f64
        } else {
            0.0
        };
        let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        row.iter().map(|x| (x - mean) / (square + epsilon).sqrt()).collect()
    };
    x.chunks(width).flat_map(row).collect()
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

proptest! {
    #[test]
    fn norms_have_the_slopes_of_their_definitions_and_rows_stand_alone(rows in 0usize..50, width in 1usize..150, seed: u64) {
        let random = &mut Seed(seed).stream("norm");
        let [x, dy] = [(); 2].map(|()| numbers(random, rows * width));
        let [weight, bias] = [(); 2].map(|()| numbers(random, width));
        let (epsilon, offset) = (0.03, 1.0);
        for centred in [false, true] {
            let forward = |x: &[f32]| {
                let mut y = vec![f32::NAN; x.len()];
                if centred {
                    layer_norm(x, &weight, &bias, epsilon, &mut y);
                } else {
                    rms_norm(x, &weight, epsilon, offset, &mut y);
                }
                y
            };
            let backward = |x: &[f32], dy: &[f32]| {
                let mut dx = vec![f32::NAN; x.len()];
                let [mut dweight, mut dbias] = [(); 2].map(|()| vec![0.0; width]);
                if centred {
                    layer_norm_backward(x, &weight, epsilon, dy, &mut dx, &mut dweight, &mut dbias);
                } else {
                    rms_norm_backward(x, &weight, epsilon, offset, dy, &mut dx, &mut dweight);
                }
                [dx, dweight, dbias]
            };
            let y = forward(&x);
            let [dx, dweight, dbias] = backward(&x, &dy);
            for (row, (x, dy)) in x.chunks(width).zip(dy.chunks(width)).enumerate() {
                let place = row * width..(row + 1) * width;
                prop_assert_eq!(bits(&forward(x)), bits(&y[place.clone()]));
                prop_assert_eq!(bits(&backward(x, dy)[0]), bits(&dx[place]));
            }
            let value = |x: &[f64], weight: &[f64], bias: &[f64]| {
                let z = normalised(x, width, f64::from(epsilon), centred).into_iter().enumerate();
                dot(&dy, z.map(|(index, z)| {
                    let column = index % width;
                    if centred { z * weight[column] + bias[column] } else { z * (weight[column] + f64::from(offset)) }
                }))
            };
            let (x_wide, weight_wide, bias_wide) = (wide(&x), wide(&weight), wide(&bias));
            assert_slopes(random, &x, &dx, |x| value(x, &weight_wide, &bias_wide));
            assert_slopes(random, &weight, &dweight, |weight| value(&x_wide, weight, &bias_wide));
            if centred {
                assert_slopes(random, &bias, &dbias, |bias| value(&x_wide, &weight_wide, bias));
            }
        }
    }

    #[test]
    fn rotations_keep_lengths_and_are_taken_back(tokens in 0usize..8, heads in 1usize..4, pairs in 1usize..40, seed: u64) {
        let random = &mut Seed(seed).stream("rotary");
        let frequencies = numbers(random, pairs);
        let table = RotaryTable::new(&frequencies, 1.0, 50);
        let positions: Vec<u32> = (0..tokens).map(|_| random.random_range(0..50)).collect();
        let x = numbers(random, tokens * heads * 2 * pairs);
        let mut y = x.clone();
        rotate(&mut y, heads, &positions, &table);
        for (token, (x, y)) in x.chunks(heads * 2 * pairs).zip(y.chunks(heads * 2 * pairs)).enumerate() {
            let mut alone = x.to_vec();
            rotate(&mut alone, heads, &positions[token..=token], &table);
            prop_assert_eq!(bits(&alone), bits(y));
            for head in 0..heads {
                for (pair, frequency) in frequencies.iter().enumerate() {
                    let [a, b] = [0, pairs].map(|half| head * 2 * pairs + half + pair);
                    let (sine, cosine) = f64::from(positions[token] as f32 * frequency).sin_cos();
                    let expected = [
                        f64::from(x[a]) * cosine - f64::from(x[b]) * sine,
                        f64::from(x[b]) * cosine + f64::from(x[a]) * sine,
                    ];
                    for (found, expected) in [y[a], y[b]].into_iter().zip(expected) {
                        prop_assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, {expected}");
                    }
                }
            }
        }
        rotate_back(&mut y, heads, &positions, &table);
        for (x, y) in x.iter().zip(&y) {
            prop_assert!((x - y).abs() < 1e-6, "{x}, {y}");
        }
    }

    #[test]
    fn gated_units_have_the_slopes_of_their_definitions(count in 0usize..200, seed: u64) {
        let random = &mut Seed(seed).stream("gated");
        let [gate, up, dy] = [6.0, 1.0, 1.0].map(|size| -> Vec<f32> {
            numbers(random, count).iter().map(|number| size * number).collect()
        });
        for kind in [Gate::Silu, Gate::GeluTanh] {
            let [mut dgate, mut dup, mut y] = [(); 3].map(|()| vec![f32::NAN; count]);
            gated(&gate, &up, kind, &mut y);
            gated_backward(&gate, &up, kind, &dy, &mut dgate, &mut dup);
            let function = |x: f64| match kind {
                Gate::Silu => x / (1.0 + (-x).exp()),
                Gate::GeluTanh => {
                    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                    0.5 * x * (1.0 + u.tanh())
                }
            };
            for ((gate, up), y) in gate.iter().zip(&up).zip(&y) {
                let expected = function(f64::from(*gate)) * f64::from(*up);
                prop_assert!((f64::from(*y) - expected).abs() < 1e-6 * (expected.abs() + 1e-3), "{y}, {expected}");
            }
            let (gate_wide, up_wide) = (wide(&gate), wide(&up));
            let value = |gate: &[f64], up: &[f64]| dot(&dy, gate.iter().zip(up).map(|(gate, up)| function(*gate) * up));
            assert_slopes(random, &gate, &dgate, |gate| value(gate, &up_wide));
            assert_slopes(random, &up, &dup, |up| value(&gate_wide, up));
        }
    }

    #[test]
    fn log_probabilities_have_the_slopes_of_their_definition_and_tokens_stand_alone(
        tokens in 0usize..8, width in 1usize..12, vocabulary in prop_oneof![1usize..40, 1020usize..1030],
        soft_cap in prop_oneof![Just(None), Just(Some(1.5_f32))], bf16: bool, seed: u64,
    ) {
        let random = &mut Seed(seed).stream("head");
        let (hidden, weight) = (numbers(random, tokens * width), numbers(random, vocabulary * width));
        let targets: Vec<u32> = (0..tokens)
            .map(|_| if random.random_range(0..4) == 0 { IGNORED } else { random.random_range(0..vocabulary as u32) })
            .collect();
        let gradient = numbers(random, tokens);
        let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
        let head = Head { weight: &weight, width, soft_cap, precision };
        let run = |hidden: &[f32], targets: &[u32], gradient: &[f32], d_weight: Option<&mut [f32]>| {
            let [mut y, mut log_sums] = [(); 2].map(|()| vec![f32::NAN; targets.len()]);
            let mut d_hidden = vec![f32::NAN; hidden.len()];
            head.token_log_probabilities(hidden, targets, &mut y, &mut log_sums, &mut []);
            head.token_log_probabilities_backward(hidden, targets, &log_sums, gradient, &mut d_hidden, d_weight);
            [y, log_sums, d_hidden]
        };
        let mut d_weight = vec![0.0; weight.len()];
        let [y, log_sums, d_hidden] = run(&hidden, &targets, &gradient, Some(&mut d_weight));
        for token in 0..tokens {
            let place = token * width..(token + 1) * width;
            let [alone_y, alone_log_sums, alone_d_hidden] =
                run(&hidden[place.clone()], &targets[token..=token], &gradient[token..=token], None);
            prop_assert_eq!(bits(&alone_y), bits(&y[token..=token]));
            prop_assert_eq!(bits(&alone_log_sums), bits(&log_sums[token..=token]));
            prop_assert_eq!(bits(&alone_d_hidden), bits(&d_hidden[place.clone()]));
            if targets[token] == IGNORED {
                prop_assert!(y[token] == 0.0 && d_hidden[place].iter().all(|&entry| entry == 0.0));
            }
        }
        if bf16 {
            return Ok(());
        }
        let log_probabilities = |hidden: &[f64], weight: &[f64]| -> Vec<f64> {
            let token = |(hidden, &target): (&[f64], &u32)| {
                let logits: Vec<f64> = weight.chunks(width).map(|row| {
                    let logit: f64 = row.iter().zip(hidden).map(|(w, x)| w * x).sum();
                    soft_cap.map_or(logit, |cap| f64::from(cap) * (logit / f64::from(cap)).tanh())
                }).collect();
                let all = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
                if target == IGNORED { 0.0 } else { logits[target as usize] - all }
            };
            hidden.chunks(width).zip(&targets).map(token).collect()
        };
        let (hidden_wide, weight_wide) = (wide(&hidden), wide(&weight));
        for (found, expected) in y.iter().zip(log_probabilities(&hidden_wide, &weight_wide)) {
            prop_assert!((f64::from(*found) - expected).abs() < 3e-6, "{found}, {expected}");
        }
        let value = |hidden: &[f64], weight: &[f64]| dot(&gradient, log_probabilities(hidden, weight).into_iter());
        assert_slopes(random, &hidden, &d_hidden, |hidden| value(hidden, &weight_wide));
        assert_slopes(random, &weight, &d_weight, |weight| value(&hidden_wide, weight));
    }

    #[test]
    fn adam_w_steps_parameters_alone_as_together(count in 0usize..100, cut in 0usize..100, seed: u64) {
        let random = &mut Seed(seed).stream("adam");
        let [parameters, gradient, first] = [(); 3].map(|()| numbers(random, count));
        let second: Vec<f32> = numbers(random, count).iter().map(|number| number.abs()).collect();
        let cut = cut.min(count);
        let step = Step { number: 3, learning_rate: 0.01, gradient_scale: 0.7 };
        let run = |places: &[std::ops::Range<usize>]| {
            let (mut parameters, mut first, mut second) = (parameters.clone(), first.clone(), second.clone());
            for place in places {
                let [parameters, first, second] = [&mut parameters, &mut first, &mut second].map(|all| &mut all[place.clone()]);
                AdamW::default().step(step, parameters, &gradient[place.clone()], first, second);
            }
            [parameters, first, second].map(|all| bits(&all))
        };
        prop_assert_eq!(run(&[0..cut, cut..count]), run(&[0..count, 0..0]));
    }
}

/// Everything once, of a size at which several threads take part.
fn everything() -> Vec<u32> {
    let random = &mut Seed(7).stream("threads");
    let (tokens, width, vocabulary) = (700, 96, 2100);
    let [mut x, dy] = [(); 2].map(|()| numbers(random, tokens * width));
    let [weight, bias] = [(); 2].map(|()| numbers(random, width));
    let table = RotaryTable::new(&numbers(random, 12), 1.0, tokens);
    let positions: Vec<u32> = (0..tokens as u32).collect();
    rotate(&mut x, 4, &positions, &table);
    let [mut rms, mut layer, mut both, mut dx, mut dgate, mut dup] = [(); 6].map(|()| vec![0.0; x.len()]);
    let [mut dweight, mut dbias] = [(); 2].map(|()| vec![0.0; width]);
    rms_norm(&x, &weight, 1e-5, 0.0, &mut rms);
    layer_norm(&x, &weight, &bias, 1e-5, &mut layer);
    gated(&rms, &layer, Gate::Silu, &mut both);
    gated_backward(&rms, &layer, Gate::GeluTanh, &dy, &mut dgate, &mut dup);
    rms_norm_backward(&x, &weight, 1e-5, 0.0, &dgate, &mut dx, &mut dweight);
    let mut all = dx.clone();
    layer_norm_backward(&x, &weight, 1e-5, &dup, &mut dx, &mut dweight, &mut dbias);
    let weight = numbers(random, vocabulary * width);
    let head = Head {
        weight: &weight,
        width,
        soft_cap: Some(20.0),
        precision: Precision::F32,
    };
    let targets: Vec<u32> = (0..tokens as u32).map(|token| token * 3).collect();
    let [mut y, mut log_sums] = [(); 2].map(|()| vec![0.0; tokens]);
    head.token_log_probabilities(&both, &targets, &mut y, &mut log_sums, &mut []);
    let (mut d_hidden, mut d_head) = (vec![0.0; both.len()], vec![0.0; weight.len()]);
    head.token_log_probabilities_backward(&both, &targets, &log_sums, &y, &mut d_hidden, Some(&mut d_head));
    let step = Step {
        number: 1,
        learning_rate: 0.1,
        gradient_scale: 0.5,
    };
    let mut trained = weight.clone();
    let [mut first, mut second] = [(); 2].map(|()| vec![0.0; weight.len()]);
    AdamW::default().step(step, &mut trained, &d_head, &mut first, &mut second);
    for part in [x, both, dx, dweight, dbias, y, log_sums, d_hidden, trained] {
        all.extend(part);
    }
    assert!(all.iter().all(|number| number.is_finite()));
    bits(&all)
}

#[test]
fn one_two_and_three_threads_give_the_same_bytes() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(everything)
    };
    let one = with(1);
    for threads in [2, 3] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn what_is_not_a_number_stays_so_and_spoils_no_other_row() {
    for bad in [f32::NAN, f32::INFINITY] {
        let x = [1.0, bad, 1.0, 2.0];
        let (mut y, mut dx, mut sums) = ([0.0; 4], [0.0; 4], [[0.0; 2]; 2]);
        rms_norm(&x, &[1.0; 2], 1e-5, 0.0, &mut y);
        rms_norm_backward(&x, &[1.0; 2], 1e-5, 0.0, &[1.0; 4], &mut dx, &mut sums[0]);
        assert!(y[1].is_nan() && dx[1].is_nan() && sums[0][1].is_nan());
        assert!(y[2..].iter().chain(&dx[2..]).all(|number| number.is_finite()));
        let [dweight, dbias] = &mut sums;
        layer_norm(&x, &[1.0; 2], &[0.0; 2], 1e-5, &mut y);
        layer_norm_backward(&x, &[1.0; 2], 1e-5, &[1.0; 4], &mut dx, dweight, dbias);
        assert!(y[1].is_nan() && dx[1].is_nan() && sums[0][1].is_nan());
        assert!(y[2..].iter().chain(&dx[2..]).all(|number| number.is_finite()));

        let head = Head {
            weight: &[1.0, 0.5, -1.0, 0.0, 0.5, 0.5],
            width: 2,
            soft_cap: None,
            precision: Precision::F32,
        };
        let (mut y, mut log_sums, mut d_hidden) = ([0.0; 2], [0.0; 2], [0.0; 4]);
        head.token_log_probabilities(&x, &[0, 1], &mut y, &mut log_sums, &mut []);
        head.token_log_probabilities_backward(&x, &[0, 1], &log_sums, &[1.0; 2], &mut d_hidden, None);
        assert!(y[0].is_nan() && d_hidden[1].is_nan());
        assert!(y[1].is_finite() && d_hidden[2..].iter().all(|number| number.is_finite()));
    }
}

#[test]
#[should_panic(expected = "target 3 in a vocabulary of 3")]
fn a_target_outside_the_vocabulary_is_refused() {
    let head = Head {
        weight: &[0.0; 3],
        width: 1,
        soft_cap: None,
        precision: Precision::F32,
    };
    head.token_log_probabilities(&[1.0], &[3], &mut [0.0], &mut [0.0], &mut []);
}
