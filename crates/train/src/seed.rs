//! One seed for a whole run, and from it as many independent streams of random numbers as there are uses.
//!
//! A stream belongs to a name and not to a place in the program's order of draws, so a new use of randomness changes
//! no old one; and indexed streams give parallel work the same draws on any number of threads.
//!
//! A stream is `ChaCha8` under the 256-bit key made of four little-endian 64-bit words:
//!
//! | word | `stream(name)` | `stream_indexed(name, index)` |
//! |---|---|---|
//! | 0 | seed | seed |
//! | 1 | FNV-1a(name) | FNV-1a(name) |
//! | 2 | 0 | index |
//! | 3 | 0 | 1 |
//!
//! The words are not mixed, and need not be: `ChaCha` is built so that keys which differ in a single bit give
//! unrelated streams. Different seeds, indices and kinds give different keys by construction; two names share one
//! only where their 64-bit hashes collide, which for a thousand names has a chance of about 3e-14.
//!
//! The bytes of a stream are fixed for good, and tests hold them to literal values. What `rand` makes of the bytes
//! (a range, a shuffle) is stable within one minor version of `rand`.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The root seed of a run.
///
/// ```
/// use etude_train::Seed;
/// use rand::RngExt;
///
/// let seed = Seed(42);
/// let mut simulate = seed.stream("simulate");
/// let die = simulate.random_range(1..=6);
/// assert_eq!(die, seed.stream("simulate").random_range(1..=6));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream called `name`, from its beginning.
    pub fn stream(self, name: &str) -> ChaCha8Rng {
        self.keyed(name, 0, 0)
    }

    /// One of a family of streams called `name`: one per episode, state or worker item. None of them is
    /// [`stream`](Self::stream) of the same name.
    pub fn stream_indexed(self, name: &str, index: u64) -> ChaCha8Rng {
        self.keyed(name, index, 1)
    }

    fn keyed(self, name: &str, index: u64, kind: u64) -> ChaCha8Rng {
        let words = [self.0, fnv1a(name.as_bytes()), index, kind];
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// The 64-bit Fowler-Noll-Vo hash, variant 1a: short, and the same everywhere and for ever.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use rand::Rng;

    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // From the published test vectors of FNV-1a, 64 bits.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn streams_are_pinned() {
        // Computed by an independent implementation of ChaCha8 over the keys of the table above.
        let cases = [
            (
                Seed(0).stream("simulate"),
                [0x0e51_8864_d0aa_e4be, 0x2ed8_3a14_52bb_45b7],
            ),
            (
                Seed(42).stream("simulate"),
                [0xcf90_6fea_103d_c712, 0x7ba8_1fb0_7bfe_c5ab],
            ),
            (
                Seed(42).stream_indexed("simulate", 0),
                [0x82cd_84c9_5885_bc96, 0xb433_34c1_a57b_7f72],
            ),
            (
                Seed(42).stream_indexed("simulate", u64::MAX),
                [0x4efd_c971_6f41_d877, 0x4d9c_f2b1_bc01_05ad],
            ),
        ];
        for (mut rng, expected) in cases {
            assert_eq!([rng.next_u64(), rng.next_u64()], expected);
        }
    }

    #[test]
    fn seeds_names_indices_and_kinds_all_tell_streams_apart() {
        let mut first_draws = HashSet::new();
        for seed in [0, 1, u64::MAX].map(Seed) {
            for name in ["", "a", "b", "simulate"] {
                assert!(first_draws.insert(seed.stream(name).next_u64()));
                for index in 0..100 {
                    assert!(first_draws.insert(seed.stream_indexed(name, index).next_u64()));
                }
            }
        }
    }

    #[test]
    fn indexed_streams_do_not_depend_on_the_thread() {
        let draw = |index| Seed(7).stream_indexed("episode", index).next_u64();
        let here: Vec<u64> = (0..8).map(draw).collect();
        let there: Vec<u64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || draw(i))).collect();
            threads.into_iter().filter_map(|t| t.join().ok()).collect()
        });
        assert_eq!(here, there);
    }
}
