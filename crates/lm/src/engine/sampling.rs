//! From logits to the next token.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::LmError;

/// How the next token is drawn from its logits.
///
/// The steps come in this order: repetition penalty, presence and frequency penalties, logit bias, temperature, `top_k`, `top_p`,
/// `min_p`, and a draw from what is left. The default is greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 takes the likeliest token, the first of equals.
    pub temperature: f32,
    /// Only this many of the likeliest tokens may be drawn; 0 stands for all.
    pub top_k: usize,
    /// Only the fewest likeliest tokens may be drawn whose chances add up to this (Holtzman et al. 2020); 1 stands for all.
    pub top_p: f32,
    /// Only tokens may be drawn whose chance is at least this part of the likeliest one's (Nguyen et al. 2024); 0 stands for all.
    pub min_p: f32,
    /// Positive logits of tokens that are in the prompt or the answer are divided by this, and negative ones multiplied (Keskar et
    /// al. 2019); 1 changes nothing.
    pub repetition_penalty: f32,
    /// Taken off the logits of tokens that are in the answer.
    pub presence_penalty: f32,
    /// Taken off the logit of a token once for each time that it is in the answer.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens; negative infinity forbids one.
    pub logit_bias: Vec<(u32, f32)>,
    /// Where the request's own random numbers start.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// A value is out of its range, or a token of `logit_bias` is none of `vocabulary` tokens.
    pub(crate) fn check(&self, vocabulary: usize) -> Result<(), LmError> {
        let check = |name: &'static str, value: f32, holds: bool, expected: &'static str| {
            if holds {
                Ok(())
            } else {
                Err(LmError::Setting {
                    name,
                    found: value.to_string(),
                    expected,
                })
            }
        };
        let finite = f32::is_finite;
        check(
            "temperature",
            self.temperature,
            finite(self.temperature) && self.temperature >= 0.0,
            "0 or more",
        )?;
        check(
            "top_p",
            self.top_p,
            self.top_p > 0.0 && self.top_p <= 1.0,
            "more than 0, and 1 at most",
        )?;
        check(
            "min_p",
            self.min_p,
            self.min_p >= 0.0 && self.min_p <= 1.0,
            "between 0 and 1",
        )?;
        let penalty = self.repetition_penalty;
        check(
            "repetition_penalty",
            penalty,
            finite(penalty) && penalty > 0.0,
            "more than 0",
        )?;
        check(
            "presence_penalty",
            self.presence_penalty,
            finite(self.presence_penalty),
            "a finite number",
        )?;
        check(
            "frequency_penalty",
            self.frequency_penalty,
            finite(self.frequency_penalty),
            "a finite number",
        )?;
        for &(token, bias) in &self.logit_bias {
            check(
                "logit_bias",
                bias,
                bias < f32::INFINITY,
                "a finite number, or negative infinity",
            )?;
            if token as usize >= vocabulary {
                return Err(LmError::TokenId {
                    id: token,
                    size: vocabulary,
                });
            }
        }
        Ok(())
    }
}

/// The state that a request's draws depend on.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    /// How often a token was generated; 0 for one that is in the prompt alone. Kept where a penalty asks for it.
    counts: BTreeMap<u32, u32>,
    logits: Vec<f32>,
    candidates: Vec<Candidate>,
}

/// A token that may be drawn.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    token: u32,
    /// In proportion to its chance; the likeliest token has 1.
    weight: f32,
}

impl Candidate {
    /// The likeliest first, and of equals the first in the vocabulary.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what sorting calls takes references")]
    fn order(&self, other: &Self) -> Ordering {
        other.weight.total_cmp(&self.weight).then(self.token.cmp(&other.token))
    }
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let mut sampler = Self {
            random: ChaCha8Rng::seed_from_u64(sampling.seed),
            sampling,
            counts: BTreeMap::new(),
            logits: Vec::new(),
            candidates: Vec::new(),
        };
        if sampler.has_penalties() {
            sampler.counts.extend(prompt.iter().map(|&token| (token, 0)));
        }
        sampler
    }

    #[expect(clippy::float_cmp, reason = "these very values switch a penalty off")]
    fn has_penalties(&self) -> bool {
        let sampling = &self.sampling;
        sampling.repetition_penalty != 1.0 || sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0
    }

    /// Draws the token that follows, of which `logits` [vocabulary] are all finite, and remembers it.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> u32 {
        let mut changed = std::mem::take(&mut self.logits);
        let logits = if self.has_penalties() || !self.sampling.logit_bias.is_empty() {
            changed.clear();
            changed.extend_from_slice(logits);
            self.penalize(&mut changed);
            &changed
        } else {
            logits
        };
        let token = if self.sampling.temperature == 0.0 {
            likeliest(logits)
        } else {
            self.draw_by_chance(logits)
        };
        self.logits = changed;
        if self.has_penalties() {
            *self.counts.entry(token).or_default() += 1;
        }
        token
    }

    fn penalize(&self, logits: &mut [f32]) {
        let sampling = &self.sampling;
        for (&token, &count) in &self.counts {
            // A prompt's tokens were checked; a vocabulary padded for training may be larger than the logits of a foreign head.
            let Some(logit) = logits.get_mut(token as usize) else {
                continue;
            };
            *logit = if *logit > 0.0 {
                *logit / sampling.repetition_penalty
            } else {
                *logit * sampling.repetition_penalty
            };
            if count > 0 {
                *logit -= sampling.presence_penalty + sampling.frequency_penalty * count as f32;
            }
        }
        for &(token, bias) in &sampling.logit_bias {
            logits[token as usize] += bias;
        }
    }

    fn draw_by_chance(&mut self, logits: &[f32]) -> u32 {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.sampling;
        let highest = logits[likeliest(logits) as usize];
        let weight = |logit: f32| ((logit - highest) / temperature).exp();
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend((0..).zip(logits).map(|(token, &logit)| Candidate {
            token,
            weight: weight(logit),
        }));
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, Candidate::order);
            candidates.truncate(top_k);
        }
        if top_p < 1.0 {
            let total = total(candidates);
            // All tokens below this one's share of what may be left out are left out together, so that few remain to be sorted.
            let least = (1.0 - f64::from(top_p)) * total / candidates.len() as f64;
            candidates.retain(|candidate| f64::from(candidate.weight) >= least);
            candidates.sort_unstable_by(Candidate::order);
            let mut sum = 0.0;
            let count = candidates.iter().position(|candidate| {
                sum += f64::from(candidate.weight);
                sum >= f64::from(top_p) * total
            });
            candidates.truncate(count.map_or(candidates.len(), |last| last + 1));
        } else if top_k > 0 {
            // Which end of a partial sort a token lies at is chance of another kind.
            candidates.sort_unstable_by(Candidate::order);
        }
        if min_p > 0.0 {
            candidates.retain(|candidate| candidate.weight >= min_p);
        }
        let mut left = self.random.random::<f64>() * total(candidates);
        let drawn = candidates.iter().find(|candidate| {
            left -= f64::from(candidate.weight);
            left < 0.0
        });
        // Rounding may leave a little at the end: then it is the last token that has a chance.
        drawn
            .or_else(|| candidates.iter().rfind(|candidate| candidate.weight > 0.0))
            .map_or(0, |candidate| candidate.token)
    }
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

/// The token with the highest logit, the first of equals.
pub(crate) fn likeliest(logits: &[f32]) -> u32 {
    const LANES: usize = 16;
    // The highest of each lane first, without a branch; then the place where it is.
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = logits.as_chunks::<LANES>();
    for part in whole {
        for (highest, &logit) in lanes.iter_mut().zip(part) {
            *highest = if logit > *highest { logit } else { *highest };
        }
    }
    let highest = lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    #[expect(clippy::float_cmp, reason = "it is one of them")]
    let place = logits.iter().position(|&logit| logit == highest);
    place.unwrap_or(0) as u32
}

/// The `count` likeliest tokens, the likeliest first.
pub(crate) fn alternatives(logits: &[f32], count: usize) -> Vec<u32> {
    let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
    let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let count = count.min(tokens.len());
    if count > 0 && count < tokens.len() {
        tokens.select_nth_unstable_by(count - 1, order);
    }
    tokens.truncate(count);
    tokens.sort_unstable_by(order);
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draws(sampling: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling.clone(), &[]);
        (0..count).map(|_| sampler.draw(logits)).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest() {
        let mut logits = vec![0.0; 100];
        logits[40] = 3.0;
        logits[70] = 3.0;
        assert_eq!(draws(&Sampling::default(), &logits, 2), [40, 40]);
        assert_eq!(likeliest(&[f32::NEG_INFINITY; 3]), 0);
    }

    #[test]
    fn chances_are_those_of_the_softmax() {
        let sampling = Sampling {
            temperature: 2.0,
            seed: 3,
            ..Sampling::default()
        };
        let logits = [0.0, 2.0, 4.0];
        let drawn = draws(&sampling, &logits, 20_000);
        let weights = [1.0, 1.0_f64.exp(), 2.0_f64.exp()];
        for (token, weight) in (0..).zip(weights) {
            let share = drawn.iter().filter(|&&other| other == token).count() as f64 / 20_000.0;
            let expected = weight / weights.iter().sum::<f64>();
            // Four standard deviations.
            assert!((share - expected).abs() < 4.0 * (expected * (1.0 - expected) / 20_000.0).sqrt());
        }
    }

    #[test]
    fn a_seed_gives_the_same_tokens_and_another_gives_others() {
        let logits: Vec<f32> = (0..50).map(|index| (index % 7) as f32 / 4.0).collect();
        let sampling = |seed| Sampling {
            temperature: 1.0,
            seed,
            ..Sampling::default()
        };
        assert_eq!(draws(&sampling(5), &logits, 40), draws(&sampling(5), &logits, 40));
        assert_ne!(draws(&sampling(5), &logits, 40), draws(&sampling(6), &logits, 40));
    }

    #[test]
    fn penalties_follow_their_formulas() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.25,
            logit_bias: vec![(3, -1.0)],
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(sampling, &[0, 1]);
        sampler.counts.insert(2, 3);
        let mut logits = [4.0, -4.0, 4.0, 4.0];
        sampler.penalize(&mut logits);
        // All of them are exact.
        assert_eq!(logits.map(f32::to_bits), [2.0_f32, -8.0, 0.75, 3.0].map(f32::to_bits));
    }

    #[test]
    fn what_was_generated_counts() {
        let sampling = Sampling {
            presence_penalty: 10.0,
            ..Sampling::default()
        };
        assert_eq!(draws(&sampling, &[1.0, 3.0, 2.0], 3), [1, 2, 0]);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let wrong = [
            Sampling {
                temperature: -1.0,
                ..Sampling::default()
            },
            Sampling {
                temperature: f32::NAN,
                ..Sampling::default()
            },
            Sampling {
                top_p: 0.0,
                ..Sampling::default()
            },
            Sampling {
                min_p: 1.5,
                ..Sampling::default()
            },
            Sampling {
                repetition_penalty: 0.0,
                ..Sampling::default()
            },
            Sampling {
                presence_penalty: f32::INFINITY,
                ..Sampling::default()
            },
            Sampling {
                logit_bias: vec![(9, 1.0)],
                ..Sampling::default()
            },
            Sampling {
                logit_bias: vec![(1, f32::NAN)],
                ..Sampling::default()
            },
        ];
        for sampling in wrong {
            assert!(sampling.check(9).is_err(), "{sampling:?}");
        }
        Sampling::default().check(9).unwrap();
    }

    /// By the definitions, with everything sorted.
    fn allowed(logits: &[f32], sampling: &Sampling) -> Vec<u32> {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sorted: Vec<(u32, f64)> = (0..)
            .zip(logits)
            .map(|(token, &logit)| (token, f64::from(((logit - highest) / sampling.temperature).exp())))
            .collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if sampling.top_k > 0 {
            sorted.truncate(sampling.top_k);
        }
        let total: f64 = sorted.iter().map(|entry| entry.1).sum();
        if sampling.top_p < 1.0 {
            let mut sum = 0.0;
            let keep = sorted.iter().take_while(|entry| {
                let before = sum;
                sum += entry.1;
                before < f64::from(sampling.top_p) * total
            });
            let keep = keep.count();
            sorted.truncate(keep);
        }
        sorted.retain(|entry| entry.1 >= f64::from(sampling.min_p));
        sorted.into_iter().map(|entry| entry.0).collect()
    }

    proptest! {
        #[test]
        fn only_tokens_that_the_definitions_allow_are_drawn(
            logits in prop::collection::vec(-8.0_f32..8.0, 1..60),
            temperature in 0.2_f32..3.0,
            top_k in 0_usize..20,
            top_p in 0.05_f32..=1.0,
            min_p in 0.0_f32..0.5,
            seed: u64,
        ) {
            let sampling = Sampling { temperature, top_k, top_p, min_p, seed, ..Sampling::default() };
            let allowed = allowed(&logits, &sampling);
            for token in draws(&sampling, &logits, 20) {
                prop_assert!(allowed.contains(&token), "{token} is not of {allowed:?}");
            }
        }

        #[test]
        fn alternatives_are_the_likeliest(logits in prop::collection::vec(-8.0_f32..8.0, 1..60), count in 0_usize..80) {
            let mut sorted: Vec<u32> = (0..logits.len() as u32).collect();
            sorted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
            sorted.truncate(count);
            prop_assert_eq!(alternatives(&logits, count), sorted);
            prop_assert_eq!(likeliest(&logits), alternatives(&logits, 1)[0]);
        }
    }
}
