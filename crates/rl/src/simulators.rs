//! Many systems under one law of motion, advanced side by side.

use pulp::{Arch, Simd, WithSimd};
use rand_chacha::ChaCha8Rng;

use crate::error::RlError;
use crate::render::Scene;
use crate::saved_state;
use crate::simulator::{Dynamics, stream};
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition, VectorEnv};

/// Systems that one iteration advances: as many numbers of 64 bits as the widest registers hold.
const LANES: usize = 8;

/// The states of as many systems, entry by entry.
type Block<const N: usize> = [[f64; LANES]; N];

/// Systems that follow the law `D`, whose state is `N` numbers and whose actions are one. They do what as many
/// [`Simulator`](crate::Simulator)s do, bit by bit, and many at a time: their states lie entry by entry in memory.
pub struct Simulators<D, const N: usize> {
    law: D,
    observation_space: Space,
    action_space: Space,
    blocks: Vec<Block<N>>,
    /// One stream of random numbers for each lane, of which the last block may have more than there are systems.
    random: Vec<[ChaCha8Rng; LANES]>,
    /// How long each episode has lasted.
    steps: Vec<u32>,
    limit: u32,
    autoreset: Autoreset,
    /// Those that the next step has to reset.
    waiting: Vec<bool>,
}

impl<D: Dynamics<State = [f64; N]>, const N: usize> Simulators<D, N> {
    /// `count` systems under `law`, whose episodes are truncated after `limit` steps if there is a limit.
    ///
    /// # Panics
    /// Actions of the law are not one number.
    pub fn new(law: D, count: usize, limit: Option<usize>, autoreset: Autoreset) -> Self {
        assert_eq!(law.action_space().length(), 1, "numbers of an action");
        let mut simulators = Self {
            observation_space: law.observation_space(),
            action_space: law.action_space(),
            law,
            blocks: vec![[[0.0; LANES]; N]; count.div_ceil(LANES)],
            random: (0..count.div_ceil(LANES))
                .map(|block| std::array::from_fn(|lane| stream((block * LANES + lane) as u64)))
                .collect(),
            steps: vec![0; count],
            limit: limit.map_or(u32::MAX, |limit| limit as u32),
            autoreset,
            waiting: vec![false; count],
        };
        for index in 0..count {
            simulators.begin(index);
        }
        simulators
    }

    /// The state of one of them.
    pub fn state(&self, index: usize) -> [f64; N] {
        let block = &self.blocks[index / LANES];
        std::array::from_fn(|entry| block[entry][index % LANES])
    }

    fn set_state(&mut self, index: usize, state: [f64; N]) {
        let block = &mut self.blocks[index / LANES];
        for (entry, value) in state.into_iter().enumerate() {
            block[entry][index % LANES] = value;
        }
    }

    /// Begins an episode.
    fn begin(&mut self, index: usize) {
        let state = self.law.start(&mut self.random[index / LANES][index % LANES]);
        self.set_state(index, state);
        self.steps[index] = 0;
        self.waiting[index] = false;
    }

    fn observe(&self, index: usize, observations: &mut [f32]) {
        let width = self.observation_space.length();
        self.law.observe(
            &self.state(index),
            &mut observations[index * width..(index + 1) * width],
        );
    }
}

impl<D: Dynamics<State = [f64; N]>, const N: usize> VectorEnv for Simulators<D, N> {
    fn count(&self) -> usize {
        self.steps.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn autoreset(&self) -> Autoreset {
        self.autoreset
    }

    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) -> Result<(), RlError> {
        for index in 0..self.count() {
            if let Some(seed) = seed {
                self.random[index / LANES][index % LANES] = stream(seed.wrapping_add(index as u64));
            }
            self.begin(index);
            self.observe(index, &mut batch.observations);
        }
        Ok(())
    }

    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) -> Result<(), RlError> {
        for index in (0..self.count()).filter(|&index| which[index]) {
            self.begin(index);
            self.observe(index, &mut batch.observations);
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32], batch: &mut Batch) -> Result<(), RlError> {
        let width = self.observation_space.length();
        Arch::new().dispatch(Advance {
            law: &self.law,
            random: &mut self.random,
            blocks: &mut self.blocks,
            actions,
            batch,
            width,
        });
        for index in 0..self.count() {
            if self.waiting[index] {
                // The law has moved it all the same, which the reset undoes.
                self.begin(index);
                self.observe(index, &mut batch.observations);
                (batch.rewards[index], batch.transitions[index]) = (0.0, Transition::Ghost);
                continue;
            }
            self.steps[index] += 1;
            let transition = &mut batch.transitions[index];
            if *transition == Transition::Continues && self.steps[index] >= self.limit {
                *transition = Transition::Truncated;
            }
            if !transition.ends() {
                continue;
            }
            match self.autoreset {
                Autoreset::NextStep => self.waiting[index] = true,
                Autoreset::SameStep => {
                    let row = index * width..(index + 1) * width;
                    batch.final_observations[row.clone()].copy_from_slice(&batch.observations[row]);
                    self.begin(index);
                    self.observe(index, &mut batch.observations);
                }
                Autoreset::Disabled => {}
            }
        }
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Scene> {
        self.law.draw(&self.state(index))
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        let states = self.blocks.as_flattened().as_flattened();
        saved_state::write(&(states, self.random.as_flattened(), &self.steps, &self.waiting), state);
        true
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let count = self.count();
        let states = self.blocks.as_flattened_mut().as_flattened_mut();
        states.copy_from_slice(&saved_state::read_length(state, states.len())?);
        let random = self.random.as_flattened_mut();
        random.clone_from_slice(&saved_state::read_length(state, random.len())?);
        self.steps = saved_state::read_length(state, count)?;
        self.waiting = saved_state::read_length(state, count)?;
        Ok(())
    }
}

/// One step of all blocks.
struct Advance<'a, D, const N: usize> {
    law: &'a D,
    random: &'a mut [[ChaCha8Rng; LANES]],
    blocks: &'a mut [Block<N>],
    actions: &'a [f32],
    batch: &'a mut Batch,
    width: usize,
}

impl<D: Dynamics<State = [f64; N]>, const N: usize> WithSimd for Advance<'_, D, N> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "it must become part of the function that has the instructions"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Batch {
            observations,
            rewards,
            transitions,
            ..
        } = self.batch;
        let actions = self.actions.chunks(LANES);
        let results = rewards.chunks_mut(LANES).zip(transitions.chunks_mut(LANES));
        let rows = observations.chunks_mut(LANES * self.width);
        let systems = self.blocks.iter_mut().zip(self.random);
        for (((block, random), actions), ((rewards, transitions), rows)) in systems.zip(actions).zip(results.zip(rows))
        {
            // Whole blocks have a loop of known length; the last one may be shorter.
            let mut chosen = [0.0; LANES];
            chosen[..actions.len()].copy_from_slice(actions);
            let (mut next, mut earned, mut over) = (*block, [0.0; LANES], [false; LANES]);
            for lane in 0..LANES {
                let state = std::array::from_fn(|entry| block[entry][lane]);
                let (state, reward, terminated) = self.law.advance(state, &[chosen[lane]], &mut random[lane]);
                for entry in 0..N {
                    next[entry][lane] = state[entry];
                }
                (earned[lane], over[lane]) = (reward, terminated);
            }
            *block = next;
            rewards.copy_from_slice(&earned[..rewards.len()]);
            for (transition, &over) in transitions.iter_mut().zip(&over) {
                *transition = if over {
                    Transition::Terminated
                } else {
                    Transition::Continues
                };
            }
            for (lane, row) in rows.chunks_exact_mut(self.width).enumerate() {
                self.law.observe(&std::array::from_fn(|entry| next[entry][lane]), row);
            }
        }
    }
}
