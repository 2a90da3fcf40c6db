"""One peer on one problem, in a process of its own: mdp.py starts it, limits its time and memory,
and reads the answer that it writes.

    python mdp_solvers.py SOLVER TRANSITIONS REWARDS GAMMA TOLERANCE MEMORY_GB OUT.npz

Only the call that solves is timed: imports, reading, building the peer's own model and numba's
compilation come before the clock starts. It is repeated for a second and the best time counts. README.md says how each peer is asked for the same guaranteed error.
"""

import os
import resource
import sys
import time

import numpy as np
import scipy.sparse as sparse

# No peer stops for its default cap on iterations (QuantEcon's is 250): only its own rule ends it.
UNLIMITED = 10**9

# Solves are repeated for so long.
REPEAT_SECONDS = 1.0


def quantecon(method):
    """A QuantEcon `DiscreteDP` on sparse state-action pairs, solved by `method`.

    Value iteration and modified policy iteration return v within epsilon / 2 of v*.
    """
    from quantecon.markov import DiscreteDP

    def build(transitions, rewards, gamma):
        states, actions = rewards.shape
        state, action = np.divmod(np.arange(states * actions), actions)
        return DiscreteDP(rewards.ravel(), transitions, gamma, state, action)

    def solve(model, tolerance):
        result = model.solve(method=method, epsilon=2 * tolerance, max_iter=UNLIMITED)
        return result.v, result.num_iter

    tiny = build(sparse.csr_matrix(np.ones((2, 1))), np.array([[0.0, 1.0]]), 0.5)
    solve(tiny, 1e-3)  # compiles numba's functions

    def prepare(transitions, rewards, gamma, tolerance):
        model = build(transitions, rewards, gamma)
        return lambda: solve(model, tolerance)

    return prepare


def pymdptoolbox(name):
    """pymdptoolbox's class `name` on one sparse matrix for each action.

    Its span rule bounds the policy's loss, not the error of V, which may be off by a constant; one
    more Bellman update and the midpoint of MacQueen's bounds turn it into epsilon / 2, and that
    update is timed too. Policy iteration has no epsilon: its evaluation is a direct solve.
    """
    from mdptoolbox import mdp, util

    # It checks its input by way of a dense states x states array; ours is known to be sound.
    util.check = lambda transitions, rewards: None

    class ValueIteration(mdp.ValueIteration):
        def _boundIter(self, epsilon):
            # The original only computes a cap on the iterations, by cutting a column out of every
            # matrix for every state: hours at a million states, before the first iteration.
            self.max_iter = UNLIMITED

    classes = {
        "ValueIteration": ValueIteration,
        "PolicyIteration": mdp.PolicyIteration,
        "PolicyIterationModified": mdp.PolicyIterationModified,
    }

    def prepare(transitions, rewards, gamma, tolerance):
        actions = rewards.shape[1]
        matrices = [transitions[action::actions] for action in range(actions)]
        exact = name == "PolicyIteration"
        epsilon = {} if exact else {"epsilon": 2 * tolerance}
        model = classes[name](matrices, rewards, gamma, **epsilon)

        def solve():
            model.run()
            values = np.array(model.V)
            if not exact:
                _, updated = model._bellmanOperator(values)
                change = updated - values
                midpoint = (change.min() + change.max()) / 2
                values = updated + gamma / (1 - gamma) * midpoint
            return values, model.iter

        return solve

    return prepare


SOLVERS = {
    "QuantEcon VI": (quantecon, "value_iteration"),
    "QuantEcon PI": (quantecon, "policy_iteration"),
    "QuantEcon MPI": (quantecon, "modified_policy_iteration"),
    "pymdptoolbox VI": (pymdptoolbox, "ValueIteration"),
    "pymdptoolbox PI": (pymdptoolbox, "PolicyIteration"),
    "pymdptoolbox MPI": (pymdptoolbox, "PolicyIterationModified"),
}


def load(transitions_path, rewards_path):
    """The pair that mdp_problems.write wrote."""
    return sparse.load_npz(transitions_path), np.load(rewards_path)["rewards"]


def main(solver, transitions_path, rewards_path, gamma, tolerance, memory_gb, out):
    limit = int(float(memory_gb) * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    transitions, rewards = load(transitions_path, rewards_path)
    peer, method = SOLVERS[solver]
    prepare = peer(method)
    best, spent = float("inf"), 0.0
    while spent < REPEAT_SECONDS:
        solve = prepare(transitions, rewards, float(gamma), float(tolerance))
        start = time.perf_counter()
        values, iterations = solve()
        seconds = time.perf_counter() - start
        best, spent = min(best, seconds), spent + seconds
    partial = out + ".partial.npz"
    np.savez(partial, values=values, iterations=iterations, seconds=best)
    os.replace(partial, out)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MemoryError:
        sys.exit("out of memory")
