"""The two numerical verifications of the paper's code, on networks that are certain to be active.

factorization_vs_BPTT   eq. 1: sum of dE/dz^t e^t, with the total derivative, is the gradient of BPTT
hardcoded_vs_autodiff   e-prop by traces carried forward is e-prop by the sweep back in time
"""

from typing import Literal

import numpy as np

from plastic import affine, require, runs, xp
from plastic.eprop import gradients, signals, spiking
from plastic.eprop.experiments import figures
from plastic.eprop.spiking import Neurons, SpikingNetwork, decay
from plastic.errors import PlasticError

_TRIES, _PARTS = 1000, ("W_in", "W_rec")
_Which = Literal["factorization_vs_BPTT", "hardcoded_vs_autodiff"]
SETTINGS = {"factorization_vs_BPTT": (50, 2), "hardcoded_vs_autodiff": (10, 3)}
"""Steps and n_ref of the published verifications."""


def _readable(*, which, seeds, **_):
    return f"{which or 'both'}-{seeds}"


@runs.experiment(
    "eprop", draw=figures.VERIFY, seed=None, seeds=(1, 2, 3, 4, 5), dtype="float64", resume=False, readable=_readable
)
def verify(run, which: _Which | None = None, *, tolerance: float | None = None):
    """Verify numerically that two ways to the same gradient agree; fail where one relative difference is too large.

    The run folder, results/eprop/verify-..., gets config.json, metrics.csv, with a row for each verification and seed,
    arrays.h5 and the published figures of the first seed: both gradients as maps, and spikes, learning signals and
    traces. Where a verification fails, nothing is written, and the exit code is 2. Networks and inputs of a seed are
    drawn until there are spikes.

    Args:
        which: factorization_vs_BPTT (learning signals with the total derivative, times eligibility traces, against
            BPTT), or hardcoded_vs_autodiff (e-prop online against e-prop by the sweep back in time); by default both.
        tolerance: the largest relative difference allowed; by default 1e-12, or 1e-4 in float32.
    """
    limit = tolerance if tolerance is not None else 1e-12 if xp.float_dtype == np.float64 else 1e-4
    require.number("tolerance", limit, least=0)
    run.fill(tolerance=limit)
    rows, lines = [], []
    for name in SETTINGS if which is None else (which,):
        found = {seed: differences(name, seed) for seed in run.seeds}
        _require_agreement(name, found, limit)
        rows += [{"seed": seed, "verification": name} | each for seed, each in found.items()]
        for seed, each in found.items():
            lines.append(f"seed {seed}: relative differences W_in {each['W_in']:.1e}, W_rec {each['W_rec']:.1e}")
        lines.append(f"{name}: all within {limit:g}")
    shown = [trial(name, run.seeds[0]) for name in (SETTINGS if which is None else (which,))]
    run.begin()
    run.log(rows)
    run.save_arrays({name: array for arrays in shown for name, array in arrays.items()})
    return lines


def differences(which, seed):
    """Return {"W_in": difference, "W_rec": difference} of the verification `which`, relative to the largest entry."""
    found = compared(*_active(which, seed)[1])
    return {name: difference / largest for name, (difference, largest) in found.items()}


def trial(which, seed):
    """Return what the figures show of `which`: {"WHICH/one/W_in", .., "two/W_rec", "x", "z", "L", "e"}."""
    (network, x, target), pair = _active(which, seed)
    record = gradients.simulate(network, x)
    _, err = signals.regression(record.output, target)
    total = which == "factorization_vs_BPTT"
    L = spiking.ideal_learning_signals(network, record, err) if total else err @ affine.transposed(network.W_out)
    e = [(each.e if total else each.ebar).reshape(-1).copy() for each in spiking.eligibility_traces(network, record)]
    found = {f"{way}/{name}": grads[name] for way, grads in zip(("one", "two"), pair, strict=True) for name in _PARTS}
    found |= {"x": x[:, 0], "z": record.z[:, 0], "L": L[:, 0], "e": xp.stack(e)}
    return {f"{which}/{name}": np.array(xp.asnumpy(array)) for name, array in found.items()}


def _active(which, seed):
    """Return ((network, x, target), the two gradients) of a verification.

    Inputs and weights are drawn anew, by the `seed`, until some neuron spikes, so that there is a gradient to compare.
    """
    generator = np.random.default_rng(seed)
    for _ in range(_TRIES):
        drawn = _draw(generator, *SETTINGS[which])
        pair = _gradients(which, *drawn)
        if all(largest != 0 for _, largest in compared(*pair).values()):
            return drawn, pair
    raise AssertionError(f"no activity in {_TRIES} draws")


def compared(first, second):
    """Return {"W_in", "W_rec": (the largest difference of two gradients, the largest entry of the second)}."""

    def largest(array):
        return float(xp.asnumpy(xp.max(xp.abs(array))))

    return {name: (largest(first[name] - second[name]), largest(second[name])) for name in _PARTS}


def _gradients(which, network, x, target):
    """Return the two gradients that are to agree."""
    record = gradients.simulate(network, x)
    _, err = signals.regression(record.output, target)  # published: twice this mean, and T times; both are linear
    if which == "hardcoded_vs_autodiff":
        return gradients.online_gradients(network, record, err), gradients.eprop_gradients(network, record, err)
    total = spiking.ideal_learning_signals(network, record, err)
    return spiking.factorised_gradients(network, record, total), gradients.bptt_gradients(network, record, err)


def _draw(generator, T, n_ref):
    """Return (network, x, target): 4 LIF and 4 ALIF neurons, 3 inputs of 100 Hz, one output."""
    n_in, n, alpha = 3, 8, decay(20)
    beta = np.repeat([0.0, 0.07], 4)[None]
    neurons = Neurons(alpha, 0.62, decay(500), xp.asarray(beta), n_ref=n_ref)
    W_in, W_rec, W_out = (
        xp.asarray(generator.standard_normal(shape) * scale)
        for shape, scale in (((n_in, n), n_in**-0.5), ((n, n), n**-0.5), ((n, 1), 1.0))
    )
    network = SpikingNetwork(W_in, W_rec, W_out, neurons, kappa=alpha, g_out=1 - alpha)
    x, target = generator.random((T, 1, n_in)) < 0.1, generator.standard_normal((T, 1, 1))
    return network, xp.asarray(x), xp.asarray(target)


def _require_agreement(which, found, limit):
    """Raise PlasticError where one of the differences, {seed: {name: difference}}, is not within the limit."""
    places = {f"{name}, seed {seed}": value for seed, each in found.items() for name, value in each.items()}
    worst = max(places, key=lambda place: (np.isnan(places[place]), places[place]))
    if not places[worst] <= limit:  # a NaN is not within any limit
        raise PlasticError(
            f"{which}: relative differences up to {places[worst]:.1e} ({worst}), above the tolerance of {limit:g}"
        )
