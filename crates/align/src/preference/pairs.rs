//! Numbers of both answers of each pair.

use burn::tensor::Tensor;

/// One number of each answer, `[pairs]` of the chosen ones and `[pairs]` of the rejected ones.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Of the preferred answers, `[pairs]`.
    pub chosen: Tensor<1>,
    /// Of the others, `[pairs]`.
    pub rejected: Tensor<1>,
}

impl Pairs {
    /// The halves of `[2 pairs]`: all chosen answers, then all rejected ones.
    ///
    /// # Panics
    /// There is an odd number of answers.
    pub fn split(answers: Tensor<1>) -> Self {
        let [count] = answers.dims();
        assert!(
            count.is_multiple_of(2),
            "answers in pairs: found {count}, expected an even number"
        );
        Self {
            chosen: answers.clone().narrow(0, 0, count / 2),
            rejected: answers.narrow(0, count / 2, count / 2),
        }
    }

    /// The same function of every number.
    #[must_use]
    pub fn map(self, function: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        Self {
            chosen: function(self.chosen),
            rejected: function(self.rejected),
        }
    }

    /// A function of two numbers of each answer.
    #[must_use]
    pub fn zip(self, other: Self, function: impl Fn(Tensor<1>, Tensor<1>) -> Tensor<1>) -> Self {
        Self {
            chosen: function(self.chosen, other.chosen),
            rejected: function(self.rejected, other.rejected),
        }
    }

    /// By how much the chosen answer has more than the rejected one, `[pairs]`.
    pub fn margins(self) -> Tensor<1> {
        self.chosen - self.rejected
    }
}
