//! From sorted transitions to the arrays of a model, in place.

use super::transitions::{Run, Transitions};
use super::{Draw, check_reward, normalise};
use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;
use crate::rewards::RewardSamples;

/// The arrays of an [`Mdp`] under construction. Its transitions are those of the builder: what a row keeps of them moves
/// up to those of the row before.
pub(super) struct Rows<'a> {
    mdp: Mdp,
    /// r(s, a, s') of each transition.
    of_transition: Vec<f64>,
    /// How many transitions the rows so far have kept.
    kept: usize,
    runs: &'a [Run],
    draws: &'a [Draw],
    samples: RewardSamples,
    /// Whether labels are 0, 1, 2, ... in every state so far.
    labels_are_indices: bool,
    /// Whether r(s, a) has been the whole reward so far.
    rewards_are_certain: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(runs: &'a [Run], transitions: Transitions, draws: &'a [Draw]) -> Self {
        let mut mdp = Mdp {
            row_starts: Vec::with_capacity(runs.len() + 1),
            reward: Vec::with_capacity(runs.len()),
            next: transitions.next,
            probability: transitions.probability,
            ..Mdp::default()
        };
        mdp.state_rows.push(0);
        mdp.row_starts.push(0);
        Self {
            mdp,
            of_transition: transitions.reward,
            kept: 0,
            runs,
            draws,
            samples: RewardSamples {
                starts: vec![0],
                ..RewardSamples::default()
            },
            labels_are_indices: true,
            rewards_are_certain: draws.is_empty(),
        }
    }

    /// Appends a state with the runs of its actions.
    pub(super) fn push_state(&mut self, state: u32, runs: &[Run]) -> Result<(), MdpError> {
        let stays_for_nothing = |place: usize| {
            self.mdp.next[place] == state && self.of_transition[place] == 0.0 || self.mdp.probability[place] == 0.0
        };
        let has_draws = self.draws.first().is_some_and(|draw| draw.state == state);
        let absorbing = !has_draws && runs.iter().all(|run| run.places().all(stays_for_nothing));
        for (index, run) in (0..).zip(runs) {
            self.labels_are_indices &= run.action == index;
            self.push_row(run, absorbing)?;
        }
        self.mdp.state_rows.push(self.mdp.reward.len() as u32);
        Ok(())
    }

    #[expect(
        clippy::float_cmp,
        reason = "rewards are one where they are the same number, not where they are near"
    )]
    fn push_row(&mut self, run: &Run, absorbing: bool) -> Result<(), MdpError> {
        let (begin, mut end) = (self.kept, self.kept);
        let (next, probability) = (&mut self.mdp.next, &mut self.mdp.probability);
        for place in run.places() {
            if probability[place] == 0.0 {
                continue;
            }
            let last = end.wrapping_sub(1);
            let same =
                end > begin && next[last] == next[place] && self.of_transition[last] == self.of_transition[place];
            if same {
                probability[last] += probability[place];
            } else {
                next[end] = next[place];
                probability[end] = probability[place];
                self.of_transition[end] = self.of_transition[place];
                end += 1;
            }
        }
        self.kept = end;
        if absorbing {
            next[begin..end].fill(TERMINAL);
        }
        let (probability, rewards) = (&mut probability[begin..end], &self.of_transition[begin..end]);
        normalise(run.state as usize, run.action, probability)?;
        let first_reward = rewards.first().copied().unwrap_or(0.0);
        let one_reward = rewards.iter().all(|&reward| reward == first_reward);
        self.rewards_are_certain &= one_reward;
        let mean = if one_reward {
            first_reward
        } else {
            probability.iter().zip(rewards).map(|(p, r)| p * r).sum()
        };
        let reward = mean + self.push_draws(run)?;
        check_reward(run.state as usize, run.action, reward)?;
        self.mdp.reward.push(reward);
        self.mdp.row_starts.push(end as u32);
        Ok(())
    }

    /// Stores p(r | s, a) of a row and returns its mean.
    fn push_draws(&mut self, run: &Run) -> Result<f64, MdpError> {
        let is_of_row = |draw: &&Draw| (draw.state, draw.action) == (run.state, run.action);
        let of_row;
        (of_row, self.draws) = self.draws.split_at(self.draws.iter().take_while(is_of_row).count());
        let samples = &mut self.samples;
        let begin = samples.reward.len();
        samples.reward.extend(of_row.iter().map(|draw| draw.reward));
        samples.probability.extend(of_row.iter().map(|draw| draw.probability));
        samples.starts.push(samples.reward.len() as u32);
        let probability = &mut samples.probability[begin..];
        if !of_row.is_empty() {
            normalise(run.state as usize, run.action, probability)?;
        }
        let outcomes = probability.iter().zip(&samples.reward[begin..]);
        Ok(outcomes.map(|(p, r)| p * r).sum())
    }

    pub(super) fn finish(self) -> Result<Mdp, MdpError> {
        if let Some(draw) = self.draws.first() {
            return Err(MdpError::UnknownAction {
                state: draw.state as usize,
                action: draw.action,
            });
        }
        let Self {
            mut mdp,
            mut of_transition,
            samples,
            ..
        } = self;
        mdp.next.truncate(self.kept);
        mdp.probability.truncate(self.kept);
        of_transition.truncate(self.kept);
        mdp.labels = (!self.labels_are_indices).then(|| self.runs.iter().map(|run| run.action).collect());
        mdp.samples = (!self.rewards_are_certain).then_some(RewardSamples {
            of_transition,
            ..samples
        });
        Ok(mdp)
    }
}
