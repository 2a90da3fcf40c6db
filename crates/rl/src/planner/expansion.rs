//! A step of a law to first order, and its reward to second order, by central differences.

use faer::{Mat, Side};
use rand_chacha::ChaCha8Rng;

use crate::simulator::Dynamics;

/// The width of a difference. Actions are multiples of [`GRAIN`], and 32 bits hold them with this added or taken away.
pub(super) const WIDTH: f64 = 1.0 / 1024.0;
/// What planned actions are multiples of.
pub(super) const GRAIN: f64 = 1.0 / 65536.0;

/// Derivatives in z = (state, action), a vector of n = `N` + `A` numbers.
pub(super) struct Expansion<const N: usize> {
    /// How the next state depends on each entry of z: `[n]` vectors.
    pub(super) flow: Vec<[f64; N]>,
    /// The gradient of the reward, `[n]`.
    pub(super) slope: Vec<f64>,
    /// The second derivatives of the reward where it bends down, `[n, n]`.
    pub(super) curvature: Vec<Vec<f64>>,
}

impl<const N: usize> Expansion<N> {
    /// At one state and action.
    pub(super) fn at<D: Dynamics<State = [f64; N]>, const A: usize>(
        law: &D,
        state: [f64; N],
        action: [f64; A],
        random: &mut ChaCha8Rng,
    ) -> Self {
        let size = N + A;
        // One step with some entries of z moved by as many widths.
        let mut moved = |moves: &[(usize, f64)]| {
            let (mut state, mut action) = (state, action);
            for &(entry, widths) in moves {
                if entry < N {
                    state[entry] += widths * WIDTH;
                } else {
                    action[entry - N] += widths * WIDTH;
                }
            }
            let (next, reward, _) = law.advance(state, &action.map(|motor| motor as f32), random);
            (next, reward)
        };
        let (_, here) = moved(&[]);
        let [ahead, behind] = [1.0, -1.0].map(|sign| (0..size).map(|i| moved(&[(i, sign)])).collect::<Vec<_>>());
        let flow = (0..size).map(|i| std::array::from_fn(|k| (ahead[i].0[k] - behind[i].0[k]) / (2.0 * WIDTH)));
        let slope = (0..size).map(|i| (ahead[i].1 - behind[i].1) / (2.0 * WIDTH));
        let (flow, slope) = (flow.collect(), slope.collect());
        let mut curvature = vec![vec![0.0; size]; size];
        for i in 0..size {
            curvature[i][i] = (ahead[i].1 - 2.0 * here + behind[i].1) / (WIDTH * WIDTH);
            for j in 0..i {
                let both = moved(&[(i, 1.0), (j, 1.0)]).1 + moved(&[(i, -1.0), (j, -1.0)]).1;
                let each = ahead[i].1 + behind[i].1 + ahead[j].1 + behind[j].1;
                let mixed = (both - each + 2.0 * here) / (2.0 * WIDTH * WIDTH);
                curvature[i][j] = mixed;
                curvature[j][i] = mixed;
            }
        }
        bend_down(&mut curvature);
        Self { flow, slope, curvature }
    }
}

/// Sets the positive eigenvalues of the second derivatives of a reward to zero: where a reward bends up, its quadratic
/// model has no best point, and only the slope says where to go.
fn bend_down(curvature: &mut [Vec<f64>]) {
    let size = curvature.len();
    let matrix = Mat::from_fn(size, size, |i, j| curvature[i][j]);
    // It fails where an entry is not a number, which no plan survives.
    let Ok(eigen) = matrix.self_adjoint_eigen(Side::Lower) else {
        return;
    };
    let (vectors, values) = (eigen.U(), eigen.S());
    for (i, row) in curvature.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            *entry = (0..size)
                .map(|k| vectors[(i, k)] * values[k].min(0.0) * vectors[(j, k)])
                .sum();
        }
    }
}
