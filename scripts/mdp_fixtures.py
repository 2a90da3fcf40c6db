"""Makes every fixture in crates/mdp/tests/fixtures, and proves each before it is written.

    python scripts/mdp_fixtures.py

* gymnasium/: the model of each toy-text environment, and its solution;
* published/: QuantEcon's and pymdptoolbox's own small problems, their solutions, and the answers
  that their authors published (mdp_published.py);
* npz/: one small model in the variants of NumPy's and SciPy's .npz files, and its solution.

A solution is independent of étude: policy iteration with a sparse direct solve, refined in extended
precision, and checked against a linear program. Its Bellman residual is printed.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import linprog
from scipy.sparse.linalg import spsolve

import mdp_published
from export_gymnasium import compact, model_of, replace, write

FIXTURES = Path(__file__).resolve().parent.parent / "crates/mdp/tests/fixtures"

ENVIRONMENTS = [
    ("frozen-lake-4x4", "FrozenLake-v1", {"map_name": "4x4", "is_slippery": False}),
    ("frozen-lake-4x4-slippery", "FrozenLake-v1", {"map_name": "4x4", "is_slippery": True}),
    ("frozen-lake-8x8", "FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}),
    ("frozen-lake-8x8-slippery", "FrozenLake-v1", {"map_name": "8x8", "is_slippery": True}),
    ("cliff-walking", "CliffWalking-v1", {"is_slippery": False}),
    ("cliff-walking-slippery", "CliffWalking-v1", {"is_slippery": True}),
    ("taxi", "Taxi-v4", {"is_rainy": False}),
    ("taxi-rainy", "Taxi-v4", {"is_rainy": True}),
]

# Two actions are equally good if their values differ by less than TIE, relative to the largest
# value; a difference between TIE and CLEAR would make the answer depend on rounding.
TIE, CLEAR = 1e-10, 1e-7


class Mdp:
    """r = expected rewards and T = transition probabilities, a row for each state-action pair. An
    outcome that terminates has its reward in r but no entry in T: nothing follows it."""

    def __init__(self, model):
        self.states = len(model)
        self.pairs = [(state, action) for state in sorted(model) for action in sorted(model[state])]
        self.pair_state = np.array([state for state, _ in self.pairs])
        self.first = np.searchsorted(self.pair_state, np.arange(self.states))
        self.r = np.zeros(len(self.pairs))
        entries = []
        for row, (state, action) in enumerate(self.pairs):
            for probability, successor, reward, terminated in model[state][action]:
                self.r[row] += probability * reward
                if not terminated:
                    entries.append((probability, row, successor))
        values, rows, columns = zip(*entries)
        shape = (len(self.pairs), self.states)
        self.T = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
        self.choose = sparse.coo_array(
            (np.ones(len(self.pairs)), (self.pair_state, np.arange(len(self.pairs))))
        ).tocsr()

    def action_values(self, v, gamma):
        return self.r + gamma * (self.T @ v)

    def best(self, q):
        return np.maximum.reduceat(q, self.first)

    def evaluate(self, weights, gamma):
        """v = (I - gamma P)^-1 r for the policy with these weights (a row a state, a column a pair),
        by a sparse direct solve and two steps of refinement, their residuals in extended precision."""
        P, r = weights @ self.T, weights @ self.r
        system = (sparse.eye_array(self.states, format="csc") - gamma * P).tocsc()
        exact_P, exact_r = P.toarray().astype(np.longdouble), r.astype(np.longdouble)
        v = spsolve(system, r).astype(np.longdouble)
        for _ in range(2):
            v += spsolve(system, (exact_r + gamma * (exact_P @ v) - v).astype(float))
        return v.astype(float)

    def deterministic(self, rows):
        ones = (np.ones(self.states), (np.arange(self.states), rows))
        return sparse.coo_array(ones, shape=(self.states, len(self.pairs))).tocsr()

    def uniform(self):
        return sparse.diags_array(1 / self.choose.sum(axis=1)).tocsr() @ self.choose

    def policy_iteration(self, gamma):
        """v*, from the first action everywhere; an action is only left for a clearly better one."""
        rows = self.first.copy()
        while True:
            v = self.evaluate(self.deterministic(rows), gamma)
            q = self.action_values(v, gamma)
            improvable = np.flatnonzero(self.best(q) > q[rows] + TIE * scale(v))
            if improvable.size == 0:
                return v
            for state in improvable:
                start, end = self.choose.indptr[state], self.choose.indptr[state + 1]
                rows[state] = start + q[start:end].argmax()

    def linear_program(self, gamma):
        """v*, as the least v with v >= r + gamma T v."""
        constraints = gamma * self.T - self.choose.T
        solved = linprog(
            np.ones(self.states), A_ub=constraints, b_ub=-self.r, bounds=(None, None), method="highs"
        )
        assert solved.success, solved.message
        return solved.x

    def optimal_actions(self, v, gamma):
        q = self.action_values(v, gamma)
        loss = (self.best(q)[self.pair_state] - q) / scale(v)
        assert not ((TIE < loss) & (loss < CLEAR)).any(), "a tie that rounding decides"
        actions = [[] for _ in range(self.states)]
        for (state, action), lost in zip(self.pairs, loss):
            if lost <= TIE:
                actions[state].append(action)
        return actions

    def backward_induction(self, gamma, horizon):
        """The best values with `horizon` decisions to go, and those with one fewer."""
        v = previous = np.zeros(self.states)
        for _ in range(horizon):
            v, previous = self.best(self.action_values(v, gamma)), v
        return v, previous


def scale(v):
    return max(1.0, np.abs(v).max())


def solve(mdp, gamma, name):
    """One solution, proven: the residual, the linear program, and no tie that rounding decides."""
    v = mdp.policy_iteration(gamma)
    uniform = mdp.uniform()
    u = mdp.evaluate(uniform, gamma)
    residual = np.abs(mdp.best(mdp.action_values(v, gamma)) - v).max()
    uniform_residual = np.abs(uniform @ mdp.action_values(u, gamma) - u).max()
    program = np.abs(mdp.linear_program(gamma) - v).max()
    print(
        f"{name:32} gamma {gamma:<5} residual {residual:.1e}, uniform {uniform_residual:.1e},"
        f" from the linear program {program:.1e}"
    )
    assert max(residual, uniform_residual) < 1e-12 and program < 1e-9
    return {
        "gamma": gamma,
        "optimal_values": v.tolist(),
        "optimal_actions": mdp.optimal_actions(v, gamma),
        "uniform_values": u.tolist(),
        "optimal_residual": float(residual),
        "uniform_residual": float(uniform_residual),
    }


def prove(mdp, claim):
    """Stops unless the published claim agrees with what is computed here."""
    gamma, values = claim["gamma"], None
    if claim["kind"] == "optimal_values":
        values = mdp.policy_iteration(gamma)
    elif claim["kind"] == "policy_values":
        rows = mdp.first + np.array(claim["policy"])
        values = mdp.evaluate(mdp.deterministic(rows), gamma)
    elif claim["kind"] == "horizon_values":
        values, _ = mdp.backward_induction(gamma, claim["horizon"])
    elif claim["kind"] == "optimal_policy":
        actions = mdp.optimal_actions(mdp.policy_iteration(gamma), gamma)
    elif claim["kind"] == "horizon_policy":
        _, following = mdp.backward_induction(gamma, claim["horizon"])
        actions = mdp.optimal_actions(following, gamma)
    if values is not None:
        off = np.abs(values - np.array(claim["values"])).max()
        assert off <= claim["error"], f"{claim}: off by {off}"
    else:
        assert all(a in best for a, best in zip(claim["policy"], actions)), f"{claim}: {actions}"


def write_solution(path, source, solutions, **more):
    """A JSON object with one solution, or one claim, a line."""
    lists = {"solutions": solutions, **more}
    fields = [f'"source": {compact(source)}']
    for key, items in lists.items():
        fields.append(f'"{key}": [\n' + ",\n".join(compact(item) for item in items) + "\n]")
    replace(path, "{\n" + ",\n".join(fields) + "\n}\n")


def gymnasium_fixtures(folder):
    for name, environment, kwargs in ENVIRONMENTS:
        model = model_of(environment, **kwargs)
        write(folder / f"{name}.json", model)
        solutions = [solve(Mdp(model), gamma, name) for gamma in (0.9, 0.99)]
        source = f"Gymnasium 1.4.0, {environment} {compact(kwargs)}"
        write_solution(folder / f"{name}.solution.json", source, solutions)


def published_fixtures(folder):
    for name, model, claims in mdp_published.PROBLEMS:
        write(folder / f"{name}.json", model)
        mdp = Mdp(model)
        for claim in claims:
            prove(mdp, claim)
        gammas = sorted({claim["gamma"] for claim in claims if claim["gamma"] < 1} or {0.9})
        solutions = [solve(mdp, gamma, name) for gamma in gammas]
        source = claims[0]["source"].split(",")[0]
        write_solution(folder / f"{name}.solution.json", source, solutions, published=claims)


def npz_fixtures(folder):
    """Six states, two actions, transitions as (states * actions) x states, row s * actions + a."""
    rng = np.random.default_rng(6)
    states, actions = 6, 2
    transitions = sparse.lil_matrix((states * actions, states))
    for row in range(states * actions):
        successors = rng.choice(states, size=1 + row % 3, replace=False)
        weights = rng.integers(1, 5, size=successors.size)
        transitions[row, successors] = weights / weights.sum()
    transitions = transitions.tocsr()
    transitions.sort_indices()
    rewards = rng.integers(-3, 4, size=(states, actions)).astype(float)

    wide = transitions.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    # Every entry in two halves, the second ones in reverse order: what SciPy calls not canonical.
    bounds = zip(transitions.indptr, transitions.indptr[1:])
    twice = np.concatenate([np.r_[start:end, end - 1:start - 1:-1] for start, end in bounds])
    halves = sparse.csr_matrix(
        (transitions.data[twice] / 2, transitions.indices[twice], 2 * transitions.indptr),
        shape=transitions.shape,
    )
    assert np.array_equal(halves.toarray(), transitions.toarray())
    saves = {
        "transitions-int32": (transitions, False),
        "transitions-int32-compressed": (transitions, True),
        "transitions-int64": (wide, False),
        "transitions-int64-compressed": (wide, True),
        "transitions-csr-array": (sparse.csr_array(transitions), True),
        "transitions-duplicates": (halves, False),
        "transitions-coo": (transitions.tocoo(), False),
        "rewards-sparse": (sparse.csr_matrix(rewards), False),
        "rewards-sparse-compressed": (sparse.csr_matrix(rewards), True),
    }
    for name, (matrix, compressed) in saves.items():
        sparse.save_npz(folder / f"{name}.npz", matrix, compressed=compressed)
    np.savez(folder / "rewards-dense.npz", rewards=rewards)
    np.savez_compressed(folder / "rewards-dense-compressed.npz", rewards=rewards)
    np.savez(folder / "rewards-fortran.npz", rewards=np.asfortranarray(rewards))
    np.savez(folder / "rewards-float32.npz", rewards=rewards.astype(np.float32))
    np.savez(folder / "rewards-int64.npz", rewards=rewards.astype(np.int64))

    dense = transitions.toarray()
    model = {
        state: {
            action: [
                [dense[state * actions + action, to], int(to), rewards[state, action], False]
                for to in np.flatnonzero(dense[state * actions + action])
            ]
            for action in range(actions)
        }
        for state in range(states)
    }
    write(folder / "model.json", model)
    solutions = [solve(Mdp(model), gamma, "npz") for gamma in (0.9, 0.99)]
    write_solution(folder / "solution.json", "scripts/mdp_fixtures.py, seed 6", solutions)


def main():
    for name, make in [
        ("gymnasium", gymnasium_fixtures),
        ("published", published_fixtures),
        ("npz", npz_fixtures),
    ]:
        folder = FIXTURES / name
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
