//! [`ModuleMuon`], over the matrices of a module.

use std::collections::BTreeMap;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::adam_w::{ModuleAdamW, clipped, global_norm};
use super::composed;
use super::flex::{numbers, numbers_mut, reads, row_major};
use super::parameters::{Parameters, Predicate, copy, stepped, zeros};
use crate::error::KernelError;
use crate::muon::{Muon, Step};

#[backend_extension(Flex)]
trait MuonOps: Backend {
    /// The parameter and its momentum after the step.
    fn muon(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        settings: &Muon,
        step: Step,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl MuonOps for Flex {
    fn muon(
        parameter: FlexTensor,
        gradient: FlexTensor,
        momentum: FlexTensor,
        settings: &Muon,
        step: Step,
    ) -> (FlexTensor, FlexTensor) {
        let (mut parameter, mut momentum) = (row_major(parameter), momentum);
        let columns = parameter.shape()[1];
        let to = numbers_mut(&mut parameter);
        settings.step(
            step,
            columns,
            to,
            numbers(&row_major(gradient)),
            numbers_mut(&mut momentum),
        );
        (parameter, momentum)
    }
}

/// The learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRates {
    /// Of what Muon steps.
    pub muon: f32,
    /// Of the others. With [`AdjustLr::MatchRmsAdamw`](crate::muon::AdjustLr::MatchRmsAdamw) it may be the same.
    pub adam_w: f32,
}

/// Muon over the matrices of a module's hidden layers, and AdamW over its other parameters; both in place, as [`ModuleAdamW`] says.
pub struct ModuleMuon {
    settings: Muon,
    takes: Predicate,
    /// By the parameters' names, flat.
    momenta: BTreeMap<String, Tensor<1>>,
    /// Steps the other parameters. Its moments are saved and restored beside the momenta of this.
    pub adam_w: ModuleAdamW,
}

impl ModuleMuon {
    /// Before the first step. Muon takes every matrix but embeddings and heads, which it knows by Hugging Face's names: `embed_tokens` and
    /// `lm_head`. `adam_w` takes the other parameters.
    pub fn new(settings: Muon, adam_w: ModuleAdamW) -> Self {
        let special = |field: &str| ["embed_tokens", "lm_head"].contains(&field);
        Self {
            settings,
            takes: Box::new(move |name, _| !name.split('.').any(special)),
            momenta: BTreeMap::new(),
            adam_w,
        }
    }

    /// Muon takes only the matrices for whose name and shape `takes` holds. A name is the fields that lead to the parameter, such as
    /// `layers.0.weight`.
    #[must_use]
    pub fn with_matrices(mut self, takes: impl Fn(&str, &[usize]) -> bool + Send + Sync + 'static) -> Self {
        self.takes = Box::new(takes);
        self
    }

    /// Steps every parameter that has a gradient, and returns the global norm of the gradients beside the module, as
    /// [`ModuleAdamW::step`] does: clipped to `max_norm`, those of Muon and of AdamW as one vector, and without a step if the norm is no
    /// finite number.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rates: LearningRates,
        max_norm: Option<f32>,
    ) -> (M, f32) {
        let norm = global_norm(&module, &gradients);
        if !norm.is_finite() {
            return (module, norm);
        }
        let gradient_scale = clipped(norm, max_norm);
        let mut stepper = Stepper {
            muon: self,
            gradients,
            step: Step {
                learning_rate: learning_rates.muon,
                gradient_scale,
            },
            path: Vec::new(),
        };
        let module = module.map(&mut stepper);
        let rest = stepper.gradients;
        let module = self
            .adam_w
            .step_scaled(module, rest, learning_rates.adam_w, gradient_scale);
        (module, norm)
    }

    /// The momentum of every parameter that Muon has stepped so far, by its name, in the order of names and of the parameter's rows.
    pub fn momenta(&self) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.momenta
            .iter()
            .map(|(name, momentum)| (name.as_str(), copy(momentum)))
    }

    /// The momentum of the parameter of this name, if Muon has stepped it.
    pub fn momentum_of(&self, name: &str) -> Option<Vec<f32>> {
        self.momenta.get(name).map(copy)
    }

    /// The names of the parameters that Muon has stepped so far, in order, each with how many numbers it has.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.momenta
            .iter()
            .map(|(name, momentum)| (name.as_str(), momentum.dims()[0]))
    }

    /// Goes on from `momenta`, as [`momenta`](Self::momenta) gave them, in place of those it has.
    ///
    /// # Errors
    /// `module` has no parameter of that name, or one of another size.
    pub fn restore<M: Module>(
        &mut self,
        module: &M,
        momenta: impl IntoIterator<Item = (String, Vec<f32>)>,
    ) -> Result<(), KernelError> {
        let parameters = Parameters::of(module);
        self.momenta.clear();
        for (name, momentum) in momenta {
            let momentum = parameters.load(&name, momentum)?;
            self.momenta.insert(name, momentum);
        }
        Ok(())
    }
}

/// Everything but the predicate.
impl std::fmt::Debug for ModuleMuon {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("ModuleMuon")
            .field("settings", &self.settings)
            .field("parameters", &self.momenta.len())
            .field("adam_w", &self.adam_w)
            .finish_non_exhaustive()
    }
}

/// Takes the gradients of Muon's parameters, one after the other, and leaves those of the others.
struct Stepper<'a> {
    muon: &'a mut ModuleMuon,
    gradients: GradientsParams,
    step: Step,
    path: Vec<String>,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        if D != 2 || !(self.muon.takes)(&name, &parameter.lazy_shape()) {
            return parameter;
        }
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return parameter;
        };
        stepped(parameter, |tensor| {
            let momentum = self.muon.momenta.remove(&name).unwrap_or_else(|| zeros(&tensor));
            let (tensor, momentum) = take(&self.muon.settings, self.step, tensor, gradient, momentum);
            self.muon.momenta.insert(name, momentum);
            tensor
        })
    }
}

/// The parameter and its momentum after the step.
fn take<const D: usize>(
    settings: &Muon,
    step: Step,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Tensor<1>,
) -> (Tensor<D>, Tensor<1>) {
    if !reads(&parameter) {
        return composed::muon(settings, step, parameter, gradient, momentum);
    }
    let (parameter, gradient) = (parameter.into_dispatch(), gradient.into_dispatch());
    let momentum = momentum.into_dispatch();
    let (parameter, momentum) = <Dispatch as MuonOps>::muon(parameter, gradient, momentum, settings, step);
    (Tensor::from_dispatch(parameter), Tensor::from_dispatch(momentum))
}
