//! [`with_gradients`], which adds up the gradients of several losses.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::composed;
use super::flex::{reads, register};

#[backend_extension(Flex, Autodiff)]
trait AccumulationOps: Backend {
    fn with_gradient(
        loss: FloatTensor<Self>,
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// A loss, `[1]`, whose backward adds its gradients to `gradients`, those of an earlier loss by the parameters of `module`.
///
/// To add them afterwards takes two gradients of every parameter at a time. Here the two are added as soon as the second is known, and
/// there are two of one parameter alone. What the backward gives is the sum, also for parameters that this loss does not depend on.
pub fn with_gradients<M: Module>(loss: Tensor<1>, module: &M, gradients: GradientsParams) -> Tensor<1> {
    let mut earlier = Earlier { gradients, loss };
    module.visit(&mut earlier);
    earlier.loss
}

/// Hands the gradients to the loss one after the other.
struct Earlier {
    gradients: GradientsParams,
    loss: Tensor<1>,
}

impl ModuleVisitor for Earlier {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            self.loss = with_gradient(self.loss.clone(), parameter.val(), gradient);
        }
    }
}

fn with_gradient<const D: usize>(loss: Tensor<1>, parameter: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    if !reads(&parameter) {
        return composed::with_gradient(loss, parameter, gradient);
    }
    let gradient = gradient.autodiff().into_dispatch();
    Tensor::from_dispatch(<Dispatch as AccumulationOps>::with_gradient(
        loss.into_dispatch(),
        parameter.into_dispatch(),
        gradient,
    ))
}

impl AccumulationOps for Flex {
    fn with_gradient(loss: FlexTensor, _: FlexTensor, _: FlexTensor) -> FlexTensor {
        loss
    }
}

/// The backward of [`with_gradients`] for one parameter. It comes before that of the loss, which finds the gradient there already.
#[derive(Debug)]
struct WithGradient;

impl Backward<Flex, 2> for WithGradient {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slope = gradients.consume::<Flex>(&ops.node);
        let [of_loss, of_parameter] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(gradients, of_loss, slope);
        register(gradients, of_parameter, ops.state);
    }
}

impl<C: CheckpointStrategy> AccumulationOps for Autodiff<Flex, C> {
    fn with_gradient(
        loss: FloatTensor<Self>,
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (gradient, (loss, of_loss)) = (gradient.into_primitive(), loss.into_parts());
        let operation = WithGradient
            .prepare::<C>([of_loss, parameter.node()])
            .compute_bound()
            .stateful();
        match operation {
            OpsKind::Tracked(operation) => operation.finish(gradient, loss),
            OpsKind::UnTracked(operation) => operation.finish(loss),
        }
    }
}
