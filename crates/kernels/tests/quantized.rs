//! Weights in blocks: their numbers are those of the `gguf` package, and products with them those of the definition in 64 bits.

use etude_kernels::KernelError;
use etude_kernels::quantized::{BlockType, QuantizedMatrix, dequantize};
use etude_train::Seed;
use half::f16;
use proptest::prelude::*;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "type")]
    name: String,
    blocks: String,
    bits: String,
}

fn cases() -> Vec<(BlockType, Vec<u8>, Vec<u32>)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/quantized.json")).unwrap();
    let digits = |text: &str, count: usize| -> Vec<u32> {
        let pieces = text
            .as_bytes()
            .chunks(count)
            .map(|piece| std::str::from_utf8(piece).unwrap());
        pieces.map(|piece| u32::from_str_radix(piece, 16).unwrap()).collect()
    };
    let named = |case: Case| {
        let block_type = BlockType::ALL
            .into_iter()
            .find(|block_type| block_type.to_string() == case.name);
        let blocks = digits(&case.blocks, 2).into_iter().map(|byte| byte as u8).collect();
        (block_type.unwrap(), blocks, digits(&case.bits, 8))
    };
    cases.into_iter().map(named).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Blocks of random bits, with scales that make the numbers about as large as 1.
fn blocks(block_type: BlockType, count: usize, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut blocks = vec![0; count * block_type.block_bytes()];
    random.fill_bytes(&mut blocks);
    let (places, size): (&[usize], f32) = match block_type {
        BlockType::Q4_0 => (&[0], 0.1),
        BlockType::Q4_1 => (&[0, 2], 0.1),
        BlockType::Q5_0 => (&[0], 0.05),
        BlockType::Q5_1 => (&[0, 2], 0.05),
        BlockType::Q8_0 => (&[0], 0.01),
        BlockType::Q4_K | BlockType::Q5_K => (&[0, 2], 0.002),
        BlockType::Q6_K => (&[208], 0.001),
    };
    for block in blocks.chunks_exact_mut(block_type.block_bytes()) {
        for &at in places {
            let scale = f16::from_f32(random.random_range(-size..size));
            block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    blocks
}

fn numbers(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn block_type() -> impl Strategy<Value = BlockType> {
    (0..BlockType::ALL.len()).prop_map(|index| BlockType::ALL[index])
}

/// A row with 32 numbers at a time as integers times the largest of them over 127, and these largest numbers.
fn quantized(row: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut rounded, mut largest) = (Vec::new(), Vec::new());
    for block in row.chunks(32) {
        let most = block.iter().fold(0.0, |most: f32, number| most.max(number.abs()));
        for number in block {
            let code = if most > 0.0 {
                (number * (127.0 / most)).round_ties_even()
            } else {
                0.0
            };
            rounded.push(f64::from(code) * f64::from(most / 127.0));
            largest.push(f64::from(most));
        }
    }
    (rounded, largest)
}

#[test]
fn the_numbers_of_blocks_are_those_of_the_package_bit_for_bit() {
    let cases = cases();
    assert_eq!(cases.len(), BlockType::ALL.len());
    for (block_type, blocks, expected) in cases {
        let mut found = vec![f32::NAN; expected.len()];
        dequantize(block_type, &blocks, &mut found).unwrap();
        assert_eq!(bits(&found), expected, "{block_type}");
        // As one row, and as a row for each block.
        for outputs in [1, blocks.len() / block_type.block_bytes()] {
            let inputs = expected.len() / outputs;
            let matrix = QuantizedMatrix::new(block_type, &blocks, outputs, inputs).unwrap();
            for (output, expected) in expected.chunks_exact(inputs).enumerate() {
                let mut row = vec![f32::NAN; inputs];
                matrix.row(output, &mut row);
                assert_eq!(bits(&row), expected, "{block_type}, row {output} of {outputs}");
            }
        }
    }
}

#[test]
fn weights_take_the_memory_of_the_file() {
    let mut random = Seed(0).stream("weights");
    for block_type in BlockType::ALL {
        let (outputs, inputs) = (32, 512);
        let file = blocks(block_type, outputs * inputs / block_type.block_len(), &mut random);
        let matrix = QuantizedMatrix::new(block_type, &file, outputs, inputs).unwrap();
        assert!(
            matrix.bytes() >= file.len() && matrix.bytes() * 100 <= file.len() * 103,
            "{block_type}"
        );
        assert_eq!(
            (matrix.block_type(), matrix.outputs(), matrix.inputs()),
            (block_type, outputs, inputs)
        );
    }
}

proptest! {
    #[test]
    fn products_are_those_of_the_definition(
        block_type in block_type(), outputs in 1usize..40, blocks_of_row in 1usize..6, rows in 0usize..30, seed: u64,
    ) {
        let mut random = Seed(seed).stream("products");
        let inputs = blocks_of_row * block_type.block_len();
        let file = blocks(block_type, outputs * blocks_of_row, &mut random);
        let matrix = QuantizedMatrix::new(block_type, &file, outputs, inputs).unwrap();
        let mut weights = vec![0.0; outputs * inputs];
        dequantize(block_type, &file, &mut weights).unwrap();
        let x = numbers(rows * inputs, &mut random);
        let mut found = vec![f32::NAN; rows * outputs];
        matrix.multiply(&x, &mut found);

        for (x, found) in x.chunks_exact(inputs).zip(found.chunks_exact(outputs)) {
            let (rounded, largest) = quantized(x);
            for (weights, &found) in weights.chunks_exact(inputs).zip(found) {
                let wide = |at: usize| f64::from(weights[at]);
                let of = |x: &dyn Fn(usize) -> f64| (0..inputs).map(|at| wide(at) * x(at)).sum::<f64>();
                // With the rows rounded as they are, there are only the errors of f32 in sums of some blocks.
                let size = (0..inputs).map(|at| rounded[at].abs()).sum::<f64>()
                    * weights.iter().fold(0.0, |most: f64, weight| most.max(f64::from(weight.abs())));
                let error = (f64::from(found) - of(&|at| rounded[at])).abs();
                prop_assert!(error <= 1e-6 * size, "{block_type}: error {error} where terms are {size}");
                // Rounding moves each number of a row by half a step at most.
                let moved = (0..inputs).map(|at| wide(at).abs() * largest[at] / 254.0).sum::<f64>();
                let error = (f64::from(found) - of(&|at| f64::from(x[at]))).abs();
                prop_assert!(error <= 1.001 * moved + 1e-6 * size, "{block_type}: error {error}, at most {moved}");
            }
        }
    }

    #[test]
    fn a_row_alone_gives_the_same_bits_as_among_others(
        block_type in block_type(), outputs in 1usize..40, rows in 1usize..30, seed: u64,
    ) {
        let mut random = Seed(seed).stream("rows");
        let inputs = block_type.block_len();
        let file = blocks(block_type, outputs, &mut random);
        let matrix = QuantizedMatrix::new(block_type, &file, outputs, inputs).unwrap();
        let x = numbers(rows * inputs, &mut random);
        let mut together = vec![0.0; rows * outputs];
        matrix.multiply(&x, &mut together);
        for (x, together) in x.chunks_exact(inputs).zip(together.chunks_exact(outputs)) {
            let mut alone = vec![0.0; outputs];
            matrix.multiply(x, &mut alone);
            prop_assert_eq!(bits(&alone), bits(together));
        }
    }
}

#[test]
fn what_is_no_number_shows_in_all_outputs_of_its_row_and_in_no_other() {
    let mut random = Seed(1).stream("infinite");
    for block_type in BlockType::ALL {
        let (outputs, inputs, rows) = (20, 2 * block_type.block_len(), 15);
        let file = blocks(block_type, 2 * outputs, &mut random);
        let matrix = QuantizedMatrix::new(block_type, &file, outputs, inputs).unwrap();
        let mut x = numbers(rows * inputs, &mut random);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0xffff_ff80)];
        for (index, bad) in bad.into_iter().enumerate() {
            x[3 * index * inputs + 7 * index] = bad;
        }
        let mut found = vec![0.0; rows * outputs];
        matrix.multiply(&x, &mut found);
        for (row, found) in found.chunks_exact(outputs).enumerate() {
            let is_bad = row % 3 == 0 && row / 3 < bad.len();
            assert!(
                found.iter().all(|number| number.is_finite() != is_bad),
                "{block_type}, row {row}: {found:?}"
            );
        }
    }
}

#[test]
fn the_largest_and_the_smallest_numbers_do_no_harm() {
    let block = blocks(BlockType::Q8_0, 1, &mut Seed(2).stream("extreme"));
    let matrix = QuantizedMatrix::new(BlockType::Q8_0, &block, 1, 32).unwrap();
    let mut weights = [0.0; 32];
    matrix.row(0, &mut weights);
    let weight_sum: f64 = weights.iter().copied().map(f64::from).sum();
    for size in [1e-45, 1e-38, 1e-30, 1e30] {
        let mut found = [f32::NAN];
        matrix.multiply(&[size; 32], &mut found);
        let expected = weight_sum * f64::from(size);
        // Below 2^-120 numbers count as zero.
        assert!(
            (f64::from(found[0]) - expected).abs() <= 1e-5 * expected.abs() + 1e-35,
            "{size}: {found:?}, {expected}"
        );
    }
}

#[test]
fn no_rows_no_outputs_and_no_inputs_are_products_too() {
    let mut random = Seed(3).stream("empty");
    let matrix = QuantizedMatrix::new(BlockType::Q4_0, &blocks(BlockType::Q4_0, 3, &mut random), 3, 32).unwrap();
    matrix.multiply(&[], &mut []);
    let none = QuantizedMatrix::new(BlockType::Q4_0, &[], 0, 32).unwrap();
    none.multiply(&[1.0; 64], &mut []);
    let empty = QuantizedMatrix::new(BlockType::Q4_0, &[], 2, 0).unwrap();
    let mut sums = [f32::NAN; 6];
    empty.multiply(&[], &mut sums);
    assert_eq!(bits(&sums), [0; 6]);
    empty.row(1, &mut []);
    assert_eq!((none.bytes(), empty.bytes()), (0, 0));
}

#[test]
fn wrong_lengths_are_errors_that_name_them() {
    let error = QuantizedMatrix::new(BlockType::Q4_K, &[0; 144], 1, 128).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a row of Q4_K: found 128 numbers, expected a multiple of 256, the length of a block"
    );
    let error = QuantizedMatrix::new(BlockType::Q4_1, &[0; 79], 2, 64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "blocks of Q4_1 for 2 x 64 numbers: found 79 bytes, expected 80"
    );
    assert!(QuantizedMatrix::new(BlockType::Q8_0, &[], usize::MAX, 64).is_err());
    for block_type in BlockType::ALL {
        let (length, size) = (block_type.block_len(), block_type.block_bytes());
        let mut to = vec![0.0; 2 * length];
        assert!(dequantize(block_type, &vec![0; 2 * size], &mut to).is_ok());
        assert!(dequantize(block_type, &[], &mut []).is_ok());
        for (bytes, numbers) in [(2 * size, length), (2 * size - 1, 2 * length), (size, 2 * length)] {
            let error = dequantize(block_type, &vec![0; bytes], &mut to[..numbers]).unwrap_err();
            assert!(matches!(error, KernelError::Blocks { .. }), "{error}");
        }
        let error = dequantize(block_type, &vec![0; 2 * size], &mut to[1..]).unwrap_err();
        assert!(matches!(error, KernelError::RowOfBlocks { .. }), "{error}");
    }
}
