"""What is compared: learning rules by name, each with what it needs beside the weights, and the networks they train.

All rules but EP train the same feed-forward network, from the same orthogonal weights, on the same inputs, which are
centred (`plastic.compare.comparison.centred`):

    a_l = phi(a_{l-1} W_l + b_l),    phi(z) = max(z, z / 10),    output a_{L-1} W_L + b_L,    loss 1/2 |output - y|^2

It is the invertible network of GAIT-prop and TP, but that they need a square W_L: they get columns more, fixed and
orthogonal to the others, of units without a target, which nobody reads. EP has the same weights in a network that
relaxes: prototypical, its activation logistic, as without bounds its states would not come to rest.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from plastic import ep, functions, gait, initializers, pc, require, xp
from plastic.ep.wiring import FullyConnected
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree

STEPS, GAMMA = 32, 0.1
"""Steps of inference, and their rate, of PC and iPC."""
FREE, NUDGED, BETA = 30, 10, 0.5
"""Steps of the two phases of EP, centered, and the strength of the nudge."""
DECAY = 2e-3
"""The share of each weight that goes at each step of Kolen-Pollack, forward and backward."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        about: what it is, in words.
        make: make([Affine, ..]) -> net, which holds these arrays and no copies.
        predict: predict(net, x) -> output (batch, classes).
        bp: bp(net, x, y) -> (grads, output), the exact gradient of the loss, to which updates are compared.
    """

    about: str
    make: Callable[[list[Affine]], Any]
    predict: Callable[[Any, Array], Array]
    bp: Callable[[Any, Array, Array], tuple[Tree, Array]]


FEED_FORWARD = Kind("feed-forward", lambda layers: pc.Network(layers, gait.phi), pc.predict, pc.bp)
RECURRENT = Kind(
    "recurrent, relaxing; its exact gradient is that of BPTT",
    lambda layers: ep.PrototypicalNetwork(FullyConnected(layers), functions.sigm),
    lambda net, x: ep.predict(net, x, T=FREE),
    lambda net, x, y: ep.bptt(net, x, y, T=FREE, steps=FREE),
)


def nothing(net: Any, generator: np.random.Generator) -> None:
    """Draw what a rule has beside the weights: nothing."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A learning rule to be compared.

    Attributes:
        name: in tables and figures.
        gradients: gradients(net, x, y, feedback) -> (grads, output) on a batch x (batch, n_0), y (batch, classes) of
            one-hot rows. grads is a tree {"layers": [Affine(dW, db), ..]}, signed to be subtracted. It changes nothing.
            Where weights move several times for a batch it returns an iterator of such pairs, between two of which
            weights move.
        feedback: feedback(net, generator) draws the tree of arrays that the rule has beside the weights, as fixed
            random feedback; None for nothing.
        learns_feedback: whether grads hold "feedback" too, a tree like it, by which it learns.
        decay: the share of all that learns which goes after each step.
        kind: the network that it trains.
        fits: fits(sizes) -> why the rule is not for such a network, "" where it is.
    """

    name: str
    gradients: Callable[..., Any]
    feedback: Callable[[Any, np.random.Generator], Tree] = nothing
    learns_feedback: bool = False
    decay: float = 0.0
    kind: Kind = FEED_FORWARD
    fits: Callable[[tuple[int, ...]], str] = lambda sizes: ""

    def updates(self, net: Any, x: Array, y: Array, feedback: Tree) -> Iterator[tuple[Tree, Array]]:
        """Return an iterator of (grads, output), one for each time that weights move for this batch."""
        found = self.gradients(net, x, y, feedback)
        return iter([found] if isinstance(found, tuple) else found)


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


def of(rule: Any) -> Rule:
    """Return a rule, given its name in `RULES`, a `Rule`, or a function (net, x, y) -> (grads, output) of the user's.

    Raises:
        PlasticError: if it is something else.
    """
    if isinstance(rule, Rule):
        return rule
    if callable(rule):
        name = getattr(rule, "__name__", type(rule).__name__)
        return Rule(name, lambda net, x, y, feedback: rule(net, x, y))
    require.choice("a rule", rule, RULES)
    return RULES[rule]


def chosen(names: Iterable[Any] | None, sizes: tuple[int, ...]) -> dict[str, Rule]:
    """Return {name: rule} of those that are asked for; by default all that fit the network.

    Args:
        names: as for `of`, or None.
        sizes: (n_0, .., n_L).

    Raises:
        PlasticError: if one is unknown, named twice, or not for such a network.
    """
    if names is None:
        return {name: rule for name, rule in RULES.items() if not rule.fits(sizes)}
    given = list(names)
    found = {each if isinstance(each, str) else of(each).name: of(each) for each in given}
    if not found or len(found) < len(given):
        raise PlasticError(f"rules are {', '.join(found) or 'none'}; different ones are needed, at least one")
    for name, rule in found.items():
        if rule is not RULES.get(name, rule):
            raise PlasticError(f"a rule of yours is called {name}, as one of plastic.compare is; give it another name")
    for name, rule in found.items():
        if why := rule.fits(sizes):
            raise PlasticError(f"rules are {', '.join(found)}, but {name} {why}")
    return found


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
        return {"layers": [*grads["layers"][:-1], Affine(last.W[..., :classes], last.b[..., :classes])]}, output

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
    "bp": Rule("BP", lambda net, x, y, _: pc.bp(net, x, y)),
    "fa": Rule("FA", _fa, _fa_feedback),
    "dfa": Rule("DFA", lambda net, x, y, B: gait.dfa(_invertible(net), x, y, feedback=B), _dfa_feedback),
    "kp": Rule("Kolen-Pollack", _kolen_pollack, _fa_feedback, learns_feedback=True, decay=DECAY),
    "tp": Rule("TP", _by_inverses(gait.tp), _more_columns, fits=_needs_inverses),
    "gait": Rule("GAIT", _by_inverses(gait.gait), _more_columns, fits=_needs_inverses),
    "ep": Rule(
        "EP",
        lambda net, x, y, _: ep.eqprop(net, x, y, T=FREE, K=NUDGED, beta=BETA, centered=True),
        kind=RECURRENT,
    ),
    "pc": Rule("PC", lambda net, x, y, _: pc.pc(net, x, y, T=STEPS, gamma=GAMMA)),
    "ipc": Rule("iPC", _ipc),
    "zil": Rule("Z-IL", lambda net, x, y, _: pc.zil(net, x, y)),
}
"""The rules by their names on a command line."""
