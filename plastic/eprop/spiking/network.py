"""LIF and ALIF neurons, and a recurrent network of them with a leaky readout: constants and parameters."""

import dataclasses
import math
import numbers
from typing import Any

from plastic import require, xp
from plastic.eprop import checks
from plastic.eprop.spiking.surrogates import SURROGATES
from plastic.errors import PlasticError
from plastic.types import Array, Tree

_BOUNDS: dict[str, dict[str, float]] = {
    "alpha": {"least": 0, "below": 1},
    "theta": {"above": 0},
    "rho": {"least": 0, "below": 1},
    "beta": {"least": 0},
    "gamma": {"above": 0},
    "gain": {"above": 0},
    "sharpness": {"above": 0},
}


@dataclasses.dataclass(frozen=True, repr=False)
class Neurons:
    """The constants of a population of LIF and ALIF neurons (Bellec, Scherr et al. 2020, eqs. 7-11).

    Each is a number, or an array (..., 1, n) with one for each neuron, or (..., 1, 1) with one for each replica.

    Args:
        alpha: decay of the membrane in a step, exp(-dt / tau_v), from 0 to below 1.
        theta: baseline threshold, above 0.
        rho: decay of the adaptation, exp(-dt / tau_a), from 0 to below 1.
        beta: how far a spike raises the threshold, at least 0; None for LIF neurons, and 0 for those among ALIF.
        gamma: dampening factor of the pseudo-derivative, above 0; a number, or (..., 1, 1).
        gain: of the input currents, above 0: 1, or 1 - alpha.
        n_ref: refractory period in steps, the step of the spike counted; 1 for none. A number.
        unmasked: whether the adaptation also grows by spikes that refractoriness suppresses.
        surrogate: the form of the pseudo-derivative: "piecewise_linear", as published, "exponential", "fast_sigmoid" or
            "arctan".
        sharpness: of the pseudo-derivative, above 0; a number, or (..., 1, 1).
        relative: whether distances to the threshold are fractions of the adapted one, u = (v - A) / A with
            A = theta + beta a (LightALIF), in place of (v - A) / theta.

    Raises:
        PlasticError: if a constant is out of range or varies over the batch, or `relative` neurons are `unmasked` or
            have another surrogate than the published one.

    Source: the published code's classes of LIF and ALIF cells, in the units of gain 1 if `gain` is 1.

    Example:
        >>> Neurons(alpha=decay(20), theta=0.6, n_ref=5)
        Neurons alpha 0.9512, theta 0.6, gamma 0.3, n_ref 5
    """

    alpha: Any
    theta: Any
    rho: Any = 0.0
    beta: Any = None
    gamma: Any = 0.3
    gain: Any = 1.0
    n_ref: int = 1
    unmasked: bool = False
    surrogate: str = "piecewise_linear"
    sharpness: Any = 1.0
    relative: bool = False

    def __post_init__(self) -> None:
        require.whole("n_ref", self.n_ref)
        object.__setattr__(self, "n_ref", int(self.n_ref))  # NumPy's scalars would turn float32 into float64
        for name in ("unmasked", "relative"):
            require.choice(name, getattr(self, name), (True, False))
        require.choice("surrogate", self.surrogate, tuple(SURROGATES))
        if self.relative and (self.unmasked or self.surrogate != "piecewise_linear"):
            raise PlasticError("relative neurons are neither unmasked nor of another surrogate than piecewise_linear")
        for name, bounds in _BOUNDS.items():
            value = getattr(self, name)
            if name == "beta" and value is None:
                continue
            require.number(name, value, **bounds)
            if isinstance(value, numbers.Real):
                object.__setattr__(self, name, float(value))
            else:
                checks.row_of_constants(name, value)

    def __repr__(self) -> str:
        adaptive = "" if self.beta is None else f", rho {_shown(self.rho)}, beta {_shown(self.beta)}"
        rest = f", gamma {_shown(self.gamma)}, n_ref {self.n_ref}"
        return f"Neurons alpha {_shown(self.alpha)}, theta {_shown(self.theta)}{adaptive}{rest}"


def decay(tau: float, name: str = "tau") -> float:
    """Return the decay exp(-dt / tau) in a step of dt = 1 ms.

    Args:
        tau: time constant in ms, above 0 and below 1e12.
        name: what messages call it.

    Returns:
        A number from 0 to below 1.

    Raises:
        PlasticError: if tau is out of range.

    Example:
        >>> round(decay(20), 4)
        0.9512
    """
    require.number(name, tau, above=0, below=1e12)
    if not isinstance(tau, numbers.Real):
        raise PlasticError(f"{name} is an array; one number is needed")
    return math.exp(-1 / tau)


@dataclasses.dataclass(eq=False, repr=False)
class SpikingNetwork:
    """A recurrent network of spiking neurons with a leaky readout; `eprop.lif` and `eprop.lsnn` make one.

    The weights and b_out have the same replica axes, or none.

    Args:
        W_in: (..., n_in, n), from the inputs to the neurons.
        W_rec: (..., n, n), between neurons; its diagonal counts as 0.
        W_out: (..., n, n_out), from the neurons to the readout.
        neurons: their constants, `Neurons`.
        kappa: decay of the readout in a step, from 0 to below 1; a number, or (..., 1, 1).
        g_out: gain of the readout, often 1 - kappa; a number, or (..., 1, 1).
        b_out: bias of the readout (..., 1, n_out), or None.
        delay: steps that spikes take from one neuron to another, a whole number from 1 on; the published cells have 1.

    Raises:
        PlasticError: if shapes, precisions or replica axes do not fit together, or a constant is out of range.

    Source: Bellec, Scherr et al. 2020, eqs. 7-11.

    Example:
        >>> neurons = Neurons(decay(20), theta=0.6)
        >>> SpikingNetwork(xp.ones((3, 4)), xp.zeros((4, 4)), xp.ones((4, 2)), neurons, kappa=0.9, g_out=0.1)
        SpikingNetwork 3-4-2, theta 0.6, n_ref 1
    """

    W_in: Any
    W_rec: Any
    W_out: Any
    neurons: Neurons
    kappa: Any
    g_out: Any
    b_out: Any = None
    delay: int = 1

    def __post_init__(self) -> None:
        require.whole("delay", self.delay)
        self.delay = int(self.delay)
        if not isinstance(self.neurons, Neurons):
            raise PlasticError(f"neurons is a {type(self.neurons).__name__}; it must be eprop.Neurons(...)")
        for name in ("W_in", "W_rec", "W_out"):
            if getattr(getattr(self, name), "ndim", 0) < 2:
                raise PlasticError(f"{name} is no matrix (..., n, m) of weights")
        n_in, n, n_out = self.sizes
        checks.matrices(
            W_in=(self.W_in, (n_in, n)),
            W_rec=(self.W_rec, (n, n)),
            W_out=(self.W_out, (n, n_out)),
            b_out=(self.b_out, (1, n_out)),
        )
        require.number("kappa", self.kappa, least=0, below=1)
        require.number("g_out", self.g_out)
        for name in ("kappa", "g_out"):
            if isinstance(getattr(self, name), numbers.Real):
                setattr(self, name, float(getattr(self, name)))
            checks.constant(name, getattr(self, name), 1, self.W_in)
        for name in _BOUNDS:
            if getattr(self.neurons, name) is not None:
                checks.constant(
                    name, getattr(self.neurons, name), 1 if name in ("gamma", "sharpness") else n, self.W_in
                )

    def __repr__(self) -> str:
        neurons, beta = self.neurons, self.neurons.beta
        adaptive = "" if beta is None else ", adaptive"
        if isinstance(beta, xp.ndarray) and beta.shape[-1] > 1:
            adaptive = f", {xp.asnumpy(beta.reshape(-1, beta.shape[-1])[0] > 0).sum()} adaptive"
        sizes = "-".join(map(str, self.sizes))
        constants = f"theta {_shown(neurons.theta)}, n_ref {neurons.n_ref}"
        return f"SpikingNetwork {sizes}{adaptive}, {constants}{checks.replicated(self.replicas)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, neurons and readouts."""
        return *self.W_in.shape[-2:], self.W_out.shape[-1]

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters."""
        return self.W_in.shape[:-2]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.W_in.dtype

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        return {"W_in": self.W_in, "W_rec": self.W_rec, "W_out": self.W_out, "b_out": self.b_out}

    def connections(self) -> Array:
        """Return what spikes of other neurons add to v when they arrive, gain W_rec, 0 on the diagonal."""
        return self.W_rec * (self.neurons.gain * (1 - xp.eye(self.W_rec.shape[-1], dtype=self.W_rec.dtype)))

    def recurrence(self) -> Array:
        """Return what z^{t-1} adds to v^t as one matrix where the delay is 1: `connections`, -theta on the diagonal."""
        return self.connections() - self.neurons.theta * xp.eye(self.W_rec.shape[-1], dtype=self.W_rec.dtype)


def _shown(constant: Any) -> str:
    return f"{constant:.4g}" if isinstance(constant, numbers.Real) else str(constant.shape)
