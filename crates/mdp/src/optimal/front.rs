//! Value iteration only where values still move.
//!
//! A better action found in one state may make another action better in the states that lead to it, and so on: on a map
//! the news travels as a front. Sweeping all states for its sake would be a waste, so states wait in a queue of one bit
//! each, and a state that moves calls its predecessors (prioritised sweeping with a threshold; Moore and Atkeson 1993;
//! Sutton and Barto, section 8.4).

use crate::model::{Model, value_of};
use crate::sweep::{self, InPlace};

/// Predecessors per state above which fronts spread too fast to be followed.
const MANY_PREDECESSORS: usize = 8;

/// Predecessors of one state above which fronts stop there: a crowd would hear of every little change.
const CROWD: u32 = 64;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// The predecessors of every state, under any action, and the states that wait to be backed up.
pub(super) struct Front {
    starts: Vec<u32>,
    predecessors: Vec<u32>,
    waiting: Vec<u64>,
}

impl Front {
    /// Of a model whose states have few predecessors; none of another.
    pub(super) fn new<M: Model>(model: &M) -> Option<Self> {
        let states = model.states();
        // Counts first, then places: `starts[s + 1]` runs from where s begins to where it ends.
        let mut starts = vec![0_u32; states + 2];
        let mut edges = 0;
        let mut seen = vec![u32::MAX; states];
        for state in 0..states {
            for_each_successor(model, state, &mut seen, |next| {
                starts[next + 2] += 1;
                edges += 1;
            });
            if edges > MANY_PREDECESSORS * states {
                return None;
            }
        }
        for count in &mut starts {
            *count = if *count > CROWD { 0 } else { *count };
        }
        // States with too many have an empty list.
        let followed: Vec<bool> = starts[2..].iter().map(|&count| count > 0).collect();
        for state in 0..=states {
            starts[state + 1] += starts[state];
        }
        let mut predecessors = vec![0; starts[states + 1] as usize];
        seen.fill(u32::MAX);
        for state in 0..states {
            for_each_successor(model, state, &mut seen, |next| {
                if !followed[next] {
                    return;
                }
                let place = &mut starts[next + 1];
                predecessors[*place as usize] = state as u32;
                *place += 1;
            });
        }
        starts.pop();
        let waiting = vec![0; states.div_ceil(WORD)];
        Some(Self {
            starts,
            predecessors,
            waiting,
        })
    }

    /// Backs up the states where `backed_up` differs from `values` by more than `threshold`, then the predecessors of those
    /// that move, and so on until no state moves by more, or as many have been backed up as there are. Updates `values`,
    /// their policy and `backed_up` = T_pi `values` of that policy.
    pub(super) fn advance<M: Model>(
        &mut self,
        model: &M,
        discount: f64,
        threshold: f64,
        values: &mut [f64],
        backed_up: &mut [f64],
        policy: &mut [u32],
    ) {
        let Self {
            starts,
            predecessors,
            waiting,
        } = self;
        for (waiting, (values, backed_up)) in waiting.iter_mut().zip(values.chunks(WORD).zip(backed_up.chunks(WORD))) {
            *waiting = 0;
            for (bit, (value, backed_up)) in values.iter().zip(backed_up).enumerate() {
                *waiting |= u64::from((backed_up - value).abs() > threshold) << bit;
            }
        }
        let mut backups = 0;
        let (mut forward, mut spreads) = (false, true);
        loop {
            let before = backups;
            for word in 0..waiting.len() {
                let word = if forward { word } else { waiting.len() - 1 - word };
                // The states of this word that the sweep has not passed yet.
                let mut ahead = u64::MAX;
                while waiting[word] & ahead != 0 {
                    let bits = waiting[word] & ahead;
                    let bit = if forward { bits.trailing_zeros() } else { bits.ilog2() };
                    let passed = if forward {
                        u64::MAX >> (63 - bit)
                    } else {
                        u64::MAX << bit
                    };
                    ahead = !passed;
                    waiting[word] &= !(1 << bit);
                    let state = word * WORD + bit as usize;
                    let InPlace { value, action, stay } =
                        sweep::backup_in_place(model, discount, state, |next| value_of(values, next));
                    backups += 1;
                    policy[state] = action;
                    // The state moves to where it equals its backup, or stays, and then T_pi takes it part of the way.
                    let change = value - values[state];
                    backed_up[state] = values[state] + change * (1.0 - discount * stay);
                    // A state that nobody or a crowd leads to is left to the correction.
                    let predecessors = &predecessors[starts[state] as usize..starts[state + 1] as usize];
                    if spreads && change.abs() > threshold && !predecessors.is_empty() {
                        (values[state], backed_up[state]) = (value, value);
                        for &state in predecessors {
                            waiting[state as usize / WORD] |= 1 << (state as usize % WORD);
                        }
                    }
                }
            }
            if backups == before || !spreads {
                return;
            }
            // Where the limit ends a front, the states still waiting are backed up once more, and do not move.
            spreads = backups <= values.len();
            forward = !forward;
        }
    }
}

/// Calls `visit` once for every state that some action in `state` may lead to, but itself.
fn for_each_successor<M: Model>(model: &M, state: usize, seen: &mut [u32], mut visit: impl FnMut(usize)) {
    for action in 0..model.actions(state) {
        model.successors(state, action, |next, _| {
            let Some(seen) = seen.get_mut(next as usize) else {
                return;
            };
            if *seen != state as u32 && next as usize != state {
                *seen = state as u32;
                visit(next as usize);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Mdp, MdpBuilder, Next};

    /// A corridor whose last state earns 1 a step for ever; in the others one may wait or walk on.
    fn corridor(states: usize) -> Mdp {
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            let reward = if state + 1 == states { 1.0 } else { 0.0 };
            builder.transition(state, 0, Next::State(state), 1.0, reward);
            builder.transition(state, 1, Next::State((state + 1).min(states - 1)), 1.0, reward);
        }
        builder.build().unwrap()
    }

    /// The values, their backup and the policy after a front from v = 0.
    fn advanced(model: &Mdp, discount: f64, threshold: f64) -> (Vec<f64>, Vec<f64>, Vec<u32>) {
        let mut values = vec![0.0; model.states()];
        let mut backed_up = vec![0.0; model.states()];
        let mut greedy = vec![0; model.states()];
        sweep::jacobi(model, discount, &values, &mut backed_up, &mut greedy);
        let mut front = Front::new(model).unwrap();
        front.advance(model, discount, threshold, &mut values, &mut backed_up, &mut greedy);
        (values, backed_up, greedy)
    }

    #[test]
    fn news_travels_while_it_matters() {
        let (values, ..) = advanced(&corridor(100), 0.5, 1e-3);
        // 2 in the last state, half as much in every state before, and nothing once that is below the threshold.
        for (steps, value) in values.iter().rev().enumerate() {
            let expected = 2.0 * 0.5_f64.powi(steps as i32);
            let expected = if expected > 1e-3 { expected } else { 0.0 };
            assert!((value - expected).abs() < 1e-12, "{steps} steps: {value}");
        }
    }

    #[test]
    fn a_state_with_many_predecessors_is_not_followed() {
        let states = 20;
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            for next in 0..states {
                builder.transition(state, 0, Next::State(next), 1.0 / states as f64, 0.0);
            }
        }
        assert!(Front::new(&builder.build().unwrap()).is_none());
    }

    #[test]
    fn a_front_stops_where_a_crowd_would_hear_of_it() {
        // Every state may start again at state 0, which earns 1 and is 1 / (1 - 0.5) worth.
        let mut builder = MdpBuilder::new(200);
        builder.transition(0, 0, Next::State(0), 1.0, 1.0);
        for state in 1..200 {
            builder.transition(state, 0, Next::State(0), 1.0, 0.0);
        }
        let (values, backed_up, _) = advanced(&builder.build().unwrap(), 0.5, 1e-3);
        assert_eq!((values, backed_up[0]), (vec![0.0; 200], 1.0));
    }

    proptest! {
        #[test]
        fn the_backup_of_the_policy_is_kept_up_to_date(
            transitions in prop::collection::vec((0..12_usize, 0..3_u32, 0..12_usize, 1..10_u32, -3.0..3.0), 1..60),
            threshold in 1e-6..1.0,
        ) {
            let mut builder = MdpBuilder::new(12);
            let mut totals = [[0; 3]; 12];
            for &(state, action, _, weight, _) in &transitions {
                totals[state][action as usize] += weight;
            }
            for &(state, action, next, weight, reward) in &transitions {
                let probability = f64::from(weight) / f64::from(totals[state][action as usize]);
                builder.transition(state, action, Next::State(next), probability, reward);
            }
            for (state, totals) in totals.iter().enumerate() {
                if totals.iter().all(|&total| total == 0) {
                    builder.transition(state, 0, Next::State(state), 1.0, 0.0);
                }
            }
            let model = builder.build().unwrap();
            let (values, backed_up, policy) = advanced(&model, 0.9, threshold);
            for state in 0..model.states() {
                let by_policy = model.action_value(state, policy[state] as usize, 0.9, &values);
                prop_assert!((backed_up[state] - by_policy).abs() < 1e-9, "{state}: {} {by_policy}", backed_up[state]);
            }
        }
    }
}
