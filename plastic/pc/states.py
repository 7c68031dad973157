"""The states of a predictive coding network on a batch, with their errors and their rate of inference.

Symbols, and how states move, are those of `plastic.pc.inference`.
"""

import itertools
import numbers
from typing import Any

from plastic import affine, parameters, require, xp
from plastic.errors import PlasticError
from plastic.pc.groups import Group, groups
from plastic.pc.losses import Loss, of_output
from plastic.pc.maps import perform
from plastic.pc.networks import Network, require_batch, require_network
from plastic.types import Array, Tree

_ROUNDINGS = 16  # by so many two energies have to differ to be told apart; those at rest differ by 5


class State:
    """The states of a network on a batch, with their errors and their rate; `step` and `infer` change it.

    It begins at the feed-forward activities. Where weights change later, the states stay as they are.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L), at which the output is held: the loss is |y - mu_L|^2 / 2, a sum over units and
            batch. None where every step is given a loss of its own.
        gamma: the rate of inference, above 0; a number, or an array (..., 1, 1) with one for each replica.
        discount: what gamma is multiplied by where the energy has risen, above 0, at most 1.
        amplifier: what gamma is multiplied by where it has fallen, at least 1.
        optimizer: of the states, for instance an `Adam`, which takes gamma for its rate; gradient descent by default.

    Attributes:
        x, mu, eps: states, predictions and errors of the hidden layers side by side, (..., batch, n_1 + .. + n_{L-1}).
        x_layers, eps_layers: the same, a view (..., batch, n_l) for each layer.
        moving: all that inference moves, here x; of a `FreeState` the input and x side by side.
        top, eps_top: mu_L, and the error of the output, -dL/dmu_L, both (..., batch, n_L).
        F: the energy, of the replica shape. gamma: the rate as it is now. before: the energy before the last step.
        moments: the state of the optimizer of the states.

    Raises:
        PlasticError: if the batch does not fit the network, or a constant is out of range.

    Example:
        >>> import numpy as np
        >>> from plastic.pc import infer, network
        >>> net, x = network((2, 3, 1), np.random.default_rng(0)), xp.asarray([[0.0, 1.0]])
        >>> state = State(net, x, xp.asarray([[1.0]]))
        >>> before = float(state.F)
        >>> output = infer(net, state, x, 20)
        >>> float(state.F) < before
        True
    """

    @xp.underflow_is_ordinary()
    def __init__(
        self,
        net: Network,
        x: Array,
        y: Array | None = None,
        *,
        gamma: Any = 0.1,
        discount: float = 0.5,
        amplifier: float = 1.0,
        optimizer: Any = None,
    ) -> None:
        require_batch(net, x, y)
        require_rate(gamma, net)
        require.scalar("discount", discount, above=0, most=1)
        require.scalar("amplifier", amplifier, least=1)
        if optimizer is not None and (isinstance(optimizer, type) or not hasattr(optimizer, "init")):
            raise PlasticError(
                f"optimizer is {optimizer!r}; it must be one of the states, Adam() for instance, or None"
            )
        self.gamma, self.discount, self.amplifier, self.before = gamma, discount, amplifier, None
        kind = xp.finfo(x.dtype)
        self._L, self.rounding = None, _ROUNDINGS * float(kind.eps)
        self.adapts = discount != 1 or amplifier != 1
        self._net, self._shape, self._dtype = net, x.shape, x.dtype
        self.y = y
        self._lay_out(net, x)
        self._take(net, x)
        self._begin()
        count = self._states.shape[-1] * x.shape[-2]
        self.scale = (_squares(_flat(self._states, self._order)) / count + float(kind.tiny)) ** 0.5
        self.optimizer = optimizer
        self.moments = None if optimizer is None else optimizer.init(self.moving)

    def __repr__(self) -> str:
        gamma = f"gamma {self.gamma:g}" if isinstance(self.gamma, numbers.Real) else "gamma of each replica"
        return f"State of {self.x.shape[-2]} samples, {self.x.shape[-1]} hidden units, {gamma}"

    def __reduce__(self) -> Any:
        raise PlasticError(
            "a state of plastic.pc cannot be copied, as its arrays are parts of one another; make another one, and "
            "give it the states: other.moving[...] = state.moving"
        )

    def _lay_out(self, net, x, n_0=0):
        """Make the arrays, and their views of layers and of groups of layers that have one activation.

        n_0: the units of the input, where that moves too; its columns are then the first of `moving` and `_gradient`.
        """
        self._order = net.order()
        ends = list(itertools.accumulate(net.sizes[1:], initial=0))
        *hidden, top = self.columns = [slice(*pair) for pair in itertools.pairwise(ends)]
        below = slice(top.start)

        def zeros(units):
            return xp.zeros_in(self._order, (*net.replicas, x.shape[-2], units), net.dtype)

        def layers(array):
            return [array[..., each] for each in hidden]

        whole, self._predictions, self._errors = zeros(n_0 + top.stop), zeros(top.stop), zeros(top.stop)
        self._states = whole[..., n_0:]  # of all layers: x_L = y
        self.moving = whole[..., : n_0 + top.start]
        self.x, self.mu, self.eps = (each[..., below] for each in (self._states, self._predictions, self._errors))
        self.top, self.eps_top = (each[..., top] for each in (self._predictions, self._errors))
        if self.y is not None:
            self._states[..., top] = self.y
        self._flat = _flat(self._errors, self._order)
        self._gradient = zeros(n_0 + top.start)
        self.back = self._gradient[..., n_0:]
        self.r = self.x if net.after else zeros(top.start)
        self.a = zeros(top.start) if net.after else self.mu
        self.delta = zeros(top.start) if net.after else self.eps
        self.x_layers, self.r_layers, self.mu_layers = layers(self.x), layers(self.r), layers(self.mu)
        self.eps_layers, self.back_layers = layers(self.eps), layers(self.back)
        self.predicted = [*layers(self.a), self.top]
        self.deltas = [*layers(self.delta), self.eps_top]
        self.groups = [Group(self, *each) for each in groups(net)]
        n = net.sizes[1]  # of all hidden layers, where there are skip connections
        self._above, self._below = slice(n, top.start), slice(top.start - n)

    @property
    def F(self) -> Array:
        """The energy, a sum over units and batch, of the replica shape, where the errors were last computed."""
        if self._L is not None:
            return 0.5 * xp.einsum("...bn,...bn->...", self.eps, self.eps) + self._L
        return 0.5 * _squares(self._flat)

    @property
    def q_layers(self) -> list[Array]:
        """f' of each hidden layer, where it was last computed."""
        return [
            group.q[..., each.start - group.columns.start : each.stop - group.columns.start]
            for group in self.groups
            for each in self.columns[:-1]
            if group.columns.start <= each.start < group.columns.stop
        ]

    def _take(self, net, x):
        """Take the weights as they are, and send the input to the first layer."""
        if getattr(x, "shape", None) != self._shape or x.dtype != self._dtype:
            raise PlasticError(f"x is {_kind(x)}; the state is that of {self._dtype} of shape {self._shape}")
        if net is not self._net:
            _require_alike(net, self._net)
        self._net = net
        self._input = xp.asfortranarray(x) if self._order == "F" else x
        self._maps = net.maps(self._order)
        first, *above = self._maps
        perform(first.up(self._input, self.predicted[0]))
        self._up = [each.up(*pair) for each, *pair in zip(above, self.r_layers, self.predicted[1:], strict=True)]
        self._down = [each.down(*pair) for each, *pair in zip(above, self.deltas[1:], self.back_layers, strict=True)]
        self._upward, self._downward = (list(itertools.chain(*each)) for each in (self._up, self._down))

    def _begin(self, loss=None, errors=None):
        """Set the states to those that have the errors given, [eps_1, .., eps_{L-1}].

        Without, these are 0: the states are the feed-forward activities, as those of a new state.
        """
        for k, phi in enumerate(self._net.phi):
            if self._net.after:
                phi.value(self.predicted[k], out=self.mu_layers[k])
            self.x_layers[k][...] = self.mu_layers[k]
            if errors is not None:
                self.x_layers[k] += errors[k]
            if not self._net.after:
                phi.value(self.x_layers[k], out=self.r_layers[k])
            perform(self._up[k])
            if self._net.skips and k + 1 < len(self.mu_layers):
                self.mu_layers[k + 1] += self.x_layers[k]
        self._compare(loss)

    def _look(self, loss=None):
        """Compute the errors of the states as they are, by the weights last taken."""
        net = self._net
        if not net.after:
            for each in self.groups:
                each.phi.value(each.x, out=each.r)
        perform(self._upward)
        if net.skips:
            self.mu[..., self._above] += self.x[..., self._below]
        if net.after:
            for each in self.groups:
                each.phi.value(each.a, out=each.mu)
        self._compare(loss)
        if net.after:
            self._take_slopes()
            self._pass_slopes()

    def _compare(self, loss):
        """Compute the errors, and the loss of the output where that is not half the squared error."""
        if loss is None and self.y is not None:
            self._L = None
            xp.subtract(self._states, self._predictions, out=self._errors)
            if self._net.counted is not None:
                self.eps_top *= self._net.counted
            return
        xp.subtract(self.x, self.mu, out=self.eps)
        if loss is not None:
            self._L, err = of_output(loss, self.top)
            xp.multiply(err, -1, out=self.eps_top)

    def _propagate(self):
        """Set `deltas` to the errors of backpropagation at the states as they are.

        Where the states lie after the activation, `back` are those by the states, and `deltas` by what they come from.
        """
        self._take_slopes()
        q = self.q_layers
        for k in reversed(range(len(self.x_layers))):
            perform(self._down[k])
            xp.multiply(self.back_layers[k], q[k], out=self.deltas[k])
            if self._net.skips and k + 1 < len(self.x_layers):
                self.deltas[k] += self.deltas[k + 1]

    def _take_slopes(self):
        """Compute f' at the states as they are."""
        for each in self.groups:
            each.take_slopes()

    def _pass_slopes(self):
        """Of states after the activation, write eps f'(a) into `delta`."""
        for each in self.groups:
            xp.multiply(each.eps, each.q, out=each.delta)

    def gradient(self, fresh: bool = True) -> Array:
        """Return dF/dx of all that moves, the hidden layers side by side, by the errors as they were last computed.

        Args:
            fresh: whether f' is computed anew; otherwise it is what it was (of states before the activation).

        Returns:
            An array (..., batch, n_1 + .. + n_{L-1}) that the next call overwrites.
        """
        perform(self._downward)
        if not self._net.after:
            for each in self.groups:
                if fresh:
                    each.take_slopes()
                each.back *= each.q
        if self._net.skips:
            self.back[..., self._below] += self.eps[..., self._above]
        xp.subtract(self.eps, self.back, out=self.back)
        return self._gradient

    def _move(self):
        """Take a step of the states, all layers at once, by the errors as they were last computed; adapt the rate."""
        if self.optimizer is None:
            self._descend()
        else:
            self.optimizer.step(self.moving, self.gradient(), self.moments, lr=self.gamma)
        self._adapt()

    def _descend(self):
        """Take a step against the gradient."""
        change = self.gradient()
        change *= self.gamma
        self.moving -= change

    def _adapt(self):
        """Let the rate follow the energy before this step: down where that has risen, up where it has fallen."""
        if not self.adapts:
            return
        F = self.F
        highest = self.highest(F, self.scale)
        if self.before is not None:
            factor = xp.choose(F < self._highest, 1.0, self.discount, F.dtype)
            if self.amplifier != 1:
                factor = xp.choose(highest < self.before, self.amplifier, factor, F.dtype)
            self.gamma = self.gamma * (factor if F.ndim == 0 else factor[..., None, None])
        self.before, self._highest = F, highest

    def highest(self, F: Array, scale: Array) -> Array:
        """Return what an energy F may be in truth, of states of this scale (their root mean square).

        An error, the difference of numbers of this scale, is known to a few roundings of them, and with it F to a few
        of F + scale F^(1/2).
        """
        return F + self.rounding * (abs(F) + scale * abs(F) ** 0.5)

    def weight_gradients(self, out: Tree = None, only: int | None = None) -> Tree:
        """Return the gradients of the mean of F over the batch, by the errors as they were last computed.

        Args:
            out: a tree of the shape of the parameters to write into.
            only: the number of the one layer that is wanted, from 0; None for all.

        Returns:
            A tree of the shape of the parameters, signed to be subtracted.
        """
        grads = parameters.zeros_like(self._net.parameters) if out is None else out
        senders = [self._input, *self.r_layers]
        for k in range(len(senders)) if only is None else [only]:
            self._maps[k].gradient(senders[k], self.deltas[k], grads["layers"][k])
        return grads


def require_rate(gamma: Any, net: Network) -> None:
    """Require a rate of inference above 0: a number, or an array (..., 1, 1) with one for each replica."""
    require.per_replica("gamma", gamma, net.replicas)
    require.number("gamma", gamma, above=0)


def require_target(state: Any, loss: Loss | None) -> None:
    """Require a state that has targets for a step: its own, or a loss."""
    if not isinstance(state, State):
        raise PlasticError(f"state is a {type(state).__name__}; it must be a State of plastic.pc, pc.State(net, x, y)")
    if loss is None and state.y is None:
        raise PlasticError("there is no target: give State the targets y, or a loss to every step")
    if loss is not None and state._net.counted is not None:
        raise PlasticError(
            "there is a loss, but the network has `counted`, which is for half the squared error: let the loss itself "
            "leave outputs out"
        )


def _require_alike(net, other):
    """Require a network that differs from another in its weights alone."""
    require_network(net)
    for name in ("sizes", "replicas", "phi", "after", "skips", "dtype"):
        if getattr(net, name) != getattr(other, name):
            raise PlasticError(f"the state is that of a network with {name} {getattr(other, name)}, not of {net}")


def _kind(x):
    return f"{x.dtype} of shape {x.shape}" if hasattr(x, "dtype") else f"a {type(x).__name__}, not an array"


def _flat(array, order):
    """Return arrays (..., batch, n) as one vector (..., batch n), a view."""
    array = affine.transposed(array) if order != "C" else array
    return array.reshape(*array.shape[:-2], -1)


def _squares(a):
    return xp.dot(a, a) if a.ndim == 1 else xp.einsum("...n,...n->...", a, a)
