"""Figures of the lag net (Ellenberger et al. 2024, Fig. 6)."""

import numpy as np

from plastic import plotting
from plastic.gle.figures.several import arrays_of

_STUDENTS = {"gle": "GLE", "am": "adjoint method"}
_KINDS = ("instantaneous neuron", "retarded neuron")
_TEACHER = (-0.5, 1.0)
_BINS = 30
_MEAN = 500  # steps


def figures(run):
    """Return {name: figure} of a run."""
    options, arrays = run.options, arrays_of(run)
    several = arrays["teacher"].ndim > 1
    arrays = {name: array[0] if several and name not in ("time", "input") else array for name, array in arrays.items()}
    start = options["start_learning_step"]
    return {
        "traces": traces(arrays, start),
        "spectra": spectra(arrays, start, options["dt"]),
        "learning": learning(arrays),
    }


def traces(arrays, start):
    """Outputs, input, and the errors of the first layer before and after learning."""
    n = len(arrays["time"])
    span = max(2, min(2000, start // 2))
    last = max(span, n - 100)
    middle = start // 2
    spans = {
        "before learning": slice(max(0, middle - span // 2), max(0, middle - span // 2) + span),
        "after": slice(last - span, last),
    }
    fig, axes = plotting.figure(4, 2, width=5.5, height=1.9)
    for column, (title, part) in enumerate(spans.items()):
        time = arrays["time"][part]
        top, middle, *errors = axes[:, column]
        top.set_title(title, fontsize="medium")
        top.plot(time, arrays["teacher"][part], color="0.5", linewidth=3, label="teacher")
        for index, (name, label) in enumerate(_STUDENTS.items()):
            top.plot(time, arrays[f"output/{name}"][part], label=label, **plotting.look(index))
        middle.plot(time, arrays["input"][part], color="0.3")
        for k, axis in enumerate(errors):
            for index, (name, label) in enumerate({"gle": r"$\tilde{e}$ (GLE)", "am": r"$\lambda$ (adjoint)"}.items()):
                axis.plot(time, arrays[f"error/{name}"][part, k], label=label, **plotting.look(index))
            window = min(_MEAN, n)
            mean = np.convolve(arrays["error/gle"][:, k], np.ones(window) / window, mode="same")[part]
            axis.plot(time, mean, label=r"mean of $\tilde{e}$ over 500 steps", **plotting.look(2))
            axis.ticklabel_format(axis="y", scilimits=(-2, 3))
        errors[-1].set_xlabel("time")
    for axis, label in zip(axes[:, 0], ("output", "input", "error,\ninstantaneous", "error,\nretarded"), strict=True):
        axis.set_ylabel(label)
    lines = {line.get_label(): line for axis in (axes[0, 0], axes[2, 0]) for line in axis.get_lines()}
    fig.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=3, frameon=False)
    return fig


def spectra(arrays, start, dt):
    """Amplitudes of GLE's errors and of the adjoint before learning, and the phase between them."""
    fig, axes = plotting.figure(2, 2, height=2.8, sharex=True)
    omega = 2 * np.pi * np.fft.rfftfreq(start, dt)[:_BINS]
    for column, kind in enumerate(_KINDS):
        e, lam = (np.fft.rfft(arrays[f"error/{name}"][:start, column])[:_BINS] for name in ("gle", "am"))
        above, below = axes[:, column]
        above.set_title(kind, fontsize="medium")
        for index, (values, label) in enumerate(((e, r"$\tilde{e}$ (GLE)"), (lam, r"$\lambda$ (adjoint)"))):
            above.plot(omega, 2 / start * np.abs(values), marker="o", markersize=3, label=label, **plotting.look(index))
        there = np.abs(lam) > 0.1 * np.abs(lam).max()  # where there is something to compare
        below.plot(omega[there], np.angle(e[there] / lam[there]), "o", color=plotting.COLOURS[2])
        below.set(xlabel=r"angular frequency $\omega$", ylim=(-np.pi, np.pi))
        below.axhline(0, color="0.5", linewidth=1)
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel(r"phase of $\tilde{e}$ against $\lambda$ (rad)")
    plotting.legend(axes[0, 0])
    return fig


def learning(arrays):
    """Weights and loss of both students over time."""
    fig, (left, right) = plotting.figure(columns=2)
    for value in _TEACHER:
        left.axhline(value, color="0.5", linewidth=3)
    for index, (name, label) in enumerate(_STUDENTS.items()):
        w, squares = arrays[f"w/{name}"], (arrays[f"output/{name}"] - arrays["teacher"]) ** 2
        for k in range(2):
            left.plot(arrays["time"][::20], w[::20, k], label=label if k == 0 else None, **plotting.look(index))
        span = min(100, len(squares))
        count = len(squares) // span * span
        means = squares[:count].reshape(-1, span).mean(axis=1)
        time = arrays["time"][:count].reshape(-1, span).mean(axis=1)
        right.plot(time, np.maximum(means, 1e-16), label=label, **plotting.look(index))
    left.set(xlabel="time", ylabel="weights of the first layer")
    right.set(xlabel="time", ylabel="loss", xscale="log", yscale="log")
    plotting.legend(left)
    return fig
