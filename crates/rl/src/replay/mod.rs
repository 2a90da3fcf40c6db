//! Experience replay (Lin 1992; Mnih et al. 2015): what has been seen is kept for a while, and learners see it again in random order.
//!
//! What is kept are n-step transitions (Sutton and Barto, chapter 7): an observation and the action taken from it, the rewards
//! of the next k steps as r_1 + gamma r_2 + ... + gamma^(k-1) r_k, the observation after these, and what its value is worth
//! here. That is all a learner needs, whatever became of the episode:
//!
//! target = reward + discount * value(next observation)
//!
//! | after k steps the episode | k | discount |
//! |---|---|---|
//! | goes on | n | gamma^n |
//! | was truncated | 1 to n | gamma^k: the last observation has a value |
//! | was terminated | 1 to n | 0 |
//!
//! A step that only reset an environment is no transition and is not kept.
//!
//! Observations that are pixels are kept as bytes, compressed without loss, and each once.
//!
//! Sampling is uniform, or with priorities (Schaul et al. 2016, the proportional variant): transition i is drawn with
//! P(i) = p_i^alpha / sum_k p_k^alpha, where p_i = |its last TD error| + epsilon. Before it has been drawn, p_i is the
//! greatest that any has had, which begins with 1. What this does to the mean of an update is made good by the weights (N P(i))^-beta, divided by the greatest of them in
//! the minibatch (others divide by the greatest in the whole buffer).

mod pictures;
mod priorities;
mod ring;
mod sum_tree;
mod window;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::pictures::Pictures;
use self::priorities::Priorities;
use self::ring::Ring;
use self::window::Window;
use crate::error::RlError;
use crate::vector::{Autoreset, Batch, Transition};

/// What a [`Replay`] keeps, and how it is drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayOptions {
    /// How many transitions there is room for; the oldest gives way. From 1 to 2^32 - 1.
    pub capacity: usize,
    /// How many environments are stepped at a time, at least 1.
    pub envs: usize,
    /// Numbers of an observation, at least 1.
    pub observation: usize,
    /// These are whole and from 0 to 255, and are kept compressed.
    pub pixels: bool,
    /// Numbers of an action, at least 1.
    pub action: usize,
    /// When the environments begin the next episode: it says where the last observation of an episode is found.
    pub autoreset: Autoreset,
    /// n, the steps of a transition, at least 1.
    pub steps: usize,
    /// gamma, from 0 to 1.
    pub discount: f64,
    /// Draws by priority, and uniformly without.
    pub priorities: Option<PriorityOptions>,
}

/// How often a transition is drawn in prioritised replay (Schaul et al. 2016, section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PriorityOptions {
    /// How much priorities count, from 0, where all transitions are drawn alike, to 1.
    pub alpha: f64,
    /// What is added to the absolute TD error, so that no transition is lost for ever. Above 0.
    pub epsilon: f64,
}

impl ReplayOptions {
    /// Numbers of an observation that are kept as they are.
    fn numbers(&self) -> usize {
        if self.pixels { 0 } else { self.observation }
    }

    /// How many next observations may turn up again as observations.
    fn recent(&self) -> usize {
        self.envs.saturating_mul(self.steps)
    }

    /// Which promise of the fields is broken.
    fn broken(&self) -> Option<&'static str> {
        let promises = [
            ((1..=u32::MAX as usize).contains(&self.capacity), "capacity"),
            (self.envs >= 1, "number of environments"),
            (self.observation >= 1, "numbers of an observation"),
            (self.action >= 1, "numbers of an action"),
            (self.steps >= 1, "steps of a transition"),
            ((0.0..=1.0).contains(&self.discount), "discount"),
            (
                self.priorities.is_none_or(|it| (0.0..=1.0).contains(&it.alpha)),
                "alpha of the priorities",
            ),
            (
                // In the 32 bits that it is used in.
                self.priorities
                    .is_none_or(|it| it.epsilon as f32 > 0.0 && (it.epsilon as f32).is_finite()),
                "epsilon of the priorities",
            ),
        ];
        promises.iter().find(|(kept, _)| !kept).map(|&(_, name)| name)
    }
}

/// The transitions of the last while, in a ring.
///
/// ```
/// use etude_rl::classic_control::CartPole;
/// use etude_rl::{Autoreset, Batch, Minibatch, Replay, ReplayOptions, Simulators, VectorEnv};
/// use etude_train::Seed;
///
/// let mut envs = Simulators::new(CartPole, 2, Some(500), Autoreset::NextStep);
/// let mut replay = Replay::new(&ReplayOptions {
///     capacity: 1000,
///     envs: envs.count(),
///     observation: envs.observation_space().length(),
///     pixels: false,
///     action: envs.action_space().length(),
///     autoreset: envs.autoreset(),
///     steps: 3,
///     discount: 0.99,
///     priorities: None,
/// });
/// let mut batch = Batch::for_envs(&envs);
/// envs.reset(Some(1), &mut batch)?;
/// for _ in 0..100 {
///     let before = batch.observations.clone();
///     envs.step(&[1.0, 0.0], &mut batch)?;
///     replay.push(&before, &[1.0, 0.0], &batch);
/// }
/// let mut minibatch = Minibatch::default();
/// replay.sample(&mut Seed(1).stream("replay"), 32, 0.0, &mut minibatch);
/// assert_eq!(minibatch.observations.len(), 32 * 4);
/// # Ok::<(), etude_rl::RlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Replay {
    options: ReplayOptions,
    ring: Ring,
    /// Where observations are pixels.
    pictures: Option<Pictures>,
    /// What each environment has done so far, as long as it is no transition yet.
    windows: Vec<Window>,
    priorities: Option<Priorities>,
}

impl Replay {
    /// An empty one. Memory for the whole of it, but for pictures, is set aside now.
    ///
    /// # Panics
    /// A field of `options` is not what it has to be.
    pub fn new(options: &ReplayOptions) -> Self {
        assert_eq!(options.broken(), None, "{options:?}");
        let width = options.observation + options.action;
        Self {
            options: options.clone(),
            ring: Ring::new(options),
            pictures: options
                .pixels
                .then(|| Pictures::new(options.observation, options.recent())),
            windows: vec![Window::new(options.steps, width); options.envs],
            priorities: options
                .priorities
                .map(|priorities| Priorities::new(priorities, options.capacity)),
        }
    }

    /// Takes in a step of all environments: `actions`, shape `[n, a]`, were chosen from `observations`, shape `[n, d]`, and
    /// `batch` is what came of them. Between two steps only environments whose episode is over may have been reset.
    ///
    /// # Panics
    /// The shapes are others.
    pub fn push(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) {
        let options = &self.options;
        let (d, a) = (options.observation, options.action);
        for (numbers, width) in [
            (observations.len(), d),
            (batch.observations.len(), d),
            (actions.len(), a),
        ] {
            assert_eq!(numbers, options.envs * width, "numbers of all environments");
        }
        for (env, window) in self.windows.iter_mut().enumerate() {
            let row = env * d..(env + 1) * d;
            let transition = batch.transitions[env];
            let next = match (transition, options.autoreset) {
                (Transition::Ghost, _) => continue,
                (Transition::Terminated | Transition::Truncated, Autoreset::SameStep) => &batch.final_observations,
                (Transition::Terminated | Transition::Truncated | Transition::Continues, _) => &batch.observations,
            };
            let next = &next[row.clone()];
            window.push(&observations[row], &actions[env * a..(env + 1) * a], batch.rewards[env]);
            while window.is_full() || transition.ends() && !window.is_empty() {
                let (reward, mut discount) = window.reward_and_discount(options.discount);
                if transition == Transition::Terminated {
                    discount = 0.0;
                }
                let start = window.oldest();
                let index = match &mut self.pictures {
                    None => self.ring.push(reward, start, next, discount),
                    Some(pictures) => {
                        let index = self.ring.push(reward, &start[d..], &[], discount);
                        pictures.put(index, &start[..d], next);
                        index
                    }
                };
                if let Some(priorities) = &mut self.priorities {
                    priorities.begin(index);
                }
                window.pop();
            }
        }
    }

    /// How many transitions there are.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there is room for.
    pub fn capacity(&self) -> usize {
        self.options.capacity
    }

    /// Draws `count` transitions with replacement. With priorities, one is drawn from each of `count` equal parts of their sum, and
    /// the importance weights have the exponent `beta`; without, `beta` means nothing.
    ///
    /// # Panics
    /// There is none to draw.
    pub fn sample(&self, random: &mut ChaCha8Rng, count: usize, beta: f64, into: &mut Minibatch) {
        assert!(!self.is_empty(), "no transition to draw");
        into.resize(count, self.options.observation, self.options.action);
        if let Some(priorities) = &self.priorities {
            priorities.sample(random, beta, &mut into.indices, &mut into.weights);
        } else {
            let transitions = self.len() as u32;
            into.indices.fill_with(|| random.random_range(0..transitions));
            into.weights.fill(1.0);
        }
        self.ring.gather(into);
        if let Some(pictures) = &self.pictures {
            pictures.gather(&into.indices, &mut into.observations, &mut into.next_observations);
        }
    }

    /// Sets the priorities of transitions that were drawn, by their TD errors. Without priorities it does nothing.
    ///
    /// # Panics
    /// An error is not finite, there is no such transition, or the lengths differ.
    pub fn update_priorities(&mut self, indices: &[u32], errors: &[f32]) {
        assert_eq!(indices.len(), errors.len(), "one error for each transition");
        let known = |&index: &u32| (index as usize) < self.len();
        assert!(indices.iter().all(known), "of {} transitions: {indices:?}", self.len());
        assert!(errors.iter().all(|error| error.is_finite()), "TD errors {errors:?}");
        if let Some(priorities) = &mut self.priorities {
            priorities.update(indices, errors);
        }
    }
}

/// What is read of a saved [`Replay`], before it has been looked over.
#[derive(Deserialize)]
struct Saved {
    options: ReplayOptions,
    ring: Ring,
    pictures: Option<Pictures>,
    windows: Vec<Window>,
    priorities: Option<Priorities>,
}

impl TryFrom<Saved> for Replay {
    type Error = RlError;

    fn try_from(saved: Saved) -> Result<Self, RlError> {
        let Saved {
            options,
            mut ring,
            pictures,
            windows,
            mut priorities,
        } = saved;
        let width = options.observation.saturating_add(options.action);
        let whole = options.broken().is_none()
            && ring.restore(&options)
            && pictures.is_some() == options.pixels
            && pictures
                .iter()
                .all(|pictures| pictures.fits(options.observation, options.recent()) && pictures.len() == ring.len())
            && windows.len() == options.envs
            && windows.iter().all(|window| window.fits(options.steps, width))
            && match (&mut priorities, options.priorities) {
                (Some(priorities), Some(wanted)) => priorities.restore(wanted, options.capacity, ring.len()),
                (priorities, wanted) => priorities.is_none() && wanted.is_none(),
            };
        if !whole {
            return Err(RlError::SavedState(
                "the parts of the replay buffer contradict each other",
            ));
        }
        Ok(Self {
            options,
            ring,
            pictures,
            windows,
            priorities,
        })
    }
}

/// `n` transitions that were drawn from a [`Replay`], with `d` numbers to an observation and `a` to an action.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Minibatch {
    /// Shape `[n, d]`.
    pub observations: Vec<f32>,
    /// Shape `[n, a]`.
    pub actions: Vec<f32>,
    /// Shape `[n]`: the discounted sum of the rewards of each transition.
    pub rewards: Vec<f32>,
    /// Shape `[n, d]`.
    pub next_observations: Vec<f32>,
    /// Shape `[n]`: what the value of the next observation is multiplied with, 0 after termination.
    pub discounts: Vec<f32>,
    /// Shape `[n]`: importance weights, at most 1; all 1 without priorities.
    pub weights: Vec<f32>,
    /// Shape `[n]`: where the transitions lie, for [`Replay::update_priorities`].
    pub indices: Vec<u32>,
}

impl Minibatch {
    fn resize(&mut self, count: usize, observation: usize, action: usize) {
        for (numbers, width) in [
            (&mut self.observations, observation),
            (&mut self.actions, action),
            (&mut self.rewards, 1),
            (&mut self.next_observations, observation),
            (&mut self.discounts, 1),
            (&mut self.weights, 1),
        ] {
            numbers.resize(count * width, 0.0);
        }
        self.indices.resize(count, 0);
    }
}
