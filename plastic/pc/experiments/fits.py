"""Fits of models to behaviour: the observed groups, closed-form least squares, and the choice of a configuration."""

import csv
import importlib.resources

import numpy as np

from plastic.errors import Diverged


def observed(name):
    """Return {group: values} of a table of this package, in its order: "coin", "fear" or "reversal".

    The head of each table says where it comes from.
    """
    text = (importlib.resources.files("plastic.pc.experiments") / "observed" / f"{name}.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(float(row["value"]))
    return {group: np.array(values) for group, values in groups.items()}


def scaled(model, data):
    """Return (k, SSE) of the least squares fit data ~ k model over the last axis, the groups.

    k = sum(model data) / sum(model^2). A model that is 0 in every group has k = 0.
    """
    square = np.sum(model * model, axis=-1)
    k = np.sum(model * data, axis=-1) / np.where(square == 0, 1, square)
    return k, np.sum((data - k[..., None] * model) ** 2, axis=-1)


def affine(model, data):
    """Return (k, b, SSE) of the least squares fit data ~ k model + b over the last axis, the groups.

    A model that is equal in every group has k = 0.
    """
    deviation = model - np.mean(model, axis=-1, keepdims=True)
    k, error = scaled(deviation, data - np.mean(data))
    return k, np.mean(data) - k * np.mean(model, axis=-1), error


def require_some(rule, finite):
    """Require a configuration of a rule that has led to finite numbers; raise Diverged where none has."""
    if not np.any(finite):
        raise Diverged(f"{rule.upper()} diverged in every configuration: try smaller rates, spreads or gamma")


def least(sse, spread, digits=9):
    """Return the index of the configuration with the least SSE; of equal ones, that whose seeds differ least.

    sse, spread: (configurations,); what is not finite is not chosen. digits: SSEs that agree in so many are equal.
    """
    sse = np.where(np.isfinite(sse), sse, np.inf)
    equal = np.isclose(sse, np.min(sse), rtol=10.0**-digits, atol=0)
    return int(np.argmin(np.where(equal, spread, np.inf)))


@np.errstate(all="ignore")  # of configurations that diverge
def mean(values, axis=0):
    """Return the mean over an axis, of those that are finite; NaN where none is."""
    finite = np.isfinite(values)
    return np.sum(np.where(finite, values, 0), axis=axis) / np.sum(finite, axis=axis)


@np.errstate(all="ignore")
def sem(values, axis=0):
    """Return the standard error of the mean over an axis, of those that are finite."""
    values = np.where(np.isfinite(values), values, np.nan)
    n = np.sum(np.isfinite(values), axis=axis)
    mean = np.nansum(values, axis=axis, keepdims=True) / np.maximum(np.expand_dims(n, axis), 1)
    return np.sqrt(np.nansum((values - mean) ** 2, axis=axis) / np.maximum(n - 1, 1) / np.maximum(n, 1))
