"""Small problems of QuantEcon and pymdptoolbox with the answers that their authors published.

Each entry of PROBLEMS is (name, model, claims). A model is in the form of Gymnasium's `P`. A claim
says where it was published, what it is (`kind`) and to how many units it holds (`error`, half a unit
of the last printed digit, or the rounding of a double):

    optimal_values   v* at `gamma`
    optimal_policy   one optimal action for each state at `gamma`
    policy_values    the values of `policy` at `gamma`
    horizon_values   the best values with `horizon` decisions to go and nothing after the last
    horizon_policy   optimal first decisions with `horizon` decisions to go
"""

from fractions import Fraction

ROUNDING = 1e-11
PRINTED_8 = 5e-9

DOCSTRING = "QuantEcon.py 0.11.4, docstring of quantecon.markov.DiscreteDP (Puterman, section 3.1)"
DDP_TESTS = "QuantEcon.py 0.11.4, markov/tests/test_ddp.py"
REPLACEMENT = "QuantEcon notebook ddp_ex_MF_7_6_2_py (Miranda and Fackler, section 7.6.2)"
MAINTENANCE = "QuantEcon notebook ddp_ex_MF_7_6_3_py (Miranda and Fackler, section 7.6.3)"
LECTURE = "QuantEcon lecture 'Discrete State Dynamic Programming' (Julia), the growth model"
TOOLBOX = "pymdptoolbox 4.0-b3, docstring of mdptoolbox.mdp."
TOOLBOX_TESTS = "pymdptoolbox, src/tests/test_PolicyIteration.py"


def claim(kind, source, gamma, **values):
    return {"kind": kind, "source": source, "gamma": gamma, **values}


def lottery(rewards, probabilities):
    """A model from r[s][a] and p[s][a] = {next: probability}; states may have fewer actions."""
    return {
        state: {
            action: [[p, to, float(reward), False] for to, p in sorted(moves.items()) if p > 0]
            for action, (reward, moves) in enumerate(zip(rewards[state], probabilities[state]))
        }
        for state in range(len(rewards))
    }


def puterman():
    """Two states; in the second there is nothing to decide."""
    model = lottery([[5, 10], [-1]], [[{0: 0.5, 1: 0.5}, {1: 1.0}], [{1: 1.0}]])
    beta = Fraction(19, 20)
    exact = [(5 - Fraction(11, 2) * beta) / ((1 - beta / 2) * (1 - beta)), -1 / (1 - beta)]
    return "quantecon-puterman", model, [
        claim("optimal_values", DDP_TESTS + " (closed form)", 0.95,
              values=[float(value) for value in exact], error=ROUNDING),
        claim("optimal_values", DOCSTRING, 0.95, values=[-8.57142857, -20.0], error=PRINTED_8),
        claim("optimal_policy", DOCSTRING, 0.95, policy=[0, 0]),
        claim("horizon_values", DOCSTRING + ", value iteration from 0 after 162 sweeps", 0.95,
              horizon=162, values=[-8.5665053, -19.99507673], error=PRINTED_8),
    ]


def myopic():
    """No future: gamma = 0."""
    third = {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}
    model = lottery([[0, 1], [1, 0], [0, 1]], [[third, third]] * 3)
    return "quantecon-myopic", model, [
        claim("optimal_values", DDP_TESTS, 0.0, values=[1.0, 1.0, 1.0], error=ROUNDING),
        claim("optimal_policy", DDP_TESTS, 0.0, policy=[1, 0, 1]),
    ]


def inventory():
    """Puterman's stochastic inventory control, sections 3.2 and 4.6.1: three periods, gamma = 1."""
    stock = [{0: 1.0}, {0: 0.75, 1: 0.25}, {0: 0.25, 1: 0.5, 2: 0.25}, {1: 0.25, 2: 0.5, 3: 0.25}]
    model = lottery(
        [[0, -1, -2, -5], [5, 0, -3], [6, -1], [5]],
        [[stock[state + order] for order in range(4 - state)] for state in range(4)],
    )
    values = {
        3: [67 / 16, 129 / 16, 194 / 16, 227 / 16],
        2: [2.0, 25 / 4, 10.0, 21 / 2],
        1: [0.0, 5.0, 6.0, 5.0],
    }
    policies = {3: [3, 0, 0, 0], 2: [2, 0, 0, 0], 1: [0, 0, 0, 0]}
    claims = [
        claim("horizon_values", DDP_TESTS, 1.0, horizon=n, values=values[n], error=ROUNDING)
        for n in values
    ]
    claims += [
        claim("horizon_policy", DDP_TESTS, 1.0, horizon=n, policy=policies[n]) for n in policies
    ]
    return "quantecon-inventory", model, claims


def replacement():
    """An asset of age 1 to 5: action 0 replaces it, action 1 keeps it (the notebook counts the other
    way round); the oldest must be replaced."""
    model = lottery(
        [[-25, 45], [-25, 35], [-25, 20], [-25, 0], [-25]],
        [[{0: 1.0}, {age + 1: 1.0}] for age in range(4)] + [[{0: 1.0}]],
    )
    values = [216.56004653, 190.62227392, 172.91363769, 169.90404187, 169.90404187]
    return "quantecon-asset-replacement", model, [
        claim("optimal_values", REPLACEMENT, 0.9, values=values, error=PRINTED_8),
        claim("optimal_policy", REPLACEMENT, 0.9, policy=[1, 1, 1, 0, 0]),
    ]


def maintenance():
    """The same asset, which may also be serviced: state (age - 1) * 5 + services. Action 0 replaces,
    1 keeps, 2 services (the notebook: 2, 0, 1); the oldest must be replaced."""
    rewards, moves = [], []
    for age in range(1, 6):
        output = 50 - 2.5 * age - 2.5 * age**2
        for services in range(5):
            profits = [(1 - (age - done) / 5) * output for done in (services, services + 1)]
            rewards.append([-25.0] + ([profits[0], profits[1] - 10] if age < 5 else []))
            kept = [{age * 5 + done: 1.0} for done in (services, min(services + 1, 4))]
            moves.append([{0: 1.0}] + (kept if age < 5 else []))
    notebook = [1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 2, 0, 0, 0, 0] + [2] * 10
    policy = [{2: 0, 0: 1, 1: 2}[action] for action in notebook]
    return "quantecon-asset-maintenance", lottery(rewards, moves), [
        claim("optimal_policy", MAINTENANCE, 0.9, policy=policy),
    ]


def growth(most_output=10, most_storage=5):
    """A household stores `a` of its stock `s`, enjoys sqrt(s - a), and draws an output."""
    draw = 1 / (most_output + 1)
    feasible = [range(min(s, most_storage) + 1) for s in range(most_output + most_storage + 1)]
    model = lottery(
        [[(stock - a) ** 0.5 for a in actions] for stock, actions in enumerate(feasible)],
        [[{a + u: draw for u in range(most_output + 1)} for a in actions] for actions in feasible],
    )
    values = [
        19.017402216959916, 20.017402216959912, 20.431615779333015, 20.749453024528794,
        21.040780991093484, 21.30873018352461, 21.544798161024396, 21.769281810799857,
        21.982703576083246, 22.188243228238495, 22.38450479651991, 22.578077363861723,
        22.76109126977111, 22.94376708345271, 23.115339958706524, 23.277617618874903,
    ]
    policy = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 5]
    return "quantecon-growth", model, [
        claim("optimal_values", LECTURE, 0.9, values=values, error=ROUNDING),
        claim("optimal_policy", LECTURE, 0.9, policy=policy),
    ]


def small():
    """pymdptoolbox's two states and two actions."""
    model = lottery(
        [[5, 10], [-1, 2]],
        [[{0: 0.5, 1: 0.5}, {1: 1.0}], [{0: 0.8, 1: 0.2}, {0: 0.1, 1: 0.9}]],
    )
    return "pymdptoolbox-small", model, [
        claim("optimal_values", TOOLBOX_TESTS + " (from Octave)", 0.9,
              values=[42.4418604651163, 36.0465116279070], error=ROUNDING),
        claim("optimal_policy", TOOLBOX_TESTS + " (from Octave)", 0.9, policy=[1, 0]),
        claim("optimal_values", TOOLBOX_TESTS, 0.96,
              values=[100.67873303167413, 94.45701357466055], error=ROUNDING),
        claim("horizon_values", TOOLBOX + "ValueIteration, from 0 after 26 sweeps", 0.9,
              horizon=26, values=[40.048625392716815, 33.65371175967546], error=ROUNDING),
    ]


def forest(ages):
    """pymdptoolbox's forest: action 0 waits (a fire may burn it down), action 1 cuts."""
    return lottery(
        [[4 if age == ages - 1 else 0, 2 if age == ages - 1 else min(age, 1)] for age in range(ages)],
        [[{0: 0.1, min(age + 1, ages - 1): 0.9}, {0: 1.0}] for age in range(ages)],
    )


def forest_3():
    finite = TOOLBOX + "FiniteHorizon"
    return "pymdptoolbox-forest-3", forest(3), [
        claim("optimal_values", TOOLBOX + "PolicyIteration", 0.9,
              values=[26.244000000000014, 29.484000000000016, 33.484000000000016], error=ROUNDING),
        claim("optimal_policy", TOOLBOX + "PolicyIteration", 0.9, policy=[0, 0, 0]),
        claim("optimal_values", TOOLBOX_TESTS + " (from Octave)", 0.96,
              values=[74.6496, 78.1056, 82.1056], error=ROUNDING),
        claim("optimal_policy", TOOLBOX + "ValueIteration", 0.96, policy=[0, 0, 0]),
        claim("horizon_values", TOOLBOX + "ValueIteration, from 0 after 4 sweeps", 0.96,
              horizon=4, values=[5.93215488, 9.38815488, 13.38815488], error=PRINTED_8),
        claim("horizon_values", finite, 0.9, horizon=3, values=[2.6973, 5.9373, 9.9373], error=5e-5),
        claim("horizon_values", finite, 0.9, horizon=2, values=[0.81, 3.24, 7.24], error=5e-5),
        claim("horizon_values", finite, 0.9, horizon=1, values=[0.0, 1.0, 4.0], error=ROUNDING),
        claim("horizon_policy", finite, 0.9, horizon=3, policy=[0, 0, 0]),
        claim("horizon_policy", finite, 0.9, horizon=1, policy=[0, 1, 0]),
        claim("policy_values", TOOLBOX_TESTS, 0.9, policy=[0, 1, 0],
              values=[4.47513812154696, 5.02762430939227, 23.17243384704857], error=ROUNDING),
    ]


def forest_10():
    values = [
        26.8301859311444, 28.0723241686974, 29.5099841658652, 31.1739424959205, 33.0998201927438,
        35.3288453048078, 37.9087354808078, 40.8947194808078, 44.3507194808078, 48.3507194808078,
    ]
    return "pymdptoolbox-forest-10", forest(10), [
        claim("optimal_values", TOOLBOX_TESTS + " (from Octave)", 0.96, values=values, error=ROUNDING),
        claim("optimal_policy", TOOLBOX_TESTS + " (from Octave)", 0.96, policy=[0] * 10),
    ]


PROBLEMS = [
    puterman(), myopic(), inventory(), replacement(), maintenance(), growth(),
    small(), forest_3(), forest_10(),
]
