"""Predictive coding and prospective configuration, with the rules it is compared with (Song et al. 2024).

    net = pc.network((784, 64, 64, 10), generator)
    output = pc.predict(net, x)
    grads, output = pc.pc(net, x, y, T=128)        or pc.bp, pc.fixed_prediction, pc.zil, pc.tp
    optimizer.step(net.parameters, grads, optimizer.init(net.parameters))

    net = pc.residual((784, *[64] * 99, 10), generator)                             a hundred layers
    grads, output = pc.pc(net, x, y, T=4, solver="errors")

    state = pc.State(net, x, y, gamma=0.1)         weights that move during inference: incremental predictive coding
    for _ in range(T):
        grads, output = pc.step(net, state, x)
        optimizer.step(net.parameters, grads, moments)

    state = pc.FreeState(net, x, y, free=missing, priors={0: pc.Gaussian(1.0)})     the input is inferred, too
    pc.infer(net, state, x, 100)                   or pc.langevin, which samples it

`plastic.pc.handcoded` has rules on nets of states: GeneRec, Almeida-Pineda and others.

Song, Millidge, Salvatori, Lukasiewicz, Xu, Bogacz: Inferring neural activity before plasticity as a foundation for
learning beyond backpropagation. Nature Neuroscience 27, 348-358, 2024.
"""

from collections.abc import Callable

from plastic.pc import handcoded
from plastic.pc.convolutions import ConvolutionalNetwork, convolutional
from plastic.pc.free import FreeState
from plastic.pc.inference import infer, step
from plastic.pc.langevin import langevin
from plastic.pc.linear import equilibrium
from plastic.pc.networks import Network, activities, network, predict
from plastic.pc.priors import Gaussian, Laplace
from plastic.pc.residual import ResidualNetwork, residual
from plastic.pc.rules import bp, fixed_prediction, pc, repeated_bp, tp, zil
from plastic.pc.states import State
from plastic.types import Array, Tree

NETWORKS: dict[str, Callable[..., Network]] = {"network": network, "residual": residual, "convolutional": convolutional}
"""Constructors by name, (sizes, generator, *, constants), `convolutional` with channels first."""

RULES: dict[str, Callable[..., tuple[Tree, Array]]] = {
    "pc": pc,
    "bp": bp,
    "fixed_prediction": fixed_prediction,
    "zil": zil,
    "tp": tp,
}
"""Learning rules by name, (net, x, y, *, constants) -> (grads, output)."""

STEPS: dict[str, Callable[..., tuple[Tree, Array]]] = {"step": step, "repeated_bp": repeated_bp}
"""Single steps by name, (net, state, x, loss=None) -> (grads, output), for loops in which weights move."""

__all__ = [
    "NETWORKS",
    "RULES",
    "STEPS",
    "ConvolutionalNetwork",
    "FreeState",
    "Gaussian",
    "Laplace",
    "Network",
    "ResidualNetwork",
    "State",
    "activities",
    "bp",
    "convolutional",
    "equilibrium",
    "fixed_prediction",
    "handcoded",
    "infer",
    "langevin",
    "network",
    "pc",
    "predict",
    "repeated_bp",
    "residual",
    "step",
    "tp",
    "zil",
]


def __dir__() -> list[str]:
    return __all__
