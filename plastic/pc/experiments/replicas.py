"""Networks of all seeds and learning rates side by side, trained by predictive coding or by backpropagation.

Replica axes are (seeds, rates): seeds have their own initial weights and batches, rates share them.
"""

import itertools

import numpy as np

from plastic import classifier, functions, parameters, training, xp
from plastic.evaluations import best_of
from plastic.optimizers import SGD
from plastic.parameters import Affine
from plastic.pc.experiments.learning import updates_of
from plastic.pc.networks import Network, predict

RULES = ("pc", "bp")
SEEDS = (1, 2, 3)  # as many as published
LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are (ITU-R 601-2)."""


def networks(sizes, phi, seeds, rates, draw, counted=None):
    """Return a network without biases with the parameters of all seeds and rates.

    rates: of all seeds, or a list for each of them. draw: draw(generator, n_in, n_out) -> W. phi, counted: see
    `Network`.
    """
    generators = [xp.generator(seed).init for seed in seeds]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        W = np.stack([draw(generator, n_in, n_out) for generator in generators])
        layers.append(Affine(xp.asarray(np.repeat(W[:, None], np.shape(rates)[-1], axis=1))))
    return Network(layers, phi, counted=counted)


def step_of(net, updates, rates):
    """Return step(batch, number) for `fit`: what all replicas learn from x (seeds, 1, batch, n_0), y (.., n_L).

    updates: see `learning.updates_of`. rates: of all seeds, or a list for each of them, as published for gradients that
    are sums over the batch: gradients being means, a rate counts as often as there are samples in the batch.
    """
    lr = xp.asarray(np.array(rates, dtype=float)[..., None, None])
    grads = parameters.zeros_like(net.parameters)

    def step(batch, number):
        x, y = batch
        for _ in updates(net, x, y, grads):
            SGD().step(net.parameters, grads, {}, lr=lr * x.shape[-2])
        return xp.max(xp.abs(net.layers[-1].W), axis=(-2, -1))  # what is not finite gets here by the next step

    return step


def train(part, net, inference, source, evaluate, *, epochs, rates, when_diverged, loss=None, kept=None):
    """Train the networks of a part of a grid by its rule, and evaluate and save them after every epoch.

    part: of `run.parts`. inference: the options of it. evaluate: evaluate(net) -> {name: (seeds, rates)}. rates: of all
    seeds, or a list for each of them. when_diverged: what of this a replica that has diverged has in metrics.csv from
    then on. loss: see `learning.updates_of`. kept: a tree of what else checkpoints are to keep.
    """
    step = step_of(net, updates_of(part.columns["rule"], inference, loss), rates)
    rates = np.broadcast_to(rates, net.replicas)
    training.fit(
        part,
        net.parameters | (kept or {}),
        source,
        step,
        steps=epochs * source.per_epoch,
        evaluate=lambda: evaluate(net),
        replicas=[
            {"replica": replica, "seed": part.seeds[seed], "rate": float(rates[seed, number])}
            for replica, (seed, number) in enumerate(np.ndindex(rates.shape))
        ],
        shape=rates.shape,
        when_diverged=when_diverged,
    )


def restore(arrays, *, phi=functions.sigmoid, counted=None, **_):
    """Return (network, predict) of all seeds and rates from the arrays of a checkpoint; see `plastic.load`.

    The networks are those of the best epoch of each where there was a validation set.
    predict(x) takes images (batch, ...) of the host to outputs (seeds, rates, batch, classes).
    """
    arrays = best_of(arrays)
    count = sum(name.startswith("layers/") for name in arrays)
    net = Network([Affine(xp.asarray(arrays[f"layers/{k}/W"])) for k in range(count)], phi, counted=counted)
    return net, lambda x: xp.asnumpy(predict(net, flat(classifier.given(x))))


def flat(x):
    """Return images (n, ...) as rows; those in three colours (n, rows, columns, 3) in grey, as published."""
    if x.ndim == 4 and x.shape[-1] == len(LUMA):
        x = x @ xp.asarray(LUMA, dtype=x.dtype)
    return x.reshape(len(x), -1)
