"""Pictures of data sets."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import plotting
from plastic.errors import PlasticError

_GAP = 2  # pixels between two images
_DOTS = 96  # of the picture along an image, about: 3 to a pixel of 28
_DPI = 200
_MARGINS = {"left": 0.85, "right": 0.15, "bottom": 0.15, "top": 0.55}  # inches
_MOST_ROWS = 20
_CURVES = 3  # of a class
_POINTS = 2000  # of all classes together


def contact_sheet(dataset: Any, labels: Sequence[str], columns: int = 16) -> Any:
    """Return a matplotlib Figure with the first training samples of each class, one class to a row.

    Args:
        dataset: a `plastic.data.Dataset` whose samples are images (height, width), (height, width, 1) or, in colour,
            (height, width, 3), or square images as flat vectors.
        labels: what the classes are called, at least as many as there are classes; the first 20 are shown.
        columns: images of a class.

    Returns:
        The figure.

    Raises:
        PlasticError: if the samples are no images.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x, y = dataset.train
    classes = min(dataset.classes, _MOST_ROWS)
    picture, (height, width) = _mosaic(_images(dataset.name, x), y, classes, columns)

    zoom = max(1, _DOTS // max(height, width))  # dots per pixel
    inches = {"down": picture.shape[0] * zoom / _DPI, "across": picture.shape[1] * zoom / _DPI}
    whole_width = inches["across"] + _MARGINS["left"] + _MARGINS["right"]
    whole_height = inches["down"] + _MARGINS["bottom"] + _MARGINS["top"]
    figure = Figure(figsize=(whole_width, whole_height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    place = (_MARGINS["left"] / whole_width, _MARGINS["bottom"] / whole_height)
    axes = figure.add_axes((*place, inches["across"] / whole_width, inches["down"] / whole_height))
    axes.imshow(picture, cmap="gray", interpolation="nearest", aspect="auto")
    axes.set_yticks(np.arange(classes) * (height + _GAP) + (height - 1) / 2, labels[:classes])
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    shown = "" if classes == dataset.classes else f", {classes} of {dataset.classes} classes"
    sizes = f"{len(x):,} training and {len(dataset.test[0]):,} test images of {height} x {width} pixels{shown}"
    at = (_MARGINS["left"] / whole_width, 1 - 0.12 / whole_height)
    figure.text(*at, dataset.name, fontsize=12, fontweight="bold", va="top")
    figure.text(at[0], 1 - 0.33 / whole_height, sizes, fontsize=8, color="0.35", va="top")
    return figure


def curve_sheet(dataset: Any, labels: Sequence[str]) -> Any:
    """Return a matplotlib Figure with the first training samples of each class as curves, one class to a panel.

    Args:
        dataset: a `plastic.data.Dataset` whose samples are sequences of numbers (steps,).
        labels: what the classes are called.

    Returns:
        The figure.
    """
    x, y = dataset.train
    columns = min(dataset.classes, 5)
    rows = -(-dataset.classes // columns)
    figure, axes = plotting.figure(rows, columns, 2.1, 1.8, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[dataset.classes :]:
        axis.set_axis_off()
    for label, axis in enumerate(axes.flat[: dataset.classes]):
        for index, curve in enumerate(x[y == label][:_CURVES]):
            axis.plot(curve, color=plotting.COLOURS[index], linewidth=1)
        axis.set_title(labels[label], fontsize="medium")
    for axis in axes[-1]:
        axis.set_xlabel("step")
    for axis in axes[:, 0]:
        axis.set_ylabel("x")
    _say_sizes(figure, dataset, f"curves of {x.shape[1]} steps")
    return figure


def point_sheet(dataset: Any, labels: Sequence[str]) -> Any:
    """Return a matplotlib Figure with the first training samples as points, told apart by colour and marker.

    Args:
        dataset: a `plastic.data.Dataset` whose samples are points (coordinates,), an even number; each two coordinates
            have a panel.
        labels: what the classes are called.

    Returns:
        The figure.
    """
    x, y = (array[:_POINTS] for array in dataset.train)
    pairs = x.shape[1] // 2
    figure, axes = plotting.figure(1, pairs, 4.2, 4.4, squeeze=False)
    for pair, axis in enumerate(axes[0]):
        across, up = 2 * pair, 2 * pair + 1
        for label in range(dataset.classes):
            points = x[y == label]
            look = {"color": plotting.COLOURS[label], "marker": "os^Dv"[label % 5], "s": 9, "linewidths": 0}
            axis.scatter(points[:, across], points[:, up], label=labels[label], alpha=0.7, **look)
        axis.set_aspect("equal")
        axis.set_xlabel(f"coordinate {across}")
        axis.set_ylabel(f"coordinate {up}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    _say_sizes(figure, dataset, f"points with {x.shape[1]} coordinates")
    return figure


SHEETS = {"image": contact_sheet, "curve": curve_sheet, "point": point_sheet}
"""The picture of a data set, by the `kind` of its Source."""


def _say_sizes(figure: Any, dataset: Any, what: str) -> None:
    sizes = f"{len(dataset.train[0]):,} training and {len(dataset.test[0]):,} test {what}"
    figure.suptitle(f"{dataset.name}: {sizes}", fontsize="medium")


def _images(name: str, x: np.ndarray) -> np.ndarray:
    side = int(np.sqrt(x.shape[-1]))
    if x.ndim == 2 and side**2 == x.shape[1]:
        x = x.reshape(-1, side, side)
    if x.ndim == 4 and x.shape[-1] == 3 and x.min() >= 0:
        return x
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3:
        raise PlasticError(
            f"{name}: samples of shape {x.shape[1:]} are no images; (height, width) and, in colour from 0 on, (height, "
            "width, 3) can be shown"
        )
    return x


def _mosaic(images: np.ndarray, y: np.ndarray, classes: int, columns: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the images of each class side by side on white, and the size (height, width) of one image."""
    height, width, *colours = images.shape[1:]
    cells = np.ones((classes, columns, height + _GAP, width + _GAP, *colours), np.float32)  # no x is above 1: white
    for label in range(classes):
        of_class = images[y == label][:columns]
        cells[label, : len(of_class), :height, :width] = of_class
    picture = cells.swapaxes(1, 2).reshape(classes * (height + _GAP), columns * (width + _GAP), *colours)
    return picture[:-_GAP, :-_GAP], (height, width)
