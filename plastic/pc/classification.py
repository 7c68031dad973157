"""Learning to classify images by predictive coding and backpropagation: depth, single samples, little data (Fig. 3, 4).

Every command trains both rules from the same initial weights on the same batches, for all seeds and learning rates at
once, and tests after each epoch. As published, a rate is chosen for each rule by the error on the test set; beside it
stands the same choice by the first half of that set, reported on the second.
"""

import functools
import sys
from typing import Literal

import numpy as np

from plastic import functions, xp
from plastic.errors import PlasticError
from plastic.initializers import xavier_normal, xavier_uniform
from plastic.pc import supervised
from plastic.pc.sweep import RULES, check, print_best, run_sweep
from plastic.runs.options import check_at_least_one, resumed

SEEDS = (1, 2, 3)  # as many as published
CLASSES = 10
_LEAKY_GAIN = 0.9999000099990001  # as published: the gain for a leaky rectifier with a slope of 0.01, miscalculated


def _sweep(name, command, options, axis, values, work, summaries, layers=lambda value: 3):
    """Run a sweep over an axis; print what each rule reaches at its best rate for each value.

    values(options): those of the axis. layers(value): how many layers of weights the network then has.
    """
    if options["resume"] is not None:
        options |= resumed(command, options, "pc", name)
    check(options)
    check_at_least_one(options, "epochs", "T")
    _warn_of_few_steps(options["T"], max(map(layers, values(options))))

    def report(metrics):
        for value in dict.fromkeys(metrics[axis]):
            for rule in RULES:
                for summary in summaries:
                    print_best(metrics, summary, rule, **{axis: value})

    return run_sweep(name, options, [{axis: value} for value in values(options)], work, report)


def _rows(part, options, sets, network, rates, batch, per_class=None, test_per_class=None, batches=None):
    """Train one rule on one network; return the rows of metrics.csv, before training and after each epoch."""
    seeds = options["seeds"]
    generators = [xp.generator(seed) for seed in seeds]
    x, labels = sets["train"]
    if per_class is None:
        train_set = supervised.put(x[None], labels[None], CLASSES)
    else:
        chosen = np.stack([supervised.some_of_each(each.data, labels, per_class) for each in generators])
        train_set = supervised.put(x[chosen], labels[chosen], CLASSES)
    x, labels = sets["test"]
    if test_per_class is not None:
        chosen = supervised.some_of_each(generators[0].task, labels, test_per_class)
        x, labels = x[chosen], labels[chosen]
    order = xp.generator(0).task.permutation(len(labels))  # so that both halves have all classes
    test_set = supervised.put(x[order][None], labels[order][None], CLASSES)
    learner = supervised.Learner(network, part["rule"], rates, options["T"], options["gamma"], options["discount"])
    shuffles = [each.shuffle for each in generators]
    rows = supervised.rows(supervised.halves(learner, *test_set), seeds, rates, {"epoch": 0})
    for epoch in range(1, options["epochs"] + 1):
        supervised.epoch(learner, *train_set, shuffles, batch, batches)
        rows += supervised.rows(supervised.halves(learner, *test_set), seeds, rates, {"epoch": epoch})
    return rows


DEPTHS = {"paper": (1, 2, 4, 6, 8, 10, 12, 14, 15), "quick": (2, 6, 10, 15)}
DEPTH_RATES = {
    "paper": (5, 1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6),
    "quick": (0.1, 0.05, 0.01, 0.005, 0.001),
}


def _depths(options):
    return options["depths"] or DEPTHS[options["grid"]]


def _depth(options, sets, part):
    rates = options["rates"] or DEPTH_RATES[options["grid"]]
    sizes = (sets["train"][0].shape[1], *[64] * (part["depth"] - 1), CLASSES)
    draw = functools.partial(xavier_normal, gain=_LEAKY_GAIN)
    network = supervised.network(sizes, functions.leaky, options["seeds"], rates, draw)
    return _rows(part, options, sets, network, rates, batch=60, per_class=60)


def depth(
    *,
    grid: Literal["paper", "quick"] = "paper",
    depths: tuple[int, ...] | None = None,
    rates: tuple[float, ...] | None = None,
    dataset: str = "FMNIST",
    epochs: int = 64,
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.5,
    seeds: tuple[int, ...] = SEEDS,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Learn from 60 images of a class with networks of different depth (Song et al. 2024, Fig. 3f to h).

    Layers of 64 leaky rectifiers; 64 epochs of ten batches of 60. The run folder, results/pc/depth-..., gets
    config.json, metrics.csv and a figure: the mean test error over the epochs at the best rate, by depth.

    Args:
        grid: the depths and rates of the paper, or a part of them that shows the effect.
        depths: numbers of weight matrices, instead of the grid's.
        rates: learning rates, instead of the grid's.
        dataset: FMNIST or another set of images in ten classes.
        epochs: epochs to train.
        T: steps of inference; the weights move in the last. Layers deeper than T below the output learn nothing.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
        seeds: of initial weights and data; the replicas of each rule.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if min(depths or (1,)) < 1:
        raise PlasticError(f"depths are {depths}; they must be 1 or more")
    return _sweep("depth", depth, options, "depth", _depths, _depth, ("mean",), layers=lambda value: value)


ONLINE_RATES = {
    1: (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    8: (0.01, 0.025, 0.05, 0.1),
    16: (0.0075, 0.01, 0.025, 0.05),
    32: (0.005, 0.0075, 0.01, 0.025, 0.05),
    64: (0.001, 0.0025, 0.005, 0.0075, 0.01),
}


def _batch_sizes(options):
    return options["batch_sizes"] or {"paper": tuple(ONLINE_RATES), "quick": (1, 64)}[options["grid"]]


def _small(options, sets, rates):
    sizes = (sets["train"][0].shape[1], 32, 32, CLASSES)
    return supervised.network(sizes, functions.sigmoid, options["seeds"], rates, xavier_uniform)


def _online(options, sets, part):
    batch = part["batch_size"]
    rates = options["rates"] or ONLINE_RATES[batch]
    network = _small(options, sets, rates)
    return _rows(part, options, sets, network, rates, batch, batches=options["batches"])


def online(
    *,
    grid: Literal["paper", "quick"] = "paper",
    batch_sizes: tuple[int, ...] | None = None,
    rates: tuple[float, ...] | None = None,
    dataset: str = "FMNIST",
    epochs: int = 64,
    batches: int = 200,
    T: int = 64,
    gamma: float = 0.1,
    discount: float = 0.5,
    seeds: tuple[int, ...] = SEEDS,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Learn from single samples and from batches (Song et al. 2024, Fig. 4b, c): 784-32-32-10, sigmoid.

    An epoch is the first 200 batches of the reshuffled training set, as published. The run folder,
    results/pc/online-..., gets config.json, metrics.csv and a figure: mean and least test error by batch size.

    Args:
        grid: all batch sizes of the paper, or 1 and 64 only.
        batch_sizes: of 1, 8, 16, 32, 64, instead of the grid's; others need rates.
        rates: learning rates, instead of those that the paper has for each batch size.
        dataset: FMNIST or another set of images in ten classes.
        epochs: epochs to train.
        batches: of an epoch.
        T: steps of inference; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
        seeds: of initial weights and data; the replicas of each rule.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    sizes = batch_sizes or ()
    if any(size < 1 or (size not in ONLINE_RATES and rates is None) for size in sizes):
        raise PlasticError(f"batch_sizes are {sizes}; the paper has rates for 1, 8, 16, 32, 64, others need --rates")
    check_at_least_one(options, "batches")
    return _sweep("online", online, options, "batch_size", _batch_sizes, _online, ("mean", "min"))


DATA = {"paper": (60, 300, 600, 3000, 6000), "quick": (60, 300)}
DATA_RATES = {
    "paper": (0.1, 0.075, 0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 7.5e-5, 5e-5)
    + (2.5e-5, 1e-5),
    "quick": (0.1, 0.05, 0.025, 0.01, 0.005),
}


def _counts(options):
    return options["per_class"] or DATA[options["grid"]]


def _smalldata(options, sets, part):
    rates = options["rates"] or DATA_RATES[options["grid"]]
    count = part["per_class"]
    network = _small(options, sets, rates)
    test = count if options["same_test"] else None
    return _rows(part, options, sets, network, rates, batch=60, per_class=count, test_per_class=test)


def smalldata(
    *,
    grid: Literal["paper", "quick"] = "paper",
    per_class: tuple[int, ...] | None = None,
    rates: tuple[float, ...] | None = None,
    same_test: bool = True,
    dataset: str = "FMNIST",
    epochs: int = 64,
    T: int = 64,
    gamma: float = 1.0,
    discount: float = 0.5,
    seeds: tuple[int, ...] = SEEDS,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Learn from few images of a class (Song et al. 2024, Fig. 4h): 784-32-32-10, sigmoid, batches of 60.

    The run folder, results/pc/smalldata-..., gets config.json, metrics.csv and a figure: the least test error at the
    best rate, by the number of images.

    Args:
        grid: the numbers of images and rates of the paper (the seventeen rates from 0.1 to 1e-5 are evenly spaced by
            our reading), or a part of them that shows the effect.
        per_class: training images of a class, instead of the grid's.
        rates: learning rates, instead of the grid's.
        same_test: test on as many images of a class as are trained on, as published; --nosame_test takes all.
        dataset: FMNIST or another set of images in ten classes.
        epochs: epochs to train.
        T: steps of inference; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
        seeds: of initial weights and data; the replicas of each rule.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if min(per_class or (1,)) < 1:
        raise PlasticError(f"per_class is {per_class}; there must be 1 or more images of a class")
    return _sweep("smalldata", smalldata, options, "per_class", _counts, _smalldata, ("min",))


def _warn_of_few_steps(T, deepest):
    if T < deepest:
        print(
            f"warning: T is {T}, but the deepest network has {deepest} layers of weights: an error needs that many "
            f"steps to get down, and {deepest - T} layers learn nothing",
            file=sys.stderr,
        )
