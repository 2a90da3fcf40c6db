//! What every learner of étude shares, whatever it learns.
//!
//! - [`Observer`]: how a learner reports scalars, histograms, pictures, text and progress without knowing who listens.
//!   [`JsonlObserver`], [`TensorBoardObserver`] and [`MemoryObserver`] listen; [`Observers`] joins several into one.
//! - [`Seed`]: one seed a run, and from it a named stream of random numbers for each use.
//! - [`write_checkpoint`] and [`read_checkpoint`]: the state of a run, whole or not there. [`LogFile::resume`] goes on with its logs.
//! - [`RunFolder`]: the folder a run leaves behind; [`write_atomically`] is how its files are written.
//!
//! Nothing here prints: the command adds its own observer to draw progress.
//!
//! ```
//! use etude_train::{MemoryObserver, Observer, Observers, RunFolder, Seed};
//! use rand::RngExt;
//!
//! // A learner: it draws from a stream of its own, and reports.
//! fn random_walk(seed: Seed, observer: &mut dyn Observer) {
//!     let mut rng = seed.stream("walk");
//!     let mut position = 0.0;
//!     for step in 0..100 {
//!         position += rng.random_range(-1.0..1.0);
//!         observer.scalar("position", step, position);
//!     }
//! }
//!
//! # let scratch = tempfile::tempdir()?;
//! # let runs = scratch.path();
//! let folder = RunFolder::next_free(runs, "walk")?;
//! folder.write_config("seed = 7\n")?;
//! let mut memory = MemoryObserver::default();
//! let mut observers = Observers::new(vec![
//!     Box::new(folder.jsonl()?),
//!     Box::new(folder.tensorboard()?),
//!     Box::new(&mut memory),
//! ]);
//! random_walk(Seed(7), &mut observers);
//! observers.finish()?;
//! drop(observers);
//!
//! assert_eq!(memory.series("position").map(<[_]>::len), Some(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Input from outside must not panic: what cannot be is an error or is shown by the types. Tests may.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo
    )
)]

mod checkpoint;
mod error;
pub mod jsonl;
mod log_file;
mod memory;
mod observer;
pub mod process;
pub mod run_folder;
pub mod seed;
pub mod tensorboard;

pub use checkpoint::{read_checkpoint, write_checkpoint};
pub use error::TrainError;
pub use jsonl::JsonlObserver;
pub use log_file::{LogFile, LogPlace};
pub use memory::MemoryObserver;
pub use observer::{Observer, Observers, Picture, Progress};
pub use process::LastWords;
pub use rand_chacha::ChaCha8Rng;
pub use run_folder::{RunFolder, write_atomically};
pub use seed::Seed;
pub use tensorboard::TensorBoardObserver;
