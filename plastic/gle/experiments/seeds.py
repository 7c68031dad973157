"""The seeds of a run, which are trained side by side as replicas."""

import numpy as np

from plastic import parameters


def stacked(trees):
    """Return host arrays, or trees of them, stacked along a first axis of the seeds; one alone as it is."""
    return parameters.map(lambda *arrays: np.stack(arrays), *trees) if len(trees) > 1 else trees[0]


def last_rows(run):
    """Return the rows of metrics.csv at the last step, {column: value}: one for each seed that has not diverged."""
    metrics = run.metrics()
    rows = [dict(zip(metrics, row, strict=True)) for row in zip(*metrics.values(), strict=True)]
    return [row for row in rows if row["step"] == rows[-1]["step"]]
