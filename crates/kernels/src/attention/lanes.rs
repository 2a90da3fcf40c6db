//! Vector registers of the levels of [`Instructions`].

use pulp::{Scalar128b, Simd};

use crate::Instructions;

/// Registers of several f32, with sums of products as they are fast.
pub(crate) trait Lanes: Simd {
    /// a b + c.
    #[inline(always)]
    fn multiply_add(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.mul_add_f32s(a, b, c)
    }
}

impl Lanes for Scalar128b {
    // Without an instruction for it, rounding once would be a call of the system's library for every number.
    #[inline(always)]
    fn multiply_add(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.add_f32s(self.mul_f32s(a, b), c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V3 {}
#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V4 {}
#[cfg(target_arch = "aarch64")]
impl Lanes for pulp::aarch64::Neon {}

/// Loops that are compiled for every level.
pub(crate) trait Kernel {
    /// Does them.
    fn run<S: Lanes>(self, simd: S);
}

/// A level whose instructions this processor has.
#[derive(Clone, Copy)]
pub(crate) enum Vectors {
    /// Four lanes in the registers that every processor has.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Vectors {
    /// The most that both `instructions` and the processor have.
    pub(crate) fn new(instructions: Instructions) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if instructions >= Instructions::Avx512
                && let Some(simd) = pulp::x86::V4::try_new()
            {
                return Self::Avx512(simd);
            }
            if instructions >= Instructions::Avx2
                && let Some(simd) = pulp::x86::V3::try_new()
            {
                return Self::Avx2(simd);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if instructions == Instructions::Neon
            && let Some(simd) = pulp::aarch64::Neon::try_new()
        {
            return Self::Neon(simd);
        }
        Self::Portable
    }

    /// Runs a kernel on this level.
    #[inline]
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self {
            Self::Portable => kernel.run(Scalar128b),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(
                #[inline(always)]
                || kernel.run(simd),
            ),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(
                #[inline(always)]
                || kernel.run(simd),
            ),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.vectorize(
                #[inline(always)]
                || kernel.run(simd),
            ),
        }
    }
}
