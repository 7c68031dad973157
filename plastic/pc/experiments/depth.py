"""Networks of different depth on little data (Song et al. 2024, Fig. 3f to h)."""

import functools
from typing import Literal

from plastic import functions
from plastic.initializers import xavier_normal
from plastic.pc.experiments import best_rate, figures, images, options, replicas
from plastic.runs import experiment

GRIDS = {
    "paper": {
        "depths": (1, 2, 4, 6, 8, 10, 12, 14, 15),
        "rates": (5, 1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6),
    },
    "quick": {"depths": (2, 6, 10, 15), "rates": (0.1, 0.05, 0.01, 0.005, 0.001)},
}
WIDTH, BATCH_SIZE, PER_CLASS = 64, 60, 60
GAIN = 0.9999000099990001
"""As published: the gain for a leaky rectifier with a slope of 0.01, miscalculated."""


def restore(arrays, **_):
    """Return (network, predict) of all seeds and rates; see `plastic.load`."""
    return replicas.loaded(arrays, functions.leaky)


@experiment(
    "pc",
    draw={"depth": figures.depth},
    restore=restore,
    length="epochs",
    readable=images.readable,
    seeds=(1, 2, 3),  # as many as published
)
def depth(
    run,
    *,
    grid: Literal["paper", "quick"] = "paper",
    depths: tuple[int, ...] | None = None,
    rates: tuple[float, ...] | None = None,
    dataset: str = "FMNIST",
    epochs: int = 64,
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.5,
):
    """Learn from 60 images of a class with networks of different depth (Song et al. 2024, Fig. 3f to h).

    Layers of 64 leaky rectifiers; 64 epochs of ten batches of 60. Both rules train from the same initial weights on the
    same batches, for all seeds and rates at once, and are tested after each epoch. As published, a rate is chosen for
    each rule by the error on the test set; beside it stands the same choice by the first half of that set, reported on
    the second. A replica that diverges has the error 1. The run folder, results/pc/depth-..., gets config.json,
    metrics.csv, a checkpoint for each rule and depth, and a figure: the mean test error over the epochs at the best
    rate, by depth.

    Args:
        grid: the depths and rates of the paper, or a part of them that shows the effect.
        depths: numbers of weight matrices, instead of the grid's.
        rates: learning rates, instead of the grid's.
        dataset: FMNIST or another set of images in ten classes.
        epochs: epochs to train.
        T: steps of inference; the weights move in the last. Layers deeper than T below the output learn nothing.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
    """
    rules = options.Inference(T, gamma, discount).rules()
    depths, rates = options.of_grid(run, GRIDS[grid], depths=depths, rates=rates)
    options.require_different("numbers of layers, at least 1 each", "depths", depths)
    options.require_rates(rates=rates)
    options.require_counts(epochs=epochs)
    samples = images.load(dataset)
    run.expect(len(run.seeds) * len(rates) * max(depths) * WIDTH**2, depths=depths)
    images.warn_of_few_steps(T, max(depths))
    for part in run.parts([{"rule": rule, "depth": value} for value in depths for rule in replicas.RULES]):
        rule, layers = part.columns["rule"], part.columns["depth"]
        sizes = (samples.train[0].shape[1], *[WIDTH] * (layers - 1), images.CLASSES)
        draw = functools.partial(xavier_normal, gain=GAIN)
        net = replicas.networks(sizes, functions.leaky, run.seeds, rates, draw)
        images.train(
            part,
            samples,
            net,
            rules[rule],
            rates=rates,
            seeds=run.seeds,
            epochs=epochs,
            batch_size=BATCH_SIZE,
            per_class=PER_CLASS,
        )
    return best_rate.report(run.metrics(), ("mean",), "depth", depths)
