//! The frontier of reward and KL divergence: how much reward a policy has for how far it is from the reference (Rafailov et al. 2023,
//! section 6.1 and figure 2).
//!
//! A method is judged by all its policies together, of every setting and every stage of training: one may have a higher reward than
//! another only because it has gone further. What a method achieves is the upper envelope of its policies, its [`pareto`] front; of two
//! methods the one whose front is higher at the same divergence is better, and [`Comparison`] says where that is so and by how much.

use etude_lm::decoder::Decoder;
use etude_train::Seed;
use serde::{Deserialize, Serialize};

use crate::AlignError;
use crate::ppo::{Drawing, Question, Rollout, full_kl};
use crate::preference::{Aggregation, AnswerSequences, sequence_log_probabilities};
use crate::reward::{Answer, RewardFunction, total_rewards};
use crate::training::Sequences as _;

/// Answers whose distributions are computed at a time: both models' logits of all their tokens are held.
const TOGETHER: usize = 8;

/// What a policy has answered.
#[derive(Debug)]
pub struct Judged<'q> {
    /// The answers, one for each question.
    pub rollouts: Vec<Rollout<'q>>,
    /// Their rewards.
    pub rewards: Vec<f32>,
    /// Of each answer the sum, over its tokens, of KL(pi || `pi_ref`) there: its mean estimates the KL divergence of whole answers
    /// with less variance than ln pi - ln `pi_ref` of the tokens that were drawn.
    pub divergences: Vec<f32>,
}

/// Draws an answer of the policy to each question, and says how good it is and how far from what the reference would say. Neither model
/// is in autodiff.
///
/// # Errors
/// An answer cannot be drawn or scored.
pub fn judge<'q>(
    policy: &Decoder,
    reference: &Decoder,
    drawing: Drawing<'_>,
    rewards: &mut [Box<dyn RewardFunction>],
    questions: &'q [Question],
    seed: Seed,
) -> Result<Judged<'q>, AlignError> {
    let asked: Vec<&Question> = questions.iter().collect();
    let rollouts = drawing.draw(policy, &asked, seed, "evaluation", 0)?;
    let answers: Vec<Answer<'_>> = rollouts.iter().map(Rollout::answer).collect();
    let rewards = total_rewards(rewards, &answers)?.total;
    let mut divergences = Vec::with_capacity(rollouts.len());
    for rollouts in rollouts.chunks(TOGETHER) {
        let answers = AnswerSequences::new(rollouts.iter().map(|rollout| &rollout.sequence));
        let logits = |decoder: &Decoder| {
            let (rows, _) = answers.predicting(decoder.hidden(answers.tokens(), answers.offsets()));
            decoder.logits(rows)
        };
        let of_tokens = full_kl(logits(policy), logits(reference));
        let of_answers = sequence_log_probabilities(of_tokens, answers.lengths(), Aggregation::Sum);
        divergences.extend(of_answers.to_data().iter::<f32>());
    }
    Ok(Judged {
        rollouts,
        rewards,
        divergences,
    })
}

/// A policy's place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The KL divergence from the reference, in nats per answer.
    pub kl: f64,
    /// The mean reward.
    pub reward: f64,
}

/// The points that no other has more reward than at the same divergence or a smaller one, by rising divergence, with which their rewards
/// rise too. Points that are not finite are left out.
pub fn pareto(points: &[Point]) -> Vec<Point> {
    let finite = |point: &&Point| point.kl.is_finite() && point.reward.is_finite();
    let mut sorted: Vec<Point> = points.iter().filter(finite).copied().collect();
    // Of points at one divergence the best comes first.
    sorted.sort_by(|left, right| left.kl.total_cmp(&right.kl).then(right.reward.total_cmp(&left.reward)));
    let mut front: Vec<Point> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point.reward > last.reward) {
            front.push(point);
        }
    }
    front
}

/// The reward of a front at a divergence, on the straight line between its neighbours; none beyond its ends.
pub fn reward_at(front: &[Point], kl: f64) -> Option<f64> {
    let after = front.partition_point(|point| point.kl < kl);
    let right = front.get(after)?;
    if right.kl <= kl {
        return Some(right.reward);
    }
    let left = front.get(after.checked_sub(1)?)?;
    let share = (kl - left.kl) / (right.kl - left.kl);
    Some(left.reward + share * (right.reward - left.reward))
}

/// One front beside another, over the divergences that both cover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// The smallest of these divergences.
    pub from: f64,
    /// The largest.
    pub to: f64,
    /// The mean, over these divergences, of the first front's reward less the second's.
    pub difference: f64,
    /// At this share of them the first front has the higher reward.
    pub share: f64,
}

impl Comparison {
    /// Compares two fronts exactly, piece by piece: both are straight between the divergences of their points. None where there is no
    /// stretch that both cover.
    pub fn new(one: &[Point], other: &[Point]) -> Option<Self> {
        let from = one.first()?.kl.max(other.first()?.kl);
        let to = one.last()?.kl.min(other.last()?.kl);
        if from >= to {
            return None;
        }
        let mut ends: Vec<f64> = one.iter().chain(other).map(|point| point.kl).collect();
        ends.retain(|kl| (from..=to).contains(kl));
        ends.sort_by(f64::total_cmp);
        let (mut area, mut above) = (0.0, 0.0);
        for piece in ends.windows(2) {
            let difference = |kl| Some(reward_at(one, kl)? - reward_at(other, kl)?);
            let (left, right) = (difference(piece[0])?, difference(piece[1])?);
            let width = piece[1] - piece[0];
            area += width * f64::midpoint(left, right);
            above += width * share_above(left, right);
        }
        Some(Self {
            from,
            to,
            difference: area / (to - from),
            share: above / (to - from),
        })
    }
}

/// The share of a straight line's length, from one height to another, that is above 0.
fn share_above(left: f64, right: f64) -> f64 {
    match (left > 0.0, right > 0.0) {
        (true, true) => 1.0,
        (false, false) => 0.0,
        _ => left.max(right) / (right - left).abs(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(numbers: &[(f64, f64)]) -> Vec<Point> {
        numbers.iter().map(|&(kl, reward)| Point { kl, reward }).collect()
    }

    #[test]
    fn a_front_has_what_no_other_point_beats() {
        let all = points(&[
            (3.0, 2.0),
            (0.0, 0.0),
            (1.0, 1.5),
            (2.0, 1.0),
            (1.0, 1.0),
            (4.0, f64::NAN),
        ]);
        let front = pareto(&all);
        assert_eq!(front, points(&[(0.0, 0.0), (1.0, 1.5), (3.0, 2.0)]));
        assert_eq!(reward_at(&front, 2.0), Some(1.75));
        assert_eq!(reward_at(&front, 3.0), Some(2.0));
        assert_eq!((reward_at(&front, -0.1), reward_at(&front, 3.1)), (None, None));
    }

    #[test]
    fn fronts_are_compared_where_both_are() {
        let (one, other) = (points(&[(0.0, 0.0), (4.0, 4.0)]), points(&[(1.0, 2.0), (8.0, 2.0)]));
        let found = Comparison::new(&one, &other).unwrap();
        let expected = Comparison {
            from: 1.0,
            to: 4.0,
            difference: 0.5,
            share: 2.0 / 3.0,
        };
        assert!((found.difference - expected.difference).abs() < 1e-12 && (found.share - expected.share).abs() < 1e-12);
        assert_eq!((found.from, found.to), (expected.from, expected.to));
        assert_eq!(Comparison::new(&one, &points(&[(5.0, 1.0), (6.0, 2.0)])), None);
        assert_eq!(Comparison::new(&one, &[]), None);
    }

    fn some() -> impl Strategy<Value = Vec<Point>> {
        let point = (0.0..20.0_f64, -5.0..5.0_f64).prop_map(|(kl, reward)| Point { kl, reward });
        proptest::collection::vec(point, 0..30)
    }

    proptest! {
        #[test]
        fn every_point_is_on_the_front_or_beaten_by_one_that_is(all in some()) {
            let front = pareto(&all);
            let beats = |one: &Point, other: &Point| one.kl <= other.kl && one.reward >= other.reward;
            for point in &all {
                prop_assert!(front.iter().any(|on| beats(on, point)));
            }
            for point in &front {
                prop_assert!(all.contains(point));
                prop_assert!(!all.iter().any(|other| other != point && beats(other, point)));
            }
            prop_assert_eq!(pareto(&front), front);
        }

        #[test]
        fn a_comparison_the_other_way_round_has_the_other_sign(one in some(), other in some()) {
            let (one, other) = (pareto(&one), pareto(&other));
            let (there, back) = (Comparison::new(&one, &other), Comparison::new(&other, &one));
            prop_assert_eq!(there.is_some(), back.is_some());
            if let (Some(there), Some(back)) = (there, back) {
                prop_assert!((there.difference + back.difference).abs() < 1e-9);
                prop_assert!(there.share + back.share <= 1.0 + 1e-9);
                prop_assert!((0.0..=1.0 + 1e-9).contains(&there.share));
            }
        }
    }
}
