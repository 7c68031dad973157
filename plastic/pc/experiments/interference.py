"""Interference on 1-1-2: what happens to an output that was right while another is learned (Fig. 3a and 3d)."""

import numpy as np

from plastic import require, xp
from plastic.check import target_alignment
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.pc.networks import predict

GRIDS = {
    "paper": {"rates": (0.2, 0.1, 0.05, 0.01, 0.005), "iterations": 2048},
    "quick": {"rates": (0.2, 0.1, 0.05), "iterations": 256},
}
TARGET = (0.0, 1.0)
FIRST = (3.0, 2.75, 2.5, 2.25, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.1, 0.075, 0.05, 0.025, 0.01, 0.0075, 0.005)
"""Learning rates of which the first step alone is shown (base-112-lr-first-pc, -bp)."""


@pairs.experiment(
    draw={"interference": figures.interference, "interference_first": figures.interference_first},
    readable="{grid}",
    seed=None,
    seeds=False,
)
def interference(
    run, *, grid: Grid = "paper", rates: Rates = None, iterations: int | None = None, inference: Inference
):
    """Learn one output of a linear net 1-1-2 while the other is right already (Song et al. 2024, Fig. 3a and 3d).

    All weights are 1 and so is the input; the target is (0, 1), so out1 is right and out0 is not. BP disturbs out1
    much more than predictive coding (PC) does, whatever the rate. Nothing is random: rates are the replicas. The run
    folder, results/pc/interference-..., gets config.json, metrics.csv (a row per rule and rate), arrays.h5 and figures:
    the paths of the outputs; and where the first step leads at 19 rates from 0.005 to 3, on a map of the loss
    (base-112-heatmap, base-112-lr-first). base-112 is the first 64 iterations at rate 0.2, base-112-lr the other rates
    (its 0.5, which is not plotted, is left out). Precision is float64, since the net is tiny.

    Args:
        grid: paper (rates 0.2, 0.1, 0.05, 0.01, 0.005; 2048 iterations) or quick (the first three; 256); the options
            after it replace what it says.
        rates: learning rates.
        iterations: updates from the one pair.
    """
    rules = inference.rules()
    rates, iterations = of_grid(run, GRIDS[grid], rates=rates, iterations=iterations)
    require.counts(iterations=iterations)
    run.begin()
    arrays, rows = {"rates": np.array(rates), "target": np.array(TARGET), "first_rates": np.array(FIRST)}, []
    for name, rule in rules.items():
        outputs, straight = _outputs(rule, rates, iterations)
        pairs.require_sound(name, [f"rate {rate:g}" for rate in rates], [outputs], straight, "rates")
        arrays[f"outputs/{name}"] = outputs
        arrays[f"first/{name}"] = _outputs(rule, FIRST, 1)[0][:, 1]
        rows += [
            {"replica": replica, "rule": name, "rate": rate} | _summary(outputs[replica], straight[replica])
            for replica, rate in enumerate(rates)
        ]
    run.log(rows)
    run.save_arrays(arrays)
    return [_line(name, rows) for name in rules]


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def _outputs(rule, rates, iterations):
    """Return the outputs (rates, iterations + 1, 2), before and after every update, and the first's alignment."""
    net = pairs.network([xp.asarray(np.ones((len(rates), 1, n))) for n in (1, 2)], "linear")
    x, y = xp.asarray(np.ones((1, 1))), xp.asarray(np.array([TARGET]))
    nets = pairs.learning(net, x, y, rule, pairs.column(rates), iterations)
    path = xp.stack([predict(each, x) for each in nets])
    straight = xp.asnumpy(target_alignment(path[0], path[1], y))
    return np.swapaxes(xp.asnumpy(path[..., 0, :]), 0, 1), straight


def _summary(outputs, straight):
    out1 = outputs[:, 1]
    row = {"dip": out1.min(), "dip_at": int(out1.argmin()), "out1_last": out1[-1]}
    return row | {"loss_last": 0.5 * np.sum((outputs[-1] - TARGET) ** 2), "first_alignment": straight}


def _line(name, rows):
    dips = ", ".join(f"{row['dip']:.3f} (rate {row['rate']:g})" for row in rows if row["rule"] == name)
    return f"{name.upper()}: out1, right from the start, falls to {dips}"
