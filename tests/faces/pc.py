"""Predictive coding in the walk of tests/test_face.py."""

import numpy as np
from faces.case import Case

from plastic import pc, xp

INFERRING = {"pc": {"T": 6}, "bp": {}, "fixed_prediction": {"T": 6, "gamma": 0.5}, "zil": {}}


def batch(n_0, n_L, B=4):
    """Return batch(rng, lead) of inputs and targets."""

    def draw(rng, lead=()):
        return rng.standard_normal((*lead, B, n_0)), rng.standard_normal((*lead, B, n_L))

    return draw


def _stepped(take):
    def call(net, x, y):
        state = pc.State(net, x, y, gamma=0.2)
        pc.infer(net, state, x, 2)
        return take(net, state, x)

    return call


STEPS = {name: _stepped(take) for name, take in pc.STEPS.items()}
WRONG_BATCHES = {
    "images in place of rows": lambda net, x, y: pc.State(net, x[None, :, :, None], y),
    "labels for a state": lambda net, x, y: pc.State(net, x, xp.argmax(y, axis=-1)),
    "an empty batch for a state": lambda net, x, y: pc.State(net, x[:0], y[:0]),
    "activities of integers": lambda net, x, y: pc.activities(net, x.astype("int64")),
    "T of 0": lambda net, x, y: pc.pc(net, x, y, T=0),
    "a T that is no whole number": lambda net, x, y: pc.fixed_prediction(net, x, y, T=8.0),
    "gamma of 0": lambda net, x, y: pc.pc(net, x, y, gamma=0),
    "gamma that is no number": lambda net, x, y: pc.State(net, x, y, gamma=float("nan")),
    "discount above 1": lambda net, x, y: pc.pc(net, x, y, discount=1.5),
    "discount of 0": lambda net, x, y: pc.State(net, x, y, discount=0.0),
    "amplifier below 1": lambda net, x, y: pc.pc(net, x, y, amplifier=0.9),
    "a step without a target": lambda net, x, y: pc.step(net, pc.State(net, x), x),
    "a step on another batch": lambda net, x, y: pc.step(net, pc.State(net, x, y), x[:1]),
    "a free input of another width": lambda net, x, y: pc.FreeState(net, x, y, free=np.ones(x.shape[-1] + 1)),
    "a prior of no layer": lambda net, x, y: pc.FreeState(net, x, y, priors={9: pc.Laplace(1.0)}),
    "a prior of the input alone": lambda net, x, y: pc.FreeState(net, x, y, priors=pc.Laplace(1.0)),
    "a loss of each sample": lambda net, x, y: pc.step(net, pc.State(net, x), x, lambda o: (xp.sum(o, axis=-1), o)),
}
BAD_NETWORKS = {
    "an unknown activation": {"phi": "sigmoidal"},
    "too many activations": {"phi": ["tanh"] * 7},
    "an activation that is a function": {"phi": np.tanh},
    "outputs that count in another number": {"counted": [1.0]},
    "outputs that count twice": {"counted": [2.0, 2.0]},
    "after that is neither": {"after": 0.5},
}


def _made(constants):
    return lambda net, x, y: pc.network((6, 5, 2), np.random.default_rng(0), **constants)


def _made_residual(constants):
    return lambda net, x, y: pc.residual((6, 5, 2), np.random.default_rng(0), **constants)


def _made_convolutional(constants):
    return lambda net, x, y: pc.convolutional((1, 2), (5, 2), np.random.default_rng(0), **constants)


BAD_CONVOLUTIONS = BAD_NETWORKS | {
    "F of 0": {"F": 0},
    "F that is no whole number": {"F": 3.0},
    "F larger than the image": {"F": 9, "size": 4},
    "a stride of 0": {"stride": 0},
    "negative padding": {"padding": -1},
    "size of 0": {"size": 0},
}

CASES = [
    Case(
        pc,
        "network",
        (6, 5, 4, 2),
        batch(6, 2),
        INFERRING,
        outputs=2,
        constants={"phi": ["tanh", "sigmoid"], "bias": True},
        steps=STEPS,
        misuse=WRONG_BATCHES
        | {name: _made(each) for name, each in BAD_NETWORKS.items()}
        | {"target propagation, not linear": lambda net, x, y: pc.tp(net, x, y)}
        | {"an equilibrium, not linear": lambda net, x, y: pc.equilibrium(net, x, y)},
    ),
    Case(
        pc,
        "network",
        (4, 3, 3),  # as many classes as samples less one, and as many hidden units
        batch(4, 3, B=3),
        INFERRING | {"tp": {}},
        outputs=3,
        constants={"phi": "linear", "after": True},
        steps=STEPS,
        misuse={"labels for the equilibrium": lambda net, x, y: pc.equilibrium(net, x, xp.argmax(y, axis=-1))},
    ),
    Case(
        pc,
        "residual",
        (6, 4, 4, 2),
        batch(6, 2),
        INFERRING,
        outputs=2,
        constants={"phi": ["tanh", "sigmoid"], "bias": True},
        steps=STEPS,
        misuse=WRONG_BATCHES
        | {name: _made_residual(each) for name, each in BAD_NETWORKS.items() if "after" not in each}
        | {"hidden layers of two widths": lambda net, x, y: pc.residual((6, 5, 4, 2), np.random.default_rng(0))}
        | {"target propagation through skips": lambda net, x, y: pc.tp(net, x, y)},
    ),
    Case(
        pc,
        "convolutional",
        (5, 2),
        batch(32, 2),
        INFERRING,
        outputs=2,
        positional=((2, 3),),
        constants={"size": 4, "phi": "tanh"},
        steps=STEPS,
        misuse=WRONG_BATCHES | {name: _made_convolutional(each) for name, each in BAD_CONVOLUTIONS.items()},
        replicas=False,
    ),
]
