//! Whether a reward model knows how sure it may be.

/// Pairs of which the model is about equally sure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// How many there are.
    pub pairs: usize,
    /// The mean probability that the model gives to the answer that it prefers, s(|r_w - r_l|); 0 of no pairs.
    pub confidence: f64,
    /// The share of pairs in which that answer is the chosen one; 0 of no pairs.
    pub accuracy: f64,
}

/// How good the probabilities s(r_w - r_l) are.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Of equal width, over confidences from 1/2 to 1: what a reliability diagram shows.
    pub bins: Vec<Bin>,
    /// The mean of |accuracy - confidence|, bin by bin, weighted by their pairs (expected calibration error, Guo et al. 2017, equation
    /// 3).
    pub expected_error: f64,
    /// The mean of ln s(r_w - r_l); -ln 2 of a model that knows nothing.
    pub log_likelihood: f64,
}

impl Calibration {
    /// Of margins r_w - r_l, `[pairs]`, in so many bins. A pair whose answers have the same reward counts as half right. NaN where there
    /// are no pairs.
    ///
    /// # Panics
    /// There are no bins.
    pub fn new(margins: &[f32], bins: usize) -> Self {
        assert!(bins > 0, "calibration: found no bins, expected at least one");
        let mut sums = vec![Bin::default(); bins];
        let mut log_likelihood = 0.0;
        for margin in margins.iter().map(|margin| f64::from(*margin)) {
            let confidence = 1.0 / (1.0 + (-margin.abs()).exp());
            // The last bin takes a confidence of exactly 1.
            let index = ((confidence * 2.0 - 1.0) * bins as f64) as usize;
            let bin = &mut sums[index.min(bins - 1)];
            bin.pairs += 1;
            bin.confidence += confidence;
            bin.accuracy += 0.5 + 0.5 * if margin == 0.0 { 0.0 } else { margin.signum() };
            log_likelihood += margin.min(0.0) - (-margin.abs()).exp().ln_1p();
        }
        let pairs = margins.len() as f64;
        let gaps = sums.iter().map(|bin| (bin.accuracy - bin.confidence).abs());
        Self {
            expected_error: gaps.sum::<f64>() / pairs,
            log_likelihood: log_likelihood / pairs,
            bins: sums
                .iter()
                .map(|bin| Bin {
                    pairs: bin.pairs,
                    confidence: bin.confidence / bin.pairs.max(1) as f64,
                    accuracy: bin.accuracy / bin.pairs.max(1) as f64,
                })
                .collect(),
        }
    }
}
