//! [`ModuleAdamW`], over all parameters of a module.

use std::collections::BTreeMap;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::composed;
use super::flex::{numbers, numbers_mut, reads, row_major};
use super::parameters::{Parameters, Predicate, copy, stepped, zeros};
use crate::adam_w::{AdamW, Step};
use crate::error::KernelError;
use crate::perceptron::square_norm;

#[backend_extension(Flex)]
trait AdamWOps: Backend {
    /// The parameter and both moments after the step.
    fn adam_w(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        settings: &AdamW,
        step: Step,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn square_norm(gradient: FloatTensor<Self>) -> f64;
}

impl AdamWOps for Flex {
    fn adam_w(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        settings: &AdamW,
        step: Step,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (mut parameter, mut first, mut second) = (row_major(parameter), first, second);
        settings.step(
            step,
            numbers_mut(&mut parameter),
            numbers(&row_major(gradient)),
            numbers_mut(&mut first),
            numbers_mut(&mut second),
        );
        (parameter, first, second)
    }

    fn square_norm(gradient: FlexTensor) -> f64 {
        square_norm(numbers(&row_major(gradient)))
    }
}

/// How far the moments of one parameter are.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Steps that this parameter has taken.
    pub steps: u64,
    /// Running means of its gradient, in the parameter's row-major order.
    pub first: Vec<f32>,
    /// Running means of its gradient's squares.
    pub second: Vec<f32>,
}

/// AdamW over all parameters of a module, in place: parameters and moments keep their memory, and each gradient is freed
/// as soon as it is used. A training step so needs a parameter, a gradient and two moments, 16 bytes for each number trained.
///
/// A parameter is stepped in place if nothing else holds its tensor: neither a clone of the module, nor a graph whose backward
/// has not run. Otherwise it is copied, as everywhere in Burn.
pub struct ModuleAdamW {
    settings: AdamW,
    decays: Predicate,
    states: BTreeMap<String, State>,
}

/// Of one parameter; the moments are flat.
struct State {
    steps: u64,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl State {
    fn moments(&self) -> Moments {
        Moments {
            steps: self.steps,
            first: copy(&self.first),
            second: copy(&self.second),
        }
    }
}

impl ModuleAdamW {
    /// Before the first step. Weights decay if they are matrices: norms and biases do not.
    pub fn new(settings: AdamW) -> Self {
        Self {
            settings,
            decays: Box::new(|_, shape| shape.len() >= 2),
            states: BTreeMap::new(),
        }
    }

    /// Only the parameters decay for whose name and shape `decays` holds. A name is the fields that lead to the parameter,
    /// such as `layers.0.norm.weight`.
    #[must_use]
    pub fn with_decay(mut self, decays: impl Fn(&str, &[usize]) -> bool + Send + Sync + 'static) -> Self {
        self.decays = Box::new(decays);
        self
    }

    /// Steps every parameter that has a gradient, and returns the global norm of the gradients (of all their numbers
    /// together) beside the module. If that norm exceeds `max_norm`, they are scaled down to it, as
    /// `torch.nn.utils.clip_grad_norm_` does. If the norm is no finite number, nothing is stepped.
    ///
    /// A parameter that occurs in several places of the module is stepped in the first only.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f32,
        max_norm: Option<f32>,
    ) -> (M, f32) {
        let norm = global_norm(&module, &gradients);
        if !norm.is_finite() {
            return (module, norm);
        }
        let module = self.step_scaled(module, gradients, learning_rate, clipped(norm, max_norm));
        (module, norm)
    }

    /// Steps every parameter that has a gradient, with the gradient times a scale.
    pub(super) fn step_scaled<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f32,
        gradient_scale: f32,
    ) -> M {
        module.map(&mut Stepper {
            adam: self,
            gradients,
            learning_rate,
            gradient_scale,
            path: Vec::new(),
        })
    }

    /// The moments of every parameter stepped so far by its name, in the order of names. They are copied one parameter at a
    /// time.
    pub fn moments(&self) -> impl Iterator<Item = (&str, Moments)> {
        self.states.iter().map(|(name, state)| (name.as_str(), state.moments()))
    }

    /// The moments of the parameter of this name, if it has been stepped.
    pub fn moments_of(&self, name: &str) -> Option<Moments> {
        self.states.get(name).map(State::moments)
    }

    /// The names of the parameters stepped so far, in order, each with how many numbers it has.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.states
            .iter()
            .map(|(name, state)| (name.as_str(), state.first.dims()[0]))
    }

    /// Goes on from `moments`, as [`moments`](Self::moments) gave them, in place of those it has.
    ///
    /// # Errors
    /// `module` has no parameter of that name, or one of another size.
    pub fn restore<M: Module>(
        &mut self,
        module: &M,
        moments: impl IntoIterator<Item = (String, Moments)>,
    ) -> Result<(), KernelError> {
        let parameters = Parameters::of(module);
        self.states.clear();
        for (name, moments) in moments {
            let state = State {
                steps: moments.steps,
                first: parameters.load(&name, moments.first)?,
                second: parameters.load(&name, moments.second)?,
            };
            self.states.insert(name, state);
        }
        Ok(())
    }
}

/// Everything but the predicate.
impl std::fmt::Debug for ModuleAdamW {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("ModuleAdamW")
            .field("settings", &self.settings)
            .field("parameters", &self.states.len())
            .finish_non_exhaustive()
    }
}

/// What gradients of this global norm are multiplied by, so that it does not exceed `max_norm`.
pub(super) fn clipped(norm: f32, max_norm: Option<f32>) -> f32 {
    max_norm.map_or(1.0, |max_norm| (max_norm / (norm + 1e-6)).min(1.0))
}

/// The square root of the sum of all squares, so of all gradients as one vector.
pub(super) fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f32 {
    let mut norm = Norm {
        gradients,
        squares: 0.0,
    };
    module.visit(&mut norm);
    norm.squares.sqrt() as f32
}

struct Norm<'a> {
    gradients: &'a GradientsParams,
    squares: f64,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            self.squares += if reads(&gradient) {
                <Dispatch as AdamWOps>::square_norm(gradient.into_dispatch())
            } else {
                gradient.square().sum().into_scalar::<f64>()
            };
        }
    }
}

/// Takes the gradients one after the other.
struct Stepper<'a> {
    adam: &'a mut ModuleAdamW,
    gradients: GradientsParams,
    learning_rate: f32,
    gradient_scale: f32,
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
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return parameter;
        };
        let name = self.path.join(".");
        stepped(parameter, |tensor| {
            let decays = (self.adam.decays)(&name, &tensor.dims());
            let State { steps, first, second } = self.adam.states.remove(&name).unwrap_or_else(|| State {
                steps: 0,
                first: zeros(&tensor),
                second: zeros(&tensor),
            });
            let settings = AdamW {
                weight_decay: if decays { self.adam.settings.weight_decay } else { 0.0 },
                ..self.adam.settings
            };
            let step = Step {
                number: steps + 1,
                learning_rate: self.learning_rate,
                gradient_scale: self.gradient_scale,
            };
            let (tensor, first, second) = take(&settings, step, tensor, gradient, [first, second]);
            let state = State {
                steps: step.number,
                first,
                second,
            };
            self.adam.states.insert(name, state);
            tensor
        })
    }
}

/// The parameter and its moments after the step.
fn take<const D: usize>(
    settings: &AdamW,
    step: Step,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<1>; 2],
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    if !reads(&parameter) {
        return composed::adam_w(settings, step, parameter, gradient, moments);
    }
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (parameter, gradient) = (parameter.into_dispatch(), gradient.into_dispatch());
    let (parameter, first, second) = <Dispatch as AdamWOps>::adam_w(parameter, gradient, first, second, settings, step);
    (
        Tensor::from_dispatch(parameter),
        Tensor::from_dispatch(first),
        Tensor::from_dispatch(second),
    )
}
