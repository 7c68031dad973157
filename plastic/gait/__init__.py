"""GAIT-prop and target propagation on invertible networks, with backpropagation and feedback alignment beside them.

    net = gait.SquareNetwork.create(784, hidden=4, seed=1)
    grads = gait.gait(net, x, y)                            # or gait.bp, gait.tp
    for layer, grad in zip(net.layers, grads):
        layer.W -= 0.1 * grad.W

Ahmad, van Gerven, Ambrogioni: GAIT-prop: A biologically plausible learning rule derived from backpropagation of error.
Advances in Neural Information Processing Systems 33, 2020.
"""

from plastic.gait.network import SquareNetwork, TowerNetwork, forward, inverse, restore
from plastic.gait.rules import bp, dfa, dfa_feedback, fa, fa_feedback, gait, tp

__all__ = [
    "SquareNetwork",
    "TowerNetwork",
    "bp",
    "dfa",
    "dfa_feedback",
    "fa",
    "fa_feedback",
    "forward",
    "gait",
    "inverse",
    "restore",
    "tp",
]
