"""Reinforcement learning: networks that learn the values of actions by PC or by BP (Song et al. 2024, Fig. 4k)."""

import dataclasses
import itertools
from typing import Literal

import numpy as np

from plastic import require, training, xp
from plastic.errors import Diverged, PlasticError
from plastic.functions import sigmoid
from plastic.initializers import uniform_fan_in
from plastic.parameters import Affine
from plastic.pc.experiments import figures, replicas
from plastic.pc.experiments.chosen import gradients, squared
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.pc.experiments.worlds import Memory, Normalisation, Worlds
from plastic.pc.networks import Network, predict
from plastic.runs import experiment

GRIDS = {
    "paper": {"rates": (0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4), "episodes": 10_000},
    "quick": {"rates": (0.01, 0.001), "episodes": 400},
}
INFERENCE = Inference(T=32, gamma=0.05, discount=1.0)
LAST = 200  # episodes whose mean return is reported


@dataclasses.dataclass(frozen=True)
class Practice:
    """How values are learned from what is remembered.

    Args:
        batch_size: transitions of an update.
        updates: updates after each episode.
        memory: transitions that are remembered.
        start: learning begins with more than these.
        reward_discount: what a reward counts one step later.
    """

    batch_size: int = 60
    updates: int = 10
    memory: int = 50_000
    start: int = 2000
    reward_discount: float = 0.98

    def __post_init__(self):
        require.counts(batch_size=self.batch_size, updates=self.updates, memory=self.memory, start=self.start)
        require.number("reward_discount", self.reward_discount, least=0, most=1)
        if self.start >= self.memory:
            raise PlasticError(f"start is {self.start}, but memory is {self.memory}: learning would never begin")
        if self.batch_size > self.start:
            raise PlasticError(f"batch_size is {self.batch_size}, but start is {self.start}; it must be at most that")


def restore(arrays, **_):
    """Return (network, predict) of all seeds and rates from the arrays of a checkpoint; see `plastic.load`.

    predict(observations (batch, n)) gives the values of actions (replicas, batch, actions), for observations as the
    worlds give them: it normalises them as in training.
    """
    names = [f"layers/{k}" for k in range(sum(name.endswith("/W") for name in arrays))]
    layers = [Affine(xp.asarray(arrays[f"{name}/W"]), xp.asarray(arrays[f"{name}/b"])) for name in names]
    net = Network(layers, sigmoid)
    count, mean, squares = (arrays[f"normalisation/{name}"][:, None] for name in ("count", "mean", "squares"))

    def values(x):
        seen = (np.asarray(x) - mean) / np.sqrt(squares / np.maximum(count, 1) + 1e-8)
        return xp.asnumpy(predict(net, xp.asarray(seen, dtype=net.dtype)))

    return net, values


@experiment(
    "pc", draw={"rl": figures.rl}, restore=restore, length="episodes", readable="{env}-{grid}", seeds=replicas.SEEDS
)
def rl(
    run,
    *,
    env: Literal["CartPole-v1", "Acrobot-v1", "MountainCar-v0"] = "CartPole-v1",
    grid: Grid = "paper",
    rates: Rates = None,
    episodes: int | None = None,
    hidden: tuple[int, ...] = (128, 128),
    practice: Practice,
    inference: Inference = INFERENCE,
):
    """Learn to act by the values of actions, with predictive coding and with BP (Song et al. 2024, Fig. 4k).

        y = r + reward_discount max_a Q(s', a), or r where the episode is over;  loss (Q(s, a) - y)^2 / 2, a sum over 60

    Q is a network of sigmoid units with biases, all U(-c, c), c = n_in^(-1/2), and learns from transitions of its own:
    after each episode, once more than 2000 are remembered, 10 updates with batches of 60. Targets come from the network
    itself, as it is. Only the output of the action taken has an error. An action is random with the probability
    max(0.01, 0.08 - 0.01 episode / 200). Observations are normalised by their running mean and standard deviation; an
    episode that is cut by the time limit counts as over, both as published.

    Both rules see worlds of the same seeds; all seeds and rates go through their episodes together. The run folder,
    results/pc/rl-..., gets config.json, metrics.csv (for each rule, seed and rate the mean return of the last 200
    episodes), a checkpoint for each rule and a figure. The rate of a rule is that with the largest mean over the
    curve. Published as simple_dqn_new/base-focus. Needs gymnasium: pip install 'plastic-learning[rl]'.

    Args:
        env: the world.
        grid: paper (six rates, 10,000 episodes) or quick (two, 400); rates and episodes replace what it says.
        rates: learning rates, of sums over a batch.
        episodes: episodes to play.
        hidden: widths of the hidden layers.
    """
    rates, episodes = of_grid(run, GRIDS[grid], rates=rates, episodes=episodes)
    require.counts(episodes=episodes)
    require_rules(replicas.RULES, inference, loss=squared)
    if not hidden or min(hidden) < 1:
        raise PlasticError(f"hidden is {hidden}; it must hold widths of at least 1")
    each = list(itertools.product(run.seeds, rates))
    run.expect(len(each) * (practice.memory * 15 + 3 * max(hidden) ** 2), memory=practice.memory, hidden=hidden)
    for part in run.parts([{"rule": rule} for rule in replicas.RULES]):
        worlds = Worlds(env, [xp.generator(seed) for seed, _ in each])
        learn = gradients(part.columns["rule"], inference)
        agents = Agents(worlds, hidden, np.array([rate for _, rate in each]), learn, practice)
        training.fit(
            part,
            agents.arrays,
            worlds,
            agents.episode,
            steps=episodes,
            evaluate=agents.mean_return,
            evaluate_every=10,
            checkpoint_every=100,
            replicas=[{"replica": k, "seed": seed, "rate": rate} for k, (seed, rate) in enumerate(each)],
            when_diverged={"mean_return": float("nan")},
        )
    return [_line(rule, *best(run.metrics(), rule)) for rule in replicas.RULES]


class Agents:
    """The networks of all replicas, what they remember, and how they did."""

    def __init__(self, worlds, hidden, rates, learn, practice):
        n = len(rates)
        self.generators = worlds.generators
        self.net = networks((worlds.observations, *hidden, worlds.actions), worlds.generators)
        self.memory = Memory(n, practice.memory, worlds.observations)
        self.normalisation = Normalisation(n, worlds.observations)
        self.returns, self.played = xp.zeros((n, LAST)), xp.zeros((n, 1))
        self._rates, self._learn, self._practice = rates, learn, practice
        own = {"memory": self.memory.arrays, "normalisation": self.normalisation.arrays}
        self.arrays = self.net.parameters | own | {"returns": self.returns, "played": self.played}

    def episode(self, worlds, number):
        """Play an episode of every replica, remember it, and learn: a step for `fit`, which returns a vital sign."""
        epsilon = max(0.01, 0.08 - 0.01 * (number - 1) / 200)
        transitions, returns = worlds.play(self.values, self.normalisation, epsilon)
        self.memory.add(transitions)
        self.returns[:, (number - 1) % LAST] = xp.asarray(returns, dtype=self.returns.dtype)
        self.played += 1
        ready = np.flatnonzero(self.memory.ready(self._practice.start))
        if len(ready):
            self._update(ready)
        return xp.max(xp.abs(self.net.layers[-1].W), axis=(-2, -1))

    def values(self, seen):
        """Return the values of actions (replicas, actions) for observations (replicas, n), both on the host."""
        return xp.asnumpy(predict(self.net, xp.asarray(seen[:, None], dtype=self.net.dtype)))[:, 0]

    def mean_return(self):
        """Return the mean return of the last 200 episodes, or of as many as there are."""
        n = xp.minimum(self.played[:, 0], LAST)
        return {"mean_return": xp.where(n > 0, xp.sum(self.returns, axis=1) / xp.maximum(n, 1), float("nan"))}

    def _update(self, ready):
        """Update the networks of the replicas that are `ready`, in place."""
        every = len(ready) == len(self._rates)
        chosen = slice(None) if every else xp.asarray(ready)
        net = Network([Affine(each.W[chosen], each.b[chosen]) for each in self.net.layers], sigmoid)
        count = self._practice.batch_size
        rate = xp.asarray(self._rates[ready, None, None] * count)
        for _ in range(self._practice.updates):
            drawn = self.memory.draw(ready, self.generators, count)
            following = xp.max(predict(net, drawn["after"]), axis=-1)
            target = drawn["reward"] + self._practice.reward_discount * following * (1 - drawn["done"])
            taken = (drawn["action"][..., None] == xp.arange(net.sizes[-1])).astype(net.dtype)
            grads = self._learn(net, drawn["before"], target[..., None], taken)
            for layer, grad in zip(net.layers, grads["layers"], strict=True):
                layer.W -= rate * grad.W
                layer.b -= rate * grad.b
        if not every:
            for own, layer in zip(self.net.layers, net.layers, strict=True):
                own.W[chosen], own.b[chosen] = layer.W, layer.b


def networks(sizes, generators):
    """Return the network of all replicas, W and b ~ U(-c, c), c = n_in^(-1/2)."""
    layers = []
    for pair in itertools.pairwise(sizes):
        drawn = [[uniform_fan_in(each.init, shape, pair[0]) for shape in (pair, (1, pair[1]))] for each in generators]
        layers.append(Affine(*(xp.asarray(np.stack(arrays)) for arrays in zip(*drawn, strict=True))))
    return Network(layers, sigmoid)


def best(metrics, rule):
    """Return (rate, episodes (n,), curves (seeds, n)) of the rate with the largest mean return over the curve.

    Raises PlasticError where the rule has not played.
    """
    table = {key: np.array(column) for key, column in metrics.items()}
    own = (table["rule"] == rule) & (table["step"] > 0)
    if not np.any(own):
        raise PlasticError(f"metrics.csv has no returns of {rule}: the run is not finished; go on with --resume")
    episodes, seeds, rates = (np.unique(table[key][own]) for key in ("step", "seed", "rate"))
    curves = np.full((len(rates), len(seeds), len(episodes)), np.nan)
    places = tuple(np.searchsorted(axis, table[key][own]) for axis, key in ((rates, "rate"), (seeds, "seed")))
    curves[(*places, np.searchsorted(episodes, table["step"][own]))] = table["mean_return"][own].astype(float)
    score = curves.mean(axis=(1, 2))
    if not np.isfinite(score).any():
        raise Diverged(f"{rule.upper()} diverged at every rate: try smaller rates or a smaller gamma")
    index = int(np.argmax(np.where(np.isfinite(score), score, -np.inf)))
    return float(rates[index]), episodes, curves[index]


def _line(rule, rate, episodes, curves):
    last, over = curves[:, -1], curves.mean(axis=1)
    spread = f"{last.min():.1f} to {last.max():.1f}, n = {len(last)}"
    return (
        f"{rule.upper()}, rate {rate:g}: mean return of the last {min(LAST, episodes[-1])} episodes {last.mean():.1f} "
        f"({spread}) after {episodes[-1]}; {over.mean():.1f} over the curve"
    )
