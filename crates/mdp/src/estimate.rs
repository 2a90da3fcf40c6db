//! The mean of independent draws and its confidence interval.

/// Running mean and sum of squared deviations (Welford's recurrences).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Estimate {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Estimate {
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard error of the mean, from two draws on.
    pub(crate) fn standard_error(&self) -> Option<f64> {
        let freedom = self.count.checked_sub(1).filter(|&freedom| freedom > 0)?;
        Some((self.squares / freedom as f64 / self.count as f64).sqrt())
    }

    /// Half the width of the 95 % confidence interval by Student's t, from two draws on.
    pub(crate) fn half_width(&self) -> Option<f64> {
        Some(self.standard_error()? * student_t(self.count - 1))
    }

    /// The 95 % confidence interval of the mean.
    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let half_width = self.half_width()?;
        Some([self.mean - half_width, self.mean + half_width])
    }
}

impl FromIterator<f64> for Estimate {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut estimate = Self::default();
        values.into_iter().for_each(|value| estimate.push(value));
        estimate
    }
}

/// The 97.5 % quantile of Student's t: a table, and from 10 degrees of freedom the expansion about the normal quantile
/// (Abramowitz and Stegun, 26.7.5), good to a thousandth there.
fn student_t(freedom: usize) -> f64 {
    const TABLE: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    const NORMAL: f64 = 1.959_964;
    let z2 = NORMAL * NORMAL;
    let n = freedom as f64;
    let terms = [
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
    ];
    let expansion = NORMAL * (1.0 + (terms[0] + (terms[1] + terms[2] / n) / n) / n);
    TABLE.get(freedom.wrapping_sub(1)).copied().unwrap_or(expansion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_standard_error_are_those_of_the_textbook() {
        let estimate: Estimate = [1.0, 2.0, 3.0, 4.0].into_iter().collect();
        let standard_error = (5.0_f64 / 3.0 / 4.0).sqrt();
        assert!((estimate.standard_error().unwrap() - standard_error).abs() < 1e-15);
        let [low, high] = estimate.interval().unwrap();
        assert!(
            (high - 2.5 - 3.182 * standard_error).abs() < 1e-12
                && (low + high - 5.0).abs() < 1e-12
                && (estimate.mean() - 2.5).abs() < 1e-15
        );
        assert_eq!([7.0].into_iter().collect::<Estimate>().interval(), None);
    }

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (freedom, quantile) in [
            (1, 12.706),
            (6, 2.447),
            (9, 2.262),
            (10, 2.228),
            (30, 2.042),
            (1000, 1.962),
        ] {
            assert!((student_t(freedom) - quantile).abs() < 1e-3, "{freedom}");
        }
    }
}
