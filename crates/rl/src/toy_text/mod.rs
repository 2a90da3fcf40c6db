//! The toy text tasks; all but Blackjack are Gymnasium's in every probability, without the taxi's fickle passengers.

mod blackjack;
mod cliff_walking;
mod frozen_lake;
mod taxi;

pub use blackjack::{Blackjack, BlackjackRules, Deal};
pub use cliff_walking::cliff_walking;
pub use frozen_lake::{FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, frozen_lake};
pub use taxi::taxi;
