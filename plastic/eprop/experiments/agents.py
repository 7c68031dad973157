"""An agent that acts by the readouts of a spiking network, and learns by the rewards that it gets."""

import dataclasses

import numpy as np

from plastic import xp
from plastic.eprop import gradients, rewards
from plastic.eprop.spiking import joined
from plastic.functions import softmax


@dataclasses.dataclass(frozen=True)
class Episodes:
    """A batch of episodes: the record of the network, the steps of it in which it acted, and what came of it.

    record: of all steps of 1 ms. steps: the slice of them at whose ends an action was taken. actions, rewards, weights:
    (S, batch) of them; weights are 1 until an episode's end, then 0.
    """

    record: object
    steps: slice
    actions: np.ndarray
    rewards: np.ndarray
    weights: np.ndarray


def play(network, game, generator):
    """Return the `Episodes` of a `game`, until all have ended; actions are drawn by the policy with the `generator`.

    The state of the network goes on from one action to the next.
    """
    x, state, playing = game.begin(generator), None, None
    records, kept = [], {"actions": [], "rewards": [], "weights": []}
    while playing is None or (playing.any() and len(records) < game.steps):
        record = gradients.simulate(network, xp.asarray(x), state=state)
        state = record.state
        pi = xp.asnumpy(softmax(record.output[-1, :, :-1]))
        drawn = generator.random((len(pi), 1)) > np.cumsum(pi[:, :-1], axis=1)
        actions = drawn.sum(axis=1)
        kept["weights"].append(np.ones(len(pi)) if playing is None else playing.astype(float))
        x, reward, playing = game.act(actions)
        kept["actions"].append(actions)
        kept["rewards"].append(reward)
        records.append(record)
    steps = slice(game.first - 1, None, game.move)
    return Episodes(joined(records), steps, **{name: np.stack(values) for name, values in kept.items()})


def learn(network, episodes, *, discount, baseline, entropy, penalty):
    """Change the weights of a `PlasticNetwork` by its rule after `episodes`; return the loss and the penalty.

    discount, baseline, entropy: of `rewards.returns` and `rewards.actor_critic`. penalty: of spikes to (penalty, R).
    """
    R = rewards.returns(xp.asarray(episodes.rewards), discount)
    loss, err = rewards.actor_critic(
        episodes.record.output,
        episodes.steps,
        xp.asarray(episodes.actions, dtype=xp.int64),
        R,
        weights=xp.asarray(episodes.weights),
        baseline=baseline,
        entropy=entropy,
    )
    extra, rates = penalty(episodes.record.z)
    network.learn(episodes.record, err, rates)
    return loss, extra


def total_reward(episodes):
    """Return the mean over `episodes` of the sum of their rewards."""
    return float(np.mean(np.sum(episodes.rewards * episodes.weights, axis=0)))
