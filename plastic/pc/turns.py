"""Replicas of large networks, one after another: arrays of all of them would leave the cache."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.pc.networks import Network, require_batch
from plastic.pc.states import require_rate
from plastic.types import Array, Tree

_LARGE = 1 << 15  # units times samples, from which on it pays: 6 to 20 %; with fewer, replicas share what a call costs


def pay(net: Any, x: Any) -> bool:
    """Return whether the replicas of a network, if it has any, had better take turns on a batch."""
    if not isinstance(net, Network) or net.replicas == () or net.order() != "T" or getattr(x, "ndim", 0) < 2:
        return False
    return x.shape[-2] * sum(net.sizes[1:]) >= _LARGE


def take(
    rule: Callable[..., tuple[Tree, Array]], net: Network, x: Array, y: Array, out: Tree, gamma: Any, **constants: Any
) -> tuple[Tree, Array]:
    """Return (grads, output) of a rule (net, x, y, *, gamma, out, ..) for all replicas; see `plastic.pc.pc`."""
    require_batch(net, x, y)
    require_rate(gamma, net)
    x, y = (xp.broadcast_to(each, (*net.replicas, *each.shape[-2:])) for each in (x, y))
    rates = np.broadcast_to(gamma, (*net.replicas, 1, 1))
    grads = parameters.zeros_like(net.parameters) if out is None else out
    output = xp.empty((*net.replicas, x.shape[-2], net.sizes[-1]), dtype=x.dtype)
    for replica in np.ndindex(net.replicas):
        layers, room = (parameters.map(lambda leaf, at=replica: leaf[at], tree) for tree in (net.layers, grads))
        one = dataclasses.replace(net, layers=layers)
        rate = rates[replica].item()
        _, output[replica] = rule(one, x[replica], y[replica], gamma=rate, out=room, **constants)
    return grads, output
