"""Convolutional networks whose weights move at every step of inference (Song et al. 2024, Fig. 4i)."""

import itertools

import numpy as np

from plastic import classifier, parameters, require, training, xp
from plastic.data.sources import Batches
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of
from plastic.functions import one_hot
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.pc.convolutions import ConvolutionalNetwork, convolutional
from plastic.pc.experiments import figures, images, replicas
from plastic.pc.experiments.best_rate import best, lost_parts, warn_of_chance
from plastic.pc.experiments.learning import NAMES, require_rules, updates_of
from plastic.pc.experiments.options import Inference, Judging, Search, of_grid
from plastic.pc.networks import predict

GRIDS = {
    "paper": {"rates": (2.5e-4, 1e-4, 7.5e-5, 5e-5, 2.5e-5, 1e-5), "epochs": 80},
    "quick": {"rates": (1e-4,), "epochs": 2},
}
CHANNELS, HIDDEN = (64, 128), 512
WEIGHT_DECAY = 0.01
RULES = ("ipc", "repeated_bp", "bp_published")
INFERENCE, SEARCH = Inference(T=16, gamma=0.5), Search(rules=RULES, dataset="CIFAR-10")
_CHUNK = 500  # images tested at once


def restore(arrays, *, rule="", channels=CHANNELS, **_):
    """Return (network, predict) from the arrays of a checkpoint, of the best epoch where there was a validation set.

    predict(x) takes images (batch, rows, columns[, channels]) of the host, scaled as in training, to outputs (batch,
    classes).
    """
    arrays = best_of(arrays)
    names = [f"parameters/layers/{k}" for k in range(len(channels) + 2)]
    biases = [arrays.get(f"{name}/b") for name in names]
    layers = [
        Affine(xp.asarray(arrays[f"{name}/W"]), None if b is None else xp.asarray(b))
        for name, b in zip(names, biases, strict=True)
    ]
    shape = tuple(int(n) for n in arrays["shape"])
    net = ConvolutionalNetwork(layers, "relu", shape=shape)
    return net, lambda x: xp.asnumpy(output_of(net, rule, classifier.given(x).reshape(len(x), -1)))


@images.experiment(
    draw={"cnn": figures.cnn, "confusion": figures.confusion},
    restore=restore,
    length="epochs",
    seeds=replicas.SEEDS,
)
def cnn(
    run,
    *,
    search: Search = SEARCH,
    epochs: int | None = None,
    batches: int | None = None,
    batch_size: int = 200,
    channels: tuple[int, ...] = CHANNELS,
    hidden: int = HIDDEN,
    inference: Inference = INFERENCE,
    judging: Judging,
):
    """Learn images by convolutions, with as many updates from each batch as steps of inference (Song et al. 2024, 4i).

    Two convolutions (3 x 3, stride 2, padding 1; 64 and 128 channels, no biases) and layers of 512 and 10 units,
    rectified, all U(-c, c), c = n_in^(-1/2). With ipc, predictive coding as published ("parallel" in the paper), the
    weights move at every one of T steps of inference; repeated_bp takes T steps of backpropagation on the same batch.
    Both have Adam, with the published L2 decay of 0.01 for sums over the batch. Targets are one-hot rows; an epoch
    drops its last batch where that is not full. In the published configuration of backpropagation the output is
    rectified, that of predictive coding is linear: bp_published is the former, repeated_bp the fair comparison. No
    other rules are taken here: one update from a batch would be another experiment.

    There are no replicas of a convolutional network: rules, rates and seeds come one after the other, each with a
    checkpoint of its own. The run folder, results/pc/cnn-..., gets config.json, metrics.csv and figures: the test error
    over the epochs at the best rate of each rule, chosen as in `depth`, and confusion matrices.

    Args:
        epochs: epochs to train, instead of the grid's (80, or 2).
        batches: of an epoch, the first of the reshuffled training set, as in `online`; by default as many as there are.
        batch_size: images of a batch.
        channels: of the two convolutions.
        hidden: units of the layer above.
    """
    rates, epochs = of_grid(run, GRIDS[search.grid], rates=search.rates, epochs=epochs)
    require.counts(epochs=epochs, batches=batches, batch_size=batch_size, hidden=hidden)
    rules = search.rules
    require_rules(rules, inference, INFERENCE, known=RULES)
    if not channels or min(channels) < 1:
        raise PlasticError(f"channels is {channels}; it must hold numbers of at least 1")
    samples = classifier.load(search.dataset, flat=False, validation=judging.validation)
    images.require_halves(samples)
    run.fill(dataset=samples.name)  # CIFAR-10 can be a lossy copy, whose name says so
    shape = _shape(samples)
    if batch_size > len(samples.train[0]):
        raise PlasticError(f"batch_size is {batch_size}, but there are {len(samples.train[0])} training images")
    run.expect((batch_size * 20 + 3 * hidden) * max(channels) * shape[0] * shape[1], batch_size=batch_size)
    every = itertools.product(rules, rates, run.seeds)
    for part in run.parts([{"rule": rule, "rate": rate, "seed": seed} for rule, rate, seed in every]):
        net = _network(shape, channels, (hidden, samples.classes), part.columns["seed"])
        _train(part, samples, net, epochs, (batch_size, batches), inference)
    left = {part["rule"] for part, lost in zip(run.config["parts"], lost_parts(run), strict=True) if not lost}
    diverged = {rule: f"{NAMES[rule]}: diverged at every rate" for rule in rules}
    return [_line(run, rule, samples.classes) if rule in left else diverged[rule] for rule in rules]


def _shape(samples):
    """Return (rows, columns, channels) of the images, which must be square."""
    shape = samples.train[0].shape[1:]
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or shape[0] != shape[1]:
        raise PlasticError(f"dataset {samples.name} has samples of shape {shape}; square images are needed")
    return shape


def _network(shape, channels, sizes, seed):
    return convolutional((shape[2], *channels), sizes, xp.generator(seed).init, size=shape[0])


def _train(part, samples, net, epochs, size, inference):
    """Train a network by the rule of a part of the grid, tested before and after every epoch.

    size: images of a batch, and batches of an epoch or None.
    """
    batch_size, batches = size
    rule, rate, seed = (part.columns[name] for name in ("rule", "rate", "seed"))
    x, y = _rows(samples.train, samples.classes)
    order = xp.asarray(xp.generator(0).task.permutation(len(samples.test[0])))  # so that both halves have all classes
    test = [each[order] for each in _rows(samples.test, samples.classes)]
    validation = samples.validation and _rows(samples.validation, samples.classes)
    # published constants belong to sums over the batch
    adam = Adam(rate, eps=1e-8 / batch_size, weight_decay=WEIGHT_DECAY / batch_size)
    moments, tree = adam.init(net.parameters), {"parameters": net.parameters}
    evaluations = Evaluations(tree, (), samples.classes, "error", best=validation is not None)
    shape = {"shape": xp.asarray(np.array(net.shape, dtype=float))}
    source = Batches(x, y, batch_size, [xp.generator(seed).shuffle], batches)

    def measure(*some):
        return classifier.means(lambda x, y: images.classified(output_of(net, rule, x), y), *some, chunk=_CHUNK)

    def evaluate():
        found = images.judged(measure, test, validation)
        return evaluations.note({name: value[None] for name, value in found.items()})

    training.fit(
        part,
        tree | {"moments": moments} | shape | evaluations.tree,
        source,
        step_of(net, rule, adam, moments, inference),
        steps=epochs * source.per_epoch,
        evaluate=evaluate,
        replicas=[{"replica": 0, "seed": seed}],
        when_diverged=images.DIVERGED if validation is None else {"validation_error": 1.0},
    )
    evaluations.test(part, measure, test)


def _rows(split, classes):
    x, labels = split
    return x.reshape(len(x), -1), one_hot(labels, classes)


def step_of(net, rule, adam, moments, inference):
    """Return step(batch, number) for `fit`: T updates from one batch."""
    grads = parameters.zeros_like(net.parameters)
    named, loss = ("repeated_bp", _rectified) if rule == "bp_published" else (rule, None)
    updates = updates_of(named, inference, loss)

    def step(batch, number):
        for _ in updates(net, *batch, grads):
            adam.step(net.parameters, grads, moments)
        return xp.max(xp.abs(net.layers[-1].W)).reshape(1)

    return step


def _rectified(output, y):
    """Return half the squared error of the rectified output, a sum, and its gradient."""
    err = xp.where(output > 0, output - y, 0)
    return 0.5 * xp.sum((xp.maximum(output, 0) - y) ** 2), err


def output_of(net, rule, x):
    """Return the outputs of a network that learns by a rule; those of bp_published are rectified."""
    output = predict(net, x)
    return xp.maximum(output, 0) if rule == "bp_published" else output


def _line(run, rule, classes):
    metrics, arrays = run.metrics(), run.arrays()
    judged = "test" if "test_error" in metrics else "validation"
    found = best(metrics, "min", *[f"{judged}_error"] * 2, rule=rule)
    values = found["values"]
    warn_of_chance(run, NAMES[rule], rule, values, classes)
    spread = f"{100 * values.min():.2f} to {100 * values.max():.2f}, n = {len(values)}"
    said = f"{NAMES[rule]}: least {judged} error {100 * values.mean():.2f} % ({spread}) at rate {found['rate']:g}"
    if judged == "test":
        return said
    parts = [k for k, part in enumerate(run.config["parts"]) if (part["rule"], part["rate"]) == (rule, found["rate"])]
    test = [100 * float(arrays[f"{k}/test_error"][0]) for k in parts]
    return f"{said}; test error {np.mean(test):.2f} % ({min(test):.2f} to {max(test):.2f}) once, at the best epochs"
