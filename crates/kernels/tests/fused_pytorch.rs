//! Norms, rotary embeddings, gated units, linear cross-entropy, AdamW and Muon against PyTorch: what they give, and all gradients.

#[path = "common/close.rs"]
mod close;

use close::assert_close;
use etude_kernels::Precision;
use etude_kernels::adam_w::{AdamW, Step};
use etude_kernels::gated::{Gate, gated, gated_backward};
use etude_kernels::linear_cross_entropy::{Head, IGNORED, LogSumExp, cap_logits};
use etude_kernels::muon::{self, AdjustLr, Muon};
use etude_kernels::norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
use etude_kernels::rotary::{RotaryTable, rotate, rotate_back};
use serde::Deserialize;

/// See `scripts/kernels_fused_fixtures.py`.
#[derive(Deserialize)]
struct Cases {
    rms_norm: Vec<Rms>,
    layer_norm: Vec<Layer>,
    rotary: Vec<Rotary>,
    gated: Vec<Gated>,
    log_probabilities: Vec<LogProbabilities>,
    adam_w: Vec<Adam>,
    muon: Vec<OfMuon>,
}

#[derive(Deserialize)]
struct Rms {
    epsilon: f32,
    offset: f32,
    x: Vec<f32>,
    weight: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
    dweight: Vec<f32>,
}

#[derive(Deserialize)]
struct Layer {
    epsilon: f32,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
    dweight: Vec<f32>,
    dbias: Vec<f32>,
}

#[derive(Deserialize)]
struct Rotary {
    heads: usize,
    frequencies: Vec<f32>,
    factor: f32,
    positions: Vec<u32>,
    x: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
}

#[derive(Deserialize)]
struct Gated {
    kind: String,
    gate: Vec<f32>,
    up: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dgate: Vec<f32>,
    dup: Vec<f32>,
}

#[derive(Deserialize)]
struct LogProbabilities {
    width: usize,
    soft_cap: Option<f32>,
    targets: Vec<u32>,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    log_sums: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dhidden: Vec<f32>,
    dweight: Vec<f32>,
}

#[derive(Deserialize)]
struct Adam {
    lr: f32,
    betas: [f32; 2],
    eps: f32,
    weight_decay: f32,
    scale: f32,
    parameters: Vec<f32>,
    gradients: Vec<f32>,
    trained: Vec<f32>,
}

#[derive(Deserialize)]
struct OfMuon {
    lr: f32,
    momentum: f32,
    weight_decay: f32,
    adjust_lr_fn: AdjustLr,
    columns: usize,
    scale: f32,
    parameters: Vec<f32>,
    gradients: Vec<f32>,
    trained: Vec<f32>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("fixtures/fused.json")).unwrap()
}

/// What is added to must count, and what is overwritten must not.
const BEFORE: f32 = 0.5;

fn minus_before(sums: &[f32]) -> Vec<f32> {
    sums.iter().map(|sum| sum - BEFORE).collect()
}

#[test]
fn rms_norms_are_those_of_pytorch() {
    let cases = cases().rms_norm;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let what = |part: &str| format!("{part} of width {}", case.weight.len());
        let (mut y, mut dx) = (vec![f32::NAN; case.x.len()], vec![f32::NAN; case.x.len()]);
        let mut dweight = vec![BEFORE; case.weight.len()];
        rms_norm(&case.x, &case.weight, case.epsilon, case.offset, &mut y);
        rms_norm_backward(
            &case.x,
            &case.weight,
            case.epsilon,
            case.offset,
            &case.dy,
            &mut dx,
            &mut dweight,
        );
        assert_close(&what("y"), &y, &case.y);
        assert_close(&what("dx"), &dx, &case.dx);
        assert_close(&what("dweight"), &minus_before(&dweight), &case.dweight);
    }
}

#[test]
fn layer_norms_are_those_of_pytorch() {
    let cases = cases().layer_norm;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let what = |part: &str| format!("{part} of width {}", case.weight.len());
        let (mut y, mut dx) = (vec![f32::NAN; case.x.len()], vec![f32::NAN; case.x.len()]);
        let (mut dweight, mut dbias) = (vec![BEFORE; case.weight.len()], vec![BEFORE; case.weight.len()]);
        layer_norm(&case.x, &case.weight, &case.bias, case.epsilon, &mut y);
        layer_norm_backward(
            &case.x,
            &case.weight,
            case.epsilon,
            &case.dy,
            &mut dx,
            &mut dweight,
            &mut dbias,
        );
        assert_close(&what("y"), &y, &case.y);
        assert_close(&what("dx"), &dx, &case.dx);
        assert_close(&what("dweight"), &minus_before(&dweight), &case.dweight);
        assert_close(&what("dbias"), &minus_before(&dbias), &case.dbias);
    }
}

#[test]
fn rotary_embeddings_are_those_of_transformers() {
    let cases = cases().rotary;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let what = |part: &str| format!("{part} of {} pairs", case.frequencies.len());
        let table = RotaryTable::new(&case.frequencies, case.factor, 8192);
        let (mut y, mut dx) = (case.x.clone(), case.dy.clone());
        rotate(&mut y, case.heads, &case.positions, &table);
        rotate_back(&mut dx, case.heads, &case.positions, &table);
        assert_close(&what("y"), &y, &case.y);
        assert_close(&what("dx"), &dx, &case.dx);
    }
}

#[test]
fn gated_units_are_those_of_pytorch() {
    let cases = cases().gated;
    assert_eq!(cases.len(), 2);
    for case in cases {
        let what = |part: &str| format!("{part} of {}", case.kind);
        let kind = match case.kind.as_str() {
            "silu" => Gate::Silu,
            _ => Gate::GeluTanh,
        };
        let [mut y, mut dgate, mut dup] = [(); 3].map(|()| vec![f32::NAN; case.gate.len()]);
        gated(&case.gate, &case.up, kind, &mut y);
        gated_backward(&case.gate, &case.up, kind, &case.dy, &mut dgate, &mut dup);
        assert_close(&what("y"), &y, &case.y);
        assert_close(&what("dgate"), &dgate, &case.dgate);
        assert_close(&what("dup"), &dup, &case.dup);
    }
}

#[test]
fn log_probabilities_are_those_of_pytorch() {
    let cases = cases().log_probabilities;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let head = Head {
            weight: &case.weight,
            width: case.width,
            soft_cap: case.soft_cap,
            precision: Precision::F32,
        };
        let what = |part: &str| format!("{part} of a vocabulary of {}", head.vocabulary());
        let [mut y, mut log_sums] = [(); 2].map(|()| vec![f32::NAN; case.targets.len()]);
        let mut d_hidden = vec![f32::NAN; case.hidden.len()];
        let mut d_weight = vec![BEFORE; case.weight.len()];
        head.token_log_probabilities(&case.hidden, &case.targets, &mut y, &mut log_sums, &mut []);
        assert_close(&what("y"), &y, &case.y);
        assert_close(&what("log_sums"), &log_sums, &case.log_sums);
        head.token_log_probabilities_backward(
            &case.hidden,
            &case.targets,
            &log_sums,
            &case.dy,
            &mut d_hidden,
            Some(&mut d_weight),
        );
        assert_close(&what("d_hidden"), &d_hidden, &case.dhidden);
        assert_close(&what("d_weight"), &minus_before(&d_weight), &case.dweight);

        // The same as a cross-entropy, where tokens that do not count have no weight or no target.
        let weights: Vec<f32> = case.dy.iter().map(|dy| -dy).collect();
        let targets: Vec<u32> = case
            .targets
            .iter()
            .zip(&case.dy)
            .map(|(&target, &dy)| if dy == 0.0 { IGNORED } else { target })
            .collect();
        let expected: f64 = case
            .y
            .iter()
            .zip(&case.dy)
            .map(|(y, dy)| f64::from(*y) * f64::from(*dy))
            .sum();
        for (targets, weights) in [(&case.targets, &weights), (&targets, &weights)] {
            let loss = head.cross_entropy(&case.hidden, targets, weights, &mut []);
            assert!(
                (loss - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{loss}, {expected}"
            );
            let (mut dh, mut dw) = (vec![f32::NAN; d_hidden.len()], vec![0.0; d_weight.len()]);
            let gradients = [&mut dh[..], &mut dw].map(Some);
            let [to_hidden, to_weight] = gradients;
            let again =
                head.cross_entropy_with_gradients(&case.hidden, targets, weights, to_hidden, to_weight, &mut []);
            assert_eq!(again.to_bits(), loss.to_bits());
            assert_eq!(dh, d_hidden);
            assert_close(&what("d_weight of a cross-entropy"), &dw, &case.dweight);
            let same = head.cross_entropy_with_gradients(&case.hidden, targets, weights, None, None, &mut []);
            assert_eq!(same.to_bits(), loss.to_bits());
        }

        // And the same bits as a score of the logits of one token.
        for (token, &target) in case.targets.iter().enumerate() {
            let row = &case.hidden[token * case.width..][..case.width];
            let rows = case.weight.chunks_exact(case.width);
            let mut logits: Vec<f32> = rows
                .map(|weight| row.iter().zip(weight).fold(0.0_f32, |sum, (x, w)| x.mul_add(*w, sum)))
                .collect();
            if let Some(soft_cap) = case.soft_cap {
                cap_logits(&mut logits, soft_cap);
            }
            let score = LogSumExp::of(&logits).log_probability(logits[target as usize]);
            assert_eq!(score.to_bits(), y[token].to_bits(), "{}", what("a score"));
        }
    }
}

#[test]
fn ten_steps_of_adam_w_are_those_of_pytorch() {
    let cases = cases().adam_w;
    assert_eq!(cases.len(), 2);
    for case in cases {
        let adam = AdamW {
            beta1: case.betas[0],
            beta2: case.betas[1],
            epsilon: case.eps,
            weight_decay: case.weight_decay,
        };
        let mut parameters = case.parameters.clone();
        let [mut first, mut second] = [(); 2].map(|()| vec![0.0; parameters.len()]);
        let mut number = 0;
        for gradient in case.gradients.chunks_exact(parameters.len()) {
            number += 1;
            let step = Step {
                number,
                learning_rate: case.lr,
                gradient_scale: case.scale,
            };
            adam.step(step, &mut parameters, gradient, &mut first, &mut second);
        }
        assert_eq!(number, 10);
        assert_close("trained parameters", &parameters, &case.trained);
    }
}

#[test]
fn ten_steps_of_muon_are_those_of_pytorch() {
    let cases = cases().muon;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let muon = Muon {
            momentum: case.momentum,
            weight_decay: case.weight_decay,
            adjust_lr_fn: case.adjust_lr_fn,
        };
        let mut parameters = case.parameters.clone();
        let mut momentum = vec![0.0; parameters.len()];
        for gradient in case.gradients.chunks_exact(parameters.len()) {
            let step = muon::Step {
                learning_rate: case.lr,
                gradient_scale: case.scale,
            };
            muon.step(step, case.columns, &mut parameters, gradient, &mut momentum);
        }
        assert_close("trained parameters", &parameters, &case.trained);
    }
}
