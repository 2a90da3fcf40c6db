//! [`blend`]: a module between two others.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::parameters::stepped;

/// share `towards` + (1 - share) `module`, parameter by parameter: how an average of parameters moves, or a model that follows another
/// one. What `module` tracks of gradients stays as it was, and nothing is tracked of the blending.
///
/// # Panics
/// The modules have different numbers of parameters.
pub fn blend<M: Module>(module: M, towards: &impl Module, share: f64) -> M {
    let (found, expected) = (towards.num_params(), module.num_params());
    assert!(found == expected, "parameters: found {found}, expected {expected}");
    let mut parameters = Parameters::default();
    towards.visit(&mut parameters);
    module.map(&mut Blend {
        towards: parameters.0,
        share,
    })
}

/// Those of a module, flat and off the graph, in the order of its fields. They share its memory.
#[derive(Default)]
struct Parameters(VecDeque<Tensor<1>>);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push_back(parameter.val().without_autodiff().reshape([-1]));
    }
}

struct Blend {
    towards: VecDeque<Tensor<1>>,
    share: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(towards) = self.towards.pop_front() else {
            return parameter;
        };
        stepped(parameter, |tensor| {
            let towards = towards.reshape(tensor.shape());
            towards * self.share + tensor * (1.0 - self.share)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
    }

    fn two(matrix: [[f32; 2]; 1], vector: [f32; 1]) -> Two {
        let device = Device::flex().autodiff();
        Two {
            matrix: Param::from_tensor(Tensor::from_data(matrix, &device)),
            vector: Param::from_tensor(Tensor::from_data(vector, &device)),
        }
    }

    fn numbers(module: &Two) -> Vec<f32> {
        let (matrix, vector) = (module.matrix.val().to_data(), module.vector.val().to_data());
        matrix.iter::<f32>().chain(vector.iter::<f32>()).collect()
    }

    #[test]
    fn every_parameter_moves_by_its_share_and_tracks_what_it_did() {
        let towards = two([[1.0, -2.0]], [3.0]);
        let moved = blend(two([[0.0, 2.0]], [3.0]), &towards, 0.25);
        assert_eq!(numbers(&moved), [0.25, 1.0, 3.0]);
        assert!(moved.matrix.val().is_require_grad());
        let frozen = blend(two([[0.0, 2.0]], [3.0]).no_grad(), &towards, 1.0);
        assert_eq!(numbers(&frozen), numbers(&towards));
        assert!(!frozen.matrix.val().is_require_grad());
        assert_eq!(numbers(&towards), [1.0, -2.0, 3.0]);
    }
}
