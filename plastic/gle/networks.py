"""Networks of generalized latent equilibrium (GLE): their parameters and constants; see `plastic.gle.dynamics`.

All neurons of a network lie side by side in one array (..., batch, N), N = n_1 + .. + n_L: what is elementwise runs
over all layers in one pass. What is learned lies in one vector too, so an optimizer takes it in one pass.
"""

import dataclasses
import itertools
import numbers
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from plastic import functions, parameters, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.gle.parameters import Parameters, columns_of
from plastic.initializers import Generator, uniform_fan_in
from plastic.parameters import Affine
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class Network:
    """Parameters and constants of a network; made by `network`, or by `Network.from_layers`.

    Attributes:
        parameters: what is learned; its leaves are layers/k/W, layers/k/b and, where it is learned, tau_m.
        phi: the `Activation` of each layer.
        tau_m, tau_r: time constants (..., 1, N), in the unit of dt; tau_m is a view of the parameters where learned.
            Replica axes of what is not learned are of length 1 where all replicas share it.
        dt: the length of an Euler step.
        gamma: how strongly errors nudge the membranes, (..., 1, N), or None for 0.
        prospective: whether errors are; otherwise they are instantaneous.
        memory: what is followed of u and v: "full", both; "leaky", u = u~ and v = e, where each neuron is a leaky
            integrator (tau_r = dt) or instantaneous (tau_r = tau_m); "none", where all are instantaneous.
        sizes: the widths of the layers, the input first.    columns: where each layer lies among the N neurons.
    """

    parameters: Parameters
    phi: list[Activation]
    tau_m: Array
    tau_r: Array
    dt: float
    gamma: Array | None = None
    prospective: bool = True
    memory: Literal["full", "leaky", "none"] = "full"

    @classmethod
    def from_layers(
        cls,
        layers: list[Affine],
        phi: Activation | str | Sequence[Activation | str],
        tau_m: Any,
        tau_r: Any,
        dt: float,
        gamma: Any = 0.0,
        prospective: bool = True,
        learn_tau: bool = False,
        memoryless: bool = False,
    ) -> "Network":
        """Build a network from weights of one's own.

        Args:
            layers: [Affine(W (..., n_{l-1}, n_l), b (..., 1, n_l))] of host arrays, all with a bias or none; they are
                copied, in the working precision.
            phi, tau_m, tau_r, dt, gamma, prospective, learn_tau, memoryless: as for `network`.

        Returns:
            A `Network`.

        Raises:
            PlasticError: if sizes, counts or replica axes do not fit together, or a constant is out of range.

        Example:
            >>> Network.from_layers([Affine(np.ones((2, 1)))], "tanh", tau_m=1.0, tau_r=0.1, dt=0.1)
            Network 2-1, tanh, dt 0.1
        """
        sizes, lead = _checked_layers(layers)
        each_phi = _activations(phi, len(layers))
        dt = _checked_step(dt)
        for name, value in (("prospective", prospective), ("learn_tau", learn_tau), ("memoryless", memoryless)):
            require.choice(name, value, (True, False))
        neurons = {"tau_m": tau_m, "tau_r": tau_r, "gamma": gamma}
        tau_m, tau_r, gamma = (_per_neuron(name, value, sizes, lead) for name, value in neurons.items())
        memory: Literal["full", "leaky", "none"] = (
            _checked_memory(tau_m, tau_r, dt, learn_tau) if memoryless else "full"
        )
        for name, tau in (("tau_m", tau_m), ("tau_r", tau_r)):
            if not np.all(tau >= dt * (1 - 1e-6)):
                raise PlasticError(f"{name} is {tau.min():g} somewhere; no time constant can be below the step dt={dt}")
        bias = layers[0].b is not None
        learned = [np.broadcast_to(tau_m, (*lead, *tau_m.shape[-2:]))] if learn_tau else []
        parts = [layer.W for layer in layers] + [layer.b for layer in layers if bias] + learned
        vector = np.concatenate([part.reshape(*lead, -1) for part in parts], axis=-1)
        held = Parameters(xp.asarray(vector, dtype=xp.float_dtype), sizes, bool(bias), bool(learn_tau))
        tau_m = held.tau_m if learn_tau else xp.asarray(tau_m)
        gamma = xp.asarray(gamma) if np.any(gamma) else None
        return cls(held, each_phi, tau_m, xp.asarray(tau_r), dt, gamma, bool(prospective), memory)

    def __post_init__(self) -> None:
        self.sizes: tuple[int, ...] = self.parameters.form[0]
        self.columns = columns_of(self.sizes)
        self.groups = _groups(self.phi, self.columns)

    def __setstate__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields)  # those of a copy
        if self.parameters.tau_m is not None:
            self.tau_m = self.parameters.tau_m

    def __repr__(self) -> str:
        names = [phi.name for phi in self.phi]
        runs = [(name, len(list(same))) for name, same in itertools.groupby(names)]
        phi = names[0] if len(runs) == 1 else " ".join(f"{count} {name}" if count > 1 else name for name, count in runs)
        widths = [str(n) for n in self.sizes]
        if len(widths) > 10:
            widths = [*widths[:3], "..", *widths[-2:]]
        replicas = f", replicas {self.replicas}" if self.replicas else ""
        return f"Network {'-'.join(widths)}, {phi}, dt {self.dt:g}{replicas}"

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes; () for one network."""
        return self.parameters.flat.shape[:-1]

    @property
    def layers(self) -> list[Affine]:
        """The affine maps between the layers, views of the parameters."""
        return self.parameters.layers

    def replica(self, k: int | slice) -> "Network":
        """Return the network of replica k, along the last replica axis, or of a slice of them.

        Its parameters are views of these.
        """
        held = self.parameters.like(self.parameters.flat[..., k, :])
        shared = slice(None) if isinstance(k, slice) else 0

        def of(each: Array) -> Array:
            return each[..., k if each.shape[-3] > 1 else shared, :, :]

        gamma = None if self.gamma is None else of(self.gamma)
        return dataclasses.replace(self, parameters=held, tau_m=of(self.tau_m), tau_r=of(self.tau_r), gamma=gamma)


def network(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str | Sequence[Activation | str],
    tau_m: Any,
    tau_r: Any,
    dt: float,
    gamma: Any = 0.0,
    prospective: bool = True,
    learn_tau: bool = False,
    memoryless: bool = False,
    bias: bool = True,
) -> Network:
    """Make a layered network of GLE neurons, with weights and biases U(-c, c), c = 1 / sqrt(n_{l-1}).

        u~ = u + tau_r du/dt,    tau_m du/dt = rho W + b + gamma e~ - u,    r = phi(u~)

    Args:
        sizes: the widths of the layers, the input first: (n_0, .., n_L).
        generator: a `numpy.random.Generator`, or a list of them, one for each replica.
        phi: an `Activation` or the name of one, for all layers, or a list of one for each.
        tau_m: membrane time constants, at least dt, in its unit: a number, a list with a number or a vector (n_l,) for
            each layer, or a host array (..., 1, N) of all N = n_1 + .. + n_L neurons.
        tau_r: time constants by which rates look ahead, at least dt; as tau_m. tau_r = tau_m makes a neuron
            instantaneous, tau_r = dt a leaky integrator.
        dt: the length of an Euler step, above 0.
        gamma: how strongly errors nudge the membranes; as tau_m, but any finite number.
        prospective: whether errors look ahead in time; otherwise they are instantaneous, which is backpropagation
            without credit through time.
        learn_tau: whether tau_m is learned too, as the leaf tau_m of the parameters.
        memoryless: whether to leave out what instantaneous neurons, tau_r = tau_m, need not remember, for networks in
            which all others are leaky integrators, tau_r = dt, and tau_m is not learned: the same outputs and
            gradients, faster. u of the state is then u~, and v is e.
        bias: whether there are biases.

    Returns:
        A `Network`.

    Raises:
        PlasticError: if an argument is of another kind, counts do not fit, or a constant is out of range.

    Source: Ellenberger et al. 2024, "Results", and the published code for how weights are drawn.

    Example:
        >>> network((1, 5, 2), np.random.default_rng(0), phi=["tanh", "linear"], tau_m=1.0, tau_r=[0.2, 1.0], dt=0.1)
        Network 1-5-2, tanh linear, dt 0.1
    """
    require.sizes(sizes)
    require.generator(generator)
    require.choice("bias", bias, (True, False))
    layers = uniform_layers(generator, sizes, bias)
    return Network.from_layers(layers, phi, tau_m, tau_r, dt, gamma, prospective, learn_tau, memoryless)


def uniform_layers(
    generator: Generator | Sequence[Generator], sizes: tuple[int, ...], bias: bool = True
) -> list[Affine]:
    """Return [Affine] of host arrays, weights and biases drawn from U(-c, c) with c = 1 / sqrt(n_{l-1}).

    Args:
        generator: a generator of random numbers, or a list of them, one for each replica.
        sizes: the widths of the layers, the input first.
        bias: whether there are biases.
    """
    if isinstance(generator, Sequence):
        drawn = [uniform_layers(each, sizes, bias) for each in generator]
        return parameters.map(lambda *arrays: np.stack(arrays), *drawn)
    return [
        Affine(uniform_fan_in(generator, (a, b), a), uniform_fan_in(generator, (1, b), a) if bias else None)
        for a, b in itertools.pairwise(sizes)
    ]


def _activations(phi, count):
    several = list(phi) if isinstance(phi, list | tuple) else [phi] * count
    if len(several) != count:
        raise PlasticError(f"phi has {len(several)} activations; there are {count} layers")
    return [functions.activation(each) for each in several]


def _groups(phi, columns):
    """Return [(activation, columns)] with neighbouring layers of one activation taken together."""
    groups = []
    for each, where in zip(phi, columns, strict=True):
        if groups and groups[-1][0] is each:
            groups[-1] = (each, slice(groups[-1][1].start, where.stop))
        else:
            groups.append((each, where))
    return groups


def _checked_memory(tau_m: Any, tau_r: Any, dt: float, learn_tau: bool) -> Literal["leaky", "none"]:
    """Return what there is to follow of u and v where nothing else is."""
    instantaneous = tau_m == tau_r
    leaky = np.abs(tau_r - dt) <= 1e-6 * dt
    if learn_tau or not np.all(instantaneous | leaky):
        raise PlasticError(
            "memoryless is for networks whose tau_r is tau_m or dt in each neuron, and whose tau_m is not learned"
        )
    return "none" if np.all(instantaneous) else "leaky"


def _checked_step(dt):
    require.number("dt", dt, above=0)
    if np.ndim(dt):
        raise PlasticError(f"dt has shape {np.shape(dt)}; it must be a number")
    return float(dt)


def _checked_layers(layers):
    """Return the sizes and the replica axes of layers that fit together."""
    if not isinstance(layers, list | tuple) or not layers or not all(isinstance(each, Affine) for each in layers):
        raise PlasticError(f"layers is {type(layers).__name__}; it must be a list of Affine, one for each layer")
    for k, layer in enumerate(layers):
        for name, array in (("W", layer.W), ("b", layer.b)):
            if not isinstance(array, np.ndarray) and (array is not None or name == "W"):
                raise PlasticError(f"layers/{k}/{name} is {type(array).__name__}; a host array (NumPy) is needed")
            if array is not None and (array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "fiu"):
                raise PlasticError(f"layers/{k}/{name} is {array.dtype} of shape {array.shape}; numbers are needed")
    lead = layers[0].W.shape[:-2]
    sizes = (layers[0].W.shape[-2], *(layer.W.shape[-1] for layer in layers))
    for k, layer in enumerate(layers):
        if layer.W.shape[-2] != sizes[k]:
            raise PlasticError(f"layer {k} takes {layer.W.shape[-2]} inputs, but gets {sizes[k]}")
        if layer.W.shape[:-2] != lead:
            raise PlasticError(f"layer {k} has the replica axes {layer.W.shape[:-2]}, but layer 0 has {lead}")
        if (layer.b is None) != (layers[0].b is None):
            raise PlasticError("either all layers have a bias, or none")
        if layer.b is not None and layer.b.shape != (*lead, 1, sizes[k + 1]):
            raise PlasticError(f"layers/{k}/b has shape {layer.b.shape}; {(*lead, 1, sizes[k + 1])} is needed")
    return sizes, lead


def _per_neuron(name, value, sizes, lead):
    """Return a host array (.., 1, N) of finite numbers, made of what `network` takes.

    It has as many replica axes as `lead`, of length 1 where all replicas share the numbers.
    """
    n = sum(sizes[1:])
    if isinstance(value, np.ndarray) and value.ndim > 0:
        _require_numbers(name, value)
        if value.ndim < 2 or value.shape[-2] != 1 or value.shape[-1] not in (1, n):
            raise PlasticError(f"{name} has shape {value.shape}; {(*lead, 1, n)} is needed, or a list, by layer")
        if value.ndim > len(lead) + 2 or any(
            length not in (1, own) for length, own in zip(value.shape[-3::-1], lead[::-1], strict=False)
        ):
            raise PlasticError(f"{name} has the replica axes {value.shape[:-2]}, but the layers have {lead}")
        each = value
    else:
        each = np.concatenate(_by_layer(name, value, sizes[1:]))[None]
    return np.broadcast_to(each.astype(float), (*[1] * (len(lead) + 2 - each.ndim), *each.shape[:-1], n)).copy()


def _by_layer(name, value, widths):
    """Return one host vector for each layer."""
    several = isinstance(value, list | tuple)
    values = value if several else [value] * len(widths)
    if len(values) != len(widths):
        raise PlasticError(f"{name} has {len(values)} entries; there are {len(widths)} layers")
    found = []
    for k, (each, n) in enumerate(zip(values, widths, strict=True)):
        where = f"{name} of layer {k}" if several else name
        if several and isinstance(each, list | tuple) and all(isinstance(one, numbers.Real) for one in each):
            each = np.array(each)
        _require_numbers(where, each)
        if np.shape(each) not in ((), (n,)):
            raise PlasticError(f"{where} has shape {np.shape(each)}; the layer has {n} neurons")
        found.append(np.broadcast_to(np.asarray(each, dtype=float), (n,)))
    return found


def _require_numbers(name, value):
    """Require a finite number, or a host array of them."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "fiu":
        raise PlasticError(f"{name} holds {value.dtype}; numbers are needed")
    if not isinstance(value, numbers.Real | np.ndarray):
        raise PlasticError(f"{name} is a {type(value).__name__}; it must be a number, a list of them, or a host array")
    require.number(name, value)
