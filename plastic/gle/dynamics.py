"""The dynamics of generalized latent equilibrium (GLE), by Euler steps (Ellenberger et al. 2024).

A neuron has a membrane potential u, a rate r = phi(u~) of its *prospective* potential u~, and an error. With rho_l the
rates of the layer below (the input for the first), all per sample,

    I_l   = rho_l W_l + b_l + gamma e~_l                                          input current, nudged by the error
    u~    = u + tau_r du/dt,    tau_m du/dt = I - u,    r = phi(u~)               membrane, prospective potential, rate
    e     = phi'(u~) E,         E_l = e~_{l+1} W_{l+1}^T                          error, from the layer above
    e~    = v + tau_m dv/dt,    tau_r dv/dt = e - v                               prospective error
    dW_l  ~ rho_l^T e~_l,       db_l ~ e~_l,    dtau_m ~ -e~ du/dt                local plasticity

so a rate looks ahead by tau_r of what the membrane delayed by tau_m, and an error undoes both: it is low-passed by
tau_r and looks ahead by tau_m. For tau_r = tau_m all is instantaneous; for tau_r = dt a neuron is a leaky integrator.
E of the output layer is beta times the negative gradient of the loss there; e~ points downhill. Without prospective
errors, e~ = e: instantaneous backpropagation.

A step of length dt takes everything from the state before (a fully parallel update): a rate needs a step to go up by a
layer, and an error one to go down. So the errors of a step meet phi' of the step before, and the output that belongs to
a step, the one whose error it takes, is the rate of the output layer before it.

The equations are those of "Results" in the paper; their discretisation is that of the published code.
"""

from typing import Any

from plastic import affine, parameters, require, xp
from plastic.errors import PlasticError
from plastic.gle.networks import Network
from plastic.gle.parameters import Parameters
from plastic.gle.state import State, require_network
from plastic.types import Array


@xp.underflow_is_ordinary()
def step(
    net: Network, state: State, x: Array, err: Array | None = None, *, out: Parameters | None = None
) -> tuple[Parameters, Array]:
    """Take one Euler step of rates and errors, and return the gradients that each neuron finds where it is.

        dL/dW_l = -mean of rho_l^T e~_l,    dL/db_l = -mean of e~_l,    dL/dtau_m = mean of e~ du/dt    (over the batch)

    The equations of a step are in `plastic.gle.dynamics`. As this is the inside of a loop, little is checked: what the
    shapes of x and err end with, and that `out` fits.

    Args:
        net: the network; it is not changed.
        state: a `State` of it, which is changed.
        x: input (..., batch, n_0).
        err: beta dL/doutput (..., batch, n_L), per sample, at `state.output` as it is before the step: for L = |output
            - y|^2 / 2 it is beta (state.output - y). None for no target. Gradients grow with beta.
        out: gradients to write into, as `plastic.parameters.zeros_like(net.parameters)` makes them; None for new ones.

    Returns:
        (grads, output): gradients of the form of `net.parameters`, to be subtracted; and the rates of the output layer
        before the step (..., batch, n_L), to which err belongs.

    Raises:
        PlasticError: if x, err or out is of another form.

    Source: Ellenberger et al. 2024, "Results"; discretised as in the published code.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> state, x, y = gle.State(net, batch=4), xp.ones((4, 1), "float32"), xp.ones((4, 2), "float32")
        >>> for _ in range(3):
        ...     grads, output = gle.step(net, state, x, state.output - y)
        >>> grads, output.shape
        (Parameters of 22 numbers, layers/0/W, layers/0/b, layers/1/W, layers/1/b, (4, 2))
    """
    grads = gradients_to_write(net, out)
    return grads, _euler_step(net, state, x, err, grads)


@xp.underflow_is_ordinary()
def evolve(net: Network, state: State, x: Array, err: Array | None = None) -> Array:
    """Take one Euler step of rates and errors without the gradients; return the output before it. See `step`.

    Args:
        net, state, x, err: as for `step`.

    Returns:
        The rates of the output layer before the step (..., batch, n_L).

    Raises:
        PlasticError: if x or err is of another form.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> gle.evolve(net, gle.State(net, batch=4), xp.ones((4, 1), "float32")).shape
        (4, 2)
    """
    return _euler_step(net, state, x, err, None)


def advance(net: Network, state: State, x: Array) -> Array:
    """Take one Euler step of u and r alone; return the output before it.

    Equal to `evolve` without a target, as long as there are no errors in the state, but for q, which `forget_errors`
    brings up to date.

    Args:
        net, state, x: as for `step`.

    Returns:
        The rates of the output layer before the step (..., batch, n_L).
    """
    units = state.units
    output = affine.transposed(units.output.copy())
    _currents(net, units, x)
    neurons = units.neurons(net)
    _membranes(net, units, neurons)
    for group in neurons.groups:
        group.take_rates()
    return output


def forget_errors(net: Network, state: State) -> None:
    """Bring a state up to date after `advance`: q is phi'(u~) as it is now, and there are no errors.

    Args:
        net, state: as for `step`.
    """
    state.v[...] = 0
    state.E[...] = 0
    for group in state.units.neurons(net).groups:
        group.take_slopes()


@xp.underflow_is_ordinary()
def predict(net: Network, x: Array, *, state: State | None = None) -> Array:
    """Return the output of every step of sequences, without a target.

        output_t = r_L before step t,    r_L = phi(u~_L)

    so an input needs L steps to the output of a network of L layers, and from rest the first output is 0.

    Args:
        net: the network.
        x: input (..., T, batch, n_0).
        state: a `State` of the network to begin in, which is left as the last step leaves it; errors in it are
            forgotten. None for rest.

    Returns:
        The outputs (..., T, batch, n_L).

    Raises:
        PlasticError: if x or the state is of another shape or precision than the network takes.

    Source: Ellenberger et al. 2024, "Results"; discretised as in the published code.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> gle.predict(net, xp.ones((30, 4, 1), "float32")).shape
        (30, 4, 2)
    """
    lead = require_sequences(net, x)
    batch = x.shape[-2]
    s = State(net, batch) if state is None else state
    if not isinstance(s, State):
        raise PlasticError(f"state is a {type(s).__name__}; it must be a State, gle.State(net, {batch})")
    if s.batch != batch or s.net.sizes != net.sizes or s.net.replicas != net.replicas:
        raise PlasticError(f"state is the {s}; one of {net}, batch {batch}, is needed")
    outputs = xp.empty((*lead, *x.shape[-3:-1], net.sizes[-1]), dtype=xp.float_dtype)
    for t in range(x.shape[-3]):
        outputs[..., t, :, :] = advance(net, s, x[..., t, :, :])
    if state is not None:
        forget_errors(net, s)
    return outputs


@xp.underflow_is_ordinary()
def step_through_all_layers(
    net: Network, state: State, x: Array, err: Array | None = None, *, out: Parameters | None = None
) -> tuple[Parameters, Array]:
    """Take a step in which rates go up through all layers at once, rather than by one layer.

    Errors still go down by a layer. Published as deprecated (`full_forward`); no experiment uses it.

    Args:
        net, state, x, err, out: as for `step`; err belongs to `state.output` before the step.

    Returns:
        (grads, output), where output are the rates of the output layer after the step, a view of the state.
    """
    s, grads, neurons = state.units, gradients_to_write(net, out), state.units.neurons(net)
    _errors(net, s, err, neurons)
    s.stacks[0].take_input(x)
    rho = affine.transposed(x)
    for k, (columns, layer) in enumerate(zip(net.columns, net.layers, strict=True)):
        part = (..., columns, slice(None))
        current, e_ahead = s.current[part], s.e_ahead[part]
        current[...] = affine.transposed(layer.W) @ rho
        if layer.b is not None:
            current += affine.transposed(layer.b)
        if neurons.gamma is not None:
            current += neurons.gamma[part] * e_ahead
        xp.matmul(rho, affine.transposed(e_ahead) * (-1 / state.batch), out=grads.layers[k].W)
        _membranes(net, s, neurons, part)
        rho = net.phi[k].value(s.u_ahead[part], out=s.r[part])
    for group in neurons.groups:
        group.take_slopes()
    _gradients_of_neurons(net, s, grads)
    return grads, state.output


def require_sequences(net: Any, x: Any) -> tuple[int, ...]:
    """Require a network `net`, and inputs x (..., T, batch, n_0) for it; return the replica axes, which are its own."""
    require_network(net)
    require.rows("x", x, net.sizes[0], net.parameters.flat.dtype, time=True)
    if require.replicas(network=net.replicas, x=x.shape[:-3]) != net.replicas:
        raise PlasticError(f"the replica axes of the network are {net.replicas}, but x has {x.shape[:-3]}")
    return net.replicas


def gradients_to_write(net: Network, out: Any) -> Parameters:
    """Return `out`, which must be of the form of the parameters of `net`, or new gradients where it is None."""
    if out is None:
        return parameters.zeros_like(net.parameters)
    held = net.parameters
    if not isinstance(out, Parameters) or out.form != held.form or out.flat.shape != held.flat.shape:
        raise PlasticError(f"out is {out!r:.80}; make it by parameters.zeros_like(net.parameters)")
    return out


# From here on units are rows and samples are columns, as in memory: s are the `Units` of a state.


def _euler_step(net, state, x, err, grads):
    s = state.units
    neurons, output = s.neurons(net), affine.transposed(s.output.copy())
    _errors(net, s, err, neurons)
    _currents(net, s, x)
    if neurons.gamma is not None:
        s.current += neurons.gamma * s.e_ahead
    _membranes(net, s, neurons)
    if grads is not None:
        for stack, W in zip(s.stacks, grads.stacks, strict=True):
            stack.times_errors(stack.below, stack.mean_errors(), out=W)
        _gradients_of_neurons(net, s, grads)
    for group in neurons.groups:
        group.take_rates()
        group.take_slopes()
    return output


def _errors(net, s, err, neurons):
    """Errors e~ of all neurons, and E, what they send down."""
    if err is None:
        s.err[...] = 0
    else:
        if err.shape[:-3:-1] != s.err.shape[-2:]:
            raise PlasticError(f"err has shape {err.shape}; {(*s.err.shape[:-2], *s.err.shape[:-3:-1])} is needed")
        s.err[...] = affine.transposed(err) * -1
    if net.memory == "none" or not net.prospective:
        xp.multiply(s.E, s.q, out=s.e_ahead)
        if net.memory != "none":
            s.v[...] = s.e_ahead
    elif net.memory == "full":
        xp.multiply(s.E, s.q, out=s.e_ahead)
        _follow(s.e_ahead, s.v, neurons.v_rate, neurons.v_ahead, s.du)
    else:  # v is e
        xp.multiply(s.E, s.q, out=s.du)
        xp.subtract(s.du, s.v, out=s.e_ahead)
        s.e_ahead *= neurons.v_ahead
        s.e_ahead += s.v
        s.v[...] = s.du
    for stack, W in zip(s.stacks, net.parameters.down, strict=True):
        if W is not None:
            stack.times_down(W, stack.sent, out=stack.received)


def _currents(net, s, x):
    """Input currents of all neurons but for the nudge."""
    s.stacks[0].take_input(x)
    for stack, W in zip(s.stacks, net.parameters.up, strict=True):
        stack.times(W, stack.below, out=stack.current)
    if net.parameters.b is not None:
        s.current += affine.transposed(net.parameters.b)


def _membranes(net, s, neurons, part=...):
    """u~ and u, of the currents; part: an index of some neurons."""
    if net.memory == "full":
        _follow(s.u_ahead[part], s.u[part], neurons.u_rate[part], neurons.u_ahead[part], s.du[part])
    elif net.memory == "leaky":  # u~ is u, and the currents are where du will be
        u, du = s.u[part], s.du[part]
        du -= u
        du *= neurons.u_rate[part]
        u += du


def _gradients_of_neurons(net, s, grads):
    """Gradients of biases and time constants."""
    if grads.b is not None:
        xp.matmul(s.e_ahead, s.means, out=affine.transposed(grads.b))
    if grads.tau_m is not None:
        xp.matmul(s.e_ahead * s.du, s.means * (-1 / net.dt), out=affine.transposed(grads.tau_m))


def _follow(goal, low, rate, ahead, change):
    """change <- rate (goal - low), goal <- low + ahead change, low <- low + change, all of low as it was before."""
    xp.subtract(goal, low, out=change)
    change *= rate
    xp.multiply(change, ahead, out=goal)
    goal += low
    low += change
