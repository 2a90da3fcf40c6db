//! What the reference says of the examples of a run.

use std::path::Path;

use burn::tensor::Device;
use etude_align::data::Examples;
use etude_align::preference::{Aggregation, ReferenceLogProbabilities, Referenced, WithReference};
use etude_align::training::Order;
use etude_train::RunFolder;

use super::data::Split;
use super::task::Task;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::progress::Progress;

impl Task<'_> {
    /// The examples with what the model, as it is before training, says of those that the run will read: the first rank asks it, and tells
    /// the others.
    pub(super) fn with_references<S: Examples<Example: Referenced>>(
        &self,
        aggregation: Aggregation,
        examples: Split<S>,
        folder: Option<&RunFolder>,
    ) -> Result<Split<WithReference<S>>, CommandError> {
        let order = Order::new(&self.recipe.training, examples.train.len(), self.ranks);
        // After an epoch all have been read.
        let steps = self.recipe.training.steps(order.steps_per_epoch());
        let read = order.examples_before(steps.min(order.steps_per_epoch())) as usize;
        let mut places = order.epoch(0);
        places.truncate(read);
        places.sort_unstable();
        let held_out: Vec<usize> = (0..examples.held_out.len()).collect();
        let own = folder.map(|folder| self.ask_reference(aggregation, &examples, [&places, &held_out], folder));
        let own = own.transpose()?.unwrap_or_default();
        let told = self.ranks.gather(own);
        let told = told.failed_run(|| "cannot train in several processes".into())?;
        let mut numbers = told.into_iter().flatten();
        let mut of = |count: usize, places: &[usize]| {
            let mut all = vec![[f32::NAN; 2]; count];
            for (&place, number) in places.iter().zip(numbers.by_ref()) {
                all[place] = number;
            }
            all
        };
        let train = of(examples.train.len(), &places);
        let held_out = of(examples.held_out.len(), &held_out);
        Ok(Split {
            train: WithReference::new(examples.train, train),
            held_out: WithReference::new(examples.held_out, held_out),
        })
    }

    /// What the reference says of the examples at these places, training ones first; of what is known from earlier runs it is not asked.
    fn ask_reference<S: Examples<Example: Referenced>>(
        &self,
        aggregation: Aggregation,
        examples: &Split<S>,
        places: [&[usize]; 2],
        folder: &RunFolder,
    ) -> Result<Vec<[f32; 2]>, CommandError> {
        let failed = || "cannot compute the reference's log-probabilities".to_owned();
        let reference = self.load(&*self.source.checkpoint, &Device::flex())?;
        let beside = folder.path().parent().unwrap_or(Path::new("."));
        let mut known = ReferenceLogProbabilities::open(&beside.join("reference-log-probabilities"), &reference)
            .failed_run(failed)?;
        let bar = Progress::bar(
            self.output,
            "reference",
            places.map(<[usize]>::len).iter().sum::<usize>() as u64,
        );
        let batch = self.recipe.training.per_device_eval_batch_size;
        let mut said = Vec::new();
        for (examples, places) in [&examples.train, &examples.held_out].into_iter().zip(places) {
            let before = said.len();
            let progress = |done: usize| {
                bar.set((before + done) as u64, "log-probabilities");
                !interrupt::interrupted()
            };
            let found = known.ask(aggregation, &reference, examples, places, batch, progress);
            said.extend(found.failed_run(failed)?);
            if interrupt::interrupted() {
                return Err(CommandError::failed_run("stopped on request")
                    .hint("what the reference has said so far is kept, and need not be computed again"));
            }
        }
        bar.finish();
        Ok(said)
    }
}
