//! Attention from caches.

use super::block::State;
use super::cache::KeyValueCache;
use super::lanes::Vectors;
use super::units::{Goal, Unit, run};
use super::{Attention, rows_of_heads};
use crate::Instructions;

impl Attention {
    /// [`attend`](Self::attend) on a level of instructions.
    pub(super) fn attend_with(
        &self,
        instructions: Instructions,
        queries: &[f32],
        sequences: &[(&KeyValueCache, usize)],
        to: &mut [f32],
    ) {
        self.check();
        let tokens: usize = sequences.iter().map(|(_, rows)| rows).sum();
        assert_eq!(
            queries.len(),
            tokens * self.heads * self.head_size,
            "length of the queries"
        );
        assert_eq!(to.len(), queries.len(), "length of the outputs");
        let mut to = rows_of_heads(to, self.key_value_heads, self.group() * self.head_size);
        let mut units = Vec::new();
        for (head, to) in to.iter_mut().enumerate() {
            let (mut to, mut token) = (&mut to[..], 0);
            for &(cache, rows) in sequences {
                assert!(cache.fits(self), "a cache for other heads or sizes than {self:?}");
                assert!(rows <= cache.len(), "{rows} queries of {} tokens", cache.len());
                let keys = cache.head(head);
                let length = cache.len();
                for position in (length - rows..length).step_by(self.block()) {
                    let positions = position..(position + self.block()).min(length);
                    let spans = self.spans(positions.clone(), length);
                    let queries = self.queries(queries, token, head, positions.clone());
                    token += positions.len();
                    let mut to = to.split_off_mut(..positions.len());
                    // A single block, as in decoding, is shared out over its spans.
                    if rows <= self.block() && spans.len() > 1 {
                        for span in spans.clone() {
                            let to = if span + 1 == spans.end { to.take() } else { None };
                            units.push(Unit {
                                queries,
                                keys,
                                spans: span..span + 1,
                                goal: Goal::Part(State::default(), to),
                            });
                        }
                    } else {
                        units.push(Unit {
                            queries,
                            keys,
                            spans,
                            goal: Goal::Outputs(to.unwrap_or_default(), None),
                        });
                    }
                }
            }
        }
        run(Vectors::new(instructions), self, &mut units);
    }
}
