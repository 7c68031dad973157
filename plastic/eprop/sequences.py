"""What networks that send numbers share over sequences: maps over all steps, and products over batch and time."""

from plastic import affine, xp
from plastic.parameters import Affine
from plastic.types import Array


def affine_map(sequence: Array, layer: Affine) -> Array:
    """Return y = x W + b of a `sequence` x (..., T, batch, n) by a `layer`, in one product over batch and time."""
    y = affine.rows(sequence) @ layer.W
    if layer.b is not None:
        y += layer.b
    return y.reshape(*y.shape[:-2], *sequence.shape[-3:-1], y.shape[-1])


def before(states: Array, start: Array) -> Array:
    """Return the states (..., T, batch, n) before each step, the first of them `start` (..., batch, n)."""
    return xp.concatenate([start[..., None, :, :], states[..., :-1, :, :]], axis=-3)


def learning_signals(err: Array, B: Array) -> Array:
    """Return the learning signals L = err B^T (..., T, batch, n) of err (..., T, batch, n_out), B (..., n, n_out)."""
    return affine_map(err, Affine(affine.transposed(B)))


def product(pre: Array, post: Array) -> Array:
    """Return pre^T post summed over batch and time, (..., n, m).

    pre: (..., T, batch, n). post: (..., T, batch, m).
    """
    return affine.weight_gradient(affine.rows(pre), affine.rows(post))


def gradient_of_map(sequence: Array, layer: Affine, err: Array) -> Affine:
    """Return the gradient of the `layer` of `affine_map`, from err = dE/dy (..., T, batch, m)."""
    return Affine(product(sequence, err), None if layer.b is None else affine.bias_gradient(affine.rows(err)))
