//! Which vector instructions the processor has.

use std::fmt;
use std::sync::OnceLock;

/// Vector instructions that kernels are written for, from the least to the most. Each level has all of the levels before it
/// that belong to the same architecture.
///
/// Kernels choose [`best`](Self::best) at run time, so that one binary runs everywhere; tests go through
/// [`available`](Self::available). Different levels may round differently; one level always gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Instructions {
    /// What Rust compiles to without asking the processor.
    Portable,
    /// 64-bit Arm: registers of four f32.
    Neon,
    /// x86-64: AVX2, FMA and F16C, registers of eight f32.
    Avx2,
    /// x86-64: AVX-512 F, BW, DQ and VL, registers of sixteen f32.
    Avx512,
    /// x86-64: with products of bytes, four of which are added into one 32-bit integer.
    Avx512Vnni,
    /// x86-64: with products of bf16, two of which are added into one f32.
    Avx512Bf16,
}

impl Instructions {
    const ALL: [Self; 6] = [
        Self::Portable,
        Self::Neon,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
    ];

    /// The most that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Instructions> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().unwrap_or(Self::Portable))
    }

    /// All levels that this processor has, the least first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// Whether this processor has them.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let has = match self {
            Self::Portable => true,
            Self::Neon => false,
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Self::Avx512Vnni => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            Self::Avx512Bf16 => Self::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16"),
        };
        // Every 64-bit Arm processor that Rust's standard library runs on has NEON.
        #[cfg(target_arch = "aarch64")]
        let has = matches!(self, Self::Portable | Self::Neon);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let has = self == Self::Portable;
        has
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Portable => "portable",
            Self::Neon => "NEON",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Avx512Vnni => "AVX-512 VNNI",
            Self::Avx512Bf16 => "AVX-512 BF16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_available_and_portable_always_is() {
        assert!(Instructions::best().is_available());
        assert_eq!(Instructions::available().next(), Some(Instructions::Portable));
    }
}
