"""Rules side by side on one classification task."""

import pathlib

import numpy as np

from plastic import classifier, data, require, xp
from plastic.compare import figures, results
from plastic.compare.comparison import Budget, require_seeds, trained
from plastic.compare.rules import chosen
from plastic.errors import PlasticError
from plastic.runs import experiment


def readable(*, dataset, **_):
    """Return what the name of a run folder says."""
    return pathlib.Path(dataset).stem


@experiment("compare", draw={"comparison": figures.comparison}, seeds=(1, 2, 3), readable=readable)
def classify(
    run,
    *,
    dataset: str = "glyphs",
    rules: tuple[str, ...] | None = None,
    budget: Budget = Budget(),  # noqa: B008  it is frozen
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
    require_seeds(run.seeds)
    require.counts(per_class=per_class)
    require.number("validation", validation, above=0, below=1)
    known = data.sizes(dataset)
    if rules is not None or known is not None:  # what can be refused is, before anything is read
        chosen(rules, (known[1] if known else 1, *budget.sizes, known[2] if known else 2))
    samples = classifier.placed(_reduced(data.load(dataset, dtype=xp.float_dtype.name), per_class, validation))
    found = chosen(rules, (samples.train[0].shape[1], *budget.sizes, samples.classes))
    run.fill(rules=tuple(found))
    trained(run, found, samples, budget)
    return results.write(run)


def _reduced(dataset: data.Dataset, per_class, validation):
    """Return a data set of the first training samples of each class, with a validation set."""
    x, labels = dataset.train
    if per_class is not None:
        places = [np.flatnonzero(labels == label) for label in range(dataset.classes)]
        if (least := min(map(len, places))) < per_class:
            raise PlasticError(f"per_class is {per_class}, but {dataset.name} has a class of {least} training samples")
        kept = np.sort(np.concatenate([each[:per_class] for each in places]))
        x, labels = x[kept], labels[kept]
    arrays = {"x_train": x, "y_train": labels, "x_test": dataset.test[0], "y_test": dataset.test[1]}
    return data.assembled(dataset.name, arrays, xp.float_dtype.name, validation)
