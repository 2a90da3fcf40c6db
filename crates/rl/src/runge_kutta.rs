//! Ordinary differential equations, a step at a time.

/// One step of the classic Runge-Kutta method of fourth order, `time` long: the state that `rate`, the time derivative of
/// a state, leads to.
#[inline]
pub(crate) fn runge_kutta<const N: usize>(state: [f64; N], time: f64, rate: impl Fn([f64; N]) -> [f64; N]) -> [f64; N] {
    let moved = |rate: [f64; N], time: f64| std::array::from_fn(|i| state[i] + time * rate[i]);
    let rate_1 = rate(state);
    let rate_2 = rate(moved(rate_1, time / 2.0));
    let rate_3 = rate(moved(rate_2, time / 2.0));
    let rate_4 = rate(moved(rate_3, time));
    let sum = std::array::from_fn(|i| rate_1[i] + 2.0 * rate_2[i] + 2.0 * rate_3[i] + rate_4[i]);
    moved(sum, time / 6.0)
}
