"""The tables of the lag line and the lag net against the recorded runs: what they say is what metrics.csv has."""

import decimal
from pathlib import Path

import numpy as np
import pytest

from plastic.gle.lagnet_students import TEACHER
from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = (RESULTS / "tables" / "gle.md").read_text(encoding="utf-8")


def row(start):
    return next(each for each in TEXT.splitlines() if each.startswith(f"| `{start}` |"))


def last(name):
    """The last rows of a recorded run, {column: values of the seeds 1, 2, 3}."""
    read = metrics.read(RESULTS / "metrics" / f"gle_lagnet_{name}.csv")
    table = {key: np.array(column) for key, column in read.items()}
    found = {key: column[table["step"] == table["step"].max()] for key, column in table.items()}
    assert found["seed"].tolist() == [1, 2, 3]
    return found


def tells(text, value):
    """Whether a number of the table, 1.27e-2 or .9946, is this one, rounded to its digits."""
    told = decimal.Decimal(text.strip())
    return abs(told - decimal.Decimal(value)) <= decimal.Decimal(5).scaleb(told.as_tuple().exponent - 1)


@pytest.mark.parametrize("model", ["gle", "bp", "bptt_tw4", "bptt_tw2", "bptt_tw1"])
def test_the_lag_line(model):
    read = metrics.read(RESULTS / "metrics" / f"gle_lagline_{model}.csv")
    _, _, loss, _, w, _, tau, *_ = row(model).split("|")
    assert read["step"][-1] == 4050 and tells(loss, read["loss"][-1])
    for cell, names in ((w, ("w_0", "w_1")), (tau.partition("(")[0], ("tau_0", "tau_1"))):
        for text, name in zip(cell.split(","), names, strict=True):
            assert tells(text, read[name][-1]), (name, text, read[name][-1])


@pytest.mark.parametrize(
    ("name", "start"),
    [("published", "| (none) |"), ("small", "| `--small_weights` |"), ("textbook", "| `--boundary=textbook` |")],
)
def test_the_lag_net(name, start):
    read = metrics.read(RESULTS / "metrics" / f"gle_lagnet_{name}.csv")
    line = next(each for each in TEXT.splitlines() if each.startswith(start))
    for student, cell in zip(("gle", "am"), line.split("|")[2:4], strict=True):
        if cell.strip() == "as the first":
            cell = next(each for each in TEXT.splitlines() if each.startswith("| (none) |")).split("|")[2]
        weights, loss = cell.split(";")
        assert tells(loss, read[f"loss_{student}"][-1])
        assert all(tells(text, read[f"w{k}_{student}"][-1]) for k, text in enumerate(weights.split(",")))


def shown(value):
    """A number as the table has it, of two digits: 6.2e-9, .14."""
    return f"{value:.2f}".removeprefix("0") if value >= 0.01 else f"{value:.1e}".replace("e-0", "e-")


@pytest.mark.parametrize(
    ("name", "options"),
    [("steps", "--input=steps"), ("ou", "--input=ou"), ("sigmoid", "--activation=sigmoid")],
)
def test_two_weights(name, options):
    """The losses of each seed, and the least and the largest Euclidean distance of w from the teacher's."""
    found, (_, *cells, _) = last(name), row(options).split("|")
    for student, cell in zip(("gle", "am"), cells[1:], strict=True):
        losses, distances = cell.split(";")
        w = np.stack([found[f"w{k}_{student}"] for k in range(2)], axis=-1)
        away = np.linalg.norm(w - TEACHER[0].W[0], axis=-1)
        assert f"w {shown(away.min())} to {shown(away.max())} away" == distances.strip()
        assert losses.strip() == ", ".join(map(shown, found[f"loss_{student}"]))


def test_all_layers():
    found, (_, *cells, _) = last("wide"), row("--widths=6,6 --bias --learned=1,2,3 --input=ou").split("|")
    for student, cell in zip(("gle", "am"), cells[1:], strict=True):
        both = [", ".join(map(shown, found[f"{what}_{student}"])) for what in ("loss", "distance")]
        assert cell.strip() == "; ".join(both)


def test_spoken_digits():
    """Validation accuracy at the end, mean and standard deviation of the seeds, as `gsc` tells them."""
    read = metrics.read(RESULTS / "metrics" / "gle_fsdd.csv")
    accuracy = 100 * np.array(read["validation_accuracy"])[np.array(read["epoch"]) == 50]
    spread = f"{accuracy.std():.1f}".removeprefix("0")
    assert read["seed"][-3:] == [1, 2, 3]
    assert f"validation accuracy is {accuracy.mean():.1f} % (standard deviation {spread}" in " ".join(TEXT.split())


def test_sequences_of_digits():
    """Test accuracy after 150 epochs, mean and standard deviation of the five seeds."""
    read = metrics.read(RESULTS / "metrics" / "gle_mnist1d_static.csv")
    accuracy = 100 * np.array(read["test_accuracy"])[np.array(read["epoch"]) == 150]
    assert read["seed"][-5:] == [0, 1, 2, 3, 4]
    told = row("static_lagnet").split("|")[3].strip()
    assert told == f"{accuracy.mean():.2f}, {accuracy.std():.2f}"
