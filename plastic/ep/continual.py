"""Continual equilibrium propagation: weights move in every nudged step (Ernoult et al. 2020).

After the free phase, each nudged step is followed by a change of the weights, by what that step has changed,

    s(t+1) = one step of the dynamics from s(t), nudged by beta towards y, with theta(t)
    theta(t+1) = theta(t) + (lr / beta B) (dPhi/dtheta at s(t+1), minus that at s(t))

so that a synapse needs no memory of the free phase. While the weights stand still, the changes of K steps add up to the
one of EP. They do so nearly while the rates are small enough for the weights to move much more slowly than the states.
"""

from typing import Any

from plastic import require, xp
from plastic.ep.dynamics import Network
from plastic.ep.relaxation import Relaxation, nudge_strength, require_network
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def step(net: Network, state: Relaxation, y: Array, *, beta: Any, out: Tree = None) -> tuple[Tree, Array]:
    """Make one nudged step with the weights as they are now, and return what it gives to the gradients of EP.

        grads = -(1 / beta B) (dPhi/dtheta at s(t+1), minus that at s(t))

    Args:
        net: the network; the caller moves its parameters, in place, between two steps.
        state: a `Relaxation` of it after the free phase, whose states move.
        y: targets (..., batch, n_L), one-hot rows for classes.
        beta: strength of the nudge, a number other than 0, or an array (..., 1, 1) with one for each replica.
        out: a tree of gradients to write into.

    Returns:
        (grads, output): a tree of the shape of `net.parameters`, means over the batch, signed to be subtracted; and the
        output after the step (..., batch, n_L).

    Raises:
        PlasticError: if an argument does not fit, or the network has a softmax readout.

    Source: Ernoult et al. 2020, Equilibrium propagation with continual weight updates.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> from plastic.optimizers import SGD
        >>> net, optimizer = ep.prototypical((784, 512, 10), np.random.default_rng(0)), SGD(0.005)
        >>> x, y = xp.zeros((20, 784), dtype=xp.float_dtype), xp.ones((20, 10), dtype=xp.float_dtype)
        >>> state = ep.Relaxation(net, x)
        >>> state.run(40)
        >>> for _ in range(15):
        ...     grads, output = ep.step(net, state, y, beta=0.2)
        ...     optimizer.step(net.parameters, grads, {})
    """
    require_network(net)
    if not isinstance(state, Relaxation) or state.net is not net:
        raise PlasticError(f"state must be a Relaxation of this network, {net}")
    if net.readout is not None:
        raise PlasticError("continual EP is of networks whose last layer is the output, without a softmax readout")
    state.require_targets(y)
    beta = nudge_strength("beta", beta, state.replicas, state.s.dtype)
    if out is not None and out is not state.out:
        require.tree("out", out, net.parameters)
        state.out = out
    state.renew()
    before, *switches = state.state()
    state.make_step(beta, y)
    scale = -1 / (beta * y.shape[-2])
    both = state.switches, switches
    grads = net.wiring.contrast(net.sent(state.s), net.sent(before), state.r_0, both, scale, out)
    return grads if out is None else out, state.output.copy()
