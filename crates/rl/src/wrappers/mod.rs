//! Environments that change what another one shows, takes or gives, with the meaning of Gymnasium's wrappers.
//!
//! | wrapper | Gymnasium 1.4's |
//! |---|---|
//! | [`ActionMask`] | none: there the mask is `info["action_mask"]` |
//! | [`ActionRepeat`] | `RepeatAction` |
//! | [`ClipAction`], [`ClipReward`] | the same |
//! | [`ClipObservation`] | none; `clip_obs` of Stable-Baselines3's `VecNormalize` |
//! | [`EpisodeStatistics`] | `RecordEpisodeStatistics` |
//! | [`FrameStack`] | `FrameStackObservation` |
//! | [`ObservationNormalization`], [`RewardNormalization`] | `NormalizeObservation`, `NormalizeReward` |
//! | [`Pixels`] | `AddRenderObservation`, `ResizeObservation` |
//! | [`RescaleAction`] | the same |
//! | [`TimeLimit`] | the same |
//!
//! The order matters: a wrapper sees what the one inside it gives. Returns are recorded before rewards are normalised,
//! and what is normalised is clipped afterwards:
//!
//! ```
//! use etude_rl::wrappers::{ClipReward, EpisodeStatistics, ObservationNormalization, RewardNormalization};
//! use etude_rl::{Env, make};
//!
//! let env = EpisodeStatistics::new(make("Pendulum-v1")?);
//! let env = RewardNormalization::new(ObservationNormalization::new(env)?, 0.99)?;
//! let mut env = ClipReward::new(env, -10.0, 10.0)?;
//!
//! let mut observation = [0.0; 3];
//! env.reset(Some(1), &mut observation);
//! while !env.step(&[0.5], &mut observation).ends() {}
//!
//! let normalization = env.env().env();
//! assert!(normalization.moments().count > 200.0);
//! let recorded = normalization.env().episodes();
//! assert_eq!((recorded.len(), recorded[0].length), (1, 200));
//! # Ok::<(), etude_rl::RlError>(())
//! ```

/// Methods of a wrapper that do what those of the environment in its field `env` do.
macro_rules! as_inside {
    (env) => {
        /// The environment inside.
        pub fn env(&self) -> &E {
            &self.env
        }
    };
    (observation_space) => {
        fn observation_space(&self) -> &crate::space::Space {
            self.env.observation_space()
        }
    };
    (action_space) => {
        fn action_space(&self) -> &crate::space::Space {
            self.env.action_space()
        }
    };
    (reset) => {
        fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
            self.env.reset(seed, observation);
        }
    };
    (action_mask) => {
        fn action_mask(&self, mask: &mut [f32]) -> bool {
            self.env.action_mask(mask)
        }
    };
    (render) => {
        fn render(&self) -> Option<crate::render::Scene> {
            self.env.render()
        }
    };
    (save) => {
        fn save(&self, state: &mut Vec<u8>) -> bool {
            self.env.save(state)
        }
    };
    (load) => {
        fn load(&mut self, state: &mut &[u8]) -> Result<(), crate::error::RlError> {
            self.env.load(state)
        }
    };
    ($($method:ident),+) => {
        $(as_inside!($method);)+
    };
}

mod action_mask;
mod action_repeat;
mod clip;
mod episode_statistics;
mod frame_stack;
mod moments;
mod normalization;
mod pixels;
mod rescale_action;
mod time_limit;

pub use action_mask::ActionMask;
pub use action_repeat::ActionRepeat;
pub use clip::{ClipAction, ClipObservation, ClipReward};
pub use episode_statistics::{Episode, EpisodeStatistics};
pub use frame_stack::FrameStack;
pub(crate) use frame_stack::stacked;
pub use moments::RunningMoments;
pub use normalization::{ObservationNormalization, RewardNormalization};
pub use pixels::Pixels;
pub use rescale_action::RescaleAction;
pub use time_limit::TimeLimit;
