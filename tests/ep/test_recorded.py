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


@pytest.mark.parametrize("net", ["EB-2h", "P-3h", "P-conv"])
def test_one_epoch(net):
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_short.csv").items()}
    rows = [each for each in TEXT.splitlines() if each.startswith(f"| {net} | ") and "--epochs 1 --benchmark" in each]
    cells = [each.strip() for each in rows[0].split("|")]
    for method, cell in zip(("EP", "BPTT"), cells[4:6], strict=True):
        own = (table["net"] == net) & (table["method"] == method) & (table["epoch"] == 1)
        ((test, train),) = np.stack([table["test_error"][own], table["train_error"][own].astype(float)], axis=1)
        assert cell == f"{100 * test:.2f} ({100 * train:.1f})"
    guide = (RESULTS.parent / "docs" / "ep.md").read_text(encoding="utf-8")
    assert any(
        each.startswith(f"| {net}, 1 ") and each.endswith(f" | {' | '.join(cells[4:6])} |")
        for each in guide.splitlines()
    )


def test_eight_epochs():
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_short.csv").items()}
    (row,) = (each for each in TEXT.splitlines() if each.startswith("| P-2h | ") and "--epochs 8 --benchmark" in each)
    cells = [each.strip() for each in row.split("|")]
    for method, cell in zip(("EP", "BPTT"), cells[4:6], strict=True):
        own = (table["net"] == "P-2h") & (table["method"] == method) & (table["epoch"] > 0)
        assert table["epoch"][own].tolist() == list(range(1, 9))
        test, train = (100 * table[name][own].astype(float) for name in ("test_error", "train_error"))
        assert cell == f"{test.min():.2f} ({1 + test.argmin()}), {test[-1]:.2f} ({train[-1]:.2f})"


def test_to_rest_sooner():
    """Of each run and seed; where a seed is lost there is no mean."""
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_rest.csv").items()}
    text = TEXT.partition("### To rest sooner")[2]
    rows = [[cell.strip() for cell in each.split("|")[3:5]] for each in text.splitlines() if each.startswith("| ")][1:6]
    for name, (of_seeds, mean) in zip(("eb2h", "eb2ha", "eb2hs", "p1h", "p1hl"), rows, strict=True):
        own = (table["run"] == name) & (table["epoch"] == 2)
        errors = 100 * table["test_error"][own]
        assert table["seed"][own].tolist() == [1, 2, 3]
        assert of_seeds == ", ".join(f"{each:.2f}" for each in errors)
        assert mean == (f"{errors.mean():.1f} ± {errors.std(ddof=1):.1f}" if errors.max() < 50 else "")


RULES = ("ep", "ep-rs", "adam", "adam-c", "cel", "cel-adam", "cep", "cep-rs", "vf", "vf22", "vf90", "cvf")
"""The runs of the rules that followed, in the order of the page."""


def test_the_rules_that_followed():
    """The last test errors of the three seeds, their mean and standard deviation."""
    table = {key: np.array(column) for key, column in metrics.read(RESULTS / "metrics" / "ep_rules.csv").items()}
    text = TEXT.partition("### Rules of the papers that followed")[2]
    rows = [each.split("|")[3:5] for each in text.splitlines() if each.startswith("| ")][1 : 1 + len(RULES)]
    assert set(table["run"]) == set(RULES)
    for name, (of_seeds, mean) in zip(RULES, rows, strict=True):
        own = (table["run"] == name) & (table["epoch"] == 5)
        errors = 100 * table["test_error"][own]
        assert table["seed"][own].tolist() == [1, 2, 3]
        assert of_seeds.strip() == ", ".join(f"{each:.2f}" for each in errors)
        assert mean.strip() == f"{errors.mean():.1f} ± {errors.std(ddof=1):.1f}"
