//! The kernels as operations on Burn's tensors, each with its gradient.
//!
//! On tensors of f32 of Burn's CPU backend an operation calls the kernel on the tensor's own memory; on a device with autodiff
//! its backward is the kernel's hand-written one. Everywhere else it is [`composed`] of Burn's operations, and so is its
//! gradient. A device with autodiff gives the same bits as one without.
//!
//! [`ModuleAdamW`] steps all parameters of a module in place, and [`ModuleMuon`] the matrices of its hidden layers;
//! [`blend`] moves them towards those of another one, and [`ModuleAverage`] averages them.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use etude_kernels::burn::rms_norm;
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<2>::from_data([[3.0, -4.0]], &device).require_grad();
//! let weight = Tensor::<1>::from_data([1.0, 1.0], &device);
//! let y = rms_norm(x.clone(), weight, 1e-6, 0.0);
//! let gradients = y.clone().square().sum().backward();
//! // The squares of a row add up to its width wherever x lies, so nothing pulls at x.
//! assert!((y.square().sum().into_scalar::<f32>() - 2.0).abs() < 1e-5);
//! assert!(x.grad(&gradients).unwrap().abs().max().into_scalar::<f32>() < 1e-5);
//! ```

mod accumulation;
mod adam_w;
mod attention;
mod average;
mod blend;
pub mod composed;
mod embedding;
mod flex;
mod gated;
mod linear;
mod linear_cross_entropy;
mod muon;
mod norm;
mod parameters;
mod rotary;

pub use accumulation::with_gradients;
pub use adam_w::{ModuleAdamW, Moments};
pub use attention::attention;
pub use average::ModuleAverage;
pub use blend::blend;
pub use embedding::embedding;
pub use gated::{gated, gated_linear};
pub use linear::linear;
pub use linear_cross_entropy::{
    linear_cross_entropy, linear_cross_entropy_with_statistics, token_log_probabilities,
    token_log_probabilities_with_statistics,
};
pub use muon::{LearningRates, ModuleMuon};
pub use norm::{Input, layer_norm, rms_norm};
pub use rotary::rotary;
