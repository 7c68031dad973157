"""The learning rules: predictive coding in its variants, backpropagation, target propagation for linear nets.

Each takes a network and a batch, (net, x, y), and returns (grads, output): gradients as a tree of the shape of the
parameters, *means* over the batch, signed to be subtracted; and the prediction mu_L, before any update. Published rates
belong to sums over the batch: a published rate eta is eta times the batch size here, with plain gradient descent; with
Adam, its eps and its weight decay are divided by the batch size instead.

Symbols are those of `plastic.pc.networks`, and the dynamics of the states those of `plastic.pc.inference`. With delta_L
= y - mu_L and delta_l = f'(x_l) (delta_{l+1} W_{l+1}^T) at the feed-forward activities, backpropagation has the same
gradients, -r_{l-1}^T delta_l, with delta in the place of eps.
"""

from typing import Any

from plastic import affine, parameters, require, xp
from plastic.pc import turns
from plastic.pc.linear import require_linear
from plastic.pc.losses import Loss
from plastic.pc.networks import Network, activities, require_batch, require_network
from plastic.pc.reach import warn_of_reach
from plastic.pc.solvers import LOOK_EVERY, largest, relax, require_solver
from plastic.pc.states import State, require_target
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def pc(
    net: Network,
    x: Array,
    y: Array,
    *,
    T: int = 128,
    gamma: Any = 0.1,
    discount: float = 0.5,
    amplifier: float = 1.0,
    tolerance: float = 0.0,
    solver: str = "steps",
    out: Tree = None,
) -> tuple[Tree, Array]:
    """Return the gradients of predictive coding: T - 1 steps of inference, then dF/dW at the states reached.

        x_l <- x_l - gamma (eps_l - f'(x_l) (eps_{l+1} W_{l+1}^T)),    dF/dW_l = -r_{l-1}^T eps_l / batch

    The states settle before the weights move: prospective configuration. T = 1 moves the output layer alone, fewer
    than L steps reach the top layers only, and on the way down errors fade: where T and gamma do not carry one to the
    first layer, a line on stderr says so, once. solver="errors" reaches all layers with T = 2. (The published code
    takes a T-th step of the states, which no weight sees.)

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L), for classes one-hot rows.
        T: steps, at least 1; published are 64 to 512.
        gamma: the rate of inference, above 0; a number, or an array (..., 1, 1) with one for each replica.
        discount: what gamma is multiplied by where the energy has risen, above 0, at most 1.
        amplifier: what gamma is multiplied by where it has fallen, at least 1; see `plastic.pc.inference`.
        tolerance: the states are at rest where none changes by more than this in a step; 0 makes all steps.
        solver: how they come to rest: "steps", as published, "layerwise" (T - 1 sweeps at most, of which a few
            suffice), "errors" (T - 1 steps by the errors, for many layers) or "anderson"; see `plastic.pc.solvers`.
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        feed-forward prediction (..., batch, n_L).

    Raises:
        PlasticError: if x, y or `out` do not fit the network, or a constant is out of range.

    Source: Song et al. 2024, Methods.

    Example:
        >>> import numpy as np
        >>> from plastic import check
        >>> from plastic.pc import network
        >>> net = network((4, 8, 2), np.random.default_rng(0))
        >>> x, y = xp.ones((3, 4), dtype=xp.float_dtype), xp.ones((3, 2), dtype=xp.float_dtype)
        >>> grads, output = pc(net, x, y, T=64)
        >>> cosines = check.cosine(grads, bp(net, x, y)[0])
        >>> bool(cosines["layers/1/W"] > 0.9)
        True
    """
    require.whole("T", T)
    require_solver(solver, tolerance)
    constants = {"discount": discount, "amplifier": amplifier}
    if turns.pay(net, x):
        _require_call(net, y, out)
        return turns.take(pc, net, x, y, out, gamma, T=T, tolerance=tolerance, solver=solver, **constants)
    state, output = _begun(net, x, y, out, gamma=gamma, **constants)
    warn_of_reach(net, T, gamma, "amplified" if solver == "steps" and amplifier > 1 else solver)
    relax(state, T - 1, solver, tolerance)
    return state.weight_gradients(out), output


@xp.underflow_is_ordinary()
def bp(net: Network, x: Array, y: Array, *, out: Tree = None) -> tuple[Tree, Array]:
    """Return the gradients of backpropagation, of half the squared error on the feed-forward net.

        delta_L = y - mu_L,    delta_l = f'(x_l) (delta_{l+1} W_{l+1}^T),    dE/dW_l = -r_{l-1}^T delta_l / batch

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L).
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        prediction (..., batch, n_L).

    Raises:
        PlasticError: if x, y or `out` do not fit the network.

    Source: Rumelhart, Hinton and Williams 1986.

    Example:
        >>> from plastic.parameters import Affine
        >>> net = Network([Affine(xp.asarray([[1.0]])), Affine(xp.asarray([[1.0, 1.0]]))], "linear")
        >>> grads, output = bp(net, xp.asarray([[1.0]]), xp.asarray([[0.0, 1.0]]))
        >>> grads["layers"][1].W.tolist(), output.tolist()
        ([[1.0, -0.0]], [[1.0, 1.0]])
    """
    state, output = _begun(net, x, y, out)
    state._propagate()
    return state.weight_gradients(out), output


@xp.underflow_is_ordinary()
def fixed_prediction(
    net: Network, x: Array, y: Array, *, T: int = 128, gamma: Any = 0.1, tolerance: float = 0.0, out: Tree = None
) -> tuple[Tree, Array]:
    """Return the gradients of predictive coding with predictions and slopes held at their feed-forward values.

        eps_l <- eps_l - gamma (eps_l - f'(mu_l) (eps_{l+1} W_{l+1}^T)),    eps_l = 0 at first

    T - 1 times, then dF/dW_l = -r_{l-1}^T eps_l / batch. The errors tend to those of backpropagation, and are equal to
    them from T = L on where gamma = 1.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L).
        T: steps, at least 1; fewer than L reach the top layers only, which is said on stderr, once.
        gamma: the rate of inference, above 0; a number, or an array (..., 1, 1) with one for each replica.
        tolerance: the states are at rest where none changes by more than this in a step; 0 makes all steps.
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        feed-forward prediction (..., batch, n_L).

    Raises:
        PlasticError: if x, y or `out` do not fit the network, or a constant is out of range.

    Source: Millidge, Tschantz and Buckley 2022.

    Example:
        >>> import numpy as np
        >>> from plastic.pc import network
        >>> net, x = network((4, 3, 2), np.random.default_rng(0)), xp.ones((3, 4), dtype=xp.float_dtype)
        >>> y = xp.ones((3, 2), dtype=xp.float_dtype)
        >>> grads, _ = fixed_prediction(net, x, y, T=2, gamma=1.0)
        >>> bool(np.allclose(grads["layers"][0].W, bp(net, x, y)[0]["layers"][0].W))
        True
    """
    require.whole("T", T)
    require.scalar("tolerance", tolerance, least=0)
    state, output = _begun(net, x, y, out, gamma=gamma)
    warn_of_reach(net, T, gamma, "held")
    state._take_slopes()
    state.gradient(fresh=False)
    for t in range(1, T):
        state.back *= gamma
        state.x -= state.back
        is_at_rest = tolerance > 0 and t % LOOK_EVERY == 0 and largest(state.back) <= tolerance
        xp.subtract(state.x, state.mu, out=state.eps)
        if net.after:
            state._pass_slopes()
        state.gradient(fresh=False)
        if is_at_rest:
            break
    if net.after:
        state.x[...] = state.mu  # what the layers send is held too
    return state.weight_gradients(out), output


@xp.underflow_is_ordinary()
def zil(net: Network, x: Array, y: Array, *, out: Tree = None) -> tuple[Tree, Array]:
    """Return the gradients of zero-divergence inference learning: gamma = 1, and W_l has its gradient at step L - l.

    The error arrives at each layer at the moment at which it is that of backpropagation; the gradients are equal.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L).
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        feed-forward prediction (..., batch, n_L).

    Raises:
        PlasticError: if x, y or `out` do not fit the network.

    Source: Song, Lukasiewicz, Xu and Bogacz 2020.

    Example:
        >>> import numpy as np
        >>> from plastic.pc import network
        >>> net, x = network((4, 3, 2), np.random.default_rng(0)), xp.ones((3, 4), dtype=xp.float_dtype)
        >>> y = xp.ones((3, 2), dtype=xp.float_dtype)
        >>> bool(np.allclose(zil(net, x, y)[0]["layers"][0].W, bp(net, x, y)[0]["layers"][0].W))
        True
    """
    state, output = _begun(net, x, y, out, gamma=1.0, discount=1.0)
    grads = parameters.zeros_like(net.parameters) if out is None else out
    for k in reversed(range(len(net.layers))):
        state.weight_gradients(grads, only=k)
        state._move()
        state._look()
    return grads, output


@xp.underflow_is_ordinary()
def tp(net: Network, x: Array, y: Array, *, out: Tree = None) -> tuple[Tree, Array]:
    """Return the gradients of target propagation by pseudo-inverses, for linear networks.

        e_L = mu_L - y,    e_l = e_{l+1} pinv(W_{l+1}),    dW_l = x_{l-1}^T e_l / batch

    With depth, errors explode along the small singular values.

    Args:
        net: a fully connected `Network` whose activations are linear.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L).
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        feed-forward prediction (..., batch, n_L).

    Raises:
        PlasticError: if the network is not linear, or x, y or `out` do not fit it.

    Source: Song et al. 2024, Extended Data.

    Example:
        >>> from plastic.parameters import Affine
        >>> net = Network([Affine(xp.asarray([[2.0]])), Affine(xp.asarray([[2.0]]))], "linear")
        >>> grads, output = tp(net, xp.asarray([[1.0]]), xp.asarray([[0.0]]))
        >>> [round(each.W.item(), 3) for each in grads["layers"]], output.item()
        ([2.0, 8.0], 4.0)
    """
    require_linear(net, "target propagation by pseudo-inverses")
    _require_call(net, y, out)
    require_batch(net, x, y)
    states = [x, *activities(net, x)]
    grads = parameters.zeros_like(net.parameters) if out is None else out
    e = (states[-1] - y) / x.shape[-2]
    if net.counted is not None:
        e *= net.counted
    for k in reversed(range(len(net.layers))):
        grad = grads["layers"][k]
        affine.weight_gradient(states[k], e, out=grad.W)
        if grad.b is not None:
            affine.bias_gradient(e, out=grad.b)
        if k > 0:
            e = e @ xp.linalg.pinv(net.layers[k].W)
    return grads, states[-1]


@xp.underflow_is_ordinary()
def repeated_bp(
    net: Network, state: State, x: Array, loss: Loss | None = None, *, out: Tree = None
) -> tuple[Tree, Array]:
    """Return the gradients of backpropagation on the batch of a state, with the weights as they are now.

    What `step` is compared with, in the same loop: as many updates of the weights from the same batch.

    Args:
        net: a `Network`.
        state: a `State` of it; its states become the feed-forward activities, its errors those of backpropagation,
            which have no energy F.
        x: inputs (..., batch, n_0).
        loss: loss(output) -> (L, err) in place of half the squared error, see `plastic.pc.step`.
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and the
        prediction (..., batch, n_L).

    Raises:
        PlasticError: if there is neither a loss nor targets, or x or what the loss gives has another shape.

    Source: Song et al. 2024, Fig. 4i ("RBP" in the published code).

    Example:
        >>> import numpy as np
        >>> from plastic.optimizers import SGD
        >>> from plastic.pc import network
        >>> net, x = network((2, 3, 1), np.random.default_rng(0)), xp.asarray([[0.0, 1.0]])
        >>> state, errors = State(net, x, xp.asarray([[1.0]])), []
        >>> for _ in range(20):
        ...     grads, output = repeated_bp(net, state, x)
        ...     SGD(0.1).step(net.parameters, grads, {})
        ...     errors.append(abs(1 - output.item()))
        >>> errors[-1] < errors[0]
        True
    """
    require_target(state, loss)
    state._take(net, x)
    state._begin(loss)
    output = state.top.copy(order="K")
    state._propagate()
    return state.weight_gradients(out), output


def _begun(net, x, y, out, **constants):
    """Check a call; return the state in which a rule begins, and the feed-forward prediction."""
    _require_call(net, y, out)
    state = State(net, x, y, **constants)
    return state, state.top.copy(order="K")


def _require_call(net, y, out):
    require_network(net)
    require.array("y", y)
    if out is not None:
        require.tree("out", out, net.parameters)
