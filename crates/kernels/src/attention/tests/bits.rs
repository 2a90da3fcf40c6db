//! What must not change a single bit.

use super::*;

/// What [`Attention::forward`] gets, made up.
struct Made {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    d_outputs: Vec<f32>,
    offsets: Vec<usize>,
}

impl Made {
    fn new(attention: &Attention, offsets: &[usize], seed: u64) -> Self {
        let tokens = offsets[offsets.len() - 1];
        let (all, width) = (
            attention.heads * attention.head_size,
            attention.key_value_heads * attention.head_size,
        );
        Self {
            queries: numbers(tokens * all, seed),
            keys: numbers(tokens * width, seed ^ 1),
            values: numbers(tokens * width, seed ^ 2),
            d_outputs: numbers(tokens * all, seed ^ 3),
            offsets: offsets.to_vec(),
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            queries: &self.queries,
            keys: &self.keys,
            values: &self.values,
            offsets: &self.offsets,
        }
    }

    /// Outputs, log-sum-exps and gradients.
    fn found(&self, attention: &Attention, instructions: Instructions) -> [Vec<u32>; 5] {
        found(attention, instructions, self.inputs(), &self.d_outputs).map(|numbers| bits(&numbers))
    }

    /// The rows of one sequence.
    fn sequence(&self, index: usize) -> Self {
        let tokens = self.offsets[index]..self.offsets[index + 1];
        let all = self.offsets[self.offsets.len() - 1].max(1);
        let cut = |numbers: &[f32]| {
            let width = numbers.len() / all;
            numbers[tokens.start * width..tokens.end * width].to_vec()
        };
        Self {
            queries: cut(&self.queries),
            keys: cut(&self.keys),
            values: cut(&self.values),
            d_outputs: cut(&self.d_outputs),
            offsets: vec![0, tokens.len()],
        }
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// The outputs of sequences that grow side by side, each by some of the `pieces` in every call.
fn attended(attention: &Attention, instructions: Instructions, made: &[Made], pieces: &[usize]) -> Vec<Vec<u32>> {
    let (all, width) = (
        attention.heads * attention.head_size,
        attention.key_value_heads * attention.head_size,
    );
    let lengths: Vec<usize> = made.iter().map(|made| made.offsets[1]).collect();
    let mut caches: Vec<KeyValueCache> = lengths
        .iter()
        .map(|&length| KeyValueCache::new(attention, length))
        .collect();
    // Tokens that are taken back again leave no trace.
    for (cache, &length) in caches.iter_mut().zip(&lengths) {
        let wrong = vec![f32::NAN; length * width];
        cache.append(&wrong, &wrong);
        cache.truncate(length / 2);
        cache.clear();
    }
    let mut outputs = vec![Vec::new(); made.len()];
    let mut pieces = pieces.iter().cycle();
    while caches.iter().zip(&lengths).any(|(cache, &length)| cache.len() < length) {
        let mut queries = Vec::new();
        let mut counts = Vec::new();
        for ((cache, made), &length) in caches.iter_mut().zip(made).zip(&lengths) {
            let first = cache.len();
            let end = (first + pieces.next().unwrap()).min(length);
            cache.append(
                &made.keys[first * width..end * width],
                &made.values[first * width..end * width],
            );
            queries.extend_from_slice(&made.queries[first * all..end * all]);
            counts.push(end - first);
        }
        let mut to = vec![f32::NAN; queries.len()];
        let sequences: Vec<(&KeyValueCache, usize)> = caches.iter().zip(counts.iter().copied()).collect();
        attention.attend_with(instructions, &queries, &sequences, &mut to);
        let mut rows = &to[..];
        for (outputs, count) in outputs.iter_mut().zip(counts) {
            let (now, later) = rows.split_at(count * all);
            outputs.extend(bits(now));
            rows = later;
        }
    }
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn training_prefill_in_any_pieces_and_decoding_agree(
        attention in attention(), lengths in prop::collection::vec(prop_oneof![6 => 1usize..20, 1 => 250usize..270], 1..4),
        pieces in prop::collection::vec(1usize..100, 1..6), seed: u64,
    ) {
        let attention = Attention { causal: true, ..attention };
        let together = Made::new(&attention, &offsets_of(&lengths), seed);
        let alone: Vec<Made> = (0..lengths.len()).map(|index| together.sequence(index)).collect();
        for instructions in levels() {
            let found_together = together.found(&attention, instructions);
            let each = alone.iter().map(|made| made.found(&attention, instructions));
            let each = each.reduce(|mut all, one| {
                all.iter_mut().zip(one).for_each(|(all, one)| all.extend(one));
                all
            });
            prop_assert!(Some(&found_together) == each.as_ref(), "{instructions}: together and alone");
            let in_pieces = attended(&attention, instructions, &alone, &pieces).concat();
            prop_assert!(found_together[0] == in_pieces, "{instructions}: in pieces");
            let one_by_one = attended(&attention, instructions, &alone, &[1]).concat();
            prop_assert!(found_together[0] == one_by_one, "{instructions}: one by one");
        }
    }

    #[test]
    fn a_window_as_long_as_the_sequence_is_none(attention in attention(), length in 1usize..80, more in 0usize..3, seed: u64) {
        let made = Made::new(&attention, &[0, length], seed);
        let windowed = Attention { window: Some(length + more), ..attention };
        let all = Attention { window: None, ..attention };
        let best = Instructions::best();
        prop_assert!(made.found(&windowed, best) == made.found(&all, best));
    }

    #[test]
    fn what_is_not_seen_does_not_matter(attention in attention(), length in 2usize..100, seed: u64) {
        let attention = Attention { causal: true, ..attention };
        let made = Made::new(&attention, &[0, length], seed);
        let before = (seed % (length as u64 - 1)) as usize + 1;
        let spoiled = |numbers: &[f32]| {
            let mut numbers = numbers.to_vec();
            let width = numbers.len() / length;
            numbers[before * width..].fill(f32::NAN);
            numbers
        };
        let (keys, values) = (spoiled(&made.keys), spoiled(&made.values));
        let changed = Inputs { keys: &keys, values: &values, ..made.inputs() };
        for instructions in levels() {
            let found = found(&attention, instructions, changed, &made.d_outputs);
            let expected = made.found(&attention, instructions);
            let rows = before * attention.heads * attention.head_size;
            prop_assert!(bits(&found[0][..rows]) == expected[0][..rows]);
            prop_assert!(found[0][rows..].iter().all(|output| output.is_nan()));
            // Their own gradients by the queries neither.
            prop_assert!(bits(&found[2][..rows]) == expected[2][..rows]);
        }
    }
}

#[test]
fn one_two_and_three_threads_give_the_same_bits() {
    let attention = Attention {
        window: Some(300),
        soft_cap: Some(3.0),
        ..Attention::new(6, 2, 16)
    };
    let made = Made::new(&attention, &[0, 130, 130, 700], 5);
    let long = [made.sequence(2)];
    let work = || {
        (
            made.found(&attention, Instructions::best()),
            attended(&attention, Instructions::best(), &long, &[500, 1]),
        )
    };
    let with = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(work)
    };
    let one = with(1);
    assert!(
        one.0
            .iter()
            .all(|numbers| numbers.iter().all(|&bits| !f32::from_bits(bits).is_nan()))
    );
    for threads in [2, 3] {
        assert!(with(threads) == one, "{threads} threads");
    }
}
