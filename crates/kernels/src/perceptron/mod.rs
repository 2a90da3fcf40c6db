//! Small networks, trained on memory that is laid out beforehand.
//!
//! A network of a few hundred units is so little work that a general tensor library spends most of its time around it. Here
//! are a multilayer perceptron ([`Mlp`]), the memory of its passes forward and backward ([`Pass`]), and [`Adam`] in one
//! sweep over its parameters. The parameters are one flat vector, so that clipping ([`square_norm`]) and target networks
//! ([`polyak`]) are single sweeps too.
//!
//! ```
//! use etude_kernels::perceptron::{Activation, Adam, Mlp, Pass};
//! use etude_train::Seed;
//!
//! // Learns that the first of two numbers is wanted.
//! let mut mlp = Mlp::new(&[2, 16, 1], Activation::Tanh, &mut Seed(0).stream("network"));
//! let mut pass = Pass::new(&mlp, 3);
//! let mut adam = Adam::new(mlp.parameters().len(), 1e-8);
//! let mut gradient = vec![0.0; mlp.parameters().len()];
//! let (inputs, targets) = ([0.5, 1.0, -1.0, 0.5, 0.0, 2.0], [0.5, -1.0, 0.0]);
//! let mut loss = f32::INFINITY;
//! for _ in 0..200 {
//!     let mut error: Vec<f32> = mlp.forward(&inputs, &mut pass).to_vec();
//!     error.iter_mut().zip(&targets).for_each(|(output, target)| *output -= target);
//!     loss = error.iter().map(|error| error * error).sum::<f32>() / 2.0;
//!     mlp.backward(&error, &mut pass, &mut gradient, None);
//!     adam.step(mlp.parameters_mut(), &gradient, 1.0, 0.02);
//! }
//! assert!(loss < 1e-3);
//! ```
//!
//! The same call gives the same bytes on any number of threads. Another processor may round matrix products otherwise,
//! where its registers are wider or narrower.

mod activation;
mod adam;
mod backward;
mod helper;
mod initial;
mod mlp;
mod pass;
mod product;
mod rms_prop;
mod rows;
mod vector;

pub use activation::Activation;
pub(crate) use activation::tanh;
pub use adam::Adam;
pub use helper::with_helper;
pub use mlp::{Layer, Mlp};
pub use pass::Pass;
pub use rms_prop::RmsProp;
pub use vector::{polyak, square_norm};
