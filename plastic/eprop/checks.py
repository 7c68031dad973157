"""What the rules of this family require of networks, states, records and signals, said in the user's words."""

import numbers
from typing import Any

from plastic import parameters, require
from plastic.errors import PlasticError
from plastic.types import Array


def matrices(**given: tuple[Any, tuple[int, ...]]) -> None:
    """Require parameters of given last two axes, of one precision and with the same replica axes.

    given: {name: (array or None, its last two axes)}, a matrix first.
    """
    present = {name: pair for name, pair in given.items() if pair[0] is not None}
    first, (like, _) = next(iter(present.items()))
    for name, (value, shape) in present.items():
        if getattr(value, "ndim", 0) < 2 or value.shape[-2:] != shape:
            found = getattr(value, "shape", None)
            raise PlasticError(f"{name} has shape {found}; {('...', *shape)} is needed".replace("'", ""))
        if value.dtype.kind != "f" or value.dtype != like.dtype:
            raise PlasticError(f"{name} is {value.dtype} and {first} {like.dtype}; one precision is needed")
        if value.shape[:-2] != like.shape[:-2]:
            raise PlasticError(f"{name} has the replica axes {value.shape[:-2]}, but {first} has {like.shape[:-2]}")


def layer(name: str, value: Any) -> None:
    """Require weights and biases, an `Affine`; name: what messages call it. value: the user's."""
    if getattr(getattr(value, "W", None), "ndim", 0) < 2:
        raise PlasticError(f"{name} is a {type(value).__name__} without a matrix W; it must be Affine(W, b)")


def constant(name: str, value: Any, width: int, like: Array) -> None:
    """Require a number, or an array (..., 1, 1) or (..., 1, width) that fits the weights `like` (..., n, m).

    name: what messages call it. value: the constant. width: the number of neurons that may have values of their own.
    """
    if isinstance(value, numbers.Real):
        return
    row_of_constants(name, value)
    if value.shape[-1] not in (1, width):
        wanted = f"a number or (..., 1, {width})" if width > 1 else "a number, or (..., 1, 1), one for each replica"
        raise PlasticError(f"{name} has shape {value.shape}; it must be {wanted}")
    if value.dtype != like.dtype:
        raise PlasticError(f"{name} is {value.dtype}, but the weights are {like.dtype}")
    weights = like.shape[:-2]
    if require.replicas(weights=weights, **{name: value.shape[:-2]}) != weights:
        raise PlasticError(f"{name} has the replica axes {value.shape[:-2]}, but the weights have {weights}")


def row_of_constants(name: str, value: Any) -> None:
    """Require an array (..., 1, n): constants vary over neurons and replicas, not over the batch.

    name: what messages call it. value: the array.
    """
    if value.ndim < 2 or value.shape[-2] != 1:
        raise PlasticError(f"{name} has shape {value.shape}; it must be a number, or (..., 1, n) for n neurons")


def state(found: Any, rest: Any, name: str = "state") -> None:
    """Require a state of the class, the shapes and the precision of the state at rest; replica axes may be absent.

    found: what the user gave. rest: the state at rest for the same network and input. name: what messages call it.
    """
    if type(found) is not type(rest):
        raise PlasticError(f"{name} is a {type(found).__name__}; this network goes on from a {type(rest).__name__}")
    for (field, leaf), (_, wanted) in zip(parameters.leaves(found), parameters.leaves(rest), strict=True):
        require.array(f"{name}.{field}", leaf)
        if leaf.shape[-2:] != wanted.shape[-2:]:
            raise PlasticError(f"{name}.{field} has shape {leaf.shape}; with x and this network it is {wanted.shape}")
        if leaf.dtype != wanted.dtype:
            raise PlasticError(f"{name}.{field} is {leaf.dtype}, but the network is {wanted.dtype}")
        if require.replicas(network=wanted.shape[:-2], **{name: leaf.shape[:-2]}) != wanted.shape[:-2]:
            raise PlasticError(f"{name}.{field} has replica axes {leaf.shape[:-2]} that neither x nor the network has")


def like(name: str, value: Any, other: Array) -> None:
    """Require an array of the shape and precision of another, for instance err = dE/doutput of the output.

    name: what messages call it. value: the array. other: the other.
    """
    require.array(name, value)
    if value.shape != other.shape:
        raise PlasticError(f"{name} has shape {value.shape}; that of the simulation is needed, {other.shape}")
    if value.dtype != other.dtype:
        raise PlasticError(f"{name} is {value.dtype}, but the network is {other.dtype}")


def spike_signal(name: str, R: Any, psi: Array) -> None:
    """Require a signal for each spike, dE/dz, of the shape of psi (..., T, batch, n), or of 1 step or trial.

    name: what messages call it. R: the signal.
    """
    require.array(name, R)
    fits = R.ndim >= 3 and all(R.shape[axis] in (1, psi.shape[axis]) for axis in (-3, -2))
    if not fits or R.shape[-1] != psi.shape[-1]:
        T, batch, n = psi.shape[-3:]
        raise PlasticError(f"{name} has shape {R.shape}; (..., {T}, {batch}, {n}) or (..., 1, 1, {n}) is needed")
    if R.dtype != psi.dtype:
        raise PlasticError(f"{name} is {R.dtype}, but the network is {psi.dtype}")
    if require.replicas(record=psi.shape[:-3], **{name: R.shape[:-3]}) != psi.shape[:-3]:
        raise PlasticError(f"{name} has replica axes {R.shape[:-3]} that the simulation does not have")


def no_regulariser(R: Any) -> None:
    """Require that there is no signal R of spikes, or no regulariser of them: the network has none."""
    if R is not None:
        raise PlasticError("a regulariser sees spikes, and only networks of eprop.lif and eprop.lsnn have any")


def feedback(B: Any, W_out: Array, err: Array) -> Array:
    """Return the matrix that errors `err` come down by: `W_out` where B is None, else B, of the same shape."""
    if B is None:
        return W_out
    require.array("feedback", B)
    if B.shape[-2:] != W_out.shape[-2:]:
        wanted = f"(..., {W_out.shape[-2]}, {W_out.shape[-1]})"
        raise PlasticError(f"feedback has shape {B.shape}; that of the readout weights is needed, {wanted}")
    if B.dtype != W_out.dtype:
        raise PlasticError(f"feedback is {B.dtype}, but the network is {W_out.dtype}")
    if require.replicas(simulation=err.shape[:-3], feedback=B.shape[:-2]) != err.shape[:-3]:
        raise PlasticError(f"feedback has replica axes {B.shape[:-2]} that the simulation does not have")
    return B


def record(found: Any, net: Any, kind: Any) -> None:
    """Require a record of a kind, of a simulation of this network.

    found: what the user gave. net: the network. kind: the class of its records.
    """
    if not isinstance(found, kind):
        raise PlasticError(f"record is a {type(found).__name__}; it must come from eprop.simulate(net, x)")
    if found.sizes != net.sizes or found.output.dtype != net.dtype:
        raise PlasticError(f"record is {found}, not of this network, {net}")


def shown(sequence: Array, sizes: tuple[int, ...]) -> str:
    """Return in words what a `sequence` (..., T, batch, n) of a network of these `sizes` is about."""
    T, batch, _ = sequence.shape[-3:]
    return f"{'-'.join(map(str, sizes))}, T {T}, batch {batch}{replicated(sequence.shape[:-3])}"


def replicated(leading: tuple[int, ...]) -> str:
    """Return ", 2 x 3 replicas" for the replica axes `leading` (2, 3), and nothing without."""
    return f", {' x '.join(map(str, leading))} replicas" if leading else ""
