//! The order of the states in which sweeps and factorisations go fastest.

/// Successors before predecessors, along the likeliest successor of each state: `order[i]` is the i-th state.
///
/// A sweep in place carries a value from a state to all of its predecessors that come later, so one sweep carries
/// it as far as the order agrees with the chain. Following from each state its likeliest successor gives a forest
/// whose roots end the episode or close a cycle. States are sorted by their depth in it: along every branch the
/// successor comes first. Where the policy is deterministic and its episodes end, one sweep is the exact solution;
/// where it is nearly so, a few sweeps do. States of one depth depend on one another but weakly, so that the
/// processor can work on several at once, and they keep the order of their numbers, so that neighbours in the model
/// stay neighbours in memory.
pub(crate) fn flow_order(states: usize, likeliest_successor: impl Fn(usize) -> Option<usize>) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    const ON_PATH: u32 = u32::MAX - 1;
    let mut depth = vec![UNSEEN; states];
    let mut path = Vec::new();
    for start in 0..states {
        let mut state = Some(start);
        while let Some(here) = state.filter(|&here| depth[here] == UNSEEN) {
            depth[here] = ON_PATH;
            path.push(here);
            state = likeliest_successor(here);
        }
        // A path ends at the end of the episode, on itself (a cycle, cut there), or at a state of known depth.
        let known = state.map(|here| depth[here]).filter(|&depth| depth != ON_PATH);
        let first = known.map_or(0, |depth| depth + 1);
        for (depth_of_state, here) in (first..).zip(path.drain(..).rev()) {
            depth[here] = depth_of_state;
        }
    }
    counting_sort(&depth)
}

/// State numbers by ascending key, equal keys in the order of their numbers.
fn counting_sort(keys: &[u32]) -> Vec<u32> {
    let mut places = vec![0_u32; keys.iter().map(|&key| key as usize + 2).max().unwrap_or(0)];
    for &key in keys {
        places[key as usize + 1] += 1;
    }
    for key in 1..places.len() {
        places[key] += places[key - 1];
    }
    let mut sorted = vec![0; keys.len()];
    for (state, &key) in keys.iter().enumerate() {
        sorted[places[key as usize] as usize] = state as u32;
        places[key as usize] += 1;
    }
    sorted
}
