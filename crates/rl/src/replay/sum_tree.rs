//! Drawing in proportion to numbers that change.

use serde::{Deserialize, Serialize};

/// Leaves whose sum is one node: fewer levels, and fewer waits for memory.
const BLOCK: usize = 8;

/// Prefixes that are looked for side by side.
pub(super) const LANES: usize = 16;

/// Positive numbers, and above them a binary tree of sums: a number is set, and one is found by a prefix of the sum, in
/// logarithmic time (Schaul et al. 2016, appendix B.2.1).
///
/// The numbers have 32 bits and their sums 64: the sum of a million numbers, rounded to 32 bits, may be off by a large part
/// of one of them, and then some are drawn too often and others never; in 64 bits it is off by a billionth. A sum
/// is always that of its two children and never changed by a difference, so errors do not add up, and the sums are a function of
/// the numbers alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SumTree {
    count: usize,
    /// The numbers, and zeros after the last.
    leaves: Vec<[f32; BLOCK]>,
    /// Node 1 is the root, the children of node i are 2 i and 2 i + 1, and the second half are the sums of the blocks of leaves.
    #[serde(skip)]
    sums: Vec<f64>,
}

impl SumTree {
    pub(super) fn new(capacity: usize) -> Self {
        let blocks = capacity.div_ceil(BLOCK);
        Self {
            count: 0,
            leaves: Vec::with_capacity(blocks),
            sums: vec![0.0; 2 * blocks.next_power_of_two()],
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn total(&self) -> f64 {
        self.sums[1]
    }

    pub(super) fn get(&self, index: u32) -> f32 {
        self.leaves[index as usize / BLOCK][index as usize % BLOCK]
    }

    /// Sets the next number.
    pub(super) fn push(&mut self, value: f32) {
        let index = self.count;
        self.count += 1;
        if index.is_multiple_of(BLOCK) {
            self.leaves.push([0.0; BLOCK]);
        }
        self.set(&[index as u32], [value].into_iter());
    }

    /// Sets numbers, the last value where an index comes twice. Zero and infinity become the nearest number between them.
    pub(super) fn set(&mut self, indices: &[u32], values: impl Iterator<Item = f32>) {
        for (&index, value) in indices.iter().zip(values) {
            self.leaves[index as usize / BLOCK][index as usize % BLOCK] = value.clamp(f32::MIN_POSITIVE, f32::MAX);
        }
        // Level by level: the sums of one level do not wait for each other.
        for &index in indices {
            self.sum_block(index as usize / BLOCK);
        }
        let blocks = self.sums.len() / 2;
        for level in 1..=blocks.ilog2() {
            for &index in indices {
                self.sum_children((blocks + index as usize / BLOCK) >> level);
            }
        }
    }

    fn sum_block(&mut self, block: usize) {
        let node = self.sums.len() / 2 + block;
        self.sums[node] = self.leaves[block].iter().map(|&leaf| f64::from(leaf)).sum();
    }

    fn sum_children(&mut self, node: usize) {
        self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
    }

    /// For each target, from 0 to below the total, the first number with which the sum of the numbers up to it exceeds the target.
    pub(super) fn find(&self, mut targets: [f64; LANES]) -> [u32; LANES] {
        // All go down in step, in loops that become vector instructions without a branch: a branch would go either way, and a
        // processor that guesses wrong cannot fetch for one target while another waits for memory.
        let blocks = self.sums.len() / 2;
        let mut nodes = [1; LANES];
        for _ in 0..blocks.ilog2() {
            let left = nodes.map(|node: usize| self.sums[2 * node]);
            for lane in 0..LANES {
                let right = targets[lane] >= left[lane];
                targets[lane] -= if right { left[lane] } else { 0.0 };
                nodes[lane] = 2 * nodes[lane] + usize::from(right);
            }
        }
        // Rounding may lead past the last number, here and in the end.
        let blocks = nodes.map(|node| node - blocks);
        let leaves = blocks.map(|block| &self.leaves[block.min(self.leaves.len() - 1)]);
        let (mut sums, mut passed) = ([0.0; LANES], [0_u64; LANES]);
        for place in 0..BLOCK {
            let numbers = leaves.map(|leaves| f64::from(leaves[place]));
            for lane in 0..LANES {
                sums[lane] += numbers[lane];
                passed[lane] += u64::from(sums[lane] <= targets[lane]);
            }
        }
        std::array::from_fn(|lane| (blocks[lane] * BLOCK + passed[lane] as usize).min(self.count - 1) as u32)
    }

    /// Computes the sums, and says whether what was read is such a tree of `count` numbers.
    pub(super) fn restore(&mut self, capacity: usize, count: usize) -> bool {
        let (numbers, rest) = self
            .leaves
            .as_flattened()
            .split_at(count.min(self.leaves.len() * BLOCK));
        let whole = self.count == count
            && self.leaves.len() == count.div_ceil(BLOCK)
            && numbers.iter().all(|number| *number > 0.0 && number.is_finite())
            && rest.iter().all(|number| *number == 0.0);
        if whole {
            let leaves = std::mem::replace(self, Self::new(capacity)).leaves;
            self.count = count;
            self.leaves.extend(leaves);
            (0..self.leaves.len()).for_each(|block| self.sum_block(block));
            (1..self.sums.len() / 2).rev().for_each(|node| self.sum_children(node));
        }
        whole
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers of this size are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first number with which the sum of the numbers up to it exceeds `target`.
    fn naive_find(numbers: &[f32], target: f64) -> usize {
        let mut sum = 0.0;
        let exceeds = |&number: &f32| {
            sum += f64::from(number);
            sum > target
        };
        numbers.iter().position(exceeds).unwrap_or(numbers.len() - 1)
    }

    fn tree(numbers: &[f32], room: usize) -> SumTree {
        let mut tree = SumTree::new(numbers.len() + room);
        for &number in numbers {
            tree.push(number);
        }
        tree
    }

    /// Whole numbers, whose sums are exact, and their tree after some were set again.
    fn trees() -> impl Strategy<Value = (Vec<f32>, SumTree)> {
        let number = || (1..1000_u16).prop_map(f32::from);
        let numbers = prop::collection::vec(number(), 1..200);
        let changes = prop::collection::vec((any::<prop::sample::Index>(), number()), 0..50);
        (numbers, changes, 0..100_usize).prop_map(|(mut numbers, changes, room)| {
            let mut tree = tree(&numbers, room);
            let place = |index: &prop::sample::Index| index.index(numbers.len()) as u32;
            let indices: Vec<u32> = changes.iter().map(|(index, _)| place(index)).collect();
            tree.set(&indices, changes.iter().map(|change| change.1));
            for (&index, (_, number)) in indices.iter().zip(changes) {
                numbers[index as usize] = number;
            }
            (numbers, tree)
        })
    }

    proptest! {
        #[test]
        fn prefixes_find_what_a_scan_finds((numbers, tree) in trees(), fractions in prop::array::uniform16(0.0..1.0_f64)) {
            let total: f32 = numbers.iter().sum();
            prop_assert_eq!(tree.total(), f64::from(total));
            let targets = fractions.map(|fraction| fraction * tree.total());
            prop_assert_eq!(tree.find(targets), targets.map(|target| naive_find(&numbers, target) as u32));
            // On every edge between two numbers, and just below.
            let mut edge = 0.0;
            for (index, &number) in numbers.iter().enumerate() {
                prop_assert_eq!(tree.get(index as u32), number);
                let next = edge + f64::from(number);
                prop_assert_eq!(tree.find([edge; LANES]), [index as u32; LANES]);
                prop_assert_eq!(tree.find([next.next_down(); LANES]), [index as u32; LANES]);
                edge = next;
            }
        }

        #[test]
        fn nothing_is_found_past_the_last(numbers in prop::collection::vec(1e-3..1e3_f32, 1..100), room in 0..100_usize) {
            let tree = tree(&numbers, room);
            for target in [tree.total().next_down(), tree.total(), tree.total().next_up(), 2.0 * tree.total()] {
                prop_assert_eq!(tree.find([target; LANES]), [numbers.len() as u32 - 1; LANES]);
            }
        }
    }

    #[test]
    fn errors_do_not_add_up() {
        // Numbers of all sizes come and go, a million in all: what is left is what the last ones add up to.
        let (count, mut state) = (1000, 1_u32);
        let mut tree = tree(&vec![1.0; count], 0);
        let indices: Vec<u32> = (0..count as u32).collect();
        for _ in 0..1000 {
            let sizes = indices.iter().map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                10_f32.powf((state >> 8) as f32 / (1 << 20) as f32 - 8.0)
            });
            tree.set(&indices, sizes);
        }
        assert!(tree.total() > 1e8, "{}", tree.total());
        tree.set(&indices, indices.iter().map(|_| 1e-8));
        assert!((tree.total() / (count as f64 * f64::from(1e-8_f32)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_million_equal_numbers_each_at_its_place() {
        let tree = tree(&vec![0.1; 1_000_000], 0);
        for first in (0..1_000_000).step_by(LANES) {
            let indices: [u32; LANES] = std::array::from_fn(|lane| first + lane as u32);
            let targets = indices.map(|index| (f64::from(index) + 0.5) * f64::from(0.1_f32));
            assert_eq!(tree.find(targets), indices);
        }
    }

    #[test]
    fn numbers_stay_positive_and_finite() {
        let tree = tree(&[0.0, f32::INFINITY], 0);
        assert_eq!((tree.get(0), tree.get(1)), (f32::MIN_POSITIVE, f32::MAX));
    }
}
