//! When numbers agree.

/// Whether the numbers agree to five digits: each of them, or where it is small beside the others, in proportion to these.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-5 * (expected.abs() + 0.1 * size),
            "{what}, entry {index}: found {found}, expected {expected}"
        );
    }
}
