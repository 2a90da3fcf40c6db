//! How much better tokens were than what was to be expected.

/// Of each token, `[tokens]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Advantages {
    /// A; 0 of a token that does not count.
    pub advantages: Vec<f32>,
    /// A + v, which values are to become; 0 of a token that does not count.
    pub returns: Vec<f32>,
}

/// Generalised advantage estimation (Schulman et al. 2016, equation 16), backwards through each answer:
///
/// ```text
/// delta_t = r_t + gamma v_t+1 - v_t,   A_t = delta_t + gamma lambda A_t+1
/// ```
///
/// After the last token there is nothing. `rewards`, `values` and `mask` are `[tokens]`, `lengths` `[answers]`. A token that does not count
/// is no step: the step before it goes on with the one after it.
///
/// # Panics
/// The lengths do not add up to the number of tokens.
pub fn generalized_advantages(
    rewards: &[f32],
    values: &[f32],
    mask: &[bool],
    lengths: &[usize],
    [discount, lambda]: [f64; 2],
) -> Advantages {
    assert_eq!(lengths.iter().sum::<usize>(), rewards.len(), "tokens of answers");
    let (mut advantages, mut returns) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
    let mut first = 0;
    for length in lengths {
        let (mut next_value, mut after) = (0.0, 0.0);
        for token in (first..first + length).rev().filter(|token| mask[*token]) {
            let value = f64::from(values[token]);
            let error = f64::from(rewards[token]) + discount * next_value - value;
            after = error + discount * lambda * after;
            next_value = value;
            (advantages[token], returns[token]) = (after as f32, (after + value) as f32);
        }
        first += length;
    }
    Advantages { advantages, returns }
}
