//! The replay buffer: what it keeps against the definition, in every mode of resetting, and how often it draws what.
#![expect(clippy::float_cmp, reason = "what is kept is copied")]

use std::collections::HashSet;

use etude_rl::{
    Autoreset, Batch, Env, Minibatch, PriorityOptions, Replay, ReplayOptions, Space, Step, Transition, Vector,
    VectorEnv,
};
use etude_train::Seed;
use proptest::prelude::*;
use rand::RngExt;

const MODES: [Autoreset; 3] = [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled];

/// Its observations say where it is: its number, the episode, the step. Lengths, endings and rewards are random.
struct Script {
    space: Space,
    number: usize,
    episode: usize,
    step: usize,
}

impl Script {
    fn new(number: usize) -> Self {
        Self {
            space: Space::symmetric(vec![f32::INFINITY; 3]),
            number,
            episode: 0,
            step: 0,
        }
    }

    fn observe(&self, observation: &mut [f32]) {
        observation.copy_from_slice(&place(self.number, self.episode, self.step));
    }
}

fn place(number: usize, episode: usize, step: usize) -> [f32; 3] {
    [number, episode, step].map(|index| index as f32)
}

/// How many steps an episode has, and whether it is terminated.
fn end(number: usize, episode: usize) -> (usize, bool) {
    let mut random = Seed(number as u64).stream_indexed("end", episode as u64);
    (random.random_range(1..8), random.random())
}

/// Of the step that leads to number `step`.
fn reward(number: usize, episode: usize, step: usize) -> f64 {
    let index = (100 * episode + step) as u64;
    Seed(number as u64)
        .stream_indexed("reward", index)
        .random_range(-1.0..1.0)
}

impl Env for Script {
    fn observation_space(&self) -> &Space {
        &self.space
    }

    fn action_space(&self) -> &Space {
        &Space::Discrete(1000)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut [f32]) {
        (self.episode, self.step) = (self.episode + 1, 0);
        self.observe(observation);
    }

    fn step(&mut self, _action: &[f32], observation: &mut [f32]) -> Step {
        self.step += 1;
        self.observe(observation);
        let (length, terminated) = end(self.number, self.episode);
        let over = self.step == length;
        Step {
            reward: reward(self.number, self.episode, self.step),
            terminated: over && terminated,
            truncated: over && !terminated,
        }
    }
}

/// A step that was no ghost.
struct Taken {
    time: usize,
    /// Where it began.
    observation: [f32; 3],
    action: f32,
}

/// One transition by definition.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    observation: [f32; 3],
    action: f32,
    reward: f64,
    next: [f32; 3],
    discount: f64,
}

/// What the whole history of one environment consists of, with the time at which it was complete.
fn transitions(history: &[Taken], options: &ReplayOptions) -> Vec<(usize, Expected)> {
    let from = |first: usize| {
        let [number, episode, step] = history[first].observation.map(|index| index as usize);
        let (length, terminated) = end(number, episode);
        let steps = options.steps.min(length - step);
        // Those that are still to come are not whole.
        let last = history.get(first + steps - 1)?;
        let rewards = (0..steps).map(|later| {
            let reward = reward(number, episode, step + 1 + later);
            options.discount.powi(later as i32) * reward
        });
        let worthless = terminated && step + steps == length;
        let expected = Expected {
            observation: history[first].observation,
            action: history[first].action,
            reward: rewards.sum(),
            next: place(number, episode, step + steps),
            discount: if worthless {
                0.0
            } else {
                options.discount.powi(steps as i32)
            },
        };
        Some((last.time, expected))
    };
    (0..history.len()).filter_map(from).collect()
}

/// Takes `times` steps of all environments, and says what they consist of in the order in which it became complete.
fn play(options: &ReplayOptions, replay: &mut Replay, times: usize) -> Vec<Expected> {
    let scripts = (0..options.envs).map(Script::new).collect();
    let mut envs = Vector::new(scripts, options.autoreset);
    let mut batch = Batch::for_envs(&envs);
    envs.reset(None, &mut batch).unwrap();
    let mut random = Seed(1).stream("actions");
    let mut histories: Vec<Vec<Taken>> = (0..options.envs).map(|_| Vec::new()).collect();
    for time in 0..times {
        let before = batch.observations.clone();
        let actions: Vec<f32> = (0..options.envs).map(|_| random.random()).collect();
        envs.step(&actions, &mut batch).unwrap();
        replay.push(&before, &actions, &batch);
        for (env, history) in histories.iter_mut().enumerate() {
            if batch.transitions[env] != Transition::Ghost {
                history.push(Taken {
                    time,
                    observation: before[3 * env..3 * env + 3].try_into().unwrap(),
                    action: actions[env],
                });
            }
        }
        if options.autoreset == Autoreset::Disabled {
            let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            envs.reset_where(&ended, &mut batch).unwrap();
        }
    }
    let of_all = histories.iter().flat_map(|history| transitions(history, options));
    let mut of_all: Vec<_> = of_all.collect();
    // Stable: environment by environment, and the oldest first.
    of_all.sort_by_key(|(time, _)| *time);
    of_all.into_iter().map(|(_, transition)| transition).collect()
}

fn close(ours: f32, expected: f64) -> bool {
    (f64::from(ours) - expected).abs() <= 1e-6
}

/// Draws until everything must have been seen, and compares each with what has to lie there.
fn holds(replay: &Replay, expected: &[Expected]) {
    let (kept, capacity) = (expected.len().min(replay.capacity()), replay.capacity());
    assert_eq!((replay.len(), replay.is_empty()), (kept, kept == 0));
    if kept == 0 {
        return;
    }
    let mut lies: Vec<Option<&Expected>> = vec![None; capacity];
    for (index, transition) in expected.iter().enumerate() {
        lies[index % capacity] = Some(transition);
    }
    let mut minibatch = Minibatch::default();
    replay.sample(&mut Seed(2).stream("replay"), 40 * kept, 0.5, &mut minibatch);
    for (row, &index) in minibatch.indices.iter().enumerate() {
        let expected = lies[index as usize].unwrap();
        assert_eq!(minibatch.observations[3 * row..3 * row + 3], expected.observation);
        assert_eq!(minibatch.actions[row], expected.action);
        assert_eq!(minibatch.next_observations[3 * row..3 * row + 3], expected.next);
        assert!(close(minibatch.rewards[row], expected.reward), "{expected:?}");
        assert!(close(minibatch.discounts[row], expected.discount), "{expected:?}");
        assert_eq!(minibatch.discounts[row] == 0.0, expected.discount == 0.0);
        assert_eq!(minibatch.weights[row], 1.0);
    }
    assert_eq!(minibatch.indices.iter().collect::<HashSet<_>>().len(), kept);
}

const PRIORITIES: PriorityOptions = PriorityOptions {
    alpha: 0.6,
    epsilon: 1e-6,
};

fn options() -> ReplayOptions {
    ReplayOptions {
        capacity: 50,
        envs: 2,
        observation: 3,
        action: 1,
        autoreset: Autoreset::NextStep,
        steps: 3,
        discount: 0.9,
        priorities: None,
    }
}

fn any_options() -> impl Strategy<Value = ReplayOptions> {
    let shape = (1..60_usize, 1..5_usize, prop::sample::select(&MODES[..]));
    (shape, 1..10_usize, any::<bool>()).prop_map(|((capacity, envs, autoreset), steps, priorities)| ReplayOptions {
        capacity,
        envs,
        autoreset,
        steps,
        priorities: priorities.then_some(PRIORITIES),
        ..options()
    })
}

proptest! {
    #[test]
    fn it_holds_the_latest_transitions(options in any_options(), times in 0..80_usize) {
        let mut replay = Replay::new(&options);
        let expected = play(&options, &mut replay, times);
        holds(&replay, &expected);
    }
}

#[test]
fn every_mode_and_ending_is_met() {
    // So that the property above cannot have missed them.
    for autoreset in MODES {
        let options = ReplayOptions { autoreset, ..options() };
        let expected = play(&options, &mut Replay::new(&options), 60);
        let count = |discount: f64| {
            expected
                .iter()
                .filter(|it| (it.discount - discount).abs() < 1e-12)
                .count()
        };
        let counts = [0.0, 0.9, 0.81, 0.729].map(count);
        assert_eq!(counts.iter().sum::<usize>(), expected.len());
        assert!(counts.iter().all(|&count| count >= 5), "{counts:?}");
    }
}
