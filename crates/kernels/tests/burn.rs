//! Networks against the same module in Burn, on its CPU backend: outputs, all gradients, and steps of Adam.

mod common;

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData, activation};
use common::{assert_close, mean_squared_error};
use etude_kernels::perceptron::{Activation, Adam, Layer, Mlp, Pass};
use etude_train::Seed;
use rand::{Rng, RngExt};

/// The network as Burn has it.
#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn new(mlp: &Mlp, device: &Device) -> Self {
        let layer = |Layer {
                         weight,
                         bias,
                         inputs,
                         outputs,
                     }: Layer<'_>| {
            let weight = Tensor::<2>::from_data(TensorData::new(weight.to_vec(), [outputs, inputs]), device);
            let bias = Tensor::<1>::from_data(TensorData::new(bias.to_vec(), [outputs]), device);
            let mut layer = LinearConfig::new(inputs, outputs).init(device);
            layer.weight = Param::from_tensor(weight.transpose());
            layer.bias = Some(Param::from_tensor(bias));
            layer
        };
        Self {
            layers: mlp.layers().map(layer).collect(),
        }
    }

    fn forward(&self, inputs: Tensor<2>, activation: Activation) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(inputs, |x, (index, layer)| {
            let y = layer.forward(x);
            match activation {
                _ if index == last => y,
                Activation::Relu => activation::relu(y),
                Activation::Tanh => activation::tanh(y),
            }
        })
    }

    /// Something of each parameter, in the order of [`Mlp::parameters`].
    fn flat(&self, weight: impl Fn(&Tensor<2>) -> Tensor<2>, bias: impl Fn(&Tensor<1>) -> Tensor<1>) -> Vec<f32> {
        let layer = |layer: &Linear| {
            [
                numbers(weight(&layer.weight.val()).transpose()),
                numbers(bias(&layer.bias.as_ref().unwrap().val())),
            ]
            .concat()
        };
        self.layers.iter().flat_map(layer).collect()
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn normals(random: &mut impl Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-1.5..1.5)).collect()
}

#[test]
fn outputs_gradients_and_steps_of_adam_are_those_of_burn() {
    let device = Device::flex().autodiff();
    for (case, (sizes, activation)) in [
        (&[4, 256, 256, 2][..], Activation::Relu),
        (&[4, 120, 84, 2], Activation::Relu),
        (&[3, 64, 64, 1], Activation::Tanh),
        (&[17, 400, 300, 6], Activation::Relu),
    ]
    .into_iter()
    .enumerate()
    {
        let what = |part: &str| format!("{part} of {sizes:?}, {activation:?}");
        let mut random = Seed(1).stream_indexed("network", case as u64);
        let mut mlp = Mlp::new(sizes, activation, &mut random);
        let mut network = Network::new(&mlp, &device);
        // With a smaller epsilon, a step makes much of how a gradient near zero was rounded.
        let epsilon = 1e-5;
        let mut adam = Adam::new(mlp.parameters().len(), epsilon);
        let mut optimizer = AdamConfig::new().with_epsilon(epsilon).init();
        let (rows, outputs) = (32, sizes[sizes.len() - 1]);
        let mut pass = Pass::new(&mlp, rows);
        let mut gradient = vec![0.0; mlp.parameters().len()];
        for step in 0..5 {
            let inputs = normals(&mut random, rows * sizes[0]);
            let targets = normals(&mut random, rows * outputs);
            let mut input_gradient = vec![0.0; inputs.len()];
            let found = mlp.forward(&inputs, &mut pass).to_vec();
            let (_, output_gradient) = mean_squared_error(&found, &targets);
            mlp.backward(&output_gradient, &mut pass, &mut gradient, Some(&mut input_gradient));
            adam.step(mlp.parameters_mut(), &gradient, 1.0, 1e-3);

            let inputs = Tensor::<2>::from_data(TensorData::new(inputs, [rows, sizes[0]]), &device).require_grad();
            let targets = Tensor::<2>::from_data(TensorData::new(targets, [rows, outputs]), &device);
            let expected = network.forward(inputs.clone(), activation);
            let of_loss = (expected.clone() - targets).square().mean().backward();
            // Later gradients are of parameters that are no longer the same to the last digit.
            if step == 0 {
                assert_close(&what("outputs"), &found, &numbers(expected));
                let expected = network.flat(
                    |weight| weight.grad(&of_loss).unwrap(),
                    |bias| bias.grad(&of_loss).unwrap(),
                );
                assert_close(&what("gradient"), &gradient, &expected);
                let expected = numbers(inputs.grad(&of_loss).unwrap());
                assert_close(&what("gradient by the inputs"), &input_gradient, &expected);
            }
            let of_parameters = GradientsParams::from_grads(of_loss, &network);
            network = optimizer.step(1e-3, network, of_parameters);
            let trained = network.flat(Tensor::clone, Tensor::clone);
            assert_close(&what("parameters"), mlp.parameters(), &trained);
        }
    }
}
