//! [`ModuleAverage`], of the trained parameters of a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::parameters::{Parameters, copy, stepped};
use crate::error::KernelError;

/// An exponential moving average of a module's parameters, e <- d e + (1 - d) w after every step (Polyak and Juditsky 1992 average all
/// steps alike), which begins with the parameters themselves: after n steps it is
///
/// ```text
/// e_n = d^n w_0 + (1 - d) sum over i from 1 to n of d^(n - i) w_i
/// ```
///
/// Only parameters that gradients are computed of are averaged: 4 bytes for each number that is trained.
#[derive(Debug)]
pub struct ModuleAverage {
    decay: f64,
    /// By the parameters' names, flat.
    means: BTreeMap<String, Tensor<1>>,
}

impl ModuleAverage {
    /// Of one module, with a decay from 0, where it is the last parameters, to below 1.
    pub fn new<M: Module>(module: &M, decay: f64) -> Self {
        let mut average = Self {
            decay,
            means: BTreeMap::new(),
        };
        average.add(module, |_, parameter| parameter);
        average
    }

    /// After a step, whose parameters the module has.
    pub fn update<M: Module>(&mut self, module: &M) {
        let decay = self.decay;
        self.add(module, |mean, parameter| match mean {
            Some(mean) => mean * decay + parameter * (1.0 - decay),
            None => parameter,
        });
    }

    fn add<M: Module>(&mut self, module: &M, mean: impl Fn(Option<Tensor<1>>, Tensor<1>) -> Tensor<1>) {
        module.visit(&mut Adder {
            means: &mut self.means,
            mean,
            path: Vec::new(),
        });
    }

    /// The module with the means in place of its parameters, whose memory it shares.
    #[must_use]
    pub fn of<M: Module>(&self, module: M) -> M {
        module.map(&mut Placer {
            means: &self.means,
            path: Vec::new(),
        })
    }

    /// The names of the parameters that are averaged, in order, each with how many numbers it has.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.means.iter().map(|(name, mean)| (name.as_str(), mean.dims()[0]))
    }

    /// The mean of the parameter of this name, in the order of its rows.
    pub fn mean_of(&self, name: &str) -> Option<Vec<f32>> {
        self.means.get(name).map(copy)
    }

    /// Goes on from these means in place of those it has.
    ///
    /// # Errors
    /// `module` has no parameter of that name, or one of another size.
    pub fn restore<M: Module>(
        &mut self,
        module: &M,
        means: impl IntoIterator<Item = (String, Vec<f32>)>,
    ) -> Result<(), KernelError> {
        let parameters = Parameters::of(module);
        self.means.clear();
        for (name, mean) in means {
            let mean = parameters.load(&name, mean)?;
            self.means.insert(name, mean);
        }
        Ok(())
    }
}

struct Adder<'a, F> {
    means: &'a mut BTreeMap<String, Tensor<1>>,
    mean: F,
    path: Vec<String>,
}

impl<F: Fn(Option<Tensor<1>>, Tensor<1>) -> Tensor<1>> ModuleVisitor for Adder<'_, F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if parameter.is_require_grad() {
            let name = self.path.join(".");
            let numbers = parameter.val().without_autodiff().reshape([-1]);
            let mean = (self.mean)(self.means.remove(&name), numbers);
            self.means.insert(name, mean);
        }
    }
}

struct Placer<'a> {
    means: &'a BTreeMap<String, Tensor<1>>,
    path: Vec<String>,
}

impl ModuleMapper for Placer<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.means.get(&self.path.join(".")) {
            Some(mean) => stepped(parameter, |tensor| mean.clone().reshape(tensor.shape())),
            None => parameter,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        trained: Param<Tensor<2>>,
        frozen: Param<Tensor<1>>,
    }

    fn two(trained: [f32; 2]) -> Two {
        let device = Device::flex().autodiff();
        Two {
            trained: Param::from_tensor(Tensor::from_data([trained], &device)),
            frozen: Param::from_tensor(Tensor::from_data([trained[0]], &device)).no_grad(),
        }
    }

    fn numbers(module: &Two) -> Vec<f32> {
        module.trained.val().to_data().iter().collect()
    }

    proptest! {
        #[test]
        fn it_is_the_closed_form(decay in 0.0_f64..1.0, steps in prop::collection::vec([-3.0_f32..3.0, -3.0..3.0], 1..12)) {
            let mut average = ModuleAverage::new(&two(steps[0]), decay);
            for step in &steps[1..] {
                average.update(&two(*step));
            }
            let last = steps.len() - 1;
            let module = average.of(two(steps[last]));
            prop_assert!(module.trained.is_require_grad());
            for (column, found) in numbers(&module).into_iter().enumerate() {
                let first = decay.powi(last as i32) * f64::from(steps[0][column]);
                let later = steps.iter().enumerate().skip(1).map(|(index, step)| {
                    (1.0 - decay) * decay.powi((last - index) as i32) * f64::from(step[column])
                });
                let expected = first + later.sum::<f64>();
                prop_assert!((f64::from(found) - expected).abs() < 1e-5, "{found}, {expected}");
            }
            let sizes: Vec<_> = average.sizes().collect();
            prop_assert_eq!(&sizes, &[("trained", 2)], "what is frozen is not averaged");
            let mut resumed = ModuleAverage::new(&two([0.0; 2]), decay);
            resumed.restore(&module, [("trained".to_owned(), average.mean_of("trained").unwrap())]).unwrap();
            prop_assert_eq!(resumed.mean_of("trained"), average.mean_of("trained"));
        }
    }
}
