"""The two numerical verifications of the paper's code, on networks that are certain to be active.

factorization_vs_BPTT   eq. 1: sum of dE/dz^t e^t, with the total derivative, is the gradient of BPTT
hardcoded_vs_autodiff   e-prop by traces carried forward is e-prop by the sweep back in time
"""

from typing import Literal

import numpy as np

from plastic import runs, xp
from plastic.eprop import rules, signals, spiking
from plastic.eprop.spiking import Neurons, SpikingNetwork, decay
from plastic.errors import PlasticError
from plastic.runs.options import check_seeds

_TRIES = 1000
SETTINGS = {"factorization_vs_BPTT": (50, 2), "hardcoded_vs_autodiff": (10, 3)}  # steps and n_ref of the published ones


def differences(which, seed):
    """Return {"W_in": difference, "W_rec": difference}, relative to the largest entry of the second gradient.

    Inputs and weights are drawn anew until some neuron spikes, so that there is a gradient to compare.
    """
    T, n_ref = SETTINGS[which]
    generator = np.random.default_rng(seed)
    for _ in range(_TRIES):
        network, x, target = _draw(generator, T, n_ref)
        record = rules.simulate(network, x)
        _, err = signals.regression(record.output, target)  # published: twice this mean, and T times; both are linear
        if which == "factorization_vs_BPTT":
            total = spiking.ideal_learning_signals(network, record, err)
            first = spiking.factorised_gradients(network, record, total)
            second = rules.bptt_gradients(network, record, err)
        else:
            first = rules.online_gradients(network, record, err)
            second = rules.eprop_gradients(network, record, err)
        largest = {name: float(xp.asnumpy(xp.max(xp.abs(second[name])))) for name in first if name in ("W_in", "W_rec")}
        if 0.0 not in largest.values():
            return {
                name: float(xp.asnumpy(xp.max(xp.abs(first[name] - second[name])))) / size
                for name, size in largest.items()
            }
    raise AssertionError(f"no activity in {_TRIES} draws")


def _draw(generator, T, n_ref):
    """Return (network, x, target): 4 LIF and 4 ALIF neurons, 3 inputs of 100 Hz, one output."""
    n_in, n = 3, 8
    beta = np.repeat([0.0, 0.07], 4)[None]
    neurons = Neurons(decay(20), 0.62, decay(500), xp.asarray(beta), n_ref=n_ref)
    W_in, W_rec, W_out = (
        xp.asarray(generator.standard_normal(shape) * scale)
        for shape, scale in (((n_in, n), n_in**-0.5), ((n, n), n**-0.5), ((n, 1), 1.0))
    )
    kappa = decay(20)
    network = SpikingNetwork(W_in, W_rec, W_out, neurons, kappa, 1 - kappa)
    x, target = generator.random((T, 1, n_in)) < 0.1, generator.standard_normal((T, 1, 1))
    return network, xp.asarray(x), xp.asarray(target)


def verify(
    which: Literal["factorization_vs_BPTT", "hardcoded_vs_autodiff"],
    *,
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5),
    dtype: Literal["float32", "float64"] = "float64",
    tolerance: float | None = None,
    device: str | None = None,
    threads: int = 1,
):
    """Verify numerically that two ways to the same gradient agree; fail where one relative difference is too large.

    Args:
        which: factorization_vs_BPTT (learning signals with the total derivative, times eligibility traces, against
            BPTT), or hardcoded_vs_autodiff (e-prop online against e-prop by the sweep back in time).
        seeds: of networks and inputs; these are drawn until there are spikes.
        dtype: working precision.
        tolerance: the largest relative difference allowed; by default 1e-12, or 1e-4 in float32.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        threads: BLAS threads.
    """
    check_seeds({"seeds": seeds})
    limit = tolerance if tolerance is not None else 1e-12 if dtype == "float64" else 1e-4
    worst = []
    with runs.environment(device, dtype, threads):
        for seed in seeds:
            found = differences(which, seed)
            worst += found.values()
            shown = ", ".join(f"{name} {value:.1e}" for name, value in found.items())
            print(f"seed {seed}: relative differences {shown}")
    if not all(value <= limit for value in worst):  # a NaN is not within any limit
        raise PlasticError(f"{which}: relative differences up to {np.max(worst):.1e}, above the tolerance of {limit:g}")
    print(f"{which}: all within {limit:g}")
