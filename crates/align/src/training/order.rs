//! Which examples each step takes.

use etude_train::Seed;
use rand::seq::SliceRandom as _;

use super::{Ranks, TrainingArguments};

/// The order of examples: epoch after epoch, each a permutation of its own or the order of the data.
///
/// It has no state: any step can be asked for, so that a run goes on where it stopped. The last batch of an epoch may be smaller than
/// the others, and its last step may have fewer batches, as transformers has it.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Examples of an epoch.
    pub examples: usize,
    /// Examples of a batch.
    pub batch: usize,
    /// Batches of a step, of all ranks together.
    pub accumulation: usize,
    /// Where permutations come from; none where the order is that of the data.
    pub shuffle: Option<Seed>,
}

impl Order {
    /// The order of so many examples that the arguments ask for: the batches of a step are for every one of the ranks.
    pub fn new(arguments: &TrainingArguments, examples: usize, ranks: &Ranks) -> Self {
        Self {
            examples,
            batch: arguments.per_device_train_batch_size,
            accumulation: arguments.gradient_accumulation_steps * ranks.size(),
            shuffle: arguments.shuffle.then_some(Seed(arguments.seed)),
        }
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.examples.div_ceil(self.batch).div_ceil(self.accumulation) as u64
    }

    /// The places of all examples in the data, as an epoch reads them; the first epoch is epoch 0.
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.examples).collect();
        if let Some(seed) = self.shuffle {
            places.shuffle(&mut seed.stream_indexed("order", epoch));
        }
        places
    }

    /// The batches of a step, by the places of their examples in the data; the first step is step 0.
    ///
    /// # Panics
    /// There are no examples.
    pub fn step(&self, step: u64) -> Vec<Vec<usize>> {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let places = self.epoch(epoch);
        let batches = places.chunks(self.batch).skip(within as usize * self.accumulation);
        batches.take(self.accumulation).map(<[usize]>::to_vec).collect()
    }

    /// How many examples the steps before a step have read.
    pub fn examples_before(&self, step: u64) -> u64 {
        let (epochs, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let read = within as usize * self.batch * self.accumulation;
        epochs * self.examples as u64 + read.min(self.examples) as u64
    }

    /// How many epochs are over before a step, with the part of the one that is going on.
    pub fn epochs_before(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch() as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_epoch_takes_every_example_once(
            examples in 1_usize..60, batch in 1_usize..9, accumulation in 1_usize..5, seed in proptest::option::of(any::<u64>()),
        ) {
            let order = Order { examples, batch, accumulation, shuffle: seed.map(Seed) };
            for epoch in 0..3 {
                let steps = epoch * order.steps_per_epoch()..(epoch + 1) * order.steps_per_epoch();
                let mut places: Vec<usize> = steps.flat_map(|step| order.step(step)).flatten().collect();
                if seed.is_none() {
                    prop_assert!(places.is_sorted());
                }
                places.sort_unstable();
                prop_assert_eq!(places, (0..examples).collect::<Vec<_>>());
            }
            let mut read = 0;
            for step in 0..2 * order.steps_per_epoch() {
                prop_assert_eq!(order.examples_before(step), read);
                read += order.step(step).concat().len() as u64;
            }
        }
    }

    #[test]
    fn epochs_have_orders_of_their_own() {
        let order = Order {
            examples: 100,
            batch: 10,
            accumulation: 10,
            shuffle: Some(Seed(1)),
        };
        assert_ne!(order.step(0), order.step(1));
        assert_eq!(order.step(1), order.step(1));
    }
}
