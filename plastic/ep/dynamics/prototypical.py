"""Prototypical dynamics (the prototypical setting of Ernoult et al. 2019): a map whose layers send their state itself.

With r_k = s_k, r_0 = x, and u_k = dPhi/ds_k received (see `plastic.ep.wiring.fully_connected`), one step is

    g_k = rho(u_k) - s_k,    g_L = rho(u_L) - s_L + beta (y - s_L)        the nudge in the second phase only
    s_k <- s_k + dt g_k

The paper's map, s_k <- rho(u_k), is dt = 1; smaller dt make it leaky, which is how the published code runs fully
connected nets. The map is the gradient of a function of s only where rho is linear. Otherwise EP and BPTT differ even
at rest and for small beta: a disturbance of the state is multiplied by rho' where it arrives, an adjoint where it
leaves.

With a softmax readout (`plastic.ep.dynamics.network`) the nudge is inside rho, s_L <- rho(u_L - beta dL/ds_L), as in
Laborieux et al. 2021. EP then matches BPTT at rest, for small beta: what rho' disturbs on the way out, it disturbs on
the way back.

With rho = sigm, rho(u) = (1 + tanh(2 u - 1)) / 2, and fully connected layers, half of the passes over the state can be
saved: in the variable tau = 2 s - 1 the network has rho = tanh and, U_k being all weights towards layer k,

    2 u_k - 1 = [tau_{k-1}, tau_{k+1}] U_k + (2 drive_k - 1 + the sums of the columns of U_k)
    tau_L <- tau_L + dt beta ((2 y - 1) - tau_L)                          the nudge
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from plastic import functions, xp
from plastic.ep.dynamics.network import Network, Recorded
from plastic.ep.dynamics.part import Part
from plastic.ep.wiring import FullyConnected
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class PrototypicalNetwork(Network):
    """A network with prototypical dynamics.

    Args:
        wiring: a `FullyConnected` or `Convolutional`: parameters and couplings.
        phi: the activation rho of all layers, or its name.
        dt: the length of a step, above 0 and at most 1, which is the paper's map.
        readout: W (..., n_L, n) and b (..., 1, n) of a softmax output, or None where the last layer is the output.

    Raises:
        PlasticError: if one of them is something else.
    """

    @property
    def as_tanh(self) -> Network | None:
        """The same network with tanh in the place of sigm, in the variable 2 s - 1; None where there is none."""
        if self.phi is not functions.sigm or not isinstance(self.wiring, FullyConnected) or self.readout is not None:
            return None
        return dataclasses.replace(self, phi=functions.tanh)

    def sent(self, s: Array) -> Array:
        """Return what states or inputs s send to other layers: themselves."""
        return s

    def step(self, w: Part, beta: Any = 0.0, y: Array | None = None) -> None:
        """Make one step.

        Args:
            w: the part of a relaxation that moves; its last columns are the output if there is a y.
            beta: the strength of the nudge, a number or one for each replica, (..., 1, 1).
            y: where to, (..., batch, n_L); without it there is no nudge.
        """
        w.couple()
        w.a += w.drive
        nudge = None
        if y is not None and self.readout is None:
            nudge = self.dt * beta * (y - w.top)
        elif y is not None:
            w.a_top += beta * self.pull(w.top, y)
        if self.dt == 1:
            self.phi.value(w.a, out=w.s)
        else:
            self.phi.value(w.a, out=w.g)
            w.g -= w.s
            w.g *= self.dt
            w.s += w.g
        if nudge is not None:
            w.top += nudge

    def sweep(self, trajectory: Recorded, adjoint: Array) -> Iterator[tuple[int, Array, Array]]:
        """Walk back over the steps of a trajectory; yield (t, lambda, delta) for each t, the last first.

        lambda is dL/ds after step t, and delta what the step gives to dL/du; both are buffers that the next step
        writes into:

            delta_k = dt rho'(u_k) lambda_k,    lambda_k <- (1 - dt) lambda_k + (coupling of delta)_k

        Args:
            trajectory: consecutive free steps.
            adjoint: lambda at their end, (..., batch, N).
        """
        slope = self.phi.slope(trajectory.a, self.phi.value(trajectory.a))
        delta, received = xp.empty_like(adjoint), xp.empty_like(adjoint)
        switches = [xp.empty_like(each[0]) for each in trajectory.switches]
        couple = self.wiring.adjoint_coupling(delta, received, switches)
        for t in reversed(range(trajectory.s.shape[-3])):
            trajectory.recall_switches(t, switches)
            xp.multiply(adjoint, slope[..., t, :, :], out=delta)
            delta *= self.dt
            yield t, adjoint, delta
            couple()
            adjoint = received if self.dt == 1 else (1 - self.dt) * adjoint + received

    def require_differentiable(self) -> None:
        """Do nothing: every activation has the slope that `sweep` needs."""
