"""The prospective index by layer (Song et al. 2024, Extended Data): the command."""

from typing import Literal

from plastic import check, xp
from plastic.errors import PlasticError
from plastic.pc.inference import State, infer, step
from plastic.pc.networks import activities
from plastic.pc.toys import setting

GRIDS = {"paper": {"seeds": 5}, "quick": {"seeds": 3}}
LAYERED = {"steps": 100, "rate": 0.01, "updates": {"w'": 1, "w*": 100}}
"""The study `layered`: steps of inference, learning rate, and how often weights move while the states are held."""


def prospective_index(
    *,
    grid: Literal["paper", "quick"] = "paper",
    layers: int = 6,
    width: int = 64,
    T: int = 128,
    activations: tuple[str, ...] = ("linear", "sigmoid"),
    rates: tuple[float, ...] = (0.1, 0.001),
    gamma: float = 0.1,
    discount: float = 0.5,
    seed: int = 0,
    seeds: tuple[int, ...] | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
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

    Args:
        grid: paper (5 seeds) or quick (3).
        layers: weight matrices.
        width: units of every layer.
        T: steps of inference in the study base; W moves at the last.
        activations: of hidden layers in the study base: linear, sigmoid, tanh, relu, leaky.
        rates: learning rates of the study base.
        gamma: rate of inference.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        seed: the first seed; the others follow it.
        seeds: the seeds themselves; replaces seed.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64, since small changes of activity are compared.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    setting.check(options, "rates")
    if layers < 2:
        raise PlasticError(f"layers is {layers}; it must be at least 2, for there to be a hidden layer")
    known = list(setting.ACTIVATIONS)
    if not activations or len(set(activations)) < len(activations) or not set(activations) <= set(known):
        raise PlasticError(f"activations is {activations}; it must hold different ones of {', '.join(known)}")
    return setting.measured("prospective_index", options, f"{grid}-{setting.seeds_text(options)}", measure, _report)


def by_layer(net, new, x, inferred):
    """Return the prospective index of every layer (..., L), of the nets before and after, and [x'_1, .., x'_L]."""
    before, after = activities(net, x), activities(new, x)
    each = [check.prospective_index(*three) for three in zip(before, inferred, after, strict=True)]
    return xp.stack(each, axis=-1)


def base(options, activation):
    """Return the index after one update at each rate, [(seeds, L)]."""
    W, x, y = _drawn(options, "xavier-uniform", setting.GAINS[activation])
    net = setting.network(W, setting.ACTIVATIONS[activation])
    state = _inferred(net, x, y, options["T"] - 1, options)
    grads, _ = step(net, state, x)
    return [by_layer(net, setting.moved(net, grads, rate), x, [*state.x_layers, y]) for rate in options["rates"]]


def layered(options, updates):
    """Return the index (seeds, L - 1) of the hidden layers after so many updates with the states held."""
    W, x, y = _drawn(options, "xavier-normal", 1.0)
    net = setting.network(W, setting.ACTIVATIONS["linear"])
    state = _inferred(net, x, y, LAYERED["steps"], options)
    start = setting.network([each.copy() for each in W], net.phi)
    for _ in range(updates):
        infer(net, state, x, 0)  # errors of the states as they are, by the new weights
        for layer, grad in zip(net.layers, state.weight_gradients()["layers"], strict=True):
            layer.W -= LAYERED["rate"] * grad.W
    return by_layer(start, net, x, [*state.x_layers, y])[..., :-1]


def _drawn(options, init, gain):
    return setting.draw(options["seeds"], options["width"], options["layers"], init, gain)


def _inferred(net, x, y, steps, options):
    state = State(net, x, y, gamma=options["gamma"], discount=options["discount"])
    infer(net, state, x, steps)
    return state


def measure(options):
    """Return (rows, arrays): base/<activation>/<rate> (seeds, L), layered/<update> (seeds, L - 1)."""
    rows, arrays = [], {}
    for activation in options["activations"]:
        for rate, index in zip(options["rates"], base(options, activation), strict=True):
            found = arrays[f"base/{activation}/{rate:g}"] = xp.asnumpy(index)
            about = {"study": "base", "activation": activation, "rate": rate, "update": "last"}
            rows += _rows(found, options, about)
    for update, count in LAYERED["updates"].items():
        found = arrays[f"layered/{update}"] = xp.asnumpy(layered(options, count))
        about = {"study": "layered", "activation": "linear", "rate": LAYERED["rate"], "update": update}
        rows += _rows(found, options, about)
    return rows, arrays


def _rows(found, options, about):
    return [
        {"replica": replica, "seed": seed} | about | {"layer": layer + 1, "prospective_index": found[replica, layer]}
        for replica, seed in enumerate(options["seeds"])
        for layer in range(found.shape[1])
    ]


def _report(_, arrays):
    for name, index in arrays.items():
        means = index.mean(axis=0)
        hidden, output = (means, "") if name.startswith("layered/") else (means[:-1], f", output {means[-1]:.3f}")
        print(f"prospective index, {name}: hidden layers {hidden.min():.4f} to {hidden.max():.4f}{output}")
