//! The arrays of a model, filled row by row in order.

use super::{Draw, Transition, check_reward, normalise};
use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;
use crate::rewards::RewardSamples;

/// The arrays of an [`Mdp`] under construction.
pub(super) struct Rows<'a> {
    mdp: Mdp,
    labels: Vec<u32>,
    samples: RewardSamples,
    draws: &'a [Draw],
    /// Whether labels are 0, 1, 2, ... in every state so far.
    labels_are_indices: bool,
    /// Whether r(s, a) has been the whole reward so far.
    rewards_are_certain: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(draws: &'a [Draw]) -> Self {
        let mdp = Mdp {
            state_rows: vec![0],
            row_starts: vec![0],
            ..Mdp::default()
        };
        let samples = RewardSamples {
            starts: vec![0],
            ..RewardSamples::default()
        };
        let rewards_are_certain = draws.is_empty();
        Self {
            mdp,
            labels: Vec::new(),
            samples,
            draws,
            labels_are_indices: true,
            rewards_are_certain,
        }
    }

    pub(super) fn has_draws(&self, state: u32) -> bool {
        self.draws.first().is_some_and(|draw| draw.state == state)
    }

    #[expect(
        clippy::float_cmp,
        reason = "rewards are one where they are the same number, not where they are near"
    )]
    pub(super) fn push(&mut self, row: &[Transition], absorbing: bool) -> Result<(), MdpError> {
        let Transition { state, action, .. } = row[0];
        let begin = self.mdp.next.len();
        for same in row.chunk_by(|a, b| a.next == b.next && a.reward == b.reward) {
            let probability: f64 = same.iter().map(|t| t.probability).sum();
            if probability > 0.0 {
                self.mdp.next.push(if absorbing { TERMINAL } else { same[0].next });
                self.mdp.probability.push(probability);
                self.samples.of_transition.push(same[0].reward);
            }
        }
        let (probability, rewards) = (&mut self.mdp.probability[begin..], &self.samples.of_transition[begin..]);
        normalise(state as usize, action, probability)?;
        let first_reward = rewards.first().copied().unwrap_or(0.0);
        let one_reward = rewards.iter().all(|&reward| reward == first_reward);
        self.rewards_are_certain &= one_reward;
        let mean = if one_reward {
            first_reward
        } else {
            probability.iter().zip(rewards).map(|(p, r)| p * r).sum()
        };
        let reward = mean + self.push_draws(state, action)?;
        check_reward(state as usize, action, reward)?;
        self.labels_are_indices &=
            action as usize == self.mdp.reward.len() - *self.mdp.state_rows.last().unwrap_or(&0) as usize;
        self.labels.push(action);
        self.mdp.reward.push(reward);
        self.mdp.row_starts.push(self.mdp.next.len() as u32);
        Ok(())
    }

    /// Stores p(r | s, a) of a row and returns its mean.
    fn push_draws(&mut self, state: u32, action: u32) -> Result<f64, MdpError> {
        let begin = self.samples.reward.len();
        let of_row;
        let count = self
            .draws
            .iter()
            .take_while(|draw| (draw.state, draw.action) == (state, action))
            .count();
        (of_row, self.draws) = self.draws.split_at(count);
        self.samples.reward.extend(of_row.iter().map(|draw| draw.reward));
        self.samples
            .probability
            .extend(of_row.iter().map(|draw| draw.probability));
        self.samples.starts.push(self.samples.reward.len() as u32);
        let probability = &mut self.samples.probability[begin..];
        if !of_row.is_empty() {
            normalise(state as usize, action, probability)?;
        }
        Ok(probability
            .iter()
            .zip(&self.samples.reward[begin..])
            .map(|(p, r)| p * r)
            .sum())
    }

    pub(super) fn end_state(&mut self) {
        self.mdp.state_rows.push(self.mdp.reward.len() as u32);
    }

    pub(super) fn finish(self) -> Result<Mdp, MdpError> {
        if let Some(draw) = self.draws.first() {
            return Err(MdpError::UnknownAction {
                state: draw.state as usize,
                action: draw.action,
            });
        }
        Ok(Mdp {
            labels: (!self.labels_are_indices).then_some(self.labels),
            samples: (!self.rewards_are_certain).then_some(self.samples),
            ..self.mdp
        })
    }
}
