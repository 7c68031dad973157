"""Training of classifiers by predictive coding and by backpropagation, all seeds and learning rates side by side.

Replica axes are (seeds, rates): seeds have their own initial weights and batches, rates share them.
"""

import itertools

import numpy as np

from plastic import data, parameters, xp
from plastic.functions import classification_error, one_hot
from plastic.optimizers import SGD
from plastic.parameters import Affine
from plastic.pc import rules
from plastic.pc.networks import Network, predict

_CHUNK = 1000  # samples evaluated at once


def network(sizes, phi, seeds, rates, draw, counted=None):
    """Return a network without biases with parameters of all seeds and rates; draw(generator, n_in, n_out) -> W.

    phi, counted: see `Network`.
    """
    generators = [xp.generator(seed).init for seed in seeds]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        W = np.stack([draw(generator, n_in, n_out) for generator in generators])
        layers.append(Affine(xp.asarray(np.repeat(W[:, None], len(rates), axis=1))))
    return Network(layers, phi, counted=counted)


class Learner:
    """A network that learns by a rule, with its own rate for each replica.

    rule: "pc" or "bp".    rates: numbers, as published for gradients that are sums over the batch: gradients being
    means, a rate counts as often as there are samples in the batch.    T, gamma, discount: of inference.
    """

    def __init__(self, network, rule, rates, T, gamma, discount):
        self.network, self.rule = network, getattr(rules, rule)
        self.inference = {"T": T, "gamma": gamma, "discount": discount} if rule == "pc" else {}
        self.rates = xp.asarray(np.reshape(np.array(rates, dtype=float), (-1, 1, 1)))
        self.grads = parameters.zeros_like(network.parameters)

    def learn(self, x, y):
        """Update the weights by one batch, x (seeds, 1, batch, n_0), y (seeds, 1, batch, n_L)."""
        grads, _ = self.rule(self.network, x, y, **self.inference, out=self.grads)
        SGD().step(self.network.parameters, grads, {}, lr=self.rates * x.shape[-2])

    def errors(self, x, y):
        """Return the classification error (seeds, rates) on x (seeds or 1, 1, N, n_0), y alike, one-hot."""
        n = x.shape[-2]
        wrong = 0
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            output = predict(self.network, x[..., part, :])
            wrong = wrong + classification_error(output, y[..., part, :]) * output.shape[-2]
        return wrong / n


def images(dataset, dtype):
    """Return {"train": (x, labels), "test": (x, labels)} of a data set, x host arrays (N, n_0)."""
    found = data.load(dataset, dtype=dtype)
    return {name: (x.reshape(len(x), -1), y) for name, (x, y) in (("train", found.train), ("test", found.test))}


def some_of_each(generator, labels, count, classes=None):
    """Return the indices of `count` samples of each class, drawn at random, in the order of the set.

    As published, a class that has no more than `count` loses one sample.
    """
    chosen = []
    for label in np.unique(labels) if classes is None else classes:
        members = np.flatnonzero(labels == label)
        chosen.append(generator.permutation(members)[: min(count, len(members) - 1)])
    return np.sort(np.concatenate(chosen))


def put(x, labels, classes):
    """Return host arrays x (seeds, n, n_0), labels (seeds, n) as x (seeds, 1, n, n_0) and one-hot y of the backend."""
    x, labels = xp.asarray(x), xp.asarray(labels)
    return x[:, None], one_hot(labels.reshape(-1), classes).reshape(*labels.shape, classes)[:, None]


def halves(learner, x, y):
    """Return {"test_error", "validation_error", "held_out_error"}: of the whole set, of its first and its second half.

    The published practice selects rates by the error on the test set. Beside it, rates can be selected on the first
    half and reported on the second.
    """
    middle = x.shape[-2] // 2
    first, second = (learner.errors(x[..., part, :], y[..., part, :]) for part in (slice(middle), slice(middle, None)))
    whole = (first * middle + second * (x.shape[-2] - middle)) / x.shape[-2]
    return {"test_error": whole, "validation_error": first, "held_out_error": second}


def rows(found, seeds, rates, clock):
    """Return rows of metrics.csv from {metric: (seeds, rates)}."""
    found = {name: np.asarray(xp.asnumpy(values)) for name, values in found.items()}
    return [
        clock | {"seed": seed, "rate": rate} | {name: float(values[s, r]) for name, values in found.items()}
        for s, seed in enumerate(seeds)
        for r, rate in enumerate(rates)
    ]


def epoch(learner, x, y, generators, batch, batches=None):
    """Learn from a set once, in an order of each seed's own.

    x, y: as `put` gives them, one set for each seed or one for all. generators: of the seeds. batch: samples; the last
    batch may be smaller. batches: how many are taken; None for all.
    """
    order = np.stack([generator.permutation(x.shape[-2]) for generator in generators])
    seeds = xp.arange(len(generators))[:, None] if len(x) > 1 else 0
    for start in range(0, order.shape[1], batch)[:batches]:
        chosen = xp.asarray(order[:, start : start + batch])
        learner.learn(x[seeds, 0, chosen][:, None], y[seeds, 0, chosen][:, None])
