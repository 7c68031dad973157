"""Few images of a class (Song et al. 2024, Fig. 4h)."""

from plastic import require
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.learning import require_rules, squared
from plastic.pc.experiments.options import Counts, Inference, Judging, Search, of_grid

GRIDS = {
    "paper": {
        "per_class": (60, 300, 600, 3000, 6000),
        "rates": (0.1, 0.075, 0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 7.5e-5)
        + (5e-5, 2.5e-5, 1e-5),
    },
    "quick": {"per_class": (60, 300), "rates": (0.1, 0.05, 0.025, 0.01, 0.005)},
}
BATCH_SIZE = 60
INFERENCE = Inference(T=64, gamma=1.0)


@images.experiment(
    draw={"smalldata": figures.smalldata, "confusion": figures.confusion},
    length="epochs",
    seeds=replicas.SEEDS,
    together=True,
    rate="rates",
)
def smalldata(
    run,
    *,
    search: Search,
    per_class: Counts = None,
    same_test: bool = True,
    width: int = images.HIDDEN[0],
    loss_coefficient: float = 0.5,
    epochs: int = 64,
    judging: Judging,
    inference: Inference = INFERENCE,
):
    """Learn from few images of a class (Song et al. 2024, Fig. 4h): 784-32-32-10, sigmoid, batches of 60.

    Seeds, rates and their choice are as in `depth`. The run folder, results/pc/smalldata-..., gets config.json,
    metrics.csv, a checkpoint for each rule and number of images, and figures: the least test error at the best rate, by
    the number of images, and confusion matrices. The seventeen rates of the grid, from 0.1 to 1e-5, are
    evenly spaced by our reading.

    Args:
        per_class: training images of a class, instead of the grid's.
        same_test: test on as many images of a class as are trained on, as published, which each seed draws for itself,
            or on as many as there are; --nosame_test takes all.
        width: units of each of the two hidden layers; 8, 32 and 128 are published.
        loss_coefficient: of the squared error of the output, in the energy too; 0.5 and 1 are published.
        epochs: epochs to train.
    """
    per_class, rates = of_grid(run, GRIDS[search.grid], per_class=per_class, rates=search.rates)
    require.counts(epochs=epochs, width=width)
    require.number("loss_coefficient", loss_coefficient, above=0)
    loss = squared(loss_coefficient)
    require_rules(search.rules, inference, INFERENCE, loss=loss)
    samples = images.load(search.dataset, max(per_class), validation=judging.validation)
    images.warn_of_few_steps(search.rules, inference, len(images.HIDDEN) + 1)
    given = {"rates": rates, "epochs": epochs, "batch_size": BATCH_SIZE, "loss": loss}
    for part in run.parts([{"rule": rule, "per_class": count} for count in per_class for rule in search.rules]):
        count, net = part.columns["per_class"], images.small(samples, run.seeds, rates, width)
        images.train(part, samples, net, inference, counts=(count, count if same_test else None), **given)
    return best_rate.report(run, ("min",))
