"""Makes crates/rl/tests/fixtures/continuous_control.json: the mechanisms of crates/rl/src/continuous_control, solved apart.

    python scripts/rl_task_fixtures.py

SymPy derives the equations of motion from kinetic and potential energy by Lagrange's equations, and SciPy's solve_ivp
(DOP853, relative tolerance 1e-12) follows them for one step of 0.02 seconds. By environment, `cases` has states, actions,
the time derivative of the state at the start, the state after the step, and the reward; `chain` of an environment is a
longer motion: states after every fifth step with the same action.
"""

import json
from pathlib import Path

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

FILE = Path(__file__).parent.parent / "crates/rl/tests/fixtures/continuous_control.json"
SEED = 4
CASES = 12
STEPS = 20
TIME_STEP = 0.02
GRAVITY = 9.81
TIME = sp.Symbol("t")


def accelerations(coordinates, kinetic, potential, forces):
    """The second derivatives as a function of positions, velocities and forces."""
    velocities = [q.diff(TIME) for q in coordinates]
    lagrangian = kinetic - potential
    equations = [
        lagrangian.diff(v).diff(TIME) - lagrangian.diff(q) - f for q, v, f in zip(coordinates, velocities, forces)
    ]
    names = lambda letter: sp.symbols([f"{letter}{i}" for i in range(len(coordinates))])
    q, v, a = names("q"), names("v"), names("a")
    plain = lambda e: e.subs(dict(zip([x.diff(TIME) for x in velocities], a))).subs(dict(zip(velocities, v))).subs(
        dict(zip(coordinates, q))
    )
    equations = [plain(e) for e in equations]
    matrix = sp.Matrix(equations).jacobian(a)
    rest = sp.Matrix([e.subs({x: 0 for x in a}) for e in equations])
    compiled = sp.lambdify([q, v, forces], [matrix, rest], "numpy", cse=True)

    def function(positions, velocities, values):
        m, r = compiled(positions, velocities, values)
        return np.linalg.solve(np.array(m, dtype=float), -np.array(r, dtype=float).ravel())

    return function


def rods_energies(bases, angles, masses, lengths, gravity):
    """Kinetic and potential energy of rods that hang on `bases` with angles clockwise from upright."""
    kinetic, potential = 0, 0
    for (x, y), angle, m, l in zip(bases, angles, masses, lengths):
        cx, cy = x + l / 2 * sp.sin(angle), y + l / 2 * sp.cos(angle)
        kinetic += m * (cx.diff(TIME) ** 2 + cy.diff(TIME) ** 2) / 2 + m * l**2 / 12 * angle.diff(TIME) ** 2 / 2
        potential += m * gravity * cy
    return kinetic, potential


def cart_poles(masses, lengths, serial):
    count = len(masses)
    x = sp.Function("x")(TIME)
    angles = [sp.Function(f"theta{i}")(TIME) for i in range(count)]
    base, bases = (x, sp.Integer(0)), []
    for angle, l in zip(angles, lengths):
        bases.append(base)
        if serial:
            base = (base[0] + l * sp.sin(angle), base[1] + l * sp.cos(angle))
    kinetic, potential = rods_energies(bases, angles, masses, lengths, GRAVITY)
    kinetic += sp.Rational(1, 2) * 1.0 * x.diff(TIME) ** 2
    forces = sp.symbols([f"f{i}" for i in range(count + 1)])
    function = accelerations([x, *angles], kinetic, potential, forces)

    def rate(state, action):
        q, v = state[: count + 1], state[count + 1 :]
        return np.concatenate([v, function(q, v, [10.0 * action[0] - 1.0 * v[0]] + [0.0] * count)])

    def reward(state, action):
        q, v = state[: count + 1], state[count + 1 :]
        calm = np.mean(1 / (1 + (v[1:] / 5) ** 2))
        return np.prod((1 + np.cos(q[1:])) / 2) / (1 + q[0] ** 2) * calm * (1 - 0.1 * action[0] ** 2)

    return rate, reward, lambda random: random.uniform(-1, 1, 2 * count + 2) * [2, *[4] * count, *[3] * (count + 1)], 1


def reacher(count):
    angles = [sp.Function(f"theta{i}")(TIME) for i in range(count)]
    base, bases = (sp.Integer(0), sp.Integer(0)), []
    # Measured from the x axis, anticlockwise: the same as clockwise from upright with x and y exchanged.
    for angle in angles:
        bases.append(base)
        base = (base[0] + sp.sin(angle) / 2, base[1] + sp.cos(angle) / 2)
    kinetic, potential = rods_energies(bases, angles, [0.5] * count, [0.5] * count, 0)
    forces = sp.symbols([f"f{i}" for i in range(count)])
    function = accelerations(angles, kinetic, sp.Integer(0), forces)
    gears = np.array([0.25 * (count - joint) ** 2 for joint in range(count)])
    # The velocity of a joint is a difference of those of its links; its torque does work on that difference.
    differences = np.eye(count) - np.eye(count, k=-1)

    def rate(state, action):
        q, v = state[:count], state[count : 2 * count]
        torques = gears * (np.array(action) - differences @ v / 5.0)
        return np.concatenate([v, function(q, v, differences.T @ torques), [0.0, 0.0]])

    def reward(state, action):
        tip = np.array([np.cos(state[:count]).sum(), np.sin(state[:count]).sum()]) / 2
        distance = np.linalg.norm(state[2 * count :] - tip)
        return (1 - 0.1 * np.mean(np.square(action))) / (1 + (distance / 0.1) ** 2)

    return rate, reward, lambda random: random.uniform(-1, 1, 2 * count + 2) * [*[4] * count, *[3] * count, 1, 1], count


def cart():
    x = sp.Function("x")(TIME)
    [force] = sp.symbols(["f0"])
    function = accelerations([x], x.diff(TIME) ** 2 / 2, sp.Integer(0), [force])
    rate = lambda state, action: np.array([state[1], *function(state[:1], state[1:], [5 * action[0] - state[1]])])
    reward = lambda state, action: (1 - 0.1 * action[0] ** 2) / (1 + (state[0] / 0.2) ** 2)
    return rate, reward, lambda random: random.uniform(-1, 1, 2) * [1, 3], 1


def pendulum():
    angle = sp.Function("theta")(TIME)
    kinetic, potential = rods_energies([(sp.Integer(0), sp.Integer(0))], [angle], [1.0], [1.0], GRAVITY)
    [torque] = sp.symbols(["f0"])
    function = accelerations([angle], kinetic, potential, [torque])
    rate = lambda state, action: np.array([state[1], *function(state[:1], state[1:], [1.5 * action[0]])])

    def reward(state, action):
        return (1 + np.cos(state[0])) / 2 / (1 + (state[1] / 5) ** 2) * (1 - 0.1 * action[0] ** 2)

    return rate, reward, lambda random: random.uniform(-1, 1, 2) * [4, 6], 1


TASKS = {
    "Cart-v0": cart,
    "PendulumSwingUp-v0": pendulum,
    "CartPoleSwingUp-v0": lambda: cart_poles([0.1], [1.0], True),
    "CartPoleSerialDouble-v0": lambda: cart_poles([0.1] * 2, [0.5] * 2, True),
    "CartPoleSerialTriple-v0": lambda: cart_poles([0.1] * 3, [0.4] * 3, True),
    "CartPoleParallelDouble-v0": lambda: cart_poles([0.1, 0.05], [1.0, 0.5], False),
    "ReacherSingle-v0": lambda: reacher(1),
    "ReacherDouble-v0": lambda: reacher(2),
    "Reacher-v0": lambda: reacher(3),
}


def main():
    random = np.random.default_rng(SEED)
    fixtures = {}
    for task, make in TASKS.items():
        rate, reward, draw, motors = make()

        def follow(state, action, steps):
            times = TIME_STEP * np.arange(1, steps + 1)
            solution = solve_ivp(
                lambda _, s: rate(s, action), (0, times[-1]), state, "DOP853", times, rtol=1e-12, atol=1e-13
            )
            return solution.y.T

        cases = []
        for _ in range(CASES):
            state = draw(random)
            action = np.float32(random.uniform(-1, 1, motors)).astype(float)
            [next_state] = follow(state, action, 1)
            cases.append(
                {
                    "state": state.tolist(),
                    "action": action.tolist(),
                    "rate": rate(state, action).tolist(),
                    "next": next_state.tolist(),
                    "reward": float(reward(next_state, action)),
                }
            )
        first = cases[0]
        chain = follow(np.array(first["state"]), np.array(first["action"]), STEPS)[4::5]
        fixtures[task] = {"cases": cases, "chain": chain.tolist()}
        print(task)
    FILE.write_text(json.dumps(fixtures) + "\n")


if __name__ == "__main__":
    main()
