//! Solving the system of one policy roughly: by Gauss-Seidel sweeps, and where those crawl by BiCGSTAB.

use rayon::prelude::*;

use super::policy_system::PolicySystem;

/// Entries of one partial sum. Partial sums are added in order, whatever the number of threads.
const BLOCK: usize = 8192;

/// Sweeps after which changes that have not shrunk to this fraction crawl.
const CRAWLS: f32 = 0.5;

/// Sweeps that take the place of BiCGSTAB where it fails.
const FALLBACK_SWEEPS: usize = 10;

/// A rate of convergence slow enough to be worth extrapolating.
const DOMINANT: f64 = 0.8;

/// The rate over two sweeps is steady where it differs from the one before by no more than this fraction of its distance
/// from one. (Two sweeps, because a mode may change its sign, or run around a cycle of two states, from one to the next.)
const STEADY: f64 = 0.3;

/// The vectors of BiCGSTAB, kept from one solve to the next.
#[derive(Default)]
pub(super) struct Workspace([Vec<f32>; 7]);

/// At most `count` Gauss-Seidel sweeps over d = b + W d, until the changes have shrunk to `reduction` of the first. Returns
/// how many were done and whether they crawled.
///
/// Where one mode of the error outlives all others, such as what is missing in all states alike, the changes soon shrink at
/// a steady rate. Then the rest of that series is added at once (Lyusternik's acceleration).
pub(super) fn sweeps(
    system: &mut PolicySystem,
    reduction: f32,
    count: usize,
    workspace: &mut Workspace,
) -> (usize, bool) {
    let (mut first, mut last) = (0.0, f32::INFINITY);
    // The squares of the changes of the last four sweeps.
    let mut squares = [0.0_f64; 4];
    let mut sweep = 0;
    while sweep < count {
        let change = system.sweep();
        last = change.sup;
        if sweep == 0 {
            first = last;
        }
        sweep += 1;
        if last <= reduction * first {
            return (sweep, false);
        }
        squares = [change.squares, squares[0], squares[1], squares[2]];
        let rates = [squares[0] / squares[2], squares[1] / squares[3]].map(f64::sqrt);
        let steady = (rates[0] - rates[1]).abs() < STEADY * (1.0 - rates[0]);
        if steady && rates[0] > DOMINANT && sweep + 2 < count {
            system.extrapolate(rates[0] as f32, &mut workspace.0[0]);
            sweep += 2;
            squares = [0.0; 4];
        }
    }
    (sweep, last > CRAWLS * first)
}

/// BiCGSTAB (van der Vorst 1992) on (I - W) d = b, preconditioned from the right by a Gauss-Seidel sweep of each part.
/// Starts from d = 0 and ends when the residual has shrunk to `reduction` of b, after `max_steps` matrix products, or on
/// breakdown. Where the true residual is then no smaller than b, as may happen to BiCGSTAB, sweeps take its place: they
/// always make it smaller. Returns how many products were done.
pub(super) fn bicgstab(
    system: &mut PolicySystem,
    reduction: f32,
    max_steps: usize,
    workspace: &mut Workspace,
) -> usize {
    let steps = unguarded_bicgstab(system, reduction, max_steps, workspace);
    let [solution, residual, shadow, ..] = &mut workspace.0;
    system.apply(solution, residual);
    system.copy_residual(shadow);
    let size = sup(shadow);
    residual.par_iter_mut().zip(shadow).for_each(|(r, b)| *r = *b - *r);
    if sup(residual) < size && solution.iter().all(|d| d.is_finite()) {
        system.set(solution);
        return steps + 1;
    }
    solution.fill(0.0);
    system.set(solution);
    steps + 1 + plain_sweeps(system, FALLBACK_SWEEPS)
}

/// `count` Gauss-Seidel sweeps without extrapolation: slow, but every one makes the error smaller, down to rounding. Ends
/// early where nothing changes. Returns how many were done.
pub(super) fn plain_sweeps(system: &mut PolicySystem, count: usize) -> usize {
    (1..=count).find(|_| system.sweep().sup == 0.0).unwrap_or(count)
}

fn unguarded_bicgstab(system: &mut PolicySystem, reduction: f32, max_steps: usize, workspace: &mut Workspace) -> usize {
    for vector in &mut workspace.0 {
        vector.clear();
        vector.resize(system.len(), 0.0);
    }
    let [solution, residual, shadow, direction, image, preconditioned, scratch] = &mut workspace.0;
    system.copy_residual(residual);
    shadow.copy_from_slice(residual);
    direction.copy_from_slice(residual);
    let target = reduction * sup(residual);
    let mut rho = dot(shadow, residual);
    let mut steps = 0;
    while steps + 2 <= max_steps && sup(residual) > target {
        system.precondition(direction, preconditioned);
        system.apply(preconditioned, image);
        let alpha = rho / dot(shadow, image);
        if !alpha.is_finite() {
            break;
        }
        add(residual, -alpha, image);
        add(solution, alpha, preconditioned);
        system.precondition(residual, preconditioned);
        system.apply(preconditioned, scratch);
        let omega = dot(scratch, residual) / dot(scratch, scratch);
        steps += 2;
        if !omega.is_finite() {
            break;
        }
        add(solution, omega, preconditioned);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, sweep};

    const DISCOUNT: f64 = 0.99;

    /// A slippery grid, large enough for two parts.
    fn grid() -> GridWorld {
        GridWorld::new(&GridWorldSpec {
            rows: 150,
            columns: 150,
            targets: vec![[41, 71]],
            forbidden: (1..=150)
                .map(|row| [row, 1 + (7 * row) % 149])
                .filter(|cell| *cell != [41, 71])
                .collect(),
            slip: 0.2,
            ..GridWorldSpec::default()
        })
        .unwrap()
    }

    /// The greatest |T_pi v - v| after the corrections of `solve`, beginning with v = 0.
    fn left<M: Model>(
        model: &M,
        policy: &[u32],
        in_flow: bool,
        solve: impl FnOnce(&mut PolicySystem, &mut Workspace),
    ) -> f64 {
        let mut values = vec![0.0; model.states()];
        let mut backed_up = vec![0.0; model.states()];
        let mut system = PolicySystem::new(model.max_successors());
        if in_flow {
            let all: Vec<u32> = (0..model.states() as u32).collect();
            system.arrange(model, policy, &all);
        }
        sweep::policy(model, DISCOUNT, policy, &values, &mut backed_up);
        let residual = sweep::residual(&values, &backed_up);
        system.set_up(model, DISCOUNT, policy, &values, &backed_up, residual.sup());
        solve(&mut system, &mut Workspace::default());
        system.correct(&mut values);
        sweep::policy(model, DISCOUNT, policy, &values, &mut backed_up);
        sweep::residual(&values, &backed_up).sup()
    }

    fn any_policy<M: Model>(model: &M) -> Vec<u32> {
        (0..model.states())
            .map(|state| (state * state % 5) as u32 % model.actions(state) as u32)
            .collect()
    }

    #[test]
    fn sweeps_and_bicgstab_solve_the_equations_of_a_policy() {
        let model = grid();
        let policy = any_policy(&model);
        for in_flow in [false, true] {
            let swept = left(&model, &policy, in_flow, |system, workspace| {
                sweeps(system, 1e-6, 1000, workspace);
            });
            let krylov = left(&model, &policy, in_flow, |system, workspace| {
                bicgstab(system, 1e-5, 500, workspace);
            });
            assert!(swept < 1e-3 && krylov < 1e-3, "{swept:e} {krylov:e}");
        }
    }

    #[test]
    fn a_policy_without_cycles_takes_one_sweep_in_its_flow() {
        let states = 1000;
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            let next = if state < 8 { Next::End } else { Next::State(state - 8) };
            builder.transition(state, 0, next, 1.0, state as f64);
        }
        let model = builder.build().unwrap();
        let policy = vec![0; states];
        let left = left(&model, &policy, true, |system, _| {
            system.sweep();
        });
        // The greatest residual at first is 999, and values go up to 62,000.
        assert!(left < 0.1, "{left:e}");
    }

    #[test]
    fn a_mode_that_outlives_all_others_is_extrapolated() {
        let model = two_states();
        let mut done = 0;
        let left = left(&model, &[0, 0], false, |system, workspace| {
            done = sweeps(system, 1e-5, 100, workspace).0;
        });
        // Sweeps alone would need ln 1e-5 / ln 0.99, more than a thousand.
        assert!(done < 100 && left < 1e-3, "{left:e} after {done} sweeps");
    }

    /// Two states that lead to each other.
    fn two_states() -> Mdp {
        let mut builder = MdpBuilder::new(2);
        builder.transition(0, 0, Next::State(1), 1.0, 1.0);
        builder.transition(1, 0, Next::State(0), 1.0, 0.0);
        builder.build().unwrap()
    }
}
