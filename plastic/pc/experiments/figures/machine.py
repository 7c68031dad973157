"""The energy machine: states and energy by step, and a film of sliders, rods and springs."""

import io

import numpy as np

from plastic import plotting

NAMES = ("input", "hidden 1", "hidden 2", "output 1", "output 2")
_PLACES = (0.0, 1.0, 1.35, 2.0, 2.35)  # of the posts
_RODS = ((0, 1), (0, 2), (1, 3), (2, 4))  # from a state to a prediction
_COILS = 9
_EVERY, _PER_SECOND, _DOTS = 2, 12, 70  # steps of a frame, frames of a second, dots of an inch


def machine(runs):
    """The states of the machine and its energy by step, through all three phases."""
    from plastic.pc.experiments.machine import PHASES

    fig, axes = plotting.figure(2, len(runs), width=6.5, height=2.8, sharex=True, squeeze=False)
    labels = plotting.labels(runs, [f"rate {run.option('rate'):g}" for run in runs])
    for (top, bottom), run, label in zip(axes.T, runs, labels, strict=True):
        arrays = plotting.arrays_of(run)
        states, steps = arrays["states"], len(arrays["states"]) // len(PHASES)
        for index, name in enumerate(NAMES):
            top.plot(states[:, index], label=name, **plotting.look(index))
        bottom.plot(arrays["energy"], color="black")
        for axis in (top, bottom):
            for phase in range(1, len(PHASES)):
                axis.axvline(phase * steps, color="0.6", linewidth=1)
        for phase, name in enumerate(PHASES):
            where = ((phase + 0.5) * steps, 1.0)
            top.annotate(name, where, xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize="x-small")
        top.set(ylabel="state", title=f"{label}\n" if len(runs) > 1 else "The energy machine\n")
        bottom.set(xlabel="step of inference", ylabel="energy F", title="Energy")
        plotting.legend(top)
    return fig


def film(arrays):
    """Return the film of a machine, the bytes of a GIF; arrays: those of its run."""
    from PIL import Image

    fig, axis = plotting.figure(width=5, height=3.4)
    fig.set_dpi(_DOTS)
    images, data = [], io.BytesIO()
    for step in range(0, len(arrays["states"]), _EVERY):
        snapshot(axis, arrays, step)
        fig.canvas.draw()
        images.append(Image.fromarray(np.array(fig.canvas.buffer_rgba())).convert("RGB"))
    images[0].save(data, "GIF", save_all=True, append_images=images[1:], duration=1000 // _PER_SECOND, loop=0)
    return data.getvalue()


def snapshot(axis, arrays, step):
    """Draw the machine at a step: sliders at the states, rods from below to the predictions, springs between."""
    from plastic.pc.experiments.machine import PHASES, SECOND

    axis.clear()
    states, steps = arrays["states"][step], len(arrays["states"]) // len(PHASES)
    phase = step // steps
    weights = [*arrays["weights"][phase, 0], SECOND[0][0], SECOND[1][1]]
    high = max(1.2, 1.2 * float(arrays["states"].max()))
    for place in _PLACES:
        axis.axvline(place, color="0.85", linewidth=5, zorder=0)
    for (below, unit), weight in zip(_RODS, weights, strict=True):
        predicted, place = states[below] * weight, _PLACES[unit]
        axis.plot([_PLACES[below], place], [states[below], predicted], color="0.5", linewidth=1.5, zorder=1)
        axis.plot(place, predicted, "_", color="black", markersize=16, zorder=2)
        _spring(axis, place, predicted, states[unit])
    clamped = [0, 3, 4] if phase == 1 else [0]
    for index, (place, state) in enumerate(zip(_PLACES, states, strict=True)):
        shape = "s" if index in clamped else "o"
        axis.plot(place, state, shape, color=plotting.COLOURS[0], markersize=9, zorder=3)
    axis.set(xlim=(-0.25, 2.6), ylim=(min(-0.2, 1.2 * float(arrays["states"].min())), high), ylabel="state")
    axis.set_xticks(_PLACES, [name.replace(" ", "\n") for name in NAMES])
    axis.set_title(f"{PHASES[phase]}, step {step % steps}: F = {arrays['energy'][step]:.3f}", fontsize="medium")


def _spring(axis, place, start, end):
    """Draw an error as a spring, the redder the further it is stretched."""
    along = np.linspace(start, end, 2 * _COILS + 1)
    across = place + 0.05 * np.where(np.arange(2 * _COILS + 1) % 2, 1, -1)
    across[[0, -1]] = place
    axis.plot(across, along, color=plotting.COLOURS[1], alpha=min(1.0, 0.2 + abs(end - start)), linewidth=1.2, zorder=2)
