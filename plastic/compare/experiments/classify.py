"""Rules side by side on samples that are seen at once."""

from plastic.compare import figures
from plastic.compare.comparison import Budget
from plastic.compare.experiments.task import compared, readable
from plastic.compare.feed_forward import RULES
from plastic.compare.samples import flat
from plastic.runs import experiment

BUDGET = Budget()


@experiment("compare", draw={"comparison": figures.comparison}, seeds=(1, 2, 3), readable=readable)
def classify(
    run,
    *,
    dataset: str = "glyphs",
    rules: tuple[str, ...] | None = None,
    budget: Budget = BUDGET,
    per_class: int | None = None,
    validation: float = 0.2,
):
    """Compare learning rules on one task, with one network and the same tuning budget for each.

    Each rule searches its learning rate on validation data, then trains with every seed at the rate found. The table
    tells test accuracy, samples to an accuracy, CPU time of a step, cosines of the updates with the exact gradient, and
    accuracy under noise. The run folder, results/compare/classify-..., gets config.json, metrics.csv, checkpoints,
    summary.md, summary.csv, page.html and a figure. On glyphs all rules take some minutes.

    Args:
        dataset: glyphs (needs no download), FMNIST, MNIST, another name of plastic.data, or an .npz file with x_train,
            y_train, x_test, y_test. Each sample is a row of numbers to the network.
        rules: some of bp, fa, dfa, kp, tp, gait, ep, pc, ipc, zil, by commas; by default all that fit the network.
        per_class: training samples of each class, the first ones of the set, validation included; by default all.
        validation: the share of the training samples by which rates are chosen, of each class the last ones.
    """
    return compared(run, RULES, dataset, rules, budget, per_class, validation, flat)
