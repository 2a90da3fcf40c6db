//! What every checkpoint keeps.

use etude_hub::Checkpoint;

/// Checks a checkpoint that was read from a file of so many bytes: names in order and none twice, no tensor larger than the file,
/// and every tensor of the size that its type and shape say.
pub fn check_checkpoint(checkpoint: &dyn Checkpoint, size: usize) {
    let tensors = checkpoint.tensors();
    assert!(tensors.array_windows().all(|[left, right]| left.name < right.name));
    for tensor in tensors {
        let raw = checkpoint.raw(&tensor.name).expect("it is in the list");
        assert_eq!((raw.dtype, raw.shape), (tensor.dtype, &tensor.shape[..]));
        assert_eq!(raw.bytes.len(), tensor.bytes());
        // A norm of Gemma in half the bytes is read as F32.
        assert!(raw.bytes.len() <= 2 * size);
        match checkpoint.read_f32(&tensor.name) {
            Ok(numbers) => assert_eq!(numbers.len(), tensor.elements()),
            Err(_) => assert!(!tensor.dtype.is_real()),
        }
    }
}
