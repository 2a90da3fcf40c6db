//! Gated linear units (Shazeer 2020, "GLU variants improve Transformer", equations 5 and 6): f(gate) up, entry by entry, with f the SiLU
//! for SwiGLU and the GELU for GeGLU; and the backward.
//!
//! Both functions are x times a sigmoid: SiLU(x) = x sigmoid(x), and the GELU in its approximation by a hyperbolic tangent is
//! x (1 + tanh u) / 2 = x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks and Gimpel 2016).
//! All levels of instructions give the same bits.

use rayon::prelude::*;

use crate::Instructions;
use crate::vectorized::{PART, sigmoid, vectorized};

/// What the gate goes through before it multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// x / (1 + exp(-x)), as in Llama and Qwen: `silu` in Hugging Face's configurations.
    Silu,
    /// The GELU in its approximation by a hyperbolic tangent, as in Gemma: `gelu_pytorch_tanh` in Hugging Face's configurations.
    GeluTanh,
}

/// f(gate) up, entry by entry, into `to`.
///
/// # Panics
/// The lengths differ.
pub fn gated(gate: &[f32], up: &[f32], kind: Gate, to: &mut [f32]) {
    forward_parts(Instructions::best(), kind, [gate, up], to);
}

/// From `dy`, the gradient of a loss by what [`gated`] wrote, its gradients by the gate and by `up`, which overwrite `dgate` and `dup`.
///
/// # Panics
/// The lengths differ.
pub fn gated_backward(gate: &[f32], up: &[f32], kind: Gate, dy: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    backward_parts(Instructions::best(), kind, [gate, up, dy], [dgate, dup]);
}

fn forward_parts(instructions: Instructions, kind: Gate, [gate, up]: [&[f32]; 2], to: &mut [f32]) {
    assert_eq!([gate.len(), up.len()], [to.len(); 2], "gate and up");
    let parts = to
        .par_chunks_mut(PART)
        .zip(gate.par_chunks(PART).zip(up.par_chunks(PART)));
    parts.for_each(|(to, (gate, up))| forward(instructions, kind, gate, up, to));
}

fn backward_parts(instructions: Instructions, kind: Gate, [gate, up, dy]: [&[f32]; 3], [dgate, dup]: [&mut [f32]; 2]) {
    let lengths = [gate.len(), up.len(), dgate.len(), dup.len()];
    assert_eq!(lengths, [dy.len(); 4], "gate, up, dgate and dup");
    let outputs = dgate.par_chunks_mut(PART).zip(dup.par_chunks_mut(PART));
    let inputs = gate.par_chunks(PART).zip(up.par_chunks(PART)).zip(dy.par_chunks(PART));
    let parts = outputs.zip(inputs);
    parts.for_each(|((dgate, dup), ((gate, up), dy))| backward(instructions, kind, gate, up, dy, dgate, dup));
}

vectorized! {
    fn forward(kind: Gate, gate: &[f32], up: &[f32], to: &mut [f32]) {
        match kind {
            Gate::Silu => for_each(gate, up, to, |x| x * sigmoid(x)),
            Gate::GeluTanh => for_each(gate, up, to, |x| x * sigmoid(twice_u(x)[0])),
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "for the vector instructions of the function around it"
)]
#[inline(always)]
fn for_each(gate: &[f32], up: &[f32], to: &mut [f32], function: impl Fn(f32) -> f32) {
    for (y, (gate, up)) in to.iter_mut().zip(gate.iter().zip(up)) {
        *y = function(*gate) * up;
    }
}

vectorized! {
    /// With s the sigmoid of v(x): f = x s and f' = s + x s (1 - s) v'.
    fn backward(kind: Gate, gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
        match kind {
            Gate::Silu => for_each_back([gate, up, dy], [dgate, dup], |x| [x, 1.0]),
            Gate::GeluTanh => for_each_back([gate, up, dy], [dgate, dup], twice_u),
        }
    }
}

/// `inside` gives v and its derivative.
#[expect(
    clippy::inline_always,
    reason = "for the vector instructions of the function around it"
)]
#[inline(always)]
fn for_each_back([gate, up, dy]: [&[f32]; 3], [dgate, dup]: [&mut [f32]; 2], inside: impl Fn(f32) -> [f32; 2]) {
    let inputs = gate.iter().zip(up).zip(dy);
    for ((dgate, dup), ((&x, up), dy)) in dgate.iter_mut().zip(dup).zip(inputs) {
        let [v, slope] = inside(x);
        let s = sigmoid(v);
        *dgate = dy * up * (s + x * s * ((1.0 - s) * slope));
        *dup = dy * (x * s);
    }
}

/// 2 sqrt(2 / pi).
const FACTOR: f32 = 1.595_769_2;

/// 2 u and its derivative.
#[expect(
    clippy::inline_always,
    reason = "for the vector instructions of the function around it"
)]
#[inline(always)]
fn twice_u(x: f32) -> [f32; 2] {
    // Beyond, the sigmoid is 0 or 1 for long, and the derivative must not become infinite.
    let x = x.clamp(-100.0, 100.0);
    let square = 0.044_715 * (x * x);
    [FACTOR * (x + x * square), FACTOR * (1.0 + 3.0 * square)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::{assert_same_at_every_level, numbers};

    #[test]
    fn every_level_gives_the_same_bits() {
        for kind in [Gate::Silu, Gate::GeluTanh] {
            for count in [1, 100, 1000] {
                let [gate, up, dy] = [1, 2, 3].map(|seed| numbers(count, seed));
                assert_same_at_every_level(|instructions| {
                    let [mut y, mut dgate, mut dup] = [(); 3].map(|()| vec![0.0; count]);
                    forward_parts(instructions, kind, [&gate, &up], &mut y);
                    backward_parts(instructions, kind, [&gate, &up, &dy], [&mut dgate, &mut dup]);
                    [y, dgate, dup].concat()
                });
            }
        }
    }

    #[test]
    fn far_from_zero_nothing_is_lost() {
        let gate = [-1e30, -1e4, -0.0, 1e4, 1e30, f32::NAN];
        for kind in [Gate::Silu, Gate::GeluTanh] {
            let [mut y, mut dgate, mut dup] = [[0.0; 6]; 3];
            gated(&gate, &[2.0; 6], kind, &mut y);
            gated_backward(&gate, &[2.0; 6], kind, &[1.0; 6], &mut dgate, &mut dup);
            assert_eq!(y[..5], [0.0, 0.0, 0.0, 2e4, 2e30], "{kind:?}");
            assert_eq!(dgate[..5], [0.0, 0.0, 1.0, 2.0, 2.0], "{kind:?}");
            assert_eq!(dup[..5], [0.0, 0.0, 0.0, 1e4, 1e30], "{kind:?}");
            assert!(y[5].is_nan() && dgate[5].is_nan() && dup[5].is_nan(), "{kind:?}");
        }
    }
}
