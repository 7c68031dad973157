"""The update of the weights when all episodes have ended, and what evaluations and figures need."""

import dataclasses
import time

import numpy as np

from plastic import parameters, terminal, xp
from plastic.eprop.experiments.arcade.agent import Unroll, errors, learned
from plastic.eprop.experiments.arcade.group import Group
from plastic.eprop.experiments.arcade.pool import Ended
from plastic.eprop.rewards import returns
from plastic.eprop.spiking.filter import filtered
from plastic.functions import softmax
from plastic.optimizers import Adam

TOLD = ("loss", "rate_penalty", "voltage_penalty", "rate_mean", "score", "episode_len")
"""What is told of the last update: the loss of an action, the penalties of an unroll, the mean rate of the cells in Hz,
and what its episodes have scored, and how many actions they have lasted, on average."""


class Player:
    """What `fit` calls: a step, which plays and learns until so many frames have been played, and an evaluation.

    state: {"parameters", "moments", "clock": {"frames", "updates", "length": of an episode at the beginning}, "last":
    what `TOLD` names}. played, seconds: the frames of this process, and how long they took.
    """

    def __init__(self, net, pool, play, learning, validation):
        """Begin with a network, the pool of environments, the options, and the seed of all evaluations."""
        self.net, self.pool, self.play, self.learning, self.validation = net, pool, play, learning, validation
        self.work, self.played, self.seconds = {}, 0, 0.0
        self.optimizer = Adam(learning.learning_rate, eps=learning.epsilon)
        clock = {"frames": 0.0, "updates": 0.0, "length": float(play.max_episode_len)}
        self.state = {
            "parameters": net.parameters,
            "moments": self.optimizer.init(net.parameters),
            "clock": {name: xp.asarray(value, dtype=xp.float64) for name, value in clock.items()},
            "last": {name: xp.asarray(0.0, dtype=xp.float64) for name in TOLD},
        }

    def clock(self, name):
        """Return a whole number of the clock."""
        return int(_number(self.state["clock"][name]))

    @property
    def episode_len(self):
        """How many actions an episode lasts at most, but for its jitter."""
        return self.play.longer(self.clock("length"), self.clock("frames"))

    def step(self, seed, number):
        """Update the weights as often as it takes to have played `number` blocks of frames; return the last loss."""
        generator = np.random.default_rng(seed)
        while self.clock("frames") < number * self.play.block:
            self._update(int(generator.integers(2**62)))
        return xp.asarray([_number(self.state["last"]["loss"])])

    def evaluate(self):
        """Return the metrics: of the last update, and the mean score of new episodes, the same draws each time."""
        groups, _ = self._episodes(self.validation, self.play.eval_length, 0)
        scores = np.concatenate([each.score for each in groups])
        nothing = self.clock("updates") == 0
        found = {name: np.nan if nothing else _number(self.state["last"][name]) for name in TOLD}
        clock = {name: self.clock(name) for name in ("frames", "updates")}
        found |= clock | {"max_episode_len": self.episode_len, "evaluation_score": float(scores.mean())}
        return {name: np.array([value], float) for name, value in found.items()}

    def score(self, seed):
        """Return the mean and the standard deviation of the scores of new episodes."""
        scores = np.concatenate([each.score for each in self._episodes(seed, self.play.eval_length, 0)[0]])
        return scores.mean(), scores.std()

    def episode(self, seed):
        """Return what the figures show: an episode of the first environment, with its learning signals."""
        groups, kept = self._episodes(seed, self.play.eval_length, 0, keep=True)
        return self._arrays(kept[: int(groups[0].length[0])])

    def _arrays(self, kept):
        rewards = np.array([each["reward"] for each in kept])
        actions = np.array([each["action"] for each in kept])
        output = np.concatenate([each["output"] for each in kept])
        done = np.zeros(len(kept))
        done[-1] = 1
        alone = (each[:, None] for each in (actions, rewards, done, np.ones(len(kept))))
        unroll = Unroll(None, *alone, last=np.zeros(1))
        _, err, _ = errors(self.net, xp.asarray(output[:, None]), unroll, self.learning)
        lam = filtered((err * (1 - self.net.kappa))[::-1], self.net.kappa)[::-1]
        L = lam[:, 0] @ self.net.readout.W[: self.net.cells.sizes[1]].T
        return {
            "screens": np.stack([each["screen"] for each in kept]),
            "z": np.concatenate([each["z"] for each in kept]),
            "maps_1": np.stack([each["maps"][0] for each in kept]).astype(np.uint16),
            "maps_2": np.stack([each["maps"][1] for each in kept]).astype(np.uint16),
            "output": output,
            "probability": xp.asnumpy(softmax(xp.asarray(output[self.net.steps - 1 :: self.net.steps, :-1]))),
            "actions": actions,
            "rewards": rewards,
            "returns": xp.asnumpy(returns(xp.asarray(rewards[:, None]), self.learning.discounting))[:, 0],
            "L": np.array(xp.asnumpy(L)),
        }

    def _update(self, seed):
        """Play a round of episodes with the draws of a seed, and take one step of Adam along their gradients."""
        start = time.perf_counter()
        jitter = self.play.max_episode_len_jitter
        try:
            groups, (grads, told) = self._episodes(seed, self.episode_len, jitter, learn=True)
        except Ended as error:  # nothing has changed: the same draws again
            terminal.warn(f"warning: {str(error).partition(';')[0]}; the games begin anew")
            groups, (grads, told) = self._episodes(seed, self.episode_len, jitter, learn=True)
        moments = self.state["moments"]
        t = _number(moments["t"]) + 1
        eps = self.learning.epsilon / np.sqrt(1 - self.optimizer.beta2**t)  # of the corrected root
        rate = self.learning.rate(self.clock("frames"))
        dataclasses.replace(self.optimizer, eps=float(eps)).step(self.net.parameters, grads, moments, lr=rate)
        frames = sum(each.played for each in groups) * self.play.num_action_repeats
        self.state["clock"]["frames"] += frames
        self.state["clock"]["updates"] += 1
        for name in TOLD:
            self.state["last"][name][...] = told[name]
        self.played += frames
        self.seconds += time.perf_counter() - start

    def _learned(self, groups):
        """Return what `learned` does of the groups' unrolls, which are gone before the next one begins."""
        unrolls = [each.unroll(self.learning.published_masks) for each in groups]
        return learned(self.net, unrolls, self.learning, self.work)

    def _episodes(self, seed, length, jitter, learn=False, keep=False):
        """Play until an episode of each environment has ended; return the groups, and (gradients, what is told).

        keep: return, in the place of these, what the first environment has seen and done.
        """
        generator, groups, total, kept = np.random.default_rng(seed), [], _Total(), []
        try:
            for number, count in enumerate(self.play.groups):
                groups.append(Group(self.net, number, count, generator.spawn(1)[0], self.work))
                self.pool.begin(number, generator.integers(2**62, size=count), length, jitter)
            over = False
            while not over:
                records = [each.move(self.pool) for each in groups]
                over = all(each.ended.all() for each in groups)
                if keep and len(kept) > 0:
                    kept[-1] |= groups[0].outcome()
                if keep:
                    kept.append(groups[0].first(records[0]))
                if not learn:
                    for each in groups:
                        each.forget()
                elif over or len(groups[0].rewards) == self.play.unroll_length:
                    total.add(*self._learned(groups))
            for each in groups:
                self.pool.receive(each.number)  # what the last action has led to
        except BaseException:
            self.pool.close()  # messages are on their way
            raise
        return groups, kept if keep else total.found(groups)


class _Total:
    """The sum of gradients over unrolls, and what is told of them."""

    def __init__(self):
        self.grads, self.told, self.count = None, dict.fromkeys(TOLD, 0.0), 0

    def add(self, grads, told):
        self.grads = grads if self.grads is None else parameters.map(lambda a, b: a + b, self.grads, grads)
        self.count += 1
        for name, value in told.items():
            self.told[name] += _number(value)

    def found(self, groups):
        """Return (gradients, what is told)."""
        if self.count == 0:
            return None, self.told
        lengths, scores = (np.concatenate([getattr(each, name) for each in groups]) for name in ("length", "score"))
        means = {name: value / self.count for name, value in self.told.items() if name != "loss"}
        means |= {"score": float(scores.mean()), "episode_len": float(lengths.mean())}
        return self.grads, means | {"loss": self.told["loss"] / float(lengths.sum())}


def _number(leaf):
    """Return the number that an array of one is; the games are on the host, so that nothing is gained by waiting."""
    return float(xp.asnumpy(leaf))
