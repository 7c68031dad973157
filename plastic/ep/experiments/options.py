"""The options that all experiments share: of the network, and of the free and the nudged phase."""

import dataclasses
import functools
import pathlib
from typing import Any, Literal

import numpy as np

from plastic import require, xp
from plastic.ep import networks, rules
from plastic.ep.dynamics import Network
from plastic.ep.wiring.maps import map_sizes
from plastic.errors import PlasticError
from plastic.runs import Spelling
from plastic.types import Tree


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Which of the four published networks: energy-based, unless discrete, toymodel or C_tab say otherwise.

    Args:
        size_tab: units from the output backwards, the input last; with C_tab those of the classifier. By default
            10 512 784, in the toy model 10 50 784 or, for random inputs, 10 50 5, and with C_tab 10.
        C_tab: channels from the classifier backwards, as 64 32 1, the input last; makes the network convolutional.
        discrete: the prototypical network.
        toymodel: the toy model, whose input is connected to the output too; plotcurves gives it random inputs.
        activation_function: sigm (1 / (1 + exp(-4 (v - 1/2)))), hardsigm (v cut to [0, 1]) or tanh.
        dt: length of a step; by default 0.2, and 1 in prototypical and convolutional networks.
        clamp: keep the states of energy-based networks in [0, 1].
        consistent: rho' in the output dynamics too, so that an energy-based network follows the gradient of its energy.
        learning_rule: ep, or vf: a vector field, whose feedback has weights of its own (Ernoult et al. 2020); for fully
            connected networks.
        angle: of vf: the angle, about, at which feedback weights begin to the transposes of those of the way up, in
            degrees from 0 to 180.
        loss: mse, the squared error of the output layer, as published; or cel: the first of size_tab is a softmax
            readout that takes no part in the dynamics, and its cross-entropy is the loss (Laborieux et al. 2021).
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
    learning_rule: Literal["ep", "vf"] = "ep"
    angle: float = 0.0
    loss: Literal["mse", "cel"] = "mse"
    padding: int = 0
    Fconv: int = 5
    Fpool: int = 2

    @classmethod
    def of(cls, options: dict[str, Any]) -> "NetworkOptions":
        """Return those among the options of a run; one that a run from before does not have has its default."""
        return cls(**{field.name: options[field.name] for field in dataclasses.fields(cls) if field.name in options})

    def complete(self, toy_inputs: int = 784) -> "NetworkOptions":
        """Return the options with the defaults that depend on others; they must fit a network."""
        sizes, dt = self.size_tab, self.dt
        if sizes is None:
            sizes = (10,) if self.C_tab else (10, 50, toy_inputs) if self.toymodel else (10, 512, 784)
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
    def kind(self) -> str:
        """What the network is called in the name of a run folder."""
        if self.C_tab:
            return f"conv-{len(self.C_tab) - 1}layers"
        return f"{'toymodel' if self.toymodel else 'disc' if self.discrete else 'cont'}-{len(self.sizes) - 2}hidden"

    def input_shape(self, shape: tuple[int, ...], classes: int, name: str) -> tuple[int, ...]:
        """Return (n,) or (rows, columns, channels), in which the network takes a sample of that `shape`.

        Raises PlasticError where the data set, called `name`, with so many classes, does not fit the network.
        """
        if not self.C_tab:
            taken: tuple[int, ...] = (int(np.prod(shape)),)
            if taken[0] != self.sizes[-1]:
                raise PlasticError(f"size_tab ends in {self.sizes[-1]}, the inputs, but {name} has {taken[0]}")
        else:
            taken = (*shape, 1) if len(shape) == 2 else shape
            if len(taken) != 3 or taken[2] != self.C_tab[-1]:
                first = " first: move that axis to the end" if len(taken) == 3 and taken[0] == self.C_tab[-1] else ""
                wanted = f"C_tab ends in {self.C_tab[-1]}, the channels of images (rows, columns, channels)"
                raise PlasticError(
                    f"{wanted}; the samples of {name} have shape {shape}{first and ', channels' + first}"
                )
            for side in taken[:2]:
                map_sizes(side, len(self.C_tab) - 1, self.Fconv, self._rows_around, self.Fpool)
        if classes > self.sizes[0]:
            raise PlasticError(f"size_tab begins with {self.sizes[0]}, the outputs; {name} has {classes} classes")
        return taken

    def build(self, generator: np.random.Generator, input_shape: tuple[int, ...]) -> Network:
        """Return the network with weights drawn from the generator, for samples of a shape that `input_shape` gave."""
        sizes, phi = self.sizes[::-1], self.activation_function
        dt: Any = self.dt
        if self.C_tab:
            maps: dict[str, Any] = {"F": self.Fconv, "padding": self._rows_around, "pooling": self.Fpool}
            maps |= {"size": input_shape[:2], "phi": phi, "loss": self.loss}
            return networks.convolutional(self.C_tab[::-1], sizes, generator, **maps)
        if self.toymodel:
            return networks.toy(sizes, generator, phi=phi, dt=dt, clamp=self.clamp)
        own: dict[str, Any] = {
            "phi": phi,
            "dt": dt,
            "loss": self.loss,
            "angle": self.angle if self.learning_rule == "vf" else None,
        }
        if self.discrete:
            return networks.prototypical(sizes, generator, **own)
        return networks.energy(sizes, generator, clamp=self.clamp, consistent=self.consistent, **own)

    @property
    def connections(self) -> int:
        """The number of connections, which have a learning rate each."""
        return 3 if self.toymodel else len(self.sizes) + len(self.C_tab) - 1

    def rates(self, lr_tab: tuple[float, ...]) -> Tree:
        """Return learning rates, one for each connection from the output backwards, as a tree like the parameters."""
        if len(lr_tab) != self.connections:
            raise PlasticError(
                f"lr_tab is {lr_tab}, but the network has {self.connections} connections: give one rate each, the "
                "output's first"
            )
        for rate in lr_tab:
            require.number("lr_tab", rate, least=0)
        if self.toymodel:
            return {"layers": [lr_tab[2], lr_tab[0]], "skip": lr_tab[1]}
        count = len(self.sizes) if self.C_tab else self.connections
        dense, maps = list(lr_tab[:count]), list(lr_tab[count:])
        tree: dict[str, Any] = {"readout": dense.pop(0)} if self.loss == "cel" else {}
        if self.C_tab:
            return tree | {"classifier": dense[::-1], "convolutions": maps[::-1]}
        if self.learning_rule == "vf":
            tree["feedback"] = dense[-2::-1]
        return tree | {"layers": dense[::-1]}

    @property
    def _rows_around(self) -> int:
        return (self.Fconv - 1) // 2 if self.padding else 0

    def _require_one_network(self) -> None:
        require.number("dt", self.dt, above=0, most=1)
        require.whole("Fconv", self.Fconv)
        require.whole("Fpool", self.Fpool, most=16)
        require.whole("padding", self.padding, least=0, most=1)
        every = (*self.sizes, *self.C_tab)
        if not self.sizes or not all(1 <= each <= 10**6 for each in every):
            raise PlasticError(f"size_tab {self.sizes} and C_tab {self.C_tab} must hold numbers from 1 to 1000000")
        kinds = [name for name in ("discrete", "toymodel", "C_tab") if getattr(self, name)]
        if len(kinds) > 1 and kinds != ["discrete", "C_tab"]:
            raise PlasticError(f"{' and '.join(kinds)} are two networks; take one")
        require.number("angle", self.angle, least=0, most=180)
        if self.loss == "cel" and self.toymodel:
            raise PlasticError("the toy model has no readout: loss cel is for the other networks")
        if self.learning_rule == "vf" and (self.toymodel or self.C_tab):
            raise PlasticError("learning_rule vf is for fully connected networks, without toymodel and C_tab")
        if self.angle and self.learning_rule != "vf":
            raise PlasticError(f"angle is {self.angle:g}, but only learning_rule=vf has feedback weights of their own")
        self._require_used()
        if self.C_tab:
            self._require_maps()
        elif len(self.sizes) < 3:
            raise PlasticError(f"size_tab {self.sizes} has no hidden layer; give at least three numbers, as 10 512 784")
        elif self.learning_rule == "vf" and self.loss == "cel" and len(self.sizes) < 4:
            raise PlasticError(
                f"size_tab {self.sizes} has one hidden layer, and no feedback from the readout of loss cel: "
                "learning_rule vf needs two, as 10 512 512 784"
            )
        elif self.toymodel and len(self.sizes) != 3:
            raise PlasticError(f"size_tab {self.sizes} does not fit the toy model of one hidden layer: as 10 50 5")

    def _require_used(self) -> None:
        """Raise PlasticError where an option is given that such a network does not have."""
        energy_based, maps = not (self.discrete or self.C_tab), "convolutional networks, which C_tab makes"
        other = "energy-based networks but the toy model, which is consistent"
        for name, is_used, kind in (
            ("clamp", energy_based, "energy-based networks"),
            ("consistent", energy_based and not self.toymodel, other),
            *((name, self.C_tab, maps) for name in ("padding", "Fconv", "Fpool")),
        ):
            if not is_used and (value := getattr(self, name)) != getattr(NetworkOptions, name):
                raise PlasticError(f"{name} is {value}, but it is an option of {kind}; leave it out")

    def _require_maps(self) -> None:
        if len(self.C_tab) < 2:
            raise PlasticError(f"C_tab {self.C_tab} has no convolution; give at least two numbers, as 32 1")
        if self.dt != 1:
            raise PlasticError(f"dt is {self.dt}, but the convolutional network is the map dt = 1")
        if self.padding and self.Fconv % 2 == 0:
            raise PlasticError(f"Fconv is {self.Fconv}; padding keeps the size of maps with an odd number of rows only")


@dataclasses.dataclass(frozen=True)
class Phases:
    """How long the two phases are, and how strong the nudge is.

    Args:
        T: steps of the free phase.
        Kmax: steps of the nudged phase; with BPTT at most T.
        beta: strength of the nudge, which EP has; BPTT alone has none.
        tolerance: a sample is left as it is when none of its states changes by more than this in a step; 0 makes all
            steps. T and Kmax are then limits, which are better long: a sample that is stopped before it has come to
            rest in the free phase gives a wrong update, and only the slowest need so many steps.
        solver: how states come to rest: the published steps; anderson, accelerated; or layerwise, for prototypical and
            convolutional networks.
    """

    T: int = 100
    Kmax: int = 25
    beta: float = 1.0
    tolerance: float = 0.0
    solver: Literal["steps", "anderson", "layerwise"] = "steps"

    def require(self, network: NetworkOptions, bptt: bool = True) -> None:
        """Raise PlasticError where EP, and BPTT unless it is not wanted, cannot run on such a network."""
        require.whole("T", self.T, most=10**9)
        require.whole("Kmax", self.Kmax, most=10**9)
        if bptt and self.Kmax > self.T:
            raise PlasticError(f"Kmax is {self.Kmax}, but T is {self.T}; BPTT goes back Kmax of the T free steps")
        require.nonzero("beta", self.beta)
        if abs(self.beta) < (rounding := np.finfo(xp.float_dtype).eps):
            raise PlasticError(
                f"beta is {self.beta:g}; a nudge below {rounding:.1g}, the rounding of {xp.float_dtype}, moves no state"
            )
        require.number("tolerance", self.tolerance, least=0)
        if self.solver == "layerwise" and not (network.discrete or network.C_tab):
            raise PlasticError("solver layerwise is for prototypical networks (discrete, or with C_tab); take anderson")

    @property
    def ending(self) -> dict[str, Any]:
        """How relaxations end, as the rules take it."""
        return {"tolerance": self.tolerance, "solver": self.solver}

    def rules(self, network: NetworkOptions, nudging: str) -> dict[str, functools.partial]:
        """Return both rules, {"BPTT", "EP"}: BPTT goes back Kmax + 1 steps, in maps and the toy model Kmax."""
        common: dict[str, Any] = {"T": self.T, **self.ending}
        steps = self.Kmax + (0 if network.C_tab or network.toymodel else 1)
        eqprop = functools.partial(rules.eqprop, K=self.Kmax, centered=nudging == "centered", **common)
        return {"BPTT": functools.partial(rules.bptt, steps=steps, **common), "EP": eqprop}


def folder_name(*, dataset: str, seeds: str, training_method: str = "", benchmark: bool = True, **options: Any) -> str:
    """Return the readable part of a run folder's name, from the options: network, method, data set and seeds."""
    network, method = NetworkOptions.of(options), "EP+BPTT" if benchmark else training_method
    source = "random" if network.toymodel and "nudging" not in options else pathlib.Path(dataset).stem
    return f"{network.kind}-{method}-{source}-{seeds}"


def _device(label):
    return None if label is None else "cpu" if label < 0 else str(label)


SPELLINGS = {"device_label": Spelling("device", int | None, None, "the number of a GPU, or -1 for the CPU.", _device)}
"""Published names of options that the experiments of all families share."""
