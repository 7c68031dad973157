"""What a neuron does to the time course of its input: it lags behind, follows, or looks ahead."""

import itertools
import math

import numpy as np

from plastic import require, runs, xp
from plastic.errors import PlasticError
from plastic.gle import dynamics
from plastic.gle.experiments import neuron_figures
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.gle.transfer import transfer
from plastic.parameters import Affine

_FREQUENCIES = np.geomspace(0.1, 10, 13)  # omega tau_m
_BEFORE, _PULSE, _AFTER = 2, 5, 8  # tau_m before, in and after the pulse
_SETTLED = 30  # tau_m until what has been is forgotten, to 1e-13
_STEPS = 20  # the fewest in a time constant tau_m: a dozen in the fastest sine


@runs.experiment(
    "gle",
    draw={"neuron": neuron_figures.neuron},
    readable="",
    seed=None,
    seeds=False,
    dtype="float64",
    resume=False,
)
def neuron(
    run,
    *,
    tau_m: float = 1.0,
    tau_r: tuple[float, ...] = (0.1, 1.0, 2.0),
    dt: float = 0.01,
):
    """Show how a neuron answers a pulse and sines, and how a second one undoes what the first has done.

    tau_m du/dt = I - u,  r = u + tau_r du/dt: a linear neuron multiplies a sine of angular frequency w by

        H(w) = (1 + i w tau_r) / (1 + i w tau_m),

    so its rate lags behind the input where tau_r < tau_m (retrospective), follows it at once where they are equal, and
    is ahead of it where tau_r > tau_m (prospective). A neuron whose time constants are the other way round multiplies
    by 1 / H, and gives back what the first was given, a step of dt later. From these equations of Ellenberger et al.
    2024; the panels are our own. Nothing learns, nothing is random. The run folder, results/gle/neuron-..., gets
    config.json, metrics.csv (a row per tau_r and frequency: gain and phase, ahead where it is positive, simulated and
    by H), arrays.h5 and a figure.

    Args:
        tau_m: time constant of the membrane.
        tau_r: time constants by which the rates of some neurons look ahead; the first is undone by another neuron.
        dt: Euler step, at most a twentieth of tau_m, and no longer than any tau_r.
    """
    require.number("tau_m", tau_m, above=0)
    require.number("dt", dt, above=0)
    if dt > tau_m / _STEPS:
        raise PlasticError(f"dt is {dt:g}; it must be at most tau_m / {_STEPS}, {tau_m / _STEPS:g}")
    if not tau_r or min(tau_r) < dt or len(set(tau_r)) < len(tau_r) or not all(map(math.isfinite, tau_r)):
        raise PlasticError(f"tau_r is {tau_r}; it takes different time constants of at least dt={dt:g}")
    steps = (_SETTLED + 2 * math.pi / float(_FREQUENCIES.min())) * tau_m / dt
    run.expect(steps * len(_FREQUENCIES) * (1 + len(tau_r)), tau_m=tau_m)
    pulse, sines, periods = _inputs(tau_m, dt)
    run.begin()
    responding = _linear([len(tau_r)], [[tau_m] * len(tau_r)], [list(tau_r)], dt)
    undoing = _linear([1, 1], [tau_m, tau_r[0]], [tau_r[0], tau_m], dt)
    answers = _rates(responding, sines)
    omega = 2 * np.pi / (periods * dt)
    found = _transferred(sines, answers, periods)
    expected = transfer(omega[:, None], tau_m, np.array(tau_r))
    run.log(_rows(tau_r, omega, found, expected))
    middle = len(periods) // 2
    shown = slice(-2 * periods[middle], None)
    shapes = {"pulse": pulse, "sine": sines[:, middle : middle + 1]}
    arrays = {"pulse/neurons": _rates(responding, pulse)[:, 0], "sine/neurons": answers[shown, middle]}
    for name, x in shapes.items():
        part = shown if name == "sine" else slice(None)
        chain = _rates(undoing, x, every=True)[:, 0]
        arrays |= {f"{name}/input": x[part, 0], f"{name}/chain": chain[part]}
    arrays |= {"omega": omega, "transfer/real": found.real, "transfer/imaginary": found.imag}
    run.save_arrays(arrays)
    error = np.abs(arrays["pulse/chain"][1:, 1] - pulse[:-1, 0]).max()
    undone = f"a second neuron undoes tau_r {tau_r[0]:g} and gives back the pulse a step later, within {error:.1g}"
    return [*_lines(tau_m, tau_r, omega, found, expected), undone]


def _inputs(tau_m, dt):
    """Return a pulse (T, 1), sines (T', frequencies), and their periods (frequencies,) in steps."""
    steps = [round(count * tau_m / dt) for count in (_BEFORE, _PULSE, _AFTER)]
    pulse = np.repeat([0.0, 1.0, 0.0], steps)[:, None]
    periods = np.round(2 * np.pi / _FREQUENCIES * tau_m / dt).astype(int)
    time = np.arange(round(_SETTLED * tau_m / dt) + periods.max())
    return pulse, np.sin(2 * np.pi * time[:, None] / periods), periods


def _linear(widths, tau_m, tau_r, dt):
    """Return a network of linear neurons with one input and weights of 1."""
    sizes = [1, *widths]
    layers = [Affine(np.ones(shape)) for shape in itertools.pairwise(sizes)]
    return Network.from_layers(layers, "linear", tau_m, tau_r, dt)


def _rates(net, x, every=False):
    """Return the rates (T, batch, n) of the last layer, or of `every` neuron, for the input x (T, batch)."""
    state, found, x = State(net, x.shape[1]), [], xp.asarray(x, dtype=xp.float_dtype)[..., None]
    for t in range(len(x)):
        dynamics.advance(net, state, x[t])
        found.append((state.r if every else state.output).copy())
    return xp.asnumpy(xp.stack(found))


def _transferred(x, r, periods):
    """Return what the neurons multiply the sines by, complex (frequencies, neurons), over the last whole period."""
    found = []
    for k, period in enumerate(periods):
        wave = np.exp(-2j * np.pi * np.arange(len(x) - period, len(x)) / period)
        found.append(wave @ r[-period:, k] / (wave @ x[-period:, k]))
    return np.array(found)


def _rows(tau_r, omega, found, expected):
    """Return the rows of metrics.csv."""
    rows = []
    for k, ahead in enumerate(tau_r):
        for w, simulated, exact in zip(omega, found[:, k], expected[:, k], strict=True):
            gains = {"gain": abs(simulated), "phase": np.angle(simulated)}
            rows.append({"tau_r": ahead, "omega": w} | gains | {"gain_H": abs(exact), "phase_H": np.angle(exact)})
    return rows


def _lines(tau_m, tau_r, omega, found, expected):
    middle, lines = len(omega) // 2, []
    for k, ahead in enumerate(tau_r):
        kind = "lags behind" if ahead < tau_m else "is ahead of" if ahead > tau_m else "follows"
        one, exact = found[middle, k], expected[middle, k]
        told = f"gain {abs(one):.3f} (H: {abs(exact):.3f}), phase {np.angle(one):+.3f} ({np.angle(exact):+.3f}) rad"
        lines.append(f"tau_r {ahead:g}, which {kind} its input: at omega {omega[middle]:.3g} {told}")
    return lines
