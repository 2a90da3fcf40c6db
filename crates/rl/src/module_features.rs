//! Any Burn module as a feature map.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::features::FeatureMap;

/// A Burn module that makes features of points.
pub trait FeatureModule: Module {
    /// Features, shape `[n, dimension]`, of points of shape `[n, d]`.
    fn features(&self, points: Tensor<2>) -> Tensor<2>;
}

/// phi(x) is what a module makes of x, such as the hidden layers of a network that has learnt something else. Its parameters
/// stay as they are: what is learnt are the weights of the features.
#[derive(Debug, Clone)]
pub struct ModuleFeatures<M> {
    module: M,
    device: Device,
    dimension: usize,
}

impl<M: FeatureModule> ModuleFeatures<M> {
    /// `module` gives `dimension` features and lies on `device`, which has no autodiff.
    pub fn new(module: M, device: &Device, dimension: usize) -> Self {
        Self {
            module,
            device: device.clone(),
            dimension,
        }
    }
}

impl<M: FeatureModule> FeatureMap for ModuleFeatures<M> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        let point: Vec<f32> = point.iter().map(|&entry| entry as f32).collect();
        let shape = [1, point.len()];
        let features = self
            .module
            .features(Tensor::from_data(TensorData::new(point, shape), &self.device));
        let features: Vec<f32> = features.into_data().try_to_vec().unwrap_or_default();
        for (index, &value) in features.iter().enumerate() {
            feature(index, value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::activation::relu;

    use super::*;

    #[derive(Module, Debug)]
    struct Hidden {
        layer: Linear,
    }

    impl FeatureModule for Hidden {
        fn features(&self, points: Tensor<2>) -> Tensor<2> {
            relu(self.layer.forward(points))
        }
    }

    #[test]
    fn features_are_what_the_module_says() {
        let device = Device::flex();
        let mut layer = LinearConfig::new(2, 3).with_bias(false).init(&device);
        let weight = TensorData::new(vec![1.0_f32, -1.0, 2.0, 0.5, 1.0, -3.0], [2, 3]);
        layer.weight = Param::from_tensor(Tensor::from_data(weight, &device));
        let map = ModuleFeatures::new(Hidden { layer }, &device, 3);
        let mut features = [f64::NAN; 3];
        map.write(&[2.0, 1.0], &mut features);
        // [2, 1] times the weights, without what is below zero.
        for (ours, expected) in features.iter().zip([2.5, 0.0, 1.0]) {
            assert!((ours - expected).abs() < 1e-6, "{features:?}");
        }
    }
}
