//! The number of threads changes nothing.

use etude_kernels::perceptron::{Activation, Adam, Mlp, Pass, square_norm};
use etude_train::Seed;
use rand::RngExt;

/// A few steps of training: the square norms of the gradients and the parameters at the end.
fn train() -> (Vec<u64>, Vec<u32>) {
    let mut random = Seed(3).stream("network");
    let sizes = [4, 256, 256, 2];
    let mut mlp = Mlp::new(&sizes, Activation::Relu, &mut random);
    let mut pass = Pass::new(&mlp, 64);
    let mut gradient = vec![0.0; mlp.parameters().len()];
    let mut adam = Adam::new(mlp.parameters().len(), 1e-8);
    let mut norms = Vec::new();
    for _ in 0..5 {
        let inputs: Vec<f32> = (0..64 * sizes[0]).map(|_| random.random_range(-1.0..1.0)).collect();
        let outputs = mlp.forward(&inputs, &mut pass).to_vec();
        mlp.backward(&outputs, &mut pass, &mut gradient, None);
        norms.push(square_norm(&gradient).to_bits());
        adam.step(mlp.parameters_mut(), &gradient, 1.0 / 64.0, 1e-3);
    }
    (norms, mlp.parameters().iter().map(|number| number.to_bits()).collect())
}

#[test]
fn one_two_and_three_threads_give_the_same_bytes() {
    let with = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(train)
    };
    let (norms, parameters) = with(1);
    assert!(parameters.len() > 1 << 16, "long enough to be cut");
    assert!(norms.iter().all(|&norm| f64::from_bits(norm) > 0.0));
    for threads in [2, 3] {
        assert!(
            with(threads) == (norms.clone(), parameters.clone()),
            "{threads} threads"
        );
    }
}
