"""The path of learning on 1-2-2 (Song et al. 2024, Extended Data): the command."""

from typing import Literal

import numpy as np

from plastic import xp
from plastic.functions import linear
from plastic.pc.networks import predict
from plastic.pc.toys import setting

GRIDS = {"paper": {"small_iterations": 150}, "quick": {"small_iterations": 60}}
V, TARGET = (1.0, 2.0), (1.0, 1.0)
"""The second weights, which do not learn, and the target."""


def trajectory(
    *,
    grid: Literal["paper", "quick"] = "paper",
    rate_pc: float = 1.3969543147208123,
    rate_bp: float = 0.4,
    iterations: int = 15,
    small_rate: float = 0.05,
    small_iterations: int | None = None,
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.8,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
):
    """Follow two weights while they learn one pair, on the loss they descend (Song et al. 2024, Extended Data).

    hidden_i = w_i x, out_i = v_i hidden_i, with x = 1, v = (1, 2) fixed, w = 0 at first, and the target (1, 1). At
    rates whose first steps are equally long, BP overshoots along the stiff weight and zigzags (out2 to 1.6), and
    predictive coding (PC) goes almost straight. Both have a second run at one small rate, BP as the gradient flow.
    Nothing is random. The run folder, results/pc/trajectory-..., gets config.json, metrics.csv (a row per rule and
    rate), arrays.h5 and a figure. Published as traj-pc, traj-bp, traj-small-lr-pc, traj-small-lr-bp, and the same
    with -output.

    Args:
        grid: paper (150 iterations at the small rate) or quick (60).
        rate_pc: learning rate of PC.
        rate_bp: learning rate of BP.
        iterations: updates at these rates.
        small_rate: of both rules.
        small_iterations: updates at the small rate; by default what the grid says.
        T: steps of inference per update; W moves at the last.
        gamma: rate of inference.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64, since the net is tiny and rounding decides when gamma shrinks.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    setting.check(options)
    return setting.measured("trajectory", options, options["grid"], measure, _report)


def measure(options):
    """Return (rows, arrays): w/<rule>/<matched | small> and outputs/... (iterations + 1, 2)."""
    x, y = xp.asarray(np.ones((1, 1))), xp.asarray(np.array([TARGET]))
    net = setting.network([xp.asarray(np.zeros((1, 2))), xp.asarray(np.diag(V))], linear)
    rows, arrays = [], {"v": np.array(V), "target": np.array(TARGET)}
    for name, rule in setting.rules_of(options).items():
        runs = {
            "matched": (options[f"rate_{name}"], options["iterations"]),
            "small": (options["small_rate"], options["small_iterations"]),
        }
        for kind, (rate, iterations) in runs.items():
            w, outputs = _path(net, x, y, rule, rate, iterations)
            length, displacement = (float(xp.asnumpy(each)) for each in path_length(w))
            w, outputs = xp.asnumpy(w)[:, 0], xp.asnumpy(outputs)[:, 0]
            arrays |= {f"w/{name}/{kind}": w, f"outputs/{name}/{kind}": outputs}
            row = {"rule": name, "kind": kind, "rate": rate, "first_step": float(np.linalg.norm(w[1] - w[0]))}
            row |= {"path_length": length, "displacement": displacement, "out2_largest": outputs[:, 1].max()}
            rows.append(row | {"loss_last": 0.5 * float(np.sum((outputs[-1] - TARGET) ** 2))})
    return rows, arrays


def _path(net, x, y, rule, rate, iterations):
    w, outputs = [], []
    for each in setting.learning(net, x, y, rule, rate, iterations, trained=slice(1)):
        w.append(each.layers[0].W.copy())
        outputs.append(predict(each, x))
    return xp.stack(w), xp.stack(outputs)


def path_length(path):
    """Return the length of a path (steps + 1, ..., n_in, n_out) of weights, and the distance of its ends."""
    legs = path[1:] - path[:-1]
    length = xp.sum(xp.sqrt(xp.sum(legs * legs, axis=(-2, -1))), axis=0)
    whole = path[-1] - path[0]
    return length, xp.sqrt(xp.sum(whole * whole, axis=(-2, -1)))


def _report(run, _):
    rows = run.metrics()
    for k, kind in enumerate(rows["kind"]):
        label = f"{rows['rule'][k].upper()}, {kind} rate {rows['rate'][k]:.3g}"
        ratio = rows["path_length"][k] / rows["displacement"][k]
        print(f"{label}: out2 rises to {rows['out2_largest'][k]:.2f}; the path is {ratio:.3f} times its span")
