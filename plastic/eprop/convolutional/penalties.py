"""The penalty of potentials far beyond the threshold or its negative, which keeps neurons where they learn.

For cells with A = theta + beta a, the published code has

    E_v = strength sum over t and j of mean over batch of  relu(v - A)^2 + relu(-v - A)^2

    dE/dv = (2 strength / batch) (over - under),    dE/da = -(2 strength / batch) beta (over + under)

and for maps, whose threshold is theta, with the means over time of both inside of the squares,

    E_v = strength sum over units of mean over batch of  (mean_t relu(v - theta))^2 + (mean_t relu(-v - theta))^2

    dE/dv^t = (2 strength / (batch T)) (mean_over [v^t > theta] - mean_under [v^t < -theta])
"""

import dataclasses
from typing import Any

from plastic import require, xp
from plastic.eprop.convolutional.network import ConvolutionalNetwork
from plastic.eprop.convolutional.simulation import ConvolutionalRecord
from plastic.eprop.spiking.simulation import operand, time_slices
from plastic.types import Array


@dataclasses.dataclass(frozen=True, repr=False)
class Potentials:
    """The derivatives of the penalty of potentials.

    Attributes:
        cells: (dE/dv, dE/da) of the cells, (T, batch, n) each.
        maps: of each layer, what dE/dv is where v > theta, and what -dE/dv is where v < -theta, (batch, h, w, channels)
            each.
    """

    cells: tuple[Array, Array]
    maps: list[tuple[Array, Array]]

    def __repr__(self) -> str:
        return f"Potentials of {self.cells[0].shape[-1]} cells and {len(self.maps)} layers of maps"


@xp.underflow_is_ordinary()
def potentials_penalty(
    net: ConvolutionalNetwork, record: ConvolutionalRecord, cells: float, maps: float
) -> tuple[Any, Potentials]:
    """Return the penalty of the potentials of a record, and its derivatives (equations: the module).

    Args:
        net: the network.
        record: of its simulation, any number of screens.
        cells, maps: the strengths, at least 0.

    Returns:
        (penalty, derivatives): a number of the backend, and the `Potentials` that the rules take.

    Raises:
        PlasticError: if a strength is out of range.
    """
    require.number("cells", cells, least=0)
    require.number("maps", maps, least=0)
    of_cells, direct = _of_cells(net, record, cells)
    penalty, derivatives = of_cells, []
    T, batch = record.output.shape[:2]
    for layer in range(len(net.layers)):
        over, under = _mean_excess(net, [each[layer] for each in record.v], T)
        penalty = penalty + (maps / batch) * (xp.sum(over * over) + xp.sum(under * under))
        scale = 2 * maps / (batch * T)
        derivatives.append((scale * over, scale * under))
    return penalty, Potentials(direct, derivatives)


def _of_cells(net, record, strength):
    v, a, neurons = record.cells.kept["v"], record.cells.kept["a"], net.cells.neurons
    beta = 0.0 if neurons.beta is None else operand(neurons.beta, v[0])
    scale, nothing = 2 * strength / v.shape[-2], xp.zeros_like(v[0])
    dv, da, total = xp.empty_like(v), xp.empty_like(v), 0.0
    for part in time_slices(v.shape):  # whose arrays stay in the cache
        A = neurons.theta + beta * a[part]
        over, under = xp.maximum(v[part] - A, nothing), xp.maximum(-v[part] - A, nothing)
        total = total + xp.sum(over * over) + xp.sum(under * under)
        xp.multiply(over - under, scale, out=dv[part])
        xp.multiply(over + under, -scale * beta, out=da[part])
    return (strength / v.shape[-2]) * total, (dv, da)


def _mean_excess(net, potentials, T):
    """Return the means over time of relu(v - theta) and relu(-v - theta) of a layer (batch, h, w, channels)."""
    theta = net.neurons.theta
    over, under = (xp.zeros_like(potentials[0][0]) for _ in range(2))
    for of_screen in potentials:
        for k in range(len(of_screen)):
            over += xp.maximum(of_screen[k], theta)
            under += xp.maximum(-of_screen[k], theta)
    return over / T - theta, under / T - theta
