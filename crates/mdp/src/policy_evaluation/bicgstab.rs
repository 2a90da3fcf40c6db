//! Krylov policy evaluation: BiCGSTAB (van der Vorst, 1992) on (I - gamma P_pi) v = r_pi, preconditioned from the
//! right by an incomplete LU factorisation in the sweep order.

use super::blocks::{combine, dot};
use super::chain::{Monitor, Residual, System};
use super::gmres;
use super::incomplete_lu::IncompleteLu;
use crate::error::MdpError;

/// A cycle ends where its residual has grown so much: what follows would be lost in rounding.
const LARGEST_GROWTH: f64 = 1e6;

/// A cycle ends after so many steps without a residual smaller than its smallest so far.
const PATIENCE: usize = 100;

/// A cycle that leaves more than this of the residual has failed.
const GAIN: f64 = 0.5;

/// Sweeps after the first failure; each time as many more.
const FIRST_SWEEPS: usize = 16;

/// So many sweeps that have gained nothing are the last.
const MOST_SWEEPS: usize = 256;

/// Iterates until the monitor is content, or nothing helps any more.
///
/// In the sweep order, I - gamma P is nearly lower triangular where the policy is nearly deterministic; there the
/// factors are nearly exact and a few iterations do. Elsewhere they spare the Krylov space the short range of P.
///
/// Every cycle starts from the true residual with one step x += (L U)^-1 r. The recurrences run until their own residual
/// is small enough or they break down; then the true residual decides. The recurrences are short and therefore cheap,
/// but they lose their way where many eigenvalues of I - gamma P are near zero: where the chain falls into parts that it
/// hardly ever leaves, and gamma is near 1. A cycle that has made things worse is undone, and from the first that has
/// failed, cycles of GMRES take their place, which cannot. Where the memory for their basis is too small, they may stall;
/// between them come sweeps x += (L U)^-1 r, which converge by themselves, if slowly.
pub(crate) fn solve(system: &System<'_>, values: &mut [f64], monitor: Monitor<'_>) -> Result<(), MdpError> {
    let factors = IncompleteLu::new(system);
    let mut krylov = Krylov::new(system, &factors);
    let mut iteration = 1;
    let mut norm = f64::INFINITY;
    let mut before = values.to_vec();
    // Recurrences, until they fail.
    loop {
        let mut residual = system.residual(values, &mut krylov.r);
        if monitor(iteration, residual)? {
            return Ok(());
        }
        let failed = residual.norm() > GAIN * norm;
        if residual.norm() > norm {
            values.copy_from_slice(&before);
            residual = system.residual(values, &mut krylov.r);
        }
        norm = residual.norm();
        if failed {
            break;
        }
        before.copy_from_slice(values);
        iteration = krylov.cycle(values, iteration, monitor)?;
    }
    drop(before);
    // Minimal residuals, and sweeps where they fail.
    let mut sweeps = FIRST_SWEEPS;
    loop {
        let start = norm;
        iteration += 1 + gmres::cycle(system, &factors, values, &krylov.r);
        let residual = system.residual(values, &mut krylov.r);
        if monitor(iteration, residual)? {
            return Ok(());
        }
        norm = residual.norm();
        if norm <= GAIN * start {
            continue;
        }
        for _ in 0..sweeps {
            krylov.sweep(values);
            iteration += 1;
            let residual = system.residual(values, &mut krylov.r);
            if monitor(iteration, residual)? {
                return Ok(());
            }
            norm = residual.norm();
        }
        if sweeps >= MOST_SWEEPS && norm > GAIN * start {
            return Ok(());
        }
        sweeps *= 2;
    }
}

/// The vectors and scalars of the recurrences, by the letters of the paper. A is I - gamma P and M is L U.
struct Krylov<'a> {
    system: &'a System<'a>,
    factors: &'a IncompleteLu<'a>,
    /// b - A x, as the recurrences have it; halfway through a step it is s.
    r: Vec<f64>,
    r_hat: Vec<f64>,
    p: Vec<f64>,
    /// A M^-1 p.
    v: Vec<f64>,
    /// A M^-1 s.
    t: Vec<f64>,
    /// M^-1 p, then M^-1 s.
    preconditioned: Vec<f64>,
    rho: f64,
    alpha: f64,
    omega: f64,
}

impl<'a> Krylov<'a> {
    fn new(system: &'a System<'a>, factors: &'a IncompleteLu<'a>) -> Self {
        let states = system.right.len();
        let zeros = || vec![0.0; states];
        Self {
            system,
            factors,
            r: zeros(),
            r_hat: (0..states as u64).map(shadow).collect(),
            p: zeros(),
            v: zeros(),
            t: zeros(),
            preconditioned: zeros(),
            rho: 1.0,
            alpha: 1.0,
            omega: 1.0,
        }
    }

    /// With the true residual in `r`: x += (L U)^-1 r.
    fn sweep(&mut self, x: &mut [f64]) {
        self.factors.solve(&self.r, &mut self.preconditioned);
        combine(x, &self.preconditioned, &self.r, |x, step, _| x + step);
    }

    /// From the true residual in `r`, iterates until the recurrences' own residual contents the monitor, or they cannot
    /// go on. Returns the number of the last iteration, given that of the one before, and one more for the true residual.
    fn cycle(&mut self, x: &mut [f64], mut iteration: usize, monitor: Monitor<'_>) -> Result<usize, MdpError> {
        self.begin_cycle(x);
        let (mut smallest, mut since) = (f64::INFINITY, 0);
        loop {
            let can_go_on = self.step(x);
            let residual = self.residual(x);
            iteration += 1;
            since += 1;
            if residual.norm() < smallest {
                (smallest, since) = (residual.norm(), 0);
            }
            let lost = !can_go_on || residual.norm() > LARGEST_GROWTH * smallest || since >= PATIENCE;
            // Whether rounding forbids the tolerance is for the true residual to say.
            let ended = match monitor(iteration, residual) {
                Err(MdpError::BelowRounding { .. }) => true,
                ended => ended?,
            };
            if lost || ended {
                return Ok(iteration + 1);
            }
        }
    }

    /// Takes one step by the factors alone and starts the recurrences afresh.
    fn begin_cycle(&mut self, x: &mut [f64]) {
        self.sweep(x);
        self.system.residual(x, &mut self.r);
        self.p.fill(0.0);
        self.v.fill(0.0);
        (self.rho, self.alpha, self.omega) = (1.0, 1.0, 1.0);
    }

    /// One iteration. False where a denominator has vanished and the recurrences cannot go on.
    fn step(&mut self, x: &mut [f64]) -> bool {
        let rho = dot(&self.r_hat, &self.r);
        let beta = (rho / self.rho) * (self.alpha / self.omega);
        let omega = self.omega;
        combine(&mut self.p, &self.r, &self.v, |p, r, v| r + beta * (p - omega * v));
        self.factors.solve(&self.p, &mut self.preconditioned);
        self.system.apply(&self.preconditioned, &mut self.v);
        let alpha = rho / dot(&self.r_hat, &self.v);
        if !alpha.is_finite() {
            return false;
        }
        combine(x, &self.preconditioned, &self.v, |x, y, _| x + alpha * y);
        combine(&mut self.r, &self.v, &self.p, |r, v, _| r - alpha * v);

        self.factors.solve(&self.r, &mut self.preconditioned);
        self.system.apply(&self.preconditioned, &mut self.t);
        let omega = dot(&self.t, &self.r) / dot(&self.t, &self.t);
        if !omega.is_finite() {
            return false;
        }
        combine(x, &self.preconditioned, &self.t, |x, z, _| x + omega * z);
        combine(&mut self.r, &self.t, &self.p, |s, t, _| s - omega * t);
        (self.rho, self.alpha, self.omega) = (rho, alpha, omega);
        rho != 0.0 && omega != 0.0
    }

    /// The extremes of the residual that the recurrences have.
    fn residual(&self, x: &[f64]) -> Residual {
        Residual::over_blocks(x, |first, extremes, block| {
            for (&residual, &value) in self.r[first..].iter().zip(block) {
                extremes.include(residual, value);
            }
        })
    }
}

/// The shadow residual: irregular numbers between 1/2 and 3/2. The usual choice, the first residual, is zero in most
/// states where the factors are nearly exact, and then it is blind to all that happens there.
fn shadow(state: u64) -> f64 {
    // Multiples of the golden ratio fall evenly and irregularly into the unit interval.
    let fraction = (state + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    0.5 + fraction as f64 / (1_u64 << 53) as f64
}
