"""Interference on 1-1-2 (Song et al. 2024, Fig. 3a and 3d): the command."""

from typing import Literal

import numpy as np

from plastic import xp
from plastic.check import target_alignment
from plastic.functions import linear
from plastic.pc.networks import predict
from plastic.pc.toys import setting

GRIDS = {
    "paper": {"rates": (0.2, 0.1, 0.05, 0.01, 0.005), "iterations": 2048},
    "quick": {"rates": (0.2, 0.1, 0.05), "iterations": 256},
}
TARGET = (0.0, 1.0)


def interference(
    *,
    grid: Literal["paper", "quick"] = "paper",
    rates: tuple[float, ...] | None = None,
    iterations: int | None = None,
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.5,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
):
    """Learn one output of a linear net 1-1-2 while the other is right already (Song et al. 2024, Fig. 3a and 3d).

    All weights are 1 and so is the input; the target is (0, 1), so out1 is right and out0 is not. BP disturbs out1
    much more than predictive coding (PC) does, whatever the rate. Nothing is random: rates are the replicas. The run
    folder, results/pc/interference-..., gets config.json, metrics.csv (a row per rule and rate), arrays.h5 and a
    figure. base-112 is the first 64 iterations at rate 0.2, base-112-lr the other rates (its 0.5, which is not
    plotted, is left out).

    Args:
        grid: paper (rates 0.2, 0.1, 0.05, 0.01, 0.005; 2048 iterations) or quick (the first three; 256); the options
            after it replace what it says.
        rates: learning rates.
        iterations: updates from the one pair.
        T: steps of inference per update; W moves at the last.
        gamma: rate of inference.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64, since the net is tiny and rounding decides when gamma shrinks.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    setting.check(options, "rates")
    return setting.measured("interference", options, options["grid"], measure, _report)


def measure(options):
    """Return (rows, arrays): outputs/<rule> (rates, iterations + 1, 2), before and after every iteration."""
    rates, W = options["rates"], [np.ones((len(options["rates"]), 1, n)) for n in (1, 2)]
    net = setting.network([xp.asarray(each) for each in W], linear)
    x, y = xp.asarray(np.ones((1, 1))), xp.asarray(np.array([TARGET]))
    rows, arrays = [], {"rates": np.array(rates), "target": np.array(TARGET)}
    for name, rule in setting.rules_of(options).items():
        nets = setting.learning(net, x, y, rule, setting.column(rates), options["iterations"])
        path = xp.stack([predict(each, x) for each in nets])
        straight = xp.asnumpy(target_alignment(path[0], path[1], y))
        outputs = np.swapaxes(xp.asnumpy(path[..., 0, :]), 0, 1)
        arrays[f"outputs/{name}"] = outputs
        for replica, rate in enumerate(rates):
            out1 = outputs[replica, :, 1]
            row = {"rule": name, "rate": rate, "dip": out1.min(), "dip_at": int(out1.argmin()), "out1_last": out1[-1]}
            row["loss_last"] = 0.5 * np.sum((outputs[replica, -1] - TARGET) ** 2)
            rows.append({"replica": replica} | row | {"first_alignment": straight[replica]})
    return rows, arrays


def _report(run, _):
    rows = run.metrics()
    for name, label in {"pc": "PC", "bp": "BP"}.items():
        own = [k for k, rule in enumerate(rows["rule"]) if rule == name]
        dips = ", ".join(f"{rows['dip'][k]:.3f} (rate {rows['rate'][k]:g})" for k in own)
        print(f"{label}: out1, right from the start, falls to {dips}")
