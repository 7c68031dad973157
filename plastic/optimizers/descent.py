"""Gradient descent, Adam and RMSprop; see `plastic.optimizers`."""

import dataclasses
from typing import Any

from plastic import parameters, require, xp
from plastic.optimizers.matching import State, together
from plastic.types import Tree


@dataclasses.dataclass(frozen=True)
class SGD:
    """Gradient descent, with or without momentum.

    p <- p - lr g                                     (momentum = 0)
    m <- momentum m + g,    p <- p - lr m             (heavy ball, Polyak 1964)

    With weight_decay, g <- g + weight_decay p first.

    Args:
        lr: see the module.
        momentum: from 0 to below 1.
        weight_decay: at least 0.

    Raises:
        PlasticError: if a constant is out of range.

    Example:
        >>> w, optimizer = xp.asarray([1.0, 2.0]), SGD(lr=0.5)
        >>> optimizer.step(w, xp.asarray([2.0, 2.0]), optimizer.init(w))
        >>> w.tolist()
        [0.0, 1.0]
    """

    lr: Any = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _require_rates(self.lr)
        require.number("momentum", self.momentum, least=0, below=1)
        require.number("weight_decay", self.weight_decay, least=0)

    def init(self, params: Tree) -> dict[str, Tree]:
        """Return the state: {"m": velocities of the shapes of the parameters}, empty without momentum."""
        return State({"m": parameters.zeros_like(params)} if self.momentum else {})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        lr = self.lr if lr is None else lr
        if not self.momentum:
            for p, g, rate in together(params, grads, state, lr):
                _descend(p, _decayed(p, g, self.weight_decay), rate)
            return
        for p, g, rate, m in together(params, grads, state, lr, "m"):
            _descend_with_momentum(p, _decayed(p, g, self.weight_decay), m, rate, self.momentum)


@dataclasses.dataclass(frozen=True)
class Adam:
    r"""Adaptive moments (Kingma and Ba 2015, algorithm 1).

    t <- t + 1
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    p <- p - lr m^ / (sqrt(v^) + eps),    m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)

    With `bias_correction=False`, m^ = m and v^ = v: the first step is then lr (1 - beta1) / sqrt(1 - beta2) in each
    coordinate rather than lr. The published GAIT-prop code uses this form with beta2 = 0.99, and so does
    `Adam.without_correction`.
    eps is added outside the root, in the original and here: gradients below about eps / sqrt(1 - beta2) are attenuated.
    With weight_decay, g <- g + weight_decay p first (the L2 kind, not AdamW's).

    The state holds M = m / (1 - beta1) and V = v / (1 - beta2), so that all constants meet in two numbers per step:

    M <- beta1 M + g,    V <- beta2 V + g^2,    p <- p - rate M / (sqrt(V) + eps')

    Args:
        lr: see the module.
        beta1, beta2: decays of the moments, from 0 to below 1.
        eps: above 0.
        bias_correction: whether the moments are divided by 1 - beta^t.
        weight_decay: at least 0.

    Raises:
        PlasticError: if a constant is out of range.

    Example:
        >>> w, optimizer = xp.asarray([1.0, 2.0]), Adam(lr=0.5)
        >>> optimizer.step(w, xp.asarray([3.0, -4.0]), optimizer.init(w))
        >>> w.round(3).tolist()
        [0.5, 2.5]
    """

    lr: Any = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _require_rates(self.lr)
        for name in ("beta1", "beta2"):
            require.number(name, getattr(self, name), least=0, below=1)
        require.number("eps", self.eps, above=0)
        require.number("weight_decay", self.weight_decay, least=0)

    @classmethod
    def without_correction(cls, lr: Any) -> "Adam":
        """Adam as in the published GAIT-prop code: no bias correction, beta2 = 0.99 (Ahmad et al. 2020)."""
        return cls(lr=lr, beta2=0.99, bias_correction=False)

    def init(self, params: Tree) -> dict[str, Tree]:
        """Return the state, all zero: {"t": steps taken, 0-d, "M", "V": scaled moments, trees like the parameters}."""
        steps = xp.zeros((), dtype=xp.float_dtype)
        return State({"t": steps, "M": parameters.zeros_like(params), "V": parameters.zeros_like(params)})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        leaves = together(params, grads, state, self.lr if lr is None else lr, "M", "V")
        t = xp.number(state["t"]) + 1
        state["t"][...] = t
        scale_m, scale_v = 1 - self.beta1, 1 - self.beta2
        if self.bias_correction:
            scale_m, scale_v = scale_m / (1 - self.beta1**t), scale_v / (1 - self.beta2**t)
        root = scale_v**0.5
        scale, eps = scale_m / root, self.eps / root
        for p, g, rate, M, V in leaves:
            _adapt(p, _decayed(p, g, self.weight_decay), M, V, rate * scale, self.beta1, self.beta2, eps)


@dataclasses.dataclass(frozen=True)
class RMSprop:
    r"""Gradients divided by the root of their running mean square (Tieleman and Hinton 2012), with or without momentum.

    v <- decay v + (1 - decay) g^2
    m <- momentum m + g / sqrt(v + eps),    p <- p - lr m

    Args:
        lr: see the module.
        decay: of the mean square, from 0 to below 1.
        momentum: from 0 to below 1.
        eps: above 0.

    Raises:
        PlasticError: if a constant is out of range.

    Example:
        >>> w, optimizer = xp.asarray([1.0, 2.0]), RMSprop(lr=0.25, decay=0.75)
        >>> optimizer.step(w, xp.asarray([3.0, -4.0]), optimizer.init(w))
        >>> w.round(3).tolist()
        [0.5, 2.5]
    """

    lr: Any = 0.001
    decay: float = 0.9
    momentum: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        _require_rates(self.lr)
        require.number("decay", self.decay, least=0, below=1)
        require.number("momentum", self.momentum, least=0, below=1)
        require.number("eps", self.eps, above=0)

    def init(self, params: Tree) -> dict[str, Tree]:
        """Return the state, all zero: {"v": mean squares, "m": velocities}, trees like the parameters."""
        return State({"v": parameters.zeros_like(params), "m": parameters.zeros_like(params)})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        for p, g, rate, v, m in together(params, grads, state, self.lr if lr is None else lr, "v", "m"):
            v *= self.decay
            v += (1 - self.decay) * g * g
            _descend_with_momentum(p, g / xp.sqrt(v + self.eps), m, rate, self.momentum)


@xp.fuse
def _descend(p, g, lr):
    p -= lr * g


@xp.fuse
def _descend_with_momentum(p, g, m, lr, momentum):
    m *= momentum
    m += g
    p -= lr * m


@xp.fuse
def _adapt(p, g, M, V, rate, beta1, beta2, eps):
    M *= beta1
    M += g
    V *= beta2
    step = g * g  # one temporary for all that follows: allocations would cost as much as arithmetic
    V += step
    xp.sqrt(V, out=step)
    step += eps
    xp.divide(M, step, out=step)
    step *= rate
    p -= step


def _decayed(p, g, weight_decay):
    return g + weight_decay * p if weight_decay else g


def _require_rates(lr):
    for _, rate in parameters.leaves(lr):
        require.number("lr", rate, least=0)
