"""Few images of a class (Song et al. 2024, Fig. 4h)."""

from typing import Literal

from plastic import functions
from plastic.initializers import xavier_uniform
from plastic.pc.experiments import best_rate, figures, images, options, replicas
from plastic.runs import experiment

GRIDS = {
    "paper": {
        "per_class": (60, 300, 600, 3000, 6000),
        "rates": (0.1, 0.075, 0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 7.5e-5)
        + (5e-5, 2.5e-5, 1e-5),
    },
    "quick": {"per_class": (60, 300), "rates": (0.1, 0.05, 0.025, 0.01, 0.005)},
}
HIDDEN, BATCH_SIZE = (32, 32), 60


def restore(arrays, **_):
    """Return (network, predict) of all seeds and rates; see `plastic.load`."""
    return replicas.loaded(arrays, functions.sigmoid)


@experiment(
    "pc",
    draw={"smalldata": figures.smalldata},
    restore=restore,
    length="epochs",
    readable=images.readable,
    seeds=(1, 2, 3),  # as many as published
)
def smalldata(
    run,
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
):
    """Learn from few images of a class (Song et al. 2024, Fig. 4h): 784-32-32-10, sigmoid, batches of 60.

    Seeds, rates and their choice are as in `depth`. The run folder, results/pc/smalldata-..., gets config.json,
    metrics.csv, a checkpoint for each rule and number of images, and a figure: the least test error at the best rate,
    by the number of images.

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
    """
    rules = options.Inference(T, gamma, discount).rules()
    per_class, rates = options.of_grid(run, GRIDS[grid], per_class=per_class, rates=rates)
    options.require_different("numbers of images of a class, at least 1 each", "per_class", per_class)
    options.require_rates(rates=rates)
    options.require_counts(epochs=epochs)
    samples = images.load(dataset)
    images.warn_of_few_steps(T, len(HIDDEN) + 1)
    sizes = (samples.train[0].shape[1], *HIDDEN, images.CLASSES)
    for part in run.parts([{"rule": rule, "per_class": count} for count in per_class for rule in replicas.RULES]):
        rule, count = part.columns["rule"], part.columns["per_class"]
        net = replicas.networks(sizes, functions.sigmoid, run.seeds, rates, xavier_uniform)
        images.train(
            part,
            samples,
            net,
            rules[rule],
            rates=rates,
            seeds=run.seeds,
            epochs=epochs,
            batch_size=BATCH_SIZE,
            per_class=count,
            test_per_class=count if same_test else None,
        )
    return best_rate.report(run.metrics(), ("min",), "per_class", per_class)
