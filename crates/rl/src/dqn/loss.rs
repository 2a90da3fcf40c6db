//! Targets and loss.

/// h in the loss, the mean of w h(y - q).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// x^2 / 2 up to |x| = 1 and |x| - 1/2 beyond: the clipped error of Mnih et al. 2015, PyTorch's `smooth_l1_loss`.
    Huber,
    /// x^2, PyTorch's `mse_loss`.
    Squared,
}

impl Loss {
    /// h(x) and its derivative.
    pub fn of(self, x: f32) -> (f32, f32) {
        match self {
            Self::Huber if x.abs() < 1.0 => (0.5 * x * x, x),
            Self::Huber => (x.abs() - 0.5, x.signum()),
            Self::Squared => (x * x, 2.0 * x),
        }
    }
}

/// y = r + gamma max_a q(s', a; w-), one for each row; `discounts` are 0 where the episode was terminated. Shapes: `[n]`, `[n]`,
/// `[n, a]` and `[n]`.
pub fn q_learning_targets(rewards: &[f32], discounts: &[f32], next_values: &[f32], targets: &mut [f32]) {
    let actions = next_values.len() / targets.len();
    let rows = next_values.chunks_exact(actions);
    for ((target, row), (reward, discount)) in targets.iter_mut().zip(rows).zip(rewards.iter().zip(discounts)) {
        *target = reward + discount * row[greedy(row)];
    }
}

/// y = r + gamma q(s', argmax_a q(s', a; w); w-), with the values of both networks for s'; shapes as in
/// [`q_learning_targets`].
pub fn double_targets(
    rewards: &[f32],
    discounts: &[f32],
    next_values: &[f32],
    choosing_values: &[f32],
    targets: &mut [f32],
) {
    let actions = next_values.len() / targets.len();
    let rows = next_values
        .chunks_exact(actions)
        .zip(choosing_values.chunks_exact(actions));
    for ((target, (row, choosing)), (reward, discount)) in
        targets.iter_mut().zip(rows).zip(rewards.iter().zip(discounts))
    {
        *target = reward + discount * row[greedy(choosing)];
    }
}

/// The first of the best actions.
pub(super) fn greedy(values: &[f32]) -> usize {
    let mut best = 0;
    for (action, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = action;
        }
    }
    best
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves and small whole numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn targets_bootstrap_unless_terminated() {
        let (rewards, discounts) = ([1.0, 2.0], [0.5, 0.0]);
        let (next, choosing) = ([3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 1.0, 0.0]);
        let mut targets = [0.0; 2];
        q_learning_targets(&rewards, &discounts, &next, &mut targets);
        assert_eq!(targets, [3.0, 2.0]);
        double_targets(&rewards, &discounts, &next, &choosing, &mut targets);
        assert_eq!(targets, [2.5, 2.0]);
    }

    #[test]
    fn losses_have_the_derivatives_that_they_say() {
        for loss in [Loss::Huber, Loss::Squared] {
            for x in [-3.0, -0.7, 0.0, 0.2, 1.7_f32] {
                let step = 1e-3;
                let slope = (loss.of(x + step).0 - loss.of(x - step).0) / (2.0 * step);
                assert!((slope - loss.of(x).1).abs() < 1e-3, "{loss:?} {x}: {slope}");
            }
        }
    }
}
