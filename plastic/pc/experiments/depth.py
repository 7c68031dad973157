"""Networks of different depth on little data (Song et al. 2024, Fig. 3f to h)."""

import functools
from typing import Literal

from plastic import require
from plastic.errors import PlasticError
from plastic.pc.experiments import best_rate, figures, images, pairs, replicas
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Counts, Inference, Judging, Search, of_grid

GRIDS = {
    "paper": {
        "depths": (1, 2, 4, 6, 8, 10, 12, 14, 15),
        "rates": (5, 1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6),
    },
    "quick": {"depths": (2, 6, 10, 15), "rates": (1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4)},
}
WIDTH, BATCH_SIZE = 64, 60


def restore(arrays, *, activation, **_):
    """Return (network, predict) of all seeds and rates from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes images (batch, ...) of the host, scaled as in training, to outputs (seeds, rates, batch, n_L).
    """
    return replicas.restore(arrays, phi=activation)


@images.experiment(
    draw={"depth": figures.depth, "depth_curves": figures.depth_curves, "confusion": figures.confusion},
    restore=restore,
    length="epochs",
    seeds=replicas.SEEDS,
)
def depth(
    run,
    *,
    search: Search,
    depths: Counts = None,
    task: Literal["classification", "regression"] = "classification",
    activation: Literal["linear", "sigmoid", "tanh", "relu", "leaky"] = "leaky",
    init: Literal["xavier-uniform", "xavier-normal"] = "xavier-normal",
    epochs: int = 64,
    per_class: int = 60,
    judging: Judging,
    inference: Inference,
):
    """Learn from 60 images of a class with networks of different depth (Song et al. 2024, Fig. 3f to h).

    Layers of 64 leaky rectifiers; 64 epochs of ten batches of 60. All rules train from the same initial weights on the
    same batches, for all seeds and rates at once, and are tested after each epoch. As published, a rate is chosen for
    each rule by the error on the test set; beside it stands the same choice by the first half of that set, reported on
    the second. A replica that diverges has the error 1. The run folder, results/pc/depth-..., gets config.json,
    metrics.csv, a checkpoint for each rule and depth, and figures: the mean test error over the epochs at the best
    rate, by depth; the errors over the epochs at all rates in the deepest networks; and confusion matrices. Layers
    deeper than T below the output learn nothing.

    With --task=regression the target is the image itself, and half the squared error of an image takes the place of
    the error (of one that diverges it is not a number). Published (base-regression-pc, -bp, whose measure is the loss
    in training) with 600 images of a class.

    Args:
        depths: numbers of weight matrices, instead of the grid's.
        task: classification, or regression of the images themselves.
        activation: of the hidden layers. The gains of the initial weights are those of `alignment`.
        init: initial weights.
        epochs: epochs to train.
        per_class: training images of a class.
    """
    depths, rates = of_grid(run, GRIDS[search.grid], depths=depths, rates=search.rates)
    require.counts(epochs=epochs, per_class=per_class)
    require_rules(search.rules, inference, phi=activation)
    if judging.validation and task == "regression":
        raise PlasticError("validation is for classification, but task is regression; leave it out")
    samples = images.load(search.dataset, per_class, validation=judging.validation)
    run.expect(len(run.seeds) * len(rates) * max(depths) * WIDTH**2, depths=depths)
    images.warn_of_few_steps(search.rules, inference, max(depths))
    draw = functools.partial(pairs.INITS[init], gain=pairs.GAINS[activation])
    outputs = images.CLASSES if task == "classification" else samples.train[0].shape[1]
    given = {"rates": rates, "epochs": epochs, "batch_size": BATCH_SIZE, "counts": (per_class, None), "task": task}
    for part in run.parts([{"rule": rule, "depth": value} for value in depths for rule in search.rules]):
        sizes = (samples.train[0].shape[1], *[WIDTH] * (part.columns["depth"] - 1), outputs)
        net = replicas.networks(sizes, activation, run.seeds, rates, draw)
        images.train(part, samples, net, inference, **given)
    return best_rate.report(run, ("mean",), "error" if task == "classification" else "loss")
