//! Policy files, read for a small model with a terminal state and action labels that are not indices.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use etude_mdp::{Mdp, MdpBuilder, Model, Next, Policy};
use libfuzzer_sys::fuzz_target;

static MODEL: LazyLock<Mdp> = LazyLock::new(|| {
    let mut builder = MdpBuilder::new(4);
    builder.terminal(3);
    for (state, action) in [(0, 0), (0, 1), (0, 2), (1, 2), (1, 5), (2, 0)] {
        builder.transition(state, action, Next::State(state + 1), 1.0, -1.0);
    }
    builder.build().expect("the model is sound")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = Policy::parse(&*MODEL, Path::new("policy.json"), bytes) else {
        return;
    };
    assert_eq!(policy.states(), MODEL.states());
    for state in 0..MODEL.states() {
        let mut sum = 0.0;
        policy.for_each(state, |action, probability| {
            assert!(action < MODEL.actions(state));
            assert!(probability > 0.0);
            sum += probability;
        });
        let expected = if MODEL.actions(state) == 0 { 0.0 } else { 1.0 };
        assert!((sum - expected).abs() < 1e-12, "state {state}: {sum}");
    }
});
