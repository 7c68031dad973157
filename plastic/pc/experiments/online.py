"""Single samples and batches (Song et al. 2024, Fig. 4b, c)."""

from typing import Literal

from plastic import functions
from plastic.errors import PlasticError
from plastic.initializers import xavier_uniform
from plastic.pc.experiments import best_rate, figures, images, options, replicas
from plastic.runs import experiment

GRIDS = {"paper": {"batch_sizes": (1, 8, 16, 32, 64)}, "quick": {"batch_sizes": (1, 64)}}
RATES = {
    1: (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    8: (0.01, 0.025, 0.05, 0.1),
    16: (0.0075, 0.01, 0.025, 0.05),
    32: (0.005, 0.0075, 0.01, 0.025, 0.05),
    64: (0.001, 0.0025, 0.005, 0.0075, 0.01),
}
"""Published learning rates by batch size."""
HIDDEN = (32, 32)


def restore(arrays, **_):
    """Return (network, predict) of all seeds and rates; see `plastic.load`."""
    return replicas.loaded(arrays, functions.sigmoid)


@experiment(
    "pc",
    draw={"online": figures.online},
    restore=restore,
    length="epochs",
    readable=images.readable,
    seeds=(1, 2, 3),  # as many as published
)
def online(
    run,
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
):
    """Learn from single samples and from batches (Song et al. 2024, Fig. 4b, c): 784-32-32-10, sigmoid.

    An epoch is the first 200 batches of the reshuffled training set, as published. Seeds, rates and their choice are as
    in `depth`. The run folder, results/pc/online-..., gets config.json, metrics.csv, a checkpoint for each rule and
    batch size, and a figure: mean and least test error by batch size.

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
    """
    rules = options.Inference(T, gamma, discount).rules()
    (batch_sizes,) = options.of_grid(run, GRIDS[grid], batch_sizes=batch_sizes)
    options.require_different("numbers of samples, at least 1 each", "batch_sizes", batch_sizes)
    if rates is not None:
        options.require_rates(rates=rates)
    elif not set(batch_sizes) <= RATES.keys():
        raise PlasticError(
            f"batch_sizes are {batch_sizes}; the paper has rates for 1, 8, 16, 32, 64, others need --rates"
        )
    options.require_counts(epochs=epochs, batches=batches)
    samples = images.load(dataset)
    images.warn_of_few_steps(T, len(HIDDEN) + 1)
    sizes = (samples.train[0].shape[1], *HIDDEN, images.CLASSES)
    for part in run.parts([{"rule": rule, "batch_size": size} for size in batch_sizes for rule in replicas.RULES]):
        rule, size = part.columns["rule"], part.columns["batch_size"]
        tried = rates or RATES[size]
        net = replicas.networks(sizes, functions.sigmoid, run.seeds, tried, xavier_uniform)
        images.train(
            part,
            samples,
            net,
            rules[rule],
            rates=tried,
            seeds=run.seeds,
            epochs=epochs,
            batch_size=size,
            batches=batches,
        )
    return best_rate.report(run.metrics(), ("mean", "min"), "batch_size", batch_sizes)
