"""The networks for speech as the published code draws them, and what is learned of them."""

import numpy as np

from plastic import initializers, parameters, xp
from plastic.eprop import bidirectional
from plastic.eprop.bidirectional import BidirectionalNetwork
from plastic.eprop.spiking import Neurons, decay
from plastic.parameters import Affine


def drawn(generator, n_in, n_out, told):
    """Return the tree of all arrays of a network that the published code would draw, for `network`.

    {"layers": [{"forward", "backward": weights}], "readout": Affine, "tau_v", "tau_a": (layers, 2, 1, n)}, the time
    constants in ms, of spiking cells only.

    n_in, n_out: numbers of inputs and outputs. told: what the run is told, a `Speech`.
    """
    cells, draw = told.cells, _spiking_cells if told.model == "lsnn" else _cells_of_a_kernel
    widths = [n_in] + [2 * cells.n] * (cells.n_layer - 1)
    layers = [{name: draw(generator, width, told) for name in ("forward", "backward")} for width in widths]
    seen = 2 * cells.n * (cells.n_layer if told.readout.loss_from_all_layers else 1)
    W = generator.standard_normal((seen, n_out)) / np.sqrt(seen)
    tree = {"layers": layers, "readout": Affine(W, np.zeros((1, n_out)) if told.readout.readout_bias else None)}
    if told.model == "lsnn":
        shape = (cells.n_layer, 2, 1, cells.n)
        for name in ("tau_v", "tau_a"):
            halved = generator.random(shape) < 0.5
            spread = np.where(halved, 0.5, 1.0) if getattr(cells, f"{name}_spread") else np.ones(shape)
            tree[name] = getattr(cells, name) * spread
    return parameters.map(xp.asarray, tree)


def network(arrays, told):
    """Return the `BidirectionalNetwork` of a tree of `arrays` like that of `drawn`, whose weights are its own.

    told: what the run is told, a `Speech`.
    """
    layers = []
    for number, layer in enumerate(arrays["layers"]):
        pair = []
        for k, weights in enumerate((layer["forward"], layer["backward"])):
            if told.model != "lsnn":
                w = [weights.get(name) for name in ("w_i", "w_f", "w_o")]
                pair.append(bidirectional.cells(kernel=weights["kernel"], w=w, gates=told.model == "lstm"))
            else:
                neurons = _neurons(told.cells, arrays["tau_v"][number, k], arrays["tau_a"][number, k])
                pair.append(bidirectional.cells(neurons, **weights))
        layers.append(tuple(pair))
    return BidirectionalNetwork(
        layers,
        arrays["readout"],
        steps=told.cells.n_repeat,
        kappa=decay(told.readout.tau_out) if told.readout.psp_out else 0.0,
        filter_first=told.task == "ctc",
        all_layers=told.readout.loss_from_all_layers,
    )


def learned(tree, told):
    """Return what learns of a `tree` like the parameters of a network: all, unless an option says otherwise.

    told: what the run is told, a `Speech`.
    """
    if not told.readout.cell_train:
        return {"readout": tree["readout"]}
    frozen = () if told.model != "lsnn" or told.cells.rec else ("W_rec",)
    layers = [
        {
            name: {path: leaf for path, leaf in weights.items() if leaf is not None and path not in frozen}
            for name, weights in layer.items()
        }
        for layer in tree["layers"]
    ]
    return {"layers": layers, "readout": tree["readout"]}


def feedback(generator, shape, told):
    """Return B of random or adaptive feedback as the published code draws it, an array of this `shape`, or None.

    Random feedback is N(0, 1), adaptive N(0, 1) / sqrt(m), m its rows; all are 1 / sqrt(m) with the option BAglobal.
    told: what the run is told, a `Speech`.
    """
    if told.eprop not in ("random", "adaptive"):
        return None
    scale = shape[0] ** -0.5
    if told.readout.BAglobal:
        return xp.asarray(np.full(shape, scale))
    return xp.asarray(generator.standard_normal(shape) * (1.0 if told.eprop == "random" else scale))


def _spiking_cells(generator, n_in, told):
    n = told.cells.n
    W_in, W_rec = (generator.standard_normal((m, n)) / np.sqrt(m) for m in (n_in, n))
    return {"W_in": W_in, "W_rec": W_rec if told.cells.rec else np.zeros((n, n))}


def _cells_of_a_kernel(generator, n_in, told):
    n, scale = told.cells.n, told.cells.init_scale
    shape = (n_in + n, 4 * n if told.model == "lstm" else n)
    W = generator.uniform(-scale, scale, shape) if scale else initializers.xavier_uniform(generator, *shape)
    found = {"kernel": Affine(W, np.zeros((1, shape[1])))}
    if told.peephole:
        bound = scale or np.sqrt(3 / n)
        found |= {name: generator.uniform(-bound, bound, (1, n)) for name in ("w_i", "w_f", "w_o")}
    return found


def _neurons(cells, tau_v, tau_a):
    """Return the constants of the neurons with these time constants (1, n).

    thr and beta are those of the published code, for an input gain of 1 - alpha; with the gain of 1 used here they are
    thr / (1 - alpha) and beta (1 - rho) / (1 - alpha).
    """
    alpha, rho = xp.exp(-1 / tau_v), xp.exp(-1 / tau_a)
    adaptive = xp.asarray((np.arange(cells.n) >= cells.n_regular)[None], dtype=xp.float_dtype)
    theta, beta = cells.thr / (1 - alpha), cells.beta * (1 - rho) / (1 - alpha) * adaptive
    return Neurons(alpha, theta, rho, beta, cells.dampening_factor, n_ref=cells.n_ref, unmasked=True)
