"""The figures of the lag line and the lag net, drawn from the files of their runs: of one run, or of several.

Of a run with several seeds they show the first.
"""

import numpy as np

from plastic import plotting
from plastic.errors import PlasticError
from plastic.gle.experiments.lagnet_records import EARLY
from plastic.gle.lagnet_students import TAU_R, retarded

TIME = r"time (unit of $\tau$)"
OMEGA = r"angular frequency $\omega$ (rad / unit of $\tau$)"
"""Labels of axes."""

_MODELS = {
    "gle": "GLE",
    "bp": "BP",
    "bptt_tw4": "BPTT, window 4",
    "bptt_tw2": "BPTT, window 2",
    "bptt_tw1": "BPTT, window 1",
}
_SPAN = 6.0  # time units of the traces of the lag line
_ROWS = {
    "output": "output $r_1$",
    "r_0": "rate $r_0$",
    "input": "input",
    "e_ahead_1": "error $e_1$",
    "e_ahead_0": "error $e_0$",
}
_MEAN_OF = 40  # records that a point of the loss of the lag line is the mean of
_STUDENTS = {"gle": "GLE", "am": "adjoint method"}
_ERRORS = {"gle": r"$\tilde{e}$ (GLE)", "am": r"$\lambda$ (adjoint)"}
_MOST_LINES = 12  # of learned weights; of more, their distance from the teacher's is drawn
_ANGULAR = (0.49, 1.07, 1.98)  # frequencies of the input of the lag net
_LEAST = 1e-16  # of a loss on a logarithmic axis


def lag_line(runs):
    """Rates and errors before and after learning; weights, time constants and loss over time (Fig. 5)."""
    named = plotting.labels(runs, [_MODELS[run.option("model")] for run in runs])
    held = dict(zip(named, map(_of_first_seed, runs), strict=True))
    times = sorted({run.option("t_init") for run in runs})
    if len(times) > 1:
        raise PlasticError(f"these runs have t_init {', '.join(map(str, times))}; those of one are drawn together")
    (t_init,) = times
    end = min(run.option("t_init") + run.option("t_train") for run in runs)
    alone = "" if all(run.option("model") in ("gle", "bp") for run in runs) else " (BPTT: its own)"
    spans = {
        f"true time constants{alone}, wrong weights": 0.24 * t_init,
        "before learning": 0.64 * t_init,
        "after learning": end - _SPAN,
    }
    fig, axes = plotting.figure(6, 3, width=4.2, height=1.6, height_ratios=[1, 1, 0.7, 1, 1, 2.6])
    for column, (title, start) in enumerate(spans.items()):
        axes[0, column].set_title(title, fontsize="medium")
        for axis, (name, label) in zip(axes[:5, column], _ROWS.items(), strict=True):
            _traces(axis, held, name, start, label if column == 0 else "")
        axes[4, column].set_xlabel(TIME)
    _learned(axes[5, 0], held, "w", "weights")
    _learned(axes[5, 1], held, "tau_m", r"membrane time constants $\tau_m$")
    for index, arrays in enumerate(held.values()):
        span = min(_MEAN_OF, len(arrays["time"]))
        count = len(arrays["time"]) // span * span
        time, loss = (arrays[name][:count].reshape(-1, span).mean(axis=1) for name in ("time", "loss"))
        axes[5, 2].plot(time, np.maximum(loss, _LEAST), **plotting.look(index))
    axes[5, 2].set(xlabel=TIME, ylabel="loss")
    plotting.log_scale(axes[5, 2], "y")
    for axis in axes[5]:
        _logarithmic(axis)
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside upper center", ncols=6, frameon=False)
    return fig


def _traces(axis, held, name, start, label):
    for index, (model, arrays) in enumerate(held.items()):
        time = arrays["time"]
        part = (time >= start) & (time <= start + _SPAN)
        if index == 0 and name == "output":
            axis.plot(time[part], arrays["trace/target"][part], color="0.5", linewidth=3, label="target")
        look = plotting.look(index) if name != "input" else {"color": "0.3"}
        axis.plot(time[part], arrays[f"trace/{name}"][part], label=model, **look)
        if name == "input":
            break
    axis.set_ylabel(label)
    axis.tick_params(labelsize="small")
    axis.ticklabel_format(axis="y", scilimits=(-2, 3))


def _learned(axis, held, name, label):
    for target in (1, 2):
        axis.axhline(target, color="0.5", linewidth=3)
    for index, arrays in enumerate(held.values()):
        axis.plot(arrays["time"][1:], arrays[name][1:], **plotting.look(index))
    axis.set(xlabel=TIME, ylabel=label, xlim=(arrays["time"][min(20, len(arrays["time"]) // 2)], None))


def _logarithmic(axis):
    """Make the axis of time logarithmic; over more than a decade, powers of ten alone have labels."""
    plotting.log_scale(axis, "x")
    first, last = axis.get_xlim()
    axis.tick_params(axis="x", which="minor", labelbottom=last < 10 * first)


def lag_net_traces(runs):
    """Outputs, input, and the errors of the first layer of the lag net before and after learning (Fig. 6)."""
    fig, axes = plotting.figure(4, 2, width=5.5, height=1.9)
    nets = _lag_nets(runs)
    for place, (run, arrays, name) in enumerate(nets):
        own = place == 0 or not np.array_equal(arrays["teacher"], nets[0][1]["teacher"])
        for column, part in enumerate(_before_and_after(len(arrays["time"]), run.option("start_learning_step"))):
            time = arrays["time"][part]
            output, signal, *errors = axes[:, column]
            if own:
                grey = f"{0.5 + 0.3 * place / len(nets)}"
                teacher = f"{name}teacher" if place else "teacher"
                output.plot(time, arrays["teacher"][part], color=grey, linewidth=3, label=teacher)
                signal.plot(time, arrays["input"][part], color="0.3" if place == 0 else grey)
            for index, (student, label) in enumerate(_STUDENTS.items(), start=3 * place):
                output.plot(time, arrays[f"output/{student}"][part], label=name + label, **plotting.look(index))
            for k, axis in zip(_of_both_kinds(arrays), errors, strict=True):
                shown = {label: arrays[f"error/{student}"] for student, label in _ERRORS.items()}
                shown |= {r"mean of $\tilde{e}$ over 500 steps": arrays["mean_error"]}
                for index, (label, values) in enumerate(shown.items(), start=3 * place):
                    axis.plot(time, values[part, k], label=name + label, **plotting.look(index))
                axis.ticklabel_format(axis="y", scilimits=(-2, 3))
    for column, title in enumerate(("before learning", "after")):
        axes[0, column].set_title(title, fontsize="medium")
        axes[-1, column].set_xlabel(TIME)
    for axis, label in zip(axes[:, 0], ("output", "input", "error,\ninstantaneous", "error,\nretarded"), strict=True):
        axis.set_ylabel(label)
    lines = {line.get_label(): line for axis in (axes[0, 0], axes[2, 0]) for line in axis.get_lines()}
    fig.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=3, frameon=False)
    return fig


def _before_and_after(steps, start):
    """Return the steps shown: in the middle of those before learning, and at the end but for a hundred."""
    span = max(2, min(2000, start // 2))
    first, last = max(0, start // 2 - span // 2), max(span, steps - 100)
    return slice(first, first + span), slice(last - span, last)


def lag_net_spectra(runs):
    """Amplitudes of GLE's errors and of the adjoint before learning, and the phase between them (Fig. 6)."""
    fig, axes = plotting.figure(2, 2, height=2.8, sharex=True)
    for place, (_, arrays, name) in enumerate(_lag_nets(runs)):
        omega = arrays["spectrum/omega"]
        for column, (above, below) in zip(_of_both_kinds(arrays), axes.T, strict=True):
            values = {label: arrays[f"spectrum/{student}"][:, column] for student, label in _ERRORS.items()}
            for index, (label, amplitudes) in enumerate(values.items(), start=3 * place):
                look = plotting.look(index) | {"marker": "o", "markersize": 3}
                above.plot(omega[1:], amplitudes[1:], label=name + label, **look)
            there = _there(omega, amplitudes)
            look = {"color": plotting.look(3 * place + 2)["color"], "markersize": 5, "label": name.removesuffix(": ")}
            below.plot(omega[there], arrays["spectrum/phase"][there, column], "os^D"[place % 4], **look)
    for column, kind in enumerate(("instantaneous neuron", "retarded neuron")):
        axes[0, column].set_title(kind, fontsize="medium")
        axes[1, column].set(xlabel=OMEGA, ylim=(-np.pi, np.pi))
        axes[1, column].axhline(0, color="0.5", linewidth=1)
        for axis in axes[:, column]:
            _over_frequencies(axis, runs)
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel(r"phase of $\tilde{e}$ against $\lambda$ (rad)")
    plotting.legend(axes[0, 0])
    if len(runs) > 1:
        plotting.legend(axes[1, 0])
    return fig


def lag_net_phases(runs):
    """Phases of GLE's errors and of the adjoint against the error at the top (Fig. 6).

    Before learning, and with the weights that GLE has at t = 120, or at the end of a shorter run; beside them what two
    layers in a row give, where they are those of the paper: an error is advanced by arctan(omega tau_m) - arctan(omega
    tau_r) in each.
    """
    fig, axes = plotting.figure(2, 2, height=2.8, sharex=True, sharey=True)
    for place, (_, arrays, name) in enumerate(_lag_nets(runs)):
        omega = arrays["spectrum/omega"]
        for row, before in enumerate(("", "early/")):
            for column, axis in zip(_of_both_kinds(arrays), axes[row], strict=True):
                for index, (student, label) in enumerate(_ERRORS.items(), start=2 * place):
                    amplitudes = arrays[f"{before}spectrum/{student}"][:, column]
                    there = _there(omega, amplitudes)
                    look = {"color": plotting.look(index)["color"], "markersize": 5, "label": name + label}
                    axis.plot(
                        omega[there], arrays[f"{before}phase/{student}"][there, column], "os^D"[index % 4], **look
                    )
    curve = np.geomspace(0.1, max(omega.max(), *_ANGULAR), 100)
    theory = all((run.option("widths"), run.option("learned")) == ((2, 2), (1,)) for run in runs)  # chains of neurons
    for tau_r, column in zip(TAU_R, axes.T, strict=True):
        for axis in column:
            if theory:
                phases = 2 * (np.arctan(curve) - np.arctan(tau_r * curve))
                axis.plot(curve, phases, color="0.6", zorder=1, label="theory")
            _over_frequencies(axis, runs)
            axis.set(ylim=(-np.pi, np.pi))
        column[-1].set_xlabel(OMEGA)
    for axis, kind in zip(axes[0], ("instantaneous neuron", "retarded neuron"), strict=True):
        axis.set_title(kind, fontsize="medium")
    early = " and ".join(f"{t:g}" for t in sorted({min(EARLY, run.option("t")) for run in runs}))
    for axis, when in zip(axes[:, 0], ("before learning", f"weights of t = {early}"), strict=True):
        axis.set_ylabel(f"phase against the top\nerror (rad), {when}")
    plotting.legend(axes[0, 0])
    return fig


def _of_both_kinds(arrays):
    """Return the numbers of the first instantaneous and of the first retarded neuron of the first layer."""
    return 0, retarded(arrays["error/gle"].shape[-1])


def _there(omega, amplitudes):
    """Return at which frequencies there is something whose phase can be compared; not at 0, which is a mean."""
    return (omega > 0) & (amplitudes > 0.1 * amplitudes[1:].max(initial=0))


def _over_frequencies(axis, runs):
    """Make the axis of frequencies logarithmic, with a mark at each frequency of the input, where it is of sines."""
    for omega in _ANGULAR if all(run.option("input") == "sines" for run in runs) else ():
        axis.axvline(omega, color="0.8", linewidth=1, linestyle=":", zorder=0)
    plotting.log_scale(axis, "x")
    axis.set_xlim(0.1, None)


def lag_net_learning(runs):
    """What both students of the lag net learn, or its distance from the teacher where it is much, and their loss."""
    fig, (left, right) = plotting.figure(columns=2)
    many = max(arrays["w/teacher"].shape[-1] for _, arrays, _ in _lag_nets(runs)) > _MOST_LINES
    for place, (_, arrays, name) in enumerate(_lag_nets(runs)):
        goal = arrays["w/teacher"]
        for value in () if many else goal:
            left.axhline(value, color="0.5", linewidth=3, zorder=1)
        for index, (student, label) in enumerate(_STUDENTS.items(), start=2 * place):
            w, look = arrays[f"w/{student}"][::20], plotting.look(index)
            for k, line in enumerate([np.sqrt(np.mean((w - goal) ** 2, axis=1))] if many else w.T):
                left.plot(arrays["time"][::20], line, label=None if k else name + label, **look)
            loss = np.maximum(arrays[f"loss/{student}"], _LEAST)
            right.plot(arrays["loss/time"], loss, label=name + label, **look)
    what = "rms distance from the teacher" if many else "learned weights"
    left.set(xlabel=TIME, ylabel=what, title="Weights")
    right.set(xlabel=TIME, ylabel="loss", title="Loss")
    plotting.log_scale(right, "y")
    for axis in (left, right):
        axis.set_xlim(0.01 * arrays["time"][-1], None)
        _logarithmic(axis)
    plotting.legend(left)
    return fig


def _lag_nets(runs):
    """Return [(run, its arrays, what its labels begin with)]."""
    names = [run.option("boundary") + ", small weights" * run.option("small_weights") for run in runs]
    first = [""] if len(runs) == 1 else [f"{label}: " for label in plotting.labels(runs, names)]
    return list(zip(runs, map(_of_first_seed, runs), first, strict=True))


def _of_first_seed(run):
    """Return the arrays of a run, of several seeds the first one's."""
    arrays = plotting.arrays_of(run)
    if len(run.seeds) == 1:
        return arrays
    common = ("time", "input", "loss/time", "spectrum/omega")
    return {name: array if name in common and array.ndim == 1 else array[0] for name, array in arrays.items()}


OF_LAGLINE = {"lagline": lag_line}
OF_LAGNET = {
    "traces": lag_net_traces,
    "spectra": lag_net_spectra,
    "phases": lag_net_phases,
    "learning": lag_net_learning,
}
"""The figures of the experiments by the names of their files."""
