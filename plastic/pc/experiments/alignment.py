"""Target alignment against depth: how straight one update moves the output to the target (Fig. 3e, Extended Data)."""

from typing import Literal

import numpy as np

from plastic import require, xp
from plastic.check import target_alignment
from plastic.errors import PlasticError
from plastic.pc import rules
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Counts, Grid, Inference, of_grid
from plastic.pc.networks import predict

GRIDS = {"paper": {"depths": tuple(range(1, 26)), "seeds": 27}, "quick": {"depths": (1, 2, 5, 10, 15), "seeds": 5}}
INFERENCE = Inference(T=512)


@pairs.experiment(draw={"alignment": figures.alignment}, readable="{grid}-{activation}-{init}-T{T}-{seeds}")
def alignment(
    run,
    *,
    grid: Grid = "paper",
    depths: Counts = None,
    activation: Literal["linear", "sigmoid", "tanh", "relu", "leaky"] = "linear",
    init: Literal["xavier-uniform", "xavier-normal", "orthogonal"] = "xavier-uniform",
    gain: float | None = None,
    tp: bool = False,
    width: int = 64,
    batch_size: int = 1,
    rate: float = 0.001,
    inference: Inference = INFERENCE,
):
    """Ask how straight one update moves the output towards the target, in nets of 1 to 25 layers (Fig. 3e).

    One pair of input and target, both N(0, 1), one update: the target alignment is cos(o' - o, y - o), o and o' the
    output before and after. BP's falls with depth, that of predictive coding (PC) little. The run folder,
    results/pc/alignment-..., gets config.json, metrics.csv (a row per rule, depth and seed), arrays.h5 and a figure.
    The defaults are base-depth-width-linear-angle; other published studies are

        base-depth, base-depth-tp    --T=128 --depths=1,2,4,6,8,10,12,14,15 --seeds=0,1,2, with --tp
        base-depth-acf               the same with --activation=tanh
        base-depth-orth-init         the same with --init=orthogonal and 30 seeds; --rate=0.01 too

    With T = 128 steps of inference, as there, deep nets are far from equilibrium, which helps PC: its alignment falls
    with T from about 15 layers on. Seeds of a depth share their first layers with those of other depths, and the pair.
    Precision is float64, since an update of 0.001 is compared with the output.

    Args:
        grid: paper (depths 1 to 25, 27 seeds from --seed on) or quick (1, 2, 5, 10, 15; 5 seeds); depths and seeds
            replace what it says.
        depths: numbers of weight matrices.
        activation: of the hidden layers.
        init: initial weights.
        gain: factor of the initial weights; by default 1, of tanh 5/3, of relu 2^(1/2).
        tp: target propagation by pseudo-inverses too, for linear nets; it is unstable from some four layers on.
        width: units of every layer.
        batch_size: pairs of input and target, whose alignments are averaged; 1 and 64 are published.
        rate: learning rate, of sums over a batch.
    """
    compared = inference.rules() | ({"tp": rules.tp} if tp else {})
    (depths,) = of_grid(run, GRIDS[grid], depths=depths)
    gain = pairs.GAINS[activation] if gain is None else gain
    run.fill(gain=gain)
    require.counts(width=width, batch_size=batch_size)
    require.number("rate", rate, above=0)
    require.number("gain", gain, above=0)
    if tp and activation != "linear":
        raise PlasticError(f"tp is for linear nets, but activation is {activation}; leave one of them out")
    run.expect(len(run.seeds) * max(depths) * width * (width + batch_size), depths=depths, width=width)
    run.begin()
    drawn = pairs.draw(run.seeds, width, max(depths), init, gain, batch_size)
    found = _alignments(run.seeds, drawn, activation, depths, compared, rate)
    run.log(
        [
            {"replica": replica, "seed": seed, "rule": name, "depth": depth}
            | {"target_alignment": values[replica, column], "angle": _degrees(values[replica, column])}
            for name, values in found.items()
            for column, depth in enumerate(depths)
            for replica, seed in enumerate(run.seeds)
        ]
    )
    run.save_arrays({f"alignment/{name}": values for name, values in found.items()} | {"depths": np.array(depths)})
    return [_line(name, values.mean(axis=0), depths) for name, values in found.items()]


@np.errstate(all="ignore")  # a net that diverges is told by its numbers
def _alignments(seeds, drawn, activation, depths, compared, rate):
    """Return {rule: target alignment (seeds, depths)}."""
    W, x, y = drawn
    found = {name: [] for name in compared}
    for depth in depths:
        net = pairs.network(W[:depth], activation)
        before = predict(net, x)
        for name, rule in compared.items():
            after = predict(pairs.moved(net, rule(net, x, y)[0], rate * x.shape[-2]), x)
            found[name].append(target_alignment(before, after, y))
            names = [f"depth {depth}, seed {seed}" for seed in seeds]
            pairs.require_sound(name, names, [after], found[name][-1], "rate", "gain", power=1)
    return {name: xp.asnumpy(xp.stack(each, axis=-1)) for name, each in found.items()}


def _degrees(cosine):
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _line(name, means, depths):
    few = len(depths) <= 9
    shown = [depth for depth in sorted(depths) if few or depth in (1, 2, 5, 10, 15, 20, 25)] or depths
    text = ", ".join(f"{means[depths.index(depth)]:.3f} ({depth})" for depth in shown)
    return f"{name.upper()}: mean target alignment by the number of layers: {text}"
