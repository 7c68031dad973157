"""What belongs together in a step: each parameter with its gradient, its rate and its moments."""

from typing import Any

from plastic import parameters, xp
from plastic.errors import PlasticError


class State(dict):
    """What `init` returns: a tree like any other, and what the step before found to belong together.

    found: (trees of moments, names and shapes of rates, [(parameter, number of its rate, its moments)]), or None.
    """

    found: Any = None


def together(params, grads, state, lr, *names):
    """Return [(parameter, gradient, rate, its moments ..)], for each leaf of `params`, matched by path.

    Of trees that all are vectors of one form, and a rate for all, it is these vectors. names: of moments in `state`.
    """
    if not isinstance(state, dict) or not set(names) <= state.keys():
        raise PlasticError(f"state has no moments {', '.join(names)}; make it once, by optimizer.init(parameters)")
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
        if isinstance(state, State):
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
