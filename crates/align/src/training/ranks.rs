//! Data parallelism: several processes, the ranks of MPI, train one model together.
//!
//! All have the same parameters and the same data. The batches of a step are dealt out to them; each computes the gradient of its
//! own, weighted within the loss of the whole step; [`Ranks::sum`] makes of these the gradient of the step; and all take the same
//! step with it. So n ranks do what one process does with batches n times as large, but for the rounding of sums. (Where an
//! objective lets batches weigh alike, that is so where they are of one size.)
//!
//! Without the feature `mpi`, and where MPI has started one process alone, there is one rank, which adds nothing to itself.

use std::env;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Metrics;
use crate::AlignError;
use world::World;

/// How many processes there are, as Open MPI, MPICH and Slurm tell those that they start.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// The processes that train a model, as one of them sees them.
///
/// What speaks to the others ([`sum`](Self::sum), [`gather`](Self::gather), [`merge`](Self::merge)) waits for all of them to call
/// the same.
#[derive(Debug, Clone)]
pub struct Ranks {
    rank: usize,
    size: usize,
    /// None where there is one process.
    world: Option<Arc<World>>,
}

impl Ranks {
    /// One process.
    pub fn alone() -> Self {
        Self {
            rank: 0,
            size: 1,
            world: None,
        }
    }

    /// The processes that `mpirun` has started, or one, which MPI then does not hear of. They part when the last clone is dropped, which
    /// waits for the others; where that is because of a panic, all are ended.
    ///
    /// # Errors
    /// There are several, and this is a build without MPI, or MPI does not find the others; or it does not start, or has been started in
    /// this process before.
    pub fn join() -> Result<Self, AlignError> {
        let several = |name: &str| env::var(name).is_ok_and(|size| size.parse() != Ok(1_usize));
        if !SIZES.into_iter().any(several) {
            return Ok(Self::alone());
        }
        let (world, rank, size) = World::join()?;
        if size == 1 {
            return Err(AlignError::Ranks {
                detail: "found one process, where several have been started: is it by another MPI than this build's?"
                    .into(),
            });
        }
        Ok(Self {
            rank,
            size,
            world: Some(Arc::new(world)),
        })
    }

    /// Which of them this process is; the first one is 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is the one that writes and prints.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// This rank's part of what is dealt out, one at a time.
    pub fn share<T>(&self, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        all.into_iter().skip(self.rank).step_by(self.size)
    }

    /// The gradients of all ranks added up, the same on each. A parameter has one if it has one on any of them.
    pub fn sum<M: Module>(&self, model: &M, gradients: GradientsParams) -> GradientsParams {
        let Some(world) = &self.world else { return gradients };
        let mut sum = Sum {
            world,
            own: gradients,
            all: GradientsParams::new(),
        };
        model.visit(&mut sum);
        sum.all
    }

    /// What every rank says, in the order of ranks.
    ///
    /// # Errors
    /// It cannot be told, for a rank has another version of this program, for instance.
    pub fn gather<T: Serialize + DeserializeOwned>(&self, own: T) -> Result<Vec<T>, AlignError> {
        let Some(world) = &self.world else {
            return Ok(vec![own]);
        };
        let failed = |rank: usize| {
            move |error: postcard::Error| AlignError::Ranks {
                detail: format!("what rank {rank} says cannot be told: {error}"),
            }
        };
        let bytes = postcard::to_stdvec(&own).map_err(failed(self.rank))?;
        let all = world.gather(&bytes, self.size)?;
        let read = all.iter().enumerate();
        read.map(|(rank, bytes)| postcard::from_bytes(bytes).map_err(failed(rank)))
            .collect()
    }

    /// The metrics of all ranks together, the same on each.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub fn merge(&self, own: Metrics) -> Result<Metrics, AlignError> {
        let mut all = self.gather(own)?.into_iter();
        let mut merged = all.next().unwrap_or_default();
        all.for_each(|metrics| merged.merge(&metrics));
        Ok(merged)
    }

    /// Ends all ranks at once with this exit code, for the others would wait for this one for ever; does nothing where there are no
    /// others.
    pub fn abort(&self, code: u8) {
        if let Some(world) = &self.world {
            world.abort(code);
        }
    }
}

/// Adds up gradients parameter by parameter, so that there is a copy of one of them at a time.
struct Sum<'a> {
    world: &'a World,
    own: GradientsParams,
    all: GradientsParams,
}

impl ModuleVisitor for Sum<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        // A parameter may be in several places of a model.
        if self.all.get::<D>(parameter.id).is_some() {
            return;
        }
        let own = self.own.remove::<D>(parameter.id);
        let mut ranks_with_one = [f32::from(u8::from(own.is_some()))];
        self.world.add(&mut ranks_with_one);
        if ranks_with_one == [0.0] {
            return;
        }
        let (shape, device) = (parameter.lazy_shape(), parameter.lazy_device().without_autodiff());
        let mut numbers: Vec<f32> = own.map_or_else(
            || vec![0.0; shape.num_elements()],
            |gradient| gradient.into_data().iter().collect(),
        );
        self.world.add(&mut numbers);
        let sum = Tensor::from_data(TensorData::new(numbers, shape), &device);
        self.all.register::<D>(parameter.id, sum);
    }
}

#[cfg(feature = "mpi")]
mod world {
    use mpi::Count;
    use mpi::Threading::Serialized;
    use mpi::collective::SystemOperation;
    use mpi::datatype::PartitionMut;
    use mpi::environment::Universe;
    use mpi::traits::{Communicator as _, CommunicatorCollectives as _};

    use crate::AlignError;

    /// Numbers that are added up at a time.
    const PART: usize = 1 << 22;

    /// All ranks, as long as it lives.
    pub(super) struct World(Universe);

    impl World {
        pub(super) fn join() -> Result<(Self, usize, usize), AlignError> {
            let (universe, _) = mpi::initialize_with_threading(Serialized).ok_or_else(|| AlignError::Ranks {
                detail: "MPI has been started before in this process".into(),
            })?;
            let world = universe.world();
            let (rank, size) = (world.rank() as usize, world.size() as usize);
            Ok((Self(universe), rank, size))
        }

        /// Each number becomes its sum over all ranks, of which MPI says that all receive the same.
        pub(super) fn add(&self, numbers: &mut [f32]) {
            for part in numbers.chunks_mut(PART) {
                let own = part.to_vec();
                self.0.world().all_reduce_into(&own[..], part, SystemOperation::sum());
            }
        }

        /// The bytes of every rank.
        pub(super) fn gather(&self, own: &[u8], ranks: usize) -> Result<Vec<Vec<u8>>, AlignError> {
            let mut lengths = vec![0_u64; ranks];
            self.0.world().all_gather_into(&(own.len() as u64), &mut lengths[..]);
            let total: u64 = lengths.iter().sum();
            if Count::try_from(total).is_err() {
                return Err(AlignError::Ranks {
                    detail: format!("found {total} bytes to be told to all, expected at most {}", Count::MAX),
                });
            }
            let counts: Vec<Count> = lengths.iter().map(|&length| length as Count).collect();
            let starts = counts.iter().scan(0, |end, count| {
                *end += count;
                Some(*end - count)
            });
            let starts: Vec<Count> = starts.collect();
            let mut all = vec![0_u8; total as usize];
            let mut parts = PartitionMut::new(&mut all[..], &counts[..], &starts[..]);
            self.0.world().all_gather_varcount_into(own, &mut parts);
            let parts = starts.iter().zip(&counts);
            Ok(parts
                .map(|(&start, &count)| all[start as usize..][..count as usize].to_vec())
                .collect())
        }

        pub(super) fn abort(&self, code: u8) {
            self.0.world().abort(code.into())
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.abort(1);
            }
        }
    }

    impl std::fmt::Debug for World {
        fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            to.write_str("World")
        }
    }
}

#[cfg(not(feature = "mpi"))]
mod world {
    use crate::AlignError;

    /// There are no others, so that what is said to them is said by nobody.
    #[derive(Debug)]
    pub(super) struct World;

    impl World {
        pub(super) fn join() -> Result<(Self, usize, usize), AlignError> {
            Err(AlignError::Ranks {
                detail: "found several processes, and this build has no MPI: expected one of the feature `mpi`".into(),
            })
        }

        #[expect(clippy::unused_self, reason = "it stands for the one of MPI")]
        pub(super) fn add(&self, _: &mut [f32]) {}

        #[expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "it stands for the one of MPI"
        )]
        pub(super) fn gather(&self, own: &[u8], _: usize) -> Result<Vec<Vec<u8>>, AlignError> {
            Ok(vec![own.to_vec()])
        }

        #[expect(clippy::unused_self, reason = "it stands for the one of MPI")]
        pub(super) fn abort(&self, _: u8) {}
    }
}
