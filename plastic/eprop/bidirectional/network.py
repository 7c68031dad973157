"""Layers of cells in both directions, and their readout: parameters and constants."""

import dataclasses
from typing import Any

from plastic import require, xp
from plastic.eprop import checks
from plastic.eprop.lstm_cells import LSTMNetwork
from plastic.eprop.rnn_cells import RNNNetwork
from plastic.eprop.spiking import Neurons, SpikingNetwork
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class BidirectionalNetwork:
    """Layers of cells that see a sequence in both directions, with one readout (equations: the package).

    Args:
        layers: [(forward, backward)], networks of `cells`; the inputs of a layer are the cells of both networks below.
        readout: W (..., m, n_out), b (..., 1, n_out) or None, from the m cells that it sees, forward before backward in
            each layer.
        steps: K, in which a frame is presented.
        kappa: decay of the readout, from 0 to below 1.
        filter_first: whether the leaky sum is over steps, before the mean.
        all_layers: whether the readout sees all layers, or the last.

    Raises:
        PlasticError: if sizes, precisions or kinds do not fit together, or a constant is out of range.

    Source: the published code for speech of Bellec, Scherr et al. 2020.

    Example:
        >>> neurons = Neurons(0.95, theta=0.6)
        >>> each = [cells(neurons, W_in=xp.ones((3, 4)), W_rec=xp.zeros((4, 4))) for _ in range(2)]
        >>> BidirectionalNetwork([tuple(each)], Affine(xp.ones((8, 2))), steps=5)
        BidirectionalNetwork 3-(4+4)-2, SpikingNetwork, 5 steps a frame
    """

    layers: list[tuple[Any, Any]]
    readout: Affine
    steps: int = 1
    kappa: float = 0.0
    filter_first: bool = False
    all_layers: bool = True

    def __post_init__(self) -> None:
        require.whole("steps", self.steps)
        require.number("kappa", self.kappa, least=0, below=1)
        self.kappa = float(self.kappa)
        if not self.layers:
            raise PlasticError("layers is empty; there must be one, (forward, backward), or more")
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.layers):
            raise PlasticError("layers must hold a tuple (forward, backward) for each layer")
        checks.layer("readout", self.readout)
        kinds = {type(net) for pair in self.layers for net in pair}
        if len(kinds) > 1 or not kinds <= {SpikingNetwork, LSTMNetwork, RNNNetwork}:
            raise PlasticError("layers must hold networks of one kind, made by bidirectional.cells")
        below = self.layers[0][0].sizes[0]
        for number, pair in enumerate(self.layers):
            for net in pair:
                if net.sizes[0] != below or net.sizes[2] != 0:
                    raise PlasticError(f"layer {number} has {net}; cells of {below} inputs without readout are needed")
                if net.dtype != self.readout.W.dtype:
                    raise PlasticError(f"layer {number} is {net.dtype}, but the readout {self.readout.W.dtype}")
            below = sum(net.sizes[1] for net in pair)
        if self.readout.W.shape[-2] != sum(self.seen):
            raise PlasticError(f"readout.W has shape {self.readout.W.shape}; it sees {sum(self.seen)} cells")

    def __repr__(self) -> str:
        n_in, *_, n_out = self.sizes
        layers = "-".join(f"({forward.sizes[1]}+{backward.sizes[1]})" for forward, backward in self.layers)
        steps = f", {self.steps} steps a frame" if self.steps > 1 else ""
        return f"BidirectionalNetwork {n_in}-{layers}-{n_out}, {type(self.layers[0][0]).__name__}{steps}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, cells that the readout sees, and outputs."""
        return self.layers[0][0].sizes[0], *self.readout.W.shape[-2:]

    @property
    def read(self) -> list[tuple[Any, Any]]:
        """The layers that the readout sees."""
        return self.layers if self.all_layers else self.layers[-1:]

    @property
    def seen(self) -> list[int]:
        """The numbers of cells that the readout sees, of each network in turn."""
        return [net.sizes[1] for pair in self.read for net in pair]

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters."""
        return self.readout.W.shape[:-2]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.readout.W.dtype

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        layers = [{"forward": _of_cells(each[0]), "backward": _of_cells(each[1])} for each in self.layers]
        return {"layers": layers, "readout": self.readout}


@dataclasses.dataclass(frozen=True, repr=False)
class Masks:
    """What dropout multiplies by; see `bidirectional.dropout`.

    Attributes:
        inputs: of each layer (..., T, batch, n), T steps.
        readout: of what the readout sees (..., F, batch, m), F frames.
    """

    inputs: list[Array]
    readout: Array

    def __repr__(self) -> str:
        return f"Masks of {len(self.inputs)} layers and their readout"


def cells(
    neurons: Neurons | None = None,
    *,
    W_in: Any = None,
    W_rec: Any = None,
    kernel: Any = None,
    w: Any = (None,) * 3,
    gates: bool = True,
) -> Any:
    """Return a network without readout of its own, for a layer: spiking, of LSTM cells, or of tanh units.

    Args:
        neurons: the constants of LIF and ALIF neurons, for spiking cells; None for others.
        W_in, W_rec: their weights (..., n_in, n) and (..., n, n).
        kernel: of LSTM cells, W (..., n_in + n, 4 n) and b (..., 1, 4 n), an `Affine`.
        w: their peepholes w_i, w_f, w_o (..., 1, n), or None.
        gates: False for tanh units without gates, whose kernel is W (..., n_in + n, n) and b (..., 1, n).

    Returns:
        A `SpikingNetwork`, an `LSTMNetwork` or an `RNNNetwork` with 0 outputs.

    Raises:
        PlasticError: if shapes or precisions do not fit together.

    Example:
        >>> cells(kernel=Affine(xp.zeros((3 + 4, 16))))
        LSTMNetwork 3-4-0
    """
    if neurons is not None:
        require.array("W_rec", W_rec)
        none = xp.zeros((*W_rec.shape[:-1], 0), dtype=W_rec.dtype)
        return SpikingNetwork(W_in, W_rec, none, neurons, kappa=0.0, g_out=1.0)
    checks.layer("kernel", kernel)
    n = kernel.W.shape[-1] // (4 if gates else 1)
    none = Affine(xp.zeros((*kernel.W.shape[:-2], n, 0), dtype=kernel.W.dtype))
    return LSTMNetwork(kernel, none, *w) if gates else RNNNetwork(kernel, none)


def _of_cells(net: Any) -> Tree:
    return {name: leaf for name, leaf in net.parameters.items() if name not in ("W_out", "b_out", "readout")}
