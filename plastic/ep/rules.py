"""The two learning rules: equilibrium propagation (EP) and backpropagation through time (BPTT).

Both see a network relax freely, from the all-zero state, for T steps on a batch (x, y). The loss is that of the end,

    L = (1 / 2B) sum over the batch of |s_L(T) - y|^2          or the cross-entropy of a softmax readout

EP (Scellier and Bengio 2017; Ernoult et al. 2019) relaxes K steps more, from s* = s(T), nudged towards y by beta, to
s^beta, and compares the two ends:

    one-sided     dL/dtheta ~ -(1 / beta B) (dPhi/dtheta at s^beta, minus that at s*)
    random-sign   the same with +beta or -beta, drawn anew for every batch
    centered      -(1 / 2 beta B) (dPhi/dtheta at s^beta, minus that at s^{-beta}), both relaxed from s*: an error of
                  order beta^2 rather than beta (Laborieux et al. 2021)

BPTT differentiates L through the last steps, the state before them taken as a constant. Memory grows with these steps,
not with T. In a gradient system at rest, EP with K nudged steps gives BPTT through K steps as beta goes to 0 (Ernoult
et al. 2019, theorem 1).
"""

from typing import Any

from plastic import parameters, require, xp
from plastic.ep.dynamics import Network
from plastic.ep.relaxation import Relaxation, nudge_strength, require_network
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def predict(net: Network, x: Array, *, T: int, tolerance: float = 0.0, solver: str = "steps") -> Array:
    """Return the outputs of a network after T free steps, s_L(T) or what a softmax readout makes of it.

    Args:
        net: the network.
        x: inputs (..., batch, n_0); of a convolutional network images (batch, rows, columns, channels), or their rows.
        T: steps of the free phase, from the all-zero state.
        tolerance: a sample whose largest change in a step is not above it has come to rest; 0 makes all steps.
        solver: how the states come to rest: "steps", as published, "layerwise" (of prototypical networks) or
            "anderson"; see `plastic.ep.solvers`.

    Returns:
        An array (..., batch, n_L).

    Raises:
        PlasticError: if an argument does not fit.

    Source: Ernoult et al. 2019.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> net = ep.prototypical((784, 512, 10), np.random.default_rng(0))
        >>> ep.predict(net, xp.zeros((20, 784), dtype=xp.float_dtype), T=40).shape
        (20, 10)
    """
    require.whole("T", T)
    w = Relaxation(net, x)
    w.run(T, tolerance=tolerance, solver=solver)
    return w.output.copy()


@xp.underflow_is_ordinary()
def eqprop(
    net: Network,
    x: Array,
    y: Array,
    *,
    T: int,
    K: int,
    beta: Any,
    centered: bool = False,
    tolerance: float = 0.0,
    solver: str = "steps",
    out: Tree = None,
    work: Relaxation | None = None,
) -> tuple[Tree, Array]:
    """Equilibrium propagation: T free steps, then K nudged ones, and the contrast of the two ends.

        grads = -(1 / beta B) (dPhi/dtheta at s^beta, minus that at s*)
        grads = -(1 / 2 beta B) (dPhi/dtheta at s^beta, minus that at s^{-beta})          with `centered`

    A readout gets dL/dW, dL/db at s^beta, or with `centered` the mean of those at s^beta and s^{-beta}: Phi - beta L in
    the place of Phi.

    Args:
        net: the network, which does not change.
        x: inputs (..., batch, n_0); of a convolutional network images (batch, rows, columns, channels), or their rows.
        y: targets (..., batch, n_L), one-hot rows for classes.
        T: steps of the free phase, from the all-zero state to s*.
        K: steps of a nudged phase, from s* to s^beta.
        beta: strength of the nudge, a number other than 0, or an array (..., 1, 1) with one for each replica. For
            random-sign nudging, draw its sign for each batch.
        centered: a second nudged phase, from s* to s^{-beta}: an error of order beta^2 rather than beta.
        tolerance: a sample whose largest change in a step is not above it has come to rest; 0 makes all steps.
        solver: how the states come to rest: "steps", as published, "layerwise" (of prototypical networks) or
            "anderson"; see `plastic.ep.solvers`.
        out: a tree of gradients to write into.
        work: a `Relaxation` of this network on a batch of this shape, whose buffers are used.

    Returns:
        (grads, output): a tree of the shape of `net.parameters`, means over the batch, signed to be subtracted; and the
        output of the free phase (..., batch, n_L).

    Raises:
        PlasticError: if an argument does not fit.

    Source: Scellier and Bengio 2017; Ernoult et al. 2019; centered: Laborieux et al. 2021.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> net = ep.prototypical((784, 512, 10), np.random.default_rng(0))
        >>> x, y = xp.zeros((20, 784), dtype=xp.float_dtype), xp.ones((20, 10), dtype=xp.float_dtype)
        >>> grads, output = ep.eqprop(net, x, y, T=40, K=15, beta=0.1)
        >>> grads["layers"]
        [Affine W (784, 512), b (1, 512), Affine W (512, 10), b (1, 10)]
    """
    require.whole("T", T)
    require.whole("K", K)
    require.choice("centered", centered, (True, False))
    tolerance = require.scalar("tolerance", tolerance, least=0)
    w = begin(net, x, y, out, work)
    require.choice("solver", solver, net.solvers)
    beta = nudge_strength("beta", beta, w.replicas, w.s.dtype)
    w.advance(T, tolerance=tolerance, solver=solver)
    output, free = w.output.copy(), w.state()
    w.advance(K, beta, y, tolerance, solver)
    plus, minus = w.state(), free
    if centered:
        w.restore(free)
        w.advance(K, -beta, y, tolerance, solver)
        minus = w.state()
    scale = -1 / ((2 if centered else 1) * beta * y.shape[-2])
    switches = plus[1:], minus[1:]
    wired = None if out is None else {name: part for name, part in out.items() if name != "readout"}
    grads = net.wiring.contrast(net.sent(plus[0]), net.sent(minus[0]), w.r_0, switches, scale, wired)
    return _with_readout(grads, net, [plus[0], minus[0]] if centered else [plus[0]], y, out), output


@xp.underflow_is_ordinary()
def bptt(
    net: Network,
    x: Array,
    y: Array,
    *,
    T: int,
    steps: int,
    tolerance: float = 0.0,
    solver: str = "steps",
    out: Tree = None,
    work: Relaxation | None = None,
) -> tuple[Tree, Array]:
    """Backpropagation through time: the gradient of L through the last steps of T free ones.

        grads = dL/dtheta,    L = (1 / 2B) sum over the batch of |s_L(T) - y|^2,    s(T - steps) a constant

    With a softmax readout, L is the mean of its cross-entropy.

    Args:
        net: the network, which does not change. An energy-based one needs an activation with a curvature.
        x: inputs (..., batch, n_0); of a convolutional network images (batch, rows, columns, channels), or their rows.
        y: targets (..., batch, n_L), one-hot rows for classes.
        T: steps of the free phase, from the all-zero state.
        steps: how many of them to go back, the last ones; all, if these are more than T. Memory grows with them.
        tolerance: a sample whose largest change in a step is not above it has come to rest, before the steps that are
            gone back; 0 makes all steps.
        solver: how the states come to rest before these steps, as for `eqprop`.
        out: a tree of gradients to write into.
        work: a `Relaxation` of this network on a batch of this shape, whose buffers are used.

    Returns:
        (grads, output): a tree of the shape of `net.parameters`, means over the batch, signed to be subtracted; and the
        output of the free phase (..., batch, n_L).

    Raises:
        PlasticError: if an argument does not fit, or the activation has no curvature where it is needed.

    Source: Ernoult et al. 2019.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> net = ep.prototypical((784, 512, 10), np.random.default_rng(0))
        >>> x, y = xp.zeros((20, 784), dtype=xp.float_dtype), xp.ones((20, 10), dtype=xp.float_dtype)
        >>> grads, output = ep.bptt(net, x, y, T=40, steps=15)
        >>> grads["layers"]
        [Affine W (784, 512), b (1, 512), Affine W (512, 10), b (1, 10)]
    """
    require.whole("T", T)
    require.whole("steps", steps)
    tolerance = require.scalar("tolerance", tolerance, least=0)
    w = begin(net, x, y, out, work)
    require.choice("solver", solver, net.solvers)
    net.require_differentiable()
    steps = min(steps, T)
    w.advance(T - steps, tolerance=tolerance, solver=solver)
    trajectory = w.record(steps)
    deltas = xp.empty_like(trajectory.s)
    for t, _, delta in net.sweep(trajectory, loss_gradient(w, y)):
        deltas[..., t, :, :] = delta
    wired = None if out is None else {name: part for name, part in out.items() if name != "readout"}
    grads = net.wiring.gradients(deltas, net.sent(trajectory.s), w.r_0, trajectory.switches, wired)
    return _with_readout(grads, net, [w.s], y, out), w.output.copy()


def _with_readout(grads, net, states, y, out):
    """Return all gradients: those of the readout, if there is one, are the means over some states; see `eqprop`."""
    if net.readout is not None:
        tops = (s[..., s.shape[-1] - net.wiring.outputs :] for s in states)
        each = [net.readout_gradient(top, y) for top in tops]
        mean = parameters.map(lambda *leaves: sum(leaves) / len(leaves), *each)
        grads = grads | {"readout": mean}
        if out is not None:
            out["readout"].W[...], out["readout"].b[...] = mean.W, mean.b
    return grads if out is None else out


def loss_gradient(w: Relaxation, y: Array) -> Array:
    """Return dL/ds at the end of a relaxation, (..., batch, N), of the mean L: 0 but for the last layer.

    Args:
        w: the relaxation.
        y: targets (..., batch, n_L).
    """
    adjoint = xp.zeros_like(w.s)
    adjoint[..., adjoint.shape[-1] - w.top.shape[-1] :] = w.net.pull(w.top, y) / -y.shape[-2]
    return adjoint


def begin(net: Network, x: Array, y: Array, out: Tree = None, work: Relaxation | None = None) -> Relaxation:
    """Return a relaxation at its beginning, after the checks of what a rule takes.

    Args:
        net: the network.
        x: inputs (..., batch, n_0), with no more replica axes than the network.
        y: targets (..., batch, n_L).
        out: a tree of gradients that will be written into.
        work: the relaxation to use; without it there is a new one.

    Raises:
        PlasticError: if an argument does not fit.
    """
    require_network(net)
    if work is None:
        work = Relaxation(net, x)
    elif not isinstance(work, Relaxation) or work.net is not net:
        found = "one of another" if isinstance(work, Relaxation) else f"a {type(work).__name__}"
        raise PlasticError(f"work must be a Relaxation of this network, {net}, but it is {found}")
    else:
        work.begin(x)
    if work.replicas != net.replicas:
        raise PlasticError(
            f"x has the replica axes {x.shape[:-2]}, but the network has {net.replicas}, and so do its gradients"
        )
    work.require_targets(y)
    if out is not None and out is not work.out:
        require.tree("out", out, net.parameters)
        work.out = out
    return work
