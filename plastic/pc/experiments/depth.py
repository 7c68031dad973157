"""Networks of different depth on little data (Song et al. 2024, Fig. 3f to h)."""

import functools

from plastic import functions, require
from plastic.initializers import xavier_normal
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Counts, Inference, Search, of_grid

GRIDS = {
    "paper": {
        "depths": (1, 2, 4, 6, 8, 10, 12, 14, 15),
        "rates": (5, 1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6),
    },
    "quick": {"depths": (2, 6, 10, 15), "rates": (1, 0.5, 0.1, 0.05, 0.01, 0.005)},
}
WIDTH, BATCH_SIZE = 64, 60
GAIN = 0.9999000099990001
"""As published: the gain for a leaky rectifier with a slope of 0.01, miscalculated."""


@images.experiment(
    draw={"depth": figures.depth},
    restore=functools.partial(replicas.restore, phi=functions.leaky),
    length="epochs",
    seeds=replicas.SEEDS,
)
def depth(run, *, search: Search, depths: Counts = None, epochs: int = 64, per_class: int = 60, inference: Inference):
    """Learn from 60 images of a class with networks of different depth (Song et al. 2024, Fig. 3f to h).

    Layers of 64 leaky rectifiers; 64 epochs of ten batches of 60. Both rules train from the same initial weights on the
    same batches, for all seeds and rates at once, and are tested after each epoch. As published, a rate is chosen for
    each rule by the error on the test set; beside it stands the same choice by the first half of that set, reported on
    the second. A replica that diverges has the error 1. The run folder, results/pc/depth-..., gets config.json,
    metrics.csv, a checkpoint for each rule and depth, and a figure: the mean test error over the epochs at the best
    rate, by depth. Layers deeper than T below the output learn nothing.

    Args:
        depths: numbers of weight matrices, instead of the grid's.
        epochs: epochs to train.
        per_class: training images of a class.
    """
    depths, rates = of_grid(run, GRIDS[search.grid], depths=depths, rates=search.rates)
    require.counts(epochs=epochs, per_class=per_class)
    require_rules(search.rules, inference)
    samples = images.load(search.dataset, per_class)
    run.expect(len(run.seeds) * len(rates) * max(depths) * WIDTH**2, depths=depths)
    images.warn_of_few_steps(inference, max(depths))
    draw = functools.partial(xavier_normal, gain=GAIN)
    given = {"rates": rates, "epochs": epochs, "batch_size": BATCH_SIZE, "per_class": per_class}
    for part in run.parts([{"rule": rule, "depth": value} for value in depths for rule in search.rules]):
        sizes = (samples.train[0].shape[1], *[WIDTH] * (part.columns["depth"] - 1), images.CLASSES)
        net = replicas.networks(sizes, functions.leaky, run.seeds, rates, draw)
        images.train(part, samples, net, inference, **given)
    return best_rate.report(run, ("mean",))
