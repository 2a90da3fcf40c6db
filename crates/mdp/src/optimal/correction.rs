//! Solving the system of one policy roughly: by a few Gauss-Seidel sweeps where its chain mixes fast, else by BiCGSTAB.

use rayon::prelude::*;

use super::incomplete_lu::IncompleteLu;
use super::policy_system::PolicySystem;

/// Entries of one partial sum. Partial sums are added in order, whatever the number of threads.
const BLOCK: usize = 8192;

/// Sweeps that take the place of BiCGSTAB where it fails.
const FALLBACK_SWEEPS: usize = 10;

/// The vectors of BiCGSTAB, kept from one solve to the next.
#[derive(Default)]
pub(super) struct Workspace {
    factors: Vec<IncompleteLu>,
    residual: Vec<f32>,
    shadow: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
    preconditioned: Vec<f32>,
    scratch: Vec<f32>,
}

/// `count` Gauss-Seidel sweeps over d = b + W d, from d = `start` everywhere.
pub(super) fn gauss_seidel(system: &PolicySystem, d: &mut [f32], start: f32, count: usize, workspace: &mut Workspace) {
    d.fill(start);
    for _ in 0..count {
        system.gauss_seidel(d, &mut workspace.scratch);
    }
}

/// BiCGSTAB (van der Vorst 1992) on (I - W) d = b, preconditioned from the right by incomplete LU factors of each part.
/// Starts from d = 0 and ends when the residual has shrunk to `reduction` of b, after `max_steps` matrix products, or on
/// breakdown. Where the true residual is then no smaller than b, as may happen to BiCGSTAB, sweeps take its place: they
/// always make it smaller. Returns how many products were done.
pub(super) fn bicgstab(
    system: &PolicySystem,
    d: &mut [f32],
    reduction: f32,
    max_steps: usize,
    workspace: &mut Workspace,
) -> usize {
    let steps = unguarded_bicgstab(system, d, reduction, max_steps, workspace);
    let residual = &mut workspace.residual;
    system.apply(d, residual);
    residual
        .par_iter_mut()
        .zip(&system.residual)
        .for_each(|(r, b)| *r = b - *r);
    let (left, size) = (sup(residual), sup(&system.residual));
    if left < size && d.iter().all(|d| d.is_finite()) {
        return steps + 1;
    }
    gauss_seidel(system, d, 0.0, FALLBACK_SWEEPS, workspace);
    steps + 1 + FALLBACK_SWEEPS
}

fn unguarded_bicgstab(
    system: &PolicySystem,
    d: &mut [f32],
    reduction: f32,
    max_steps: usize,
    workspace: &mut Workspace,
) -> usize {
    let Workspace {
        factors,
        residual,
        shadow,
        direction,
        image,
        preconditioned,
        scratch,
    } = workspace;
    *factors = system.factorise(std::mem::take(factors));
    for vector in [&mut *residual, shadow, direction, image, preconditioned, scratch] {
        vector.clear();
        vector.resize(d.len(), 0.0);
    }
    let precondition = |from: &[f32], to: &mut [f32]| {
        to.copy_from_slice(from);
        system.solve_parts(factors, to);
    };
    d.fill(0.0);
    residual.copy_from_slice(&system.residual);
    shadow.copy_from_slice(residual);
    direction.copy_from_slice(residual);
    let target = reduction * sup(residual);
    let mut rho = dot(shadow, residual);
    let mut steps = 0;
    while steps + 2 <= max_steps && sup(residual) > target {
        precondition(direction, preconditioned);
        system.apply(preconditioned, image);
        let alpha = rho / dot(shadow, image);
        if !alpha.is_finite() {
            break;
        }
        add(residual, -alpha, image);
        add(d, alpha, preconditioned);
        precondition(residual, preconditioned);
        system.apply(preconditioned, scratch);
        let omega = dot(scratch, residual) / dot(scratch, scratch);
        steps += 2;
        if !omega.is_finite() {
            break;
        }
        add(d, omega, preconditioned);
        add(residual, -omega, scratch);
        let rho_next = dot(shadow, residual);
        let beta = (rho_next / rho) * (alpha / omega);
        if !beta.is_finite() {
            break;
        }
        rho = rho_next;
        let (beta, omega) = (beta as f32, omega as f32);
        direction
            .par_chunks_mut(BLOCK)
            .zip(residual.par_chunks(BLOCK))
            .zip(image.par_chunks(BLOCK))
            .for_each(|((direction, residual), image)| {
                for ((p, r), v) in direction.iter_mut().zip(residual).zip(image) {
                    *p = r + beta * (*p - omega * v);
                }
            });
    }
    steps
}

/// `y += a x`.
fn add(y: &mut [f32], a: f64, x: &[f32]) {
    let a = a as f32;
    y.par_chunks_mut(BLOCK)
        .zip(x.par_chunks(BLOCK))
        .for_each(|(y, x)| y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x));
}

/// The inner product, summed in 64 bits in an order that does not depend on the threads.
fn dot(x: &[f32], y: &[f32]) -> f64 {
    let blocks: Vec<f64> = x
        .par_chunks(BLOCK)
        .zip(y.par_chunks(BLOCK))
        .map(|(x, y)| x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum())
        .collect();
    blocks.into_iter().sum()
}

/// The sup norm.
fn sup(x: &[f32]) -> f32 {
    x.par_chunks(BLOCK)
        .map(|x| x.iter().fold(0.0, |sup: f32, x| sup.max(x.abs())))
        .reduce(|| 0.0, f32::max)
}
