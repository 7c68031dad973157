"""The comparison of Ernoult et al. 2019: updates of EP in the second phase beside gradients of BPTT, step by step.

With lambda the adjoint of BPTT on the last steps of the free phase, g the change of the state in the nudged phase, and
t = 0 .. K-1 (section 3; all summed over the batch, gradients of L as in `plastic.ep.rules`):

    nS(t) = lambda(T - t)                                      dS(t) = -(1 / beta B) g of the nudged step t + 1
    NT(t) = dL/dW through the last t + 1 steps                 DT(t) = -(EP update of W after t + 1 nudged steps)
    nT(t) = NT(t) - NT(t-1),   dT(t) = DT(t) - DT(t-1),        0 at t = 0, as in the published code

The property of gradient-descending updates is nS = dS, nT = dT. The distance of two curves n, d is, for each entry,

    sqrt(sum over t of (n - d)^2 / max(sum of n^2, sum of d^2)),  0 if both are 0

for (nS, dS) and for the cumulated (NT, DT). dS of a layer is set to 0 while no signal of the nudge can have reached it,
as published, but in the toy model. With a residual r of the free phase, the curves carry noise of about
r / (beta dt): it has to be seen beside every distance.
"""

from plastic import parameters, xp
from plastic.ep.relaxation import Relaxation
from plastic.ep.rules import loss_gradient


class Comparison:
    """One batch (x, y) relaxed for T free steps and K nudged ones, and BPTT through the last K free steps.

    beta: a number. Lists of layers go from the output (0) to the layer next to the input, as the paper counts them.
    residual: for each layer, the largest change in one more free step, an array of the replica shape.
    """

    def __init__(self, network, x, y, T, K, beta, tolerance=0.0):
        self.network, self.beta, self.K = network, beta, K
        self.w = w = Relaxation(network, x)
        self.r_0 = w.begin(x)
        w.run(T - K, tolerance=tolerance)
        self.tape = w.record(K)
        self.adjoint = loss_gradient(w, y)
        self.free, self.free_switches = w.s.copy(), [each.copy() for each in w.switches]
        w.run(1)
        self.residual = [xp.max(xp.abs(layer), axis=axes) for layer, axes in self._layers(w.s - self.free)]
        w.s[...] = self.free
        self.nudged = w.record(K, beta, y)
        self.end = w.s.copy()
        self.batch = y.shape[-2]

    def neurons(self):
        """Return (nS, dS), for each layer an array (K, ..., *units)."""
        n, d, is_toy = [], [], getattr(self.network.wiring, "skip", None) is not None
        for lag, (_, adjoint, _) in enumerate(self.network.sweep(self.tape, self.adjoint)):
            n.append(self._over_batch(adjoint))
            d.append(self._over_batch(self._change(lag) * (-1 / (self.beta * self.batch))))
            for late in [] if is_toy else d[-1][lag + 1 :]:
                late[...] = 0  # no signal of the nudge has come so far, only what is left of the free phase
        return tuple([xp.stack(layer) for layer in zip(*curve, strict=True)] for curve in (n, d))

    def synapses(self):
        """Yield (NT, DT) for t = 0, 1, .., K - 1, trees of the parameters (the trees of NT are the same one)."""
        wiring, sent = self.network.wiring, self.network.sent
        total = parameters.zeros_like(wiring.parameters)
        for lag, (t, _, delta) in enumerate(self.network.sweep(self.tape, self.adjoint)):
            r = sent(self.tape.s[..., t : t + 1, :])
            switches = [each[t : t + 1] for each in self.tape.switches]
            step = wiring.gradients(delta[..., None, :], r, self.r_0, switches)
            parameters.map(_add, total, step)
            switches = [each[lag] for each in self.nudged.switches], self.free_switches
            plus, minus = sent(self._after(lag)), sent(self.free)
            yield total, wiring.contrast(plus, minus, self.r_0, switches, -1 / (self.beta * self.batch))

    def _after(self, step):
        """Return the state after nudged step number 0, 1, ..."""
        return self.end if step == self.K - 1 else self.nudged.s[..., step + 1, :]

    def _change(self, step):
        """Return g of a nudged step; of a clamped state that lies at 0 or 1, 0, as published."""
        after = self._after(step)
        g = (after - self.nudged.s[..., step, :]) / self.network.dt
        return g * ((after != 0) & (after != 1)) if getattr(self.network, "clamp", False) else g

    def _layers(self, flat):
        """Return [(layer, its axes of batch and units)], the output first."""
        wiring = self.network.wiring
        layers = zip(wiring.split(flat), wiring.shapes, strict=True)
        return [(layer, tuple(range(-1 - len(shape), 0))) for layer, shape in layers][::-1]

    def _over_batch(self, flat):
        return [xp.sum(layer, axis=axes[0]) for layer, axes in self._layers(flat)]


class Distance:
    """The distance of two curves, entry by entry, from running sums over t."""

    def __init__(self):
        self.difference = self.first = self.second = 0.0

    def add(self, n, d):
        """Take in the next point of both curves."""
        self.difference = self.difference + (n - d) ** 2
        self.first, self.second = self.first + n * n, self.second + d * d

    def value(self):
        """Return the distance of every entry."""
        largest = xp.maximum(self.first, self.second)
        return xp.sqrt(self.difference / xp.where(largest > 0, largest, 1.0))


def distances(n, d):
    """Return the distance of two curves (K, ...), entry by entry."""
    distance = Distance()
    for t in range(len(n)):
        distance.add(n[t], d[t])
    return distance.value()


def _add(total, step):
    total += step
    return total
