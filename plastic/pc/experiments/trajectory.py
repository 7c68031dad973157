"""The path of weights and outputs during learning on 1-2-2 (Song et al. 2024, Extended Data)."""

import numpy as np

from plastic import require, xp
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, of_grid
from plastic.pc.measures import path_length
from plastic.pc.networks import predict

GRIDS = {"paper": {"small_iterations": 150}, "quick": {"small_iterations": 60}}
LAYERS, V, TARGET = 2, (1.0, 2.0), (1.0, 1.0)
"""Of weights; the second ones, which do not learn; and the target."""
INFERENCE = Inference(discount=0.8)


@pairs.experiment(draw={"trajectory": figures.trajectory}, readable="{grid}", seed=None, seeds=False)
def trajectory(
    run,
    *,
    grid: Grid = "paper",
    rate_pc: float = 1.3969543147208123,
    rate_bp: float = 0.4,
    iterations: int = 15,
    small_rate: float = 0.05,
    small_iterations: int | None = None,
    learn_last: bool = False,
    inference: Inference = INFERENCE,
):
    """Follow two weights while they learn one pair, on the loss they descend (Song et al. 2024, Extended Data).

    hidden_i = w_i x, out_i = v_i hidden_i, with x = 1, v = (1, 2) fixed, w = 0 at first, and the target (1, 1). At
    rates whose first steps are equally long, BP overshoots along the stiff weight and zigzags (out2 to 1.6), and
    predictive coding (PC) goes almost straight. Both have a second run at one small rate, BP as the gradient flow.
    Nothing is random. The run folder, results/pc/trajectory-..., gets config.json, metrics.csv (a row per rule and
    rate), arrays.h5 and a figure. Published as traj-pc, traj-bp, traj-small-lr-pc, traj-small-lr-bp, and the same
    with -output. Precision is float64, since the net is tiny.

    Args:
        grid: paper (150 iterations at the small rate) or quick (60).
        rate_pc: learning rate of PC.
        rate_bp: learning rate of BP.
        iterations: updates at these rates.
        small_rate: of both rules.
        small_iterations: updates at the small rate; by default what the grid says.
        learn_last: v learns too, as in the published traj-output-learn_last, with --rate_pc=0.4 --iterations=10.
    """
    rules = inference.rules()
    (small_iterations,) = of_grid(run, GRIDS[grid], small_iterations=small_iterations)
    for name, rate in (("rate_pc", rate_pc), ("rate_bp", rate_bp), ("small_rate", small_rate)):
        require.number(name, rate, above=0)
    require.counts(iterations=iterations, small_iterations=small_iterations)
    inference.require_reach(LAYERS)
    run.begin()
    arrays, rows = {"v": np.array(V), "target": np.array(TARGET)}, []
    for name, matched in {"pc": ("rate_pc", rate_pc), "bp": ("rate_bp", rate_bp)}.items():
        small = "small_rate", small_rate
        for kind, (option, rate), count in (("matched", matched, iterations), ("small", small, small_iterations)):
            w, outputs, row = _path(rules[name], rate, count, learn_last)
            ratio = np.array(row["path_length"] / row["displacement"] if row["displacement"] else np.nan)
            pairs.require_sound(name, [f"{option} {rate:g}"], [w[None], outputs[None]], ratio[None], option)
            arrays |= {f"w/{name}/{kind}": w, f"outputs/{name}/{kind}": outputs}
            rows.append({"rule": name, "kind": kind, "rate": rate} | row)
    run.log(rows)
    run.save_arrays(arrays)
    return [_line(row) for row in rows]


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def _path(rule, rate, iterations, learn_last):
    """Return the path of w and of the outputs (iterations + 1, 2), and what metrics.csv says of them."""
    x, y = xp.asarray(np.ones((1, 1))), xp.asarray(np.array([TARGET]))
    net = pairs.network([xp.asarray(np.zeros((1, 2))), xp.asarray(np.diag(V))], "linear")
    w, outputs = [], []
    for each in pairs.learning(net, x, y, rule, rate, iterations, trained=slice(2 if learn_last else 1)):
        each.layers[1].W *= xp.asarray(np.eye(2))  # output i hears of hidden i alone
        w.append(each.layers[0].W.copy())
        outputs.append(predict(each, x))
    length, displacement = (float(xp.asnumpy(each)) for each in path_length(xp.stack(w)))
    w, outputs = xp.asnumpy(xp.stack(w))[:, 0], xp.asnumpy(xp.stack(outputs))[:, 0]
    row = {"first_step": float(np.linalg.norm(w[1] - w[0])), "path_length": length, "displacement": displacement}
    row |= {"out2_largest": outputs[:, 1].max(), "loss_last": 0.5 * float(np.sum((outputs[-1] - TARGET) ** 2))}
    return w, outputs, row


def _line(row):
    ratio = row["path_length"] / row["displacement"]
    rises = f"out2 rises to {row['out2_largest']:.4g}; the path is {ratio:.3f} times its span"
    return f"{row['rule'].upper()}, {row['kind']} rate {row['rate']:.3g}: {rises}"
