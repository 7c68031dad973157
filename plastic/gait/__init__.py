"""GAIT-prop and target propagation on invertible networks, with backpropagation and feedback alignment beside them.

    net = gait.square((784, 784, 784), generator)            # or gait.tower((784, 784, 500, 200, 10), generator)
    output = gait.predict(net, x, classes=10)
    grads, output = gait.gait(net, x, y, gamma=1e-3)         # or gait.bp, gait.tp, gait.fa, gait.dfa
    state = optimizer.init(net.parameters)
    optimizer.step(net.parameters, grads, state)
    check.cosine(grads, gait.bp(net, x, y)[0])

`gait.regulariser` has the soft orthogonality under which GAIT-prop follows backpropagation.

Ahmad, van Gerven, Ambrogioni: GAIT-prop: A biologically plausible learning rule derived from backpropagation of error.
Advances in Neural Information Processing Systems 33, 2020.
"""

from collections.abc import Callable

from plastic.gait import regulariser
from plastic.gait.feedback import dfa, dfa_feedback, fa, fa_feedback
from plastic.gait.inverses import divide, inverse, inverse_pass
from plastic.gait.network import InvertibleNetwork, forward, phi, predict, square, tower
from plastic.gait.rules import bp, gait, tp
from plastic.types import Array, Tree

NETWORKS: dict[str, Callable[..., InvertibleNetwork]] = {"square": square, "tower": tower}
RULES: dict[str, Callable[..., tuple[Tree, Array]]] = {"bp": bp, "tp": tp, "gait": gait, "fa": fa, "dfa": dfa}
STEPS: dict[str, Callable[..., tuple[Tree, Array]]] = {}

__all__ = [
    "NETWORKS",
    "RULES",
    "STEPS",
    "InvertibleNetwork",
    "bp",
    "dfa",
    "dfa_feedback",
    "divide",
    "fa",
    "fa_feedback",
    "forward",
    "gait",
    "inverse",
    "inverse_pass",
    "phi",
    "predict",
    "regulariser",
    "square",
    "tower",
    "tp",
]


def __dir__() -> list[str]:
    return __all__
