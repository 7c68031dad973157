"""Worlds of gymnasium for all replicas, an episode of each at a time, and the memory of what happened there."""

import numpy as np

from plastic import require, xp
from plastic.data.sources import generator_states, restore_generators


def make(name, count):
    """Return so many environments. Raises PlasticError where gymnasium is not installed."""
    gymnasium = require.package("gymnasium", "rl", "rl")
    return [gymnasium.make(name, disable_env_checker=True) for _ in range(count)]


class Worlds:
    """The environments of all replicas: a source for `fit`, whose step plays an episode of each.

    generators: of `xp.generator`, one for each replica, which has a world (`task`), explores (`noise`) and remembers
    (`shuffle`) by draws of its own.
    """

    per_epoch = 1

    def __init__(self, name, generators):
        self.environments = make(name, len(generators))
        self.generators = generators
        for environment, each in zip(self.environments, generators, strict=True):
            environment.unwrapped.np_random = each.task
        self.observations = self.environments[0].observation_space.shape[0]
        self.actions = int(self.environments[0].action_space.n)

    def next(self):
        """Return the worlds themselves."""
        return self

    def state(self):
        """Return the states of all generators; no episode is under way."""
        return {name: generator_states(each) for name, each in self._by_purpose().items()}

    def restore(self, state):
        """Go back to where `state` was taken."""
        for name, each in self._by_purpose().items():
            restore_generators(each, state[name])

    def _by_purpose(self):
        return {name: [getattr(each, name) for each in self.generators] for name in ("task", "noise", "shuffle")}

    def play(self, values, normalise, epsilon):
        """Play an episode of every replica; return (transitions, returns).

        values: values(observations (replicas, n)) -> (replicas, actions). normalise: normalise(observations, running)
        -> observations as the network sees them. epsilon: the probability of an action at random.

        transitions: for each replica, arrays (before, action, reward, after, done), each with a row per step.
        """
        count = len(self.environments)
        running, rows = np.ones(count, bool), [[] for _ in range(count)]
        seen = np.stack([environment.reset()[0] for environment in self.environments])
        seen = normalise(seen, running)
        while running.any():
            best, raw, steps = np.argmax(values(seen), axis=-1), seen.copy(), {}
            for index in np.flatnonzero(running):
                noise = self.generators[index].noise
                action = int(noise.integers(self.actions) if noise.random() < epsilon else best[index])
                raw[index], reward, terminated, truncated, _ = self.environments[index].step(action)
                steps[index] = action, reward, terminated or truncated
            after = np.where(running[:, None], normalise(raw, running), seen)
            for index, (action, reward, done) in steps.items():
                rows[index].append((seen[index], action, reward, after[index], done))
                running[index] = not done
            seen = after
        transitions = [tuple(map(np.array, zip(*each, strict=True))) for each in rows]
        return transitions, np.array([each[2].sum() for each in transitions])


class Normalisation:
    """The running mean and variance of the observations of each replica: x <- (x - mean) / sqrt(variance + 1e-8)."""

    def __init__(self, replicas, n):
        self.count, self.mean, self.squares = (xp.zeros((replicas, *each)) for each in ((1,), (n,), (n,)))
        self.arrays = {"count": self.count, "mean": self.mean, "squares": self.squares}

    def __call__(self, observations, running):
        """Count the observations (replicas, n) of those that are running, and return all as they are seen."""
        counted = running[:, None].astype(float)
        count, mean, squares = (xp.asnumpy(each) for each in self.arrays.values())
        count = count + counted
        before = observations - mean
        mean = mean + counted * before / np.maximum(count, 1)
        squares = squares + counted * before * (observations - mean)
        for array, values in zip(self.arrays.values(), (count, mean, squares), strict=True):
            array[...] = xp.asarray(values, dtype=array.dtype)
        return (observations - mean) / np.sqrt(squares / np.maximum(count, 1) + 1e-8)


class Memory:
    """The last transitions of each replica; the oldest make room."""

    def __init__(self, replicas, size, n):
        shapes = {"before": (n,), "action": (), "reward": (), "after": (n,), "done": ()}
        self.columns = {
            name: xp.zeros((replicas, size, *shape), dtype=xp.float_dtype) for name, shape in shapes.items()
        }
        self.seen = xp.zeros((replicas, 1))
        self.arrays = self.columns | {"seen": self.seen}
        self.size = size

    def add(self, transitions):
        """Remember the transitions that `Worlds.play` has returned."""
        seen = xp.asnumpy(self.seen)[:, 0].astype(int)
        for replica, rows in enumerate(transitions):
            places = xp.asarray((seen[replica] + np.arange(len(rows[2]))) % self.size)
            for column, values in zip(self.columns.values(), rows, strict=True):
                column[replica, places] = xp.asarray(values, dtype=column.dtype)
            seen[replica] += len(rows[2])
        self.seen[...] = xp.asarray(seen[:, None], dtype=self.seen.dtype)

    def ready(self, start):
        """Return which replicas (host) have more than `start` transitions."""
        return np.minimum(xp.asnumpy(self.seen)[:, 0], self.size) > start

    def draw(self, replicas, generators, count):
        """Return `count` transitions {name: (replicas, count, ..)} of some replicas, each drawn without replacement."""
        held = np.minimum(xp.asnumpy(self.seen)[:, 0], self.size).astype(int)
        places = [
            generators[index].shuffle.choice(held[index], count, replace=False, shuffle=False) for index in replicas
        ]
        rows, places = xp.asarray(replicas)[:, None], xp.asarray(np.stack(places))
        return {name: column[rows, places] for name, column in self.columns.items()}
