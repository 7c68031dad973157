"""The figures of a run, drawn from its folder."""

import numpy as np

from plastic import plotting, runs


def draw(folder):
    """Draw the figures of a run folder into it.

    train: errors.png. plotcurves: rmse.png, neurons.png, synapses.png. recipe: signs.png.
    """
    run = runs.Run(folder)
    metrics = run.metrics()
    if run.experiment == "train":
        figures = {"errors": errors(metrics)}
    elif run.experiment == "recipe":
        figures = {"signs": signs(metrics)}
    else:
        arrays = run.arrays()
        figures = {"rmse": rmse(metrics), "neurons": neurons(arrays), "synapses": synapses(arrays)}
    for name, fig in figures.items():
        plotting.save(fig, run.folder / f"{name}.png")


def error_curves(metrics):
    """Return {method: (epochs, {"train_error": values (seeds, epochs), "test_error": ...})} of the metrics of a run."""
    curves = {}
    for method in sorted(set(metrics["method"]), key=["EP", "BPTT"].index):
        chosen = [place for place, each in enumerate(metrics["method"]) if each == method]
        rows = {name: [column[place] for place in chosen] for name, column in metrics.items()}
        rows["replica"] = list(np.unique(rows["replica"], return_inverse=True)[1])
        curves[method] = plotting.over_epochs(rows, {name: name for name in ("train_error", "test_error")})
    return curves


def errors(metrics):
    """Draw metrics: training and test error over the epochs, a panel per method; over seeds the mean and the range."""
    curves = error_curves(metrics)
    fig, axes = plotting.figure(columns=len(curves), sharey=True)
    for axis, (method, (epochs, values)) in zip(np.ravel(axes), curves.items(), strict=True):
        labels = {"training (running)": values["train_error"], "test": values["test_error"]}
        plotting.curves(axis, epochs, labels)
        axis.set(xlabel="epoch", ylabel="error (%)", title=method)
        if any(np.nanmax(each, initial=0.0) > 0 for each in values.values()):
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter("{x:g}")
    return fig


def rmse(metrics):
    """Draw metrics: mean distance between the curves of EP and of BPTT, a bar for each layer and each connection."""
    fig, axis = plotting.figure(width=1.6 + 0.7 * len(metrics["array"]))
    is_layer = [name.startswith("s^") for name in metrics["array"]]
    places = np.arange(len(is_layer)) + np.where(is_layer, 0, 1)
    colours = [plotting.COLOURS[0] if layer else plotting.COLOURS[1] for layer in is_layer]
    bars = axis.bar(places, metrics["rmse_mean"], color=colours, width=0.7)
    axis.bar_label(bars, [f"{value:.2g}" for value in metrics["rmse_mean"]], fontsize="small", padding=2)
    axis.set_xticks(places, [_math(name) for name in metrics["array"]])
    residual = max(value for value in metrics["residual"] if value is not None)
    axis.set(ylabel="RMSE between EP and BPTT", title=f"free-phase residual {residual:.1e}")
    axis.margins(y=0.12)
    return fig


def neurons(arrays):
    """Draw arrays: neural updates over time, a panel for each layer, BPTT solid, EP dashed."""
    panels = {}
    layers = sorted(int(name.removeprefix("nS/")) for name in arrays if name.startswith("nS/"))
    for layer in layers:
        chosen = arrays[f"units/{layer}"]
        n, d = (
            arrays[f"{kind}/{layer}"].reshape(len(arrays[f"{kind}/{layer}"]), -1)[:, chosen] for kind in ("nS", "dS")
        )
        panels[_math(f"s^{layer}")] = n, d
    return _panels(panels, r"$-\nabla^{BPTT}_s$", r"$\Delta^{EP}_s$")


def synapses(arrays):
    """Draw arrays: synaptic updates over time, a panel for each connection, BPTT solid, EP dashed."""
    labels = [name.removeprefix("NT/") for name in arrays if name.startswith("NT/")]
    panels = {}
    for label in sorted(labels, key=_from_the_output):
        panels[_math(label)] = tuple(
            np.diff(arrays[f"{kind}/{label}"], axis=0, prepend=arrays[f"{kind}/{label}"][:1]) for kind in ("NT", "DT")
        )
    return _panels(panels, r"$-\nabla^{BPTT}_W$", r"$\Delta^{EP}_W$")


def signs(metrics):
    """Draw metrics: share of the synapses in which EP and BPTT agree, per connection, the mean over the trials."""
    labels = list(dict.fromkeys(metrics["array"]))
    fig, axis = plotting.figure(width=1.6 + 0.9 * len(labels))
    names = np.array(metrics["array"])
    bottom = np.zeros(len(labels))
    for index, (name, text) in enumerate((("same_sign", "same sign"), ("both_zero", "both zero"))):
        values = np.array([np.mean(np.array(metrics[name])[names == label]) for label in labels])
        axis.bar(labels, values, bottom=bottom, color=plotting.COLOURS[index], label=text, width=0.6)
        bottom += values
    axis.set_xticks(range(len(labels)), [_math(label) for label in labels])
    axis.set(ylabel="synapses that agree (%)", ylim=(0, 120), yticks=range(0, 101, 20))
    axis.legend(loc="upper center", ncols=2, fontsize="small", frameon=False)
    return fig


def _panels(panels, solid, dashed):
    """Stack a panel for each {title: (BPTT, EP)}, curves (K, traces); the two of a trace share its colour."""
    fig, axes = plotting.figure(rows=len(panels), width=6.0, height=2.4, sharex=True)
    for axis, (title, (n, d)) in zip(np.ravel(axes), panels.items(), strict=True):
        for trace in range(n.shape[1]):
            colour = plotting.COLOURS[trace % len(plotting.COLOURS)]
            for curve, line, label in ((n, "-", solid), (d, "--", dashed)):
                shown = label if trace == 0 else None
                axis.plot(-curve[:, trace], color=colour, linestyle=line, linewidth=1.6, label=shown)
        axis.set_title(title)
        axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        axis.set_ylabel("update")
        plotting.legend(axis)
    np.ravel(axes)[-1].set_xlabel("t (steps)")
    return fig


def _from_the_output(label):
    """Sort connections as the paper does: from the output on, the classifier before the convolutions."""
    return label.startswith("W^conv"), label


def _math(label):
    head, mark, tail = label.partition("^" if "^" in label else "_")
    if "^" in label and "_" in tail:
        above, _, below = tail.partition("_")
        return rf"${head}^{{{above}}}_{{{below}}}$"
    return f"${head}{mark}{{{tail}}}$"
