//! The losses of alignment: against TRL and PyTorch (see `scripts/align_fixtures.py`), by what has to be true of them, and on bandits
//! whose optimum is known.

mod bandits;
mod common;
mod invariants;
mod ppo;
mod preference;
mod reward;
