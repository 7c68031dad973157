"""Energy-based dynamics (Ernoult et al. 2019, section 3; Scellier and Bengio 2017).

With r_k = rho(s_k) sent by every layer, r_0 = rho(x) by the input, and a_k = dPhi/dr_k received (see
`plastic.ep.networks.dense`), one step of length dt is

    g_k = rho'(s_k) a_k - s_k                                             k < L
    g_L = a_L - s_L + beta (y - s_L)                                      the nudge in the second phase only
    s_k <- s_k + dt g_k,    clamped to [0, 1] if asked for

In the published code, and here by default, the output has no factor rho'(s_L), although its rho(s_L) goes down and into
the weight updates: the field is then not the gradient of one energy, and the updates match those of BPTT only roughly,
at any precision. With `consistent`, g_L = rho'(s_L) a_L - s_L + beta (y - s_L) and g = -dE/ds with

    E = 1/2 sum |s_k|^2 - Phi(rho(s)) + beta/2 |y - s_L|^2
"""

import dataclasses
from typing import Any

from plastic import xp
from plastic.functions import Activation


@dataclasses.dataclass
class EnergyNetwork:
    """A network with energy-based dynamics.

    wiring: its parameters and couplings. dt: the length of a step. clamp: keep every state in [0, 1].
    """

    wiring: Any
    activation: Activation
    dt: float = 0.2
    clamp: bool = True
    consistent: bool = False

    def sent(self, s):
        """Return rho(s), what a state or an input sends."""
        return self.activation.value(s)

    def step(self, w, beta=0.0, y=None):
        """Make one step of the relaxation w, nudged by beta if there is a y."""
        self.activation.value(w.s, out=w.r)
        self.activation.slope(w.s, w.r, out=w.slope)
        w.couple()
        w.a += w.drive
        xp.multiply(w.a, w.slope, out=w.g)
        if not self.consistent:
            w.g_output[...] = w.a_output
        w.g -= w.s
        if y is not None:
            w.g_output += beta * (y - w.output)
        w.g *= self.dt
        w.s += w.g
        if self.clamp:
            xp.clip(w.s, 0, 1, out=w.s)

    def sweep(self, tape, adjoint):
        """Walk back over the steps of a tape; yield (t, lambda, delta) for each t, the last first. delta is a buffer.

        adjoint: lambda at the end, flat. lambda is dLoss/ds after step t, and delta what the step gives to dLoss/da:

            m = lambda [0 <= v <= 1], v the state before clamping;      m = lambda without clamp
            delta_k = dt rho'(s_k) m_k,   delta_L = dt m_L unless consistent
            lambda_k <- (1 - dt) m_k + dt rho''(s_k) a_k m_k + rho'(s_k) (coupling of delta)_k

        without the term in rho'' for an output that is not consistent.
        """
        dt, rho = self.dt, self.activation.value(tape.s)
        slope = self.activation.slope(tape.s, rho)
        bend = self.activation.curvature(tape.s, rho) * tape.a
        field = slope * tape.a
        gain = slope.astype(tape.s.dtype)
        if not self.consistent:
            for each, value in ((field, self.wiring.split(tape.a)[-1]), (bend, 0), (gain, 1)):
                self.wiring.split(each)[-1][...] = value
        if self.clamp:
            v = tape.s + dt * (field - tape.s)
            free = (v >= 0) & (v <= 1)
        m, delta, received = adjoint.copy(), xp.empty_like(adjoint), xp.empty_like(adjoint)
        switches = [xp.empty_like(each[0]) for each in tape.switches]
        couple = self.wiring.adjoint_coupling(delta, received, switches)
        for t in reversed(range(tape.s.shape[-2])):
            tape.recall_switches(t, switches)
            m[...] = adjoint * free[..., t, :] if self.clamp else adjoint
            xp.multiply(gain[..., t, :], m, out=delta)
            delta *= dt
            yield t, adjoint, delta
            couple()
            received *= slope[..., t, :]
            adjoint = (1 - dt + dt * bend[..., t, :]) * m + received
