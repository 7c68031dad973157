r"""Optimizers: from gradients to parameters, in place.

An optimizer holds its constants only. Its state is a tree made by `init(parameters)`, kept by the caller (and in the
checkpoint), and `step(parameters, gradients, state)` changes parameters and state in place. Gradients are signed to
be subtracted.

The learning rate `lr` is a number, an array with one number for each replica, (R, 1, 1), or a tree of these that
follows the parameters, where a rate holds for all that lies under it: {"layers": [0.1, 0.2]} has one rate per layer.
`step(..., lr=...)` overrides it, for schedules. Trees, shapes and rates that do not fit raise PlasticError before
anything is changed.

What belongs together, parameter, rate and moments, is found out in the first step with a state and kept beside it, as
long as the same arrays are given; a later step only walks the gradients.
"""

import dataclasses
from typing import Any

from plastic import parameters, require, xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree


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
        return _State({"m": parameters.zeros_like(params)} if self.momentum else {})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        lr = self.lr if lr is None else lr
        if not self.momentum:
            for p, g, rate in _together(params, grads, state, lr):
                _descend(p, _decayed(p, g, self.weight_decay), rate)
            return
        for p, g, rate, m in _together(params, grads, state, lr, "m"):
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
        return _State({"t": steps, "M": parameters.zeros_like(params), "V": parameters.zeros_like(params)})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        leaves = _together(params, grads, state, self.lr if lr is None else lr, "M", "V")
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
        return _State({"v": parameters.zeros_like(params), "m": parameters.zeros_like(params)})

    @xp.underflow_is_ordinary()
    def step(self, params: Tree, grads: Tree, state: dict[str, Tree], lr: Any = None) -> None:
        """Change `params` and `state` by one step along `grads`, a tree of the shape of `params`."""
        for p, g, rate, v, m in _together(params, grads, state, self.lr if lr is None else lr, "v", "m"):
            v *= self.decay
            v += (1 - self.decay) * g * g
            _descend_with_momentum(p, g / xp.sqrt(v + self.eps), m, rate, self.momentum)


@dataclasses.dataclass(frozen=True)
class Plateau:
    """A schedule that lowers the rate of a replica when its loss has stopped falling.

    A loss counts as better where it is below (1 - threshold) times the best so far. After more than `patience` losses
    in a row that do not, the rate is multiplied by `factor`, unless that would change it by `eps` or less, and the
    count begins anew.
    """

    patience: int
    factor: float
    threshold: float = 1e-4
    eps: float = 1e-8

    def init(self, lr: Any, shape: tuple[int, ...] = ()) -> dict[str, Array]:
        """Return the state: {"lr", "best" loss, "bad": losses in a row that were not better}, of the replica shape."""
        starts = {
            "lr": lr,
            "best": float(xp.finfo(xp.float_dtype).max),
            "bad": 0.0,
        }  # finite, as a checkpoint has to be
        return {name: xp.full(shape, value, dtype=xp.float_dtype) for name, value in starts.items()}

    def step(self, state: dict[str, Array], loss: Array) -> None:
        """Take one more loss, of the replica shape, into account; `state` changes in place."""
        better = loss < state["best"] * (1 - self.threshold)
        state["best"][...] = xp.where(better, loss, state["best"])
        state["bad"][...] = xp.where(better, 0, state["bad"] + 1)
        full = state["bad"] > self.patience
        lowered = state["lr"] * self.factor
        state["lr"][...] = xp.where(full & (state["lr"] - lowered > self.eps), lowered, state["lr"])
        state["bad"][...] = xp.where(full, 0, state["bad"])


@dataclasses.dataclass(frozen=True)
class Stairs:
    """A schedule that multiplies the rate by `factor` after every `size` losses, whatever they are.

    Example:
        >>> stairs = Stairs(size=2, factor=0.5)
        >>> state = stairs.init(1.0)
        >>> for _ in range(5):
        ...     stairs.step(state, xp.asarray(0.0))
        >>> float(state["lr"])
        0.25
    """

    size: int
    factor: float

    def init(self, lr: Any, shape: tuple[int, ...] = ()) -> dict[str, Array]:
        """Return the state: {"lr", "seen": losses since it was lowered}, of the replica shape."""
        return {name: xp.full(shape, value, dtype=xp.float_dtype) for name, value in (("lr", lr), ("seen", 0.0))}

    def step(self, state: dict[str, Array], loss: Array) -> None:
        """Count one more loss, of the replica shape; `state` changes in place."""
        state["seen"] += 1
        full = state["seen"] >= self.size
        state["lr"][...] = xp.where(full, state["lr"] * self.factor, state["lr"])
        state["seen"][...] = xp.where(full, 0, state["seen"])


def clipped(tree: Tree, largest: float) -> Tree:
    """Return a tree whose norm, that of all its entries together, is at most `largest`.

        g <- g min(1, largest / |g|),    |g|^2 = sum over all leaves and entries of g^2

    Args:
        tree: gradients, without replica axes.
        largest: above 0.

    Returns:
        The tree, scaled where it was larger.

    Raises:
        PlasticError: if `largest` is no such number.

    Source: Pascanu, Mikolov, Bengio 2013.

    Example:
        >>> clipped({"W": xp.asarray([3.0]), "b": xp.asarray([4.0])}, 1.25)["b"].tolist()
        [1.0]
    """
    require.number("largest", largest, above=0)
    norm = xp.sqrt(xp.sum(xp.stack([xp.sum(leaf * leaf) for _, leaf in parameters.leaves(tree)])))
    scale = largest / xp.maximum(norm, largest)
    return parameters.map(lambda leaf: leaf * scale, tree)


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
        require.number("lr", rate)


class _State(dict):
    """What `init` returns: a tree like any other, and what the step before found to belong together.

    found: (trees of moments, names and shapes of rates, [(parameter, number of its rate, its moments)]), or None.
    """

    found: Any = None


def _together(params, grads, state, lr, *names):
    """Return [(parameter, gradient, rate, its moments ..)], for each leaf of `params`, matched by path.

    Of trees that all are vectors of one form, and a rate for all, it is these vectors. names: of moments in `state`.
    """
    moments = [state[name] for name in names]
    if getattr(lr, "size", 0) == 1:
        lr = xp.number(lr.reshape(()))
    one_rate = isinstance(lr, (int, float)) or hasattr(lr, "ndim")
    if one_rate and all([isinstance(tree, parameters.Flat) for tree in (params, grads, *moments)]):
        return [_vectors(params, grads, lr, moments)]
    rates = parameters.leaves(lr)
    kind = [(path, getattr(rate, "shape", ())) for path, rate in rates]
    found = _again(params, grads, moments, kind, getattr(state, "found", None))
    if found is None:
        found = _matched(params, grads, rates, moments)
        if isinstance(state, _State):
            state.found = (moments, kind, [(p, place, own) for p, _, place, own in found])
    return [(p, g, rates[place][1], *own) for p, g, place, own in found]


def _again(params, grads, moments, kind, found):
    """Return what `_matched` would, if the parameters, moments and kind of rates are those found before; else None."""
    if found is None or kind != found[1] or any(tree is not same for tree, same in zip(moments, found[0], strict=True)):
        return None
    pairs, leaves = parameters.pairs(params, grads) or [], found[2]
    if len(pairs) != len(leaves):
        return None
    together = [(p, g, *leaf) for (p, g), leaf in zip(pairs, leaves, strict=True)]
    fits = all([p is same and p.shape == g.shape for p, g, same, _, _ in together])
    return [(p, g, place, own) for p, g, _, place, own in together] if fits else None


def _vectors(params, grads, lr, moments):
    """Return (parameters, gradients, rate, moments ..) as vectors."""
    for tree in (grads, *moments):
        if tree.form != params.form or tree.flat.shape != params.flat.shape:
            raise PlasticError(f"the trees differ: {tree} and {params}")
    if getattr(lr, "ndim", 0):
        _require_rate_fits("the parameters", lr, params.flat[..., None])
        lr = lr[..., 0]
    return params.flat, grads.flat, lr, *(tree.flat for tree in moments)


def _matched(params, grads, rates, moments):
    """Return [(parameter, gradient, the number of its rate in `rates`, [its moments])], matched by path."""
    targets, places = dict(parameters.leaves(params)), {path: place for place, (path, _) in enumerate(rates)}
    others = [dict(parameters.leaves(tree)) for tree in (grads, *moments)]
    for other in others:
        if other.keys() != targets.keys():
            raise PlasticError(f"the trees differ: {sorted(other.keys() ^ targets.keys())} on one side only")
        for path, p in targets.items():
            if other[path].shape != p.shape:
                where = f"at {path}, the" if path else "the"
                raise PlasticError(f"{where} gradient or its moments have shape {other[path].shape}, not {p.shape}")
    holders = {path: [prefix for prefix in places if _lies_under(path, prefix)] for path in targets}
    if not all(holders.values()) or len({prefix for held in holders.values() for prefix in held}) < len(rates):
        raise PlasticError(f"learning rates for {', '.join(places)} do not fit parameters {', '.join(targets)}")
    held = {path: places[holders[path][0]] for path in targets}
    for path, p in targets.items():
        _require_rate_fits(path or "the parameter", rates[held[path]][1], p)
    gradients, *own = others
    return [(p, gradients[path], held[path], [each[path] for each in own]) for path, p in targets.items()]


def _require_rate_fits(path, rate, p):
    """Require a number, or an array (..., 1, 1) over the replica axes of p: nothing that broadcasts over units."""
    shape = getattr(rate, "shape", ())
    if shape == ():
        return
    replicas = p.shape[: max(p.ndim - 2, 0)]
    if (
        shape[-2:] != (1, 1)
        or len(shape) > p.ndim
        or any(length not in (1, of_p) for length, of_p in zip(shape[-3::-1], replicas[::-1], strict=False))
    ):
        wanted = f"a number or {(*replicas, 1, 1)}, one for each replica" if replicas else "a number"
        raise PlasticError(f"lr has shape {shape}; for {path} of shape {p.shape} it must be {wanted}")


def _lies_under(path, prefix):
    return prefix in ("", path) or path.startswith(f"{prefix}/")
