"""Target alignment over what may matter for it beside depth: width, gain, rate, batch size, further updates."""

import itertools
from typing import Any, Literal

import numpy as np

from plastic import require, xp
from plastic.check import target_alignment
from plastic.errors import PlasticError
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, of_grid, require_different, require_some_of
from plastic.pc.networks import predict
from plastic.runs.record import MOST

VALUES = {
    "width": (16, 32, 64, 128, 256),
    "gain": (0.1, 0.3, 1.0, 1.5, 2.0),
    "rate": (0.05, 0.01, 0.005, 0.001, 0.0005),
    "batch_size": (1, 64, 256),
    "iteration": (1, 2, 4, 8, 16, 32, 64),
}
"""What is tried by default."""
FIXED: dict[str, Any] = {"width": 64, "rate": 0.001, "batch_size": 1}
"""What is not varied, by default."""
GRIDS = {"paper": {"seeds": 27}, "quick": {"seeds": 3}}
NAMES = {
    "width": "units of a layer",
    "gain": "factor of the usual gain",
    "rate": "learning rate",
    "batch_size": "batch size (samples)",
    "iteration": "update",
}


@pairs.experiment(draw={"alignment_over": figures.alignment_over}, readable="{over}-{layers}-layers-T{T}-{seeds}")
def alignment_over(
    run,
    *,
    over: Literal["width", "gain", "rate", "batch_size", "iteration"] = "width",
    grid: Grid = "paper",
    values: tuple[float, ...] | None = None,
    activations: tuple[str, ...] = ("linear", "tanh"),
    inits: tuple[str, ...] = ("xavier-uniform",),
    layers: int = 6,
    width: int = FIXED["width"],
    rate: float = FIXED["rate"],
    batch_size: int = FIXED["batch_size"],
    inference: Inference,
):
    """Ask what else the target alignment depends on: width, gain, rate, batch size, and the updates before.

    As in `alignment`, inputs and targets are N(0, 1) and the alignment is cos(o' - o, y - o), the mean of the samples
    of a batch; o and o' are the outputs before and after an update. Activations and initial weights stand side by
    side. Beside it stands the spread of the predictions o: the standard deviation over units and samples before the
    update, which says whether signals die out or explode on the way. Where the target is reached, after some 30
    updates, the direction of what is left is that of rounding; at large gains the states are far from rest after 128
    steps, and nearer with --solver=errors. The run folder, results/pc/alignment_over-..., gets config.json, metrics.csv
    (a row per rule, activation, init, value and seed), arrays.h5 and a figure. Published, with other values, as
    base-width-linear, base-acf-*, base-acf-init, base, base-iteration. Precision is float64, since an update of 0.001
    is compared with the output.

    Args:
        over: what is varied: width; gain, as a factor of what is usual for the activation; rate; batch_size; iteration,
            of updates on the same batch.
        grid: paper (27 seeds from --seed on) or quick (3).
        values: of what is varied; by default widths of 16 to 256, gains of 0.1 to 2, rates of 0.05 to 0.0005,
            batches of 1, 64 and 256, updates 1 to 64.
        activations: of hidden layers: linear, sigmoid, tanh, relu, leaky.
        inits: initial weights: xavier-uniform, xavier-normal, orthogonal.
        layers: weight matrices.
        width: units of every layer.
        rate: learning rate.
        batch_size: pairs of input and target.
    """
    of_grid(run, GRIDS[grid])
    values = VALUES[over] if values is None else values
    require_different("values", values)
    fixed = {"width": width, "rate": rate, "batch_size": batch_size}
    if over in fixed and fixed[over] != FIXED[over]:
        raise PlasticError(f"{over} is {fixed[over]:g}, but over is {over}: give what is tried by --values")
    if over in ("width", "batch_size", "iteration"):
        if any(value != int(value) or value >= MOST for value in values):
            raise PlasticError(f"values is {values}; each {over} is a whole number below {MOST:,}")
        values = tuple(map(int, values))
    run.fill(values=values)
    for name, given, known in (("activations", activations, pairs.GAINS), ("inits", inits, pairs.INITS)):
        require_some_of(name, given, known)
    require.counts(layers=layers, width=width, batch_size=batch_size)
    require.number("rate", rate, above=0)
    fixed |= {"gain": 1.0, "iteration": 1}
    largest = fixed | {over: max(values)}
    units = largest["width"] * (largest["width"] + 4 * largest["batch_size"])
    run.expect(len(run.seeds) * layers * units, layers=layers, values=values)
    run.begin()
    found = {}
    for name, activation, init in itertools.product(inference.rules(), activations, inits):
        key = name, activation, init
        if over == "iteration":
            found[key] = _course(run.seeds, key, inference, layers, fixed, values)
        else:
            settings = [fixed | {over: value} for value in values]
            each = [_course(run.seeds, key, inference, layers, setting, (1,)) for setting in settings]
            found[key] = np.concatenate(each, axis=-1)
    run.log(_rows(run.seeds, values, found))
    run.save_arrays({"/".join(key): each for key, each in found.items()} | {"values": np.array(values, dtype=float)})
    return [_line(key, each[0].mean(axis=0), values) for key, each in found.items()]


@np.errstate(all="ignore")  # a net that diverges is told by its numbers
def _course(seeds, key, inference, layers, setting, updates):
    """Return (target alignment, spread of predictions), each (seeds, updates), at the numbers of updates asked for."""
    name, activation, init = key
    rule = inference.rules()[name]
    gain = setting["gain"] * pairs.GAINS[activation]
    W, x, y = pairs.draw(seeds, setting["width"], layers, init, gain, setting["batch_size"])
    nets, found = pairs.learning(pairs.network(W, activation), x, y, rule, setting["rate"], max(updates)), []
    before = predict(next(nets), x)
    for update, net in enumerate(nets, 1):
        after = predict(net, x)
        if update in updates:
            found.append((target_alignment(before, after, y), xp.std(before, axis=(-2, -1))))
        before = after
    alignment, spread = (xp.asnumpy(xp.stack(each, axis=-1)) for each in zip(*found, strict=True))
    names = [f"{activation}, {init}, seed {seed}" for seed in seeds]
    pairs.require_sound(name, names, [before], alignment, "rate", "values", power=1)
    return np.stack([alignment, spread])


def _rows(seeds, values, found):
    return [
        {"replica": replica, "seed": seed, "rule": rule, "activation": activation, "init": init, "value": value}
        | {"target_alignment": each[0, replica, column], "spread": each[1, replica, column]}
        for (rule, activation, init), each in found.items()
        for column, value in enumerate(values)
        for replica, seed in enumerate(seeds)
    ]


def _line(key, means, values):
    rule, activation, init = key
    text = ", ".join(f"{mean:.3f} ({value:g})" for mean, value in zip(means, values, strict=True))
    return f"{rule.upper()}, {activation}, {init}: mean target alignment {text}"
