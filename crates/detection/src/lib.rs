//! Object detection. So far: how wrong predicted boxes ([`box_loss`]) and their classes ([`focal_loss`]) are, on tensors of
//! any device.

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

pub mod box_loss;
pub mod focal_loss;
