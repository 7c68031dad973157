"""The comparison of Ernoult et al. 2019: updates of EP in the second phase beside gradients of BPTT, step by step.

With lambda the adjoint of BPTT on the last steps of the free phase, g the change of the state in a nudged step divided
by dt (0 of a state clamped at 0 or 1), and t = 0 .. K-1, all summed over the batch, gradients of L as in
`plastic.ep.rules`:

    nS(t) = lambda(T - t)                                      dS(t) = -(1 / beta B) g of the nudged step t + 1
    NT(t) = dL/dW through the last t + 1 steps                 DT(t) = -(EP update of W after t + 1 nudged steps)
    nT(t) = NT(t) - NT(t-1),   dT(t) = DT(t) - DT(t-1),        0 at t = 0, as in the published code

The property of gradient-descending updates (theorem 1) is nS = dS, nT = dT. The distance of two curves n, d is, for
each entry,

    sqrt(sum over t of (n - d)^2 / max(sum of n^2, sum of d^2)),  0 if both are 0

for (nS, dS) and for the cumulated (NT, DT). dS of a layer is set to 0 while no signal of the nudge can have reached it,
as published, but in the toy model. With a residual r of the free phase, the curves carry noise of about
r / (beta dt): it has to be seen beside every distance.
"""

from collections.abc import Iterator
from typing import Any

from plastic import parameters, require, xp
from plastic.ep.dynamics import Network
from plastic.ep.rules import begin, loss_gradient
from plastic.ep.wiring import Convolutional
from plastic.errors import PlasticError
from plastic.types import Array, Tree


class Comparison:
    """One batch (x, y) relaxed for T free steps and K nudged ones, and BPTT through the last K free steps.

    Lists of layers go from the output (0) to the layer next to the input, as the paper counts them.

    Args:
        net: the network. An energy-based one needs an activation with a curvature.
        x: inputs (..., batch, n_0); of a convolutional network images (batch, rows, columns, channels), or their rows.
        y: targets (..., batch, n_L), one-hot rows for classes.
        T: steps of the free phase, from the all-zero state.
        K: steps of the nudged phase, and of BPTT; at most T.
        beta: strength of the nudge, a number other than 0.
        tolerance: a sample whose largest change in a step is not above it has come to rest, before the last K steps; 0
            makes all steps.
        solver: how the states come to rest before the last K steps, as for `plastic.ep.eqprop`.

    Attributes:
        net: the network.
        K: steps of the nudged phase, and of BPTT.
        residual: for each layer, the largest change in one more free step, an array of the replica shape.

    Raises:
        PlasticError: if an argument does not fit, the activation has no curvature where it is needed, or the network
            has a softmax readout.

    Source: Ernoult et al. 2019.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> net = ep.toy((5, 50, 10), np.random.default_rng(0), phi="tanh", dt=0.08, clamp=False)
        >>> x, y = xp.zeros((1, 5), dtype=xp.float_dtype), xp.ones((1, 10), dtype=xp.float_dtype)
        >>> comparison = ep.Comparison(net, x, y, T=200, K=20, beta=0.01)
        >>> comparison
        Comparison of EP and BPTT on EnergyNetwork 5-50-10 and 5-10, tanh, dt 0.08, unclamped, consistent, K 20
        >>> nS, dS = comparison.neurons()
        >>> [layer.shape for layer in nS]
        [(20, 10), (20, 50)]
    """

    @xp.underflow_is_ordinary()
    def __init__(
        self,
        net: Network,
        x: Array,
        y: Array,
        *,
        T: int,
        K: int,
        beta: float,
        tolerance: float = 0.0,
        solver: str = "steps",
    ) -> None:
        require.whole("T", T)
        require.whole("K", K)
        if K > T:
            raise PlasticError(f"K is {K}, but T is {T}; BPTT goes back through K of the T free steps")
        beta = require.scalar("beta", beta)
        require.nonzero("beta", beta)
        w = begin(net, x, y)
        if net.readout is not None:
            raise PlasticError("curves are of networks whose last layer is the output, without a softmax readout")
        net.require_differentiable()
        self.net, self._beta, self.K, self._batch = net, beta, K, y.shape[-2]
        self._r_0 = w.r_0
        w.run(T - K, tolerance=tolerance, solver=solver)
        self._trajectory = w.record(K)
        self._adjoint = loss_gradient(w, y)
        self._free, self._free_switches = w.s.copy(), [each.copy() for each in w.switches]
        w.run(1)
        self.residual = [xp.max(xp.abs(layer), axis=axes) for layer, axes in self._layers(w.s - self._free)]
        w.s[...] = self._free
        self._nudged = w.record(K, beta=beta, y=y)
        self._end = w.s.copy()

    def __repr__(self) -> str:
        return f"Comparison of EP and BPTT on {self.net}, K {self.K}"

    @xp.underflow_is_ordinary()
    def neurons(self) -> tuple[list[Array], list[Array]]:
        """Return (nS, dS), for each layer an array (K, ..., *units)."""
        n: list[list[Array]] = []
        d: list[list[Array]] = []
        is_toy = getattr(self.net.wiring, "skip", None) is not None
        for lag, (_, adjoint, _) in enumerate(self.net.sweep(self._trajectory, self._adjoint)):
            n.append(self._over_batch(adjoint))
            d.append(self._over_batch(self._change(lag) * (-1 / (self._beta * self._batch))))
            for late in [] if is_toy else d[-1][lag + 1 :]:
                late[...] = 0  # no signal of the nudge has come so far, only what is left of the free phase
        nS, dS = ([xp.stack(layer) for layer in zip(*curve, strict=True)] for curve in (n, d))
        return nS, dS

    def synapses(self) -> Iterator[tuple[Tree, Tree]]:
        """Yield (NT, DT) for t = 0, 1, .., K - 1, trees of the shape of the parameters."""
        sweep = self.net.sweep(self._trajectory, self._adjoint)
        total = parameters.zeros_like(self.net.parameters)
        for lag in range(self.K):
            total, contrast = self._point(lag, sweep, total)
            yield total, contrast

    @xp.underflow_is_ordinary()  # here, as what a generator sets would hold where it is used
    def _point(self, lag, sweep, total):
        wiring, sent = self.net.wiring, self.net.sent
        t, _, delta = next(sweep)
        r = sent(self._trajectory.s[..., t : t + 1, :, :])
        switches = [each[t : t + 1] for each in self._trajectory.switches]
        step = wiring.gradients(delta[..., None, :, :], r, self._r_0, switches)
        switches = [each[lag] for each in self._nudged.switches], self._free_switches
        plus, minus = sent(self._after(lag)), sent(self._free)
        contrast = wiring.contrast(plus, minus, self._r_0, switches, -1 / (self._beta * self._batch))
        return parameters.map(lambda a, b: a + b, total, step), contrast

    def _after(self, step):
        """Return the state after nudged step number 0, 1, ..."""
        return self._end if step == self.K - 1 else self._nudged.s[..., step + 1, :, :]

    def _change(self, step):
        """Return g of a nudged step; of a clamped state that lies at 0 or 1, 0, as published."""
        after = self._after(step)
        g = (after - self._nudged.s[..., step, :, :]) / self.net.dt
        return g * ((after != 0) & (after != 1)) if getattr(self.net, "clamp", False) else g

    def _layers(self, rows):
        """Return [(layer, its axes of batch and units)], the output first."""
        wiring = self.net.wiring
        layers = zip(wiring.split(rows), wiring.shapes, strict=True)
        return [(layer, tuple(range(-1 - len(shape), 0))) for layer, shape in layers][::-1]

    def _over_batch(self, rows):
        return [xp.sum(layer, axis=axes[0]) for layer, axes in self._layers(rows)]


class Distance:
    """The distance of two curves, entry by entry, from running sums over t; see the module."""

    def __init__(self) -> None:
        self._difference: Any = 0.0
        self._first: Any = 0.0
        self._second: Any = 0.0

    @xp.underflow_is_ordinary()
    def add(self, n: Array, d: Array) -> None:
        """Take in the next points n and d of the two curves, arrays of one shape."""
        self._difference = self._difference + (n - d) ** 2
        self._first, self._second = self._first + n * n, self._second + d * d

    @xp.underflow_is_ordinary()
    def value(self) -> Array:
        """Return the distance of every entry."""
        largest = xp.maximum(self._first, self._second)
        return xp.sqrt(self._difference / xp.where(largest > 0, largest, 1.0))


def distances(n: Array, d: Array) -> Array:
    """Return the distance of two curves, entry by entry.

        sqrt(sum over t of (n - d)^2 / max(sum of n^2, sum of d^2)),  0 if both are 0

    Args:
        n, d: the curves, (K, ...), K at least 1.

    Returns:
        An array (...); 0 for equal curves.

    Raises:
        PlasticError: if the shapes differ, or K is 0.

    Source: Ernoult et al. 2019, where its mean over the entries is called RMSE.

    Example:
        >>> distances(xp.asarray([[2.0], [0.0]]), xp.asarray([[1.0], [0.0]])).tolist()
        [0.5]
    """
    require.array("n", n)
    require.array("d", d)
    if n.shape != d.shape or n.ndim == 0 or len(n) == 0:
        raise PlasticError(f"curves of shape {n.shape} and {d.shape} cannot be compared; both must be (K, ...)")
    distance = Distance()
    for t in range(len(n)):
        distance.add(n[t], d[t])
    return distance.value()


def sign_agreement(N: Array, D: Array) -> tuple[float, float]:
    """Return (p1, p2) of a gradient N and an update D, both signed to be subtracted, in per cent of their entries.

    p1: the same sign, neither being 0. p2: both are 0.
    """
    same = (xp.sign(N) == xp.sign(D)) & (N != 0)
    shares = xp.stack([xp.mean(each.astype(N.dtype)) for each in (same, (N == 0) & (D == 0))])
    p1, p2 = (float(share) for share in xp.asnumpy(100 * shares))
    return p1, p2


def connections(network: Network) -> list[tuple[str, str]]:
    """Return [(label, path of the weights), ...] of a network, in the order of the paper, from the output on.

    Labels name the layer that receives and then the one that sends; feedback with weights of its own comes last.
    """
    wiring = network.wiring
    read = [] if network.readout is None else ["readout/W"]
    if isinstance(wiring, Convolutional):
        M = len(wiring.convolutions)
        paths = read + [f"classifier/{i}/W" for i in reversed(range(len(wiring.classifier)))]
        fully = [("W^fc" if len(paths) == 1 else f"W^fc_{i}", path) for i, path in enumerate(paths)]
        return fully + [(f"W^conv_{m}", f"convolutions/{M - 1 - m}/W") for m in range(M)]
    if wiring.skip is not None:
        return [("W_01", "layers/1/W"), ("W_0x", "skip/W"), ("W_1x", "layers/0/W")]
    paths = read + [f"layers/{k}/W" for k in reversed(range(len(wiring.layers)))]
    up = [(f"W_{k}{k + 1 if k + 1 < len(paths) else 'x'}", path) for k, path in enumerate(paths)]
    untied = reversed(range(len(wiring.feedback or [])))
    return up + [(f"W_{k + 1}{k}", f"feedback/{place}/W") for k, place in enumerate(untied, len(read))]
