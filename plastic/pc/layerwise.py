"""Inference layer by layer: sweeps from the top down, in which each layer takes a step of conjugate gradients.

With all other states held, those of layer l enter two terms of the energy, |eps_l|^2 / 2 and |eps_{l+1}|^2 / 2. For
each sample, with a prime for what was there in the sweep before,

    g = dF/dx_l
    p = g + beta p',    beta = <g, g - g'> / <g', g'>, held between 0 and 1
    x_l <- x_l - alpha p,    alpha = <g, p> / (<p, p> + <J p, J p>),    J p = (f'(x_l) p) W_{l+1}

where alpha leads to the least energy along p if f is linear there. (With the states after the activation, J p is
f'(a_{l+1}) (p W_{l+1}).) After one sweep an error at the top has reached all layers.

Safeguard, for each sample: where a sweep has raised the energy, the states go back to what they were before, and take a
plain step by gamma, x <- x - gamma dF/dx.

Conjugate gradients with this beta: Polak and Ribiere 1969.
"""

from plastic import xp
from plastic.pc.maps import perform
from plastic.pc.states import State
from plastic.types import Array


class Sweeps:
    """Sweeps over the hidden layers of a state, which has targets and whose errors have been computed.

    Args:
        state: a `State`, which changes.
    """

    def __init__(self, state: State) -> None:
        state._take_slopes()
        self.state, self.sums = state, _Sums(state._errors)
        self.layers = [_Layer(state, k) for k in reversed(range(len(state.x_layers)))]
        self.F = self._energies()
        self.scale = state.scale.reshape(*self.F.shape[:-2], 1, 1)

    def sweep(self) -> float:
        """Let all layers move in turn, and see that no sample has a higher energy for it.

        Returns:
            The largest change of a state.
        """
        state, x, before = self.state, self.state.x.copy(), self.F
        for layer in self.layers:
            layer.move()
        self.F = self._energies()
        risen = ~(self.F < state.highest(before, self.scale))
        if xp.asnumpy(risen).any():
            state.x[...] = xp.where(risen, x, state.x)
            state._look()
            state.x -= xp.where(risen, state.gradient(), 0) * state.gamma
            state._look()
            self.F = self._energies()
        return largest(state.x - x)

    def _energies(self):
        """Return the energy of each sample, (..., batch, 1)."""
        return 0.5 * self.sums(self.state._errors, self.state._errors)


class _Layer:
    """A hidden layer l, the one with the number k from 0 on, with the errors of the layer above it."""

    def __init__(self, state, k):
        net, above = state._net, state.columns[k + 1]
        is_below_top = k + 1 == len(state.x_layers)
        self.is_after, self.counted = net.after, net.counted if is_below_top else None
        self.phi, self.phi_above = net.phi[k], None if is_below_top else net.phi[k + 1]
        self.q, self.q_above = state.q_layers[k], None if is_below_top else state.q_layers[k + 1]
        self.x, self.x_above = state.x_layers[k], state._states[..., above]
        self.r, self.a_above = state.r_layers[k], state.predicted[k + 1]
        self.mu, self.mu_above = state.mu_layers[k], state._predictions[..., above]
        self.eps, self.eps_above = state.eps_layers[k], state._errors[..., above]
        self.delta, self.delta_above = state.deltas[k : k + 2]
        self.g = state.back_layers[k]
        self.g_before, self.p, self.qp = (xp.zeros_like(self.x) for _ in range(3))
        self.Jp = xp.zeros_like(self.x_above)
        self.up, self.down = state._up[k], state._down[k]
        self.linear = state._maps[k + 1].linear(self.p if net.after else self.qp, self.Jp)
        self.sums, self.sums_above = _Sums(self.x), _Sums(self.x_above)
        self.gg = 0 * self.sums(self.p, self.p)  # <g', g'>
        self.tiny = float(xp.finfo(self.x.dtype).tiny)

    def move(self):
        """Take a step of conjugate gradients, and compute the errors of the new states."""
        g, p, change = self._gradient(), self.p, self.g_before
        xp.subtract(g, self.g_before, out=change)
        numerator = xp.minimum(xp.maximum(self.sums(g, change), 0), self.gg)
        p *= numerator / (self.gg + self.tiny)
        p += g
        self._send()
        curvature = self.sums(p, p) + self.sums_above(self.Jp, self.Jp)
        self.x -= self.sums(g, p) / (curvature + self.tiny) * p
        self.g_before[...], self.gg = g, self.sums(g, g)
        self._look()

    def _gradient(self):
        """Return dF/dx_l = eps_l - f'(x_l) (eps_{l+1} W^T), or eps_l - delta_{l+1} W^T, in a buffer."""
        perform(self.down)
        if not self.is_after:
            self.phi.slope(self.x, self.r, out=self.q)
            self.g *= self.q
        return xp.subtract(self.eps, self.g, out=self.g)

    def _send(self):
        """Compute J p."""
        if not self.is_after:
            xp.multiply(self.p, self.q, out=self.qp)
        perform(self.linear)
        if self.is_after and self.q_above is not None:
            self.Jp *= self.q_above
        if self.counted is not None:
            self.Jp *= self.counted

    def _look(self):
        """Compute the errors of the layer and of the one above it."""
        if not self.is_after:
            self.phi.value(self.x, out=self.r)
        perform(self.up)
        if self.is_after and self.phi_above is not None:
            self.phi_above.value(self.a_above, out=self.mu_above)
            self.phi_above.slope(self.a_above, self.mu_above, out=self.q_above)
        xp.subtract(self.x, self.mu, out=self.eps)
        xp.subtract(self.x_above, self.mu_above, out=self.eps_above)
        if self.counted is not None:
            self.eps_above *= self.counted
        if self.is_after:
            xp.multiply(self.eps, self.q, out=self.delta)
            if self.q_above is not None:
                xp.multiply(self.eps_above, self.q_above, out=self.delta_above)


def largest(change: Array) -> float:
    """Return the largest absolute value of an array, on the host."""
    return float(xp.asnumpy(xp.max(xp.abs(change))))


class _Sums:
    """Sums over the units of products of arrays (..., batch, n), for each sample, (..., batch, 1)."""

    def __init__(self, like):
        self.products, self.ones = xp.empty_like(like), xp.ones((like.shape[-1], 1), dtype=like.dtype)

    def __call__(self, a: Array, b: Array) -> Array:
        return xp.matmul(xp.multiply(a, b, out=self.products), self.ones)
