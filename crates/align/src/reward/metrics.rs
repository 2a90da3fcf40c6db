//! What a batch of pairs is logged by.

/// Of the rewards of a batch's answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardModelMetrics {
    /// The least reward.
    pub least: f64,
    /// Their mean.
    pub mean: f64,
    /// The greatest.
    pub greatest: f64,
    /// The share of pairs whose chosen answer has the greater reward.
    pub accuracy: f64,
    /// The mean of r_w - r_l.
    pub margin: f64,
}

impl RewardModelMetrics {
    /// Of the rewards of both answers of each pair, both `[pairs]`. NaN where there are no pairs.
    ///
    /// # Panics
    /// There are more chosen answers than rejected ones, or fewer.
    pub fn new(chosen: &[f32], rejected: &[f32]) -> Self {
        assert_eq!(chosen.len(), rejected.len(), "rewards of pairs");
        let all = || chosen.iter().chain(rejected).map(|reward| f64::from(*reward));
        let pairs = chosen.len() as f64;
        let differences = || {
            chosen
                .iter()
                .zip(rejected)
                .map(|(chosen, rejected)| f64::from(*chosen) - f64::from(*rejected))
        };
        Self {
            least: all().fold(f64::NAN, f64::min),
            mean: all().sum::<f64>() / (2.0 * pairs),
            greatest: all().fold(f64::NAN, f64::max),
            accuracy: differences().filter(|difference| *difference > 0.0).count() as f64 / pairs,
            margin: differences().sum::<f64>() / pairs,
        }
    }

    /// Each under the name that TRL logs it by.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("min_reward", self.least),
            ("mean_reward", self.mean),
            ("max_reward", self.greatest),
            ("accuracy", self.accuracy),
            ("margin", self.margin),
        ]
    }
}
