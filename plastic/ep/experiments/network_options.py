"""The options of the network, which all experiments share, and the network that they describe."""

import dataclasses
import pathlib
from typing import Any, Literal

import numpy as np

from plastic import require
from plastic.ep import networks
from plastic.ep.dynamics import Network
from plastic.ep.wiring import Convolutional
from plastic.ep.wiring.convolutional import map_sizes
from plastic.errors import PlasticError
from plastic.types import Tree


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Which of the four published networks: energy-based, unless discrete, toymodel or C_tab say otherwise.

    Args:
        size_tab: units from the output backwards, the input last; with C_tab those of the classifier. By default
            10 512 784, in the toy model 10 50 5, and with C_tab 10.
        C_tab: channels from the classifier backwards, as 64 32 1, the input last; makes the network convolutional.
        discrete: the prototypical network.
        toymodel: the toy model, on random inputs; for plotcurves only.
        activation_function: sigm (1 / (1 + exp(-4 (v - 1/2)))), hardsigm (v cut to [0, 1]) or tanh.
        dt: length of a step; by default 0.2, and 1 in prototypical and convolutional networks.
        clamp: keep the states of energy-based networks in [0, 1].
        consistent: rho' in the output dynamics too, so that an energy-based network follows the gradient of its energy.
        padding: 1 pads maps by (Fconv - 1) / 2, so that a convolution keeps their size.
        Fconv: rows of a filter.
        Fpool: rows of a pooling window, which is also its stride.
    """

    size_tab: tuple[int, ...] | None = None
    C_tab: tuple[int, ...] = ()
    discrete: bool = False
    toymodel: bool = False
    activation_function: Literal["sigm", "hardsigm", "tanh"] = "sigm"
    dt: float | None = None
    clamp: bool = True
    consistent: bool = False
    padding: int = 0
    Fconv: int = 5
    Fpool: int = 2

    @classmethod
    def of(cls, options: dict[str, Any]) -> "NetworkOptions":
        """Return those among the options of a run."""
        return cls(**{field.name: options[field.name] for field in dataclasses.fields(cls)})

    def complete(self) -> "NetworkOptions":
        """Return the options with the defaults that depend on others. Raises PlasticError where they fit no network."""
        sizes, dt = self.size_tab, self.dt
        if sizes is None:
            sizes = (10,) if self.C_tab else (10, 50, 5) if self.toymodel else (10, 512, 784)
        if dt is None:
            dt = 1.0 if self.discrete or self.C_tab else 0.2
        filled = dataclasses.replace(self, size_tab=sizes, dt=dt)
        filled._require_one_network()
        return filled

    @property
    def sizes(self) -> tuple[int, ...]:
        """size_tab of options that are complete."""
        return self.size_tab or ()

    @property
    def connections(self) -> int:
        """How many connections there are between layers."""
        return len(self.sizes) + len(self.C_tab) - 1

    @property
    def kind(self) -> str:
        """What the network is called in the name of a run folder."""
        if self.C_tab:
            return f"conv-{len(self.C_tab) - 1}layers"
        return f"{'toymodel' if self.toymodel else 'disc' if self.discrete else 'cont'}-{len(self.sizes) - 2}hidden"

    def require_images(self) -> None:
        """Raise PlasticError for the toy model, which takes random inputs."""
        if self.toymodel:
            raise PlasticError("toymodel draws curves only: add --action=plotcurves")

    def input_shape(self, shape: tuple[int, ...], classes: int, name: str) -> tuple[int, ...]:
        """Return the shape in which the network takes a sample: (n,) or (rows, columns, channels).

        shape: of a sample. classes: of the data. name: of the data set, for the message.
        Raises PlasticError where data and network do not fit.
        """
        if not self.C_tab:
            taken: tuple[int, ...] = (int(np.prod(shape)),)
            if taken[0] != self.sizes[-1]:
                raise PlasticError(f"size_tab ends in {self.sizes[-1]}, the inputs, but {name} has {taken[0]}")
        else:
            taken = (*shape, 1) if len(shape) == 2 else shape
            if len(taken) != 3 or taken[0] != taken[1] or taken[2] != self.C_tab[-1]:
                raise PlasticError(
                    f"C_tab ends in {self.C_tab[-1]}, the channels of the input, and needs square images; the samples "
                    f"of {name} have shape {shape}"
                )
            map_sizes(taken[0], len(self.C_tab) - 1, self.Fconv, self._rows_around, self.Fpool)
        if classes > self.sizes[0]:
            raise PlasticError(f"size_tab begins with {self.sizes[0]}, the outputs; {name} has {classes} classes")
        return taken

    def build(self, generator: np.random.Generator, input_shape: tuple[int, ...]) -> Network:
        """Return the network with weights drawn from the generator, for samples of a shape that `input_shape` gave."""
        sizes, phi = self.sizes[::-1], self.activation_function
        dt: Any = self.dt
        if self.C_tab:
            return networks.convolutional(
                self.C_tab[::-1],
                sizes,
                generator,
                size=input_shape[0],
                F=self.Fconv,
                padding=self._rows_around,
                pooling=self.Fpool,
                phi=phi,
            )
        if self.toymodel:
            return networks.toy(sizes, generator, phi=phi, dt=dt, clamp=self.clamp)
        if self.discrete:
            return networks.prototypical(sizes, generator, phi=phi, dt=dt)
        return networks.energy(sizes, generator, phi=phi, dt=dt, clamp=self.clamp, consistent=self.consistent)

    def rates(self, lr_tab: tuple[float, ...]) -> Tree:
        """Return learning rates, counted from the output backwards, as a tree like the parameters.

        Raises PlasticError unless there is one for each connection.
        """
        if len(lr_tab) != self.connections:
            raise PlasticError(
                f"lr_tab has {len(lr_tab)} rates, {lr_tab}, but the network has {self.connections} connections: give "
                "one rate each, the output's first"
            )
        for rate in lr_tab:
            require.number("lr_tab", rate, least=0)
        if not self.C_tab:
            return {"layers": list(lr_tab[::-1])}
        classifier = len(self.sizes)
        return {"classifier": list(lr_tab[:classifier][::-1]), "convolutions": list(lr_tab[classifier:][::-1])}

    @property
    def _rows_around(self) -> int:
        return (self.Fconv - 1) // 2 if self.padding else 0

    def _require_one_network(self) -> None:
        require.number("dt", self.dt, above=0, most=1)
        for name, most in (("Fconv", None), ("Fpool", 16)):
            require.whole(name, getattr(self, name), most=most)
        require.whole("padding", self.padding, least=0, most=1)
        every = (*self.sizes, *self.C_tab)
        if not self.sizes or not all(1 <= each <= 10**6 for each in every):
            raise PlasticError(f"size_tab {self.sizes} and C_tab {self.C_tab} must hold numbers from 1 to 1000000")
        kinds = [name for name in ("discrete", "toymodel", "C_tab") if getattr(self, name)]
        if len(kinds) > 1 and kinds != ["discrete", "C_tab"]:
            raise PlasticError(f"{' and '.join(kinds)} are two networks; take one")
        if self.C_tab:
            self._require_maps()
        elif len(self.sizes) < 3:
            raise PlasticError(f"size_tab {self.sizes} has no hidden layer; give at least three numbers, as 10 512 784")
        elif self.toymodel and len(self.sizes) != 3:
            raise PlasticError(
                f"size_tab {self.sizes} does not fit the toy model, which has one hidden layer: as 10 50 5"
            )

    def _require_maps(self) -> None:
        if len(self.C_tab) < 2:
            raise PlasticError(f"C_tab {self.C_tab} has no convolution; give at least two numbers, as 32 1")
        if self.dt != 1:
            raise PlasticError(f"dt is {self.dt}, but the convolutional network is the map dt = 1")
        if self.padding and self.Fconv % 2 == 0:
            raise PlasticError(f"Fconv is {self.Fconv}; padding keeps the size of maps with an odd number of rows only")


def folder_name(method: str, *, dataset: str, seeds: str, **options: Any) -> str:
    """Return the readable part of a run folder's name. method: what is compared or trained, as "EP+BPTT"."""
    network = NetworkOptions.of(options)
    source = "random" if network.toymodel else pathlib.Path(dataset).stem
    return f"{network.kind}-{method}-{source}-{seeds}"


def connections(network: Network) -> list[tuple[str, str]]:
    """Return [(label, path of the weights), ...] of a network, in the order of the paper, from the output on."""
    wiring = network.wiring
    if isinstance(wiring, Convolutional):
        N, M = len(wiring.classifier), len(wiring.convolutions)
        fully = [("W^fc" if N == 1 else f"W^fc_{i}", f"classifier/{N - 1 - i}/W") for i in range(N)]
        return fully + [(f"W^conv_{m}", f"convolutions/{M - 1 - m}/W") for m in range(M)]
    if wiring.skip is not None:
        return [("W_01", "layers/1/W"), ("W_0x", "skip/W"), ("W_1x", "layers/0/W")]
    L = len(wiring.layers)
    return [(f"W_{k}{k + 1 if k + 1 < L else 'x'}", f"layers/{L - 1 - k}/W") for k in range(L)]
