//! The loop of every agent: act, step, learn.

use std::collections::VecDeque;
use std::time::Instant;

use etude_kernels::perceptron::with_helper;
use etude_train::Observer;

use crate::agent::{Agent, Policy};
use crate::error::RlError;
use crate::normalization::{Normalization, NormalizedPolicy, Normalizer};
use crate::saved_state;
use crate::space::Space;
use crate::truth::Surface;
use crate::vector::{Batch, Transition, VectorEnv};

/// Episodes that `rollout/ep_rew_mean` and `rollout/ep_len_mean` go over.
const RECENT: usize = 100;

/// An episode that was played while learning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// The sum of rewards, without discount.
    pub reward: f64,
    /// The number of steps.
    pub length: u32,
}

/// An agent that learns in its environments.
pub struct Training {
    envs: Box<dyn VectorEnv>,
    agent: Box<dyn Agent>,
    /// What stands between them.
    normalizer: Option<Normalizer>,
    batch: Batch,
    /// What the actions are chosen from.
    observations: Vec<f32>,
    actions: Vec<f32>,
    /// Steps taken, of all environments together.
    steps: u64,
    /// The episodes that are going on.
    running: Vec<(f64, u32)>,
    /// The last ones that ended.
    recent: VecDeque<(f64, u32)>,
    episodes: u64,
    /// Those that nobody has asked for yet.
    finished: Vec<Episode>,
    /// When this process began to learn, and after how many steps.
    started: (Instant, u64),
}

impl Training {
    /// Lets `agent` learn in `envs`, which begin as `seed` says.
    ///
    /// # Errors
    /// The environments fail.
    pub fn new(mut envs: Box<dyn VectorEnv>, agent: Box<dyn Agent>, seed: u64) -> Result<Self, RlError> {
        let mut batch = Batch::for_envs(&*envs);
        envs.reset(Some(seed), &mut batch)?;
        finite("an observation", &batch.observations, 0)?;
        let count = envs.count();
        Ok(Self {
            observations: batch.observations.clone(),
            actions: vec![0.0; count * envs.action_space().length()],
            batch,
            envs,
            agent,
            normalizer: None,
            steps: 0,
            running: vec![(0.0, 0); count],
            recent: VecDeque::with_capacity(RECENT),
            episodes: 0,
            finished: Vec::new(),
            started: (Instant::now(), 0),
        })
    }

    /// The same, where the agent sees what `normalizer` makes of observations and rewards. To be told before the first step.
    pub fn normalized(mut self, normalizer: Option<Normalizer>) -> Self {
        self.normalizer = normalizer;
        self.show();
        self
    }

    /// Shows the agent the first observations of episodes.
    fn show(&mut self) {
        self.observations.copy_from_slice(&self.batch.observations);
        if let Some(normalizer) = &mut self.normalizer {
            normalizer.reset(&mut self.observations);
        }
    }

    /// What is done to observations before the policy sees them.
    pub fn normalization(&self) -> Option<&Normalization> {
        self.normalizer.as_ref().and_then(Normalizer::normalization)
    }

    /// Steps taken so far, of all environments together.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Episodes that have ended so far.
    pub fn episodes(&self) -> u64 {
        self.episodes
    }

    /// The mean return of the last hundred episodes, once one has ended.
    pub fn recent_return(&self) -> Option<f64> {
        mean(self.recent.iter().map(|&(reward, _)| reward))
    }

    /// What observations are.
    pub fn observation_space(&self) -> &Space {
        self.envs.observation_space()
    }

    /// The episodes that have ended since this was last asked, in their order.
    pub fn take_finished(&mut self) -> impl Iterator<Item = Episode> {
        self.finished.drain(..)
    }

    /// The agent.
    pub fn agent(&self) -> &dyn Agent {
        &*self.agent
    }

    /// The exact values beside the learnt ones, where the model is known.
    pub fn surface(&mut self) -> Option<Surface> {
        self.agent.surface()
    }

    /// What has been learnt so far, without exploration. It sees observations as the environments give them.
    pub fn policy(&self) -> Box<dyn Policy> {
        match self.normalization() {
            Some(normalization) => Box::new(NormalizedPolicy::new(normalization.clone(), self.agent.policy())),
            None => self.agent.policy(),
        }
    }

    /// Goes on until `steps` steps have been taken in all.
    ///
    /// # Errors
    /// The environments fail, or something that they show or that the agent computes is not a number.
    pub fn run_until(&mut self, steps: u64) -> Result<(), RlError> {
        let shares = self.agent.shares_work();
        let mut run = || {
            while self.steps < steps {
                self.step()?;
            }
            Ok(())
        };
        if shares { with_helper(run) } else { run() }
    }

    fn step(&mut self) -> Result<(), RlError> {
        self.agent.act(&self.observations, &mut self.actions);
        self.envs.step(&self.actions, &mut self.batch)?;
        finite("an observation", &self.batch.observations, self.steps)?;
        if let Some(reward) = self.batch.rewards.iter().find(|reward| !reward.is_finite()) {
            return Err(RlError::NotFinite {
                what: "a reward",
                value: *reward,
                step: self.steps,
            });
        }
        self.count_step();
        if let Some(normalizer) = &mut self.normalizer {
            normalizer.step(&mut self.batch);
        }
        self.agent.learn(&self.observations, &self.actions, &self.batch)?;
        self.observations.copy_from_slice(&self.batch.observations);
        Ok(())
    }

    /// Counts steps, and episodes with the rewards that the environments gave.
    fn count_step(&mut self) {
        let results = self.batch.rewards.iter().zip(&self.batch.transitions);
        for (running, (&reward, transition)) in self.running.iter_mut().zip(results) {
            if *transition == Transition::Ghost {
                continue;
            }
            running.0 += reward;
            running.1 += 1;
            self.steps += 1;
            if transition.ends() {
                let (reward, length) = std::mem::take(running);
                if self.recent.len() == RECENT {
                    self.recent.pop_front();
                }
                self.recent.push_back((reward, length));
                self.finished.push(Episode { reward, length });
                self.episodes += 1;
            }
        }
    }

    /// Reports how learning goes, under the names that Stable-Baselines3 gives its logs.
    pub fn report(&mut self, observer: &mut dyn Observer) {
        let step = self.steps;
        if let Some(reward) = self.recent_return() {
            observer.scalar("rollout/ep_rew_mean", step, reward);
        }
        if let Some(length) = mean(self.recent.iter().map(|&(_, length)| f64::from(length))) {
            observer.scalar("rollout/ep_len_mean", step, length);
        }
        let seconds = self.started.0.elapsed().as_secs_f64();
        observer.scalar("time/episodes", step, self.episodes as f64);
        observer.scalar(
            "time/fps",
            step,
            (step - self.started.1) as f64 / seconds.max(f64::EPSILON),
        );
        observer.scalar("time/time_elapsed", step, seconds);
        observer.scalar("time/total_timesteps", step, step as f64);
        self.agent.report(step, observer);
    }

    /// All that the future depends on. What cannot be saved, such as an environment in another program, is left out:
    /// [`load`](Self::load) tells.
    pub fn save(&self) -> Vec<u8> {
        let mut state = Vec::new();
        saved_state::write(
            &(
                (&self.observations, &self.running, &self.recent),
                (self.steps, self.episodes),
                &self.normalizer,
            ),
            &mut state,
        );
        self.agent.save(&mut state);
        let mut envs = Vec::new();
        let saved = self.envs.save(&mut envs);
        saved_state::write(&saved.then_some(envs), &mut state);
        state
    }

    /// Goes on from a saved state, exactly; false where the environments could not be saved, and began new episodes.
    ///
    /// # Errors
    /// `state` is not of such a training, or the environments fail.
    pub fn load(&mut self, mut state: &[u8]) -> Result<bool, RlError> {
        let state = &mut state;
        let normalizer: Option<Normalizer>;
        (
            (self.observations, self.running, self.recent),
            (self.steps, self.episodes),
            normalizer,
        ) = saved_state::read(state)?;
        let fits = match (&self.normalizer, &normalizer) {
            (Some(ours), Some(theirs)) => ours.fits(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if !fits {
            return Err(RlError::SavedState(
                "its observations or rewards were normalised otherwise",
            ));
        }
        self.normalizer = normalizer;
        self.started = (Instant::now(), self.steps);
        self.agent.load(state)?;
        if let Some(envs) = saved_state::read::<Option<Vec<u8>>>(state)? {
            return self.envs.load(&mut envs.as_slice()).map(|()| true);
        }
        // As many steps on, so that the episodes are not those of the beginning again.
        self.envs.reset(Some(self.steps), &mut self.batch)?;
        self.show();
        self.running.fill((0.0, 0));
        Ok(false)
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

/// All of `values` are numbers.
fn finite(what: &'static str, values: &[f32], step: u64) -> Result<(), RlError> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(RlError::NotFinite {
            what,
            value: value.into(),
            step,
        }),
    }
}
