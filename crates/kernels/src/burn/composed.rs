//! The same operations composed of Burn's own: what runs on every other backend, whose gradients are Burn's too.
//!
//! Shapes and meanings are those of the operations of the same names in [`burn`](super). Nothing is fused here: scores of
//! attention and logits stand in memory.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData, activation};

use crate::Precision;
use crate::adam_w::{AdamW, Step};
use crate::attention::Attention;
use crate::gated::Gate;
use crate::linear_cross_entropy::{IGNORED, TokenStatistics};
use crate::muon::{self, COEFFICIENTS, Muon, SMALLEST_NORM, STEPS};
use crate::rotary::RotaryTable;

/// [`with_gradients`](super::with_gradients) for one parameter: with the slope `gradient` by it, and no other value.
pub(super) fn with_gradient<const D: usize>(loss: Tensor<1>, parameter: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let product = (parameter * gradient.autodiff()).sum();
    loss + product.clone() - product.detach()
}

/// [`rms_norm`](super::rms_norm).
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32, offset: f32) -> Tensor<D> {
    let size = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt();
    x / size * (weight + offset).unsqueeze()
}

/// [`layer_norm`](super::layer_norm).
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<D> {
    let mean = x.clone().mean_dim(D - 1);
    let centred = x - mean;
    let deviation = (centred.clone().square().mean_dim(D - 1) + epsilon).sqrt();
    centred / deviation * weight.unsqueeze() + bias.unsqueeze()
}

/// [`rotary`](super::rotary).
pub fn rotary(x: Tensor<3>, positions: &[u32], table: &RotaryTable) -> Tensor<3> {
    let [tokens, heads, size] = x.dims();
    let half = size / 2;
    let angles = |row: fn(&RotaryTable, usize) -> &[f32]| {
        let numbers: Vec<f32> = positions
            .iter()
            .flat_map(|&position| row(table, position as usize).to_vec())
            .collect();
        Tensor::<3>::from_data(TensorData::new(numbers, [tokens, 1, half]), &x.device()).expand([tokens, heads, half])
    };
    let (cosines, sines) = (angles(RotaryTable::cosines), angles(RotaryTable::sines));
    let (first, second) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    let turned = first.clone() * cosines.clone() - second.clone() * sines.clone();
    Tensor::cat(vec![turned, second * cosines + first * sines], 2)
}

/// [`gated`](super::gated).
pub fn gated<const D: usize>(gate: Tensor<D>, up: Tensor<D>, kind: Gate) -> Tensor<D> {
    let gate = match kind {
        Gate::Silu => activation::silu(gate),
        Gate::GeluTanh => activation::gelu_approximate(gate),
    };
    gate * up
}

/// [`linear`](super::linear).
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    let [outputs, inputs] = weight.dims();
    let mut shape = x.dims();
    let rows = shape.iter().product::<usize>() / inputs.max(1);
    shape[D - 1] = outputs;
    let product = product(x.reshape([rows, inputs]), weight, precision).reshape(shape);
    match bias {
        None => product,
        Some(bias) => product + bias.unsqueeze(),
    }
}

/// [n, inputs] times [outputs, inputs], transposed.
fn product(rows: Tensor<2>, weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    let round = |factor: Tensor<2>| match precision {
        Precision::F32 => factor,
        Precision::Bf16 => factor.cast(DType::BF16).cast(DType::F32),
    };
    round(rows).matmul(round(weight).transpose())
}

/// [`attention`](super::attention).
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, offsets: &[usize], attention: &Attention) -> Tensor<3> {
    if q.dims()[0] == 0 {
        return q;
    }
    let ranges = offsets.windows(2).filter(|range| range[0] < range[1]);
    let split = |x: Tensor<3>| -> Vec<Tensor<3>> {
        let part = |range: &[usize]| x.clone().narrow(0, range[0], range[1] - range[0]);
        ranges.clone().map(part).collect()
    };
    let sequences = split(q).into_iter().zip(split(k)).zip(split(v));
    let outputs = sequences.map(|((q, k), v)| of_one_sequence(q, k, v, attention));
    Tensor::cat(outputs.collect(), 0)
}

fn of_one_sequence(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, attention: &Attention) -> Tensor<3> {
    let (device, tokens) = (q.device(), q.dims()[0]);
    // [heads, tokens, head_size], each head of keys and values once for every head of its group.
    let heads = |x: Tensor<3>| {
        let [_, heads, size] = x.dims();
        let grouped: Tensor<4> = x.swap_dims(0, 1).unsqueeze_dim(1);
        grouped
            .expand([heads, attention.heads / heads, tokens, size])
            .reshape([attention.heads, tokens, size])
    };
    let mut scores = heads(q).matmul(heads(k).transpose()) * attention.scale;
    if let Some(cap) = attention.soft_cap {
        scores = (scores / cap).tanh() * cap;
    }
    let scores = scores + hidden(tokens, attention, &device).unsqueeze();
    activation::softmax(scores, 2).matmul(heads(v)).swap_dims(0, 1)
}

/// [tokens, tokens]: 0 where a query sees the key, minus infinity where it does not.
fn hidden(tokens: usize, attention: &Attention, device: &Device) -> Tensor<2> {
    let near = |query: usize, key: usize| attention.window.is_none_or(|window| query.abs_diff(key) < window);
    let seen = |query: usize, key: usize| near(query, key) && (key <= query || !attention.causal);
    let numbers: Vec<f32> = (0..tokens * tokens)
        .map(|index| {
            if seen(index / tokens, index % tokens) {
                0.0
            } else {
                f32::NEG_INFINITY
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(numbers, [tokens, tokens]), device)
}

/// [`embedding`](super::embedding).
pub fn embedding(weight: Tensor<2>, tokens: &[u32], padding: Option<u32>) -> Tensor<2> {
    let ([_, width], device) = (weight.dims(), weight.device());
    let indices: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [tokens.len()]), &device);
    let rows = weight.select(0, indices);
    let pads: Vec<bool> = tokens.iter().map(|token| Some(*token) == padding).collect();
    if !pads.contains(&true) {
        return rows;
    }
    let pads = Tensor::<2, Bool>::from_data(TensorData::new(pads, [tokens.len(), 1]), &device);
    let fixed = rows.clone().detach();
    rows.mask_where(pads.expand([tokens.len(), width]), fixed)
}

/// [`token_log_probabilities`](super::token_log_probabilities).
pub fn token_log_probabilities(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> Tensor<1> {
    token_log_probabilities_with_statistics(hidden, weight, targets, soft_cap, precision, &mut [])
}

/// [`token_log_probabilities_with_statistics`](super::token_log_probabilities_with_statistics): into `statistics`, `[tokens]`, or nowhere
/// where that is empty.
pub fn token_log_probabilities_with_statistics(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
    statistics: &mut [TokenStatistics],
) -> Tensor<1> {
    let (device, tokens) = (hidden.device(), targets.len());
    let mut logits = product(hidden, weight, precision);
    if let Some(cap) = soft_cap {
        logits = (logits / cap).tanh() * cap;
    }
    let log_p = activation::log_softmax(logits.clone(), 1);
    if !statistics.is_empty() {
        token_statistics(
            logits.without_autodiff(),
            log_p.clone().without_autodiff(),
            targets,
            statistics,
        );
    }
    let counts: Vec<f32> = targets.iter().map(|&target| f32::from(target != IGNORED)).collect();
    let counts = Tensor::<1>::from_data(TensorData::new(counts, [tokens]), &device);
    let index = |&target| if target == IGNORED { 0 } else { i64::from(target) };
    let indices: Vec<i64> = targets.iter().map(index).collect();
    let indices = Tensor::<2, Int>::from_data(TensorData::new(indices, [tokens, 1]), &device);
    log_p.gather(1, indices).reshape([tokens]) * counts
}

/// From logits and log-probabilities, both [tokens, vocabulary].
fn token_statistics(logits: Tensor<2>, log_p: Tensor<2>, targets: &[u32], statistics: &mut [TokenStatistics]) {
    let numbers = |tensor: Tensor<2>| tensor.to_data().iter::<f32>().collect::<Vec<f32>>();
    let entropy = numbers(-(log_p.clone().exp() * log_p.clone()).sum_dim(1));
    let log_sum_squares = numbers((log_p * 2.0).exp().sum_dim(1).log());
    let mean_logit = numbers(logits.clone().mean_dim(1));
    let likeliest: Vec<i64> = logits.argmax(1).to_data().iter::<i64>().collect();
    for (token, to) in statistics.iter_mut().enumerate() {
        if targets[token] != IGNORED {
            *to = TokenStatistics {
                entropy: entropy[token],
                correct: likeliest[token] == i64::from(targets[token]),
                log_sum_squares: log_sum_squares[token],
                mean_logit: mean_logit[token],
            };
        }
    }
}

/// [`linear_cross_entropy`](super::linear_cross_entropy).
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    weights: &[f32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> Tensor<1> {
    weighted(
        token_log_probabilities(hidden, weight, targets, soft_cap, precision),
        weights,
    )
}

/// Minus the sum of log-probabilities, `[tokens]`, each times its weight.
pub(super) fn weighted(log_probabilities: Tensor<1>, weights: &[f32]) -> Tensor<1> {
    let weights = TensorData::new(weights.to_vec(), [weights.len()]);
    let weights = Tensor::from_data(weights, &log_probabilities.device());
    -(log_probabilities * weights).sum()
}

/// One step of AdamW (Loshchilov and Hutter, 2019, algorithm 2) on a parameter and its flat moments, in the order of
/// PyTorch's operations: what [`ModuleAdamW`](super::ModuleAdamW) does. It is computed in the type of the moments.
pub fn adam_w<const D: usize>(
    settings: &AdamW,
    step: Step,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<1>; 2],
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let AdamW {
        beta1,
        beta2,
        epsilon,
        weight_decay,
    } = *settings;
    let (shape, stored, computed) = (parameter.dims(), parameter.dtype(), first.dtype());
    let gradient: Tensor<1> = gradient.reshape([-1]).cast(computed) * step.gradient_scale;
    let first = first * beta1 + gradient.clone() * (1.0 - beta1);
    let second = second * beta2 + gradient.square() * (1.0 - beta2);
    let correction = |beta: f32| 1.0 - f64::from(beta).powf(step.number as f64);
    let deviation = second.clone().sqrt() / correction(beta2).sqrt() + epsilon;
    let change = first.clone() / deviation * (f64::from(step.learning_rate) / correction(beta1));
    let decayed = parameter * (1.0 - step.learning_rate * weight_decay);
    (decayed - change.reshape(shape).cast(stored), first, second)
}

/// One step of Muon (Jordan et al. 2024) on a matrix and its flat momentum: what [`ModuleMuon`](super::ModuleMuon) does.
///
/// # Panics
/// The parameter is no matrix.
pub fn muon<const D: usize>(
    settings: &Muon,
    step: muon::Step,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Tensor<1>,
) -> (Tensor<D>, Tensor<1>) {
    assert_eq!(D, 2, "dimensions of a matrix");
    let (shape, stored) = (parameter.dims(), parameter.dtype());
    let [rows, columns] = [shape[0], shape[1]];
    let gradient: Tensor<1> = gradient.reshape([-1]).cast(momentum.dtype()) * step.gradient_scale;
    let towards = |from: Tensor<1>| from * settings.momentum + gradient.clone() * (1.0 - settings.momentum);
    let momentum = towards(momentum);
    let update = newton_schulz(towards(momentum.clone()).reshape([rows, columns]));
    let change = update * (step.learning_rate * settings.adjust_lr_fn.ratio(rows, columns));
    let decayed = parameter * (1.0 - step.learning_rate * settings.weight_decay);
    (decayed - change.reshape(shape).cast(stored), momentum)
}

/// [`newton_schulz`](crate::muon::newton_schulz).
fn newton_schulz(x: Tensor<2>) -> Tensor<2> {
    let [a, b, c] = COEFFICIENTS;
    let [rows, columns] = x.dims();
    let x = if rows > columns { x.transpose() } else { x };
    let norm = x.clone().square().sum().sqrt().clamp_min(SMALLEST_NORM);
    let x = (0..STEPS).fold(x / norm.unsqueeze(), |x, _| {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x.clone() * a + polynomial.matmul(x)
    });
    if rows > columns { x.transpose() } else { x }
}
