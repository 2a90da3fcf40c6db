//! Scores that compare across tasks: 0 is what random actions earn, 1 what a planner earns (Lillicrap et al. 2016, section 4).

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::agent::Policy;
use crate::continuous_control::{Cart, CartPoles, PendulumSwingUp, Reacher};
use crate::error::RlError;
use crate::evaluation::evaluate;
use crate::planner::Planner;
use crate::registry::registered;
use crate::simulator::{Dynamics, stream};
use crate::space::Space;
use crate::vector::Autoreset;

/// The two returns between which a task's scores lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct References {
    /// The mean return of uniformly random actions.
    pub random: f64,
    /// The mean return of the planner.
    pub planner: f64,
}

impl References {
    /// Where a return lies between them: 0 at the random one, 1 at the planner's.
    pub fn normalized(self, earned: f64) -> f64 {
        (earned - self.random) / (self.planner - self.random)
    }
}

/// Name, return of random actions (mean of 100 episodes) and of the planner (mean of 20), for the tasks in
/// [`continuous_control`](crate::continuous_control):
/// `cargo run --release -p etude-rl --example reference_returns` prints them.
const REFERENCES: [(&str, f64, f64); 13] = [
    ("Cart-v0", 110.66, 483.07),
    ("CartPoleBalance-v0", 139.29, 499.87),
    ("CartPoleParallelDouble-v0", 73.79, 495.73),
    ("CartPoleSerialDouble-v0", 44.99, 499.60),
    ("CartPoleSerialTriple-v0", 24.42, 453.39),
    ("CartPoleSwingUp-v0", 9.27, 441.95),
    ("FixedReacher-v0", 8.02, 460.09),
    ("FixedReacherDouble-v0", 18.64, 460.63),
    ("FixedReacherSingle-v0", 45.14, 462.49),
    ("PendulumSwingUp-v0", 2.91, 387.92),
    ("Reacher-v0", 11.37, 460.70),
    ("ReacherDouble-v0", 21.89, 456.24),
    ("ReacherSingle-v0", 60.98, 464.31),
];

/// The references of the environment called `id`; none where there are none.
pub fn reference_returns(id: &str) -> Option<References> {
    let known = REFERENCES.iter().find(|(known, ..)| *known == id);
    known.map(|&(_, random, planner)| References { random, planner })
}

/// Measures the references of a task in [`continuous_control`](crate::continuous_control) anew, by as many episodes of each
/// kind as asked for, which begin as those with the seeds 0, 1, ... do.
///
/// # Errors
/// There is no such task.
pub fn measure_references(id: &str, random: usize, planned: usize) -> Result<References, RlError> {
    // The planner first, since it knows whether there is such a task.
    let planner = planned_return(id, planned)?;
    let random = random_return(id, random)?;
    Ok(References { random, planner })
}

/// Acts at random.
struct Random {
    actions: Space,
    random: ChaCha8Rng,
}

impl Policy for Random {
    fn act(&mut self, _: &[f32], actions: &mut [f32]) {
        for action in actions.chunks_exact_mut(self.actions.length()) {
            self.actions.sample(&mut self.random, action);
        }
    }
}

fn random_return(id: &str, episodes: usize) -> Result<f64, RlError> {
    let mut envs = registered(id)?.make_vector(episodes, Autoreset::Disabled)?;
    let mut policy = Random {
        actions: envs.action_space().clone(),
        random: stream(0),
    };
    Ok(evaluate(&mut *envs, &mut policy, 0, u32::MAX)?.mean())
}

fn planned_return(id: &str, episodes: usize) -> Result<f64, RlError> {
    let unknown = || RlError::UnknownEnvironment(id.to_owned());
    let steps = registered(id)?.max_episode_steps.ok_or_else(unknown)?;
    let count = [steps, episodes];
    Ok(match id {
        "Cart-v0" => planned::<_, 2, 1>(&Cart, count),
        "CartPoleBalance-v0" => planned::<_, 4, 1>(&CartPoles::balance(), count),
        "CartPoleParallelDouble-v0" => planned::<_, 6, 1>(&CartPoles::parallel_double(), count),
        "CartPoleSerialDouble-v0" => planned::<_, 6, 1>(&CartPoles::serial_double(), count),
        "CartPoleSerialTriple-v0" => planned::<_, 8, 1>(&CartPoles::serial_triple(), count),
        "CartPoleSwingUp-v0" => planned::<_, 4, 1>(&CartPoles::swing_up(), count),
        "FixedReacher-v0" => planned::<_, 8, 3>(&Reacher::<3, 8>::fixed_target(), count),
        "FixedReacherDouble-v0" => planned::<_, 6, 2>(&Reacher::<2, 6>::fixed_target(), count),
        "FixedReacherSingle-v0" => planned::<_, 4, 1>(&Reacher::<1, 4>::fixed_target(), count),
        "PendulumSwingUp-v0" => planned::<_, 2, 1>(&PendulumSwingUp, count),
        "Reacher-v0" => planned::<_, 8, 3>(&Reacher::<3, 8>::random_target(), count),
        "ReacherDouble-v0" => planned::<_, 6, 2>(&Reacher::<2, 6>::random_target(), count),
        "ReacherSingle-v0" => planned::<_, 4, 1>(&Reacher::<1, 4>::random_target(), count),
        _ => return Err(unknown()),
    })
}

/// The planner's mean return.
fn planned<D, const N: usize, const A: usize>(law: &D, [steps, episodes]: [usize; 2]) -> f64
where
    D: Dynamics<State = [f64; N]> + Sync,
{
    let returns: Vec<f64> = (0..episodes as u64)
        .into_par_iter()
        .map(|seed| {
            let start = law.start(&mut stream(seed));
            Planner::default().play::<D, N, A>(law, start, steps).earned()
        })
        .collect();
    returns.iter().sum::<f64>() / episodes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::environments;

    #[test]
    fn the_table_is_what_is_measured() {
        let found = measure_references("Cart-v0", 100, 20).unwrap();
        let known = reference_returns("Cart-v0").unwrap();
        assert!((found.random - known.random).abs() < 0.01, "{found:?}");
        assert!((found.planner - known.planner).abs() < 0.01, "{found:?}");
        assert!((known.normalized(known.random)).abs() < 1e-12);
        assert!((known.normalized(known.planner) - 1.0).abs() < 1e-12);
        assert!((known.normalized(f64::midpoint(known.random, known.planner)) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn random_actions_are_drawn_again() {
        for known in environments() {
            let Some(references) = reference_returns(known.id) else {
                assert!(measure_references(known.id, 1, 1).is_err(), "{}", known.id);
                continue;
            };
            let random = random_return(known.id, 100).unwrap();
            assert!((random - references.random).abs() < 0.01, "{}: {random}", known.id);
            let best = known.max_episode_steps.unwrap() as f64;
            assert!(
                references.random < references.planner && references.planner <= best,
                "{}",
                known.id
            );
        }
        assert!(REFERENCES.iter().all(|(id, ..)| registered(id).is_ok()));
    }
}
