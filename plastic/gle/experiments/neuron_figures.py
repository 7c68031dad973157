"""The figure of the neurons that lag, follow and look ahead, drawn from the files of its runs."""

import numpy as np

from plastic import plotting
from plastic.gle.experiments.figures import OMEGA, TIME
from plastic.gle.transfer import transfer


def neuron(runs):
    """What neurons make of a pulse and a sine; gain and phase over frequency; a chain that gives back its input."""
    fig, axes = plotting.figure(3, 2 * len(runs), width=4.6, height=2.6, squeeze=False)
    for place, run in enumerate(runs):
        _of_one(axes[:, 2 * place : 2 * place + 2], run)
    return fig


def _of_one(axes, run):
    arrays = plotting.arrays_of(run)
    tau_m, tau_r, dt = (run.option(name) for name in ("tau_m", "tau_r", "dt"))
    for column, (name, title) in enumerate({"pulse": "a pulse", "sine": "a sine"}.items()):
        above, below = axes[0, column], axes[2, column]
        x, rates, chain = (arrays[f"{name}/{part}"] for part in ("input", "neurons", "chain"))
        time = np.arange(len(x)) * dt
        above.set(title=f"rates of neurons in answer to {title}", xlabel=TIME, ylabel="rate")
        below.set(title=f"a second neuron undoes the first: {title}", xlabel=TIME, ylabel="rate")
        for axis in (above, below):
            axis.plot(time, x, color="0.6", linewidth=3, label="input")
        for k, value in enumerate(tau_r):
            above.plot(time, rates[:, k], label=_label(tau_m, value), **plotting.look(k))
        for k, label in enumerate((f"first: {_label(tau_m, tau_r[0])}", f"second: {_label(tau_r[0], tau_m)}")):
            below.plot(time, chain[:, k], label=label, **plotting.look(4 * k))
        if name == "pulse":  # the sines have the same
            plotting.legend(above)
            plotting.legend(below)
    _transfer(axes[1], arrays, tau_m, tau_r)


def _label(tau_m, tau_r):
    return rf"$\tau_m$ {tau_m:g}, $\tau_r$ {tau_r:g}"


def _transfer(axes, arrays, tau_m, tau_r):
    """Draw gain and phase over frequency: markers as simulated, lines by H."""
    omega, found = arrays["omega"], arrays["transfer/real"] + 1j * arrays["transfer/imaginary"]
    fine = np.geomspace(omega.min(), omega.max(), 200)
    for k, value in enumerate(tau_r):
        look = plotting.look(k)
        exact = transfer(fine, tau_m, value)
        for axis, of in zip(axes, (np.abs, np.angle), strict=True):
            axis.plot(fine, of(exact), **look)
            axis.plot(omega, of(found[:, k]), "o", color=look["color"], markersize=4)
    axes[0].set(title="gain", ylabel=r"$|H|$")
    axes[1].set(title="phase: ahead above 0, behind below", ylabel=r"$\arg H$ (rad)")
    for axis in axes:
        axis.set_xlabel(OMEGA)
        plotting.log_scale(axis, "x")
        axis.plot([], [], "-o", color="0.4", markersize=4, label=r"line: $H(\omega)$, marks: simulated")
    plotting.legend(axes[0])
