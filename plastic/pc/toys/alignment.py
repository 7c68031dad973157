"""Target alignment against depth (Song et al. 2024, Fig. 3e and Extended Data): the command."""

from typing import Literal

import numpy as np

from plastic import xp
from plastic.check import target_alignment
from plastic.errors import PlasticError
from plastic.pc.networks import predict
from plastic.pc.rules import tp
from plastic.pc.toys import setting

GRIDS = {
    "paper": {"depths": tuple(range(1, 26)), "seeds": 27},
    "quick": {"depths": (1, 2, 5, 10, 15), "seeds": 5},
}


def alignment(
    *,
    grid: Literal["paper", "quick"] = "paper",
    depths: tuple[int, ...] | None = None,
    T: int = 512,
    activation: Literal["linear", "sigmoid", "tanh", "relu", "leaky"] = "linear",
    init: Literal["xavier-uniform", "xavier-normal", "orthogonal"] = "xavier-uniform",
    gain: float | None = None,
    tp: bool = False,
    width: int = 64,
    rate: float = 0.001,
    gamma: float = 0.1,
    discount: float = 0.5,
    seed: int = 0,
    seeds: tuple[int, ...] | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
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

    Args:
        grid: paper (depths 1 to 25, 27 seeds) or quick (1, 2, 5, 10, 15; 5 seeds); the options after it replace what
            it says.
        depths: numbers of weight matrices.
        T: steps of inference; W moves at the last.
        activation: of the hidden layers.
        init: initial weights.
        gain: factor of the initial weights; by default 1, of tanh 5/3, of relu 2^(1/2).
        tp: target propagation by pseudo-inverses too, for linear nets; it is unstable from some four layers on.
        width: units of every layer.
        rate: learning rate.
        gamma: rate of inference.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        seed: the first seed; the others follow it.
        seeds: the seeds themselves; replaces seed.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64, since an update of 0.001 is compared with the output.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    if options["gain"] is None:
        options["gain"] = setting.GAINS[activation]
    setting.check(options)
    setting.check_values(options, "depths", "numbers of layers, at least 1 each")
    if tp and activation != "linear":
        raise PlasticError(f"tp is for linear nets, but activation is {activation}; leave one of them out")
    readable = f"{grid}-{activation}-{init}-T{T}-{setting.seeds_text(options)}"
    return setting.measured("alignment", options, readable, measure, _report)


def measure(options):
    """Return (rows, arrays): alignment/<rule> (seeds, depths)."""
    depth = max(options["depths"])
    W, x, y = setting.draw(options["seeds"], options["width"], depth, options["init"], options["gain"])
    phi, rules = setting.ACTIVATIONS[options["activation"]], setting.rules_of(options)
    rules |= {"tp": tp} if options["tp"] else {}
    found = {name: [] for name in rules}
    for depth in options["depths"]:
        net = setting.network(W[:depth], phi)
        before = predict(net, x)
        for name, rule in rules.items():
            after = predict(setting.moved(net, rule(net, x, y)[0], options["rate"]), x)
            found[name].append(target_alignment(before, after, y))
    arrays = {f"alignment/{name}": xp.asnumpy(xp.stack(each, axis=-1)) for name, each in found.items()}
    rows = [
        {"replica": replica, "seed": seed, "rule": name, "depth": depth, "target_alignment": value, "angle": angle}
        for name in rules
        for column, depth in enumerate(options["depths"])
        for replica, seed in enumerate(options["seeds"])
        for value in [arrays[f"alignment/{name}"][replica, column]]
        for angle in [float(np.degrees(np.arccos(np.clip(value, -1, 1))))]
    ]
    return rows, arrays | {"depths": np.array(options["depths"])}


def _report(run, arrays):
    depths = run.options["depths"]
    shown = [depth for depth in (1, 2, 5, 10, 15, 20, 25) if depth in depths] or depths
    for name, label in {"pc": "PC", "bp": "BP", "tp": "TP"}.items():
        if f"alignment/{name}" in arrays:
            means = arrays[f"alignment/{name}"].mean(axis=0)
            text = ", ".join(f"{means[depths.index(depth)]:.3f} ({depth})" for depth in shown)
            print(f"{label}: mean target alignment by the number of layers: {text}")
