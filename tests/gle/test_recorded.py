"""The table of the lag net against the recorded runs: what it says is what metrics.csv has."""

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
