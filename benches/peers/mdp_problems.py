"""Finite MDPs of any size, for the side-by-side measurements in mdp.py.

A problem is a pair (transitions, rewards):

* transitions: a SciPy CSR matrix of shape (states * actions, states) whose row `s * actions + a`
  holds p(. | s, a);
* rewards: an array of shape (states, actions) that holds the expected reward r(s, a).

Every generator is a pure function of its size, so two runs solve the same problem.
"""

import numpy as np
import scipy.sparse as sparse

SEED = 20


def grid(side):
    """A slippery grid world of side x side cells, after the 5x5 example of the book.

    Actions are up, right, down, left, stay. A move goes where it was meant to with probability 0.8
    and to each side with probability 0.1; staying is certain. Leaving the grid bounces back into
    the same cell at a reward of -1; entering one of the forbidden cells (a fifth of all, drawn at
    random) gives -10, and entering the target +1. The target is not absorbing.
    """
    states, actions = side * side, 5
    target = (3 * side // 5) * side + 2 * side // 5
    rng = np.random.default_rng(SEED)
    cells = np.delete(np.arange(states), target)
    entering = np.zeros(states)
    entering[rng.choice(cells, size=states // 5, replace=False)] = -10.0
    entering[target] = 1.0

    state = np.arange(states)
    row, column = np.divmod(state, side)
    arrive, reward = [], []  # by direction
    for down, right in [(-1, 0), (0, 1), (1, 0), (0, -1), (0, 0)]:
        to_row, to_column = row + down, column + right
        inside = (0 <= to_row) & (to_row < side) & (0 <= to_column) & (to_column < side)
        arrive.append(np.where(inside, to_row * side + to_column, state))
        reward.append(np.where(inside, entering[arrive[-1]], -1.0))

    rows, columns, values = [], [], []
    rewards = np.zeros((states, actions))
    for action in range(actions):
        if action == 4:
            slips = [(4, 1.0)]
        else:
            slips = [(action, 0.8), ((action + 1) % 4, 0.1), ((action + 3) % 4, 0.1)]
        for direction, probability in slips:
            rows.append(state * actions + action)
            columns.append(arrive[direction])
            values.append(np.full(states, probability))
            rewards[:, action] += probability * reward[direction]
    return csr(rows, columns, values, states, actions), rewards


def garnet(states, actions=5, branching=3):
    """A random MDP: each action leads to `branching` distinct states, chosen at random, with
    probabilities that cut the unit interval at random; rewards are uniform on [0, 1]."""
    rng = np.random.default_rng(SEED)
    pairs = states * actions
    successors = rng.integers(states, size=(pairs, branching))
    while True:
        ordered = np.sort(successors, axis=1)
        clashes = np.flatnonzero((np.diff(ordered, axis=1) == 0).any(axis=1))
        if clashes.size == 0:
            break
        successors[clashes] = rng.integers(states, size=(clashes.size, branching))
    cuts = np.sort(rng.random((pairs, branching - 1)), axis=1)
    probabilities = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    rows = np.repeat(np.arange(pairs), branching)
    transitions = csr([rows], [successors.ravel()], [probabilities.ravel()], states, actions)
    return transitions, rng.random((states, actions))


def forest(states, old=4.0, cut=2.0, fire=0.1):
    """pymdptoolbox's forest management with `states` ages: wait (a fire burns the forest down to
    age 0 with probability `fire`, else it grows older) or cut (it starts again at age 0)."""
    age = np.arange(states)
    rows = [age * 2, age * 2, age * 2 + 1]
    columns = [np.zeros_like(age), np.minimum(age + 1, states - 1), np.zeros_like(age)]
    values = [np.full(states, fire), np.full(states, 1 - fire), np.ones(states)]
    rewards = np.zeros((states, 2))
    rewards[-1, 0] = old
    rewards[1:, 1] = 1.0
    rewards[-1, 1] = cut
    return csr(rows, columns, values, states, 2), rewards


def csr(rows, columns, values, states, actions):
    """One CSR matrix from lists of coordinate arrays; entries with the same place are added."""
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.coo_matrix(entries, shape=(states * actions, states)).tocsr()
    matrix.sort_indices()
    return matrix


FAMILIES = {
    "grid": (grid, [5, 10, 32, 100, 316, 1000], lambda side: side * side),
    "garnet": (garnet, [25, 100, 1_000, 10_000, 100_000, 1_000_000], lambda states: states),
    "forest": (forest, [10_000, 100_000, 1_000_000], lambda states: states),
}


def write(folder, family, size):
    """Writes the pair as `family-size-transitions.npz` and `family-size-rewards.npz`; returns the
    two paths, the number of states and the number of nonzeros."""
    generate, _, _ = FAMILIES[family]
    transitions, rewards = generate(size)
    transitions_path = folder / f"{family}-{size}-transitions.npz"
    rewards_path = folder / f"{family}-{size}-rewards.npz"
    sparse.save_npz(transitions_path, transitions, compressed=False)
    np.savez(rewards_path, rewards=rewards)
    return transitions_path, rewards_path, transitions.shape[1], transitions.nnz
