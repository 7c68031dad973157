"""The environments of all groups on one process: what it is told, it plays, and what it sees, it sends back.

A message is a kind, `BEGIN` or `STEP`, the number of a group, and whole numbers: (length, jitter, a seed for each
environment), or an action for each. The reply is a `Seen`.
"""

import dataclasses

import numpy as np

from plastic.eprop.experiments.arcade.games import make
from plastic.eprop.experiments.arcade.screens import SIZE, Environment

BEGIN, STEP = 0, 1


@dataclasses.dataclass(frozen=True)
class Seen:
    """What followed an action of each of `count` environments.

    screens: (count, 84, 84) from 0 to 1. rewards: clipped, (count,). scores: what the game gave, (count,). done:
    (count,) of 0 and 1, whether the episode has ended; the screen is then the first of the next one.
    """

    screens: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    done: np.ndarray

    @classmethod
    def empty(cls, count):
        """Return one with memory for `count` environments."""
        return cls(np.empty((count, *SIZE), np.float32), *(np.zeros(count, np.float32) for _ in range(3)))

    @classmethod
    def together(cls, parts):
        """Return one of the environments of all parts."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(each, name) for each in parts]) for name in names})

    def arrays(self):
        """Return the four arrays."""
        return self.screens, self.rewards, self.scores, self.done


class Stage:
    """Environments in groups."""

    def __init__(self, game, groups, repeats):
        """Of a game, `groups` being the numbers of environments of each group."""
        self.groups = [[Environment(make(game), repeats) for _ in range(count)] for count in groups]

    def play(self, kind, group, numbers):
        """Return the `Seen` that a message leads to."""
        environments = self.groups[group]
        seen = Seen.empty(len(environments))
        if kind == BEGIN:
            length, jitter, *seeds = map(int, numbers)
            for k, (environment, seed) in enumerate(zip(environments, seeds, strict=True)):
                seen.screens[k] = environment.begin(seed, length, jitter)
            return seen
        for k, (environment, action) in enumerate(zip(environments, numbers, strict=True)):
            seen.screens[k], seen.rewards[k], seen.scores[k], seen.done[k] = environment.step(int(action))
        return seen
