"""Do EP and BPTT agree in sign? Twenty mini-batches, each the first of a fresh shuffle, with the initial weights."""

import numpy as np

from plastic import parameters, xp
from plastic.ep import rules, task
from plastic.ep.plotcurves import batch

TRIALS = 20
_COLUMNS = ("total", "same_sign", "both_zero")


def agreement(network, x, y, options, beta):
    """Return {label: (p1, p2)} for every weight matrix, in per cent of its entries.

    p1: EP's update and BPTT's gradient descent have the same sign, neither being 0. p2: both are 0.

    Args:
        network: the network.
        x, y: a batch, as the rules take it.
        options: those of the command: T, Kmax, tolerance and nudging.
        beta: strength of the nudge.
    """
    common = {"T": options["T"], "tolerance": options["tolerance"]}
    centered = options["nudging"] == "centered"
    ep, _ = rules.eqprop(network, x, y, K=options["Kmax"], beta=beta, centered=centered, **common)
    bptt, _ = rules.bptt(network, x, y, steps=task.truncation(options), **common)
    D, N = dict(parameters.leaves(ep)), dict(parameters.leaves(bptt))
    return {label: sign_agreement(N[path], D[path]) for label, path in task.connections(network)}


def sign_agreement(N, D):
    """Return (p1, p2) of two arrays N and D; see `agreement`."""
    same = (xp.sign(N) == xp.sign(D)) & (N != 0)
    shares = xp.stack([xp.mean(each.astype(N.dtype)) for each in (same, (N == 0) & (D == 0))])
    return tuple(float(share) for share in xp.asnumpy(100 * shares))


def measure(options):
    """Return (rows of metrics.csv, one per trial and weight matrix; arrays of arrays.h5) for the options."""
    generator = xp.generator(options["seed"])
    dataset = task.load_data(options)
    network = task.build(options, generator.init)
    rows = []
    for trial in range(1, TRIALS + 1):
        x, y = batch(options, dataset, generator.shuffle.permutation(len(dataset.train[0])))
        sign = 1 - 2 * int(generator.noise.integers(2)) if options["nudging"] == "random-sign" else 1
        for label, (p1, p2) in agreement(network, x, y, options, sign * options["beta"]).items():
            rows.append({"trial": trial, "array": label, "total": p1 + p2, "same_sign": p1, "both_zero": p2})
    arrays = {
        f"{column}/{label}": np.array([row[column] for row in rows if row["array"] == label])
        for label, _ in task.connections(network)
        for column in _COLUMNS
    }
    return rows, arrays


def report(rows):
    """Print rows: every trial, then mean and standard deviation over the trials."""
    labels = dict.fromkeys(row["array"] for row in rows)
    print("per cent of the synapses in which EP and BPTT agree: in all (same sign, both zero)")
    for trial in range(1, TRIALS + 1):
        parts = [_shown(row) for row in rows if row["trial"] == trial]
        print(f"{trial:3}  {'   '.join(parts)}")
    for label in labels:
        of_label = [row for row in rows if row["array"] == label]
        mean, std = ({k: f([row[k] for row in of_label]) for k in _COLUMNS} for f in (np.mean, np.std))
        parts = ", ".join(f"{name.replace('_', ' ')} {mean[name]:.1f} +- {std[name]:.1f}" for name in _COLUMNS)
        print(f"{label}: {parts}")


def _shown(row):
    return f"{row['array']} {row['total']:.1f} ({row['same_sign']:.1f}, {row['both_zero']:.1f})"
