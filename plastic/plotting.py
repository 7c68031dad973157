"""Helpers that the figures of all families share; matplotlib is imported inside the functions, and pyplot nowhere."""

import io
import pathlib

import numpy as np

from plastic import files
from plastic.errors import PlasticError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart, the strongest contrasts first."""

# lengths without a common factor with the colours' 8: a ninth curve shares the colour of the first, but not its line
_LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def figure(rows=1, columns=1, width=4.5, height=3.2, **share):
    """Return (figure, axes) with a light grid and no global state.

    width, height: inches of one panel. share: passed to matplotlib (sharex, sharey, width_ratios, ...).
    axes: one axis, or an array of shape (columns,), (rows,) or (rows, columns).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(fig)
    axes = fig.subplots(rows, columns, **share)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    return fig, axes


def save(fig, path):
    """Write a figure atomically, in the format that the path ends in: .png of 150 dots per inch, .pdf or .svg.

    Raises PlasticError where the folder is full or cannot be written.
    """
    image = io.BytesIO()
    fig.savefig(image, format=pathlib.Path(path).suffix[1:].lower(), dpi=150, bbox_inches="tight")
    files.write(path, image.getbuffer())


def curves(axis, x, ys, deviation=False, start=0):
    """Draw one line per label, told apart by colour, dashes and, up to 30 points, markers; and a legend.

    axis: a matplotlib axis.
    x: the common positions, shape (points,); the ticks of whole numbers are whole numbers.
    ys: {label: values (points,) or (replicas, points)}. Of replicas the line is the mean, in a band from the smallest
        to the largest, or with `deviation` of a standard deviation to either side. A NaN is a replica without a
        value there (it diverged, say), and is left out of both.
    start: how many curves, of other positions, the axis has already; their looks are not taken again.
    Raises PlasticError where a shape does not fit.
    """
    x = np.asarray(x)
    for index, (label, y) in enumerate(ys.items(), start):
        y = np.ma.masked_invalid(np.atleast_2d(np.asarray(y, dtype=float)))
        if x.ndim != 1 or y.ndim != 2 or y.shape[1] != len(x):
            raise PlasticError(
                f"curve {label!r} has shape {y.shape}; with x of shape {x.shape} it must be (replicas, points)"
            )
        style = look(index)
        if len(x) <= 30:
            style |= {"marker": _MARKERS[index % len(_MARKERS)], "markersize": 4}
        if len(y) > 1:
            mean, std = y.mean(axis=0), y.std(axis=0)
            low, high = (mean - std, mean + std) if deviation else (y.min(axis=0), y.max(axis=0))
            axis.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axis.plot(x, y.mean(axis=0), label=label, **style)
    if np.issubdtype(x.dtype, np.integer) and axis.get_xscale() == "linear":
        axis.xaxis.get_major_locator().set_params(integer=True)
    legend(axis)


def over_epochs(metrics, names):
    """Return the epochs of `metrics`, a run's metrics.csv, and {label: values (replicas, epochs)} for `curves`.

    names: {column: label}. A replica that has no row at an epoch (any more) has NaN there.
    """
    steps, columns = np.unique(metrics["step"], return_inverse=True)
    replicas = np.array(metrics["replica"])
    epochs = np.zeros(len(steps))
    epochs[columns] = metrics["epoch"]
    if np.all(epochs == np.round(epochs)):
        epochs = epochs.astype(int)
    curves = {}
    for name, label in names.items():
        curves[label] = np.full((replicas.max() + 1, len(steps)), np.nan)
        curves[label][replicas, columns] = metrics[name]
    return epochs, curves


def look(index):
    """Return colour, dashes and width of the curve number `index`, as keywords of matplotlib."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": _LINES[index % len(_LINES)], "linewidth": 1.6}


def labels(runs, names):
    """Return a label for each run: its name, with the name of its folder where several have the same."""
    texts = [
        name if names.count(name) == 1 else f"{name} ({run.folder.name})" for run, name in zip(runs, names, strict=True)
    ]
    return [
        text if texts.count(text) == 1 else f"{text} {1 + texts[:place].count(text)}"
        for place, text in enumerate(texts)
    ]


def arrays_of(run):
    """Return the arrays of a run. Raises PlasticError where it has not got to its end, and has none."""
    found = run.arrays()
    if not found:
        raise PlasticError(f"{run.folder} holds no arrays: the run is not finished; go on with --resume={run.folder}")
    return found


def legend(axis):
    """Add the legend, as all figures have it."""
    axis.legend(fontsize="small", framealpha=0.8, edgecolor="none")
