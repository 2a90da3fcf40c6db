//! What learns, and what has been learnt.

use std::path::Path;

use etude_train::Observer;

use crate::error::RlError;
use crate::saved_policy::PolicyCard;
use crate::truth::Surface;
use crate::vector::Batch;

/// Chooses actions, the same ones for the same observations.
pub trait Policy: Send {
    /// Writes an action for each row of `observations`: shapes `[n, d]` and `[n, a]`.
    fn act(&mut self, observations: &[f32], actions: &mut [f32]);
}

/// Acts, and learns from what comes of it.
pub trait Agent: Send {
    /// Whether it shares its computations between the threads of the current Rayon pool, in tasks of some microseconds.
    fn shares_work(&self) -> bool {
        false
    }

    /// Writes actions to be taken in all environments, with what exploration the method asks for: shapes `[n, d]` and `[n, a]`.
    fn act(&mut self, observations: &[f32], actions: &mut [f32]);

    /// Learns from one step of all environments: what the actions were chosen from, the actions, and what came of them.
    ///
    /// # Errors
    /// Something is not a number any more.
    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError>;

    /// Reports how learning goes since the last report, `step` steps after the start.
    fn report(&mut self, step: u64, observer: &mut dyn Observer);

    /// The exact values beside the learnt ones, where the model is known.
    fn surface(&mut self) -> Option<Surface> {
        None
    }

    /// What has been learnt so far, without exploration.
    fn policy(&self) -> Box<dyn Policy>;

    /// Writes what has been learnt so far into `folder`, for [`load_policy`](crate::load_policy).
    ///
    /// # Errors
    /// The files cannot be written.
    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError>;

    /// Appends all that the future depends on to `state`.
    fn save(&self, state: &mut Vec<u8>);

    /// Goes on from where [`save`](Self::save) was called, and takes what it reads from the front of `state`.
    ///
    /// # Errors
    /// `state` is not of such an agent.
    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError>;
}
