"""Inference by the errors: the states follow from them, from the bottom up, and the errors move.

With x_l = mu_l + eps_l, eps_1 .. eps_{L-1} are as good coordinates as the states are, and the energy is the same, but
each reaches the output through all layers above it. delta_l being the errors of backpropagation at the states as they
are, from delta_L = eps_L,

    delta_l = f'(x_l) (delta_{l+1} W_{l+1}^T)       (+ delta_{l+1} where there is a skip connection)
    dF/deps_l = eps_l - delta_l                      0 where eps_l is what comes down from eps_{l+1}, as at any rest

so that a step tells all layers of an error at the top, however many they are, where it takes as many steps by the
states, and fades on the way. A step is one of conjugate gradients, for each sample, with a prime for the step before,

    g = eps - delta
    p = g + beta p',    beta = <g, g - g'> / <g', g'>, held between 0 and 1
    eps <- eps - c alpha p,    alpha = <g, p> / (<p, p> + <J p, J p>)

where J p is what p does to the output to first order. For a linear network F has the curvature 1 but in as many
directions as there are outputs: n_L + 1 steps lead to rest, at any depth. A step costs about 1.5 by the states.

Safeguard, for each sample: where a step has raised the energy, the errors go back to what they were before, with half
the c and p' = 0; where it has not, c = 1. (Of another loss the energy is known of all samples together; it is taken for
one of curvature 1.)

Errors as coordinates: Goemaere, Oliviers, Bogacz and Demeester 2025. Conjugate gradients with this beta: Polak and
Ribiere 1969.
"""

from plastic import xp
from plastic.pc.layerwise import energies, ones
from plastic.pc.losses import Loss
from plastic.pc.maps import perform
from plastic.pc.states import State
from plastic.types import Array


class Errors:
    """Steps of the errors of a state, which has targets and whose errors have been computed.

    Args:
        state: a `State`, which changes.
        loss: loss(output) -> (L, err) in place of half the squared error.

    Attributes:
        is_taken_back: whether the last step was, of some sample, which is then not at rest though it has not moved.
    """

    def __init__(self, state: State, loss: Loss | None = None) -> None:
        self.state, self.loss, self.after = state, loss, state._net.after
        self.e, self.p = state.eps.copy(order="K"), xp.zeros_like(state.x)
        self.g_before, self.c, self.is_taken_back = None, 1.0, False
        self.ones, self.ones_of_all = ones(state.x), ones(state._errors)
        self.F = self._energies()
        self.scale = state.scale.reshape(*self.F.shape[:-2], 1, 1)
        self.dmu = xp.zeros_like(state._errors)
        self.dx = xp.zeros_like(state.x)
        self.dr = self.dx if self.after else xp.zeros_like(state.x)
        *hidden, top = state.columns
        self.e_layers, self.p_layers, self.dx_layers, self.dr_layers = (
            [array[..., each] for each in hidden] for array in (self.e, self.p, self.dx, self.dr)
        )
        self.dmu_layers, self.dtop = [self.dmu[..., each] for each in state.columns], self.dmu[..., top]
        pairs = zip(state._maps[1:], self.dr_layers, self.dmu_layers[1:], strict=True)
        self.linear = [each.linear(*pair) for each, *pair in pairs]
        self.tiny = float(xp.finfo(state.x.dtype).tiny)

    def step(self) -> Array:
        """Take a step, and see that no sample has a higher energy for it.

        Returns:
            The states before.
        """
        state, x, e, F = self.state, self.state.x.copy(), self.e.copy(order="K"), self.F
        descent = self._direct()
        self.e -= self.c * descent / (self._squares(self.p) + self._response() + self.tiny) * self.p
        self._settle()
        risen = ~(self.F < state.highest(F, self.scale))
        self.c = xp.where(risen, 0.5 * self.c, 1)
        self.is_taken_back = bool(xp.asnumpy(risen).any())
        if self.is_taken_back:
            self.e[...] = xp.where(risen, e, self.e)
            self.p *= ~risen
            self._settle()
        return x

    def _settle(self):
        """Let the states follow the errors."""
        self.state._begin(self.loss, self.e_layers)
        self.F = self._energies()

    def _energies(self):
        """Return the energy of each sample, (..., batch, 1); with another loss that of all, (..., 1, 1)."""
        return energies(self.state, self.ones_of_all) if self.loss is None else self.state.F[..., None, None]

    def _direct(self):
        """Set p to the direction of the step; return <g, p>, (..., batch, 1)."""
        self.state._propagate()
        g = self.e - (self.state.back if self.after else self.state.eps)
        if self.g_before is not None:
            squares = self._squares(self.g_before)
            turn = (g * (g - self.g_before)) @ self.ones
            self.p *= xp.minimum(xp.maximum(turn, 0), squares) / (squares + self.tiny)
        self.p += g
        self.g_before = g
        return (g * self.p) @ self.ones

    def _response(self):
        """Return <J p, J p> of each sample, (..., batch, 1)."""
        net, q = self.state._net, self.state.q_layers
        for k, dx in enumerate(self.dx_layers):
            xp.add(self.dmu_layers[k], self.p_layers[k], out=dx)  # dmu_1 = 0
            if not self.after:
                xp.multiply(dx, q[k], out=self.dr_layers[k])
            perform(self.linear[k])
            if k + 1 < len(q):
                if self.after:
                    self.dmu_layers[k + 1] *= q[k + 1]
                if net.skips:
                    self.dmu_layers[k + 1] += dx
        if net.counted is not None:
            self.dtop *= net.counted
        return xp.sum(self.dtop * self.dtop, axis=-1, keepdims=True)

    def _squares(self, a):
        return (a * a) @ self.ones
