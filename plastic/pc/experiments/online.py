"""Single samples and batches (Song et al. 2024, Fig. 4b, c)."""

from plastic import require
from plastic.errors import PlasticError
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Counts, Inference, Judging, Search, of_grid

GRIDS = {"paper": {"batch_sizes": (1, 8, 16, 32, 64)}, "quick": {"batch_sizes": (1, 64)}}
RATES = {
    1: (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    8: (0.01, 0.025, 0.05, 0.1),
    16: (0.0075, 0.01, 0.025, 0.05),
    32: (0.005, 0.0075, 0.01, 0.025, 0.05),
    64: (0.001, 0.0025, 0.005, 0.0075, 0.01),
}
"""Published learning rates by batch size."""
INFERENCE = Inference(T=64)


@images.experiment(
    draw={"online": figures.online, "confusion": figures.confusion},
    length="epochs",
    seeds=replicas.SEEDS,
    together=True,
    rate="rates",
)
def online(
    run,
    *,
    search: Search,
    batch_sizes: Counts = None,
    epochs: int = 64,
    batches: int = 200,
    judging: Judging,
    inference: Inference = INFERENCE,
):
    """Learn from single samples and from batches (Song et al. 2024, Fig. 4b, c): 784-32-32-10, sigmoid.

    An epoch is the first 200 batches of the reshuffled training set, as published. Seeds, rates and their choice are as
    in `depth`. The run folder, results/pc/online-..., gets config.json, metrics.csv, a checkpoint for each rule and
    batch size, and figures: mean and least test error by batch size, confusion matrices. The grid is all batch
    sizes of the paper, each with its own rates, or 1 and 64 only.

    Args:
        batch_sizes: of 1, 8, 16, 32, 64, instead of the grid's; others need rates.
        epochs: epochs to train.
        batches: of an epoch.
    """
    (batch_sizes,) = of_grid(run, GRIDS[search.grid], batch_sizes=batch_sizes)
    if search.rates is None and not set(batch_sizes) <= RATES.keys():
        raise PlasticError(
            f"batch_sizes are {batch_sizes}; the paper has rates for 1, 8, 16, 32, 64, others need --rates"
        )
    require.counts(epochs=epochs, batches=batches)
    require_rules(search.rules, inference, INFERENCE)
    samples = images.load(search.dataset, validation=judging.validation)
    if max(batch_sizes) > (count := len(samples.train[0])):
        raise PlasticError(f"batch_sizes are {batch_sizes}, but {samples.name} has {count} training samples")
    images.warn_of_few_steps(search.rules, inference, len(images.HIDDEN) + 1)
    for part in run.parts([{"rule": rule, "batch_size": size} for size in batch_sizes for rule in search.rules]):
        size = part.columns["batch_size"]
        rates = run.rates or search.rates or RATES[size]
        net = images.small(samples, run.seeds, rates)
        images.train(part, samples, net, inference, rates=rates, epochs=epochs, batch_size=size, batches=batches)
    return best_rate.report(run, ("mean", "min"))
