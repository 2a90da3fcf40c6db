//! Numbers and shapes at the edge.

use super::*;

#[test]
fn extreme_scores_give_the_value_of_the_largest() {
    // Two keys: scores of 1e4 and -1e4, and the other way round.
    let attention = Attention {
        scale: 1.0,
        ..Attention::new(1, 1, 1)
    };
    for instructions in levels() {
        let (queries, keys, values) = ([100.0, 100.0, -100.0], [100.0, -100.0, -100.0], [1.0, 2.0, 4.0]);
        let inputs = Inputs {
            queries: &queries,
            keys: &keys,
            values: &values,
            offsets: &[0, 3],
        };
        let [outputs, log_sums, dq, dk, dv] = found(&attention, instructions, inputs, &[1.0, 1.0, 1.0]);
        assert_eq!(outputs, [1.0, 1.0, 3.0]);
        assert_eq!(log_sums, [1e4, 1e4, 1e4 + 2.0_f32.ln()]);
        // Numbers near 1e4 are 1e-3 apart, and so are the weights that come of log-sum-exps.
        let close = |found: &[f32], expected: [f32; 3], error: f32| {
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() <= error)
        };
        assert!(close(&dv, [2.0, 0.5, 0.5], 1e-3), "{dv:?}");
        // The last query sees two equal keys, of which the second has the larger value.
        assert!(close(&dk, [0.0, 50.0, -50.0], 0.1), "{dk:?}");
        assert!(close(&dq, [0.0; 3], 0.1), "{dq:?}");
    }
}

#[test]
fn capped_scores_stay_below_the_cap() {
    let attention = Attention {
        scale: 1.0,
        soft_cap: Some(2.0),
        ..Attention::new(1, 1, 1)
    };
    let inputs = Inputs {
        queries: &[1e4, 1e4],
        keys: &[1e4, -1e4],
        values: &[1.0, 0.0],
        offsets: &[0, 2],
    };
    for instructions in levels() {
        let [outputs, log_sums, ..] = found(&attention, instructions, inputs, &[1.0, 1.0]);
        let expected = 1.0 / (1.0 + (-4.0_f32).exp());
        assert!((outputs[1] - expected).abs() < 1e-6, "{}", outputs[1]);
        assert!((log_sums[0] - 2.0).abs() < 1e-6);
    }
}

#[test]
fn what_is_no_number_stays_none_and_panics_nowhere() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (causal, soft_cap) in [(true, None), (false, Some(1.0))] {
            let attention = Attention {
                causal,
                soft_cap,
                ..Attention::new(2, 1, 3)
            };
            let all = vec![wrong; 70 * 6];
            let inputs = Inputs {
                queries: &all,
                keys: &all[..210],
                values: &all[..210],
                offsets: &[0, 70],
            };
            for instructions in levels() {
                let [outputs, ..] = found(&attention, instructions, inputs, &all);
                assert!(outputs.iter().all(|output| !output.is_finite()));
            }
        }
    }
}

#[test]
fn no_tokens_are_no_work() {
    let attention = Attention::new(2, 1, 3);
    for offsets in [&[0][..], &[0, 0], &[0, 0, 0]] {
        let inputs = Inputs {
            queries: &[],
            keys: &[],
            values: &[],
            offsets,
        };
        assert!(
            found(&attention, Instructions::best(), inputs, &[])
                .iter()
                .all(Vec::is_empty)
        );
    }
    let cache = KeyValueCache::new(&attention, 0);
    attention.attend(&[], &[(&cache, 0)], &mut []);
    attention.attend(&[], &[], &mut []);
}

#[test]
fn a_cache_counts_its_tokens_and_bytes() {
    let attention = Attention::new(4, 2, 8);
    let mut cache = KeyValueCache::new(&attention, 100);
    assert_eq!((cache.len(), cache.capacity(), cache.is_empty()), (0, 100, true));
    // Room for two tiles of 64.
    assert_eq!(cache.bytes(), 2 * 128 * 2 * 8 * 4);
    cache.append(&[1.0; 5 * 16], &[1.0; 5 * 16]);
    cache.truncate(9);
    assert_eq!(cache.len(), 5);
    cache.truncate(3);
    assert_eq!(cache.len(), 3);
    cache.clear();
    assert!(cache.is_empty());
}

#[test]
#[should_panic(expected = "1 more tokens than the 2 in a cache for 2")]
fn a_full_cache_takes_no_more() {
    let mut cache = KeyValueCache::new(&Attention::new(1, 1, 2), 2);
    cache.append(&[0.0; 4], &[0.0; 4]);
    cache.append(&[0.0; 2], &[0.0; 2]);
}

#[test]
#[should_panic(expected = "length of the keys")]
fn keys_of_another_number_of_tokens_are_refused() {
    Attention::new(1, 1, 1).forward(&[0.0; 2], &[0.0; 3], &[0.0; 2], &[0, 2], &mut [0.0; 2], &mut [0.0; 2]);
}
