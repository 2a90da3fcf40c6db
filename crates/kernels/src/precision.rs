//! In what matrix products compute.

/// In what a matrix product takes its factors. Sums are f32 in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16, to the nearest and ties to even: half the memory to read and, with [`Instructions::Avx512Bf16`], twice
    /// the products at a time.
    ///
    /// [`Instructions::Avx512Bf16`]: crate::Instructions::Avx512Bf16
    Bf16,
}
