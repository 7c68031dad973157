"""The table of training against the recorded runs: what it says is what metrics.csv has."""

from pathlib import Path

import numpy as np
import pytest

from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = (RESULTS / "tables" / "ep.md").read_text(encoding="utf-8")


def told(name, method):
    """What a recorded run came to, as the table has it: best (at epoch), last (training), in per cent."""
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / f"ep_{name}.csv").items()}
    own = (table["method"] == method) & (table["epoch"] > 0)
    test, train = (100 * table[key][own].astype(float) for key in ("test_error", "train_error"))
    assert len(test) == 30
    best = np.argmin(test)
    return f"{test[best]:.2f} ({table['epoch'][own][best]:.0f}), {test[-1]:.2f} ({train[-1]:.2f})"


@pytest.mark.parametrize(
    ("name", "net", "options", "both"),
    [
        ("eb1h", "EB-1h", "--benchmark", True),
        ("p1h", "P-1h", "--benchmark", True),
        ("p1h_centered", "P-1h", "--nudging centered", False),
        ("p1h_random_sign", "P-1h", "--nudging random-sign", False),
        ("eb1h_centered", "EB-1h", "--nudging centered", False),
        ("p1h_leaky", "P-1h, leaky", "--benchmark", True),
    ],
)
def test_training(name, net, options, both):
    row = next(
        each
        for each in TEXT.partition("## Training")[2].splitlines()
        if each.startswith(f"| {net} | ") and f"--epochs 30 {options}`" in each
    )
    cells = [each.strip() for each in row.split("|")]
    assert cells[4] == told(name, "EP")
    assert cells[5] == (told(name, "BPTT") if both else "")


def test_what_the_map_does_sooner():
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_p1h.csv").items()}
    errors = 100 * table["test_error"][table["method"] == "EP"]
    assert np.argmax(errors < 2.5) == 6 and "under 2.5 % after six epochs" in TEXT


@pytest.mark.parametrize(("tolerance", "called"), [(0, "none"), (1e-5, "`--tolerance 1e-5`")])
def test_maps_with_and_without_a_tolerance(tolerance, called):
    """The last errors of seeds 1, 2, 3, and their mean and standard deviation."""
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_pconv.csv").items()}
    last = (table["tolerance"] == tolerance) & (table["epoch"] == 2)
    assert table["seed"][last].tolist() == [1, 2, 3]
    test, train = (100 * table[f"{name}_error"][last] for name in ("test", "train"))
    row = next(each for each in TEXT.splitlines() if each.startswith(f"  | {called} | "))
    of_seeds, mean, training = [cell.strip() for cell in row.split("|")][2:5]
    assert of_seeds == ", ".join(f"{each:.2f}" for each in test)
    assert mean == f"{test.mean():.1f} ± {test.std(ddof=1):.1f}".replace(" 0.", " .")
    assert training == ", ".join(f"{each:.1f}" for each in train)
