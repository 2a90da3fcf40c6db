//! What learners do with Burn modules: numbers out of tensors, slow copies, and states.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Tensor, TensorData};

use crate::error::RlError;
use crate::saved_state;

/// Rows of `width` numbers as a tensor, shape `[n, width]`.
pub(crate) fn rows(numbers: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let data = TensorData::new(numbers.to_vec(), [numbers.len() / width, width]);
    Tensor::from_data(data, device)
}

/// The numbers of a tensor, row by row. Its kind is `f32`, as that of every tensor here.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap_or_default()
}

/// `target` <- (1 - tau) `target` + tau `online`, number by number, where both are modules of the same kind without autodiff.
pub(crate) fn polyak<M: Module>(target: &M, online: &M, tau: f32) -> M {
    let mut parameters = Parameters::default();
    online.visit(&mut parameters);
    target.clone().map(&mut Follow {
        online: parameters.0.into_iter(),
        tau,
    })
}

/// All numbers of a module, one tensor after another, each as a vector.
#[derive(Default)]
struct Parameters(Vec<Tensor<1>>);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.val().reshape([-1]));
    }
}

/// Moves each tensor towards that of another module.
struct Follow {
    online: std::vec::IntoIter<Tensor<1>>,
    tau: f32,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (online, tau) = (self.online.next(), self.tau);
        parameter.map(|target| match online {
            Some(online) => {
                let shape = target.shape();
                target * (1.0 - tau) + online.reshape(shape) * tau
            }
            None => target,
        })
    }
}

/// Appends the numbers of a module without autodiff to `state`.
pub(crate) fn save(module: impl Module, state: &mut Vec<u8>) {
    let bytes = module.into_record().into_bytes().map(|bytes| bytes.to_vec());
    saved_state::write(&bytes.unwrap_or_default(), state);
}

/// Reads back what [`save`] wrote of a module of the same kind.
pub(crate) fn load<M: Module>(module: M, state: &mut &[u8]) -> Result<M, RlError> {
    let bytes: Vec<u8> = saved_state::read(state)?;
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|_| wrong())?;
    Ok(module.load_record(record))
}

/// The state is another module's.
pub(crate) fn wrong() -> RlError {
    RlError::SavedState("it is not of such a Burn module")
}
