//! What the networks of DDPG and TD3 move to.

/// y = r + gamma q(s', a'; w-), one for each row; `discounts` are 0 where the episode was terminated. Shape `[n]` each.
pub fn action_value_targets(rewards: &[f32], discounts: &[f32], next_values: &[f32], targets: &mut [f32]) {
    for ((target, value), (reward, discount)) in targets.iter_mut().zip(next_values).zip(rewards.iter().zip(discounts))
    {
        *target = reward + discount * value;
    }
}

/// `values` <- min(`values`, `others`): of two critics the more careful one is believed (Fujimoto et al. 2018, equation 10). Shape `[n]`
/// each.
pub fn take_lesser(values: &mut [f32], others: &[f32]) {
    for (value, other) in values.iter_mut().zip(others) {
        *value = value.min(*other);
    }
}

/// a' <- clip(a' + clip(noise, -c, c), -1, 1): similar actions should have similar values (Fujimoto et al. 2018, equation 14). Shape `[n, a]`
/// each.
pub fn smooth(actions: &mut [f32], noise: &[f32], clip: f32) {
    for (action, noise) in actions.iter_mut().zip(noise) {
        *action = (*action + noise.clamp(-clip, clip)).clamp(-1.0, 1.0);
    }
}

/// The mean of (y - q)^2, and its gradient by each q into `gradient`. Shape `[n]` each.
pub fn critic_loss(values: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
    let count = values.len() as f32;
    let mut loss = 0.0;
    for ((slope, value), target) in gradient.iter_mut().zip(values).zip(targets) {
        let error = value - target;
        loss += f64::from(error * error);
        *slope = 2.0 * error / count;
    }
    loss / f64::from(count)
}

/// The actor's loss, the mean of -q(s, mu(s)), and its gradient by each q into `gradient`, from where it goes through the critic to the
/// action and through the actor to theta: the deterministic policy gradient (Silver et al. 2014, theorem 1). Shape `[n]` each.
pub fn deterministic_policy_gradient(values: &[f32], gradient: &mut [f32]) -> f64 {
    let count = values.len() as f32;
    gradient.fill(-count.recip());
    -values.iter().copied().map(f64::from).sum::<f64>() / f64::from(count)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves and small whole numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn targets_bootstrap_unless_terminated_from_the_lesser_value() {
        let (rewards, discounts, mut targets) = ([1.0, 2.0, 0.0], [0.5, 0.0, 0.5], [0.0; 3]);
        let mut values = [4.0, 9.0, -2.0];
        take_lesser(&mut values, &[6.0, 8.0, -4.0]);
        action_value_targets(&rewards, &discounts, &values, &mut targets);
        assert_eq!(targets, [3.0, 2.0, -2.0]);
    }

    #[test]
    fn target_actions_are_smoothed_within_their_bounds() {
        let mut actions = [0.0, 0.75, -0.25];
        smooth(&mut actions, &[2.0, 0.5, -0.25], 0.5);
        assert_eq!(actions, [0.5, 1.0, -0.5]);
    }

    #[test]
    fn losses_have_the_gradients_that_they_say() {
        let (values, targets, mut gradient) = ([1.0, 3.0], [2.0, 1.0], [0.0; 2]);
        assert_eq!(critic_loss(&values, &targets, &mut gradient), 2.5);
        assert_eq!(gradient, [-1.0, 2.0]);
        assert_eq!(deterministic_policy_gradient(&values, &mut gradient), -2.0);
        assert_eq!(gradient, [-0.5, -0.5]);
    }
}
