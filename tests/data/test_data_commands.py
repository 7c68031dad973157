import os
import subprocess
import sys

import numpy as np
import pytest

from plastic import data
from plastic.data import commands, glyphs
from plastic.data.catalogue import SOURCES
from plastic.data.figures import contact_sheet, curve_sheet, point_sheet
from plastic.errors import PlasticError


@pytest.fixture
def few_glyphs(monkeypatch, tmp_path, fields):
    monkeypatch.setattr(glyphs, "_distance_fields", lambda: fields)
    made = glyphs.generate(200, 50)
    monkeypatch.setattr(glyphs, "generate", lambda: made)
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path))
    return made


def test_list_says_what_is_here(few_glyphs, tmp_path, capsys):
    commands.list_sets()
    before = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert list(before)[1:11] == list(data.names())
    assert "download, 12 MB" in before["MNIST"]
    assert "made in seconds" in before["glyphs"]
    assert "from PLASTIC_MIRROR" in before["CIFAR-10-JPEG"] and "download, 170 MB" in before["CIFAR-10"]
    assert "CC BY-SA 4.0" in before["KMNIST"]
    assert not list(tmp_path.iterdir())
    commands.get("glyphs")
    commands.list_sets()
    after = capsys.readouterr().out
    assert " yes " in next(line for line in after.splitlines() if line.startswith("glyphs  "))
    assert str(tmp_path) in after


def test_get_says_what_it_got(few_glyphs, capsys):
    commands.get("GLYPHS")
    assert "glyphs is ready: 200 training and 50 test samples of 28 x 28, 10 classes" in capsys.readouterr().out


def test_get_says_how_many_numbers_a_sample_has(tmp_path, capsys):
    commands.get("yinyang", folder=str(tmp_path))
    assert "YinYang is ready: 5,000 training and 1,000 test samples of 4 numbers, 3 classes" in capsys.readouterr().out


def test_show_writes_a_picture_and_never_over_one(few_glyphs, tmp_path, capsys):
    commands.show("glyphs")
    path = tmp_path / "glyphs.png"
    assert capsys.readouterr().out == f"{path}\n"
    png = path.read_bytes()
    assert png.startswith(b"\x89PNG")
    with pytest.raises(PlasticError, match=f"{path} exists and is left as it is"):
        commands.show("glyphs")
    assert path.read_bytes() == png
    commands.show("glyphs", out=str(tmp_path / "new" / "other.png"))
    assert (tmp_path / "new" / "other.png").read_bytes() == png


def test_the_sheet_shows_the_first_images_of_each_class_in_its_row(few_glyphs):
    dataset = data.load("glyphs")
    figure = contact_sheet(dataset, [f"class {i}" for i in range(10)], columns=3)
    (axes,) = figure.axes
    shown = axes.images[0].get_array()
    x, y = dataset.train
    for label in range(10):
        for column in range(3):
            cell = shown[30 * label : 30 * label + 28, 30 * column : 30 * column + 28]
            np.testing.assert_array_equal(cell, x[y == label][column])
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"class {i}" for i in range(10)]
    # every pixel of an image is a whole number of dots of the picture
    width, height = axes.get_window_extent().size
    np.testing.assert_allclose([width, height], [3 * shown.shape[1], 3 * shown.shape[0]])


def test_the_sheet_of_curves_shows_the_first_of_each_class_in_its_panel(tmp_path):
    dataset = data.load("MNIST-1D", folder=tmp_path)
    figure = curve_sheet(dataset, [f"class {i}" for i in range(10)])
    x, y = dataset.train
    assert len(figure.axes) == 10
    for label, axis in enumerate(figure.axes):
        assert axis.get_title() == f"class {label}"
        assert len(axis.lines) == 3
        for line, curve in zip(axis.lines, x[y == label], strict=False):
            np.testing.assert_array_equal(line.get_ydata(), curve)


@pytest.mark.parametrize(("name", "panels", "shown"), [("YinYang", 2, 2000), ("XOR", 1, 1000)])
def test_the_sheet_of_points_tells_the_classes_apart(tmp_path, name, panels, shown):
    dataset = data.load(name, folder=tmp_path)
    labels = SOURCES[name].labels
    figure = point_sheet(dataset, labels)
    x, y = (array[:shown] for array in dataset.train)
    assert len(figure.axes) == panels
    for panel, axis in enumerate(figure.axes):
        assert (axis.get_xlabel(), axis.get_ylabel()) == (f"coordinate {2 * panel}", f"coordinate {2 * panel + 1}")
        assert len(axis.collections) == len(labels)
        for label, points in enumerate(axis.collections):
            assert points.get_label() == labels[label]
            np.testing.assert_array_equal(points.get_offsets(), x[y == label][:, 2 * panel : 2 * panel + 2])
    colours = {tuple(points.get_facecolor()[0]) for points in axis.collections}
    assert len(colours) == len(labels)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(labels)


@pytest.mark.parametrize("name", ["MNIST-1D", "MNIST-1D-360", "YinYang", "XOR"])
def test_show_draws_curves_and_points_too(tmp_path, capsys, name):
    commands.show(name, folder=str(tmp_path))
    path = tmp_path / f"{name.lower()}.png"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_sheet_of_own_images(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    path = tmp_path / "Mine.npz"
    y = np.array([0, 25, 2, 2])  # classes 1 and 3 to 24 have no sample to be shown
    test = np.arange(26)
    np.savez(path, x_train=rng.normal(size=(4, 16)), y_train=y, x_test=rng.normal(size=(26, 16)), y_test=test)
    commands.show(str(path), folder=str(tmp_path))
    assert (tmp_path / "mine.png").is_file()


def test_samples_that_are_no_images(tmp_path):
    path = tmp_path / "mine.npz"
    x, y = np.ones((4, 5)), np.array([0, 1, 0, 1])
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(PlasticError, match=r"samples of shape \(5,\) are no images"):
        commands.show(str(path), folder=str(tmp_path))


def test_colour_images_are_shown_in_colour(tmp_path):
    rng, y = np.random.default_rng(0), np.array([0, 1, 0, 1])
    x = rng.random((4, 6, 5, 3), dtype=np.float32)
    split = (x, y)
    dataset = data.Dataset("mine", split, split, None, 2)
    figure = contact_sheet(dataset, ["a", "b"], columns=3)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    assert picture.shape == (2 * 6 + 2, 3 * 5 + 2 * 2, 3)
    np.testing.assert_allclose(
        figure.axes[0].get_window_extent().size, [16 * 19, 16 * 14]
    )  # dots: small pixels are large
    np.testing.assert_array_equal(picture[:6, :5], x[0])
    np.testing.assert_array_equal(picture[8:, 7:12], x[3])


def test_grey_images_with_an_axis_of_channels_are_shown_in_grey(tmp_path):
    x, y = np.random.default_rng(0).random((4, 6, 5, 1), dtype=np.float32), np.array([0, 1, 0, 1])
    figure = contact_sheet(data.Dataset("mine", (x, y), (x, y), None, 2), ["a", "b"], columns=3)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(picture[8:, 7:12], x[3, ..., 0])


def test_colours_of_an_npz_file_are_shown(tmp_path, capsys):
    x, y = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8), np.arange(6) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    commands.show(str(tmp_path / "mine.npz"), folder=str(tmp_path))
    assert capsys.readouterr().out == f"{tmp_path / 'mine.png'}\n" and (tmp_path / "mine.png").stat().st_size > 1000


def run(tmp_path, *words):
    environment = os.environ | {"PLASTIC_DATASETS": str(tmp_path / "sets")}
    command = [sys.executable, "-m", "plastic.data", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_command_line(tmp_path):
    listed = run(tmp_path, "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "FMNIST" in listed.stdout
    wrong = run(tmp_path, "get", "MINST")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: unknown data set 'MINST'")
    assert wrong.stderr.count("\n") == 1
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize("name", ["a/b", "a/b.gif", "x.npz"])
def test_a_picture_of_another_kind_is_refused_before_any_folder_is_made(tmp_path, name):
    with pytest.raises(PlasticError, match=r"out is .*; it must end in \.png, \.pdf, \.svg"):
        commands.show("glyphs", out=str(tmp_path / name))
    assert not list(tmp_path.iterdir())
