//! Many systems under one law of motion, advanced side by side.

use pulp::{Arch, Simd, WithSimd};
use rand_chacha::ChaCha8Rng;

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
    observation_space: Space,
    action_space: Space,
    blocks: Vec<Block<N>>,
    /// One stream of random numbers for each.
    random: Vec<ChaCha8Rng>,
    /// How long each episode has lasted.
    steps: Vec<u32>,
    limit: u32,
    autoreset: Autoreset,
    /// Those that the next step has to reset.
    waiting: Vec<bool>,
    law: std::marker::PhantomData<D>,
}

impl<D: Dynamics<State = [f64; N]>, const N: usize> Simulators<D, N> {
    /// `count` systems, whose episodes are truncated after `limit` steps if there is a limit.
    ///
    /// # Panics
    /// Actions of the law are not one number.
    pub fn new(count: usize, limit: Option<usize>, autoreset: Autoreset) -> Self {
        assert_eq!(D::action_space().length(), 1, "numbers of an action");
        let mut simulators = Self {
            observation_space: D::observation_space(),
            action_space: D::action_space(),
            blocks: vec![[[0.0; LANES]; N]; count.div_ceil(LANES)],
            random: (0..count as u64).map(stream).collect(),
            steps: vec![0; count],
            limit: limit.map_or(u32::MAX, |limit| limit as u32),
            autoreset,
            waiting: vec![false; count],
            law: std::marker::PhantomData,
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

    /// Begins an episode.
    fn begin(&mut self, index: usize) {
        let state = D::start(&mut self.random[index]);
        let block = &mut self.blocks[index / LANES];
        for (entry, value) in state.into_iter().enumerate() {
            block[entry][index % LANES] = value;
        }
        self.steps[index] = 0;
        self.waiting[index] = false;
    }

    fn observe(&self, index: usize, observations: &mut [f32]) {
        let width = self.observation_space.length();
        D::observe(
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

    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) {
        for index in 0..self.count() {
            if let Some(seed) = seed {
                self.random[index] = stream(seed.wrapping_add(index as u64));
            }
            self.begin(index);
            self.observe(index, &mut batch.observations);
        }
    }

    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) {
        for index in (0..self.count()).filter(|&index| which[index]) {
            self.begin(index);
            self.observe(index, &mut batch.observations);
        }
    }

    fn step(&mut self, actions: &[f32], batch: &mut Batch) {
        let width = self.observation_space.length();
        Arch::new().dispatch(Advance::<D, N> {
            blocks: &mut self.blocks,
            actions,
            batch,
            width,
            law: std::marker::PhantomData,
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
    }
}

/// One step of all blocks.
struct Advance<'a, D, const N: usize> {
    blocks: &'a mut [Block<N>],
    actions: &'a [f32],
    batch: &'a mut Batch,
    width: usize,
    law: std::marker::PhantomData<D>,
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
        for (((block, actions), (rewards, transitions)), rows) in
            self.blocks.iter_mut().zip(actions).zip(results).zip(rows)
        {
            // Whole blocks have a loop of known length; the last one may be shorter.
            let mut chosen = [0.0; LANES];
            chosen[..actions.len()].copy_from_slice(actions);
            let (mut next, mut earned, mut over) = (*block, [0.0; LANES], [false; LANES]);
            for lane in 0..LANES {
                let state = std::array::from_fn(|entry| block[entry][lane]);
                let (state, reward, terminated) = D::advance(state, &[chosen[lane]]);
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
                D::observe(&std::array::from_fn(|entry| next[entry][lane]), row);
            }
        }
    }
}
