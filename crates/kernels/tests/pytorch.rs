//! Networks against PyTorch: outputs, all gradients, and ten steps of Adam.

mod common;

use std::fs;
use std::path::Path;

use common::{assert_close, mean_squared_error};
use etude_kernels::perceptron::{Activation, Adam, Mlp, Pass};
use serde::Deserialize;

/// See `scripts/kernels_fixtures.py`.
#[derive(Deserialize)]
struct Case {
    sizes: Vec<usize>,
    activation: Activation,
    adam: Settings,
    parameters: Vec<f32>,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    outputs: Vec<f32>,
    gradient: Vec<f32>,
    input_gradient: Vec<f32>,
    losses: Vec<f32>,
    trained: Vec<f32>,
}

#[derive(Deserialize)]
struct Settings {
    lr: f32,
    eps: f32,
    weight_decay: f32,
}

#[test]
fn outputs_gradients_and_ten_steps_of_adam_are_those_of_pytorch() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mlp.json");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let what = |part: &str| format!("{part} of {:?}, {:?}", case.sizes, case.activation);
        let mut mlp = Mlp::from_parameters(&case.sizes, case.activation, case.parameters.clone()).unwrap();
        let mut pass = Pass::new(&mlp, case.inputs.len() / case.sizes[0]);
        let mut adam = Adam::new(mlp.parameters().len(), case.adam.eps);
        adam.weight_decay = case.adam.weight_decay;
        let mut gradient = vec![0.0; mlp.parameters().len()];
        let mut input_gradient = vec![0.0; case.inputs.len()];
        let mut losses = Vec::new();
        for step in 0..case.losses.len() {
            let outputs = mlp.forward(&case.inputs, &mut pass);
            if step == 0 {
                assert_close(&what("outputs"), outputs, &case.outputs);
            }
            let (loss, output_gradient) = mean_squared_error(outputs, &case.targets);
            losses.push(loss);
            mlp.backward(&output_gradient, &mut pass, &mut gradient, Some(&mut input_gradient));
            if step == 0 {
                assert_close(&what("gradient"), &gradient, &case.gradient);
                assert_close(&what("gradient by the inputs"), &input_gradient, &case.input_gradient);
            }
            adam.step(mlp.parameters_mut(), &gradient, 1.0, case.adam.lr);
        }
        assert_close(&what("losses"), &losses, &case.losses);
        assert_close(&what("trained parameters"), mlp.parameters(), &case.trained);
        assert_eq!(adam.steps(), 10);
    }
}
