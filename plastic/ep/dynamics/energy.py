"""Energy-based dynamics (Scellier and Bengio 2017; the energy-based setting of Ernoult et al. 2019).

With r_k = rho(s_k) sent by every layer, r_0 = rho(x) by the input, and a_k = dPhi/dr_k received (see
`plastic.ep.wiring.fully_connected`), one step of length dt is

    g_k = rho'(s_k) a_k - s_k                                             k < L
    g_L = a_L - s_L + beta (y - s_L)                                      the nudge in the second phase only
    s_k <- s_k + dt g_k,    clamped to [0, 1] if asked for

In the published code, and here by default, the output has no factor rho'(s_L), although its rho(s_L) goes down and into
the weight updates: the field is then not the gradient of one energy, and the updates match those of BPTT only roughly,
at any precision. With `consistent`, g_L = rho'(s_L) a_L - s_L + beta (y - s_L) and g = -dE/ds with

    E = 1/2 sum |s_k|^2 - Phi(rho(s)) + beta/2 |y - s_L|^2

With a softmax readout (`plastic.ep.dynamics.network`), the last layer is a hidden one, with rho', and its nudge is
-beta dL/ds_L.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from plastic import require, xp
from plastic.ep.dynamics.network import Network, Recorded
from plastic.ep.dynamics.part import Part
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class EnergyNetwork(Network):
    """A network with energy-based dynamics.

    Args:
        wiring: a `FullyConnected`: parameters and couplings.
        phi: the activation rho of all layers, or its name. BPTT needs its curvature.
        dt: the length of a step, above 0 and at most 1.
        clamp: keep every state in [0, 1].
        consistent: rho' in the output dynamics too, so that the network follows the gradient of its energy.
        readout: W (..., n_L, n) and b (..., 1, n) of a softmax output, or None where the last layer is the output.

    Raises:
        PlasticError: if one of them is something else.
    """

    solvers: ClassVar[tuple[str, ...]] = ("steps", "anderson")  # steps so short gain nothing from going layer by layer

    dt: float = 0.2
    clamp: bool = True
    consistent: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require.choice("clamp", self.clamp, (True, False))
        require.choice("consistent", self.consistent, (True, False))

    def _more(self) -> str:
        return ("" if self.clamp else ", unclamped") + (", consistent" if self.consistent else "")

    @property
    def has_slopes(self) -> bool:
        """Whether all layers have rho' in their dynamics: those of a consistent network, or hidden ones."""
        return self.consistent or self.readout is not None

    def sent(self, s: Array) -> Array:
        """Return rho(s), what states or inputs s send to other layers."""
        return self.phi.value(s)

    def step(self, w: Part, beta: Any = 0.0, y: Array | None = None) -> None:
        """Make one step.

        Args:
            w: all layers of a relaxation, whose state moves.
            beta: the strength of the nudge, a number or one for each replica, (..., 1, 1).
            y: where to, (..., batch, n_L); without it there is no nudge.
        """
        self.phi.value(w.s, out=w.r)
        self.phi.slope(w.s, w.r, out=w.slope)
        w.couple()
        w.a += w.drive
        xp.multiply(w.a, w.slope, out=w.g)
        if not self.has_slopes:
            w.g_top[...] = w.a_top
        w.g -= w.s
        if y is not None:
            w.g_top += beta * self.pull(w.top, y)
        w.g *= self.dt
        w.s += w.g
        if self.clamp:
            xp.clip(w.s, 0, 1, out=w.s)

    def sweep(self, trajectory: Recorded, adjoint: Array) -> Iterator[tuple[int, Array, Array]]:
        """Walk back over the steps of a trajectory; yield (t, lambda, delta) for each t, the last first.

        lambda is dL/ds after step t, and delta what the step gives to dL/da; both are buffers that the next step may
        write into:

            m = lambda [0 <= v <= 1], v the state before clamping;      m = lambda without clamp
            delta_k = dt rho'(s_k) m_k,   delta_L = dt m_L unless consistent
            lambda_k <- (1 - dt) m_k + dt rho''(s_k) a_k m_k + rho'(s_k) (coupling of delta)_k

        without the term in rho'' for an output that is not consistent.

        Args:
            trajectory: consecutive free steps.
            adjoint: lambda at their end, (..., batch, N).
        """
        dt, last = self.dt, self.wiring.outputs
        delta, received = xp.empty_like(adjoint), xp.empty_like(adjoint)
        switches = [xp.empty_like(each[0]) for each in trajectory.switches]
        couple = self.wiring.adjoint_coupling(delta, received, switches)
        for t in reversed(range(trajectory.s.shape[-3])):
            trajectory.recall_switches(t, switches)
            s, a = trajectory.s[..., t, :, :], trajectory.a[..., t, :, :]
            rho = self.phi.value(s)
            slope = self.phi.slope(s, rho)
            bend = self.phi.curvature(s, rho) * a
            gain = slope.astype(s.dtype)
            if not self.has_slopes:
                gain[..., -last:], bend[..., -last:] = 1, 0
            m = adjoint
            if self.clamp:
                v = s + dt * (gain * a - s)
                m = adjoint * ((v >= 0) & (v <= 1))
            xp.multiply(gain, m, out=delta)
            delta *= dt
            yield t, adjoint, delta
            couple()
            received *= slope
            adjoint = (1 - dt + dt * bend) * m + received

    def require_differentiable(self) -> None:
        """Raise PlasticError if the activation has no curvature, which `sweep` needs."""
        one = xp.ones(1, dtype=xp.float_dtype)
        self.phi.curvature(one, self.phi.value(one))
