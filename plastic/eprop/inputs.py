"""Stimuli of Bellec, Scherr et al. 2020: pattern generation (Fig. S7), evidence accumulation (Fig. 3), store-recall.

Draws are made on the host, by the `numpy.random.Generator` given, and return host arrays. Spikes x are booleans
(T, batch, n_in), time first, one step per millisecond, at most one spike per neuron and step, independent of each
other. Rates are in Hz: a rate r is the probability r / 1000 per step. Lengths are in steps, that is in ms.

    pattern        one frozen input, and the sum of four sinusoids to be traced
    evidence       cues on the left or right, a long delay, then the question on which side there were more
    store_recall   one bit to store, a delay, then the question what it was
    Trials         a fresh batch of either at every step of training, as `plastic.training.fit` takes it

The two tasks of one decision per trial share their input code: n_in neurons in four populations of n_in / 4.
"""

import dataclasses
import math

import numpy as np

from plastic.errors import PlasticError

_HZ = 1e-3  # spikes per step
_PERIODS = 1000, 500, 333, 200  # ms, of the four sinusoids of a target
_P_LEFT = 0.3, 0.7  # probability that a cue is on the left, in one half of the trials and in the other


@dataclasses.dataclass(frozen=True)
class Stimuli:
    """A batch of trials that each ask for one decision; with several seeds every array has the replica axis first.

    x (T, batch, n_in): the input spikes, booleans
    cues (batch, n_cues): what each cue showed, 0 (left, in the evidence task) or 1 (right)
    labels (batch,): the right decision, 0 or 1
    recall_length: the decision is asked for in this many last steps
    """

    x: np.ndarray
    cues: np.ndarray
    labels: np.ndarray
    recall_length: int


def pattern(generator, T=1000, batch=1, n_in=100, n_out=1, rate=50.0):
    """Return the input spikes (T, batch, n_in) and the target (T, 1, n_out) of pattern generation (Fig. S7).

    Every row of the batch has an input of its own, every neuron fires at `rate`, and the target is shared by all rows:

        y*(t) = sum_q A_q sin(phi_q + 2 pi c_q t / (T - 1)),   A_q ~ U(0.5, 2),   phi_q ~ U(0, 2 pi),

    less its first sample, divided by its largest absolute value. The c_q = T // period_q are whole numbers of cycles
    for the periods of 1000, 500, 333 and 200 ms, so a target of T < 200 is 0 throughout. Both are drawn once and kept.
    Raises PlasticError where a size is not positive or the rate is not in [0, 1000] Hz.
    """
    _check_positive(T=T, batch=batch, n_in=n_in, n_out=n_out)
    _check_rates(rate=rate)
    x = np.zeros((T, batch, n_in), bool)
    x[_spikes(generator, x.shape, rate)] = True
    return x, np.stack([_target(generator, T) for _ in range(n_out)], axis=-1)[:, None, :]


def _target(generator, T):
    A = generator.uniform(0.5, 2, len(_PERIODS))
    phi = generator.uniform(0, 2 * np.pi, len(_PERIODS))
    cycles = np.array([T // period for period in _PERIODS])
    y = (A * np.sin(np.linspace(phi, phi + 2 * np.pi * cycles, T))).sum(axis=-1)
    y -= y[0]
    return y / max(np.abs(y).max(), 1e-6)


def evidence(
    generator,
    batch=64,
    n_in=40,
    n_cues=7,
    cue_length=100,
    cue_spacing=150,
    delay=1050,
    recall_length=150,
    f0=40.0,
    noise=None,
):
    """Return `Stimuli` of the evidence accumulation task (Fig. 3), T = n_cues cue_spacing + delay + recall_length.

    population  silent, but for
    left        cues with c_k = 0, at f0: the last cue_length steps of the k-th slot of cue_spacing steps
    right       cues with c_k = 1, likewise
    recall      the last recall_length steps, at f0
    noise       fires throughout at `noise`, f0 / 4 unless given

    In each trial the probability that a cue is on the left is 0.3 or 0.7, with equal chance; its cues are independent.
    The label is the side that had more. The defaults are the published 2250 ms, the first cue at t = 50.
    Raises PlasticError where the cues do not fit the time, n_in is no multiple of 4, n_cues is even (a draw would be
    possible), a size or length is not positive, or a rate is not in [0, 1000] Hz.
    """
    noise = f0 / 4 if noise is None else noise
    _check_trial(batch, n_in, delay, recall_length, f0=f0, noise=noise)
    _check_positive(n_cues=n_cues, cue_length=cue_length, cue_spacing=cue_spacing)
    if n_cues % 2 == 0:
        raise PlasticError(f"n_cues={n_cues} is even, so that a trial may have no answer; take an odd number")
    if cue_length > cue_spacing:
        raise PlasticError(f"more cues than time: cue_length={cue_length} does not fit in cue_spacing={cue_spacing}")

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


def store_recall(generator, batch=64, n_in=40, cue_length=100, delay=1000, recall_length=100, f0=50.0, noise=10.0):
    """Return `Stimuli` of the store-recall task, T = cue_length + delay + recall_length: remember one bit.

    population  fires at f0 in
    zero        the first cue_length steps of trials whose value is 0
    one         the first cue_length steps of trials whose value is 1
    store       the first cue_length steps: what is shown now is to be stored
    recall      the last recall_length steps: what was stored is to be reported

    and every neuron at `noise` the rest of the time. Values are 0 or 1 with equal chance; the label is the value, and
    so is the one entry of a trial's cues. This is the working-memory task that is common for LSNNs (Bellec et al.
    2018), with one value per trial.
    Raises PlasticError where n_in is no multiple of 4, a size or length is not positive (the delay may be 0), or a
    rate is not in [0, 1000] Hz.
    """
    _check_trial(batch, n_in, delay, recall_length, f0=f0, noise=noise)
    _check_positive(cue_length=cue_length)
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


class Trials:
    """A source for `plastic.training.fit`: every `next` draws a fresh batch of trials.

    draw: draw(generator) gives `Stimuli`, for instance `functools.partial(evidence, batch=32)`. generators: one per
    seed. With several seeds every array has the replica axis first, x (R, T, batch, n_in), and each replica is what
    its generator would have drawn alone. per_epoch: the number of batches that count as an epoch.
    """

    def __init__(self, draw, generators, per_epoch=1):
        self.draw, self.generators, self.per_epoch = draw, list(generators), per_epoch

    def next(self):
        """Return the next batch, as `Stimuli`."""
        drawn = [self.draw(generator) for generator in self.generators]
        if len(drawn) == 1:
            return drawn[0]
        arrays = {name: np.stack([getattr(each, name) for each in drawn]) for name in ("x", "cues", "labels")}
        return Stimuli(**arrays, recall_length=drawn[0].recall_length)

    def state(self):
        """Return the states of the generators, before the next batch."""
        return {"generators": [generator.bit_generator.state for generator in self.generators]}

    def restore(self, state):
        """Go back to where `state` was taken."""
        for generator, bits in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = bits


def _spikes(generator, shape, rate):
    """Return the places of independent spikes at a rate in an array of a shape, as a tuple of index arrays.

    Spikes are rare, so it is their gaps that are drawn: the distance from one spike of a Bernoulli process to the next
    is geometric. What has to be drawn is one number per spike instead of one per neuron and step.
    """
    size, p = math.prod(shape), rate * _HZ
    places, last = [np.empty(0, np.int64)], -1
    while p > 0 and last < size - 1:
        expected = int((size - last) * p) + 1
        places.append(last + np.cumsum(generator.geometric(p, expected)))
        last = places[-1][-1]
    places = np.concatenate(places)
    return np.unravel_index(places[places < size], shape)


def _check_trial(batch, n_in, delay, recall_length, **rates):
    _check_positive(batch=batch, n_in=n_in, recall_length=recall_length)
    if n_in % 4:
        raise PlasticError(f"n_in={n_in} does not divide into four populations; take a multiple of 4")
    if delay < 0:
        raise PlasticError(f"more cues than time: delay={delay} between the last cue and the recall is negative")
    _check_rates(**rates)


def _check_positive(**sizes):
    for name, value in sizes.items():
        if value < 1:
            raise PlasticError(f"{name}={value} is not possible; it must be at least 1")


def _check_rates(**rates):
    for name, rate in rates.items():
        if not 0 <= rate <= 1000:
            raise PlasticError(
                f"{name}={rate} Hz is not in [0, 1000] Hz: with steps of 1 ms a neuron cannot fire faster"
            )
