"""How far down steps of inference carry an error, and a warning where that is not to the first layer.

In a step an error gets to the layer below, times gamma, and the layer below it pushes back. Of a chain of single linear
units with weights 1, which passes errors on as well as a layer can that is not to blow them up, with x_0 = 0 and y = 1,

    x_l <- x_l - gamma (eps_l - eps_{l+1}),    eps_l = x_l - x_{l-1}

the error that has come to a layer after T - 1 steps is known; where it is below the rounding of numbers of the size 1,
states do not change for it, and the weights below learn nothing: their gradients are exactly 0. (With predictions held
at what they were, errors do not push back: eps_l <- eps_l - gamma (eps_l - eps_{l+1}). A sweep from the top down lets
x_l <- (x_{l-1} + x_{l+1}) / 2, layer by layer: an error is halved at each.)
"""

import functools
import numbers
from typing import Any

import numpy as np

from plastic import terminal, xp
from plastic.pc.networks import Network


def warn_of_reach(net: Network, T: int, gamma: Any, way: str = "steps") -> None:
    """Say on stderr, once, that T steps at the rate gamma do not carry an error to the first layers of a network.

    Args:
        net: a `Network`.
        T: steps, of which the last moves no weights.
        gamma: the rate of inference; of an array on the host, the largest counts.
        way: "steps"; "held", of predictions that are; "amplified", of a rate that grows; or another of
            `plastic.pc.solvers.SOLVERS`.
    """
    if isinstance(gamma, numbers.Real | np.ndarray):
        largest = float(gamma.max() if isinstance(gamma, np.ndarray) else gamma)
        _warn(len(net.layers), T, largest, way, float(xp.finfo(net.dtype).eps))


def reach(layers: int, T: int, gamma: float, way: str, eps: float) -> int:
    """Return to how many of so many layers of weights an error gets in T - 1 steps, those at the top; see the module.

    Args:
        layers: L.
        T, gamma, way: as of `warn_of_reach`.
        eps: below what an error counts as none.
    """
    if way == "errors":
        return layers if T > 1 else 1  # all at once
    if way in ("anderson", "amplified"):
        return min(T, layers)  # a layer further in each step; how much of it arrives is not known
    gamma = min(gamma, 0.5)  # a larger rate does not last: the energy rises, and it is halved
    x, errors = np.zeros(layers + 1), np.zeros(layers)
    x[-1] = errors[-1] = 1
    for t in range(T - 1):
        if t % 64 == 0 and np.all(errors >= eps):  # it has arrived
            break
        if way == "held":
            errors[:-1] -= gamma * (errors[:-1] - errors[1:])
        elif way == "steps":
            x[1:-1] -= gamma * (errors[:-1] - errors[1:])
            errors = np.diff(x)
        else:
            for k in range(layers - 1, 0, -1):
                x[k] = (x[k - 1] + x[k + 1]) / 2
            errors = np.diff(x)
    return int(np.sum(np.abs(errors) >= eps))


@functools.cache
def _warn(layers, T, gamma, way, eps):
    reached = reach(layers, T, gamma, way, eps)
    if reached == layers:
        return
    further = ["more steps"]
    further += ["a larger gamma"] if way in ("steps", "held") else []
    further += ["the solver 'errors' of pc.pc"] if way not in ("held", "errors") else []
    terminal.warn(
        f"warning: T is {T} and gamma {gamma:g}: an error gets to the top {reached} of {layers} layers of weights, and "
        f"those below learn nothing; {_either(further)} carry it on"
    )


def _either(words):
    """Return words as in "a, b or c"."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
