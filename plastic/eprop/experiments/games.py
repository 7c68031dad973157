"""What an agent plays: a delayed reward, of our own design, and CartPole of gymnasium, many episodes side by side.

A game shows input (K, batch, n_in), K steps of 1 ms, before each action: `begin` the first, `act` what follows an
action with its reward and who still plays. All draws are made by the generator of `begin`.
"""

import dataclasses
from typing import Any

import numpy as np

from plastic import require


@dataclasses.dataclass(frozen=True)
class Walk:
    """The delayed reward: a cue, a delay, then a walk.

    Args:
        t_cue: length of the cue in ms.
        t_delay: from the cue to the walk in ms.
        n_moves: steps of the walk to the left or right, an odd number.
        input_f0: rate of the active input neurons in Hz.
    """

    t_cue: int = 100
    t_delay: int = 500
    n_moves: int = 5
    input_f0: float = 100.0


class Delayed:
    """A cue on the left or right, a delay, and a walk that is rewarded at its end, if it ends on the side of the cue.

    Input neurons are in four populations: left, right, walk, and a fourth that is always silent but for noise. Active
    ones fire at f0, all others at 5 Hz. The walk begins in the middle; an action every `move` ms goes one step to the
    left or right, and nothing tells where the agent is. The last action is rewarded with 1 or 0, no other.
    """

    n_in, n_actions, best = 20, 2, 1.0
    NOISE = 0.005  # spikes per ms

    def __init__(self, walk, move, batch):
        """Of a `Walk` with an action every `move` ms, `batch` episodes at a time."""
        self.walk, self.move, self.batch, self.steps = walk, move, batch, walk.n_moves
        self.first = walk.t_cue + walk.t_delay + move

    def begin(self, generator):
        """Return the input (first, batch, n_in) before the first action."""
        self.generator, self.position, self.taken = generator, np.zeros(self.batch, int), 0
        self.side = generator.integers(0, 2, self.batch)
        rate = np.full((self.first, self.batch, 4), self.NOISE)
        rate[: self.walk.t_cue, np.arange(self.batch), self.side] = self.walk.input_f0 / 1000
        rate[-self.move :, :, 2] = self.walk.input_f0 / 1000
        return self._spikes(rate)

    def act(self, actions):
        """Return (the input (move, batch, n_in) before the next action, rewards (batch,), who still plays (batch,))."""
        self.position += 2 * actions - 1
        self.taken += 1
        rate = np.full((self.move, self.batch, 4), self.NOISE)
        rate[..., 2] = self.walk.input_f0 / 1000
        over = self.taken == self.steps
        rewards = (((self.position > 0) == self.side) & over).astype(float)
        return self._spikes(rate), rewards, np.full(self.batch, not over)

    def _spikes(self, rate):
        return self.generator.random((*rate.shape[:-1], self.n_in)) < np.repeat(rate, self.n_in // 4, axis=-1)


class CartPole:
    """CartPole-v1 of gymnasium: a pole that falls unless the cart is pushed to the left or right.

    Each of the four observations drives ten input neurons, by currents max(0, 1 - |observation - place| / width) with
    places side by side. A step is rewarded with 1 / 500, so that the whole reward of an episode is its share of the 500
    steps that it may last.
    """

    n_in, n_actions, best, steps = 40, 2, 1.0, 500
    RANGE = np.array([2.4, 3.0, 0.21, 3.0])  # that places cover, of position, speed, angle (rad), angular speed

    def __init__(self, walk, move, batch):
        """An action every `move` ms, `batch` episodes at a time; `walk` has no effect."""
        gymnasium = require.package("gymnasium", "rl", "cartpole")
        self.worlds = [gymnasium.make("CartPole-v1") for _ in range(batch)]
        self.first, self.move = move, move
        self.places = np.linspace(-1, 1, 10)

    def begin(self, generator):
        """Return the input (move, batch, n_in) before the first action."""
        seeds = generator.integers(2**31, size=len(self.worlds))
        self.seen = np.stack([world.reset(seed=int(seed))[0] for world, seed in zip(self.worlds, seeds, strict=True)])
        self.playing = np.ones(len(self.worlds), bool)
        return self._currents()

    def act(self, actions):
        """Return (the input (move, batch, n_in) before the next action, rewards (batch,), who still plays (batch,))."""
        rewards = self.playing / self.steps
        for k in np.flatnonzero(self.playing):
            self.seen[k], _, fell, late, _ = self.worlds[k].step(int(actions[k]))
            self.playing[k] = not (fell or late)
        return self._currents(), rewards, self.playing.copy()

    def _currents(self):
        distance = np.abs((self.seen / self.RANGE)[..., None] - self.places) / (self.places[1] - self.places[0])
        x = np.maximum(0.0, 1 - distance).reshape(1, len(self.seen), self.n_in)
        return np.broadcast_to(x, (self.move, *x.shape[1:]))


GAMES: dict[str, Any] = {"delayed": Delayed, "cartpole": CartPole}
"""The games by the names of --game."""
