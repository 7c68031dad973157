"""Figures of the small experiments, each drawn from a run folder."""

import numpy as np

from plastic import plotting, runs

RULES = {"pc": "PC", "bp": "BP", "tp": "TP", "gr": "GeneRec", "ap": "Almeida-Pineda"}
_LOOK = {"pc": 0, "bp": 1, "tp": 2, "gr": 0, "ap": 1}
_PAIR = ("matched", "small")  # rates of a trajectory
_FAR = 3.0  # no axis of a trajectory goes further, where a run diverges
_FIRST = 24  # iterations of Fig. 3a


def draw(folder):
    """Draw the figure of a run folder into it."""
    run = runs.Run(folder)
    plotting.save(_FIGURES[run.experiment](run.options, run.arrays()), run.folder / f"{run.experiment}.png")


def interference(options, arrays):
    """Outputs of 1-1-2 at one rate (Fig. 3a) and at all (Fig. 3d), on the levels of the loss."""
    fig, (left, right) = plotting.figure(columns=2, width=5, height=4)
    for axis in (left, right):
        _levels(axis, (-0.05, 1.1), (0.65, 1.1), lambda a, b: 0.5 * (a**2 + (b - 1) ** 2))
        axis.plot(*arrays["target"], "*", color="black", markersize=12, label="target", clip_on=False)
        axis.set(xlabel="output 0", ylabel="output 1", xlim=(-0.05, 1.1), ylim=(0.65, 1.1))
    for rule in ("pc", "bp"):
        look, path = plotting.look(_LOOK[rule]), arrays[f"outputs/{rule}"]
        first = path[0, 1] - path[0, 0]
        left.plot(*path[0, : _FIRST + 1].T, marker="o", markersize=4, label=RULES[rule], **look)
        left.annotate(
            "",
            path[0, 0] + 0.22 * first / np.hypot(*first),
            path[0, 0],
            arrowprops={"color": look["color"], "width": 1, "headwidth": 7, "headlength": 8},
        )
        for index, rate in enumerate(options["rates"]):
            colour = plotting.COLOURS[index % len(plotting.COLOURS)]
            label = f"$\\eta$ = {rate:g}" if rule == "pc" else None
            right.plot(*path[index].T, color=colour, linestyle=look["linestyle"], linewidth=1.4, label=label)
        right.plot([], [], color="black", linestyle=look["linestyle"], label=RULES[rule])
    left.set_title(f"$\\eta$ = {options['rates'][0]:g}, {_FIRST} iterations; arrows: first step", fontsize="medium")
    right.set_title(f"all rates, {options['iterations']} iterations", fontsize="medium")
    for axis in (left, right):
        plotting.legend(axis)
        axis.get_legend().set_loc("lower right")
    return fig


def alignment(options, arrays):
    """Target alignment, and its angle, against the number of layers: seeds, mean and 68 % interval."""
    fig, (left, right) = plotting.figure(columns=2)
    depths = arrays["depths"]
    for rule in [rule for rule in RULES if f"alignment/{rule}" in arrays]:
        value = arrays[f"alignment/{rule}"]
        angle = np.degrees(np.arccos(np.clip(value, -1, 1)))
        for axis, values in ((left, value), (right, angle)):
            axis.plot(depths, values.T, ".", color=plotting.COLOURS[_LOOK[rule]], alpha=0.25, markersize=3)
            _mean(axis, depths, values, RULES[rule], _LOOK[rule])
    left.set(xlabel="layers of weights", ylabel="target alignment")
    right.set(xlabel="layers of weights", ylabel="angle to the target (degrees)")
    left.set_title(f"{options['activation']}, {options['init']}, T = {options['T']}", fontsize="medium")
    _legend(left)
    return fig


def prospective_index(options, arrays):
    """The prospective index by layer: after one update, and with the states held."""
    panels = [*options["activations"], "layered"]
    fig, axes = plotting.figure(columns=len(panels), width=4, sharey=True)
    for axis, panel in zip(np.atleast_1d(axes), panels, strict=True):
        start = "layered/" if panel == "layered" else f"base/{panel}/"
        curves = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
        for index, (name, values) in enumerate(sorted(curves.items())):
            layers = np.arange(1, values.shape[1] + 1)
            shifted = layers + 0.08 * (index - 0.5)
            axis.plot(shifted, values.T, ".", color=plotting.COLOURS[index], alpha=0.4, markersize=4)
            label = {"w'": "one update (w')", "w*": "100 updates (w*)"}.get(name, f"$\\eta$ = {name}")
            _mean(axis, shifted, values, label, index)
        axis.set(xlabel="layer", xticks=layers)
        axis.set_title("states held, linear" if panel == "layered" else panel, fontsize="medium")
        _legend(axis)
    np.atleast_1d(axes)[0].set_ylabel("prospective index")
    return fig


def trajectory(options, arrays):
    """The paths of weights and outputs of 1-2-2 on the levels of the loss, at matched and at small rates."""
    fig, axes = plotting.figure(2, 2, width=4.4, height=3.8)
    v, y = arrays["v"], arrays["target"]
    losses = {
        "w": lambda a, b: 0.5 * ((y[0] - v[0] * a) ** 2 + (y[1] - v[1] * b) ** 2),
        "outputs": lambda a, b: 0.5 * ((y[0] - a) ** 2 + (y[1] - b) ** 2),
    }
    names = {"w": ("weight $w_1$", "weight $w_2$"), "outputs": ("output 1", "output 2")}
    for row, (kind, loss) in zip(axes, losses.items(), strict=True):
        paths = [arrays[f"{kind}/{rule}/{rates}"] for rule in ("pc", "bp") for rates in _PAIR]
        high = min(_FAR, 1.15 * max(np.max(path, initial=1, where=np.isfinite(path)) for path in paths))
        for axis, rates in zip(row, _PAIR, strict=True):
            _levels(axis, (-0.1, high), (-0.1, high), loss)
            for rule in ("pc", "bp"):
                path = arrays[f"{kind}/{rule}/{rates}"]
                axis.plot(*path.T, marker="o", markersize=3, label=RULES[rule], **plotting.look(_LOOK[rule]))
            axis.plot(*(y / v if kind == "w" else y), "*", color="black", markersize=12, label="solution")
            axis.set(xlabel=names[kind][0], ylabel=names[kind][1], xlim=(-0.1, high), ylim=(-0.1, high))
    rates = f"PC {options['rate_pc']:.3g}, BP {options['rate_bp']:.3g}"
    axes[0, 0].set_title(f"equal first steps: $\\eta$ = {rates}", fontsize="medium")
    axes[0, 1].set_title(f"small steps: $\\eta$ = {options['small_rate']:g}", fontsize="medium")
    plotting.legend(axes[0, 0])
    return fig


def teacher(options, arrays):
    """The smallest training loss by rate, and the loss over iterations at the best rate."""
    fig, (left, right) = plotting.figure(columns=2)
    order = np.argsort(arrays["rates"])
    for rule in ("pc", "bp"):
        loss = arrays[f"loss/{rule}"]
        smallest = loss.min(axis=-1)
        _mean(left, arrays["rates"][order], smallest[:, order], RULES[rule], _LOOK[rule])
        best = int(np.argmin(np.nan_to_num(smallest.mean(axis=0), nan=np.inf)))
        label = f"{RULES[rule]}, $\\eta$ = {arrays['rates'][best]:g}"
        _mean(right, np.arange(1, loss.shape[-1] + 1), loss[:, best], label, _LOOK[rule])
    left.set(xlabel=r"learning rate $\eta$", ylabel="smallest training loss per batch", xscale="log")
    left.set_xlim(arrays["rates"].min() / 1.3, arrays["rates"].max() * 1.3)
    right.set(xlabel="iteration", ylabel="training loss per batch")
    _legend(left)
    _legend(right)
    return fig


def erratic(options, arrays):
    """The path of the weights against the distance it covers: means over seeds, a point per rate."""
    fig, axes = plotting.figure(columns=2)
    for axis, couple in zip(axes, (("pc", "bp"), ("gr", "ap")), strict=True):
        for rule in couple:
            path, distance = arrays[f"path/{rule}"], arrays[f"distance/{rule}"]
            look = plotting.look(_LOOK[rule])
            axis.errorbar(
                distance.mean(axis=0),
                path.mean(axis=0),
                xerr=_error(distance),
                yerr=_error(path),
                marker="os"[_LOOK[rule]],
                markersize=4,
                label=RULES[rule],
                **look | {"linewidth": 1},
            )
        axis.set(xlabel="distance between first and last weights", ylabel="length of the path")
        _legend(axis)
    axes[0].set_title("sigmoid net", fontsize="medium")
    axes[1].set_title(f"tanh net, {'clean' if options['clean'] else 'as published'}", fontsize="medium")
    return fig


_FIGURES = {
    "interference": interference,
    "alignment": alignment,
    "prospective_index": prospective_index,
    "trajectory": trajectory,
    "teacher": teacher,
    "erratic": erratic,
}


def _error(values):
    """Half the 68 % interval of the mean over seeds (seeds, ...): a standard error."""
    with np.errstate(all="ignore"):  # of a replica that diverged
        return values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(values.shape[1:])


def _mean(axis, x, values, label, index):
    """Draw the mean of values (seeds, points) in its 68 % interval."""
    mean, error, look = values.mean(axis=0), _error(values), plotting.look(index)
    axis.fill_between(x, mean - error, mean + error, color=look["color"], alpha=0.25, linewidth=0)
    if len(x) <= 30:
        look |= {"marker": "os^"[index % 3], "markersize": 4}
    axis.plot(x, mean, label=label, **look)


def _legend(axis):
    plotting.legend(axis)
    axis.get_legend().set_title("mean, 68 % interval", prop={"size": "x-small"})


def _levels(axis, x, y, loss):
    """Draw the levels of a loss of two variables, as roots: equal distances of the error."""
    a, b = np.meshgrid(np.linspace(*x, 121), np.linspace(*y, 121))
    axis.contour(a, b, np.sqrt(loss(a, b)), levels=12, colors="0.8", linewidths=0.7)
