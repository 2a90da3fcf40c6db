//! The grid that the tests of linear approximation share.

use etude_mdp::{GridRewards, GridWorld, GridWorldSpec};

pub(crate) const DISCOUNT: f64 = 0.9;

/// Figure 8.6: the uniform policy where forbidden cells and the boundary cost as much as the target earns.
pub(crate) fn grid() -> GridWorld {
    GridWorld::new(&GridWorldSpec {
        rows: 5,
        columns: 5,
        forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
        targets: vec![[4, 3]],
        rewards: GridRewards {
            boundary: -1.0,
            forbidden: -1.0,
            target: 1.0,
            step: 0.0,
        },
        ..GridWorldSpec::default()
    })
    .unwrap()
}
