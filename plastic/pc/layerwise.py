"""Inference layer by layer: sweeps from the top down, in which each layer takes a step of conjugate gradients.

With all other states held, those of layer l enter two terms of the energy, |eps_l|^2 / 2 and |eps_{l+1}|^2 / 2. For
each sample, with a prime for what was there in the sweep before,

    g = dF/dx_l
    p = g + beta p',    beta = <g, g - g'> / <g', g'>, held between 0 and 1
    x_l <- x_l - alpha p,    alpha = <g, p> / (<p, p> + <J p, J p>),    J p = (f'(x_l) p) W_{l+1}

where alpha leads to the least energy along p if f is linear there. (With the states after the activation, J p is
f'(a_{l+1}) (p W_{l+1}); with a skip connection to the layer above, p is added to it.) After one sweep an error at the
top has reached all layers, but is about halved at each of them: of many layers the first are not told anything.

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
        self.state, self.ones = state, ones(state._errors)
        self.layers = [_Layer(state, k) for k in reversed(range(len(state.x_layers)))]
        self.F = energies(state, self.ones)
        self.scale = state.scale.reshape(*self.F.shape[:-2], 1, 1)

    def sweep(self) -> Array:
        """Let all layers move in turn, and see that no sample has a higher energy for it.

        Returns:
            The states before.
        """
        state, x, before = self.state, self.state.x.copy(), self.F
        for layer in self.layers:
            layer.move()
        self.F = energies(state, self.ones)
        risen = ~(self.F < state.highest(before, self.scale))
        if xp.asnumpy(risen).any():
            state.x[...] = xp.where(risen, x, state.x)
            state._look()
            state.x -= xp.where(risen, state.gradient(), 0) * state.gamma
            state._look()
            self.F = energies(state, self.ones)
        return x


class _Layer:
    """A hidden layer l, the one with the number k from 0 on, with the errors of the layer above it."""

    def __init__(self, state, k):
        net, above = state._net, state.columns[k + 1]
        is_below_top = k + 1 == len(state.x_layers)
        self.is_after, self.counted = net.after, net.counted if is_below_top else None
        self.skips = net.skips and not is_below_top
        self.phi, self.phi_above = net.phi[k], None if is_below_top else net.phi[k + 1]
        self.q, self.q_above = state.q_layers[k], None if is_below_top else state.q_layers[k + 1]
        self.x, self.x_above = state.x_layers[k], state._states[..., above]
        self.r, self.a_above = state.r_layers[k], state.predicted[k + 1]
        self.mu, self.mu_above = state.mu_layers[k], state._predictions[..., above]
        self.eps, self.eps_above = state.eps_layers[k], state._errors[..., above]
        self.delta, self.delta_above = state.deltas[k : k + 2]
        n, shape = self.x.shape[-1], (*self.x.shape[:-1], self.x.shape[-1] + self.x_above.shape[-1])
        both = xp.zeros_in(state._order, shape, self.x.dtype)  # f' p and J p, and then the squares of p and J p
        self.both, self.qp, self.Jp = both, both[..., :n], both[..., n:]
        self.g, self.g_before, self.p = state.back_layers[k], None, xp.empty_like(self.x)
        self.up, self.down = state._up[k], state._down[k]
        self.linear = state._maps[k + 1].linear(self.p if net.after else self.qp, self.Jp)
        self.ones, self.ones_of_both = ones(self.x), ones(both)
        self.tiny = float(xp.finfo(self.x.dtype).tiny)

    def move(self):
        """Take a step of conjugate gradients, and compute the errors of the new states."""
        g, p = self._gradient(), self.p
        if self.g_before is None:
            self.g_before, p[...] = g.copy(order="K"), g
        else:
            squares = self._dot(self.g_before, self.g_before)
            xp.subtract(g, self.g_before, out=self.g_before)
            p *= xp.minimum(xp.maximum(self._dot(g, self.g_before), 0), squares) / (squares + self.tiny)
            p += g
            self.g_before[...] = g
        self._send()
        xp.multiply(self.Jp, self.Jp, out=self.Jp)
        descent = self._dot(g, p)
        xp.multiply(p, p, out=self.qp)
        self.x -= descent / (self.both @ self.ones_of_both + self.tiny) * p
        self._look()

    def _dot(self, a, b):
        """Return <a, b> of each sample, (..., batch, 1)."""
        return xp.multiply(a, b, out=self.qp) @ self.ones

    def _gradient(self):
        """Return dF/dx_l = eps_l - f'(x_l) (eps_{l+1} W^T), or eps_l - delta_{l+1} W^T, in a buffer."""
        perform(self.down)
        if not self.is_after:
            self.phi.slope(self.x, self.r, out=self.q)
            self.g *= self.q
        if self.skips:
            self.g += self.eps_above
        return xp.subtract(self.eps, self.g, out=self.g)

    def _send(self):
        """Compute J p."""
        if not self.is_after:
            xp.multiply(self.p, self.q, out=self.qp)
        perform(self.linear)
        if self.skips:
            self.Jp += self.p
        if self.is_after and self.q_above is not None:
            self.Jp *= self.q_above
        if self.counted is not None:
            self.Jp *= self.counted

    def _look(self):
        """Compute the errors of the layer and of the one above it."""
        if not self.is_after:
            self.phi.value(self.x, out=self.r)
        perform(self.up)
        if self.skips:
            self.mu_above += self.x
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


def energies(state: State, ones: Array) -> Array:
    """Return the energy of each sample, (..., batch, 1); ones: those of the errors of all layers, see `ones`."""
    return 0.5 * ((state._errors * state._errors) @ ones)


def ones(like: Array) -> Array:
    """Return the column of ones that sums over the units of arrays (..., batch, n)."""
    return xp.ones((like.shape[-1], 1), dtype=like.dtype)
