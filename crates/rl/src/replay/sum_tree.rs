//! Drawing in proportion to numbers that change.

use serde::{Deserialize, Serialize};

/// Leaves whose sum is taken at a time: as many as a cache line holds.
const BLOCK: usize = 16;

/// Positive numbers, and above them a binary tree of sums: a number is set, and one is found by a prefix of the sum, in
/// logarithmic time (Schaul et al. 2016, appendix B.2.1).
///
/// The numbers have 32 bits and their sums 64. A prefix of the sum of a million numbers, and any rounding of it, in 32 bits could
/// be off by as much as a whole number; in 64 bits it is off by a billionth of one. Every sum is always that of its two children
/// and never changed by a difference, so errors do not add up, and the sums are a function of the numbers alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SumTree {
    leaves: Vec<f32>,
    /// Node 1 is the root, the children of node i are 2 i and 2 i + 1, and the last half are the sums of blocks of leaves.
    #[serde(skip)]
    sums: Vec<f64>,
}

impl SumTree {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            leaves: Vec::with_capacity(capacity),
            sums: vec![0.0; 2 * capacity.div_ceil(BLOCK).next_power_of_two()],
        }
    }

    pub(super) fn total(&self) -> f64 {
        self.sums[1]
    }

    pub(super) fn get(&self, index: usize) -> f32 {
        self.leaves[index]
    }

    /// Sets a number, or adds the next one. Whatever leaves the range of positive numbers of 32 bits becomes its nearest.
    pub(super) fn set(&mut self, index: usize, value: f64) {
        let value = (value as f32).clamp(f32::MIN_POSITIVE, f32::MAX);
        if index == self.leaves.len() {
            self.leaves.push(value);
        } else {
            self.leaves[index] = value;
        }
        let mut node = self.sum_block(index / BLOCK);
        while node > 1 {
            node /= 2;
            self.sum_children(node);
        }
    }

    /// Sums the leaves of a block up, and says at which node.
    fn sum_block(&mut self, block: usize) -> usize {
        let node = self.sums.len() / 2 + block;
        let leaves = self.leaves[block * BLOCK..].iter().take(BLOCK);
        self.sums[node] = leaves.map(|&leaf| f64::from(leaf)).sum();
        node
    }

    fn sum_children(&mut self, node: usize) {
        self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
    }

    /// For each target, from 0 to below the total, finds the first number with which the sum of the numbers up to it exceeds the
    /// target. The targets serve as scratch.
    pub(super) fn find(&self, targets: &mut [f64], indices: &mut [u32]) {
        // All go down side by side and nothing branches, so that while one waits for memory the others go on.
        let blocks = self.sums.len() / 2;
        indices.fill(1);
        for _ in 0..blocks.ilog2() {
            for (node, target) in indices.iter_mut().zip(&mut *targets) {
                let left = self.sums[2 * *node as usize];
                let right = *target >= left;
                *target -= if right { left } else { 0.0 };
                *node = 2 * *node + u32::from(right);
            }
        }
        for (index, &mut target) in indices.iter_mut().zip(targets) {
            // Rounding may lead past the last number.
            let last = self.leaves.len() - 1;
            let first = ((*index as usize - blocks) * BLOCK).min(last);
            let mut sum = 0.0;
            let passed = self.leaves[first..].iter().take(BLOCK).map(|&leaf| {
                sum += f64::from(leaf);
                usize::from(sum <= target)
            });
            *index = (first + passed.sum::<usize>()).min(last) as u32;
        }
    }

    /// Computes the sums, and says whether what was read is such a tree of `count` numbers.
    pub(super) fn restore(&mut self, capacity: usize, count: usize) -> bool {
        if self.leaves.len() != count || !self.leaves.iter().all(|leaf| *leaf > 0.0 && leaf.is_finite()) {
            return false;
        }
        self.leaves.reserve_exact(capacity - count);
        self.sums = vec![0.0; 2 * capacity.div_ceil(BLOCK).next_power_of_two()];
        for block in 0..count.div_ceil(BLOCK) {
            self.sum_block(block);
        }
        for node in (1..self.sums.len() / 2).rev() {
            self.sum_children(node);
        }
        true
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers of this size are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first number with which the sum of the numbers up to it exceeds `target`.
    fn naive_find(leaves: &[f32], target: f64) -> usize {
        let mut sum = 0.0;
        let exceeds = |&leaf: &f32| {
            sum += f64::from(leaf);
            sum > target
        };
        leaves.iter().position(exceeds).unwrap_or(leaves.len() - 1)
    }

    fn find(tree: &SumTree, targets: &[f64]) -> Vec<u32> {
        let mut indices = vec![0; targets.len()];
        tree.find(&mut targets.to_vec(), &mut indices);
        indices
    }

    /// A tree of whole numbers, whose sums are exact, after some were set again.
    fn trees() -> impl Strategy<Value = (Vec<f32>, SumTree)> {
        let numbers = prop::collection::vec(1..1000_u16, 1..200);
        let changes = prop::collection::vec((any::<prop::sample::Index>(), 1..1000_u16), 0..50);
        (numbers, changes, 0..100_usize).prop_map(|(numbers, changes, room)| {
            let mut tree = SumTree::new(numbers.len() + room);
            for (index, &number) in numbers.iter().enumerate() {
                tree.set(index, f64::from(number));
            }
            let mut leaves: Vec<f32> = numbers.into_iter().map(f32::from).collect();
            for (index, number) in changes {
                let index = index.index(leaves.len());
                leaves[index] = f32::from(number);
                tree.set(index, f64::from(number));
            }
            (leaves, tree)
        })
    }

    proptest! {
        #[test]
        fn prefixes_find_what_a_scan_finds((leaves, tree) in trees(), fractions in prop::collection::vec(0.0..1.0_f64, 1..70)) {
            let total: f32 = leaves.iter().sum();
            prop_assert_eq!(tree.total(), f64::from(total));
            let targets: Vec<f64> = fractions.iter().map(|fraction| fraction * tree.total()).collect();
            for (index, &target) in find(&tree, &targets).iter().zip(&targets) {
                prop_assert_eq!(*index as usize, naive_find(&leaves, target));
            }
            // On every edge between two numbers, and just below.
            let mut edge = 0.0;
            for (index, &leaf) in leaves.iter().enumerate() {
                let below = (edge + f64::from(leaf)).next_down();
                prop_assert_eq!(find(&tree, &[edge, below]), [index as u32; 2]);
                edge += f64::from(leaf);
            }
        }

        #[test]
        fn nothing_is_found_past_the_last(values in prop::collection::vec(1e-3..1e3_f64, 1..100), room in 0..100_usize) {
            let mut tree = SumTree::new(values.len() + room);
            for (index, &value) in values.iter().enumerate() {
                tree.set(index, value);
            }
            let total = tree.total();
            for index in find(&tree, &[total.next_down(), total, total.next_up(), 2.0 * total]) {
                prop_assert_eq!(index as usize, values.len() - 1);
            }
        }
    }

    #[test]
    fn errors_do_not_add_up() {
        // Numbers of all sizes come and go a million times: what is left is what the last ones add up to.
        let (count, mut state) = (1000, 1_u32);
        let mut tree = SumTree::new(count);
        for change in 0..1_000_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let size = f64::from(state >> 8) / f64::from(1 << 24);
            tree.set(change % count, 10_f64.powf(16.0 * size - 8.0));
        }
        for index in 0..count {
            tree.set(index, 1e-8);
        }
        assert!((tree.total() / (count as f64 * f64::from(1e-8_f32)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_million_equal_numbers_each_at_its_place() {
        let count = 1_000_000;
        let mut tree = SumTree::new(count);
        for index in 0..count {
            tree.set(index, 0.1);
        }
        let targets: Vec<f64> = (0..count)
            .map(|index| (index as f64 + 0.5) * f64::from(0.1_f32))
            .collect();
        assert!(find(&tree, &targets).into_iter().eq(0..count as u32));
    }

    #[test]
    fn numbers_stay_positive_and_finite() {
        let mut tree = SumTree::new(2);
        tree.set(0, 1e-300);
        tree.set(1, 1e300);
        assert_eq!((tree.get(0), tree.get(1)), (f32::MIN_POSITIVE, f32::MAX));
    }
}
