"""Makes crates/rl/tests/fixtures/statistics.json: what SciPy and rliable say of scores of made-up algorithms.

    python scripts/rl_statistics_fixtures.py

`interquartile_means` holds lists of scores with their 25 % trimmed mean by SciPy. `experiments` holds the scores x and y
of two algorithms, shape [tasks, runs], some of them equal, and of them:

- the interquartile mean and the optimality gap of x and the probability that x is an improvement on y, by rliable,
  with intervals by scipy.stats.bootstrap (one sample a task, so that each is resampled alone), and for the
  interquartile mean the interval of rliable's own stratified bootstrap too;
- the performance profile of x by rliable, its exact bands by SciPy's Poisson binomial distribution, and rliable's bands.

An interval is what the random numbers made it. So each end comes with the standard error, found from blocks of the
resamples, of its difference from one that 50,000 other resamples give, which is how many étude draws.
"""

import json
from pathlib import Path

import numpy as np
from rliable import library, metrics
from scipy import stats

FILE = Path(__file__).parent.parent / "crates/rl/tests/fixtures/statistics.json"
SEED = 5
RESAMPLES = 200_000
BLOCK = 10_000
OURS = 50_000
OPTIMUM = 0.8
LEVELS = [0.025, 0.975]


def interval(distribution):
    """The percentile interval of resampled values, and the standard errors of its ends less those of étude's."""
    ends = np.quantile(distribution, LEVELS)
    blocks = np.quantile(distribution.reshape(-1, BLOCK), LEVELS, axis=1)
    one_block = blocks.std(axis=1, ddof=1)
    errors = one_block * np.sqrt(BLOCK / OURS + BLOCK / distribution.size)
    return {"ends": ends.tolist(), "errors": errors.tolist()}


def by_scipy(tasks, statistic, seed):
    found = stats.bootstrap(
        tasks,
        statistic,
        n_resamples=RESAMPLES,
        batch=BLOCK,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    ends = np.quantile(found.bootstrap_distribution, LEVELS)
    assert np.allclose(ends, [found.confidence_interval.low, found.confidence_interval.high])
    return interval(found.bootstrap_distribution)


def interquartile_mean(*tasks, axis):
    return stats.trim_mean(np.concatenate(tasks, axis), 0.25, axis=axis)


def optimality_gap(*tasks, axis):
    return OPTIMUM - np.minimum(np.concatenate(tasks, axis), OPTIMUM).mean(axis)


def improvement(*tasks, axis):
    assert axis == -1 or axis == tasks[0].ndim - 1
    half = len(tasks) // 2
    probabilities = []
    for x, y in zip(tasks[:half], tasks[half:]):
        x, y = x[..., :, None], y[..., None, :]
        probabilities.append(((x > y) + 0.5 * (x == y)).mean((-1, -2)))
    return np.mean(probabilities, axis=0)


def by_rliable(scores, function):
    np.random.seed(SEED)  # rliable draws from NumPy's global state.
    _, found = library.get_interval_estimates({"x": scores}, lambda *x: np.array([function(*x)]), reps=OURS)
    return found["x"][:, 0].tolist()


def profile(x):
    thresholds = np.linspace(0.0, 1.2, 25)
    np.random.seed(SEED)
    values, bands = library.create_performance_profile({"x": x.T}, thresholds, reps=20_000)
    points = []
    for index, threshold in enumerate(thresholds):
        chances = np.repeat((x > threshold).mean(1), x.shape[1])
        cumulated = stats.poisson_binom(chances).cdf(np.arange(chances.size + 1))
        exact = np.searchsorted(cumulated, LEVELS) / chances.size
        points.append(
            {
                "threshold": float(threshold),
                "value": float(values["x"][index]),
                "exact": exact.tolist(),
                "rliable": bands["x"][:, index].tolist(),
            }
        )
    return points


def experiment(tasks, runs_x, runs_y, digits, seed):
    random = np.random.default_rng(seed)
    level = random.uniform(0.3, 0.9, (tasks, 1))
    x = np.round(level + random.normal(0.08, 0.2, (tasks, runs_x)), digits)
    y = np.round(level + random.normal(0.0, 0.3, (tasks, runs_y)), digits)
    u = [stats.mannwhitneyu(a, b).statistic / (runs_x * runs_y) for a, b in zip(x, y)]
    probability = metrics.probability_of_improvement(x.T, y.T)
    assert np.isclose(probability, np.mean(u)) and np.isclose(probability, improvement(*x, *y, axis=-1))
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "optimum": OPTIMUM,
        "interquartile_mean": float(metrics.aggregate_iqm(x.T)),
        "interquartile_mean_interval": by_scipy(tuple(x), interquartile_mean, SEED),
        "interquartile_mean_rliable": by_rliable(x.T, metrics.aggregate_iqm),
        "optimality_gap": float(metrics.aggregate_optimality_gap(x.T, OPTIMUM)),
        "optimality_gap_interval": by_scipy(tuple(x), optimality_gap, SEED),
        "improvement": float(probability),
        "improvement_interval": by_scipy((*x, *y), improvement, SEED),
        "profile": profile(x),
    }


def main():
    random = np.random.default_rng(SEED)
    lists = [np.round(random.normal(0.0, 10.0, count), 3) for count in [*range(1, 14), 100]]
    lists.append(np.array([1.0, 1.0, 1.0, 2.0, 2.0, -7.5, 1e6, 2.0]))
    fixtures = {
        "interquartile_means": [
            {"scores": scores.tolist(), "mean": float(stats.trim_mean(scores, 0.25))} for scores in lists
        ],
        "experiments": [
            experiment(tasks=1, runs_x=10, runs_y=10, digits=3, seed=1),
            experiment(tasks=5, runs_x=10, runs_y=8, digits=1, seed=2),
            experiment(tasks=26, runs_x=3, runs_y=5, digits=3, seed=3),
        ],
    }
    FILE.write_text(json.dumps(fixtures) + "\n")


if __name__ == "__main__":
    main()
