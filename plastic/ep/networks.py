"""The four published networks, each a wiring (parameters and couplings) with dynamics.

Sizes are given from the input to the output. Every weight and bias is drawn from U(-c, c), c = 1 / sqrt(n_in), n_in the
inputs of its unit in the forward direction, as in the published code.
"""

import itertools
import math
from collections.abc import Sequence

from plastic import functions, require, xp
from plastic.ep.dynamics import EnergyNetwork, PrototypicalNetwork
from plastic.ep.wiring import Convolutional, FullyConnected
from plastic.ep.wiring.maps import map_sizes, rows_and_columns
from plastic.errors import PlasticError
from plastic.functions import Activation, sigm
from plastic.initializers import Generator, replicas, uniform_fan_in
from plastic.parameters import Affine


def energy(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str = sigm,
    dt: float = 0.2,
    clamp: bool = True,
    consistent: bool = False,
    angle: float | None = None,
    loss: str = "mse",
) -> EnergyNetwork:
    """Return an energy-based network.

        s_k <- s_k + dt (rho'(s_k) a_k - s_k),    a_k = rho(s_{k-1}) W_k + b_k + rho(s_{k+1}) W_{k+1}^T,    s_0 = x
        s_L <- s_L + dt (a_L - s_L),              a_L = rho(s_{L-1}) W_L + b_L

    Args:
        sizes: widths (n_0, n_1, .., n_L), the input first, with one hidden layer or more.
        generator: draws the weights; of a list of them, each draws a replica.
        phi: the activation rho of all layers, or its name. BPTT needs its curvature.
        dt: the length of a step, above 0 and at most 1.
        clamp: keep every state in [0, 1].
        consistent: a factor rho'(s_L) for the output too, so that the network follows the gradient of its energy. The
            published code has none.
        angle: with a number, feedback weights U_k in the place of W_k^T, of a vector field, which begin at about this
            angle to W_k^T, in degrees from 0 to 180; see `plastic.ep.wiring.fully_connected`.
        loss: "mse", or "cel": the last width is that of a softmax readout, which takes no part in the dynamics, and the
            loss is its cross-entropy; see `plastic.ep.dynamics.network`. "layers" has one less then, "readout" W and b.

    Returns:
        An `EnergyNetwork`; its parameters are {"layers": [Affine(W_k (..., n_{k-1}, n_k), b_k (..., 1, n_k)), ..]}, and
        with an angle "feedback": [Affine(U_k (..., n_k, n_{k-1})), ..].

    Raises:
        PlasticError: if an argument does not fit.

    Source: Ernoult et al. 2019, the energy-based setting.

    Example:
        >>> import numpy as np
        >>> from plastic import ep
        >>> ep.energy((784, 512, 10), np.random.default_rng(0))
        EnergyNetwork 784-512-10, sigm, dt 0.2
    """
    _require_hidden(sizes)
    wiring, readout = _wiring(sizes, generator, angle, loss)
    return EnergyNetwork(wiring, functions.activation(phi), dt, clamp, consistent, readout=readout)


def toy(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str = sigm,
    dt: float = 0.2,
    clamp: bool = True,
) -> EnergyNetwork:
    """Return the toy model: energy-based, consistent, its input connected to the hidden layer and to the output.

        s_k <- s_k + dt (rho'(s_k) a_k - s_k),    a_1 = rho(x) W_1 + b_1 + rho(s_2) W_2^T
                                                  a_2 = rho(s_1) W_2 + b_2 + rho(x) W_skip + b_skip

    Args:
        sizes: widths (n_0, n_1, n_2), the input first.
        generator: draws the weights; of a list of them, each draws a replica.
        phi: the activation rho of all layers, or its name. BPTT needs its curvature.
        dt: the length of a step, above 0 and at most 1.
        clamp: keep every state in [0, 1].

    Returns:
        An `EnergyNetwork`; its parameters are {"layers": [Affine(W_1, b_1), Affine(W_2, b_2)], "skip": Affine}.

    Raises:
        PlasticError: if an argument does not fit.

    Source: Ernoult et al. 2019, the toy model.

    Example:
        >>> import numpy as np
        >>> from plastic import ep
        >>> ep.toy((5, 50, 10), np.random.default_rng(0), phi="tanh", dt=0.08)
        EnergyNetwork 5-50-10 and 5-10, tanh, dt 0.08, consistent
    """
    require.sizes(sizes)
    if len(sizes) != 3:
        raise PlasticError(f"sizes are {tuple(sizes)}; the toy model has an input, one hidden layer and an output")

    def draw(generator):
        layers = _layers(sizes, generator)
        return layers, _affine((sizes[0], sizes[2]), sizes[0], generator)

    wiring = FullyConnected(*replicas(draw, generator))
    return EnergyNetwork(wiring, functions.activation(phi), dt, clamp, consistent=True)


def prototypical(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str = sigm,
    dt: float = 1.0,
    angle: float | None = None,
    loss: str = "mse",
) -> PrototypicalNetwork:
    """Return a prototypical network.

        s_k <- s_k + dt (rho(u_k) - s_k),    u_k = s_{k-1} W_k + b_k + s_{k+1} W_{k+1}^T,    s_0 = x, no last term for L

    Args:
        sizes: widths (n_0, n_1, .., n_L), the input first, with one hidden layer or more.
        generator: draws the weights; of a list of them, each draws a replica.
        phi: the activation rho of all layers, or its name.
        dt: the length of a step, above 0 and at most 1, which is the paper's map.
        angle: with a number, feedback weights U_k in the place of W_k^T, of a vector field, which begin at about this
            angle to W_k^T, in degrees from 0 to 180; see `plastic.ep.wiring.fully_connected`.
        loss: "mse", or "cel": the last width is that of a softmax readout, which takes no part in the dynamics, and the
            loss is its cross-entropy; see `plastic.ep.dynamics.network`. "layers" has one less then, "readout" W and b.

    Returns:
        A `PrototypicalNetwork`; its parameters are {"layers": [Affine(W_k (..., n_{k-1}, n_k), b_k (..., 1, n_k)),
        ..]}, and with an angle "feedback": [Affine(U_k (..., n_k, n_{k-1})), ..].

    Raises:
        PlasticError: if an argument does not fit.

    Source: Ernoult et al. 2019, the prototypical setting.

    Example:
        >>> import numpy as np
        >>> from plastic import ep
        >>> ep.prototypical((784, 512, 10), [np.random.default_rng(seed) for seed in range(3)])
        PrototypicalNetwork 784-512-10, sigm, dt 1, replicas (3,)
    """
    _require_hidden(sizes)
    wiring, readout = _wiring(sizes, generator, angle, loss)
    return PrototypicalNetwork(wiring, functions.activation(phi), dt, readout=readout)


def convolutional(
    channels: tuple[int, ...],
    sizes: tuple[int, ...],
    generator: Generator,
    *,
    size: int | tuple[int, int] = 28,
    F: int = 5,
    padding: int = 0,
    pooling: int = 2,
    phi: Activation | str = sigm,
    loss: str = "mse",
) -> PrototypicalNetwork:
    """Return a convolutional prototypical network: convolutions with max-pooling, then a fully connected classifier.

    It takes images (batch, rows, columns, channels), or their rows (batch, rows columns channels), and has no replicas.
    Rows and columns that do not fill a pooling window are left out.

    Args:
        channels: (C_0, .., C_M), those of the input first, with one convolution or more.
        sizes: widths (n_1, .., n_N) of the classifier, the output last.
        generator: draws the weights.
        size: rows and columns of the input, or one number for both.
        F: rows and columns of a filter.
        padding: rows of zeros around each map.
        pooling: rows and columns of a pooling window, which is also its stride; at most 16.
        phi: the activation rho of all layers, or its name.
        loss: "mse", or "cel": the last width is that of a softmax readout, which takes no part in the dynamics, and the
            loss is its cross-entropy; see `plastic.ep.dynamics.network`. "classifier" has one less then, or none.

    Returns:
        A `PrototypicalNetwork` with dt = 1; its parameters are {"convolutions": [Affine(K_m (F, F, C_{m-1}, C_m),
        e_m (1, C_m)), ..], "classifier": [Affine(D_i (n_{i-1}, n_i), d_i (1, n_i)), ..]}.

    Raises:
        PlasticError: if an argument does not fit, or nothing is left of a map.

    Source: Ernoult et al. 2019, the convolutional architecture.

    Example:
        >>> import numpy as np
        >>> from plastic import ep
        >>> ep.convolutional((1, 32, 64), (10,), np.random.default_rng(0), phi="hardsigm")
        PrototypicalNetwork 28x28x1-12x12x32-4x4x64-10, hardsigm, dt 1
    """
    require.sizes(channels, name="channels")
    require.sizes(sizes, least=1)
    for name, value in (("F", F), ("pooling", pooling)):
        require.whole(name, value)
    require.whole("padding", padding, least=0)
    require.generator(generator)
    if isinstance(generator, list | tuple):
        raise PlasticError("generator is a list, but a convolutional network has no replicas; give one generator")
    sides = rows_and_columns(size)
    last = [map_sizes(side, len(channels) - 1, F, padding, pooling)[-1][1] for side in sides]
    kernels = [_affine((F, F, below, above), F * F * below, generator) for below, above in itertools.pairwise(channels)]
    widths = (channels[-1] * math.prod(last), *sizes)
    dense = [_affine(shape, shape[0], generator) for shape in itertools.pairwise(widths)]
    readout = _taken_readout(dense, loss)
    wiring = Convolutional(kernels, dense, size, padding, pooling)
    return PrototypicalNetwork(wiring, functions.activation(phi), readout=readout)


def _require_hidden(sizes):
    require.sizes(sizes)
    if len(sizes) < 3:
        raise PlasticError(f"sizes are {tuple(sizes)}, with no hidden layer; at least one is needed")


def _wiring(sizes, generator, angle, loss):
    """Return the wiring, and its readout or None."""
    if angle is not None and loss == "cel" and len(sizes) < 4:
        raise PlasticError(f"sizes are {tuple(sizes)}, with one hidden layer and loss cel: there is no feedback")
    theta = None if angle is None else math.radians(require.scalar("angle", angle, least=0, most=180))

    def draw(generator):
        layers = _layers(sizes, generator)
        readout = _taken_readout(layers, loss)
        if theta is None:
            return layers, readout, None
        others = [_affine(layer.W.shape, layer.W.shape[0], generator) for layer in layers[1:]]
        mixed = [math.cos(theta) * W.W + math.sin(theta) * V.W for W, V in zip(layers[1:], others, strict=True)]
        return layers, readout, [Affine(U.T.copy()) for U in mixed]

    layers, readout, feedback = replicas(draw, generator)
    return FullyConnected(layers, feedback=feedback), readout


def _taken_readout(layers, loss):
    """Take the readout, the last of the layers, out of them; None where the loss needs no readout."""
    require.choice("loss", loss, ("mse", "cel"))
    return layers.pop() if loss == "cel" else None


def _layers(sizes, generator):
    return [_affine(shape, shape[0], generator) for shape in itertools.pairwise(sizes)]


def _affine(shape, fan_in, generator):
    W = uniform_fan_in(generator, shape, fan_in)
    return Affine(xp.asarray(W), xp.asarray(uniform_fan_in(generator, (1, shape[-1]), fan_in)))
