//! Krylov policy evaluation: BiCGSTAB (van der Vorst, 1992) on (I - gamma P_pi) v = r_pi, preconditioned from the
//! right by an incomplete LU factorisation in the sweep order.

use super::blocks::{combine, dot};
use super::chain::{Monitor, Residual, System};
use super::incomplete_lu::IncompleteLu;
use crate::error::MdpError;

/// A cycle ends where its residual has grown so much: what follows would be lost in rounding.
const LARGEST_GROWTH: f64 = 1e6;

/// Iterates until the monitor is content.
///
/// In the sweep order, I - gamma P is nearly lower triangular where the policy is nearly deterministic; there the
/// factors are nearly exact and a few iterations do. Elsewhere they spare the Krylov space the short range of P.
///
/// Every cycle starts from the true residual with one step x += (L U)^-1 r, which by itself converges, if slowly. The
/// recurrences run until their own residual is small enough or they break down; then the true residual decides. A
/// cycle that has made things worse is undone.
pub(crate) fn solve(system: &System<'_>, values: &mut [f64], monitor: Monitor<'_>) -> Result<(), MdpError> {
    let factors = IncompleteLu::new(system);
    let mut krylov = Krylov::new(system, &factors);
    let mut best = values.to_vec();
    let mut best_norm = f64::INFINITY;
    let mut iteration = 0;
    loop {
        let mut residual = system.residual(values, &mut krylov.r);
        if residual.norm() <= best_norm {
            best.copy_from_slice(values);
            best_norm = residual.norm();
        } else {
            values.copy_from_slice(&best);
            residual = system.residual(values, &mut krylov.r);
        }
        iteration += 1;
        if monitor(iteration, residual)? {
            return Ok(());
        }
        krylov.begin_cycle(values);
        loop {
            let can_go_on = krylov.step(values);
            let residual = krylov.residual(values);
            iteration += 1;
            if !can_go_on || residual.norm() > LARGEST_GROWTH * best_norm || monitor(iteration, residual)? {
                break;
            }
        }
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

    /// With the true residual in `r`, takes one step by the factors alone and starts the recurrences afresh.
    fn begin_cycle(&mut self, x: &mut [f64]) {
        self.factors.solve(&self.r, &mut self.preconditioned);
        combine(x, &self.preconditioned, &self.r, |x, step, _| x + step);
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
