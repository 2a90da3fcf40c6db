//! The losses of reward models.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::preference::Pairs;

/// -ln s(r_w - r_l - m), `[pairs]`, of the rewards of both answers and, where there are some, margins m, `[pairs]` (InstructGPT, equation
/// 1 with K = 2; Llama 2, equation 2).
pub fn bradley_terry(rewards: Pairs, margins: Option<Tensor<1>>) -> Tensor<1> {
    let differences = rewards.margins();
    -log_sigmoid(match margins {
        Some(margins) => differences - margins,
        None => differences,
    })
}

/// (r_w + r_l)^2, `[pairs]`, which goes into the loss times a small coefficient, such as 0.01 (Eisenstein et al. 2023).
pub fn centering(rewards: Pairs) -> Tensor<1> {
    (rewards.chosen + rewards.rejected).square()
}

/// Which of a batch's answers are better than which, prompt by prompt.
///
/// All of a prompt's comparisons are one element of a batch: its answers then are computed once, and a prompt of many answers weighs no
/// more than another (InstructGPT, section 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparisons {
    prompts: usize,
    better: Vec<i64>,
    worse: Vec<i64>,
    /// The prompt of each comparison.
    owners: Vec<i64>,
}

impl Comparisons {
    /// All pairs of each prompt's answers, of which each has a rank: a lower one is better, and equal ones are not compared. Answers are
    /// numbered through the batch.
    pub fn of_ranks(prompts: &[Vec<u32>]) -> Self {
        let mut comparisons = Self {
            prompts: prompts.len(),
            better: Vec::new(),
            worse: Vec::new(),
            owners: Vec::new(),
        };
        let mut first = 0;
        for (prompt, ranks) in prompts.iter().enumerate() {
            for (one, its) in ranks.iter().enumerate() {
                for (other, of_other) in ranks.iter().enumerate() {
                    if its < of_other {
                        comparisons.better.push((first + one) as i64);
                        comparisons.worse.push((first + other) as i64);
                        comparisons.owners.push(prompt as i64);
                    }
                }
            }
            first += ranks.len();
        }
        comparisons
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.better.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.better.is_empty()
    }

    /// The rewards of both answers of each comparison, from those of all answers, `[answers]`.
    pub fn pairs(&self, rewards: Tensor<1>) -> Pairs {
        let device = rewards.device();
        Pairs {
            chosen: rewards.clone().select(0, indices(&self.better, &device)),
            rejected: rewards.select(0, indices(&self.worse, &device)),
        }
    }

    /// The number of its prompt for each comparison, `[comparisons]`, from one of each prompt, `[prompts]`.
    pub fn spread(&self, prompts: Tensor<1>) -> Tensor<1> {
        let owners = indices(&self.owners, &prompts.device());
        prompts.select(0, owners)
    }

    /// The mean over each prompt's comparisons, `[prompts]`, of what each comparison costs, `[comparisons]`: 1 / C(K, 2) times the sum, where
    /// all K answers are ranked (InstructGPT, equation 1). A prompt without comparisons costs nothing.
    ///
    /// # Panics
    /// There are not as many losses as comparisons.
    pub fn means(&self, losses: Tensor<1>) -> Tensor<1> {
        let device = losses.device();
        let mut counts = vec![0.0_f32; self.prompts];
        for owner in &self.owners {
            counts[*owner as usize] += 1.0;
        }
        let shares: Vec<f32> = self.owners.iter().map(|owner| 1.0 / counts[*owner as usize]).collect();
        let shares = Tensor::from_data(TensorData::new(shares, [self.len()]), &device);
        let owners = indices(&self.owners, &device);
        Tensor::zeros([self.prompts], &device).select_assign(0, owners, losses * shares, IndexingUpdateOp::Add)
    }
}

fn indices(numbers: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), device)
}
