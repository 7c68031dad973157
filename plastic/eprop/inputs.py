"""Stimuli of Bellec, Scherr et al. 2020: pattern generation (Fig. S7), evidence accumulation (Fig. 3), store-recall.

Draws are made on the host, by the `numpy.random.Generator` given, and return host arrays: `xp.asarray` takes them to
the device and to the working precision. Spikes x are booleans (T, batch, n_in), one step per millisecond, at most one
spike per neuron and step, independent of each other. Rates are in Hz: a rate r is the probability r / 1000 per step.
Lengths are in steps, that is in ms.

    pattern        one frozen input, and the sum of four sinusoids to be traced
    evidence       cues on the left or right, a long delay, then the question on which side there were more
    store_recall   one bit to store, a delay, then the question what it was
    stacked        the trials of several replicas as one

The two tasks of one decision per trial share their input code: n_in neurons in four populations of n_in / 4.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import require
from plastic.errors import PlasticError

_HZ = 1e-3  # spikes per step
_PERIODS = 1000, 500, 333, 200  # ms, of the four sinusoids of a target
_P_LEFT = 0.3, 0.7  # probability that a cue is on the left, in one half of the trials and in the other


@dataclasses.dataclass(frozen=True, repr=False)
class Stimuli:
    """A batch of trials that each ask for one decision; with several seeds every array has the replica axis first.

    Attributes:
        x: input spikes, booleans (T, batch, n_in).
        cues: what each cue showed, 0 (left, in the evidence task) or 1 (right), (batch, n_cues).
        labels: the right decision, 0 or 1, (batch,).
        recall_length: the decision is asked for in this many last steps.
    """

    x: np.ndarray
    cues: np.ndarray
    labels: np.ndarray
    recall_length: int

    def __repr__(self) -> str:
        T, batch, n_in = self.x.shape[-3:]
        replicas = "".join(f"{length} x " for length in self.x.shape[:-3])
        return f"Stimuli of {replicas}{batch} trials, {T} ms, the last {self.recall_length} for recall, {n_in} inputs"


def pattern(
    generator: np.random.Generator,
    T: int = 1000,
    batch: int = 1,
    n_in: int = 100,
    n_out: int = 1,
    rate: float = 50.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the input spikes and the target of pattern generation (Fig. S7), drawn once and kept.

    Every row of the batch has an input of its own, and all rows the same target,

        y*(t) = sum_q A_q sin(phi_q + 2 pi c_q t / (T - 1)),   A_q ~ U(0.5, 2),   phi_q ~ U(0, 2 pi),

    less its first sample, divided by its largest absolute value. The c_q = T // period_q are whole numbers of cycles
    for the periods of 1000, 500, 333 and 200 ms, so a target of T < 200 is 0 throughout.

    Args:
        generator: a `numpy.random.Generator`.
        T: number of steps.
        batch: rows of the batch.
        n_in: input neurons.
        n_out: outputs.
        rate: of all input neurons in Hz, from 0 to 1000.

    Returns:
        (x, y*): booleans (T, batch, n_in) and float64 numbers (T, batch, n_out), on the host.

    Raises:
        PlasticError: if a size is not positive or the rate is not in [0, 1000] Hz.

    Source: the published code's tutorial of pattern generation.

    Example:
        >>> x, target = pattern(np.random.default_rng(1), T=1000)
        >>> x.shape, target.shape, float(abs(target).max())
        ((1000, 1, 100), (1000, 1, 1), 1.0)
    """
    _check_generator(generator)
    require.counts(T=T, batch=batch, n_in=n_in, n_out=n_out)
    _check_rates(rate=rate)
    x = np.zeros((T, batch, n_in), bool)
    x[_spikes(generator, x.shape, rate)] = True
    target = np.stack([_target(generator, T) for _ in range(n_out)], axis=-1)
    return x, np.repeat(target[:, None, :], batch, axis=1)


def _target(generator: np.random.Generator, T: int) -> np.ndarray:
    A = generator.uniform(0.5, 2, len(_PERIODS))
    phi = generator.uniform(0, 2 * np.pi, len(_PERIODS))
    cycles = np.array([T // period for period in _PERIODS])
    y = (A * np.sin(np.linspace(phi, phi + 2 * np.pi * cycles, T))).sum(axis=-1)
    y -= y[0]
    return y / max(np.abs(y).max(), 1e-6)


def evidence(
    generator: np.random.Generator,
    batch: int = 64,
    n_in: int = 40,
    n_cues: int = 7,
    cue_length: int = 100,
    cue_spacing: int = 150,
    delay: int = 1050,
    recall_length: int = 150,
    f0: float = 40.0,
    noise: float | None = None,
) -> Stimuli:
    """Return `Stimuli` of the evidence accumulation task (Fig. 3), T = n_cues cue_spacing + delay + recall_length.

    population  silent, but for
    left        cues with c_k = 0, at f0: the last cue_length steps of the k-th slot of cue_spacing steps
    right       cues with c_k = 1, likewise
    recall      the last recall_length steps, at f0
    noise       fires throughout at `noise`, f0 / 4 unless given

    In each trial the probability that a cue is on the left is 0.3 or 0.7, with equal chance; its cues are independent.
    The label is the side that had more. The defaults are the published 2250 ms, the first cue at t = 50.

    Args:
        generator: a `numpy.random.Generator`.
        batch: number of trials.
        n_in: input neurons, a multiple of 4.
        n_cues: cues of a trial, an odd number.
        cue_length: length of a cue in ms.
        cue_spacing: from one cue to the next in ms.
        delay: from the last cue to the recall in ms.
        recall_length: length of the recall in ms.
        f0: rate of active neurons in Hz, from 0 to 1000.
        noise: rate of the noise in Hz, from 0 to 1000.

    Returns:
        `Stimuli`, on the host.

    Raises:
        PlasticError: if the cues do not fit the time, n_in is no multiple of 4, n_cues is even (a draw would be
            possible), a size or length is not positive, or a rate is not in [0, 1000] Hz.

    Source: Bellec, Scherr et al. 2020, Fig. 3, and the published code's tutorial of it.

    Example:
        >>> evidence(np.random.default_rng(1), batch=2)
        Stimuli of 2 trials, 2250 ms, the last 150 for recall, 40 inputs
    """
    _check_generator(generator)
    _check_rates(f0=f0)
    noise = f0 / 4 if noise is None else noise
    _check_trial(batch, n_in, delay, recall_length, noise=noise)
    require.counts(n_cues=n_cues, cue_length=cue_length, cue_spacing=cue_spacing)
    if n_cues % 2 == 0:
        raise PlasticError(f"n_cues is {n_cues}, which is even, so that a trial may have no answer; take an odd number")
    if cue_length > cue_spacing:
        raise PlasticError(f"cue_length is {cue_length}, which does not fit into cue_spacing, {cue_spacing}")

    p_left = generator.choice(_P_LEFT, size=(batch, 1))
    cues = (generator.random((batch, n_cues)) >= p_left).astype(np.int64)

    n = n_in // 4
    T = n_cues * cue_spacing + delay + recall_length
    x = np.zeros((T, batch, 4, n), bool)
    k, t, b, j = _spikes(generator, (n_cues, cue_length, batch, n), f0)
    x[(k + 1) * cue_spacing - cue_length + t, b, cues[b, k], j] = True
    t, b, j = _spikes(generator, (recall_length, batch, n), f0)
    x[T - recall_length + t, b, 2, j] = True
    t, b, j = _spikes(generator, (T, batch, n), noise)
    x[t, b, 3, j] = True
    labels = (cues.sum(axis=1) > n_cues // 2).astype(np.int64)
    return Stimuli(x.reshape(T, batch, n_in), cues, labels, recall_length)


def store_recall(
    generator: np.random.Generator,
    batch: int = 64,
    n_in: int = 40,
    cue_length: int = 100,
    delay: int = 1000,
    recall_length: int = 100,
    f0: float = 50.0,
    noise: float = 10.0,
) -> Stimuli:
    """Return `Stimuli` of the store-recall task, T = cue_length + delay + recall_length: remember one bit.

    population  fires at f0 in
    zero        the first cue_length steps of trials whose value is 0
    one         the first cue_length steps of trials whose value is 1
    store       the first cue_length steps: what is shown now is to be stored
    recall      the last recall_length steps: what was stored is to be reported

    and every neuron at `noise` the rest of the time. Values are 0 or 1 with equal chance; the label is the value, and
    so is the one entry of a trial's cues. This is the working-memory task that is common for LSNNs (Bellec et al.
    2018), with one value per trial.

    Args:
        generator: a `numpy.random.Generator`.
        batch: number of trials.
        n_in: input neurons, a multiple of 4.
        cue_length: length of the cue in ms.
        delay: from the cue to the recall in ms; it may be 0.
        recall_length: length of the recall in ms.
        f0: rate of active neurons in Hz, from 0 to 1000.
        noise: rate of the others in Hz, from 0 to 1000.

    Returns:
        `Stimuli`, on the host.

    Raises:
        PlasticError: if n_in is no multiple of 4, a size or length is not positive, or a rate is not in [0, 1000] Hz.

    Source: Bellec et al. 2018.

    Example:
        >>> store_recall(np.random.default_rng(1), batch=2)
        Stimuli of 2 trials, 1200 ms, the last 100 for recall, 40 inputs
    """
    _check_generator(generator)
    _check_trial(batch, n_in, delay, recall_length, f0=f0, noise=noise)
    require.counts(cue_length=cue_length)
    values = generator.integers(2, size=batch)

    n = n_in // 4
    T = cue_length + delay + recall_length
    x = np.zeros((T, batch, 4, n), bool)
    x[_spikes(generator, x.shape, noise)] = True
    trial = np.arange(batch)
    x[:cue_length, trial, values] = False
    x[:cue_length, :, 2] = False
    x[T - recall_length :, :, 3] = False
    t, b, j = _spikes(generator, (cue_length, batch, n), f0)
    x[t, b, values[b], j] = True
    t, b, j = _spikes(generator, (cue_length, batch, n), f0)
    x[t, b, 2, j] = True
    t, b, j = _spikes(generator, (recall_length, batch, n), f0)
    x[T - recall_length + t, b, 3, j] = True
    return Stimuli(x.reshape(T, batch, n_in), values[:, None], values, recall_length)


def stacked(stimuli: Sequence[Stimuli]) -> Stimuli:
    """Return the `Stimuli` of several replicas as one, with the replica axis first.

    Args:
        stimuli: those of each replica, of the same sizes.

    Returns:
        `Stimuli` with x (R, T, batch, n_in), on the host.

    Raises:
        PlasticError: if there are none, or they differ in their sizes.

    Example:
        >>> stacked([store_recall(np.random.default_rng(seed), batch=2) for seed in (1, 2, 3)])
        Stimuli of 3 x 2 trials, 1200 ms, the last 100 for recall, 40 inputs
    """
    found = list(stimuli)
    if len({(each.x.shape, each.cues.shape, each.recall_length) for each in found}) != 1:
        raise PlasticError(f"stimuli are {', '.join(map(repr, found)) or 'none'}; they must be alike")
    arrays = {name: np.stack([getattr(each, name) for each in found]) for name in ("x", "cues", "labels")}
    return Stimuli(**arrays, recall_length=found[0].recall_length)


def _spikes(generator: np.random.Generator, shape: tuple[int, ...], rate: float) -> tuple[np.ndarray, ...]:
    """Return the places of independent spikes at a rate in an array of a shape, as a tuple of index arrays.

    Spikes are rare, so it is their gaps that are drawn: the distance from one spike of a Bernoulli process to the next
    is geometric. What has to be drawn is one number per spike instead of one per neuron and step.
    """
    size, p = math.prod(shape), rate * _HZ
    parts, last = [np.empty(0, np.int64)], -1
    while p > 0 and last < size - 1:
        expected = int((size - last) * p) + 1
        parts.append(last + np.cumsum(generator.geometric(p, expected)))
        last = parts[-1][-1]
    places = np.concatenate(parts)
    return np.unravel_index(places[places < size], shape)


def _check_generator(generator: Any) -> None:
    if not isinstance(generator, np.random.Generator):
        raise PlasticError(f"generator is {generator!r}; it must be numpy.random.default_rng(seed), or one like it")


def _check_trial(batch: Any, n_in: Any, delay: Any, recall_length: Any, **rates: Any) -> None:
    require.counts(batch=batch, n_in=n_in, recall_length=recall_length)
    if n_in % 4:
        raise PlasticError(f"n_in is {n_in}, which does not divide into four populations; take a multiple of 4")
    require.whole("delay", delay, 0)
    _check_rates(**rates)


def _check_rates(**rates: Any) -> None:
    for name, rate in rates.items():
        require.scalar(name, rate, least=0, most=1000)
