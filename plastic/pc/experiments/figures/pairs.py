"""Figures of the small experiments: paths of outputs and weights, alignments, indices, and losses of students."""

import numpy as np

from plastic import plotting
from plastic.pc.experiments.pairs import RULES

_LOOK = {"pc": 0, "bp": 1, "tp": 2, "gr": 0, "ap": 1}
_PAIR = ("matched", "small")  # rates of a trajectory
_FAR = 3.0  # no axis of a trajectory goes further, where a run diverges
_FIRST = 24  # iterations of Fig. 3a
_APART = 3  # from the looks of one run to those of the next


def interference(runs):
    """Outputs of 1-1-2 at one rate (Fig. 3a) and at all (Fig. 3d), on the levels of the loss."""
    fig, (left, right) = plotting.figure(columns=2, width=5, height=4)
    for axis in (left, right):
        _levels(axis, (-0.05, 1.1), (0.65, 1.1), (1, 1), (0, 1))
        axis.plot(0, 1, "*", color="black", markersize=12, label="target", clip_on=False)
        axis.set(xlabel="output 0", ylabel="output 1", xlim=(-0.05, 1.1), ylim=(0.65, 1.1))
    count, firsts = 0, []
    for arrays, name, first_look in _each(runs):
        firsts.append(f"{arrays['rates'][0]:g}")
        for rule in ("pc", "bp"):
            look, path = plotting.look(first_look + _LOOK[rule]), arrays[f"outputs/{rule}"]
            left.plot(*path[0, : _FIRST + 1].T, marker="o", markersize=4, label=f"{name}{RULES[rule]}", **look)
            _arrow(left, path[0, 0], path[0, 1], look["color"])
            for index, rate in enumerate(arrays["rates"]):
                colour = plotting.COLOURS[(count + index) % len(plotting.COLOURS)]
                label = f"{name}$\\eta$ = {rate:g}" if rule == "pc" else None
                line = plotting.look(_LOOK[rule])["linestyle"]
                right.plot(*path[index].T, color=colour, linestyle=line, linewidth=1.4, label=label)
        count += len(arrays["rates"])
    for rule in ("pc", "bp"):
        right.plot([], [], color="black", linestyle=plotting.look(_LOOK[rule])["linestyle"], label=RULES[rule])
    first = f"$\\eta$ = {', '.join(dict.fromkeys(firsts))}, {_FIRST} iterations; arrows: first step"
    _titles((left, right), first, f"all rates, {path.shape[1] - 1} iterations")
    for axis in (left, right):
        plotting.legend(axis, "lower right")
    return fig


def interference_first(runs):
    """Where the first step leads from (1, 1) at many rates, and the first path, on a map of the loss of 1-1-2."""
    fig, (left, right) = plotting.figure(columns=2, width=5, height=4)
    firsts = [arrays[f"first/{rule}"] for arrays, *_ in _each(runs) for rule in ("pc", "bp")]
    low = np.min(firsts, axis=(0, 1)) - 0.1
    reach = {left: ((-0.04, 1.04), (0.75, 1.03)), right: ((low[0], 1.1), (low[1], 1.1))}
    for axis, (x, y) in reach.items():
        a, b = np.meshgrid(np.linspace(*x, 201), np.linspace(*y, 201))
        image = axis.imshow(
            0.5 * (a**2 + (b - 1) ** 2), origin="lower", extent=(*x, *y), aspect="auto", cmap="Greys", vmin=0
        )
        axis.grid(False)
        fig.colorbar(image, ax=axis, label="loss")
        axis.plot(0, 1, "*", color="black", markersize=12, label="target", clip_on=False)
        axis.set(xlabel="output 0", ylabel="output 1", xlim=x, ylim=y)
    for arrays, name, first_look in _each(runs):
        for rule in ("pc", "bp"):
            look = plotting.look(first_look + _LOOK[rule])
            rate = arrays["rates"][0]
            left.plot(*arrays[f"outputs/{rule}"][0].T, label=f"{name}{RULES[rule]}, $\\eta$ = {rate:g}", **look)
            order = np.argsort(arrays["first_rates"])
            steps = np.concatenate([np.ones((1, 2)), arrays[f"first/{rule}"][order]])
            right.plot(*steps.T, marker="o", markersize=3, label=f"{name}{RULES[rule]}", **look)
    rates = arrays["first_rates"]
    _titles((left, right), "path on the loss", f"first steps, $\\eta$ = {min(rates):g} to {max(rates):g}")
    for axis in (left, right):
        plotting.legend(axis, "lower right")
    return fig


def alignment(runs):
    """Target alignment, and its angle, against the number of layers: seeds, mean and 68 % interval."""
    fig, (left, right) = plotting.figure(columns=2)
    for arrays, name, first in _each(runs):
        for rule in [rule for rule in RULES if f"alignment/{rule}" in arrays]:
            value, look = arrays[f"alignment/{rule}"], first + _LOOK[rule]
            angle = np.degrees(np.arccos(np.clip(value, -1, 1)))
            for axis, values in ((left, value), (right, angle)):
                _seeds(axis, arrays["depths"], values, look, 0.25)
                _mean(axis, arrays["depths"], values, f"{name}{RULES[rule]}", look)
    left.set(xlabel="layers of weights", ylabel="target alignment")
    right.set(xlabel="layers of weights", ylabel="angle to the target (degrees)")
    about = {"{activation}, {init}, T = {T}".format_map(run.options) for run in runs}
    _titles((left, right), about.pop() if len(about) == 1 else "Alignment", "the same as an angle")
    _legend(left)
    return fig


def alignment_over(runs):
    """Target alignment, and the spread of the predictions, over what was varied: a column for each activation."""
    from plastic.pc.experiments.alignment_over import NAMES

    found = list(_each(runs))
    activations = list(dict.fromkeys(name for run in runs for name in run.option("activations")))
    fig, axes = plotting.figure(2, len(activations), width=4.2, sharex=True, sharey="row", squeeze=False)
    for (above, below), activation in zip(axes.T, activations, strict=True):
        count = 0
        for arrays, name, _ in found:
            keys = [key for key in arrays if f"/{activation}/" in key]
            for key in sorted(keys, key=lambda key: (key[key.rindex("/") :], _LOOK[key.partition("/")[0]])):
                rule, _, init = key.split("/")
                for axis, each in zip((above, below), arrays[key], strict=True):
                    _mean(axis, arrays["values"], each, f"{name}{RULES[rule]}, {init}", count)
                count += 1
        _titles([above], f"{activation}: target alignment")
        _titles([below], f"{activation}: spread of the predictions")
    for axis in axes.flat:
        plotting.log_scale(axis, "x")
    for axis in axes[1]:
        plotting.log_scale(axis, "y")
        axis.set_xlabel(", ".join(dict.fromkeys(NAMES[run.option("over")] for run in runs)))
    axes[0, 0].set_ylabel("target alignment")
    axes[1, 0].set_ylabel("standard deviation before the update")
    _legend(axes[0, 0])
    return fig


def prospective_index(runs):
    """The prospective index by layer: after one update, and with the states held."""
    found = list(_each(runs))
    panels = list(dict.fromkeys(_panel(key) for arrays, *_ in found for key in arrays))
    fig, axes = plotting.figure(columns=len(panels), width=4, sharey=True)
    for axis, panel in zip(np.atleast_1d(axes), panels, strict=True):
        index = 0
        for arrays, name, _ in found:
            for key in sorted(key for key in arrays if _panel(key) == panel):
                values, setting = arrays[key], key.rpartition("/")[2]
                layers = np.arange(1, values.shape[1] + 1)
                shifted = layers + 0.08 * (index - 0.5)
                label = {"w'": "one update (w')", "w*": "100 updates (w*)"}.get(setting, f"$\\eta$ = {setting}")
                _seeds(axis, shifted, values, index, 0.4)
                _mean(axis, shifted, values, f"{name}{label}", index)
                index += 1
        axis.set(xlabel="layer", xticks=layers)
        _titles([axis], "states held, linear" if panel == "layered" else panel)
        _legend(axis)
    np.atleast_1d(axes)[0].set_ylabel("prospective index")
    return fig


def _panel(key):
    """Return the panel of an array base/<activation>/<rate> or layered/<update>."""
    return key.split("/")[1] if key.startswith("base/") else "layered"


def trajectory(runs):
    """The paths of weights and outputs of 1-2-2 on the levels of the loss, at matched and at small rates."""
    found = list(_each(runs))
    v, y = (found[0][0][key] for key in ("v", "target"))
    scales = {"w": v, "outputs": np.ones(2)}
    if any(run.option("learn_last") for run in runs):
        scales.pop("w")  # whose loss is another one for every v
    fig, axes = plotting.figure(len(scales), 2, width=4.4, height=3.8, squeeze=False)
    names = {"w": ("weight $w_1$", "weight $w_2$"), "outputs": ("output 1", "output 2")}
    for row, (kind, scale) in zip(axes, scales.items(), strict=True):
        paths = [arrays[key] for arrays, *_ in found for key in arrays if key.startswith(f"{kind}/")]
        high = min(_FAR, 1.15 * max(np.max(path, initial=1, where=np.isfinite(path)) for path in paths))
        for axis, rates in zip(row, _PAIR, strict=True):
            _levels(axis, (-0.1, high), (-0.1, high), scale, y)
            for arrays, name, first in found:
                for rule in ("pc", "bp"):
                    look = plotting.look(first + _LOOK[rule])
                    path = arrays[f"{kind}/{rule}/{rates}"]
                    axis.plot(*path.T, marker="o", markersize=3, label=f"{name}{RULES[rule]}", **look)
            axis.plot(*(y / scale), "*", color="black", markersize=12, label="solution")
            axis.set(xlabel=names[kind][0], ylabel=names[kind][1], xlim=(-0.1, high), ylim=(-0.1, high))
    titles = [
        "equal first steps: $\\eta$ = PC {rate_pc:.3g}, BP {rate_bp:.3g}",
        "small steps: $\\eta$ = {small_rate:g}",
    ]
    if "w" not in scales:
        titles[0] = "v learns, too: $\\eta$ = PC {rate_pc:.3g}, BP {rate_bp:.3g}"
    _titles(axes[0], *("; ".join(dict.fromkeys(each.format_map(run.options) for run in runs)) for each in titles))
    plotting.legend(axes[0, 0])
    return fig


def teacher(runs):
    """The smallest training loss by rate, and the loss over iterations at the best rate."""
    fig, (left, right) = plotting.figure(columns=2)
    every = []
    for arrays, name, first in _each(runs):
        rates, order = arrays["rates"], np.argsort(arrays["rates"])
        every += list(rates)
        for rule in ("pc", "bp"):
            loss, look = arrays[f"loss/{rule}"], first + _LOOK[rule]
            smallest = loss.min(axis=-1)
            _mean(left, rates[order], smallest[:, order], f"{name}{RULES[rule]}", look)
            best = int(np.argmin(np.nan_to_num(smallest.mean(axis=0), nan=np.inf)))
            label = f"{name}{RULES[rule]}, $\\eta$ = {rates[best]:g}"
            _mean(right, np.arange(1, loss.shape[-1] + 1), loss[:, best], label, look)
    left.set(xlabel=r"learning rate $\eta$", ylabel="smallest training loss per batch")
    plotting.log_scale(left, "x")
    left.set_xlim(min(every) / 1.3, max(every) * 1.3)
    right.set(xlabel="iteration", ylabel="training loss per batch")
    _titles((left, right), "all rates", "at the best rate")
    _legend(left)
    _legend(right)
    return fig


def teacher_curves(runs):
    """The loss over the iterations at every rate, a panel for each run and rule."""
    found = [(*each, rule) for each in _each(runs) for rule in ("pc", "bp")]
    fig, axes = plotting.figure(columns=len(found), sharey=True)
    for axis, (arrays, name, _, rule) in zip(axes, found, strict=True):
        loss, order = arrays[f"loss/{rule}"], np.argsort(arrays["rates"])
        for index, k in enumerate(order):
            _mean(axis, np.arange(1, loss.shape[-1] + 1), loss[:, k], f"$\\eta$ = {arrays['rates'][k]:g}", index)
        axis.set_xlabel("iteration")
        _titles([axis], f"{name}{RULES[rule]}, {len(loss)} seeds")
    for axis in axes[1::2]:  # both rules of a run have the same rates
        _legend(axis, "beside")
    axes[0].set_ylabel("training loss per batch")
    return fig


def directions(runs):
    """By rate, path over distance, and the cosines of updates and of the way so far with the whole way."""
    names = {
        "ratio": "path over distance",
        "step_cosine": "cosine of an update with the whole way",
        "way_cosine": "cosine of the way so far with the whole way",
    }
    fig, axes = plotting.figure(columns=len(names))
    for axis, (measure, label) in zip(axes, names.items(), strict=True):
        count = 0
        for arrays, name, _ in _each(runs):
            for rule in [rule for rule in RULES if f"{measure}/{rule}" in arrays]:
                rates, values = arrays[f"rates/{rule}"], arrays[f"{measure}/{rule}"]
                order = np.argsort(rates)
                _mean(axis, rates[order], values[:, order], f"{name}{RULES[rule]}", count)
                count += 1
        axis.set(xlabel=r"learning rate $\eta$", ylabel=label)
        plotting.log_scale(axis, "x")
        _titles([axis], label)
    _legend(axes[0])
    return fig


def erratic(runs):
    """The path of the weights against the distance it covers: means over seeds, a point per rate."""
    fig, axes = plotting.figure(columns=2)
    for axis, couple in zip(axes, (("pc", "bp"), ("gr", "ap")), strict=True):
        for arrays, name, first in _each(runs):
            for rule in couple:
                both = arrays[f"distance/{rule}"], arrays[f"path/{rule}"]
                means, errors = [each.mean(axis=0) for each in both], [_error(each) for each in reversed(both)]
                look = plotting.look(first + _LOOK[rule]) | {
                    "linewidth": 1,
                    "marker": "os"[_LOOK[rule]],
                    "markersize": 4,
                }
                axis.errorbar(*means, *errors, label=f"{name}{RULES[rule]}", **look)
        axis.set(xlabel="distance between first and last weights", ylabel="length of the path")
        _legend(axis)
    kinds = dict.fromkeys("clean" if run.option("clean") else "as published" for run in runs)
    _titles(axes, "sigmoid net", f"tanh net, {' and '.join(kinds)}")
    return fig


def _each(runs):
    """Yield (arrays, name in front of labels, number of the first look) of each run."""
    labels = plotting.labels(runs, [run.option("grid") for run in runs])
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        yield plotting.arrays_of(run), "" if len(runs) == 1 else f"{label}, ", _APART * number


def _error(values):
    """Half the 68 % interval of the mean over seeds (seeds, ...): a standard error."""
    with np.errstate(all="ignore"):  # of a replica that diverged
        return values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(values.shape[1:])


def _seeds(axis, x, values, index, alpha):
    axis.plot(x, values.T, ".", color=plotting.look(index)["color"], alpha=alpha, markersize=3)


def _mean(axis, x, values, label, index):
    """Draw the mean of values (seeds, points) in its 68 % interval."""
    mean, error, look = values.mean(axis=0), _error(values), plotting.look(index)
    axis.fill_between(x, mean - error, mean + error, color=look["color"], alpha=0.25, linewidth=0)
    if len(x) <= 30:
        look |= {"marker": "os^"[index % 3], "markersize": 4}
    axis.plot(x, mean, label=label, **look)


def _arrow(axis, start, after, colour):
    step = after - start
    look = {"color": colour, "width": 1, "headwidth": 7, "headlength": 8}
    axis.annotate("", start + 0.22 * step / np.hypot(*step), start, arrowprops=look)


def _legend(axis, place="best"):
    plotting.legend(axis, place)
    axis.get_legend().set_title("mean, 68 % interval", prop={"size": "x-small"})


def _titles(axes, *titles):
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize="medium")


def _levels(axis, x, y, scale, target):
    """Draw the levels of |target - scale (x, y)|, the root of a loss of two variables."""
    a, b = np.meshgrid(np.linspace(*x, 121), np.linspace(*y, 121))
    axis.contour(
        a, b, np.hypot(target[0] - scale[0] * a, target[1] - scale[1] * b), levels=12, colors="0.8", linewidths=0.7
    )
