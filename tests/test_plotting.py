"""Figure helpers: what is drawn is what was given, the file is whole, and no global state is touched."""

import os
import subprocess
import sys

import numpy as np
import pytest

from plastic import plotting
from plastic.errors import PlasticError


def test_curves_draws_mean_and_range_of_the_replicas():
    _, axis = plotting.figure()
    y = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 0.0]])
    plotting.curves(axis, [0, 1, 2], {"two": y, "one": [5.0, 5.0, 5.0]})
    two, one = axis.get_lines()
    assert two.get_ydata().tolist() == [2.0, 2.0, 3.0]
    assert one.get_ydata().tolist() == [5.0, 5.0, 5.0]
    (band,) = axis.collections  # a single curve has no band
    edges = {tuple(vertex) for vertex in band.get_paths()[0].vertices}
    assert edges == {(0, 1), (0, 3), (1, 2), (2, 0), (2, 6)}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["two", "one"]


def test_a_missing_replica_is_left_out():
    _, axis = plotting.figure()
    plotting.curves(axis, [0, 1, 2], {"a": np.array([[1.0, np.nan, np.nan], [3.0, 7.0, np.nan]])})
    drawn = np.ma.filled(axis.get_lines()[0].get_ydata(orig=False), np.nan)
    assert np.array_equal(drawn, [2.0, 7.0, np.nan], equal_nan=True)


def test_none_is_a_missing_value():
    _, axis = plotting.figure()
    plotting.curves(axis, [0, 1], {"a": [1.0, None]})
    assert np.array_equal(
        np.ma.filled(axis.get_lines()[0].get_ydata(orig=False), np.nan), [1.0, np.nan], equal_nan=True
    )


METRICS = {  # replica 1 diverged after step 5; the second measure has an empty cell
    "step": [0, 0, 0, 5, 5, 5, 10, 10],
    "epoch": [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0],
    "replica": [0, 1, 2, 0, 1, 2, 0, 2],
    "seed": [7, 9, 8, 7, 9, 8, 7, 8],
    "loss": [0.1, 1.1, 2.1, 0.2, 1.2, 2.2, 0.3, 2.3],
    "error": [1, 2, 3, 4, 5, None, 7, 8],
    "other": [0] * 8,
}


def test_over_epochs_has_nan_where_a_replica_has_no_value():
    epochs, curves = plotting.over_epochs(METRICS, {"error": "Error (%)", "loss": "Loss"})
    assert epochs.tolist() == [0, 0.5, 1] and epochs.dtype == float
    assert list(curves) == ["Error (%)", "Loss"]
    np.testing.assert_array_equal(curves["Loss"], [[0.1, 0.2, 0.3], [1.1, 1.2, np.nan], [2.1, 2.2, 2.3]])
    np.testing.assert_array_equal(curves["Error (%)"], [[1, 4, 7], [2, 5, np.nan], [3, np.nan, 8]])


def test_over_epochs_takes_the_rows_in_any_order():
    """Whole epochs are integers, so that their ticks are whole too."""
    rows = {"step": [20, 0, 0], "epoch": [2.0, 0.0, 0.0], "replica": [0, 1, 0], "loss": [3.0, 2.0, 1.0]}
    epochs, curves = plotting.over_epochs(rows, {"loss": "Loss"})
    assert epochs.tolist() == [0, 2] and np.issubdtype(epochs.dtype, np.integer)
    np.testing.assert_array_equal(curves["Loss"], [[1, 3], [2, np.nan]])


def test_curves_differ_in_more_than_colour():
    _, axis = plotting.figure()
    plotting.curves(axis, np.arange(3), {str(index): np.zeros(3) for index in range(40)})
    lines = axis.get_lines()
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 40
    assert len({line.get_linestyle() for line in lines}) >= 3
    plotting.curves(axis, np.arange(31), {"long": np.zeros(31)})
    assert axis.get_lines()[-1].get_marker() == "None"
    plotting.curves(axis, np.arange(4), {"other positions": np.zeros(4)}, start=1)
    assert axis.get_lines()[-1].get_color() == lines[1].get_color() != lines[0].get_color()


@pytest.mark.parametrize(("count", "inside"), [(6, True), (7, False), (41, False)])
def test_a_legend_that_would_hide_the_curves_lies_beside_it(tmp_path, count, inside):
    fig, (left, right) = plotting.figure(1, 2)
    for axis in (left, right):
        plotting.curves(axis, [0, 1], {f"layer {number}": [0, number] for number in range(count)})
    fig.draw_without_rendering()
    before = left.get_window_extent().width
    plotting.save(fig, tmp_path / "legend.png")  # with no warning of a collapsed layout
    drawn, legend = (each.get_window_extent() for each in (left, left.get_legend()))
    assert (legend.x1 < drawn.x1) == inside and (legend.x0 > drawn.x1 - 1) == (not inside)
    assert drawn.y0 < legend.y0 and legend.x1 < right.get_window_extent().x0
    assert drawn.width == pytest.approx(before, rel=0.02) if inside else drawn.width > 300


@pytest.mark.parametrize(("top", "inside"), [(1, False), (0.3, True)])
def test_a_short_legend_lies_beside_curves_that_leave_no_room(tmp_path, top, inside):
    fig, axis = plotting.figure()
    x = np.linspace(0, 1, 400)
    axis.plot(x, top * np.sin(60 * x) ** 2, label="everywhere below this height")
    axis.plot(x, np.full(400, np.nan), label="nowhere")
    axis.set_ylim(0, 1)
    plotting.legend(axis)
    plotting.save(fig, tmp_path / "legend.png")
    drawn, legend = axis.get_window_extent(), axis.get_legend().get_window_extent()
    assert (legend.x1 < drawn.x1 and legend.y0 > drawn.y0 + top * drawn.height) == inside
    assert (legend.x0 > drawn.x1 - 1) == (not inside)


def test_a_legend_wider_than_its_axis_lies_beside_it(tmp_path):
    fig, axis = plotting.figure(width=3)
    axis.plot([0, 1], [0, 0.1], label="a run with a name that says all of its options, " * 2)
    axis.set_ylim(0, 1)
    plotting.legend(axis)
    plotting.save(fig, tmp_path / "legend.png")  # with no warning of a collapsed layout
    assert axis.get_legend().get_window_extent().x0 > axis.get_window_extent().x1 - 1


def test_a_short_legend_lies_beside_the_axis_where_that_is_asked_for(tmp_path):
    fig, (left, right) = plotting.figure(1, 2)
    for axis, place in ((left, "beside"), (right, "lower left")):
        axis.plot([0, 1], label="one")
        plotting.legend(axis, place)
    plotting.save(fig, tmp_path / "legend.png")
    beside, inside, axis = (each.get_window_extent() for each in (left.get_legend(), right.get_legend(), left))
    assert axis.x1 - 1 < beside.x0 and beside.x1 < right.get_window_extent().x0 < inside.x0
    assert inside.x1 < right.get_window_extent().x1 - 100 and axis.width > 300


def test_a_logarithmic_axis_takes_error_bars():
    """Their caps are lines, too, of values of a kind of their own."""
    _, axis = plotting.figure()
    axis.errorbar([0.1, 1.0], [0.5, 0.4], np.array([[0.1, 0.2], [0.1, 0.1]]), capsize=3)
    axis.errorbar([0.1], np.array([0.0]), np.array([[0.0], [0.1]]), capsize=3)
    plotting.log_scale(axis, "x")
    plotting.log_scale(axis, "y")
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "symlog")


def test_whole_numbers_get_whole_ticks():
    fig, (whole, real) = plotting.figure(1, 2)
    plotting.curves(whole, [1, 2], {"a": [0.0, 1.0]})
    plotting.curves(real, [1.0, 2.0], {"a": [0.0, 1.0]})
    fig.canvas.draw()
    assert all(tick == round(tick) for tick in whole.get_xticks())
    assert any(tick != round(tick) for tick in real.get_xticks())


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (12, 60, ["20", "30", "40", "60"]),
        (0.2, 90, ["1", "10"]),
        (0.02, 0.09, ["0.02", "0.03", "0.04", "0.06"]),
        (2e-4, 2e4, ["0.001", "0.01", "0.1", "1", "10", "100", "1000", "10000"]),
        (5e-5, 0.5, [rf"$\mathdefault{{10^{{{power}}}}}$" for power in (-4, -3, -2, -1)]),
        (0.5, 5e5, [rf"$\mathdefault{{10^{{{power}}}}}$" for power in (0, 1, 2, 3, 4, 5)]),
    ],
)
def test_numbers_of_a_logarithmic_axis_are_plain_where_they_are_handy(which, low, high, texts):
    fig, drawn = plotting.figure()
    plotting.log_scale(drawn, which)
    drawn.set(**{f"{which}lim": (low, high)})
    fig.canvas.draw()
    axis = getattr(drawn, f"{which}axis")
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    shown = sorted((tick.get_loc(), tick.label1.get_text()) for tick in ticks if low <= tick.get_loc() <= high)
    assert [text for _, text in shown if text] == texts


@pytest.mark.parametrize(("values", "texts"), [([60, 45, 0], {"0", "40", "60"}), ([8, 0.02, 0], {"0", "0.1", "1"})])
def test_zeros_are_on_a_logarithmic_axis_of_errors(values, texts):
    """At its foot, below the least positive value, from which on the axis is logarithmic."""
    fig, axis = plotting.figure()
    plotting.curves(axis, np.arange(len(values)), {"error": values})
    axis.axvline(1)  # whose ends, 0 and 1, are no values
    plotting.log_scale(axis, "y")
    fig.canvas.draw()
    assert axis.get_ylim()[0] == 0 and axis.get_yscale() == "symlog"
    ticks = *axis.yaxis.get_major_ticks(), *axis.yaxis.get_minor_ticks()
    assert texts <= {tick.label1.get_text() for tick in ticks}
    height = axis.transData.transform([(0, value) for value in (0, values[1], 10 * values[1])])[:, 1]
    assert 0 < height[1] - height[0] < height[2] - height[1]


@pytest.mark.parametrize("which", ["x", "y"])
def test_a_logarithmic_axis_takes_values_that_are_missing(which):
    """None, as in a table with empty fields, is drawn as a gap."""
    _, axis = plotting.figure()
    axis.plot([1, 2, 3], np.array([0.1, None, 0.2], dtype=object))
    plotting.log_scale(axis, which)
    assert getattr(axis, f"get_{which}scale")() == "log"


@pytest.mark.parametrize("which", ["x", "y"])
def test_error_bars_may_stand_on_a_logarithmic_axis(which):
    """Matplotlib keeps what they were given, a mean and a deviation, as objects."""
    _, axis = plotting.figure()
    axis.errorbar(0.5, 80.0, yerr=np.float64(2.0))
    plotting.log_scale(axis, which)
    assert getattr(axis, f"get_{which}scale")() == "log"


def test_panels_of_one_scale_show_the_zeros_of_each():
    _, (left, right) = plotting.figure(columns=2, sharey=True)
    for axis, values in ((left, [50.0, 4.0, 0.0]), (right, [60.0, 2.0, 1.0])):
        plotting.curves(axis, [0, 1, 2], {"error": values})
        plotting.log_scale(axis, "y")
    assert left.get_yscale() == right.get_yscale() == "symlog"
    assert left.yaxis.get_transform().linthresh == 1


def test_values_above_zero_leave_a_logarithmic_axis_as_it_is():
    _, axis = plotting.figure()
    plotting.curves(axis, [0, 1, 2], {"error": [3.0, np.nan, 0.1]})
    axis.axvline(1)
    plotting.log_scale(axis, "y")
    assert axis.get_yscale() == "log"


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3, 3), ()])
def test_a_shape_that_does_not_fit_is_named(shape):
    _, axis = plotting.figure()
    with pytest.raises(PlasticError, match="curve 'loss' has shape"):
        plotting.curves(axis, [0, 1, 2], {"loss": np.zeros(shape)})


@pytest.mark.parametrize(
    ("x", "ys", "message"),
    [
        ([0, 1], [1.0, 2.0], "ys is a list; it must be a dict of labels to values"),
        ([0, 1], {"loss": ["a", "b"]}, "curve 'loss' holds <U1; numbers are needed"),
        (["a", "b"], {"loss": [1.0, 2.0]}, "x holds <U1; numbers are needed"),
        ([0, 1], {"loss": [[1.0, 2.0], [3.0]]}, "curve 'loss' is no array of numbers on the host"),
        ([0, 1], {"loss": None}, "curve 'loss' has shape"),
        ([0, 1], {"loss": [{}, 1.0]}, "curve 'loss' is no array of numbers on the host"),
        ([[0, 1]], {"loss": [1.0, 2.0]}, "curve 'loss' has shape"),
    ],
)
def test_what_is_no_curve_is_named(x, ys, message):
    _, axis = plotting.figure()
    with pytest.raises(PlasticError, match=message):
        plotting.curves(axis, x, ys)


def test_a_column_that_is_missing_is_named():
    with pytest.raises(PlasticError, match="the metrics have no column 'accuracy'; there are step, epoch, replica"):
        plotting.over_epochs(METRICS, {"accuracy": "Accuracy"})
    with pytest.raises(PlasticError, match="no column 'step'; there are none"):
        plotting.over_epochs({}, {"loss": "Loss"})


@pytest.mark.parametrize("option", [{"rows": 0}, {"columns": 1.5}, {"width": 0}, {"height": float("nan")}])
def test_a_figure_of_no_size(option):
    with pytest.raises(PlasticError, match=f"{next(iter(option))} is "):
        plotting.figure(**option)


@pytest.mark.parametrize("name", ["figure", "figure.h5", "figure."])
def test_a_format_that_is_not_drawn(tmp_path, name):
    fig, _ = plotting.figure()
    with pytest.raises(PlasticError, match=r"the name of a figure ends in \.png, \.pdf or \.svg"):
        plotting.save(fig, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_figure_shapes_and_sharing():
    _, axes = plotting.figure(2, 3, width=2, sharex=True)
    assert axes.shape == (2, 3)
    assert axes[0, 0].get_shared_x_axes().joined(axes[0, 0], axes[1, 2])
    assert not plotting.figure()[1].spines["top"].get_visible()


def test_save_writes_a_png_of_150_dpi_and_nothing_else(tmp_path):
    from matplotlib import image

    fig, axis = plotting.figure(width=4, height=3)
    plotting.curves(axis, [0, 1], {"a": [[0.0, 1.0], [1.0, 2.0]]})
    plotting.save(fig, tmp_path / "curves.png")
    height, width, _ = image.imread(tmp_path / "curves.png").shape
    assert abs(height - 450) < 60 and abs(width - 600) < 60  # "tight" trims or adds a margin
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_save_cuts_nothing_off(tmp_path):
    """A title wider than its panel, as the names of runs make them, ends within the picture."""
    from matplotlib import image

    fig, axis = plotting.figure()
    axis.plot([0, 1])
    axis.set_title("a title that is a good deal wider than the panel that it stands over, as names of runs are")
    plotting.save(fig, tmp_path / "a.png")
    picture = image.imread(tmp_path / "a.png")
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert np.all(edge == 1)


def test_save_into_a_missing_folder_is_a_clear_error(tmp_path):
    fig, _ = plotting.figure()
    with pytest.raises(PlasticError, match=r"cannot write .*nowhere.*: No such file"):
        plotting.save(fig, tmp_path / "nowhere" / "a.png")


def test_palette_is_eight_different_colours():
    assert len(set(plotting.COLOURS)) == 8


def test_without_a_home_folder(tmp_path):
    """As for a number that is no user's, in a container; glyphs are drawn by matplotlib, too."""
    code = """if True:
        import pathlib, sys
        def home():
            raise RuntimeError("Could not determine home directory.")
        pathlib.Path.home = home
        pathlib.Path.expanduser = lambda path: home() if str(path).startswith("~") else path
        from plastic import plotting
        from plastic.data import glyphs
        fig, axis = plotting.figure()
        plotting.save(fig, sys.argv[1])
        print(glyphs._drawn_digits().any())
    """
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("MPLCONFIG", "XDG_", "HOME"))
    }
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.png"], env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_nothing_heavy_is_imported_and_pyplot_never(tmp_path):
    code = """if True:
        import sys
        from plastic import plotting, runs
        assert not {"matplotlib", "h5py", "cupy", "scipy.linalg", "requests", "fire"} & set(sys.modules)
        fig, axis = plotting.figure()
        plotting.curves(axis, [0, 1], {"a": [0, 1]})
        plotting.save(fig, sys.argv[1])
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code, tmp_path / "a.png"], check=True)
