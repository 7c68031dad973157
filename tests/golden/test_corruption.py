"""The golden tests notice a wrong number, whichever it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_ep
import test_eprop
import test_gait

from plastic import xp
from plastic.errors import PlasticError

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.glob("*.npz") if path.stem != "gait_mnist")
CHECKS = {"gait": test_gait.check, "ep": test_ep.check, "eprop": test_eprop.check}  # by family


def _without_effect(stem, name):
    """What no number in the file depends on."""
    if name.startswith("gait_delta_ref64_"):
        return int(name.split("_")[-1]) <= 12 - 5  # noise, or nearly: too far from the output of twelve layers
    if stem == "eprop_evidence_inputs" and name.startswith(("stat_", "x_packed", "input_nums")):
        return True  # statistics, and spikes, of which one per cent more or less lies within the standard errors
    if name == "params_names":
        return True
    if stem.startswith("ep_") and name in ("note", "seed", "mnist_t10k_index", "model", "activation"):
        return True  # words, and where weights and images came from
    if name == "clamp" and not stem.startswith("ep_eb") and stem not in ("ep_train_eb2h", "ep_toy_tanh"):
        return True  # clamps energy-based nets only
    return (stem, name) in {
        ("ep_toy_tanh", "lr"),  # it is not trained
        ("ep_conv2_hardsigm", "fixed_point_residual"),  # rounding alone
        ("ep_eb2h_tanh", "fixed_point_residual"),
        ("gait_blank", "gamma"),  # all activities are 0
        ("gait_blank", "W0_0"),  # so is the input
        ("gait_cross", "lam"),  # the weights are orthogonal
        ("gait_cross", "lr"),  # no steps
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_array_counts(path):
    """The largest entry of each array, off by one per cent (a flag: turned over), is noticed."""
    numbers = dict(np.load(path, allow_pickle=False))
    unnoticed = []
    for name in numbers:
        if not _without_effect(path.stem, name) and not _notices(_corrupted(numbers, name), path.stem):
            unnoticed.append(name)
    assert not unnoticed


@pytest.mark.parametrize("name", ["init_corner_4", "out_init", "step1_db_2", "step1_dWpatch_0", "W3_patch_3", "b3_1"])
def test_the_fingerprints_count(name):
    """A wrong number of the slow file is noticed too; one of its first configuration, which is reached soonest."""
    numbers = dict(np.load(HERE / "gait_mnist.npz", allow_pickle=False))
    first = {key: array for key, array in numbers.items() if key.startswith("bp_h4_")}
    assert _notices(_corrupted(first, f"bp_h4_{name}"), "gait_mnist")


def test_a_directory_of_the_users(tmp_path):
    """--golden=DIR reads that directory: right numbers pass there, and one wrong number fails."""
    for stem in ("gait_sq_relu", "gait_adam"):
        shutil.copy(HERE / f"{stem}.npz", tmp_path)
    numbers = _corrupted(dict(np.load(tmp_path / "gait_sq_relu.npz")), "tp_dW_1")
    np.savez(tmp_path / "gait_sq_relu.npz", **numbers)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        HERE / "test_gait.py",
        f"--golden={tmp_path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout


def _corrupted(numbers, name):
    array = numbers[name].copy()
    read = array[..., : numbers["widths"][1]] if name == "x" and "widths" in numbers else array
    entry = np.unravel_index(np.argmax(np.abs(read)), read.shape)
    if array.dtype.kind == "f" and array[entry]:
        array[entry] *= 1.01
    else:
        array[entry] = 0 if array[entry] else 1
    return numbers | {name: array}


def _notices(numbers, stem):
    xp.use(dtype="float64")
    try:
        CHECKS[stem.split("_")[0]](numbers)
    except (AssertionError, PlasticError, KeyError, ValueError, IndexError, ZeroDivisionError, Warning):
        return True
    return False
