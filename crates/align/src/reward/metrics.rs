//! What a batch of comparisons is logged by.

/// Of the rewards of a batch's answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardModelMetrics {
    /// The least reward.
    pub least: f64,
    /// Their mean.
    pub mean: f64,
    /// The greatest.
    pub greatest: f64,
    /// The share of comparisons whose better answer has the greater reward.
    pub accuracy: f64,
    /// The mean of r_w - r_l over comparisons.
    pub margin: f64,
    answers: usize,
    comparisons: usize,
}

impl RewardModelMetrics {
    /// Of the rewards of all answers, `[answers]`, and of both answers of each comparison, both `[comparisons]`. NaN where there are none.
    ///
    /// # Panics
    /// There are more chosen answers than rejected ones, or fewer.
    pub fn new(rewards: &[f32], chosen: &[f32], rejected: &[f32]) -> Self {
        assert_eq!(chosen.len(), rejected.len(), "rewards of comparisons");
        let all = || rewards.iter().map(|reward| f64::from(*reward));
        let (answers, comparisons) = (rewards.len(), chosen.len());
        let differences = || {
            chosen
                .iter()
                .zip(rejected)
                .map(|(chosen, rejected)| f64::from(*chosen) - f64::from(*rejected))
        };
        Self {
            least: all().fold(f64::NAN, f64::min),
            mean: all().sum::<f64>() / answers as f64,
            greatest: all().fold(f64::NAN, f64::max),
            accuracy: differences().filter(|difference| *difference > 0.0).count() as f64 / comparisons as f64,
            margin: differences().sum::<f64>() / comparisons as f64,
            answers,
            comparisons,
        }
    }

    /// Each under the name that TRL logs it by, and of how many it is.
    pub fn named(&self) -> [(&'static str, f64, usize); 5] {
        [
            ("min_reward", self.least, self.answers),
            ("mean_reward", self.mean, self.answers),
            ("max_reward", self.greatest, self.answers),
            ("accuracy", self.accuracy, self.comparisons),
            ("margin", self.margin, self.comparisons),
        ]
    }
}
