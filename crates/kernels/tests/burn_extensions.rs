//! Operations on Burn's tensors against the same composed of Burn's own: outputs, and gradients by every input.

use std::sync::Arc;

use burn::backend::Flex;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use etude_kernels::Precision;
use etude_kernels::attention::Attention;
use etude_kernels::burn::{
    Input, attention, composed, embedding, gated, gated_linear, layer_norm, linear, linear_cross_entropy,
    linear_cross_entropy_with_statistics, rms_norm, rotary, token_log_probabilities,
    token_log_probabilities_with_statistics, with_gradients,
};
use etude_kernels::gated::Gate;
use etude_kernels::linear_cross_entropy::TokenStatistics;
use etude_kernels::rotary::RotaryTable;
use etude_train::Seed;
use rand::RngExt;

/// An operation on flat inputs, which it reshapes, with a flat output.
type Operation<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

type Linear = fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>, Precision) -> Tensor<2>;

fn normals(name: &str, count: usize) -> Vec<f32> {
    let mut random = Seed(7).stream(name);
    (0..count).map(|_| random.random_range(-1.5..1.5)).collect()
}

/// Whether the numbers agree to five digits: each of them, or where it is small beside the others, in proportion to these.
fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    // Not below 1, the size of the inputs: a gradient that is zero comes out as what rounding has left of it.
    let size = expected.iter().fold(1.0_f32, |size, number| size.max(number.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-5 * (expected.abs() + 0.1 * size),
            "{what}, entry {index}: found {found}, expected {expected}"
        );
    }
}

/// Inputs of these lengths.
fn inputs(lengths: &[usize]) -> Vec<Vec<f32>> {
    let input = |(index, &length)| normals(&format!("input {index}"), length);
    lengths.iter().enumerate().map(input).collect()
}

fn tensor(numbers: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The output, and the gradients by the tracked inputs of the output times some numbers. The inputs must stay as they are.
fn run(
    device: &Device,
    inputs: &[Vec<f32>],
    tracked: &[bool],
    operation: Operation<'_>,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    let leaf = |(numbers, &tracked): (&Vec<f32>, &bool)| tensor(numbers, device).set_require_grad(tracked);
    let leaves: Vec<Tensor<1>> = inputs.iter().zip(tracked).map(leaf).collect();
    let output = operation(&leaves);
    let factors = tensor(&normals("factors", output.dims()[0]), device);
    let gradients = if tracked.contains(&true) {
        let gradients = (output.clone() * factors).sum().backward();
        leaves.iter().map(|leaf| leaf.grad(&gradients).map(numbers)).collect()
    } else {
        vec![None; leaves.len()]
    };
    for (leaf, input) in leaves.into_iter().zip(inputs) {
        assert_eq!(&numbers(leaf), input, "an input has changed");
    }
    (numbers(output), gradients)
}

/// Everything that holds for each operation.
fn check(what: &str, inputs: &[Vec<f32>], operation: Operation<'_>, composed: Operation<'_>) {
    let device = Device::flex().autodiff();
    let all = vec![true; inputs.len()];
    let (output, gradients) = run(&device, inputs, &all, operation);
    let (expected, expected_gradients) = run(&device, inputs, &all, composed);
    assert_close(&format!("{what}, output"), &output, &expected);
    for (index, (gradient, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        let what = format!("{what}, gradient {index}");
        assert_close(&what, gradient.as_ref().unwrap(), expected.as_ref().unwrap());
    }

    // On a device without autodiff, with gradient checkpointing, and where no input is tracked: the same bits.
    let none = vec![false; inputs.len()];
    assert_eq!(
        run(&Device::flex(), inputs, &none, operation).0,
        output,
        "{what}, plain device"
    );
    assert_eq!(
        run(&device, inputs, &none, operation).0,
        output,
        "{what}, nothing tracked"
    );
    let checkpointing = Device::flex().autodiff().gradient_checkpointing();
    let with_checkpoints = run(&checkpointing, inputs, &all, operation);
    assert_eq!(with_checkpoints, (output, gradients.clone()), "{what}, checkpointing");

    // An input that is not tracked has no gradient, and does not change those of the others.
    for untracked in 0..inputs.len() * usize::from(inputs.len() > 1) {
        let tracked: Vec<bool> = (0..inputs.len()).map(|index| index != untracked).collect();
        let mut expected = gradients.clone();
        expected[untracked] = None;
        let found = run(&device, inputs, &tracked, operation).1;
        assert_eq!(found, expected, "{what}, input {untracked} not tracked");
    }

    // Used twice, an input has the sum of both gradients.
    let twice = |operation: Operation<'_>, inputs: &[Tensor<1>]| operation(inputs) * 3.0 + operation(inputs).square();
    let found = run(&device, inputs, &all, &|inputs| twice(operation, inputs)).1;
    let expected = run(&device, inputs, &all, &|inputs| twice(composed, inputs)).1;
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let what = format!("{what}, gradient {index} of two uses");
        assert_close(&what, found.as_ref().unwrap(), expected.as_ref().unwrap());
    }
}

#[test]
fn rms_norms() {
    for (shape, offset) in [([1, 1, 8], 0.0), ([2, 3, 7], 0.0), ([2, 3, 7], 1.0), ([1, 50, 65], 1.0)] {
        let [a, b, width] = shape;
        check(
            &format!("RMSNorm of {shape:?}, offset {offset}"),
            &inputs(&[a * b * width, width]),
            &|x| rms_norm(x[0].clone().reshape(shape), x[1].clone(), 1e-5, offset).reshape([-1]),
            &|x| composed::rms_norm(x[0].clone().reshape(shape), x[1].clone(), 1e-5, offset).reshape([-1]),
        );
    }
}

#[test]
fn layer_norms() {
    for shape in [[1, 1, 8], [2, 3, 7], [1, 50, 65]] {
        let [a, b, width] = shape;
        let reshaped = |x: &[Tensor<1>]| (x[0].clone().reshape(shape), x[1].clone(), x[2].clone());
        check(
            &format!("LayerNorm of {shape:?}"),
            &inputs(&[a * b * width, width, width]),
            &|x| {
                let (x, weight, bias): (Tensor<3>, _, _) = reshaped(x);
                layer_norm(x, weight, bias, 1e-5).reshape([-1])
            },
            &|x| {
                let (x, weight, bias): (Tensor<3>, _, _) = reshaped(x);
                composed::layer_norm(x, weight, bias, 1e-5).reshape([-1])
            },
        );
    }
}

#[test]
fn rotary_embeddings() {
    let frequencies: Vec<f32> = (0..6).map(|pair| 0.1_f32.powi(pair)).collect();
    let table = Arc::new(RotaryTable::new(&frequencies, 1.25, 32));
    for (tokens, heads) in [(1, 1), (5, 3)] {
        let shape = [tokens, heads, 12];
        let positions = &[9, 0, 31, 1, 2][..tokens];
        check(
            &format!("rotary embeddings of {shape:?}"),
            &inputs(&[shape.iter().product()]),
            &|x| rotary(x[0].clone().reshape(shape), positions, &table).reshape([-1]),
            &|x| composed::rotary(x[0].clone().reshape(shape), positions, &table).reshape([-1]),
        );
    }
}

#[test]
fn gates() {
    for kind in [Gate::Silu, Gate::GeluTanh] {
        for shape in [[1, 1], [5, 33]] {
            let length = shape[0] * shape[1];
            let reshaped = |x: &Tensor<1>| x.clone().reshape(shape);
            check(
                &format!("{kind:?} of {shape:?}"),
                &inputs(&[length, length]),
                &|x| gated::<2>(reshaped(&x[0]), reshaped(&x[1]), kind).reshape([-1]),
                &|x| composed::gated::<2>(reshaped(&x[0]), reshaped(&x[1]), kind).reshape([-1]),
            );
        }
    }
}

#[test]
fn linear_layers_after_gates() {
    for kind in [Gate::Silu, Gate::GeluTanh] {
        for [rows, width, outputs] in [[1, 1, 1], [5, 33, 7]] {
            let split = |x: &[Tensor<1>]| -> [Tensor<2>; 3] {
                let [gate, up] = [0, 1].map(|index: usize| x[index].clone().reshape([rows, width]));
                [gate, up, x[2].clone().reshape([outputs, width])]
            };
            check(
                &format!("{kind:?} of {rows} rows, from {width} to {outputs}"),
                &inputs(&[rows * width, rows * width, outputs * width]),
                &|x| {
                    let [gate, up, weight] = split(x);
                    gated_linear(gate, up, weight, kind, Precision::F32).reshape([-1])
                },
                &|x| {
                    let [gate, up, weight] = split(x);
                    composed::linear(composed::gated(gate, up, kind), weight, None, Precision::F32).reshape([-1])
                },
            );
        }
    }
}

#[test]
fn linear_layers() {
    for (shape, outputs) in [([1, 1, 8], 3), ([2, 3, 7], 5), ([1, 40, 65], 33)] {
        let [a, b, width] = shape;
        let split = |x: &[Tensor<1>]| {
            let (input, weight) = (x[0].clone().reshape(shape), x[1].clone().reshape([outputs, width]));
            (input, weight, x.get(2).cloned())
        };
        for bias in [false, true] {
            let lengths = [a * b * width, outputs * width, outputs];
            check(
                &format!("linear layer of {shape:?} to {outputs}, bias {bias}"),
                &inputs(&lengths[..2 + usize::from(bias)]),
                &|x| {
                    let (x, weight, bias): (Tensor<3>, _, _) = split(x);
                    linear(x, weight, bias, Precision::F32).reshape([-1])
                },
                &|x| {
                    let (x, weight, bias): (Tensor<3>, _, _) = split(x);
                    composed::linear(x, weight, bias, Precision::F32).reshape([-1])
                },
            );
        }
    }
}

/// Both round the factors of every product to bf16; what the gradients are rounded to differs.
#[test]
fn linear_layers_in_bf16() {
    let (rows, width, outputs) = (6, 40, 9);
    let inputs = inputs(&[rows * width, outputs * width]);
    let device = Device::flex().autodiff();
    let run = |operation: Linear, precision| {
        run(&device, &inputs, &[true; 2], &|x| {
            let (x, weight) = (
                x[0].clone().reshape([rows, width]),
                x[1].clone().reshape([outputs, width]),
            );
            operation(x, weight, None, precision).reshape([-1])
        })
    };
    let (output, gradients) = run(linear, Precision::Bf16);
    let (expected, expected_gradients) = run(composed::linear, Precision::Bf16);
    assert_close("output in bf16", &output, &expected);
    let exact = run(composed::linear, Precision::F32).0;
    assert!(
        exact
            .iter()
            .zip(&output)
            .any(|(exact, found)| (exact - found).abs() > 1e-4)
    );
    for (found, expected) in gradients.iter().flatten().zip(expected_gradients.iter().flatten()) {
        let size = expected.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01 * size, "{found} instead of {expected}");
        }
    }
}

#[test]
fn embeddings() {
    let (vocabulary, width) = (5, 3);
    let tokens = [4, 0, 4, 2];
    for padding in [None, Some(4), Some(1)] {
        let table = |x: &[Tensor<1>]| -> Tensor<2> { x[0].clone().reshape([vocabulary, width]) };
        check(
            &format!("rows of a table, padding {padding:?}"),
            &inputs(&[vocabulary * width]),
            &|x| embedding(table(x), &tokens, padding).reshape([-1]),
            &|x| composed::embedding(table(x), &tokens, padding).reshape([-1]),
        );
    }
}

/// The head of a language model and its embedding are one weight, whose gradient is the sum of both.
#[test]
fn a_weight_that_is_tied() {
    let tokens = [4, 0, 4, 2];
    let loss = |composed: bool| {
        let weight = tensor(&normals("tied", 15), &Device::flex().autodiff())
            .reshape([5, 3])
            .detach()
            .require_grad();
        let rows = if composed {
            composed::embedding(weight.clone(), &tokens, None)
        } else {
            embedding(weight.clone(), &tokens, None)
        };
        let loss = linear_cross_entropy(rows, weight.clone(), &[0, 1, 2, 3], &[0.25; 4], None, Precision::F32);
        numbers(weight.grad(&loss.backward()).unwrap())
    };
    assert_close("gradient of a tied weight", &loss(false), &loss(true));
}

#[test]
fn attentions() {
    let plain = Attention {
        heads: 2,
        key_value_heads: 2,
        head_size: 8,
        scale: 0.35,
        causal: true,
        window: None,
        soft_cap: None,
    };
    let cases = [
        ("causal", plain, &[0, 5][..]),
        ("one token", plain, &[0, 1]),
        ("packed", plain, &[0, 3, 4, 4, 12]),
        ("grouped", Attention { heads: 6, ..plain }, &[0, 3, 9]),
        ("without order", Attention { causal: false, ..plain }, &[0, 7, 9]),
        (
            "window",
            Attention {
                window: Some(3),
                ..plain
            },
            &[0, 8, 10],
        ),
        (
            "soft cap",
            Attention {
                soft_cap: Some(0.7),
                ..plain
            },
            &[0, 6],
        ),
        (
            "all options",
            Attention {
                heads: 4,
                head_size: 10,
                window: Some(2),
                soft_cap: Some(1.5),
                ..plain
            },
            &[0, 1, 9],
        ),
    ];
    for (what, options, offsets) in &cases {
        let tokens = *offsets.last().unwrap();
        let queries = [tokens, options.heads, options.head_size];
        let keys = [tokens, options.key_value_heads, options.head_size];
        let split = |x: &[Tensor<1>]| {
            let (q, k) = (x[0].clone().reshape(queries), x[1].clone().reshape(keys));
            (q, k, x[2].clone().reshape(keys))
        };
        let lengths = [queries, keys, keys].map(|shape| shape.iter().product());
        check(
            &format!("attention, {what}"),
            &inputs(&lengths),
            &|x| {
                let (q, k, v) = split(x);
                attention(q, k, v, offsets, options).reshape([-1])
            },
            &|x| {
                let (q, k, v) = split(x);
                composed::attention(q, k, v, offsets, options).reshape([-1])
            },
        );
    }
}

#[test]
fn log_probabilities_and_cross_entropies() {
    for (tokens, width, vocabulary, soft_cap) in [(1, 3, 2, None), (7, 12, 50, None), (7, 12, 50, Some(1.5))] {
        let what = format!("{tokens} tokens among {vocabulary}, soft cap {soft_cap:?}");
        let targets: Vec<u32> = (0..tokens as u32)
            .map(|token| (token * 37 + 1) % vocabulary as u32)
            .collect();
        let split = |x: &[Tensor<1>]| {
            let (hidden, weight) = (x[0].clone(), x[1].clone());
            (hidden.reshape([tokens, width]), weight.reshape([vocabulary, width]))
        };
        let inputs = inputs(&[tokens * width, vocabulary * width]);
        check(
            &format!("log-probabilities of {what}"),
            &inputs,
            &|x| {
                let (hidden, weight) = split(x);
                token_log_probabilities(hidden, weight, &targets, soft_cap, Precision::F32)
            },
            &|x| {
                let (hidden, weight) = split(x);
                composed::token_log_probabilities(hidden, weight, &targets, soft_cap, Precision::F32)
            },
        );
        // The second token is masked.
        let mut weights = vec![0.25; tokens];
        if let Some(weight) = weights.get_mut(1) {
            *weight = 0.0;
        }
        check(
            &format!("cross-entropy of {what}"),
            &inputs,
            &|x| {
                let (hidden, weight) = split(x);
                linear_cross_entropy(hidden, weight, &targets, &weights, soft_cap, Precision::F32)
            },
            &|x| {
                let (hidden, weight) = split(x);
                composed::linear_cross_entropy(hidden, weight, &targets, &weights, soft_cap, Precision::F32)
            },
        );
    }
}

#[test]
fn statistics_come_with_the_same_bits_and_are_those_of_the_composed_operations() {
    const IGNORED: u32 = etude_kernels::linear_cross_entropy::IGNORED;
    let (tokens, width, vocabulary) = (6, 12, 2500);
    let targets = [3, 1400, IGNORED, 0, 2499, 1153];
    let weights = [0.5, 0.25, 0.0, 1.0, -0.25, 0.5];
    let device = Device::flex();
    let matrix = |name: &str, rows: usize, device: &Device| {
        Tensor::<2>::from_data(TensorData::new(normals(name, rows * width), [rows, width]), device)
    };
    for (soft_cap, precision) in [
        (None, Precision::F32),
        (Some(1.5), Precision::F32),
        (None, Precision::Bf16),
    ] {
        let inputs = |device: &Device| (matrix("hidden", tokens, device), matrix("weight", vocabulary, device));
        let (hidden, weight) = inputs(&device);
        let mut expected = vec![TokenStatistics::default(); tokens];
        composed::token_log_probabilities_with_statistics(hidden, weight, &targets, soft_cap, precision, &mut expected);
        for device in [device.clone(), device.clone().autodiff()] {
            let (hidden, weight) = inputs(&device);
            let (hidden, weight) = if device.is_autodiff() {
                (hidden.require_grad(), weight.require_grad())
            } else {
                (hidden, weight)
            };
            let alone = token_log_probabilities(hidden.clone(), weight.clone(), &targets, soft_cap, precision);
            let (with, of_tokens) =
                token_log_probabilities_with_statistics(hidden.clone(), weight.clone(), &targets, soft_cap, precision);
            let bits = |tensor: Tensor<1>| tensor.to_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(alone), bits(with));
            let alone = linear_cross_entropy(hidden.clone(), weight.clone(), &targets, &weights, soft_cap, precision);
            let (with, of_loss) =
                linear_cross_entropy_with_statistics(hidden, weight, &targets, &weights, soft_cap, precision);
            assert_eq!(bits(alone), bits(with));
            for found in [of_tokens, of_loss] {
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.correct, expected.correct);
                    assert!(
                        (found.entropy - expected.entropy).abs() < 2e-5,
                        "{found:?}, {expected:?}"
                    );
                    let difference = found.log_sum_squares - expected.log_sum_squares;
                    assert!(difference.abs() < 2e-5, "{found:?}, {expected:?}");
                    let difference = found.mean_logit - expected.mean_logit;
                    assert!(difference.abs() < 2e-5, "{found:?}, {expected:?}");
                }
            }
        }
    }
}

#[test]
fn a_masked_token_may_have_any_target() {
    let device = Device::flex();
    let (hidden, weight) = (Tensor::<2>::ones([2, 3], &device), Tensor::<2>::ones([4, 3], &device));
    let loss = linear_cross_entropy(hidden, weight, &[1, u32::MAX], &[1.0, 0.0], None, Precision::F32);
    assert_close("loss", &numbers(loss), &[4.0_f32.ln()]);
}

/// Transposed weights, slices of rows and of columns: read as they are meant, not as they lie in memory.
#[test]
fn tensors_in_any_order_of_memory() {
    let (rows, width, outputs) = (6, 10, 4);
    let inputs = inputs(&[2 * rows * width, width * outputs]);
    let operation = |linear: Linear, x: &[Tensor<1>]| {
        let wide: Tensor<2> = x[0].clone().reshape([rows, 2 * width]);
        let weight: Tensor<2> = x[1].clone().reshape([width, outputs]);
        let columns = linear(
            wide.clone().narrow(1, 3, width),
            weight.clone().transpose(),
            None,
            Precision::F32,
        );
        let tall: Tensor<2> = wide.reshape([2 * rows, width]);
        let few = linear(tall.narrow(0, 1, rows), weight.transpose(), None, Precision::F32);
        // The gradient of a transposed output is transposed too.
        (columns.transpose() * few.reshape([outputs, rows])).reshape([-1])
    };
    check("linear layers of views", &inputs, &|x| operation(linear, x), &|x| {
        operation(composed::linear, x)
    });
}

/// What nothing else holds is turned where it lies, and what something else holds is not.
#[test]
fn rotary_embeddings_are_in_place() {
    let table = Arc::new(RotaryTable::new(&[1.0, 0.1], 1.0, 4));
    let address = |x: &Tensor<3>| {
        let plain = x.clone().without_autodiff().try_into_primitive::<Flex>().unwrap();
        plain.bytes().as_ptr() as usize
    };
    for device in [Device::flex(), Device::flex().autodiff()] {
        let x = Tensor::<3>::ones([2, 3, 4], &device);
        let before = address(&x);
        let x = rotary(x, &[0, 3], &table);
        assert_eq!(address(&x), before);
        let turned = rotary(x.clone(), &[1, 2], &table);
        assert_ne!(address(&turned), before);
    }
    // Nor is an input in whose gradient something else has its part.
    let x = Tensor::<3>::ones([2, 3, 4], &Device::flex().autodiff()).require_grad();
    let y = x.clone() * 2.0;
    let gradients = (rotary(y.clone(), &[0, 3], &table) * 3.0 + y).sum().backward();
    let gradient = numbers(x.grad(&gradients).unwrap());
    // At position 0, nothing turns: 2 (3 + 1).
    assert_eq!(gradient[..12], [8.0; 12]);
}

/// The kernels are of f32; everything else is left to Burn.
#[test]
fn other_types_of_numbers() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data([[3.0_f32, 4.0]], &device)
        .cast(DType::F64)
        .require_grad();
    let weight = Tensor::<1>::from_data([1.0_f32, 2.0], &device).cast(DType::F64);
    let y = rms_norm(x.clone(), weight, 0.0, 0.0);
    let root = 12.5_f64.sqrt();
    let found: Vec<f64> = y.clone().into_data().try_to_vec().unwrap();
    for (found, expected) in found.iter().zip([3.0 / root, 8.0 / root]) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }
    let gradient = x.grad(&y.sum().backward()).unwrap();
    assert_eq!(gradient.dtype(), DType::F64);
    let gradient: Vec<f64> = gradient.into_data().try_to_vec().unwrap();
    // d/dx sum(w x) / r, with r^2 = mean(x^2): (w - x (w . x) / (2 r^2)) / r.
    for (found, expected) in gradient
        .iter()
        .zip([(1.0 - 3.0 * 11.0 / 25.0) / root, (2.0 - 4.0 * 11.0 / 25.0) / root])
    {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }
}

/// A bias is trained, the weight is not, and the input is or is not.
#[test]
fn biases_alone_are_trained() {
    let (inputs, shape) = (inputs(&[6 * 4, 5 * 4, 5]), [6, 4]);
    for tracked in [
        [false, false, true],
        [true, false, true],
        [true, false, false],
        [false, true, false],
    ] {
        let found = [linear as Linear, composed::linear].map(|linear| {
            run(&Device::flex().autodiff(), &inputs, &tracked, &|x| {
                let (input, weight) = (x[0].clone().reshape(shape), x[1].clone().reshape([5, 4]));
                linear(input, weight, Some(x[2].clone()), Precision::F32).reshape([-1])
            })
        });
        for (index, (found, expected)) in found[0].1.iter().zip(&found[1].1).enumerate() {
            assert_eq!(found.is_some(), tracked[index]);
            if let (Some(found), Some(expected)) = (found, expected) {
                assert_close(&format!("gradient {index}"), found, expected);
            }
        }
    }
}

/// A layer that knows what norm its input is from does not keep the input: the bits are the same, output and gradients.
#[test]
fn linear_layers_after_norms() {
    for bias in [false, true] {
        for precision in [Precision::F32, Precision::Bf16] {
            let inputs = inputs(&[6 * 8, 8, 5 * 8, 7 * 8, 5, 7]);
            let layers = |input: Input<2>, x: &[Tensor<1>]| {
                let layer = |weight: usize, outputs: usize| {
                    let bias = bias.then(|| x[weight + 2].clone());
                    linear(input.clone(), x[weight].clone().reshape([outputs, 8]), bias, precision).reshape([-1])
                };
                Tensor::cat(vec![layer(2, 5), layer(3, 7)], 0)
            };
            let mut tracked = vec![true; 6];
            for frozen in [None, Some(0), Some(1), Some(2)] {
                tracked.fill(true);
                tracked[4..].fill(bias);
                if let Some(frozen) = frozen {
                    tracked[frozen] = false;
                }
                let device = Device::flex().autodiff();
                let found = run(&device, &inputs, &tracked, &|x| {
                    layers(
                        Input::rms_norm(x[0].clone().reshape([6, 8]), x[1].clone(), 1e-5, 1.0),
                        x,
                    )
                });
                let expected = run(&device, &inputs, &tracked, &|x| {
                    layers(
                        rms_norm(x[0].clone().reshape([6, 8]), x[1].clone(), 1e-5, 1.0).into(),
                        x,
                    )
                });
                assert_eq!(found, expected, "bias {bias}, {precision:?}, frozen {frozen:?}");
            }
        }
    }
}

/// What is handed to a loss is added to its gradients, also by a parameter that it does not depend on.
#[test]
fn gradients_of_several_losses_add_up() {
    #[derive(Module, Debug)]
    struct Two {
        first: Param<Tensor<2>>,
        second: Param<Tensor<1>>,
    }
    // On Flex's kernel, and on Burn's own operations, which other types of numbers take.
    for dtype in [DType::F32, DType::F64] {
        let device = Device::flex().autodiff();
        let parameter = |numbers: &[f32]| tensor(numbers, &device).cast(dtype);
        let module = Two {
            first: Param::from_tensor(parameter(&[1.0, 2.0, 3.0, 4.0]).reshape([2, 2])),
            second: Param::from_tensor(parameter(&[5.0])),
        };
        let (first, second) = (module.first.val(), module.second.val());
        let earlier = (first.clone().sum() * 2.0 + second * 3.0).backward();
        let earlier = GradientsParams::from_grads(earlier, &module);
        let loss = (first.clone() * first).sum();
        let value = loss.clone();
        let loss = with_gradients(loss, &module, earlier);
        let of = |loss: Tensor<1>| -> Vec<f64> { loss.into_data().iter().collect() };
        assert_eq!(of(loss.clone()), of(value), "the loss stays what it is");
        let sums = GradientsParams::from_grads(loss.backward(), &module);
        let found: Vec<f64> = sums.get::<2>(module.first.id).unwrap().into_data().iter().collect();
        assert_eq!(found, [4.0, 6.0, 8.0, 10.0], "2 x + 2");
        let found: Vec<f64> = sums.get::<1>(module.second.id).unwrap().into_data().iter().collect();
        assert_eq!(found, [3.0]);
    }
}

#[test]
fn no_tokens_at_all() {
    let device = Device::flex().autodiff();
    let weight = Tensor::<2>::ones([5, 4], &device).require_grad();
    let norm = Tensor::<1>::ones([4], &device).require_grad();
    let x = Tensor::<2>::zeros([0, 4], &device).require_grad();
    let x = rms_norm(x, norm.clone(), 1e-5, 0.0);
    let y = linear(x.clone(), weight.clone(), None, Precision::F32);
    let y = gated(y.clone(), y, Gate::Silu);
    assert_eq!(y.dims(), [0, 5]);
    let loss = linear_cross_entropy(x, weight.clone(), &[], &[], None, Precision::F32);
    let gradients = (loss + y.sum()).backward();
    assert_eq!(numbers(weight.grad(&gradients).unwrap()), [0.0; 20]);
    assert_eq!(numbers(norm.grad(&gradients).unwrap()), [0.0; 4]);
}

#[test]
#[should_panic(expected = "a position for each token")]
fn positions_must_be_as_many_as_tokens() {
    let table = Arc::new(RotaryTable::new(&[1.0], 1.0, 4));
    rotary(Tensor::zeros([2, 1, 2], &Device::flex()), &[0], &table);
}

#[test]
#[should_panic(expected = "offsets of sequences")]
fn offsets_must_end_with_the_last_token() {
    let options = Attention {
        heads: 1,
        key_value_heads: 1,
        head_size: 2,
        scale: 1.0,
        causal: true,
        window: None,
        soft_cap: None,
    };
    let x = Tensor::zeros([3, 1, 2], &Device::flex());
    attention(x.clone(), x.clone(), x, &[0, 2], &options);
}
