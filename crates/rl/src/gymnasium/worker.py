"""Steps environments of Gymnasium for the program that has started it, over its standard input and output.

The first line that it reads is a JSON object: `id`, `count`, `autoreset` (the value of an `AutoresetMode`), `drawn` (whether
pictures are wanted), `masked` (whether `info["action_mask"]` is wanted) and `arguments` (for the environment). It answers with a line of JSON: a `greeting`, or a `failure` with a kind and a
message. From then on, requests and replies are little-endian numbers, and their sizes do not change:

    request R   1 byte, whether there is a seed; 8 bytes, the seed: begin an episode in each
    request M   1 byte for each environment, 0 or 1: begin an episode in those that have a 1
    request S   float32 [count, action]: take an action in each
    reply       uint64, the number of bytes that follow; float64 [count], the rewards; float32 [count, observation];
                with SameStep float32 [count, observation], the last observations of the episodes that are over;
                1 byte for each environment, whether it has terminated; 1 byte for each, whether it was truncated;
                where masks are wanted, after each observation float32 [actions], 1 where an action may be taken and 0 where not;
                where pictures are wanted, uint8 [height, width, 3], what the first environment looks like

Where an environment raises, its traceback goes to standard error and the process ends. It also ends when its standard
input does, for whatever reason.
"""

import json
import math
import os
import re
import select
import signal
import sys
import threading
import time

# The version in which SyncVectorEnv learnt all three ways of resetting.
LEAST_VERSION = (1, 1)
# 32 bits tell so many whole numbers apart.
MOST_VALUES = 2**24
# Seconds that environments have to close themselves.
PATIENCE = 1.0


class Failure(Exception):
    """Why there are no environments: one of the kinds that the other side knows, and a message."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def take_pipes():
    """The two pipes, out of the reach of what environments read, print and start."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return open(requests, "rb"), open(replies, "wb")


def end_with(pipe):
    """Ends this process soon after the other side has ended, even while an environment hangs in a step."""
    hang_up = select.poll()
    hang_up.register(pipe, 0)
    hang_up.poll()
    time.sleep(PATIENCE)
    os._exit(1)


def import_gymnasium():
    """Only now, since what it prints must not reach the pipes. Returns its version."""
    global gymnasium, numpy
    try:
        import gymnasium
        import numpy
    except ImportError as error:
        raise Failure("no-gymnasium", str(error)) from error
    version = gymnasium.__version__
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < LEAST_VERSION:
        raise Failure("old-gymnasium", version)
    return version


def make(settings):
    """The vector environment."""
    arguments = settings["arguments"]
    if settings["drawn"]:
        arguments = {"render_mode": "rgb_array", **arguments}
    try:
        return gymnasium.make_vec(
            settings["id"],
            num_envs=settings["count"],
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": settings["autoreset"], "copy": False},
            **arguments,
        )
    except (gymnasium.error.Error, ImportError) as error:
        raise Failure("not-made", str(error)) from error
    except TypeError as error:
        # It knows nothing of a render mode.
        if settings["drawn"]:
            raise Failure("no-picture", str(error)) from error
        raise


def described(name, space):
    """A space as the other side knows it."""
    spaces = gymnasium.spaces
    counts = []
    if isinstance(space, spaces.Discrete):
        counts = [int(space.n)]
        description = {"discrete": counts[0]}
    elif isinstance(space, spaces.MultiDiscrete):
        counts = space.nvec.flatten().tolist()
        description = {"multi-discrete": counts}
    elif isinstance(space, spaces.MultiBinary):
        description = {"multi-discrete": [2] * math.prod(space.shape)}
    elif isinstance(space, spaces.Box):
        description = {"box": {"low": bounds(space.low), "high": bounds(space.high)}}
    else:
        message = f"the {name} space is {space}; expected Discrete, MultiDiscrete, MultiBinary or Box"
        if name == "observation" and isinstance(space, (spaces.Dict, spaces.Tuple)) and space.is_np_flattenable:
            message += ", which gymnasium.wrappers.FlattenObservation makes of it"
        raise Failure("space", message)
    if any(count > MOST_VALUES for count in counts) or 0 in space.shape:
        message = f"the {name} space is {space}; expected at least one entry, of at most {MOST_VALUES} values"
        raise Failure("space", message)
    return description


def bounds(values):
    """The bounds of a box in 32 bits; None where there is none."""
    with numpy.errstate(over="ignore"):
        flat = values.astype(numpy.float32).flatten()
    return [float(value) if numpy.isfinite(value) else None for value in flat]


def picture(envs):
    """What the first environment looks like."""
    try:
        pixels = envs.render()[0]
    except (gymnasium.error.Error, ImportError, NotImplementedError, TypeError) as error:
        raise Failure("no-picture", str(error)) from error
    pixels = numpy.asarray(pixels)
    if pixels.dtype != numpy.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        message = f"it gives {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape (height, width, 3)"
        raise Failure("no-picture", message)
    return pixels


def count_masked(action_space, infos):
    """How many actions a mask is about."""
    if not isinstance(action_space, gymnasium.spaces.Discrete):
        raise Failure("no-mask", f"the action space is {action_space}; expected Discrete, where actions are masked")
    if "action_mask" not in infos:
        raise Failure("no-mask", "the info of its reset has no `action_mask`, which says which actions may be taken")
    shape = numpy.shape(infos["action_mask"][0])
    if shape != (action_space.n,):
        raise Failure("no-mask", f"its `action_mask` has shape {shape}; expected ({action_space.n},)")
    return shape[0]


class Vector:
    """The environments, and one block of memory for each kind of request and for the reply."""

    def __init__(self, envs, autoreset, drawn, masked):
        count, shape = envs.num_envs, envs.single_observation_space.shape
        row = [("seen", "<f4", shape)]
        if drawn or masked:
            # Nothing can be drawn, and nothing is known of masks, before the first episode has begun.
            infos = envs.reset()[1]
        if masked:
            row.append(("mask", "<f4", (count_masked(envs.single_action_space, infos),)))
        parts = [("length", "<u8"), ("rewards", "<f8", count), ("observations", row, (count,))]
        if autoreset == "SameStep":
            parts.append(("finals", row, (count,)))
        parts += [("terminated", "?", count), ("truncated", "?", count)]
        self.frame = None
        if drawn:
            self.frame = picture(envs).shape
            parts.append(("frame", "u1", self.frame))
        self.masked = masked
        self.reply = numpy.zeros((), parts)
        self.reply["length"] = self.reply.nbytes - 8
        self.parts = {name: self.reply[name] for name in self.reply.dtype.names}
        self.envs = envs
        self.action_space = envs.single_action_space
        self.seed = numpy.zeros((), [("given", "?"), ("value", "<u8")])
        self.mask = numpy.zeros(count, "?")
        self.all = numpy.ones(count, "?")
        self.actions = numpy.zeros((count, *self.action_space.shape), "<f4")
        # Where whole numbers begin, which is 0 on the other side.
        self.first_action = getattr(self.action_space, "start", 0)
        self.first_observation = getattr(envs.single_observation_space, "start", 0)

    def show(self, part, observations):
        numpy.subtract(observations, self.first_observation, out=part["seen"], casting="unsafe")

    def show_masks(self, part, infos, which):
        """Writes the masks of those environments for which `which` says so."""
        if not self.masked:
            return
        if not infos.get("_action_mask", ~which)[which].all():
            raise ValueError("the info of a reset or a step has no `action_mask`")
        part["mask"][which] = numpy.stack(infos["action_mask"][which]) != 0

    def draw(self):
        if self.frame:
            self.parts["frame"][:] = self.envs.render()[0]

    def reset(self):
        seeds = None
        if self.seed["given"]:
            first = int(self.seed["value"])
            seeds = [(first + index) % 2**64 for index in range(self.envs.num_envs)]
        observations, infos = self.envs.reset(seed=seeds)
        self.show(self.parts["observations"], observations)
        self.show_masks(self.parts["observations"], infos, self.all)

    def reset_where(self):
        observations, infos = self.envs.reset(options={"reset_mask": self.mask})
        self.show(self.parts["observations"], observations)
        self.show_masks(self.parts["observations"], infos, self.mask)

    def step(self):
        parts, actions = self.parts, self.actions
        if self.action_space.dtype.kind != "f":
            actions = numpy.rint(actions) + self.first_action
        # A copy, since environments may keep it.
        actions = actions.astype(self.action_space.dtype)
        observations, parts["rewards"][:], terminated, truncated, infos = self.envs.step(actions)
        self.show(parts["observations"], observations)
        self.show_masks(parts["observations"], infos, self.all)
        parts["terminated"][:] = terminated
        parts["truncated"][:] = truncated
        if "finals" in parts:
            ended = terminated | truncated
            for index in numpy.flatnonzero(ended):
                self.show(parts["finals"][index : index + 1], infos["final_obs"][index])
            if ended.any():
                self.show_masks(parts["finals"], infos["final_info"], ended)


def greet(settings, replies):
    """Makes the environments and says what they are; None where there are none."""
    try:
        version = import_gymnasium()
        envs = make(settings)
        answer = {
            "greeting": {
                "version": version,
                "observation_space": described("observation", envs.single_observation_space),
                "action_space": described("action", envs.single_action_space),
                "max_episode_steps": envs.spec.max_episode_steps,
            }
        }
        vector = Vector(envs, settings["autoreset"], settings["drawn"], settings["masked"])
        answer["greeting"]["frame"] = vector.frame and vector.frame[:2]
    except Failure as failure:
        answer, vector = {"failure": {"kind": failure.kind, "message": str(failure)}}, None
    replies.write(json.dumps(answer).encode() + b"\n")
    replies.flush()
    return vector


def serve(vector, requests, replies):
    """Answers requests until there are no more."""
    known = {
        b"R": (vector.seed, vector.reset),
        b"M": (vector.mask, vector.reset_where),
        b"S": (vector.actions, vector.step),
    }
    while request := requests.read(1):
        memory, answer = known[request]
        if requests.readinto(memory) < memory.nbytes:
            break
        answer()
        vector.draw()
        replies.write(vector.reply)
        replies.flush()
    vector.envs.close()


def main():
    # Ctrl-C is for the other side to answer, which may want some more steps.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = take_pipes()
    if hasattr(select, "poll"):
        threading.Thread(target=end_with, args=(requests,), daemon=True).start()
    # However this ends, the other side must see it at once.
    with replies:
        vector = greet(json.loads(requests.readline()), replies)
        if vector is not None:
            serve(vector, requests, replies)


main()
