//! Iterative LQR (Li and Todorov 2004), with the line search and the regularisation of Tassa, Erez and Todorov (2012) and
//! bounds on the actions in the manner of Tassa, Mansard and Todorov (2014).

use rand_chacha::ChaCha8Rng;

use super::expansion::{Expansion, GRAIN, WIDTH};
use crate::elimination::solve;
use crate::simulator::{Dynamics, stream};
use crate::space::Space;

/// A way through the states of a law.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<const N: usize, const A: usize> {
    /// One more than there are actions.
    pub states: Vec<[f64; N]>,
    /// What is done in each state but the last.
    pub actions: Vec<[f64; A]>,
    /// What that earns.
    pub rewards: Vec<f64>,
}

impl<const N: usize, const A: usize> Trajectory<N, A> {
    /// The sum of the rewards.
    pub fn earned(&self) -> f64 {
        self.rewards.iter().sum()
    }
}

/// How an action answers to the state: a = a_before + alpha `change` + `feedback` (s - s_before).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain<const N: usize, const A: usize> {
    /// k of the papers.
    pub change: [f64; A],
    /// K of the papers, by action.
    pub feedback: [[f64; N]; A],
}

/// Improves actions step by step: linear dynamics and quadratic rewards around a trajectory, the best answer to those, and
/// as much of it as makes things better.
pub struct Ilqr<'a, D, const N: usize, const A: usize> {
    law: &'a D,
    low: [f64; A],
    high: [f64; A],
    /// Laws ask for it, and those at hand do not use it.
    random: ChaCha8Rng,
}

/// The factor of the regularisation after a failure, and the bounds between which it moves.
const HARDER: f64 = 8.0;
const REGULARIZATION: [f64; 2] = [1e-8, 1e4];
/// An improvement that is too small to go on, as a share of the return.
const NOTHING: f64 = 1e-7;
/// How often entries of a bounded answer are gone through, at most.
const SWEEPS: usize = 200;
/// How often a step is halved.
const HALVINGS: i32 = 8;

impl<'a, D: Dynamics<State = [f64; N]>, const N: usize, const A: usize> Ilqr<'a, D, N, A> {
    /// For a law without chance, whose actions are `A` bounded numbers.
    ///
    /// # Panics
    /// Its actions are something else.
    pub fn new(law: &'a D) -> Self {
        let (mut low, mut high) = ([f64::NAN; A], [f64::NAN; A]);
        if let Space::Box { low: least, high: most } = law.action_space() {
            assert_eq!(least.len(), A, "numbers of an action");
            for motor in 0..A {
                (low[motor], high[motor]) = (f64::from(least[motor]), f64::from(most[motor]));
            }
        }
        let bounds = low.iter().chain(&high);
        assert!(
            bounds.into_iter().all(|bound| bound.is_finite()),
            "actions without bounds"
        );
        Self {
            law,
            low,
            high,
            random: stream(0),
        }
    }

    /// What comes of some actions.
    pub fn follow(&mut self, start: [f64; N], actions: &[[f64; A]]) -> Trajectory<N, A> {
        self.roll(start, actions.len(), |step, _| actions[step])
    }

    /// What comes of choosing an action for each step and state.
    fn roll(
        &mut self,
        start: [f64; N],
        steps: usize,
        choose: impl Fn(usize, &[f64; N]) -> [f64; A],
    ) -> Trajectory<N, A> {
        let mut trajectory = Trajectory {
            states: Vec::with_capacity(steps + 1),
            actions: Vec::with_capacity(steps),
            rewards: Vec::with_capacity(steps),
        };
        let mut state = start;
        trajectory.states.push(state);
        for step in 0..steps {
            let wanted = choose(step, &state);
            let action = std::array::from_fn(|motor| {
                let allowed: f64 = wanted[motor].clamp(self.low[motor], self.high[motor]);
                (allowed / GRAIN).round() * GRAIN
            });
            let reward;
            (state, reward, _) = self
                .law
                .advance(state, &action.map(|motor: f64| motor as f32), &mut self.random);
            trajectory.states.push(state);
            trajectory.actions.push(action);
            trajectory.rewards.push(reward);
        }
        trajectory
    }

    /// Improves a trajectory up to so many times; the result earns at least as much.
    pub fn improve(&mut self, mut trajectory: Trajectory<N, A>, iterations: usize) -> Trajectory<N, A> {
        let [least, most] = REGULARIZATION;
        let mut regularization = least;
        for _ in 0..iterations {
            let expansions = self.expand(&trajectory);
            let before = trajectory.earned();
            let better = loop {
                let gains = self.backward(&trajectory, &expansions, regularization);
                if let Some(better) = gains.and_then(|gains| self.search(&trajectory, &gains)) {
                    regularization = (regularization / HARDER).max(least);
                    break better;
                }
                regularization *= HARDER;
                if regularization > most {
                    return trajectory;
                }
            };
            trajectory = better;
            if trajectory.earned() - before < NOTHING * before.abs() {
                break;
            }
        }
        trajectory
    }

    fn expand(&mut self, trajectory: &Trajectory<N, A>) -> Vec<Expansion<N>> {
        let visited = trajectory.states.iter().zip(&trajectory.actions);
        visited
            .map(|(state, action)| {
                // Laws cut off what is beyond the bounds, so that differences must not reach there.
                let inside: [f64; A] =
                    std::array::from_fn(|i| action[i].clamp(self.low[i] + WIDTH, self.high[i] - WIDTH));
                Expansion::at(self.law, *state, inside, &mut self.random)
            })
            .collect()
    }

    /// How actions should answer to the state around a trajectory, if rewards were the parabolas that they look like there
    /// and nothing bounded the steps.
    pub fn gains(&mut self, trajectory: &Trajectory<N, A>) -> Option<Vec<Gain<N, A>>> {
        let expansions = self.expand(trajectory);
        self.backward(trajectory, &expansions, 0.0)
    }

    /// The best answer to the expansions, from the last step to the first (Tassa et al. 2012, equations 5 and 9 to 11,
    /// for rewards instead of costs). None where a step has no best answer.
    fn backward(
        &self,
        trajectory: &Trajectory<N, A>,
        expansions: &[Expansion<N>],
        regularization: f64,
    ) -> Option<Vec<Gain<N, A>>> {
        // The cost to go: its gradient and second derivatives in the state.
        let (mut slope, mut curvature) = ([0.0; N], [[0.0; N]; N]);
        let mut gains = Vec::with_capacity(expansions.len());
        for (expansion, action) in expansions.iter().zip(&trajectory.actions).rev() {
            let flow = &expansion.flow;
            let pulled: Vec<[f64; N]> = flow
                .iter()
                .map(|column| curvature.map(|row| dot(&row, column)))
                .collect();
            let q = |i: usize| dot(&flow[i], &slope) - expansion.slope[i];
            let q_q = |i: usize, j: usize| dot(&flow[i], &pulled[j]) - expansion.curvature[i][j];
            let q_a: [f64; A] = std::array::from_fn(|i| q(N + i));
            let q_aa: [[f64; A]; A] = std::array::from_fn(|i| std::array::from_fn(|j| q_q(N + i, N + j)));
            let q_as: [[f64; N]; A] = std::array::from_fn(|i| std::array::from_fn(|j| q_q(N + i, j)));
            let mut firm = q_aa;
            for (i, row) in firm.iter_mut().enumerate() {
                row[i] += regularization;
            }
            let bounds = |bound: [f64; A]| std::array::from_fn(|i| bound[i] - action[i]);
            let gain = answer(firm, q_a, q_as, bounds(self.low), bounds(self.high))?;
            let Gain { change, feedback } = gain;
            // v = q_s + K^T q_aa k + K^T q_a + q_as^T k, and likewise for the second derivatives.
            let held: [f64; A] = std::array::from_fn(|i| q_a[i] + dot(&q_aa[i], &change));
            let held_by: [[f64; N]; A] = std::array::from_fn(|i| {
                std::array::from_fn(|s| q_as[i][s] + (0..A).map(|j| q_aa[i][j] * feedback[j][s]).sum::<f64>())
            });
            slope = std::array::from_fn(|s| {
                q(s) + (0..A)
                    .map(|i| feedback[i][s] * held[i] + q_as[i][s] * change[i])
                    .sum::<f64>()
            });
            curvature = std::array::from_fn(|s| {
                std::array::from_fn(|t| {
                    let by_action = |i: usize| feedback[i][s] * held_by[i][t] + q_as[i][s] * feedback[i][t];
                    q_q(s, t) + (0..A).map(by_action).sum::<f64>()
                })
            });
            gains.push(gain);
        }
        gains.reverse();
        Some(gains)
    }

    /// The first of ever smaller steps that earns more.
    fn search(&mut self, trajectory: &Trajectory<N, A>, gains: &[Gain<N, A>]) -> Option<Trajectory<N, A>> {
        let before = trajectory.earned();
        (0..HALVINGS).find_map(|halvings| {
            let share = 0.5_f64.powi(halvings);
            let other = self.roll(trajectory.states[0], gains.len(), |step, state| {
                let (gain, known) = (&gains[step], &trajectory.states[step]);
                let off: [f64; N] = std::array::from_fn(|entry| state[entry] - known[entry]);
                std::array::from_fn(|i| {
                    trajectory.actions[step][i] + share * gain.change[i] + dot(&gain.feedback[i], &off)
                })
            });
            (other.earned() > before).then_some(other)
        })
    }
}

/// The least of q_a^T k + k^T q_aa k / 2 between two bounds, by sweeps from entry to entry (projected Gauss-Seidel; Tassa
/// et al. 2014 use projected Newton steps), and how its free entries move with the state. None where there is no least.
fn answer<const N: usize, const A: usize>(
    q_aa: [[f64; A]; A],
    q_a: [f64; A],
    q_as: [[f64; N]; A],
    low: [f64; A],
    high: [f64; A],
) -> Option<Gain<N, A>> {
    let ([mut change], least) = solve(q_aa, [q_a.map(|slope| -slope)]);
    if least <= 0.0 || change.iter().any(|entry| !entry.is_finite()) {
        return None;
    }
    for _ in 0..SWEEPS {
        let before = change;
        for i in 0..A {
            let rest = q_a[i] + dot(&q_aa[i], &change) - q_aa[i][i] * change[i];
            change[i] = (-rest / q_aa[i][i]).clamp(low[i], high[i]);
        }
        let moved = change.iter().zip(&before).map(|(now, before)| (now - before).abs());
        if moved.fold(0.0, f64::max) < GRAIN * 1e-3 {
            break;
        }
    }
    // An entry at a bound answers to nothing: its equation says that it stays.
    let free: [bool; A] = std::array::from_fn(|i| low[i] < change[i] && change[i] < high[i]);
    let matrix = std::array::from_fn(|i| {
        std::array::from_fn(|j| match (free[i] && free[j], i == j) {
            (true, _) => q_aa[i][j],
            (false, true) => 1.0,
            (false, false) => 0.0,
        })
    });
    let sides = std::array::from_fn(|s| std::array::from_fn(|i| if free[i] { -q_as[i][s] } else { 0.0 }));
    let (by_state, _): ([[f64; A]; N], f64) = solve(matrix, sides);
    let feedback = std::array::from_fn(|i| std::array::from_fn(|s| by_state[s][i]));
    Some(Gain { change, feedback })
}

fn dot<const M: usize>(a: &[f64; M], b: &[f64; M]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
