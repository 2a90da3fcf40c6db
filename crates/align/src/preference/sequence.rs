//! Log-probabilities of answers, from those of their tokens.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

/// How the log-probability of an answer is made of those of its tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// Their sum, which is the log-probability of the answer.
    Sum,
    /// Their mean, so that a long answer weighs no more than a short one.
    Average,
    /// Their sum, in which those beyond the length of the shorter answer of the pair count `alpha` times (LD-DPO, Liu et al.
    /// 2024). 1 is the sum, 0 leaves them out.
    LengthDesensitized {
        /// From 0 to 1.
        alpha: f64,
    },
}

impl Aggregation {
    /// The weight of each token, `[tokens]`, of answers of these lengths.
    fn weights(self, lengths: &[usize]) -> Vec<f32> {
        let pairs = lengths.len() / 2;
        let of_answer = |answer: usize| {
            let length = lengths[answer];
            let (shared, [head, tail]) = match self {
                Self::Sum => (length, [1.0, 0.0]),
                Self::Average => (length, [1.0 / length as f64, 0.0]),
                Self::LengthDesensitized { alpha } => {
                    (length.min(lengths[(answer + pairs) % lengths.len()]), [1.0, alpha])
                }
            };
            (0..length).map(move |token| if token < shared { head } else { tail } as f32)
        };
        (0..lengths.len()).flat_map(of_answer).collect()
    }
}

/// The log-probability of each answer, `[answers]`, from those of all their tokens, `[tokens]`, one answer after the other with
/// `lengths` tokens each. What is length-desensitised comes in pairs: all chosen answers, then all rejected ones.
///
/// An answer of no tokens has the log-probability 0.
///
/// # Panics
/// The lengths do not add up to the number of tokens.
pub fn sequence_log_probabilities(tokens: Tensor<1>, lengths: &[usize], aggregation: Aggregation) -> Tensor<1> {
    let (device, [count]) = (tokens.device(), tokens.dims());
    let total: usize = lengths.iter().sum();
    assert!(
        total == count,
        "lengths of answers: found {total} tokens, expected {count}"
    );
    let owners: Vec<i64> = lengths
        .iter()
        .enumerate()
        .flat_map(|(answer, length)| std::iter::repeat_n(answer as i64, *length))
        .collect();
    let owners = Tensor::<1, Int>::from_data(TensorData::new(owners, [count]), &device);
    let weights = Tensor::<1>::from_data(TensorData::new(aggregation.weights(lengths), [count]), &device);
    Tensor::zeros([lengths.len()], &device).select_assign(0, owners, tokens * weights, IndexingUpdateOp::Add)
}
