//! What is true of any network and any vector.

use etude_kernels::perceptron::{Activation, Mlp, Pass};
use etude_train::Seed;
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

fn numbers(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Relu), Just(Activation::Tanh)]
}

/// Units of a layer: some loops are for wide layers, and some for narrow ones.
fn width() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..24, 24usize..120]
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

/// The outputs for one row, as the definition has them, in 64 bits, and how near to its kink the nearest rectifier is.
fn defined(sizes: &[usize], activation: Activation, mut parameters: &[f64], input: &[f64]) -> (Vec<f64>, f64) {
    let (early, late) = input.split_at(sizes[0]);
    let mut nearest = f64::INFINITY;
    let mut x = early.to_vec();
    for (index, &outputs) in sizes[1..].iter().enumerate() {
        if index == 1 {
            x.extend_from_slice(late);
        }
        let (weight, after) = parameters.split_at(x.len() * outputs);
        let (bias, after) = after.split_at(outputs);
        let sums = weight.chunks(x.len()).zip(bias);
        x = sums
            .map(|(row, b)| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + b)
            .collect();
        if index + 2 < sizes.len() {
            for x in &mut x {
                *x = match activation {
                    Activation::Relu => {
                        nearest = nearest.min(x.abs());
                        x.max(0.0)
                    }
                    Activation::Tanh => x.tanh(),
                };
            }
        }
        parameters = after;
    }
    (x, nearest)
}

proptest! {
    #[test]
    fn outputs_are_those_of_the_definition_and_gradients_its_slopes(
        sizes in prop::collection::vec(width(), 2..5), late in 0usize..4, rows in 1usize..80, activation in activation(),
        wanted in 1usize..24, seed: u64,
    ) {
        let mut random = Seed(seed).stream("network");
        let late = if sizes.len() < 3 { 0 } else { late };
        let mlp = Mlp::with_late_inputs(&sizes, late, activation, &mut random);
        let mut pass = Pass::new(&mlp, rows);
        let width = sizes[0] + late;
        let inputs = numbers(&mut random, rows * width);
        let outputs = mlp.forward(&inputs, &mut pass).to_vec();
        let function = |parameters: &[f64], inputs: &[f64]| -> Vec<f64> {
            inputs.chunks(width).flat_map(|input| defined(&sizes, activation, parameters, input).0).collect()
        };
        let (parameters, inputs_wide) = (wide(mlp.parameters()), wide(&inputs));
        for (found, expected) in outputs.iter().zip(function(&parameters, &inputs_wide)) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}, {expected}");
        }

        // A rectifier at its kink has another slope on each side, and rounding decides on which one it is.
        let kinks = inputs_wide.chunks(width).map(|input| defined(&sizes, activation, &parameters, input).1);
        prop_assume!(kinks.fold(f64::INFINITY, f64::min) > 1e-5);

        // Of the outputs' weighted sum, along a random direction; so short that no unit of a rectifier changes sides.
        let weights = numbers(&mut random, outputs.len());
        let wanted = if late > 0 { late } else { wanted.min(width) };
        let (mut gradient, mut last) = (vec![f32::NAN; parameters.len()], vec![f32::NAN; rows * wanted]);
        mlp.backward_to_inputs(&weights, &mut pass, wanted, &mut last);
        if late > 0 {
            mlp.backward(&weights, &mut pass, &mut gradient, None);
        } else {
            let mut all = vec![f32::NAN; inputs.len()];
            mlp.backward(&weights, &mut pass, &mut gradient, Some(&mut all));
            for (all, last) in all.chunks(width).zip(last.chunks(wanted)) {
                prop_assert_eq!(&all[width - wanted..], last);
            }
        }
        let sum = |parameters: &[f64], inputs: &[f64]| -> f64 {
            function(parameters, inputs).iter().zip(&weights).map(|(y, w)| y * f64::from(*w)).sum()
        };
        // Among the inputs, only the last ones move.
        let along_inputs = numbers(&mut random, last.len());
        let among_all: Vec<f32> = along_inputs
            .chunks(wanted)
            .flat_map(|row| [&vec![0.0; width - wanted], row].concat())
            .collect();
        let directions = [numbers(&mut random, parameters.len()), among_all];
        let moved = |start: &[f64], direction: &[f32], length: f64| -> Vec<f64> {
            start.iter().zip(direction).map(|(x, d)| x + length * f64::from(*d)).collect()
        };
        let along = |gradient: &[f32], direction: &[f32]| -> f64 {
            wide(gradient).iter().zip(direction).map(|(g, d)| g * f64::from(*d)).sum()
        };
        let length = 1e-7;
        let of_parameters = |length| sum(&moved(&parameters, &directions[0], length), &inputs_wide);
        let of_inputs = |length| sum(&parameters, &moved(&inputs_wide, &directions[1], length));
        for (slope, found) in [
            ((of_parameters(length) - of_parameters(-length)) / (2.0 * length), along(&gradient, &directions[0])),
            ((of_inputs(length) - of_inputs(-length)) / (2.0 * length), along(&last, &along_inputs)),
        ] {
            prop_assert!((found - slope).abs() < 1e-4 * (1.0 + slope.abs()), "{found}, {slope}");
        }
    }

    #[test]
    fn a_pass_for_more_rows_gives_the_same_bytes(
        sizes in prop::collection::vec(width(), 2..5), rows in 1usize..80, more in 1usize..80, seed: u64,
    ) {
        let mut random = Seed(seed).stream("network");
        let mlp = Mlp::new(&sizes, Activation::Relu, &mut random);
        let inputs = numbers(&mut random, (rows + more) * sizes[0]);
        let weights = numbers(&mut random, rows * sizes[sizes.len() - 1]);
        let (mut exact, mut larger) = (Pass::new(&mlp, rows), Pass::new(&mlp, rows + more));
        // What an earlier pass has left behind must not matter.
        mlp.forward(&inputs, &mut larger);
        let inputs = &inputs[..rows * sizes[0]];
        prop_assert_eq!(mlp.forward(inputs, &mut exact), mlp.forward(inputs, &mut larger));
        let mut gradients = [vec![0.0; mlp.parameters().len()], vec![1.0; mlp.parameters().len()]];
        let mut input_gradients = [vec![0.0; inputs.len()], vec![1.0; inputs.len()]];
        for ((pass, gradient), input_gradient) in [&mut exact, &mut larger].into_iter().zip(&mut gradients).zip(&mut input_gradients) {
            mlp.backward(&weights, pass, gradient, Some(input_gradient));
        }
        prop_assert_eq!(&gradients[0], &gradients[1]);
        prop_assert_eq!(&input_gradients[0], &input_gradients[1]);
    }
}
