//! The focal loss of class scores.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};

/// The sigmoid focal loss, so that the many scores that are right already count little. Lin et al., "Focal Loss for Dense
/// Object Detection", ICCV 2017, equation 5.
///
/// ```text
/// -alpha (1 - p)^gamma ln p where the target is 1,    -(1 - alpha) p^gamma ln(1 - p) where it is 0,    p = sigmoid(logit)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FocalLoss {
    /// The weight of targets of 1: 0.25 in the paper.
    pub alpha: f64,
    /// The power: 2 in the paper. At least 1.
    pub gamma: f64,
}

impl Default for FocalLoss {
    fn default() -> Self {
        Self {
            alpha: 0.25,
            gamma: 2.0,
        }
    }
}

impl FocalLoss {
    /// The loss of each logit, shape `[n, classes]`; targets, of the same shape, are between 0 and 1.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use etude_detection::focal_loss::FocalLoss;
    ///
    /// let device = Device::flex();
    /// let logits = Tensor::<2>::from_data([[1.0, 0.0]], &device);
    /// let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
    /// let losses: Vec<f32> = FocalLoss::default().of(logits, targets).into_data().iter().collect();
    /// assert!(losses[0] < 0.01 && losses[1] > 0.1); // the undecided score counts more
    /// ```
    ///
    /// # Panics
    /// The shapes differ.
    pub fn of(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        assert_eq!(logits.dims(), targets.dims(), "logits and targets");
        let positive = sigmoid(-logits.clone()).powf_scalar(self.gamma) * -log_sigmoid(logits.clone());
        let negative = sigmoid(logits.clone()).powf_scalar(self.gamma) * -log_sigmoid(-logits);
        targets.clone() * positive * self.alpha + (-targets + 1.0) * negative * (1.0 - self.alpha)
    }
}
