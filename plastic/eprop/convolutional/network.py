"""Layers of spiking maps, recurrent cells and their readout: parameters and constants."""

import dataclasses
import math
from typing import Any

from plastic import require, xp
from plastic.eprop import checks
from plastic.eprop.spiking import Neurons, SpikingNetwork
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class Maps:
    """A layer of maps of LIF neurons.

    Args:
        K: the kernel (F, F, channels in, channels out).
        stride: rows, and columns, from one patch to the next.
        window, pool_stride: of the averages that the readout sees.
    """

    K: Array
    stride: int = 1
    window: int = 4
    pool_stride: int = 2

    def __post_init__(self) -> None:
        require.counts(stride=self.stride, window=self.window, pool_stride=self.pool_stride)
        if getattr(self.K, "ndim", 0) != 4 or self.K.shape[0] != self.K.shape[1]:
            raise PlasticError("K is no kernel (F, F, channels in, channels out)")

    def __repr__(self) -> str:
        F, _, n_in, n_out = self.K.shape
        return f"Maps {F} x {F}, {n_in} to {n_out} channels, stride {self.stride}"


@dataclasses.dataclass(eq=False, repr=False)
class ConvolutionalNetwork:
    """Spiking maps that see screens, recurrent cells that see the last of them, and a readout (equations: the package).

    Args:
        layers: the maps, one `Maps` or more.
        neurons: the constants of their LIF neurons: alpha, theta and gamma are numbers, n_ref is 1, beta None, gain 1.
        cells: the recurrent cells, a network without readout, made by `bidirectional.cells`.
        readout: W (n + m, n_out), b (1, n_out), of the n cells and the m averages of the maps, or of the cells alone.
        size: (H, W) of a screen.
        steps: K, of a screen.
        kappa: decay of the readout, from 0 to below 1.

    Raises:
        PlasticError: if sizes, precisions or kinds do not fit together, or a constant is out of range.

    Source: the published code for games of Bellec, Scherr et al. 2020.

    Example:
        >>> from plastic.eprop import bidirectional
        >>> neurons = Neurons(0.5, theta=0.1)
        >>> cells = bidirectional.cells(neurons, W_in=xp.ones((18, 3)), W_rec=xp.zeros((3, 3)))
        >>> layers = [Maps(xp.ones((3, 3, 1, 2)), window=2)]
        >>> ConvolutionalNetwork(layers, neurons, cells, Affine(xp.ones((5, 2)), xp.zeros((1, 2))), (5, 5), steps=2)
        ConvolutionalNetwork 5 x 5, maps 3 x 3 x 2, 3 cells, 2 outputs, 2 steps a screen
    """

    layers: list[Maps]
    neurons: Neurons
    cells: SpikingNetwork
    readout: Affine
    size: tuple[int, int]
    steps: int = 5
    kappa: float = 0.0

    def __post_init__(self) -> None:
        require.counts(steps=self.steps)
        require.number("kappa", self.kappa, least=0, below=1)
        checks.layer("readout", self.readout)
        if not self.layers or not all(isinstance(layer, Maps) for layer in self.layers):
            raise PlasticError("layers must hold one Maps or more")
        plain = all(isinstance(getattr(self.neurons, name), float) for name in ("alpha", "theta", "gamma"))
        kinds = self.neurons.beta, self.neurons.n_ref, self.neurons.gain, self.neurons.surrogate
        if not plain or kinds != (None, 1, 1.0, "piecewise_linear"):
            raise PlasticError(
                "neurons of maps are LIF neurons, Neurons(alpha, theta, gamma=..), each constant a number"
            )
        self.shapes, self.pooled = [], []
        below, channels = tuple(self.size), 1
        for number, layer in enumerate(self.layers):
            F, _, n_in, n_out = layer.K.shape
            if n_in != channels:
                raise PlasticError(f"layer {number} has {n_in} channels in; what it sees has {channels}")
            if layer.K.dtype != self.dtype:
                raise PlasticError(f"layer {number} is {layer.K.dtype}, but the readout {self.dtype}")
            if min(below) < F:
                raise PlasticError(f"layer {number} has a kernel of {F} x {F}; what it sees is {below[0]} x {below[1]}")
            below, channels = tuple((each - F) // layer.stride + 1 for each in below), n_out
            if min(below) < layer.window:
                raise PlasticError(
                    f"layer {number} has a window of {layer.window}; its maps are {below[0]} x {below[1]}"
                )
            self.shapes.append((*below, n_out))
            self.pooled.append(averages(below, layer.window, layer.pool_stride, self.dtype))
        self._require_cells()

    def _require_cells(self) -> None:
        n_in, n, n_out = self.cells.sizes
        units = math.prod(self.shapes[-1])
        if n_out != 0 or n_in != units or self.cells.replicas or self.cells.delay != 1:
            raise PlasticError(f"cells are {self.cells}; without readout, of {units} inputs are needed")
        if self.cells.dtype != self.dtype:
            raise PlasticError(f"cells are {self.cells.dtype}, but the readout {self.dtype}")
        if self.readout.W.ndim != 2 or self.readout.W.shape[0] not in (n, n + sum(self.averages)):
            raise PlasticError(
                f"readout.W has shape {self.readout.W.shape}; it sees {n} cells, and all or none of "
                f"{sum(self.averages)} averages"
            )
        if getattr(self.readout.b, "shape", None) != (1, self.readout.W.shape[1]):
            raise PlasticError(f"readout.b must have shape {(1, self.readout.W.shape[1])}")

    def __repr__(self) -> str:
        maps = ", ".join(" x ".join(map(str, shape)) for shape in self.shapes)
        size, n_out = " x ".join(map(str, self.size)), self.readout.W.shape[1]
        return (
            f"ConvolutionalNetwork {size}, maps {maps}, {self.cells.sizes[1]} cells, {n_out} outputs, "
            f"{self.steps} steps a screen"
        )

    @property
    def averages(self) -> list[int]:
        """The numbers of averages of each layer."""
        return [len(Q) * shape[-1] for Q, shape in zip(self.pooled, self.shapes, strict=True)]

    @property
    def reads_maps(self) -> bool:
        """Whether the readout sees the maps."""
        return self.readout.W.shape[0] > self.cells.sizes[1]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.readout.W.dtype

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        cells = {"W_in": self.cells.W_in, "W_rec": self.cells.W_rec}
        return {"kernels": [layer.K for layer in self.layers], "cells": cells, "readout": self.readout}


def averages(shape: tuple[int, ...], window: int, stride: int, dtype: Any) -> Array:
    """Return the matrix Q (windows, H W) that averages maps of a `shape` (H, W) over windows, `stride` apart."""
    lines = []
    for length in shape:
        starts, places = xp.arange(0, length - window + 1, stride)[:, None], xp.arange(length)
        lines.append(((places >= starts) & (places < starts + window)) / window)
    return xp.asarray(xp.kron(*lines), dtype=dtype)
