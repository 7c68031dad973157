"""Helpers that the figures of all families share; matplotlib is imported inside the functions, and pyplot nowhere."""

import io
import os
import pathlib
import re
from typing import Any

import numpy as np

from plastic import files, require, system
from plastic.errors import PlasticError, printable

__all__ = [
    "COLOURS",
    "arrays_of",
    "curves",
    "figure",
    "image",
    "labels",
    "legend",
    "log_scale",
    "look",
    "over_epochs",
    "plain",
    "require_name",
    "save",
]


def __dir__() -> list[str]:
    return __all__


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart, the strongest contrasts first."""

# lengths without a common factor with the colours' 8: a ninth curve shares the colour of the first, but not its line
_LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FORMATS = (".png", ".pdf", ".svg")
_FEW, _LONGEST = 6, 12  # entries of a legend that leaves room for curves in its axis, and of a column beside it
# what marks a legend that `save` may move, and one that it has to make room for
_ANYWHERE, _BESIDE = "legend-anywhere", "legend-beside"


def figure(rows: int = 1, columns: int = 1, width: float = 4.5, height: float = 3.2, **share: Any) -> tuple[Any, Any]:
    """Return a figure with a light grid and no global state.

    Args:
        rows, columns: panels down and across.
        width, height: inches of one panel.
        share: passed to matplotlib (sharex, sharey, width_ratios, ...).

    Returns:
        (figure, axes): a matplotlib Figure, and one axis, or an array of them of shape (columns,), (rows,) or (rows,
        columns).

    Raises:
        PlasticError: if a number is out of range.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require.whole("rows", rows)
    require.whole("columns", columns)
    require.number("width", width, above=0)
    require.number("height", height, above=0)
    fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(fig)
    axes = fig.subplots(rows, columns, **share)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    return fig, axes


def save(fig: Any, path: system.Path) -> None:
    """Write a figure atomically.

    Args:
        fig: a matplotlib Figure.
        path: the file. Its ending is the format: .png (150 dots per inch), .pdf, .svg or another one of matplotlib's.

    Raises:
        PlasticError: if matplotlib does not write this format, or the folder is full or cannot be written.
    """
    form = pathlib.Path(path).suffix[1:].lower()
    if form not in fig.canvas.get_supported_filetypes():
        raise PlasticError(f"cannot write {path}: the name of a figure ends in .png, .pdf or .svg")
    files.write(path, image(fig, form))


def image(fig: Any, form: str = "png") -> bytes:
    """Return a figure as `save` writes it.

    Args:
        fig: a matplotlib Figure.
        form: its format, "png", "pdf", "svg" or another one of matplotlib's.

    Returns:
        The content of the file.
    """
    _make_room(fig, [axis for axis in fig.axes if axis.get_legend() and axis.get_legend().get_gid() == _BESIDE])
    covered = _covered(fig)
    for axis in covered:
        legend(axis, "beside")
    _make_room(fig, covered)
    found = io.BytesIO()
    fig.savefig(found, format=form, dpi=150, bbox_inches="tight")  # a title can be wider than its panel
    return found.getvalue()


def _make_room(fig, axes):
    """Widen a figure by the legends that lie beside these axes."""
    fig.set_figwidth(fig.get_figwidth() + sum(each.get_legend().get_window_extent().width for each in axes) / fig.dpi)


def _covered(fig):
    """Return the axes whose legend finds no room: it hides a curve, or is wider than the axis."""
    movable = [axis for axis in fig.axes if axis.get_legend() and axis.get_legend().get_gid() == _ANYWHERE]
    if movable:
        fig.draw_without_rendering()  # it is now that matplotlib looks for the best place
    return [axis for axis in movable if not _has_room(axis, axis.get_legend().get_window_extent())]


def _has_room(axis, place):
    paths = (line.get_transform().transform_path(line.get_path()).cleaned(remove_nans=True) for line in axis.lines)
    hidden = any(path.intersects_bbox(place, filled=False) for path in paths)
    return not hidden and place.width < axis.get_window_extent().width


def require_name(path: system.Path) -> None:
    """Require a name of a figure that ends in .png, .pdf or .svg, before any work.

    Args:
        path: the option `out`.

    Raises:
        PlasticError: if it ends otherwise.
    """
    if pathlib.Path(path).suffix.lower() not in _FORMATS:
        raise PlasticError(f"out is {os.fspath(path)}; it must end in {', '.join(_FORMATS)}")


def curves(axis: Any, x: Any, ys: dict[str, Any], deviation: bool = False, start: int = 0) -> None:
    """Draw one line per label, told apart by colour, dashes and, up to 30 points, markers; and a legend.

    Args:
        axis: a matplotlib axis.
        x: the common positions, host numbers (points,); the ticks of whole numbers are whole numbers.
        ys: {label: host values (points,) or (replicas, points)}. Of replicas the line is the mean, in a band from the
            smallest to the largest. A NaN is a replica without a value there (it diverged, say), and is left out of
            both.
        deviation: whether the band is a standard deviation to either side instead.
        start: how many curves, of other positions, the axis has already; their looks are not taken again.

    Raises:
        PlasticError: if values are no numbers, or a shape does not fit.
    """
    x = _numbers("x", x)
    if not isinstance(ys, dict):
        raise PlasticError(f"ys is a {type(ys).__name__}; it must be a dict of labels to values")
    for index, (label, y) in enumerate(ys.items(), start):
        y = np.ma.masked_invalid(np.atleast_2d(_numbers(f"curve {label!r}", y).astype(float)))
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


def log_scale(axis: Any, which: str) -> None:
    """Make an axis logarithmic; its numbers are plain, 30 and not 3x10^1, where all are of a handy size.

    Where curves that are drawn have values of 0 beside positive ones, the y axis goes on below the least of these,
    linearly, to 0: a logarithm would leave the zeros out.

    Args:
        axis: a matplotlib axis.
        which: "x" or "y".
    """
    from matplotlib.ticker import LogFormatterSciNotation

    ticks, least = getattr(axis, f"{which}axis"), 0.0
    beside = axis.get_shared_y_axes().get_siblings(axis)  # they have one scale
    values = [
        y.get_ydata(orig=False) for each in beside for y in each.get_lines() if y.get_transform() == each.transData
    ]
    drawn = np.ma.compressed(np.ma.masked_invalid(np.ma.concatenate([*values, np.ones(0)])))
    if which == "y" and drawn.min(initial=1.0) == 0 < drawn.max():
        least = drawn[drawn > 0].min()
        axis.set_yscale("symlog", linthresh=least, linscale=0.5, subs=range(2, 10))
        axis.set_ylim(0)
    else:
        axis.set(**{f"{which}scale": "log"})

    class Plain(LogFormatterSciNotation):
        def __call__(self, x: float, pos: int | None = None) -> str:
            text, (low, high) = super().__call__(x, pos), ticks.get_view_interval()
            return f"{x:g}" if text and max(low, least) > 1e-4 and high < 1e5 else text  # from .001 to 10000

    ticks.set_major_formatter(Plain())
    ticks.set_minor_formatter(Plain())


def over_epochs(metrics: dict[str, list[Any]], names: dict[str, str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return columns of a run's metrics.csv over the epochs, as `curves` takes them.

    Args:
        metrics: {column: values}, with the columns step, epoch and replica.
        names: {column: label}.

    Returns:
        (epochs, {label: values (replicas, epochs)}). A replica that has no row at an epoch (any more) has NaN there.

    Raises:
        PlasticError: if a column is missing.

    Example:
        >>> rows = {"step": [0, 0, 5], "epoch": [0, 0, 1], "replica": [0, 1, 0], "loss": [3.0, 4.0, 2.0]}
        >>> epochs, values = over_epochs(rows, {"loss": "Loss"})
        >>> epochs.tolist(), values["Loss"].tolist()
        ([0, 1], [[3.0, 2.0], [4.0, nan]])
    """
    for name in ("step", "epoch", "replica", *names):
        if name not in metrics:
            raise PlasticError(f"the metrics have no column {name!r}; there are {', '.join(metrics) or 'none'}")
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


def look(index: int) -> dict[str, Any]:
    """Return colour, dashes and width of the curve number `index`, as keywords of matplotlib."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": _LINES[index % len(_LINES)], "linewidth": 1.6}


def labels(runs: list[Any], names: list[str]) -> list[str]:
    """Return labels that tell runs apart.

    Args:
        runs: the runs.
        names: a name for each, which several may share.

    Returns:
        The names; where several are equal, with what sets the run's folder apart.
    """
    names = [plain(name) for name in names]
    texts = [
        name if names.count(name) == 1 else f"{name} ({_short(plain(run.folder.name))})"
        for run, name in zip(runs, names, strict=True)
    ]
    return [
        text if texts.count(text) == 1 else f"{text} {1 + texts[:place].count(text)}"
        for place, text in enumerate(texts)
    ]


def plain(text: str) -> str:
    r"""Return a text that a figure shows as it is: the name of a file or a data set, say.

    Args:
        text: any text; a `$` would begin a formula.

    Returns:
        The text in one line, with its dollars escaped.

    Example:
        >>> plain("a$b")
        'a\\$b'
    """
    return printable(text).replace("$", r"\$")


def _short(folder):
    """Return the hash of a run folder's name, with the number after it, or the whole name where it has none."""
    found = re.search(r"[0-9a-f]{8}(-\d+)?$", folder)
    return found[0] if found else folder


def arrays_of(run: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a run by name.

    Raises:
        PlasticError: if the run has not got to its end, and has none.
    """
    found = run.arrays()
    if not found:
        raise PlasticError(f"{run.folder} holds no arrays: the run is not finished; go on with --resume={run.folder}")
    return found


def legend(axis: Any, place: str = "best") -> None:
    """Add the legend, as all figures have it.

    It lies beside the axis, where `save` makes room, if it is long, or if no place within leaves all curves free.

    Args:
        axis: a matplotlib axis.
        place: within the axis, where matplotlib's `loc` says; or "beside", because curves are everywhere.
    """
    look = {"fontsize": "small", "framealpha": 0.8, "edgecolor": "none"}
    entries = len(axis.get_legend_handles_labels()[1])
    if entries <= _FEW and place != "beside":
        found = axis.legend(loc=place, **look)
        if place == "best":
            found.set(gid=_ANYWHERE, in_layout=False)  # it is not the axis that shrinks where there is no room
        return
    columns = -(-entries // _LONGEST)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), ncols=columns, **look).set_gid(_BESIDE)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        found = np.asarray(values)
        if found.dtype.kind == "O":  # None is a value that is missing
            found = found.astype(float)
    except (ValueError, TypeError) as error:
        raise PlasticError(f"{name} is no array of numbers on the host: {error}") from None
    if found.dtype.kind not in "biuf":
        raise PlasticError(f"{name} holds {found.dtype}; numbers are needed")
    return found
