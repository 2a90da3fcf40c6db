//! A tile of the product in plain loops, which also says what the other paths compute.

use super::activations::{BLOCK, TERMS, WORDS};
use super::block_type::{Layout, Scales};
use super::panel::LANES;

/// Where a tile of the product goes: so many outputs of each row, and numbers from one row to the next.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) to: *mut f32,
    pub(super) outputs: usize,
    pub(super) stride: usize,
}

/// Products of a tile of rows with a panel.
///
/// For every block of 32 inputs (of 16 where the weights have two scales) in ascending order, and with every operation rounded,
/// `sum += dot * (weights' scale * row's scale) + weights' minimum * row's scaled sum`, where `dot` is an exact integer.
///
/// # Safety
///
/// `place` must be valid for writes, and nobody else may use it in the meantime.
#[expect(unsafe_code, reason = "tiles of a matrix that several threads write")]
pub(super) unsafe fn tile(layout: Layout, rows: usize, panel: &[u8], activations: &[u32], place: Place) {
    let parts = panel.chunks_exact(layout.group()).flat_map(|group| {
        let (head, rest) = group.split_at(layout.head());
        rest.chunks_exact(layout.part()).map(move |part| (head, part))
    });
    for row in 0..rows {
        let mut sums = [0.0; LANES];
        for ((head, part), words) in parts.clone().zip(activations.chunks_exact(rows * WORDS)) {
            let (codes, terms) = words.split_at(rows * BLOCK / 4);
            add_part(
                layout,
                head,
                part,
                &codes.as_chunks::<{ BLOCK / 4 }>().0[row],
                &terms.as_chunks::<TERMS>().0[row],
                &mut sums,
            );
        }
        // SAFETY: the caller vouches for the place, which has `outputs` numbers in each of `rows` rows.
        unsafe {
            let to = place.to.add(row * place.stride);
            std::ptr::copy_nonoverlapping(sums.as_ptr(), to, place.outputs.min(LANES));
        }
    }
}

/// The inputs of a block.
fn add_part(
    layout: Layout,
    head: &[u8],
    part: &[u8],
    codes: &[u32; BLOCK / 4],
    &[scale, scaled_sum, first, second]: &[u32; TERMS],
    sums: &mut [f32; LANES],
) {
    let codes: &[[i8; 4]; BLOCK / 4] = bytemuck::cast_ref(codes);
    let (scale, scaled_sum) = (f32::from_bits(scale), f32::from_bits(scaled_sum));
    let (factors, weights) = part.split_at(layout.factors());
    let steps = layout.steps();
    for (step, bias) in [first, second][..steps].iter().enumerate() {
        let mut dots = [bias.cast_signed(); LANES];
        let quads = step * 8 / steps..(step + 1) * 8 / steps;
        for (quad, codes) in quads.clone().zip(&codes[quads]) {
            let weights = layout.quad(weights, quad);
            for (dot, weights) in dots.iter_mut().zip(weights.as_chunks::<4>().0) {
                for (&weight, &code) in weights.iter().zip(codes) {
                    *dot += i32::from(weight) * i32::from(code);
                }
            }
        }
        for (lane, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
            let weight_scale = Layout::scale(head, lane).to_f32();
            let weight_scale = match layout.scales {
                Scales::One | Scales::OneWithMinimum => weight_scale,
                Scales::Nested => weight_scale * f32::from(factors[lane]),
                Scales::NestedSigned => weight_scale * f32::from(factors[step * LANES + lane].cast_signed()),
            };
            let mut term = dot as f32 * (weight_scale * scale);
            if layout.has_minimum() {
                let minimum = layout.minimum(head, lane).to_f32();
                let minimum = match layout.scales {
                    Scales::Nested => -minimum * f32::from(factors[LANES + lane]),
                    _ => minimum,
                };
                term += minimum * scaled_sum;
            }
            *sum += term;
        }
    }
}
