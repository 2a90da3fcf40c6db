//! What follows gradients.

use burn::module::Module;
use burn::optim::GradientsParams;
use etude_kernels::KernelError;
use etude_kernels::burn::{LearningRates, ModuleAdamW, ModuleAverage, ModuleMuon, Moments};
use serde::{Deserialize, Serialize};

use super::TrainingArguments;

/// Which optimiser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optim {
    /// AdamW, which keeps two numbers for each that is trained.
    #[default]
    AdamW,
    /// Muon for the matrices of layers, adapters among them, which keeps one for each of theirs; AdamW for embeddings, heads, the score of a
    /// reward model, norms and biases.
    Muon,
}

/// What Muon leaves to AdamW, though they are matrices.
const NOT_OF_LAYERS: [&str; 3] = ["embed_tokens", "lm_head", "score"];

/// An optimiser with its moments and, where the arguments have it, the moving average of what it has stepped.
#[derive(Debug)]
pub struct Optimizer {
    method: Method,
    ema_decay: Option<f64>,
    /// From the first step on.
    average: Option<ModuleAverage>,
}

#[derive(Debug)]
enum Method {
    AdamW(ModuleAdamW),
    Muon {
        muon: ModuleMuon,
        /// By how much greater its learning rate is than AdamW's.
        ratio: f64,
    },
}

/// All that the future of an optimiser depends on, by the names of parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptimizerState {
    /// AdamW's.
    pub moments: Vec<(String, Moments)>,
    /// Muon's.
    pub momenta: Vec<(String, Vec<f32>)>,
    /// Moving averages.
    pub means: Vec<(String, Vec<f32>)>,
}

impl Optimizer {
    /// Before the first step.
    pub fn new(arguments: &TrainingArguments) -> Self {
        let adam_w = ModuleAdamW::new(arguments.adam_w());
        let method = match arguments.optim {
            Optim::AdamW => Method::AdamW(adam_w),
            Optim::Muon => Method::Muon {
                muon: ModuleMuon::new(arguments.muon(), adam_w)
                    .with_matrices(|name, _| !name.split('.').any(|field| NOT_OF_LAYERS.contains(&field))),
                ratio: arguments.muon_ratio(),
            },
        };
        Self {
            method,
            ema_decay: arguments.ema_decay,
            average: None,
        }
    }

    /// Steps every parameter that has a gradient, and returns the global norm of the gradients beside the module, as
    /// [`ModuleAdamW::step`] does.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f32,
        max_norm: Option<f32>,
    ) -> (M, f32) {
        if let (Some(decay), None) = (self.ema_decay, &self.average) {
            self.average = Some(ModuleAverage::new(&module, decay));
        }
        let (module, norm) = match &mut self.method {
            Method::AdamW(adam_w) => adam_w.step(module, gradients, learning_rate, max_norm),
            Method::Muon { muon, ratio } => {
                let rates = LearningRates {
                    muon: (f64::from(learning_rate) * *ratio) as f32,
                    adam_w: learning_rate,
                };
                muon.step(module, gradients, rates, max_norm)
            }
        };
        if let (Some(average), true) = (&mut self.average, norm.is_finite()) {
            average.update(&module);
        }
        (module, norm)
    }

    /// The module with the averages of its parameters, or as it is where none are kept.
    #[must_use]
    pub fn averaged<M: Module + Clone>(&self, module: &M) -> M {
        match &self.average {
            Some(average) => average.of(module.clone()),
            None => module.clone(),
        }
    }

    /// AdamW, of all parameters or of those that Muon leaves to it.
    pub(super) fn adam_w(&self) -> &ModuleAdamW {
        match &self.method {
            Method::AdamW(adam_w) => adam_w,
            Method::Muon { muon, .. } => &muon.adam_w,
        }
    }

    /// Muon, where it is the method.
    pub(super) fn muon(&self) -> Option<&ModuleMuon> {
        match &self.method {
            Method::AdamW(_) => None,
            Method::Muon { muon, .. } => Some(muon),
        }
    }

    pub(super) fn average(&self) -> Option<&ModuleAverage> {
        self.average.as_ref()
    }

    /// Goes on from a state of before.
    ///
    /// # Errors
    /// It is not that of this module and this method.
    pub fn restore<M: Module>(&mut self, module: &M, state: OptimizerState) -> Result<(), KernelError> {
        match &mut self.method {
            Method::AdamW(adam_w) => {
                if let Some((name, _)) = state.momenta.into_iter().next() {
                    return Err(KernelError::NoParameter { name });
                }
                adam_w.restore(module, state.moments)?;
            }
            Method::Muon { muon, .. } => {
                muon.restore(module, state.momenta)?;
                muon.adam_w.restore(module, state.moments)?;
            }
        }
        if let (Some(decay), false) = (self.ema_decay, state.means.is_empty()) {
            let mut average = ModuleAverage::new(module, decay);
            average.restore(module, state.means)?;
            self.average = Some(average);
        }
        Ok(())
    }
}
