"""Do EP and BPTT agree in sign? Twenty mini-batches, each the first of a fresh shuffle, with the initial weights."""

from typing import Literal

import numpy as np

from plastic import parameters, runs, xp
from plastic.ep import rules
from plastic.ep.experiments import figures, network_options
from plastic.ep.experiments.images import Images
from plastic.ep.experiments.network_options import NetworkOptions, connections
from plastic.ep.experiments.phases import Phases
from plastic.ep.experiments.spellings import SPELLINGS

TRIALS = 20
_COLUMNS = ("total", "same_sign", "both_zero")


def _readable(**options):
    return network_options.folder_name("EP+BPTT", **options)


@runs.experiment(
    "ep",
    draw={"signs": figures.signs},
    readable=_readable,
    seeds=False,
    dtype="float64",
    resume=False,
    spellings=SPELLINGS,
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

    All is before training. BPTT goes back Kmax + 1 steps, in convolutional nets Kmax, as in training. Sizes and
    channels are given from the output backwards, as in the paper. The run folder, results/ep/recipe-..., gets
    config.json, metrics.csv, arrays.h5 and a figure. float64 is the default, since differences are divided by a small
    beta.

    Args:
        nudging: one-sided as published; random-sign (the sign of beta is drawn for each batch); or centered (two
            nudged phases, with beta and -beta).
    """
    network = network.complete()
    network.require_images()
    phases.require()
    samples = images.load(network)
    shape = samples.train[0].shape[1:]
    run.fill(size_tab=network.size_tab, dt=network.dt, input_shape=shape)
    (generator,) = run.generators()
    net = network.build(generator.init, shape)
    run.begin()
    T, K, tolerance, centered = phases.T, phases.Kmax, phases.tolerance, nudging == "centered"
    rows = []
    with np.errstate(all="ignore"):  # what is not finite has no sign, and agrees with nothing
        for trial in range(1, TRIALS + 1):
            x, y = images.first_batch(samples, network.sizes[0], generator.shuffle)
            sign = 1 - 2 * int(generator.noise.integers(2)) if nudging == "random-sign" else 1
            beta = sign * phases.beta
            ep, _ = rules.eqprop(net, x, y, T=T, K=K, beta=beta, centered=centered, tolerance=tolerance)
            bptt, _ = rules.bptt(net, x, y, T=T, steps=phases.steps_back(network), tolerance=tolerance)
            N, D = dict(parameters.leaves(bptt)), dict(parameters.leaves(ep))
            for label, path in connections(net):
                p1, p2 = sign_agreement(N[path], D[path])
                rows.append({"trial": trial, "array": label, "total": p1 + p2, "same_sign": p1, "both_zero": p2})
    run.log(rows)
    run.save_arrays(
        {
            f"{column}/{label}": np.array([row[column] for row in rows if row["array"] == label])
            for label, _ in connections(net)
            for column in _COLUMNS
        }
    )
    return _report(rows)


def sign_agreement(N, D):
    """Return (p1, p2) of a gradient N and an update D, both signed to be subtracted, in per cent of their entries.

    p1: the same sign, neither being 0. p2: both are 0.
    """
    same = (xp.sign(N) == xp.sign(D)) & (N != 0)
    shares = xp.stack([xp.mean(each.astype(N.dtype)) for each in (same, (N == 0) & (D == 0))])
    return tuple(float(share) for share in xp.asnumpy(100 * shares))


def _report(rows):
    """Return lines on every trial, then mean and standard deviation over the trials."""
    lines = ["per cent of the synapses in which EP and BPTT agree: in all (same sign, both zero)"]
    for trial in range(1, TRIALS + 1):
        parts = [_shown(row) for row in rows if row["trial"] == trial]
        lines.append(f"{trial:3}  {'   '.join(parts)}")
    for label in dict.fromkeys(row["array"] for row in rows):
        of_label = [row for row in rows if row["array"] == label]
        mean, std = ({k: f([row[k] for row in of_label]) for k in _COLUMNS} for f in (np.mean, np.std))
        parts = ", ".join(f"{name.replace('_', ' ')} {mean[name]:.1f} +- {std[name]:.1f}" for name in _COLUMNS)
        lines.append(f"{label}: {parts}")
    return lines


def _shown(row):
    return f"{row['array']} {row['total']:.1f} ({row['same_sign']:.1f}, {row['both_zero']:.1f})"
