"""The figures of games: how scores went, what the critic expected in an episode, and what fired."""

import numpy as np

from plastic import plotting


def performance(runs):
    """Scores of training and evaluation, and the loss, over the frames."""
    fig, (left, right) = plotting.figure(columns=2, width=5.5)
    names = plotting.labels(runs, [f"{run.option('game')}, seed {run.option('seed')}" for run in runs])
    for index, (run, name) in enumerate(zip(runs, names, strict=True)):
        metrics = run.metrics()
        millions = np.array(metrics["frames"], float) / 1e6
        before = f"{name}, " if len(runs) > 1 else ""
        columns = {"score": f"{before}episodes of training", "evaluation_score": f"{before}evaluation"}
        values = {label: np.array(metrics[column], float) for column, label in columns.items()}
        plotting.curves(left, millions, values, start=2 * index)
        plotting.curves(right, millions, {before + "loss": np.array(metrics["loss"], float)}, start=2 * index)
    left.set(xlabel="frames (millions)", ylabel="mean score of an episode", title="Performance")
    right.set(xlabel="frames (millions)", ylabel="loss per action", title="Actor and critic")
    return fig


def value(runs):
    """What the critic expected in an episode, what came, and the policy; each run has a column."""
    fig, axes = plotting.figure(rows=2, columns=len(runs), width=7.0, height=2.6, squeeze=False, sharex="col")
    for (top, bottom), run in zip(axes.T, runs, strict=True):
        arrays, steps = plotting.arrays_of(run), run.option("n_rnn_step_factor")
        actions = np.arange(len(arrays["returns"]))
        plotting.curves(top, actions, {"value": arrays["output"][steps - 1 :: steps, -1], "return": arrays["returns"]})
        for sign, colour in ((1, 2), (-1, 1)):
            for s in np.flatnonzero(sign * arrays["rewards"] > 0):
                top.axvline(s, **plotting.look(colour) | {"linewidth": 0.8, "linestyle": ":"})
        top.set(ylabel="discounted rewards", title=f"{run.option('game')}: an episode; dotted: rewards and punishments")
        for k, p in enumerate(arrays["probability"].T):
            bottom.plot(actions, p, label=f"action {k}", **plotting.look(k))
        plotting.legend(bottom)
        bottom.set(xlabel="action", ylabel="policy", ylim=(-0.03, 1.03))
    return fig


def episode(runs):
    """Screens of an episode, where maps fire, the spikes of the cells and their learning signals."""
    count = 5
    fig, axes = plotting.figure(rows=5, columns=count * len(runs), width=1.9, height=1.7, squeeze=False)
    for column, run in enumerate(runs):
        own, arrays = axes[:, column * count : (column + 1) * count], plotting.arrays_of(run)
        places = np.linspace(0, len(arrays["screens"]) - 1, count).round().astype(int)
        for row, (name, label) in enumerate(_IMAGES.items()):
            for axis, s in zip(own[row], places, strict=True):
                axis.imshow(
                    arrays[name][s], cmap="gray" if name == "screens" else "Greys", vmin=0, vmax=arrays[name].max()
                )
                axis.set(xticks=[], yticks=[])
                axis.grid(False)
                if row == 0:
                    axis.set_title(f"action {s}", fontsize="medium")
            own[row, 0].set_ylabel(label)
        wide = [_wide(fig, own[row]) for row in (3, 4)]
        times, neurons = np.nonzero(arrays["z"])
        wide[0].plot(times, neurons, ",", color="black")
        wide[0].set(ylabel="cell", xlim=(0, len(arrays["z"])), ylim=(-1, arrays["z"].shape[1]))
        most = np.quantile(np.abs(arrays["L"]), 0.99) or 1.0
        image = wide[1].imshow(
            arrays["L"].T, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest"
        )
        fig.colorbar(image, ax=wide[1], label="learning signal")
        wide[1].set(xlabel="time (ms)", ylabel="cell")
    return fig


_IMAGES = {"screens": "screen", "maps_1": "spikes, maps 1", "maps_2": "spikes, maps 2"}


def _wide(fig, axes):
    """Return one axis in the place of a row of them."""
    grid = axes[0].get_subplotspec()
    last = axes[-1].get_subplotspec()
    whole = grid.get_gridspec()[grid.rowspan.start, grid.colspan.start : last.colspan.stop]
    for axis in axes:
        axis.remove()
    axis = fig.add_subplot(whole)
    axis.spines[["top", "right"]].set_visible(False)
    return axis


ARCADE = {"performance": performance, "value": value, "episode": episode}
"""The figures by the names of their files."""
