//! Numbers that batches are logged by.

use std::collections::BTreeMap;

use etude_kernels::linear_cross_entropy::TokenStatistics;
use serde::{Deserialize, Serialize};

/// Weighted means by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    sums: BTreeMap<String, [f64; 2]>,
}

impl Metrics {
    /// Adds a value to the mean of this name. What has no weight is left out.
    pub fn add(&mut self, name: &str, value: f64, weight: f64) {
        if weight > 0.0 {
            let [sum, weights] = self.sums.entry(name.to_owned()).or_default();
            *sum += value * weight;
            *weights += weight;
        }
    }

    /// Adds the entropy of these tokens' distributions, in nats, to its mean over tokens.
    pub fn add_entropy<'a>(&mut self, tokens: impl Iterator<Item = &'a TokenStatistics>) {
        self.add_tokens("entropy", tokens.map(|token| token.entropy.into()));
    }

    /// Adds how many of these tokens are the likeliest ones to their share.
    pub fn add_accuracy<'a>(&mut self, tokens: impl Iterator<Item = &'a TokenStatistics>) {
        self.add_tokens(
            "mean_token_accuracy",
            tokens.map(|token| u8::from(token.correct).into()),
        );
    }

    /// Adds the logits of these tokens, each the mean over the vocabulary, to their mean over the tokens of this kind of answers, as TRL's
    /// `DPOTrainer` and `KTOTrainer` have it. Its trainers of CPO and ORPO take prompts and padding into it, and nothing here does.
    pub fn add_logits<'a>(&mut self, kind: &str, tokens: impl Iterator<Item = &'a TokenStatistics>) {
        self.add_tokens(&format!("logits/{kind}"), tokens.map(|token| token.mean_logit.into()));
    }

    fn add_tokens(&mut self, name: &str, values: impl Iterator<Item = f64>) {
        let [sum, count] = values.fold([0.0, 0.0], |[sum, count], value| [sum + value, count + 1.0]);
        self.add(name, sum / count, count);
    }

    /// Adds all of `other`, each with the weight that it has there.
    pub fn merge(&mut self, other: &Self) {
        for (name, [sum, weight]) in &other.sums {
            let [sums, weights] = self.sums.entry(name.clone()).or_default();
            *sums += sum;
            *weights += weight;
        }
    }

    /// The mean of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.sums.get(name).map(|[sum, weight]| sum / weight)
    }

    /// All names with their means, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums
            .iter()
            .map(|(name, [sum, weight])| (name.as_str(), sum / weight))
    }
}
