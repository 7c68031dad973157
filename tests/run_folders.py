"""Run folders for tests of what reads many of them, made in milliseconds."""

import numpy as np

from plastic import runs

PNG = b"\x89PNG\r\n\x1a\n" + b"not much of a picture"


def made(place, rows=(), /, status="finished", family="toy", experiment="descent", name="", details=None, **options):
    """Make a run folder below a place, with rows of metrics.csv; return its path."""
    with runs.Run.create(place, family, experiment, options, name) as run:
        if rows:
            run.log(list(rows))
        if status != "running":
            run.status(status, **(details or {}))
        else:
            run.close()
    return run.folder


def learning(errors, seeds=(1,), **columns):
    """Rows of training: the error of each seed at each epoch, (epochs, seeds)."""
    errors = np.asarray(errors, dtype=float).reshape(-1, len(seeds))
    return [
        {"step": 10 * epoch, "epoch": float(epoch), "replica": replica, "seed": seed} | columns | {"test_error": error}
        for epoch, row in enumerate(errors)
        for replica, (seed, error) in enumerate(zip(seeds, row, strict=True))
    ]
