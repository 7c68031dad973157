"""Prototypical dynamics (Ernoult et al. 2019, section 4): a recurrent map whose layers send their state itself.

With r_k = s_k, r_0 = x, and u_k = dPhi/ds_k received (see `plastic.ep.networks.dense`), one step is

    g_k = rho(u_k) - s_k,    g_L = rho(u_L) - s_L + beta (y - s_L)        the nudge in the second phase only
    s_k <- s_k + dt g_k

The paper's map, s_k <- rho(u_k), is dt = 1; smaller dt make it leaky, which is how the published code runs fully
connected nets. The map is the gradient of a function of s only where rho is linear. Otherwise EP and BPTT differ even
at rest and for small beta: a disturbance of the state is multiplied by rho' where it arrives, an adjoint where it
leaves.
"""

import dataclasses
from typing import Any

from plastic import xp
from plastic.functions import Activation


@dataclasses.dataclass
class PrototypicalNetwork:
    """A network with prototypical dynamics.

    wiring: its parameters and couplings. dt: the length of a step, 1 for the paper's map.
    """

    wiring: Any
    activation: Activation
    dt: float = 1.0

    def sent(self, s):
        """Return what a state or an input sends: itself."""
        return s

    def step(self, w, beta=0.0, y=None):
        """Make one step of the relaxation w, nudged by beta if there is a y."""
        w.couple()
        w.a += w.drive
        nudge = None if y is None else self.dt * beta * (y - w.output)
        if self.dt == 1:
            self.activation.value(w.a, out=w.s)
        else:
            self.activation.value(w.a, out=w.g)
            w.g -= w.s
            w.g *= self.dt
            w.s += w.g
        if nudge is not None:
            w.output += nudge

    def sweep(self, tape, adjoint):
        """Walk back over the steps of a tape; yield (t, lambda, delta) for each t, the last first. delta is a buffer.

        adjoint: lambda at the end, flat. lambda is dLoss/ds after step t, and delta what the step gives to dLoss/du:

            delta_k = dt rho'(u_k) lambda_k,    lambda_k <- (1 - dt) lambda_k + (coupling of delta)_k
        """
        slope = self.activation.slope(tape.a, self.activation.value(tape.a))
        delta, received = xp.empty_like(adjoint), xp.empty_like(adjoint)
        switches = [xp.empty_like(each[0]) for each in tape.switches]
        couple = self.wiring.adjoint_coupling(delta, received, switches)
        for t in reversed(range(tape.s.shape[-2])):
            tape.recall_switches(t, switches)
            xp.multiply(adjoint, slope[..., t, :], out=delta)
            delta *= self.dt
            yield t, adjoint, delta
            couple()
            adjoint = (1 - self.dt) * adjoint + received
