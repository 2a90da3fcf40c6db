//! Linear cross-entropy never holds the full logits.

use allocation_counter::measure;
use etude_kernels::Precision;
use etude_kernels::linear_cross_entropy::Head;

#[test]
fn linear_cross_entropy_takes_little_memory() {
    let (tokens, width, vocabulary) = (1500, 2, 50_000);
    let hidden: Vec<f32> = (0..tokens * width).map(|index| (index % 7) as f32 - 3.0).collect();
    let weight: Vec<f32> = (0..vocabulary * width)
        .map(|index| (index % 11) as f32 / 10.0)
        .collect();
    let targets: Vec<u32> = (0..tokens as u32).map(|token| token * 5).collect();
    let weights = vec![1.0 / tokens as f32; tokens];
    let [mut log_sums, mut log_probabilities] = [(); 2].map(|()| vec![0.0; tokens]);
    let [mut d_hidden, mut d_weight] = [hidden.len(), weight.len()].map(|count| vec![0.0; count]);
    let head = Head {
        weight: &weight,
        width,
        soft_cap: None,
        precision: Precision::F32,
    };
    // Only what this thread allocates is counted, so everything runs on it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let logits = (tokens * vocabulary * size_of::<f32>()) as u64;
    let peak = pool.install(|| {
        measure(|| {
            head.token_log_probabilities(&hidden, &targets, &mut log_probabilities, &mut log_sums, &mut []);
            let d_weight = Some(&mut d_weight[..]);
            head.token_log_probabilities_backward(&hidden, &targets, &log_sums, &weights, &mut d_hidden, d_weight);
        })
        .bytes_max
    });
    assert!(log_probabilities[0] < -1.0 && d_weight.iter().any(|&entry| entry != 0.0));
    assert!(
        peak > 0 && peak < logits / 16,
        "{peak} bytes, and {logits} for the full logits"
    );
    let mut loss = 0.0;
    let peak = pool.install(|| {
        let gradients = [&mut d_hidden[..], &mut d_weight].map(Some);
        let [d_hidden, d_weight] = gradients;
        measure(|| loss = head.cross_entropy_with_gradients(&hidden, &targets, &weights, d_hidden, d_weight, &mut []))
            .bytes_max
    });
    assert!(loss > 1.0);
    assert!(
        peak > 0 && peak < logits / 2,
        "{peak} bytes, and {logits} for the full logits"
    );
}
