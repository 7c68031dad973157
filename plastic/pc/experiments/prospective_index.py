"""The prospective index: whether inference foretells the activity that learning leads to (Extended Data)."""

import numpy as np

from plastic import require, xp
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, of_grid, require_different, require_some_of
from plastic.pc.inference import infer, step
from plastic.pc.measures import prospective_indices
from plastic.pc.states import State

GRIDS = {"paper": {"seeds": 5}, "quick": {"seeds": 3}}
STEPS, RATE, UPDATES = 100, 0.01, {"w'": 1, "w*": 100}
"""The study `layered`: steps of inference, learning rate, and how often weights move while the states are held."""


@pairs.experiment(draw={"prospective_index": figures.prospective_index}, readable="{grid}-{seeds}")
def prospective_index(
    run,
    *,
    grid: Grid = "paper",
    layers: int = 6,
    width: int = 64,
    activations: tuple[str, ...] = ("linear", "sigmoid"),
    rates: tuple[float, ...] = (0.1, 0.001),
    inference: Inference,
):
    """Ask whether the activity that inference settles to foretells what learning leads to (Song et al. 2024).

    For each layer, the prospective index is cos(x'' - x, x' - x): x feed-forward activities before the update, x'
    those at the end of inference with the output at the target, x'' feed-forward activities after the update. The last
    layer is the output, x' = y: there it is the target alignment. Two studies, on one pair, both N(0, 1):

        base       one update of xavier-uniform nets (base-prospective-index, base-target-alignment); as published, x'
                   are the states after T steps of inference, W moves by those after T - 1
        layered    linear xavier-normal nets: 100 steps of inference, then the states are held while weights move once
                   (w') or 100 times (w*) at the rate 0.01; hidden layers (pc_pi_layered)

    Replicas are seeds. The run folder, results/pc/prospective_index-..., gets config.json, metrics.csv (a row per
    study, setting, layer and seed), arrays.h5 and a figure. Published base runs have 3 seeds, here 5 as in layered.
    Precision is float64, since small changes of activity are compared.

    Args:
        grid: paper (5 seeds from --seed on) or quick (3).
        layers: weight matrices.
        width: units of every layer.
        activations: of hidden layers in the study base: linear, sigmoid, tanh, relu, leaky.
        rates: learning rates of the study base.
    """
    of_grid(run, GRIDS[grid])
    require_different("rates", rates)
    require.counts(width=width)
    require.whole("layers", layers, least=2, most=STEPS)
    require_some_of("activations", activations, pairs.GAINS)
    inference.require_reach(layers)
    run.expect(len(run.seeds) * layers * width**2, layers=layers, width=width)
    run.begin()
    found, about = {}, {}
    for activation in activations:
        drawn = pairs.draw(run.seeds, width, layers, "xavier-uniform", pairs.GAINS[activation])
        for rate, (values, after) in zip(rates, base(drawn, activation, rates, inference), strict=True):
            found[name := f"base/{activation}/{rate:g}"] = values
            _require_sound(name, run.seeds, after, values, "rates")
            about[name] = {"study": "base", "activation": activation, "rate": rate, "update": "last"}
    for update, count in UPDATES.items():
        drawn = pairs.draw(run.seeds, width, layers, "xavier-normal", 1.0)
        found[name := f"layered/{update}"], after = layered(drawn, count, inference)
        _require_sound(name, run.seeds, after, found[name])
        about[name] = {"study": "layered", "activation": "linear", "rate": RATE, "update": update}
    run.log(
        [
            {"replica": replica, "seed": seed} | about[name] | {"layer": layer, "prospective_index": value}
            for name, values in found.items()
            for replica, seed in enumerate(run.seeds)
            for layer, value in enumerate(values[replica], 1)
        ]
    )
    run.save_arrays(found)
    return [_line(name, index.mean(axis=0)) for name, index in found.items()]


@np.errstate(all="ignore")  # a net that diverges is told by its numbers
def base(drawn, phi, rates, inference):
    """Return the index (seeds, L), and the net, after one update at each rate, [(index, net)]."""
    W, x, y = drawn
    net = pairs.network(W, phi)
    state = _inferred(net, x, y, inference.T - 1, inference)
    grads, _ = step(net, state, x)
    inferred = [*state.x_layers, y]
    moved = [pairs.moved(net, grads, rate) for rate in rates]
    return [(xp.asnumpy(prospective_indices(net, after, x, inferred)), after) for after in moved]


@np.errstate(all="ignore")
def layered(drawn, updates, inference):
    """Return the index (seeds, L - 1) of the hidden layers, and the net, after updates with the states held."""
    W, x, y = drawn
    net = pairs.network(W, "linear")
    state = _inferred(net, x, y, STEPS, inference)
    start = pairs.network([each.copy() for each in W], net.phi)
    for _ in range(updates):
        infer(net, state, x, 0)  # errors of the states as they are, by the new weights
        for layer, grad in zip(net.layers, state.weight_gradients()["layers"], strict=True):
            layer.W -= RATE * grad.W
    return xp.asnumpy(prospective_indices(start, net, x, [*state.x_layers, y]))[..., :-1], net


def _require_sound(name, seeds, after, index, *options):
    names = [f"{name}, seed {seed}" for seed in seeds]
    pairs.require_sound("pc", names, [layer.W for layer in after.layers], index, *options)


def _inferred(net, x, y, steps, inference):
    state = State(net, x, y, gamma=inference.gamma, discount=inference.discount)
    infer(net, state, x, steps, tolerance=inference.tolerance, solver=inference.solver)
    return state


def _line(name, means):
    hidden, output = (means, "") if name.startswith("layered/") else (means[:-1], f", output {means[-1]:.3f}")
    return f"prospective index, {name}: hidden layers {hidden.min():.4f} to {hidden.max():.4f}{output}"
