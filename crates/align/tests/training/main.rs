//! Training against TRL's trainers, and what must not change it.

mod common;
mod invariants;
mod ppo;
mod real;
mod stored;
mod trl;
