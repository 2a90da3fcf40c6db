//! Actor and critic as a Burn module, with batch normalisation and with convolutions for pixels (Lillicrap et al. 2016, sections 3 and 7).

use burn::module::{Module, Param};
use burn::tensor::activation::{relu, tanh};
use burn::tensor::module::{conv2d, linear};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use etude_kernels::perceptron::Activation;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::batch_normalization::{BatchNormalization, Statistics};
use super::networks::ActionLayer;
use super::options::DdpgOptions;
use crate::burn_module::numbers;
use crate::space::Space;

/// Section 7: three convolutions of 32 filters. The paper does not say of which size; with these, pictures of 64 times 64 pixels make
/// actors of 375 thousand numbers, where the paper has some 430 thousand.
const CONVOLUTIONS: usize = 3;
const FILTERS: usize = 32;
const KERNEL: usize = 3;
const STRIDE: usize = 2;

/// What a network is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// So many numbers.
    Numbers(usize),
    /// Pixels: channels, height and width.
    Pixels([usize; 3]),
}

impl Shown {
    /// Of an observation from `space`, which is encoded as `width` numbers. None where there are too few pixels to be convolved.
    pub(crate) fn of(space: &Space, width: usize) -> Option<Self> {
        let &Space::Pixels {
            channels,
            height,
            width,
        } = space
        else {
            return Some(Self::Numbers(width));
        };
        let shown = Self::Pixels([channels, height, width]);
        (channels > 0 && height.min(width) >= Self::LEAST_SIDE).then_some(shown)
    }

    /// Pictures of this side and larger ones can be convolved.
    pub(crate) const LEAST_SIDE: usize = 15;

    /// What the layers after the convolutions get.
    pub(crate) fn features(self) -> usize {
        let convolved = |side: usize| (0..CONVOLUTIONS).fold(side, |side, _| (side - KERNEL) / STRIDE + 1);
        match self {
            Self::Numbers(numbers) => numbers,
            // Sizes from a file may be any.
            Self::Pixels([_, height, width]) => FILTERS
                .saturating_mul(convolved(height))
                .saturating_mul(convolved(width)),
        }
    }

    fn channels(self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Pixels([channels, ..]) => channels,
        }
    }
}

/// A convolution without padding.
#[derive(Module, Debug)]
pub(crate) struct Convolution {
    /// Shape `[out, in, kernel, kernel]`.
    weight: Param<Tensor<4>>,
    /// Shape `[out]`; none where what comes out is normalised, which takes its mean away.
    bias: Option<Param<Tensor<1>>>,
}

impl Convolution {
    fn new(channels: usize, weight: Vec<f32>, bias: Option<Vec<f32>>, device: &Device) -> Self {
        let weight = TensorData::new(weight, [FILTERS, channels, KERNEL, KERNEL]);
        Self {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            bias: bias.map(|bias| vector(bias, device)),
        }
    }

    /// How many channels each of the convolutions gets, where pictures have `channels`.
    fn channels(channels: usize) -> impl Iterator<Item = usize> {
        [channels].into_iter().chain([FILTERS; CONVOLUTIONS - 1])
    }

    /// The convolutions of pictures with so many channels. None where they have not the numbers that they should have.
    pub(crate) fn read(channels: usize, layers: Vec<Affine>, device: &Device) -> Option<Vec<Self>> {
        let fits = layers.len() == CONVOLUTIONS
            && Self::channels(channels).zip(&layers).all(|(channels, layer)| {
                layer.weight.len() == channels.saturating_mul(FILTERS * KERNEL * KERNEL) && layer.bias.len() == FILTERS
            });
        let layers = Self::channels(channels).zip(layers);
        fits.then(|| {
            layers
                .map(|(channels, Affine { weight, bias })| Self::new(channels, weight, Some(bias), device))
                .collect()
        })
    }

    /// Shape of the weights, `[out, in, kernel, kernel]`.
    pub(crate) fn shape(&self) -> [usize; 4] {
        self.weight.dims()
    }

    /// Weights, row by row, and biases.
    pub(crate) fn affine(&self) -> Affine {
        Affine {
            weight: numbers(self.weight.val()),
            bias: biases(self.bias.as_ref(), self.weight.dims()[0]),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([STRIDE; 2], [0; 2], [1; 2], 1);
        conv2d(x, self.weight.val(), self.bias.as_ref().map(Param::val), options)
    }
}

/// Pixels through convolutions, shapes `[n, channels height width]` and `[n, features]`, where nothing is normalised.
pub(super) fn convolve(
    pixels: Tensor<2>,
    [channels, height, width]: [usize; 3],
    convolutions: &[Convolution],
    activation: Activation,
) -> Tensor<2> {
    let x = pixels.reshape([-1, channels as i64, height as i64, width as i64]);
    let x = convolutions
        .iter()
        .fold(x, |x, layer| active(layer.forward(x), activation));
    x.flatten(1, 3)
}

/// A layer of which every output depends on every input.
#[derive(Module, Debug)]
struct Dense {
    /// Shape `[in, out]`.
    weight: Param<Tensor<2>>,
    /// Shape `[out]`; none where what comes out is normalised.
    bias: Option<Param<Tensor<1>>>,
}

fn vector(numbers: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let length = numbers.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(numbers, [length]), device))
}

/// The biases of so many outputs.
fn biases(bias: Option<&Param<Tensor<1>>>, outputs: usize) -> Vec<f32> {
    bias.map_or_else(|| vec![0.0; outputs], |bias| numbers(bias.val()))
}

/// mu before its tanh, or q. What is normalised are the observation and all hidden layers, in the critic those before the action enters.
#[derive(Module, Debug)]
pub(super) struct Network {
    convolutions: Vec<Convolution>,
    hidden: Vec<Dense>,
    output: Dense,
    /// Of the observation, of the convolutions, and of the first of the hidden layers, in this order; empty where nothing is normalised.
    norms: Vec<BatchNormalization>,
    /// Where pixels are shown: channels, height and width.
    #[module(skip)]
    pixels: Option<[usize; 3]>,
    /// The hidden layer that the action enters, or the output after the last of them, in critics.
    #[module(skip)]
    action_layer: Option<usize>,
    #[module(skip)]
    activation: Activation,
}

/// `count` numbers, uniformly between minus `bound` and `bound`.
fn uniform(count: usize, bound: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-bound..=bound)).collect()
}

impl Network {
    /// mu, with so many numbers to an action.
    pub(super) fn actor(
        options: &DdpgOptions,
        (shown, actions): (Shown, usize),
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        Self::new(options, shown, (actions, None), random, device)
    }

    /// q, of actions of so many numbers.
    pub(super) fn critic(
        options: &DdpgOptions,
        (shown, actions): (Shown, usize),
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let layer = match options.action_layer {
            ActionLayer::First => 0,
            ActionLayer::Second => 1.min(options.hidden.len()),
        };
        Self::new(options, shown, (1, Some((layer, actions))), random, device)
    }

    /// Section 7: layers begin uniformly between plus and minus one by the root of their number of inputs, the last one within its bound.
    fn new(
        options: &DdpgOptions,
        shown: Shown,
        (outputs, action): (usize, Option<(usize, usize)>),
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let entering = |layer: usize| action.filter(|&(at, _)| at == layer).map_or(0, |(_, actions)| actions);
        // So many of the hidden layers are normalised.
        let normalised = if options.batch_normalization {
            action.map_or(options.hidden.len(), |(at, _)| at)
        } else {
            0
        };
        let mut dense = |inputs: usize, outputs: usize, bound: Option<f32>, biased: bool| {
            let bound = bound.unwrap_or((inputs as f32).sqrt().recip());
            let weight = TensorData::new(uniform(inputs * outputs, bound, random), [inputs, outputs]);
            Dense {
                weight: Param::from_tensor(Tensor::from_data(weight, device)),
                bias: biased.then(|| vector(uniform(outputs, bound, random), device)),
            }
        };
        let mut width = shown.features();
        let mut hidden = Vec::new();
        for (layer, &outputs) in options.hidden.iter().enumerate() {
            hidden.push(dense(width + entering(layer), outputs, None, layer >= normalised));
            width = outputs;
        }
        let output = dense(width + entering(hidden.len()), outputs, options.last_layer_bound, true);
        let pixels = match shown {
            Shown::Numbers(_) => None,
            Shown::Pixels(shape) => Some(shape),
        };
        let convolutions: Vec<Convolution> = pixels.map_or_else(Vec::new, |[channels, ..]| {
            let layers = Convolution::channels(channels).map(|channels| {
                let fan_in = channels * KERNEL * KERNEL;
                let bound = (fan_in as f32).sqrt().recip();
                let weight = uniform(fan_in * FILTERS, bound, random);
                let bias = (!options.batch_normalization).then(|| uniform(FILTERS, bound, random));
                Convolution::new(channels, weight, bias, device)
            });
            layers.collect()
        });
        let features = [shown.channels()]
            .into_iter()
            .chain(convolutions.iter().map(|_| FILTERS))
            .chain(options.hidden.iter().take(normalised).copied());
        Self {
            norms: features
                .filter(|_| options.batch_normalization)
                .map(|features| BatchNormalization::new(features, device))
                .collect(),
            convolutions,
            hidden,
            output,
            pixels,
            action_layer: action.map(|(at, _)| at),
            activation: options.activation,
        }
    }

    /// Outputs, shape `[n, outputs]`, for observations of shape `[n, d]` and, of critics, actions of shape `[n, a]`.
    pub(super) fn forward(
        &self,
        observations: Tensor<2>,
        actions: Option<&Tensor<2>>,
        statistics: &mut Statistics,
    ) -> Tensor<2> {
        let mut norms = self.norms.iter();
        let mut x = match self.pixels {
            None => normalised(observations, norms.next(), statistics),
            Some(shape) => {
                let [channels, height, width] = shape.map(|length| length as i64);
                let pixels = observations.reshape([-1, channels, height, width]);
                let x = normalised(pixels, norms.next(), statistics);
                let x = self.convolutions.iter().fold(x, |x, layer| {
                    active(normalised(layer.forward(x), norms.next(), statistics), self.activation)
                });
                x.flatten(1, 3)
            }
        };
        let last = self.hidden.len();
        for (layer, dense) in self.hidden.iter().chain([&self.output]).enumerate() {
            if self.action_layer == Some(layer)
                && let Some(actions) = actions
            {
                x = Tensor::cat(vec![x, actions.clone()], 1);
            }
            x = linear(x, dense.weight.val(), dense.bias.as_ref().map(Param::val));
            if layer < last {
                x = active(normalised(x, norms.next(), statistics), self.activation);
            }
        }
        x
    }

    /// Moves the slow averages towards what a pass has noted.
    pub(super) fn absorb(mut self, statistics: Statistics) -> Self {
        if let Statistics::Minibatch(seen) = statistics {
            let norms = self.norms.into_iter().zip(seen);
            self.norms = norms.map(|(norm, seen)| norm.absorb(seen)).collect();
        }
        self
    }

    /// The same function by the slow averages, in which nothing is normalised any more: the convolutions, and the layers after them, their
    /// weights of shape `[out, in]`. Of an actor without autodiff.
    pub(super) fn folded(&self) -> (Vec<Convolution>, Vec<Affine>) {
        let mut norms = self.norms.iter();
        let mut before = norms.next().map(BatchNormalization::line);
        let mut fold = |mut layer: Affine, norm: Option<&BatchNormalization>| {
            if let Some([factor, term]) = before.take() {
                layer.after(&factor, &term);
            }
            if let Some(norm) = norm {
                let [factor, term] = norm.line();
                layer.before(&factor, &term);
            }
            layer
        };
        let convolutions = self.convolutions.iter().map(|layer| {
            let [_, channels, ..] = layer.shape();
            let Affine { weight, bias } = fold(layer.affine(), norms.next());
            Convolution::new(channels, weight, Some(bias), &layer.weight.device())
        });
        let convolutions = convolutions.collect();
        let layers = self.hidden.iter().chain([&self.output]).map(|layer| {
            let affine = Affine {
                weight: numbers(layer.weight.val().transpose()),
                bias: biases(layer.bias.as_ref(), layer.weight.dims()[1]),
            };
            fold(affine, norms.next())
        });
        (convolutions, layers.collect())
    }
}

/// Weights, of each output those of all inputs, and a bias for each output.
pub(crate) struct Affine {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Affine {
    /// Gets factor x + term in place of x, feature by feature. Each feature has the same number of weights side by side in every output.
    fn after(&mut self, factor: &[f32], term: &[f32]) {
        let inputs = self.weight.len() / self.bias.len();
        for (row, bias) in self.weight.chunks_exact_mut(inputs).zip(&mut self.bias) {
            let features = row.chunks_exact_mut(inputs / factor.len());
            for (weights, (factor, term)) in features.zip(factor.iter().zip(term)) {
                *bias += term * weights.iter().sum::<f32>();
                scale(weights, *factor);
            }
        }
    }

    /// Gives factor y + term in place of y, output by output.
    fn before(&mut self, factor: &[f32], term: &[f32]) {
        let inputs = self.weight.len() / self.bias.len();
        let rows = self.weight.chunks_exact_mut(inputs).zip(&mut self.bias);
        for ((row, bias), (factor, term)) in rows.zip(factor.iter().zip(term)) {
            scale(row, *factor);
            *bias = *bias * factor + term;
        }
    }
}

fn scale(weights: &mut [f32], factor: f32) {
    for weight in weights {
        *weight *= factor;
    }
}

fn normalised<const D: usize>(
    x: Tensor<D>,
    norm: Option<&BatchNormalization>,
    statistics: &mut Statistics,
) -> Tensor<D> {
    match norm {
        Some(norm) => norm.forward(x, statistics),
        None => x,
    }
}

fn active<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Relu => relu(x),
        Activation::Tanh => tanh(x),
    }
}
