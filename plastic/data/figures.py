"""Pictures of data sets."""

import numpy as np

from plastic.errors import PlasticError

_GAP = 2  # pixels between two images
_ZOOM = 3  # dots of the picture per pixel of an image
_DPI = 200
_MARGINS = {"left": 0.85, "right": 0.15, "bottom": 0.15, "top": 0.55}  # inches
_MOST_ROWS = 20


def contact_sheet(dataset, labels, columns=16):
    """Return a matplotlib Figure with the first training samples of each class, one class to a row.

    dataset: a `plastic.data.Dataset` whose samples are images (height, width), or square images as flat vectors.
    labels: what the classes are called, at least as many as there are classes; the first 20 are shown.
    Raises PlasticError where the samples are no images.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x, y = dataset.train
    classes = min(dataset.classes, _MOST_ROWS)
    picture, (height, width) = _mosaic(_images(dataset.name, x), y, classes, columns)

    inches = {"down": picture.shape[0] * _ZOOM / _DPI, "across": picture.shape[1] * _ZOOM / _DPI}
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


def _images(name, x):
    side = int(np.sqrt(x.shape[-1]))
    if x.ndim == 2 and side**2 == x.shape[1]:
        x = x.reshape(-1, side, side)
    if x.ndim != 3:
        raise PlasticError(f"{name}: samples of shape {x.shape[1:]} are no grey images; (height, width) can be shown")
    return x


def _mosaic(images, y, classes, columns):
    """Return the images of each class side by side on white, and the size (height, width) of one image."""
    height, width = images.shape[1:]
    cells = np.ones((classes, columns, height + _GAP, width + _GAP), np.float32)  # no x is above 1: white
    for label in range(classes):
        of_class = images[y == label][:columns]
        cells[label, : len(of_class), :height, :width] = of_class
    picture = cells.swapaxes(1, 2).reshape(classes * (height + _GAP), columns * (width + _GAP))
    return picture[:-_GAP, :-_GAP], (height, width)
