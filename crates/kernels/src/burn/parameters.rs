//! What optimisers do with the parameters of a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::KernelError;

/// Of the name and the shape of a parameter.
pub(super) type Predicate = Box<dyn Fn(&str, &[usize]) -> bool + Send + Sync>;

/// The sizes and devices of a module's parameters by their names.
#[derive(Default)]
pub(super) struct Parameters {
    path: Vec<String>,
    found: BTreeMap<String, (usize, Device)>,
}

impl Parameters {
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut parameters = Self::default();
        module.visit(&mut parameters);
        parameters
    }

    /// Moments of the parameter of a name, flat on its device.
    pub(super) fn load(&self, name: &str, moments: Vec<f32>) -> Result<Tensor<1>, KernelError> {
        let Some((expected, device)) = self.found.get(name) else {
            return Err(KernelError::NoParameter { name: name.to_owned() });
        };
        if moments.len() != *expected {
            return Err(KernelError::MomentsOf {
                name: name.to_owned(),
                found: moments.len(),
                expected: *expected,
            });
        }
        Ok(Tensor::from_data(TensorData::new(moments, [*expected]), device))
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let size = parameter.lazy_shape().num_elements();
        let device = parameter.lazy_device().without_autodiff();
        self.found.insert(self.path.join("."), (size, device));
    }
}

/// The parameter after `step`, tracked as before.
pub(super) fn stepped<const D: usize>(
    parameter: Param<Tensor<D>>,
    step: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let (id, tensor, mapper) = parameter.consume();
    let (tracked, checkpointing) = (tensor.is_require_grad(), tensor.gradient_checkpointing_strategy());
    // Off the graph: what holds the tensor now is this alone.
    let tensor = step(tensor.without_autodiff());
    let tensor = match checkpointing {
        None => tensor,
        Some(strategy) => tensor
            .autodiff()
            .with_gradient_checkpointing_strategy(strategy)
            .set_require_grad(tracked),
    };
    Param::from_mapped_value(id, tensor, mapper)
}

/// Moments before the first step, flat.
pub(super) fn zeros<const D: usize>(parameter: &Tensor<D>) -> Tensor<1> {
    let size = parameter.shape().num_elements();
    Tensor::from_data(TensorData::new(vec![0.0_f32; size], [size]), &parameter.device())
}

/// The numbers of moments.
pub(super) fn copy(moments: &Tensor<1>) -> Vec<f32> {
    moments.to_data().iter().collect()
}
