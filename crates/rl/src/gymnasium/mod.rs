//! The environments of Gymnasium, stepped by a Python process.
//!
//! One process, `worker.py`, holds all of them in a `SyncVectorEnv`. Requests and replies go through its standard input
//! and output, one of each for a step of all. Nothing of Python is linked.

mod interpreter;
mod protocol;
mod worker;

use serde_json::{Map, Value};

use crate::error::RlError;
use crate::render::{Frame, Scene};
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition, VectorEnv};
pub use interpreter::Interpreter;
use protocol::{Answer, FailureKind, Layout, Settings};
use worker::Worker;

/// What environments of Gymnasium are asked for beside observations and rewards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// What the first of them looks like, for [`VectorEnv::render`].
    pub drawn: bool,
    /// The masks that `info["action_mask"]` has, after each observation: see [`Space::Masked`].
    pub masked: bool,
}

/// Environments of Gymnasium: whatever `gymnasium.make` can make, with the spaces `Discrete`, `MultiDiscrete`,
/// `MultiBinary` and `Box`.
///
/// Boxes of any shape become vectors in row-major order, numbers have 32 bits, and whole numbers begin at 0 whatever
/// the `start` of their space. The environments must be reset before the first step, and with [`Autoreset::Disabled`]
/// those whose episodes are over before the next. They cannot be saved.
pub struct GymnasiumEnvs {
    worker: Worker,
    version: String,
    observation_space: Space,
    action_space: Space,
    max_episode_steps: Option<usize>,
    layout: Layout,
    /// Those that the next step only resets.
    waiting: Vec<bool>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl GymnasiumEnvs {
    /// Starts a process with `count` environments called `id`, which is `module:id` where a module is to be imported
    /// first. `arguments` go to the environment's constructor.
    ///
    /// # Errors
    /// There is no Python, no Gymnasium or too old a one, no such environment, or it lacks a package; its spaces are of
    /// another kind; or the process has died.
    pub fn start(
        interpreter: &Interpreter,
        id: &str,
        count: usize,
        autoreset: Autoreset,
        arguments: &Map<String, Value>,
    ) -> Result<Self, RlError> {
        Self::start_with(interpreter, id, (count, autoreset), Extras::default(), arguments)
    }

    /// As [`start`](Self::start), with what `extras` asks for.
    ///
    /// # Errors
    /// As [`start`](Self::start); there are no pictures; or actions are not one of so many, or have no masks.
    pub fn start_with(
        interpreter: &Interpreter,
        id: &str,
        (count, autoreset): (usize, Autoreset),
        Extras { drawn, masked }: Extras,
        arguments: &Map<String, Value>,
    ) -> Result<Self, RlError> {
        let settings = Settings {
            id,
            count,
            autoreset,
            drawn,
            masked,
            arguments,
        };
        let (worker, answer) = Worker::start(interpreter, &settings)?;
        let greeting = match answer {
            Answer::Greeting(greeting) => greeting,
            Answer::Failure(failure) => {
                let (id, message) = (id.to_owned(), failure.message);
                let program = interpreter.program().to_owned();
                return Err(match failure.kind {
                    FailureKind::NoGymnasium => RlError::NoGymnasium { program, message },
                    FailureKind::OldGymnasium => RlError::OldGymnasium {
                        program,
                        found: message,
                    },
                    FailureKind::NotMade => RlError::NotMade { id, message },
                    FailureKind::Space => RlError::UnsupportedSpace { id, message },
                    FailureKind::NoPicture => RlError::NotDrawn { id, message },
                    FailureKind::NoMask => RlError::wrapper("ActionMask", format!("`{id}`: {message}")),
                });
            }
        };
        let action_space = Space::from(greeting.action_space);
        let observation_space = match (Space::from(greeting.observation_space), &action_space) {
            (seen, &Space::Discrete(actions)) if masked => Space::Masked {
                observation: Box::new(seen),
                actions,
            },
            (seen, _) => seen,
        };
        let layout = Layout {
            count,
            width: observation_space.length(),
            autoreset,
            frame: greeting.frame,
        };
        Ok(Self {
            worker,
            version: greeting.version,
            observation_space,
            action_space,
            max_episode_steps: greeting.max_episode_steps,
            layout,
            waiting: vec![false; count],
            request: Vec::new(),
            reply: vec![0; layout.length()],
        })
    }

    /// A choice that there is not would be taken for the number of a state. Entries of boxes stand for themselves, wherever they lie.
    /// Of a mask, something may be done but where an episode is `over`.
    fn check(&self, observations: &[f32], over: impl Fn(usize) -> bool) -> Result<(), RlError> {
        let (space, masked) = match &self.observation_space {
            Space::Box { .. } => return Ok(()),
            Space::Masked { observation, .. } => (&**observation, true),
            space => (space, false),
        };
        let anything = matches!(space, Space::Box { .. });
        for (index, row) in observations.chunks_exact(self.layout.width).enumerate() {
            let (row, mask) = row.split_at(space.length());
            let (found, expected) = if !anything && !space.contains(row) {
                (format!("the observation {row:?}"), space.to_string())
            } else if masked && !over(index) && mask.iter().all(|&may| may <= 0.0) {
                let found = format!("the observation {row:?} and no action that may be taken");
                (found, "one at least while the episode goes on".into())
            } else {
                continue;
            };
            return Err(self.worker.unexpected(found, expected));
        }
        Ok(())
    }

    /// The version of Gymnasium.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The steps after which an episode is truncated, where Gymnasium's registry has such a limit.
    pub fn max_episode_steps(&self) -> Option<usize> {
        self.max_episode_steps
    }
}

impl VectorEnv for GymnasiumEnvs {
    fn render(&self, index: usize) -> Option<Scene> {
        let [height, width] = self.layout.frame.filter(|_| index == 0)?;
        let frame = Frame::from_rgb(width, height, self.layout.split(&self.reply).frame)?;
        Some(Scene::of_pixels(frame))
    }

    fn count(&self) -> usize {
        self.layout.count
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn autoreset(&self) -> Autoreset {
        self.layout.autoreset
    }

    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) -> Result<(), RlError> {
        protocol::reset(seed, &mut self.request);
        self.worker.exchange(&self.request, &mut self.reply)?;
        self.layout.split(&self.reply).observations(&mut batch.observations);
        self.waiting.fill(false);
        self.check(&batch.observations, |_| false)
    }

    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) -> Result<(), RlError> {
        if !which.contains(&true) {
            // Gymnasium refuses to reset none.
            return Ok(());
        }
        protocol::reset_where(which, &mut self.request);
        self.worker.exchange(&self.request, &mut self.reply)?;
        let reply = self.layout.split(&self.reply);
        reply.observations_where(which, &mut batch.observations);
        for (waiting, &reset) in self.waiting.iter_mut().zip(which) {
            *waiting &= !reset;
        }
        self.check(&batch.observations, |index| !which[index])
    }

    fn step(&mut self, actions: &[f32], batch: &mut Batch) -> Result<(), RlError> {
        protocol::step(actions, &mut self.request);
        self.worker.exchange(&self.request, &mut self.reply)?;
        let reply = self.layout.split(&self.reply);
        reply.observations(&mut batch.observations);
        reply.final_observations(&mut batch.final_observations);
        let results = batch.rewards.iter_mut().zip(&mut batch.transitions);
        for (((reward, transition), waiting), step) in results.zip(&mut self.waiting).zip(reply.steps()) {
            *reward = step.reward;
            *transition = if *waiting { Transition::Ghost } else { step.transition() };
            *waiting = self.layout.autoreset == Autoreset::NextStep && transition.ends();
        }
        let same_step = self.layout.autoreset == Autoreset::SameStep;
        self.check(&batch.observations, |index| {
            !same_step && batch.transitions[index].ends()
        })?;
        if same_step {
            self.check(&batch.final_observations, |_| true)?;
        }
        Ok(())
    }
}
