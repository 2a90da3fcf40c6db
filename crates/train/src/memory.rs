//! The scalars of a run kept in memory, for reports and tests.

use std::collections::HashMap;

use crate::Observer;

/// Keeps every scalar: 16 bytes a point.
#[derive(Debug, Clone, Default)]
pub struct MemoryObserver {
    series: Vec<(String, Vec<(u64, f64)>)>,
    /// Where each name stands in `series`.
    places: HashMap<String, usize>,
}

impl MemoryObserver {
    /// The `(step, value)` points reported under `name`, in the order of their arrival; `None` if there were none.
    pub fn series(&self, name: &str) -> Option<&[(u64, f64)]> {
        let (_, points) = self.series.get(*self.places.get(name)?)?;
        Some(points)
    }

    /// Every name and its points, in the order in which the names first appeared.
    pub fn all_series(&self) -> impl Iterator<Item = (&str, &[(u64, f64)])> {
        self.series
            .iter()
            .map(|(name, points)| (name.as_str(), points.as_slice()))
    }
}

impl Observer for MemoryObserver {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        if let Some(&place) = self.places.get(name) {
            self.series[place].1.push((step, value));
        } else {
            self.places.insert(name.to_owned(), self.series.len());
            self.series.push((name.to_owned(), vec![(step, value)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_the_order_of_their_first_appearance() {
        let mut memory = MemoryObserver::default();
        memory.scalar("zeta", 0, 1.0);
        memory.scalar("alpha", 0, 2.0);
        memory.scalar("zeta", 1, 3.0);

        let all: Vec<_> = memory.all_series().collect();
        let expected: [(&str, &[(u64, f64)]); 2] = [("zeta", &[(0, 1.0), (1, 3.0)]), ("alpha", &[(0, 2.0)])];
        assert_eq!(all, expected);
        assert_eq!(memory.series("alpha"), Some(&[(0, 2.0)][..]));
        assert_eq!(memory.series("beta"), None);
    }
}
