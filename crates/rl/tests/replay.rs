//! The replay buffer: what it keeps against the definition, in every mode of resetting, and how often it draws what.
#![expect(clippy::float_cmp, reason = "what is kept is copied")]

use std::collections::HashSet;

use etude_rl::{
    Autoreset, Batch, Env, Minibatch, PriorityOptions, Replay, ReplayOptions, Space, Step, Transition, Vector,
    VectorEnv,
};
use etude_train::{ChaCha8Rng, Seed};
use proptest::prelude::*;
use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value, json};

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

/// Environments that are played at random, and what they have done.
struct Play {
    options: ReplayOptions,
    envs: Vector<Script>,
    batch: Batch,
    random: ChaCha8Rng,
    time: usize,
    histories: Vec<Vec<Taken>>,
}

impl Play {
    fn new(options: &ReplayOptions) -> Self {
        let mut envs = Vector::new((0..options.envs).map(Script::new).collect(), options.autoreset);
        let mut batch = Batch::for_envs(&envs);
        envs.reset(None, &mut batch).unwrap();
        Self {
            options: options.clone(),
            envs,
            batch,
            random: Seed(1).stream("actions"),
            time: 0,
            histories: (0..options.envs).map(|_| Vec::new()).collect(),
        }
    }

    /// Takes `times` steps, which all of `replays` see.
    fn steps(&mut self, times: usize, replays: &mut [Replay]) {
        for _ in 0..times {
            let before = self.batch.observations.clone();
            let actions: Vec<f32> = before.chunks(3).map(|_| self.random.random()).collect();
            self.envs.step(&actions, &mut self.batch).unwrap();
            for replay in &mut *replays {
                replay.push(&before, &actions, &self.batch);
            }
            for (env, history) in self.histories.iter_mut().enumerate() {
                if self.batch.transitions[env] != Transition::Ghost {
                    history.push(Taken {
                        time: self.time,
                        observation: before[3 * env..3 * env + 3].try_into().unwrap(),
                        action: actions[env],
                    });
                }
            }
            if self.options.autoreset == Autoreset::Disabled {
                let ended: Vec<bool> = self.batch.transitions.iter().map(|it| it.ends()).collect();
                self.envs.reset_where(&ended, &mut self.batch).unwrap();
            }
            self.time += 1;
        }
    }

    /// What the histories consist of, in the order in which it became complete.
    fn expected(&self) -> Vec<Expected> {
        let of_each = self
            .histories
            .iter()
            .flat_map(|history| transitions(history, &self.options));
        let mut of_all: Vec<_> = of_each.collect();
        // Stable: environment by environment, and the oldest first.
        of_all.sort_by_key(|(time, _)| *time);
        of_all.into_iter().map(|(_, transition)| transition).collect()
    }
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
        pixels: false,
        action: 1,
        autoreset: Autoreset::NextStep,
        steps: 3,
        discount: 0.9,
        priorities: None,
    }
}

fn any_options() -> impl Strategy<Value = ReplayOptions> {
    let shape = (1..60_usize, 1..5_usize, prop::sample::select(&MODES[..]));
    let kinds = (any::<bool>(), any::<bool>());
    (shape, 1..10_usize, kinds).prop_map(
        |((capacity, envs, autoreset), steps, (priorities, pixels))| ReplayOptions {
            pixels,
            capacity,
            envs,
            autoreset,
            steps,
            priorities: priorities.then_some(PRIORITIES),
            ..options()
        },
    )
}

proptest! {
    #[test]
    fn it_holds_the_latest_transitions(options in any_options(), times in 0..80_usize) {
        let (mut play, mut replay) = (Play::new(&options), Replay::new(&options));
        play.steps(times, std::slice::from_mut(&mut replay));
        holds(&replay, &play.expected());
    }

    #[test]
    fn saved_and_read_again_it_goes_on_in_the_same_bytes(options in any_options(), times in 0..80_usize) {
        let (mut play, mut replays) = (Play::new(&options), vec![Replay::new(&options)]);
        let mut random = Seed(3).stream("replay");
        let mut minibatches = [Minibatch::default(), Minibatch::default()];
        for round in 0..6 {
            play.steps(times / 6, &mut replays);
            if replays[0].is_empty() {
                continue;
            }
            for (replay, minibatch) in replays.iter_mut().zip(&mut minibatches) {
                replay.sample(&mut random.clone(), 20, 0.5, minibatch);
                replay.update_priorities(&minibatch.indices, &minibatch.rewards);
            }
            random.random::<u32>();
            if round == 3 {
                let bytes = postcard::to_stdvec(&replays[0]).unwrap();
                replays.push(postcard::from_bytes(&bytes).unwrap());
            } else if let [straight, resumed] = &replays[..] {
                prop_assert_eq!(&minibatches[0], &minibatches[1]);
                prop_assert_eq!(straight, resumed);
                prop_assert_eq!(postcard::to_stdvec(straight), postcard::to_stdvec(resumed));
            }
        }
    }
}

#[test]
fn every_mode_and_ending_is_met() {
    // So that the property above cannot have missed them.
    for autoreset in MODES {
        let options = ReplayOptions { autoreset, ..options() };
        let mut play = Play::new(&options);
        play.steps(60, &mut []);
        let expected = play.expected();
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

/// See `scripts/rl_replay_fixtures.py`.
#[derive(Deserialize)]
struct Peer {
    discount: f64,
    environments: Vec<Vec<PeerStep>>,
    cases: Vec<PeerCase>,
}

/// Observation, action, reward, next observation, ending.
#[derive(Deserialize)]
struct PeerStep([f32; 2], f32, f64, [f32; 2], String);

#[derive(Deserialize)]
struct PeerCase {
    n: usize,
    transitions: Vec<Vec<PeerTransition>>,
}

/// Reward, next observation, discount.
#[derive(Deserialize)]
struct PeerTransition(f64, [f32; 2], f64);

#[test]
fn stable_baselines3_makes_the_same_of_the_same_steps() {
    let peer: Peer = serde_json::from_str(include_str!("fixtures/replay.json")).unwrap();
    let length = peer.environments[0].len();
    for case in &peer.cases {
        let mut replay = Replay::new(&ReplayOptions {
            capacity: 1000,
            envs: peer.environments.len(),
            observation: 2,
            autoreset: Autoreset::SameStep,
            steps: case.n,
            discount: peer.discount,
            ..options()
        });
        for time in 0..length {
            let now: Vec<&PeerStep> = peer.environments.iter().map(|steps| &steps[time]).collect();
            // After an ending, the first observation of the next episode stands in the place of the last.
            let follows = |steps: &Vec<PeerStep>| steps.get(time + 1).map_or([f32::NAN; 2], |next| next.0);
            let ending = |step: &&PeerStep| match &*step.4 {
                "none" => Transition::Continues,
                "terminated" => Transition::Terminated,
                "truncated" => Transition::Truncated,
                other => panic!("{other}"),
            };
            let batch = Batch {
                observations: peer.environments.iter().flat_map(follows).collect(),
                final_observations: now.iter().flat_map(|step| step.3).collect(),
                rewards: now.iter().map(|step| step.2).collect(),
                transitions: now.iter().map(ending).collect(),
            };
            let observations: Vec<f32> = now.iter().flat_map(|step| step.0).collect();
            let actions: Vec<f32> = now.iter().map(|step| step.1).collect();
            replay.push(&observations, &actions, &batch);
        }
        assert_eq!(replay.len(), peer.environments.len() * length);
        let mut minibatch = Minibatch::default();
        replay.sample(&mut Seed(1).stream("replay"), 4000, 0.0, &mut minibatch);
        assert_eq!(minibatch.indices.iter().collect::<HashSet<_>>().len(), replay.len());
        let observations = minibatch
            .observations
            .chunks(2)
            .zip(minibatch.next_observations.chunks(2));
        for (row, (observation, next)) in observations.enumerate() {
            // Each observation of the fixture comes once.
            let (steps, theirs) = (peer.environments.iter().flatten(), case.transitions.iter().flatten());
            let (step, theirs) = steps.zip(theirs).find(|(step, _)| step.0 == observation).unwrap();
            assert_eq!((minibatch.actions[row], next), (step.1, &theirs.1[..]));
            assert!(
                close(minibatch.rewards[row], theirs.0),
                "{}: {}",
                minibatch.rewards[row],
                theirs.0
            );
            assert!(
                close(minibatch.discounts[row], theirs.2),
                "{}: {}",
                minibatch.discounts[row],
                theirs.2
            );
        }
    }
}

#[test]
fn saved_parts_that_contradict_each_other_are_refused() {
    let options = ReplayOptions {
        priorities: Some(PRIORITIES),
        ..options()
    };
    refused(
        &options,
        &[
            ("/options/capacity", json!(0)),
            ("/options/capacity", json!(51)),
            ("/options/observation", json!(2)),
            ("/options/action", json!(u64::MAX)),
            ("/options/envs", json!(3)),
            ("/options/steps", json!(4)),
            ("/options/discount", json!(1.5)),
            ("/options/priorities", Value::Null),
            ("/options/priorities/alpha", json!(0.5)),
            ("/ring/rows", json!([1.0])),
            ("/ring/rows", json!([])),
            ("/ring/next", json!(0)),
            ("/windows/0/oldest", json!(3)),
            ("/windows/0/length", json!(3)),
            ("/windows/0/starts", json!([])),
            ("/windows/0/rewards", json!([])),
            ("/priorities", Value::Null),
            ("/priorities/greatest", json!(0.5)),
            ("/priorities/tree/count", json!(1)),
            ("/priorities/tree/leaves", json!([])),
            ("/priorities/tree/leaves/0/0", json!(0.0)),
        ],
        "contradict each other",
    );
    let options = ReplayOptions {
        pixels: true,
        priorities: None,
        ..options
    };
    let contradictions = [
        ("/options/pixels", json!(false)),
        ("/pictures", Value::Null),
        ("/pictures/kept", json!(5)),
        ("/pictures/pairs", json!([])),
    ];
    refused(&options, &contradictions, "contradict each other");
    let faults = [
        ("/pictures/size", json!(2)),
        ("/pictures/pictures/0", json!([])),
        ("/pictures/pictures", json!([])),
        ("/pictures/pairs/0/1", json!(u32::MAX)),
        ("/pictures/recent/0", json!(u32::MAX)),
    ];
    refused(&options, &faults, "a picture of the replay buffer is none");
}

/// Plays, saves, makes one thing `wrong` at a time, and expects `why`.
fn refused(options: &ReplayOptions, wrong: &[(&str, Value)], why: &str) {
    let (mut play, mut replays) = (Play::new(options), [Replay::new(options)]);
    play.steps(20, &mut replays);
    let saved = serde_json::to_value(&replays[0]).unwrap();
    assert_eq!(serde_json::from_value::<Replay>(saved.clone()).unwrap(), replays[0]);
    for (place, wrong) in wrong {
        let mut saved = saved.clone();
        *saved.pointer_mut(place).unwrap() = wrong.clone();
        let error = serde_json::from_value::<Replay>(saved).unwrap_err().to_string();
        assert!(error.contains(why), "{place}: {error}");
    }
}
