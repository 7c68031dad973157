"""Rules that learn from samples seen at once: BP, FA, DFA, Kolen-Pollack, TP, GAIT-prop, EP, PC, iPC, Z-IL.

All rules but EP train the same feed-forward network, from the same orthogonal weights, on the same inputs, which are
centred (`plastic.compare.samples.centred`):

    a_l = phi(a_{l-1} W_l + b_l),    phi(z) = max(z, z / 10),    output a_{L-1} W_L + b_L,    loss 1/2 |output - y|^2

It is the invertible network of GAIT-prop and TP, but that they need a square W_L: they get columns more, fixed and
orthogonal to the others, of units without a target, which nobody reads. EP has the same weights in a network that
relaxes: prototypical, its activation logistic, as without bounds its states would not come to rest.
"""

import itertools

import numpy as np

from plastic import ep, functions, gait, initializers, pc, xp
from plastic.compare.rules import Kind, Rule
from plastic.ep.wiring import FullyConnected
from plastic.parameters import Affine
from plastic.types import Array

STEPS, GAMMA = 32, 0.1
"""Steps of inference, and their rate, of PC and iPC."""
FREE, NUDGED, BETA = 30, 10, 0.5
"""Steps of the two phases of EP, centered, and the strength of the nudge."""
DECAY = 2e-3
"""The share of each weight that goes at each step of Kolen-Pollack, forward and backward."""


def layers(sizes: tuple[int, ...], generator: np.random.Generator) -> list[Affine]:
    """Return the initial weights of all networks: orthogonal, with zero biases.

    Args:
        sizes: (n_0, .., n_L).
        generator: draws them, layer by layer.
    """
    return [
        Affine(xp.asarray(initializers.orthogonal(generator, *pair)), xp.zeros((1, pair[1]), dtype=xp.float_dtype))
        for pair in itertools.pairwise(sizes)
    ]


FEED_FORWARD = Kind("feed-forward", layers, lambda layers: pc.Network(layers, gait.phi), pc.predict, pc.bp)
RELAXING = Kind(
    "relaxing; its exact gradient is that of BPTT",
    layers,
    lambda layers: ep.PrototypicalNetwork(FullyConnected(layers), functions.sigm),
    lambda net, x: ep.predict(net, x, T=FREE),
    lambda net, x, y: ep.bptt(net, x, y, T=FREE, steps=FREE),
)


def _invertible(net: pc.Network, W_more: Array | None = None) -> gait.InvertibleNetwork:
    """Return the network for rules of `plastic.gait`; W_more: the columns by which its last layer is square."""
    *below, last = net.layers
    if W_more is not None:
        b_more = xp.zeros((1, W_more.shape[-1]), dtype=last.b.dtype)
        last = Affine(xp.concatenate([last.W, W_more], axis=-1), xp.concatenate([last.b, b_more], axis=-1))
    return gait.InvertibleNetwork([*below, last], net.sizes[0], linear_output=True)


def _more_columns(net, generator):
    """Draw orthonormal columns, orthogonal to those of W_L, that make it square."""
    W = xp.asnumpy(net.layers[-1].W).astype(np.float64)
    n, classes = W.shape
    Q, _ = np.linalg.qr(np.concatenate([W, generator.standard_normal((n, n - classes))], axis=-1))
    return xp.asarray(Q[:, classes:])


def _by_inverses(rule):
    def gradients(net, x, y, W_more):
        grads, output = rule(_invertible(net, W_more), x, y)
        last, classes = grads["layers"][-1], y.shape[-1]
        last = Affine(last.W[..., :classes], last.b[..., :classes])
        return {"layers": [*grads["layers"][:-1], last]}, output[..., :classes]

    return gradients


def _needs_inverses(sizes):
    *hidden, classes = sizes[1:]
    if len(set(hidden)) == 1 and hidden[0] >= classes:
        return ""
    return f"needs hidden layers of one width, at least the {classes} outputs: their weights have to have inverses"


def _fa_feedback(net, generator):
    return gait.fa_feedback(_invertible(net), generator)[1:]  # B_1 would send nothing


def _fa(net, x, y, B):
    return gait.fa(_invertible(net), x, y, feedback=[net.layers[0].W, *B])


def _kolen_pollack(net, x, y, B):
    """W and B get the same updates, and all decays, so that their difference goes to 0 (Kolen and Pollack 1994)."""
    grads, output = _fa(net, x, y, B)
    return grads | {"feedback": [layer.W for layer in grads["layers"][1:]]}, output


def _dfa_feedback(net, generator):
    return gait.dfa_feedback(_invertible(net), net.sizes[-1], generator)


def _ipc(net, x, y, feedback):
    state = pc.State(net, x, y, gamma=GAMMA)
    for _ in range(STEPS):
        yield pc.step(net, state, x)


RULES: dict[str, Rule] = {
    "bp": Rule("BP", FEED_FORWARD, lambda net, x, y, _: pc.bp(net, x, y)),
    "fa": Rule("FA", FEED_FORWARD, _fa, _fa_feedback),
    "dfa": Rule("DFA", FEED_FORWARD, lambda net, x, y, B: gait.dfa(_invertible(net), x, y, feedback=B), _dfa_feedback),
    "kp": Rule("Kolen-Pollack", FEED_FORWARD, _kolen_pollack, _fa_feedback, learns_feedback=True, decay=DECAY),
    "tp": Rule("TP", FEED_FORWARD, _by_inverses(gait.tp), _more_columns, fits=_needs_inverses),
    "gait": Rule("GAIT", FEED_FORWARD, _by_inverses(gait.gait), _more_columns, fits=_needs_inverses),
    "ep": Rule(
        "EP",
        RELAXING,
        lambda net, x, y, _: ep.eqprop(net, x, y, T=FREE, K=NUDGED, beta=BETA, centered=True),
    ),
    "pc": Rule("PC", FEED_FORWARD, lambda net, x, y, _: pc.pc(net, x, y, T=STEPS, gamma=GAMMA)),
    "ipc": Rule("iPC", FEED_FORWARD, _ipc),
    "zil": Rule("Z-IL", FEED_FORWARD, lambda net, x, y, _: pc.zil(net, x, y)),
}
"""The rules by their names on a command line."""
