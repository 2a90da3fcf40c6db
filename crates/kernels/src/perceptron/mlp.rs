//! The multilayer perceptron: its architecture and its parameters.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use crate::error::KernelError;

/// Fully connected layers, with an [`Activation`] after each but the last. Some of the inputs may be late: they enter at the
/// second layer, beside what the first one gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Mlp {
    sizes: Vec<usize>,
    late: usize,
    activation: Activation,
    parameters: Vec<f32>,
}

/// y = W x + b, in the memory of an [`Mlp`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layer<'a> {
    /// W, of shape `[outputs, inputs]`, row by row.
    pub weight: &'a [f32],
    /// b, of shape `[outputs]`.
    pub bias: &'a [f32],
    /// Length of x.
    pub inputs: usize,
    /// Length of y.
    pub outputs: usize,
}

impl Mlp {
    /// A network with random parameters, drawn as `torch.nn.Linear` does by default: weights and biases are uniform between
    /// -1 / sqrt(inputs) and 1 / sqrt(inputs) of their layer.
    ///
    /// `sizes` are those of the input, the hidden layers and the output, such as [4, 256, 256, 2].
    ///
    /// # Panics
    /// There are fewer than two sizes, or one is zero.
    pub fn new(sizes: &[usize], activation: Activation, random: &mut ChaCha8Rng) -> Self {
        Self::with_late_inputs(sizes, 0, activation, random)
    }

    /// The same, where so many more inputs enter at the second layer: the last `late` numbers of each row of inputs. `sizes` does
    /// not count them.
    ///
    /// # Panics
    /// As [`new`](Self::new), or there are late inputs and no second layer.
    pub fn with_late_inputs(sizes: &[usize], late: usize, activation: Activation, random: &mut ChaCha8Rng) -> Self {
        assert!(
            fits(sizes, late),
            "sizes of the layers: {sizes:?}, and {late} late inputs"
        );
        let mut parameters = Vec::new();
        for [inputs, outputs] in shapes(sizes, late) {
            let bound = (inputs as f32).sqrt().recip();
            parameters.extend((0..outputs * (inputs + 1)).map(|_| random.random_range(-bound..=bound)));
        }
        Self {
            sizes: sizes.to_vec(),
            late,
            activation,
            parameters,
        }
    }

    /// A network with given parameters, in the order of [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// There are fewer than two sizes, one is zero, or there are not as many parameters as such a network has.
    pub fn from_parameters(sizes: &[usize], activation: Activation, parameters: Vec<f32>) -> Result<Self, KernelError> {
        Self::from_parameters_with_late_inputs(sizes, 0, activation, parameters)
    }

    /// The same, where the last `late` inputs enter at the second layer.
    ///
    /// # Errors
    /// As [`from_parameters`](Self::from_parameters), or there are late inputs and no second layer.
    pub fn from_parameters_with_late_inputs(
        sizes: &[usize],
        late: usize,
        activation: Activation,
        parameters: Vec<f32>,
    ) -> Result<Self, KernelError> {
        if !fits(sizes, late) {
            return Err(KernelError::Sizes {
                sizes: sizes.to_vec(),
                late,
            });
        }
        let expected = shapes(sizes, late).fold(0_usize, |total, [inputs, outputs]| {
            total.saturating_add(outputs.saturating_mul(inputs.saturating_add(1)))
        });
        if parameters.len() != expected {
            return Err(KernelError::Parameters {
                sizes: sizes.to_vec(),
                found: parameters.len(),
                expected,
            });
        }
        Ok(Self {
            sizes: sizes.to_vec(),
            late,
            activation,
            parameters,
        })
    }

    /// Sizes of the input, without what enters late, the hidden layers and the output.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// How many of the inputs enter at the second layer.
    pub fn late_inputs(&self) -> usize {
        self.late
    }

    /// How many numbers a row of inputs has, late ones included.
    pub fn inputs(&self) -> usize {
        self.sizes[0] + self.late
    }

    /// How many numbers a row of outputs has.
    pub fn outputs(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// What hidden units do with their sums.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// All parameters, layer by layer: the weight `[outputs, inputs]` row by row, as in PyTorch, then the bias `[outputs]`.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// [`parameters`](Self::parameters), to be changed.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// The layers, from the one that takes the inputs to the one that gives the outputs.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        let mut rest = &*self.parameters;
        shapes(&self.sizes, self.late).map(move |[inputs, outputs]| {
            let (weight, after) = rest.split_at(inputs * outputs);
            let (bias, after) = after.split_at(outputs);
            rest = after;
            Layer {
                weight,
                bias,
                inputs,
                outputs,
            }
        })
    }
}

/// Whether there are such networks.
fn fits(sizes: &[usize], late: usize) -> bool {
    sizes.len() >= 2 && !sizes.contains(&0) && (late == 0 || sizes.len() >= 3)
}

/// Inputs and outputs of each layer.
pub(crate) fn shapes(sizes: &[usize], late: usize) -> impl DoubleEndedIterator<Item = [usize; 2]> + ExactSizeIterator {
    let shapes = sizes.array_windows().enumerate();
    shapes.map(move |(index, &[inputs, outputs])| match index {
        1 => [inputs.saturating_add(late), outputs],
        _ => [inputs, outputs],
    })
}

/// A network as it is stored. What comes from a file may not fit together.
#[derive(Deserialize)]
#[serde(rename = "Mlp")]
struct Stored {
    sizes: Vec<usize>,
    late: usize,
    activation: Activation,
    parameters: Vec<f32>,
}

impl TryFrom<Stored> for Mlp {
    type Error = KernelError;

    fn try_from(stored: Stored) -> Result<Self, KernelError> {
        Self::from_parameters_with_late_inputs(&stored.sizes, stored.late, stored.activation, stored.parameters)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn network() -> Mlp {
        Mlp::new(&[4, 100, 3], Activation::Relu, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn new_parameters_are_spread_over_their_range() {
        let mlp = network();
        assert_eq!(mlp.parameters().len(), 100 * 5 + 3 * 101);
        for (layer, bound) in mlp.layers().zip([0.5, 0.1]) {
            let numbers = || layer.weight.iter().chain(layer.bias).copied();
            let (least, most) = (numbers().fold(0.0, f32::min), numbers().fold(0.0, f32::max));
            assert!(-bound <= least && least < -0.9 * bound && 0.9 * bound < most && most <= bound);
            // The deviation of a uniform number is its bound / sqrt(3).
            let square = numbers().map(|number| number * number).sum::<f32>() / numbers().count() as f32;
            assert!(
                (square.sqrt() / bound - 3.0_f32.sqrt().recip()).abs() < 0.05,
                "{square}"
            );
        }
    }

    #[test]
    fn layers_hold_the_parameters_in_their_order() {
        let mlp = network();
        let joined: Vec<f32> = mlp
            .layers()
            .flat_map(|layer| [layer.weight, layer.bias].concat())
            .collect();
        assert_eq!(joined, mlp.parameters());
        let shapes: Vec<_> = mlp
            .layers()
            .map(|layer| (layer.inputs, layer.outputs, layer.weight.len()))
            .collect();
        assert_eq!(shapes, [(4, 100, 400), (100, 3, 300)]);
    }

    #[test]
    fn what_is_stored_comes_back_and_what_does_not_fit_is_refused() {
        let mlp = network();
        let text = serde_json::to_string(&mlp).unwrap();
        assert_eq!(serde_json::from_str::<Mlp>(&text).unwrap(), mlp);
        let refused = |text: &str| serde_json::from_str::<Mlp>(text).unwrap_err().to_string();
        let error = refused(&text.replace("[4,100,3]", "[4,101,3]"));
        assert!(error.contains("[4, 101, 3]: found 803, expected 811"), "{error}");
        let error = refused(&text.replace("[4,100,3]", "[803]"));
        assert!(
            error.contains("found [803], with 0 late inputs; expected at least two"),
            "{error}"
        );
        let error = refused(&text.replace("[4,100,3]", "[4,0,3]"));
        assert!(
            error.contains("found [4, 0, 3], with 0 late inputs; expected at least two, none of them zero"),
            "{error}"
        );
        let huge = usize::MAX;
        assert!(refused(&text.replace("[4,100,3]", &format!("[4,{huge},{huge}]"))).contains("found 803"));
        let late = text.replace("\"late\":0", "\"late\":2");
        assert!(refused(&late).contains("found 803, expected 809"));
        let error = refused(&late.replace("[4,100,3]", "[4,3]"));
        assert!(error.contains("found [4, 3], with 2 late inputs"), "{error}");
    }

    #[test]
    fn late_inputs_widen_the_second_layer() {
        let mlp = Mlp::with_late_inputs(&[3, 5, 4, 1], 2, Activation::Relu, &mut ChaCha8Rng::seed_from_u64(1));
        let shapes: Vec<_> = mlp.layers().map(|layer| (layer.inputs, layer.outputs)).collect();
        assert_eq!(shapes, [(3, 5), (7, 4), (4, 1)]);
        assert_eq!(
            (mlp.inputs(), mlp.outputs(), mlp.parameters().len()),
            (5, 1, 20 + 32 + 5)
        );
    }
}
