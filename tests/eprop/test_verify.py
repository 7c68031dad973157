"""The two numerical verifications: what they print and leave, and that they find what is broken."""

import pathlib
import re

import numpy as np
import pytest
from commands.eprop import printed, refused

from plastic import runs, xp
from plastic.eprop import gradients, spiking
from plastic.eprop.experiments import figures
from plastic.eprop.experiments.verify import SETTINGS, differences


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


KINDS = ("factorization_vs_BPTT", "hardcoded_vs_autodiff")


@pytest.mark.parametrize("words, seeds", [("", "12345"), ("--dtype=float32", "12345"), ("--seeds=7,3", "73")])
@pytest.mark.parametrize("which", KINDS)
def test_verify(which, words, seeds):
    *lines, folder = printed(f"verify {which}", words)
    limit = "0.0001" if "float32" in words else "1e-12"
    assert lines[-1] == f"{which}: all within {limit}" and len(lines) == len(seeds) + 1
    for line, seed in zip(lines, seeds, strict=False):
        found = re.fullmatch(rf"seed {seed}: relative differences W_in (\S+), W_rec (\S+)", line)
        assert all(0 <= float(value) <= float(limit) for value in found.groups())
        if "float32" in words:  # the precision is the one asked for
            assert max(float(value) for value in found.groups()) > 1e-9
    run = runs.Run(folder.removeprefix("run folder "))
    assert run.config["status"] == "finished" and run.options["tolerance"] == float(limit)
    rows = run.metrics()
    assert list(rows) == ["seed", "verification", "W_in", "W_rec"] and rows["verification"] == [which] * len(seeds)
    assert rows["seed"] == [int(seed) for seed in seeds] and run.folder.name.startswith(f"verify-{which}-")
    for line, *values in zip(lines, rows["W_in"], rows["W_rec"], strict=False):
        assert line.endswith("relative differences W_in {:.1e}, W_rec {:.1e}".format(*values))
    assert printed(f"verify --which={which}", words)[:-1] == lines


def test_the_figures_show_both_gradients_and_the_trial_of_the_first_seed():
    *_, folder = printed("verify --seeds=2,1")
    run = runs.Run(folder.removeprefix("run folder "))
    arrays = run.arrays()
    for which, (T, _) in SETTINGS.items():
        shapes = {name: arrays[f"{which}/{name}"].shape for name in ("x", "z", "L", "e")}
        assert shapes == {"x": (T, 3), "z": (T, 8), "L": (T, 8), "e": (T, 11 * 8)}
        for part in ("W_in", "W_rec"):
            one, two = (arrays[f"{which}/{way}/{part}"] for way in ("one", "two"))
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-12 * np.abs(two).max())
        found = np.einsum("tj,tij->ij", arrays[f"{which}/L"], arrays[f"{which}/e"].reshape(T, 11, 8))  # sum of L^t e^t
        expected = np.concatenate([arrays[f"{which}/one/W_in"], arrays[f"{which}/one/W_rec"]])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    axes = [axis for axis in figures.compared([run]).axes if axis.images]
    assert len(axes) == 6 and all(axis.get_title() and axis.get_xlabel() and axis.get_ylabel() for axis in axes)
    for row, which in enumerate(KINDS):
        for column, way in enumerate(("one", "two")):
            shown = np.ma.filled(axes[3 * row + column].images[0].get_array(), np.nan)
            parts = [arrays[f"{which}/{way}/{part}"] for part in ("W_in", "W_rec")]
            np.testing.assert_array_equal(shown, np.concatenate(parts))
    rows = [axis for axis in figures.verified([run]).axes if axis.get_label() != "<colorbar>"]
    np.testing.assert_array_equal(rows[1].get_lines()[0].get_data(), np.nonzero(arrays[f"{KINDS[0]}/z"]))
    np.testing.assert_array_equal(np.ma.filled(rows[3].images[0].get_array(), np.nan), arrays[f"{KINDS[0]}/e"].T)


def test_verify_alone_runs_both():
    *lines, folder = printed("verify --seeds=1,2")
    each = [printed(f"verify {which} --seeds=1,2")[:-1] for which in KINDS]
    assert lines == each[0] + each[1]
    run = runs.Run(folder.removeprefix("run folder "))
    assert run.metrics()["verification"] == [which for which in KINDS for _ in range(2)]
    assert run.folder.name.startswith("verify-both-seed1+2-")


@pytest.mark.parametrize("words", ["--tolerance=0", "--tolerance=0 --dtype=float32"])
@pytest.mark.parametrize("which", KINDS)
def test_verify_fails_beyond_the_tolerance(which, words):
    message = refused(f"verify {which}", words)
    assert which in message and "tolerance" in message
    assert list(pathlib.Path().iterdir()) == []


BREAKS = {
    "1 %": lambda G: {k: None if v is None else 1.01 * v for k, v in G.items()},
    "one entry of W_in": lambda G: G | {"W_in": G["W_in"] + 1e-3 * np.eye(*G["W_in"].shape) * np.abs(G["W_in"]).max()},
    "W_rec": lambda G: G | {"W_rec": G["W_rec"] * (1 + 1e-3)},
    "NaN": lambda G: G | {"W_in": G["W_in"] * np.nan},
}


@pytest.mark.parametrize("way", BREAKS)
@pytest.mark.parametrize("which", KINDS)
def test_verify_finds_a_broken_rule(monkeypatch, which, way):
    module, name = (spiking, "factorised_gradients") if which == KINDS[0] else (gradients, "online_gradients")
    rule = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a: BREAKS[way](rule(*a)))
    for words in ("", "--dtype=float32", "--seeds=4"):
        assert which in refused(f"verify {which}", words)


def test_verify_finds_a_broken_simulation_of_one_seed(monkeypatch):
    """One seed of many is enough to fail."""
    rule, calls = gradients.online_gradients, []

    def third(*arguments):
        G = rule(*arguments)
        calls.append(1)
        return G | {"W_rec": G["W_rec"] * 1.1} if len(calls) == 3 else G

    monkeypatch.setattr(gradients, "online_gradients", third)
    message = refused("verify hardcoded_vs_autodiff --seeds=1,2,3,4,5,6,7,8")
    assert "tolerance" in message and "W_rec, seed 3" in message


def test_verify_in_float64_needs_float64():
    assert "tolerance" in refused("verify factorization_vs_BPTT --dtype=float32 --tolerance=1e-12")


@pytest.mark.parametrize("which", SETTINGS)
def test_verification_on_each_backend(backend, which):
    found = differences(which, 3)
    xp.use("numpy", dtype="float64")
    expected = differences(which, 3)
    assert found.keys() == expected.keys() == {"W_in", "W_rec"}
    assert all(0 <= value < 1e-12 for value in (*found.values(), *expected.values()))
