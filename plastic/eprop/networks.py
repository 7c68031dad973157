"""Networks that e-prop trains: LIF neurons, LIF and ALIF neurons (LSNN), LSTM cells, tanh units.

Their time constants are those of the paper's evidence accumulation task (Fig. 3) unless others are given.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plastic import initializers, require, xp
from plastic.eprop.lstm_cells import LSTMNetwork
from plastic.eprop.rnn_cells import RNNNetwork
from plastic.eprop.spiking import Neurons, SpikingNetwork, decay
from plastic.errors import PlasticError
from plastic.initializers import Generator
from plastic.parameters import Affine


def lif(
    sizes: tuple[int, int, int],
    generator: Generator | Sequence[Generator],
    *,
    tau_v: float = 20.0,
    tau_out: float = 20.0,
    thr: float = 0.6,
    gamma: float = 0.3,
    n_ref: int = 5,
    surrogate: str = "piecewise_linear",
    sharpness: float = 1.0,
    delay: int = 1,
) -> SpikingNetwork:
    """Return a recurrent network of LIF neurons with a leaky readout.

        v^t = alpha v^{t-1} + x^t W_in + z^{t-1} W_rec - theta z^{t-1},    alpha = exp(-1 / tau_v)
        z^t = [v^t > theta],                                               0 while refractory
        y^t = kappa y^{t-1} + (1 - kappa) z^t W_out,                       kappa = exp(-1 / tau_out)

    All weights are N(0, 1) / sqrt(inputs), without biases, drawn in the order W_in, W_rec, W_out.

    Args:
        sizes: numbers of inputs, neurons and readouts, (n_in, n, n_out).
        generator: of random numbers, or a list of them, one for each replica.
        tau_v: time constant of the membrane in ms, which is steps.
        tau_out: time constant of the readout in ms.
        thr: threshold theta, above 0.
        gamma: dampening factor of the pseudo-derivative, above 0.
        n_ref: refractory period in ms, the step of the spike counted; 1 for none.
        surrogate: form of the pseudo-derivative: "piecewise_linear", as published, "exponential", "fast_sigmoid" or
            "arctan", as NEST defines them.
        sharpness: of the pseudo-derivative, above 0; NEST's beta.
        delay: of spikes from one neuron to another in ms, a whole number from 1 on.

    Returns:
        The `SpikingNetwork`.

    Raises:
        PlasticError: if an argument is of another kind or out of range.

    Source: Bellec, Scherr et al. 2020, eqs. 7-11, and the published code of Fig. 3.

    Example:
        >>> lif((40, 100, 2), np.random.default_rng(1))
        SpikingNetwork 40-100-2, theta 0.6, n_ref 5
    """
    _require_three(sizes)
    require.number("thr", thr, above=0)
    neurons = Neurons(decay(tau_v, "tau_v"), thr, gamma=gamma, n_ref=n_ref, surrogate=surrogate, sharpness=sharpness)
    return _spiking(sizes, generator, neurons, tau_out, delay)


def lsnn(
    sizes: tuple[int, int, int],
    generator: Generator | Sequence[Generator],
    *,
    n_adaptive: int | None = None,
    tau_v: float = 20.0,
    tau_a: float = 2000.0,
    tau_out: float = 20.0,
    thr: float = 0.6,
    beta: float | None = None,
    gamma: float = 0.3,
    n_ref: int = 5,
    surrogate: str = "piecewise_linear",
    sharpness: float = 1.0,
    delay: int = 1,
) -> SpikingNetwork:
    """Return a recurrent network of LIF and ALIF neurons (LSNN) with a leaky readout.

        z^t = [v^t > theta + beta a^t],    a^t = rho a^{t-1} + z^{t-1},    rho = exp(-1 / tau_a)

    and else as for `lif`, weights too. LIF neurons come first, then those whose thresholds adapt.

    Args:
        sizes: numbers of inputs, neurons and readouts, (n_in, n, n_out).
        generator: of random numbers, or a list of them, one for each replica.
        n_adaptive: how many of the n neurons are ALIF; half of them by default.
        tau_v: time constant of the membrane in ms, which is steps.
        tau_a: time constant of the adaptation in ms.
        tau_out: time constant of the readout in ms.
        thr: baseline threshold theta, above 0.
        beta: how far a spike raises the threshold of an ALIF neuron. By default 1.7 (1 - rho) / (1 - alpha), the
            published 1.7 in units of an input gain of 1: 0.0174 with these time constants.
        gamma: dampening factor of the pseudo-derivative, above 0.
        n_ref: refractory period in ms, the step of the spike counted; 1 for none.
        surrogate: form of the pseudo-derivative: "piecewise_linear", as published, "exponential", "fast_sigmoid" or
            "arctan", as NEST defines them.
        sharpness: of the pseudo-derivative, above 0; NEST's beta.
        delay: of spikes from one neuron to another in ms, a whole number from 1 on.

    Returns:
        The `SpikingNetwork`.

    Raises:
        PlasticError: if an argument is of another kind or out of range.

    Source: Bellec, Scherr et al. 2020, eqs. 7-11, and the published code of Fig. 3.

    Example:
        >>> lsnn((40, 100, 2), np.random.default_rng(1))
        SpikingNetwork 40-100-2, 50 adaptive, theta 0.6, n_ref 5
    """
    _require_three(sizes)
    n = sizes[1]
    n_adaptive = n // 2 if n_adaptive is None else n_adaptive
    require.whole("n_adaptive", n_adaptive, 0, n)
    require.number("thr", thr, above=0)
    alpha, rho = decay(tau_v, "tau_v"), decay(tau_a, "tau_a")
    beta = 1.7 * (1 - rho) / (1 - alpha) if beta is None else beta
    require.scalar("beta", beta, least=0)
    each = np.zeros((1, n))
    each[0, n - n_adaptive :] = beta
    neurons = Neurons(alpha, thr, rho, xp.asarray(each), gamma, n_ref=n_ref, surrogate=surrogate, sharpness=sharpness)
    return _spiking(sizes, generator, neurons, tau_out, delay)


def lstm(
    sizes: tuple[int, int, int],
    generator: Generator | Sequence[Generator],
    *,
    peepholes: bool = False,
    forget_bias: float = 1.0,
) -> LSTMNetwork:
    """Return a layer of LSTM cells with a linear readout (equations: `plastic.eprop.lstm_cells`).

    The weights into the gates are Glorot-uniform, biases 0, W_out ~ N(0, 1) / sqrt(n), peepholes uniform in
    +-sqrt(3 / n), the defaults of the published code. They are drawn in the order kernel, readout, w_i, w_f, w_o.

    Args:
        sizes: numbers of inputs, cells and outputs, (n_in, n, n_out).
        generator: of random numbers, or a list of them, one for each replica.
        peepholes: whether the gates see the hidden states c.
        forget_bias: what is added to the input of the forget gate.

    Returns:
        The `LSTMNetwork`.

    Raises:
        PlasticError: if an argument is of another kind or out of range.

    Source: Hochreiter and Schmidhuber 1997; the published code for speech of Bellec, Scherr et al. 2020.

    Example:
        >>> lstm((39, 200, 61), np.random.default_rng(1))
        LSTMNetwork 39-200-61
    """
    _require_three(sizes)
    require.choice("peepholes", peepholes, (True, False))
    n_in, n, n_out = sizes

    def draw(generator: Generator) -> Any:
        kernel = initializers.xavier_uniform(generator, n_in + n, 4 * n)
        readout = generator.standard_normal((n, n_out)) / math.sqrt(n)
        bound = math.sqrt(3 / n)
        w = [generator.uniform(-bound, bound, (1, n)) for _ in range(3)] if peepholes else []
        b, b_out = np.zeros((1, 4 * n)), np.zeros((1, n_out))
        return [xp.asarray(each) for each in (kernel, b, readout, b_out, *w)]

    kernel, b, readout, b_out, *w = initializers.replicas(draw, generator)
    w_i, w_f, w_o = w if peepholes else (None, None, None)
    return LSTMNetwork(Affine(kernel, b), Affine(readout, b_out), w_i, w_f, w_o, forget_bias)


def rnn(sizes: tuple[int, int, int], generator: Generator | Sequence[Generator]) -> RNNNetwork:
    """Return a layer of recurrent tanh units (a vanilla RNN) with a linear readout.

        h^t = tanh(x^t W_x + h^{t-1} W_h + b),    y^t = h^t W_out + b_out

    The weights into the units are Glorot-uniform, biases 0, W_out ~ N(0, 1) / sqrt(n), drawn in the order kernel,
    readout.

    Args:
        sizes: numbers of inputs, units and outputs, (n_in, n, n_out).
        generator: of random numbers, or a list of them, one for each replica.

    Returns:
        The `RNNNetwork`.

    Raises:
        PlasticError: if an argument is of another kind or out of range.

    Source: Elman 1990; the published code for speech of Bellec, Scherr et al. 2020, without its LSTM cells.

    Example:
        >>> rnn((39, 200, 61), np.random.default_rng(1))
        RNNNetwork 39-200-61
    """
    _require_three(sizes)
    n_in, n, n_out = sizes

    def draw(generator: Generator) -> Any:
        kernel = initializers.xavier_uniform(generator, n_in + n, n)
        readout = generator.standard_normal((n, n_out)) / math.sqrt(n)
        return [xp.asarray(each) for each in (kernel, np.zeros((1, n)), readout, np.zeros((1, n_out)))]

    kernel, b, readout, b_out = initializers.replicas(draw, generator)
    return RNNNetwork(Affine(kernel, b), Affine(readout, b_out))


NETWORKS: dict[str, Callable[..., Any]] = {"lif": lif, "lsnn": lsnn, "lstm": lstm, "rnn": rnn}
"""The constructors by name."""


def _spiking(sizes: Any, generator: Any, neurons: Neurons, tau_out: float, delay: int) -> SpikingNetwork:
    n_in, n, n_out = sizes
    shapes = {"W_in": (n_in, n), "W_rec": (n, n), "W_out": (n, n_out)}

    def draw(generator: Generator) -> Any:
        return {
            name: xp.asarray(generator.standard_normal(shape) / math.sqrt(shape[0])) for name, shape in shapes.items()
        }

    kappa = decay(tau_out, "tau_out")
    return SpikingNetwork(
        **initializers.replicas(draw, generator), neurons=neurons, kappa=kappa, g_out=1 - kappa, delay=delay
    )


def _require_three(sizes: Any) -> None:
    require.sizes(sizes, least=3)
    if len(sizes) > 3:
        raise PlasticError(f"sizes is {tuple(sizes)}; it must be three numbers: inputs, neurons, readouts")
