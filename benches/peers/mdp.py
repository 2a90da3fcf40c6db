"""Side by side: étude's `auto` against QuantEcon and pymdptoolbox, on the same MDPs and to the same
guaranteed error. README.md says what is measured and how.

    python benches/peers/mdp.py --etude target/release > table.md

Progress and checks go to stderr, the Markdown table to stdout. Exits with 1 if any answer is
further from v* than it promised.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mdp_problems
import mdp_solvers


def main():
    options = parse()
    solvers = (list(ETUDE) if options.etude else []) + options.solvers.split(",")
    table, sound = [], True
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.problems or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        problems = write_problems(folder, options)
        all_answers = solve_in_rounds(solvers, problems, options, Path(scratch) / "out.npz")
        for (name, paths, states, nonzeros), answers in zip(problems, all_answers):
            note(f"{name}: {states:,} states, {nonzeros:,} nonzeros")
            sound &= check_all(answers, mdp_solvers.load(*paths), options)
            table.append([name, f"{states:,}", f"{nonzeros:,}", answers])
    show(table, solvers, options)
    return 0 if sound else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", type=Path, help="folder of étude's build; the peers alone without it")
    parser.add_argument("--families", default="grid,garnet,forest", help="grid, garnet, forest")
    parser.add_argument("--solvers", default=",".join(mdp_solvers.SOLVERS), help="which peers")
    parser.add_argument("--max-states", type=int, default=10**6, help="skip larger problems")
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--tolerance", type=float, default=1e-6, help="guaranteed sup-norm error")
    parser.add_argument("--time-cap", type=float, default=120, help="seconds a solver may take, all in")
    parser.add_argument("--memory-cap", type=float, default=12, help="GiB a peer may ask for")
    parser.add_argument("--problems", type=Path, help="folder to keep the problems in")
    options = parser.parse_args()
    unknown = set(options.families.split(",")) - set(mdp_problems.FAMILIES)
    unknown |= set(options.solvers.split(",")) - set(mdp_solvers.SOLVERS)
    for program in (COMMAND, RUNNER) if options.etude else ():
        if not os.access(options.etude / program, os.X_OK):
            build = "cargo build --release && cargo build --release --example mdp_etude"
            parser.error(f"--etude {options.etude}: no {program} there; build it: {build}")
    if unknown:
        known = ", ".join([*mdp_problems.FAMILIES, *mdp_solvers.SOLVERS])
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {known}")
    return options


def write_problems(folder, options):
    """The problems asked for: name, paths of the two archives, states and nonzeros of each."""
    problems = []
    for family in options.families.split(","):
        _, sizes, states_of = mdp_problems.FAMILIES[family]
        for size in sizes:
            if states_of(size) <= options.max_states:
                *paths, states, nonzeros = mdp_problems.write(folder, family, size)
                problems.append((f"{family} {size}", [str(path) for path in paths], states, nonzeros))
    return problems


def solve_in_rounds(solvers, problems, options, out):
    """The best answers of each solver to each problem. A round goes through all problems and solvers, so that the rounds
    of one problem lie minutes apart: a machine has good and bad ones."""
    all_answers = [{} for _ in problems]
    for turn in range(ROUNDS):
        for (name, paths, *_), answers in zip(problems, all_answers):
            note(f"round {turn + 1} of {ROUNDS}: {name}")
            for solver in solvers:
                best = answers.get(solver)
                if best and best.get("seconds", float("inf")) >= LONG_SECONDS:
                    continue
                if solver in ETUDE:
                    answer = ETUDE[solver](paths, options)
                else:
                    answer = run_peer(solver, paths, options, out)
                if best is None or answer.get("seconds", float("inf")) < best["seconds"]:
                    answers[solver] = answer
    return all_answers


def run_etude(paths, options):
    """étude's answer under the terms of the peers: one process, a second of solves."""
    command = [options.etude / RUNNER, *paths, str(options.gamma), str(options.tolerance)]
    return answer_of(command, options)


def run_new_process(paths, options):
    """The answer of the command, which solves once; the best of as many processes."""
    command = [options.etude / COMMAND, "mdp", "solve", paths[0], "--rewards", paths[1], "--json"]
    command += ["--gamma", str(options.gamma), "--tolerance", str(options.tolerance)]
    best, spent = None, 0.0
    while spent < mdp_solvers.REPEAT_SECONDS:
        answer = answer_of(command, options)
        if "missing" in answer:
            return answer
        best = min(best or answer, answer, key=lambda answer: answer["seconds"])
        # Starting a process and reading the model take their time as well.
        spent += max(answer["seconds"], 0.1)
    return best


def answer_of(command, options):
    """The answer that one of étude's programs prints, or the reason why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=options.time_cap)
    except subprocess.TimeoutExpired:
        return {"missing": "time"}
    if done.returncode != 0:
        return {"missing": "failed: " + last_line(done.stderr)}
    found = json.loads(done.stdout)
    if found["bound"] > options.tolerance:
        return {"missing": f"failed: its bound is {found['bound']:.1e}"}
    return {
        "values": np.array(found["values"]),
        "seconds": found["seconds"],
        "iterations": found["iterations"],
        "method": found["method"],
        "promised": found["bound"],
    }


ETUDE = {"étude": run_etude, "étude, new process": run_new_process}
COMMAND, RUNNER = "etude", "examples/mdp_etude"
ROUNDS = 3
# Whoever takes longer than this solves once.
LONG_SECONDS = 5.0


def run_peer(solver, paths, options, out):
    """A peer's answer, or the reason why there is none."""
    out.unlink(missing_ok=True)
    command = [sys.executable, mdp_solvers.__file__, solver, *paths, str(options.gamma)]
    command += [str(options.tolerance), str(options.memory_cap), str(out)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=options.time_cap)
    except subprocess.TimeoutExpired:
        return {"missing": "time"}
    if done.returncode != 0:
        reason = last_line(done.stderr)
        return {"missing": "memory" if reason == "out of memory" else "failed: " + reason}
    with np.load(out) as found:
        return {
            "values": found["values"],
            "seconds": float(found["seconds"]),
            "iterations": int(found["iterations"]),
            "method": solver,
            "promised": options.tolerance,
        }


def check_all(answers, problem, options):
    """Prints what the answers are worth; True if all keep their promises."""
    sound, reference = True, None
    for solver, answer in answers.items():
        if "missing" in answer:
            note(f"  {solver:18} — ({answer['missing']})")
        else:
            reference = reference or answer
            sound &= check(solver, answer, reference, problem, options)
    return sound


def check(solver, answer, reference, problem, options):
    """Prints what an answer is worth; True if it keeps its promise.

    Whatever a solver claims, ||T v - v|| / (1 - gamma) bounds the distance of v from v*; it is computed
    here for every answer alike. And two answers may differ by the sum of their promises at most.
    """
    transitions, rewards = problem
    values = answer["values"]
    backup = (rewards + options.gamma * (transitions @ values).reshape(rewards.shape)).max(axis=1)
    certified = np.abs(backup - values).max() / (1 - options.gamma)
    apart = np.abs(values - reference["values"]).max()
    allowed = answer["promised"] + reference["promised"]
    # The residual is itself rounded, by some units in the last place of the largest value.
    rounding = 1e-14 * max(1.0, np.abs(values).max()) / (1 - options.gamma)
    kept = certified <= answer["promised"] + rounding and apart <= allowed + rounding
    note(
        f"  {solver:18} {answer['seconds']:9.4f} s {answer['iterations']:6} iterations"
        f"  error <= {certified:.1e} (promised {answer['promised']:.1e})"
        f"  from {reference['method']} {apart:.1e} (allowed {allowed:.1e})"
        f"{'' if kept else '  BROKEN PROMISE'}"
    )
    return bool(kept)


def show(table, solvers, options):
    """The Markdown table of seconds."""
    ratio = [f"best peer / {name}" for name in ETUDE] if options.etude else []
    columns = ["problem", "states", "nonzeros", *solvers, *ratio]
    print("| " + " | ".join(columns) + " |")
    print("|---" + "|---:" * (len(columns) - 1) + "|")
    for problem, states, nonzeros, answers in table:
        cells = [problem, states, nonzeros, *(cell(answers[solver]) for solver in solvers)]
        peers = [answers[solver].get("seconds", float("inf")) for solver in options.solvers.split(",")]
        for name in ETUDE if options.etude else ():
            ours = answers[name].get("seconds")
            cells.append(f"{min(peers) / ours:.1f}x" if ours and min(peers) < float("inf") else "—")
        print("| " + " | ".join(cells) + " |")
    print(f"\nSeconds to solve, to a guaranteed error of {options.tolerance:g} at gamma {options.gamma:g}.")
    print(f"— (time): not done within {options.time_cap:g} s, reading and building included.")
    print(f"— (memory): asked for more than {options.memory_cap:g} GiB.")


def cell(answer):
    if "missing" in answer:
        return f"— ({answer['missing'].split(':')[0]})"
    return f"{answer['seconds']:.3g}"


def last_line(stderr):
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def note(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
