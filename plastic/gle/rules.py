"""Gradients of a whole sequence, backwards in time: what GLE approximates forward in time and locally.

Both rules are for a loss L of the outputs that `predict` gives from rest, by default a mean over steps and batch,

    L = mean over t and batch of |output_t - y_t|^2 / 2

whose counterpart by GLE is the mean over the steps of the gradients of `step` with err = output - y.

**Backpropagation through time** is exact. With D = I - u, an Euler step of the layers l = 1 .. L without a target is

    I_l = r_{l-1} W_l + b_l,    u~ = u + (tau_r / tau_m) D,    u <- u + (dt / tau_m) D,    r <- phi(u~)

with r_0 = x, and output_t = r_L before the step. Backwards, with U and R the derivatives of the loss by u and r after a
step, 0 after the last, and p, c those by u~ and I within it,

    p = R phi'(u~),    c = (dt / tau_m) (U + (tau_r / dt) p),    U <- U + p - c
    R_{l-1} <- c_l W_l^T,    R_L <- dL/doutput_t
    dL/dW_l = sum over t of r_{l-1}^T c_l,    dL/db_l = sum of c_l,    dL/dtau_m = -sum of c D / tau_m

**The adjoint method** discretises the adjoint equation of the continuous dynamics instead, without the delay of a step
in each layer (`plastic.gle.adjoint_dynamics`). Its gradient tends to that of backpropagation as dt gets small.
"""

from collections.abc import Callable
from typing import Any

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.gle import adjoint_dynamics
from plastic.gle.dynamics import advance, gradients_to_write, require_sequences
from plastic.gle.networks import Network
from plastic.gle.parameters import Parameters
from plastic.gle.state import State
from plastic.types import Array


def squared_error(output: Array, y: Array) -> tuple[Array, Array]:
    """Return L = mean over t and batch of |output_t - y_t|^2 / 2, and dL/doutput.

    Args:
        output: (..., T, batch, n).
        y: targets (..., T, batch, n) of the output of each step.

    Returns:
        (L, err): L of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if y is of another shape or precision.

    Example:
        >>> L, err = squared_error(xp.ones((2, 1, 1)), xp.zeros((2, 1, 1)))
        >>> float(L), err[:, 0, 0].tolist()
        (0.5, [0.5, 0.5])
    """
    require.targets(y, output, output.shape[-1], output.dtype, time=True)
    lead = output.shape[:-3]
    if require.replicas(network=lead, y=y.shape[:-3]) != lead:
        raise PlasticError(f"the replica axes of the network are {lead}, but y has {y.shape[:-3]}")
    d, count = output - y, output.shape[-3] * output.shape[-2]
    return xp.sum(d * d, axis=(-3, -2, -1)) / (2 * count), d * (1 / count)


@xp.underflow_is_ordinary()
def bptt(
    net: Network,
    x: Array,
    y: Any,
    *,
    loss: Callable[[Array, Any], tuple[Array, Array]] = squared_error,
    out: Parameters | None = None,
) -> tuple[Parameters, Array]:
    """Return the exact gradient of a loss of all outputs, by backpropagation through time.

    Through the dynamics without a target: gamma and prospective errors do not enter. The equations are in
    `plastic.gle.rules`. Of each step, four arrays of all neurons are kept.

    Args:
        net: the network; it is not changed.
        x: input (..., T, batch, n_0), in steps of net.dt.
        y: what `loss` compares the outputs with: targets (..., T, batch, n_L) for `squared_error`. The output of a step
            is that before it, as from `predict`.
        loss: function of (outputs, y) to (L, err), err = dL/doutput of the shape of the outputs; by default half the
            squared error, a mean over steps and batch.
        out: gradients to write into, as `plastic.parameters.zeros_like(net.parameters)` makes them; None for new ones.

    Returns:
        (grads, outputs): gradients of the form of `net.parameters`, to be subtracted, and outputs (..., T, batch, n_L).

    Raises:
        PlasticError: if x, y, out, or what the loss returns, is of another shape or precision than the network takes.

    Source: the chain rule. For the truncated form of Ellenberger et al. 2024, Fig. 5, with the errors that nudge the
    membranes, see `plastic.gle.lagline_bptt`.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> grads, outputs = gle.bptt(net, xp.ones((30, 4, 1), "float32"), xp.ones((30, 4, 2), "float32"))
        >>> outputs.shape
        (30, 4, 2)
    """
    grads, units, (r, slope, du, error) = _begun(net, x, y, loss, out)
    one = xp.ones((1, x.shape[-2]), dtype=xp.float_dtype)
    rate, ahead = (affine.transposed(each) * one for each in (net.dt / net.tau_m, net.tau_r / net.dt))
    U, R, c = xp.zeros_like(units.u), units.E, units.e_ahead
    R[...] = 0
    for t in reversed(range(x.shape[-3])):
        p = R * slope[..., t, :, :]
        xp.multiply(p, ahead, out=c)
        c += U
        c *= rate
        U += p
        U -= c
        for stack, W in zip(units.stacks, net.parameters.down, strict=True):
            if W is not None:
                stack.times_down(W, stack.sent, out=stack.received)
        units.err[...] = error[..., t, :, :]
        slope[..., t, :, :] = c  # whose place it takes
    return _written(net, x, r, slope, du, grads, 1)


@xp.underflow_is_ordinary()
def adjoint(
    net: Network,
    x: Array,
    y: Any,
    *,
    loss: Callable[[Array, Any], tuple[Array, Array]] = squared_error,
    out: Parameters | None = None,
) -> tuple[Parameters, Array]:
    """Return the gradient of a loss of all outputs by the adjoint method, for dynamics in continuous time.

        tau_m dlambda/dt = lambda - alpha + tau_r dalpha/dt    backwards from    lambda(T) = (tau_r / tau_m) alpha(T)
        dL/dW_l = -sum over t and batch of rho_l^T lambda_l,    dL/db_l = -sum of lambda_l,
        dL/dtau_m = sum of lambda du/dt

    with alpha_l = phi'(u~_l) (lambda_{l+1} W_{l+1}^T), and alpha = -phi'(u~) dL/doutput at the output; discretised as
    in `plastic.gle.adjoint_dynamics`. The error is of the order of dt. gamma and prospective errors do not enter.

    Args:
        net: the network; it is not changed.
        x: input (..., T, batch, n_0), in steps of net.dt.
        y: what `loss` compares the outputs with: targets (..., T, batch, n_L) for `squared_error`. The output of a step
            is that before it, as from `predict`.
        loss: function of (outputs, y) to (L, err), err = dL/doutput of the shape of the outputs; by default half the
            squared error, a mean over steps and batch.
        out: gradients to write into, as `plastic.parameters.zeros_like(net.parameters)` makes them; None for new ones.

    Returns:
        (grads, outputs): gradients of the form of `net.parameters`, to be subtracted, and outputs (..., T, batch, n_L).

    Raises:
        PlasticError: if x, y, out, or what the loss returns, is of another shape or precision than the network takes.

    Source: Ellenberger et al. 2024, Fig. 6 and Methods; discretised as in the published code, but for the end of the
    window, see `plastic.gle.adjoint_dynamics`.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> grads, outputs = gle.adjoint(net, xp.ones((30, 4, 1), "float32"), xp.ones((30, 4, 2), "float32"))
        >>> outputs.shape
        (30, 4, 2)
    """
    grads, _, (r, slope, du, error) = _begun(net, x, y, loss, out)
    m, q = (xp.moveaxis(affine.transposed(rows), -3, 0) for rows in (error * -1, slope))
    lam = xp.moveaxis(adjoint_dynamics.errors(net, m, q, textbook=True), 0, -3)
    return _written(net, x, r, affine.transposed(lam), du, grads, -1)


def _begun(net, x, y, loss, out):
    """Check a call; return the gradients to write, the `Units` of a state, and (r, slope, du, error) of all steps.

    r: rates before a step; slope: phi'(u~), du: the change of u within it, None where nothing needs it; error:
    dL/doutput. All are rows of samples, (..., T, N, batch).
    """
    lead = require_sequences(net, x)
    grads = gradients_to_write(net, out)
    state, (T, batch) = State(net, x.shape[-2]), x.shape[-3:-1]
    units, groups = state.units, state.units.neurons(net).groups
    r, slope = (xp.empty((*lead, T, sum(net.sizes[1:]), batch), dtype=xp.float_dtype) for _ in range(2))
    du = None if grads.tau_m is None else xp.empty_like(r)
    for t in range(T):
        r[..., t, :, :] = units.r
        advance(net, state, x[..., t, :, :])
        for group in groups:
            group.take_slopes()
        slope[..., t, :, :] = units.q
        if du is not None:
            du[..., t, :, :] = units.du
    output = affine.transposed(r[..., net.columns[-1], :])
    return grads, units, (r, slope, du, affine.transposed(_errors(loss, output, y)))


def _errors(loss, output, y):
    """Return dL/doutput, as the loss says."""
    if not callable(loss):
        raise PlasticError(f"loss is a {type(loss).__name__}; it must be a function, loss(output, y) -> (L, err)")
    found = loss(output, y)
    err = found[1] if isinstance(found, tuple) and len(found) == 2 else None
    if getattr(err, "shape", None) != output.shape or err.dtype != output.dtype:
        raise PlasticError(f"loss(output, y) must return (L, err), err = dL/doutput {output.dtype} of {output.shape}")
    return err


def _written(net, x, r, c, du, grads, sign):
    """Write the gradients, given sign dL/dI of all steps, c; return them, and the outputs, which the rates r hold."""
    for k, layer in enumerate(grads.layers):
        below = affine.transposed(x) if k == 0 else r[..., net.columns[k - 1], :]
        layer.W[...] = xp.sum(xp.matmul(below, affine.transposed(c[..., net.columns[k], :])), axis=-3)
    if grads.b is not None:
        grads.b[...] = affine.transposed(_sum(c))
    if grads.tau_m is not None:
        grads.tau_m[...] = affine.transposed(_sum(c * du)) * (-1 / net.dt)
    grads.flat *= sign
    return grads, affine.transposed(r[..., net.columns[-1], :])


def _sum(rows):
    """The sum over steps and samples of rows (..., T, N, batch), as a column (..., N, 1)."""
    return xp.sum(xp.sum(rows, axis=-3), axis=-1, keepdims=True)
