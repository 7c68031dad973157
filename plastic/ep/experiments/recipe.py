"""Do EP and BPTT agree in sign? Twenty mini-batches, each the first of a fresh shuffle, with the initial weights."""

from typing import Literal

import numpy as np

from plastic import parameters, runs, xp
from plastic.ep.curves import connections, sign_agreement
from plastic.ep.experiments import figures
from plastic.ep.experiments.images import Images
from plastic.ep.experiments.options import SPELLINGS, NetworkOptions, Phases, folder_name
from plastic.errors import Diverged

TRIALS = 20
_COLUMNS = ("total", "same_sign", "both_zero")


@runs.experiment(
    "ep", draw=figures.SIGNS, readable=folder_name, seeds=False, dtype="float64", resume=False, spellings=SPELLINGS
)
def recipe(
    run,
    *,
    network: NetworkOptions,
    phases: Phases,
    images: Images,
    nudging: Literal["one-sided", "random-sign", "centered"] = "one-sided",
):
    """Count how often the updates of EP and the gradients of BPTT agree in sign, over 20 batches (also spelt receipe).

    All is before training. BPTT goes back Kmax + 1 steps, in convolutional nets and the toy model Kmax, as in training.
    Sizes and channels are given from the output backwards, as in the paper. The run folder, results/ep/recipe-...,
    gets config.json, metrics.csv, arrays.h5 and a figure. float64 is the default, since differences are divided by a
    small beta.

    Args:
        nudging: one-sided as published; random-sign (the sign of beta is drawn for each batch); or centered (two
            nudged phases, with beta and -beta).
    """
    network = network.complete()
    phases.require(network)
    samples = images.load(network)
    shape = samples.train[0].shape[1:]
    run.fill(size_tab=network.size_tab, dt=network.dt, input_shape=shape)
    (generator,) = run.generators()
    net = network.build(generator.init, shape)
    run.begin()
    rule, rows = phases.rules(network, nudging), []
    with np.errstate(all="ignore"):  # what is not finite is told below
        for trial in range(1, TRIALS + 1):
            x, y = images.first_batch(samples, network.sizes[0], generator.shuffle)
            sign = 1 - 2 * int(generator.noise.integers(2)) if nudging == "random-sign" else 1
            ep, _ = rule["EP"](net, x, y, beta=sign * phases.beta)
            bptt, _ = rule["BPTT"](net, x, y)
            N, D = dict(parameters.leaves(bptt)), dict(parameters.leaves(ep))
            if not all(xp.asnumpy(xp.all(xp.isfinite(leaf))) for leaf in (*N.values(), *D.values())):
                raise Diverged(f"trial {trial} diverged with beta {phases.beta} and dt {network.dt}; change them")
            for label, path in connections(net):
                p1, p2 = sign_agreement(N[path], D[path])
                rows.append({"trial": trial, "array": label, "total": p1 + p2, "same_sign": p1, "both_zero": p2})
    run.log(rows)
    for label, _ in connections(net):
        of_label = [row for row in rows if row["array"] == label]
        run.save_arrays({f"{column}/{label}": np.array([row[column] for row in of_label]) for column in _COLUMNS})
    return _report(rows)


def _report(rows):
    """Return lines on every trial, then mean and standard deviation over the trials."""
    lines = ["per cent of the synapses in which EP and BPTT agree: in all (same sign, both zero)"]
    for trial in range(1, TRIALS + 1):
        own = [row for row in rows if row["trial"] == trial]
        parts = [f"{row['array']} {row['total']:.1f} ({row['same_sign']:.1f}, {row['both_zero']:.1f})" for row in own]
        lines.append(f"{trial:3}  {'   '.join(parts)}")
    for label in dict.fromkeys(row["array"] for row in rows):
        of_label = [row for row in rows if row["array"] == label]
        mean, std = ({k: f([row[k] for row in of_label]) for k in _COLUMNS} for f in (np.mean, np.std))
        parts = ", ".join(f"{name.replace('_', ' ')} {mean[name]:.1f} +- {std[name]:.1f}" for name in _COLUMNS)
        lines.append(f"{label}: {parts}")
    return lines
