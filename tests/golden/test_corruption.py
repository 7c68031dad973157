"""The golden tests notice a wrong number, whichever it is."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_ep
import test_eprop
import test_gait
import test_gle
import test_gle_full
import test_pc

from plastic import xp
from plastic.data import mnist1d
from plastic.errors import PlasticError

HERE = Path(__file__).parent
SLOW = ("gait_mnist", "gle_lagline_fullrun_gle", "gle_lagnet_fullrun", "pc_toys")
FILES = sorted(path for path in HERE.glob("*.npz") if path.stem not in SLOW)
TRAINED = tuple(
    f"gle_net_{name}"
    for name in ("l1_tanh_prosp_gamma", "l2_tanh_ce_adam", "l3_fullforward", "l3_softplus_tau_adam", "l3_tanh_sgdmom")
)
DISCOUNTED = tuple(
    f"pc_{name}"
    for name in (
        *("mlp_leaky_1h", "mlp_leaky_2h", "mlp_leaky_3h", "mlp_linear_3h", "mlp_relu_1h", "mlp_relu_2h", "mlp_relu_3h"),
        *("mlp_tanh_1h", "mode_biglr_discount", "mode_last_adam", "mode_ppc_adamwd"),
    )
)  # files in which an energy that counts does not fall at some step
CHECKS = {  # by family
    "gait": test_gait.check,
    "ep": test_ep.check,
    "eprop": test_eprop.check,
    "gle": test_gle.check,
    "pc": test_pc.check,
}


def _without_effect(stem, name):
    """What no number in the file depends on."""
    if name.startswith("gait_delta_ref64_"):
        return int(name.split("_")[-1]) <= 12 - 5  # noise, or nearly: too far from the output of twelve layers
    if stem == "eprop_evidence_inputs" and name.startswith(("stat_", "x_packed", "input_nums")):
        return True  # statistics, and spikes, of which one per cent more or less lies within the standard errors
    if stem in ("gait_cross", "gait_sq_ortho") and name.startswith("ortho_g_"):
        return True  # rounding alone: the weights are orthogonal
    if name == "params_names":
        return True
    if stem.startswith("ep_") and name in ("note", "seed", "mnist_t10k_index", "model", "activation"):
        return True  # words, and where weights and images came from
    if name == "clamp" and not stem.startswith("ep_eb") and stem not in ("ep_train_eb2h", "ep_toy_tanh"):
        return True  # clamps energy-based nets only
    if stem.startswith("gle_") and name in ("seed", "eval_y"):
        return True  # where numbers came from, and labels of which no accuracy is given
    if stem.startswith("gle_net_") and name in ("lr", "momentum"):
        return stem not in TRAINED or (name == "momentum" and stem != "gle_net_l3_tanh_sgdmom")
    if stem.startswith("pc_") and name == "seed":
        return True  # where weights and data came from
    if stem.startswith("pc_") and name == "x_lr_discount":
        return stem not in DISCOUNTED  # the energy falls at every step, or it is 1, or what it changes is rounding
    if stem == "pc_toys" and name.endswith(("_lr_x", "_x_lr_discount")):
        return True  # inference comes to rest, whatever its rate
    return (stem, name) in {
        ("pc_conv", "rbp_E_t"),  # empty: there are no hidden energies
        ("pc_conv", "rbp_lrx_t"),  # not numbers: there is no inference
        ("pc_conv", "x_lr_discount"),  # the energy falls at every step
        ("pc_alignment_deep", "linear_L8_tp_alignment"),  # pseudo-inverses of so many layers amplify rounding
        ("pc_alignment_deep", "linear_L12_tp_alignment"),
        ("ep_toy_tanh", "lr"),  # it is not trained
        ("ep_conv2_hardsigm", "fixed_point_residual"),  # rounding alone
        ("ep_eb2h_tanh", "fixed_point_residual"),
        ("gait_blank", "gamma"),  # all activities are 0
        ("gait_blank", "W0_0"),  # so is the input
        ("gait_cross", "lam"),  # the weights are orthogonal
        ("gait_cross", "lr"),  # no steps
        ("gle_functions", "phi_hard_sigmoid_torch"),  # a function that no network uses, which is not here
        ("gle_functions", "dphi_hard_sigmoid_torch"),
        ("gle_functions", "plateau_mnist1d_loss"),  # a loss that is the largest cannot be the best
        ("gle_functions", "plateau_gsc_loss"),
        ("gle_net_l2_batchchange_notarget", "y"),  # the largest is a target of a neuron whose slope is 0
        ("gle_lagline_seedinit", "init"),  # they count in the run that begins with them: below
        ("gle_lagline_seedinit", "shift"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_array_counts(path, monkeypatch):
    """The largest entry of each array, off by one per cent (a flag: turned over), is noticed."""
    monkeypatch.setattr(mnist1d, "generate", functools.cache(mnist1d.generate))
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


@pytest.mark.parametrize(("run", "end"), [("lagline_fullrun_gle", 7000), ("lagnet_fullrun", 9000)])
def test_the_arrays_of_a_full_run_count(run, end):
    """A wrong number in the first part of a slow run, in which it has just begun to learn, is noticed."""
    numbers = dict(np.load(HERE / f"gle_{run}.npz", allow_pickle=False))
    beginning = numbers["step"] < end
    rows = {name for name, array in numbers.items() if abs(array.size - beginning.size) <= 1 or array.ndim == 2}
    numbers |= {name: numbers[name][: beginning.sum()] for name in rows}
    numbers |= test_gle_full.shifts_beside(HERE / f"gle_{run}.npz", numbers)
    counted = [name for name in numbers if name not in ("seed", "dtype", "gle_lambda_note", "n_steps")]
    assert [name for name in counted if not _notices(_corrupted(numbers, name), f"gle_{run}")] == []
    assert not _notices(numbers, f"gle_{run}")


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
    if array.dtype.kind == "U":
        return numbers | {name: np.full_like(array, "nothing")}
    entry = np.unravel_index(np.nanargmax(np.abs(array) * _is_read(numbers, name)), array.shape)
    if array.dtype.kind == "f" and array[entry]:
        array[entry] *= 1.01
    else:
        array[entry] = 0 if array[entry] else 1
    return numbers | {name: array}


def _is_read(numbers, name):
    """Where an array has entries that anything depends on: a mask that broadcasts to it."""
    if name == "x" and "widths" in numbers:
        return np.arange(numbers["x"].shape[-1]) < numbers["widths"][1]
    if name in ("x", "y", "has_target") and "B" in numbers:
        steps, batch = numbers["x"].shape[:2]
        rows = np.arange(batch) < numbers["B"][:, None]
        rows[0] &= name == "x"  # the first step sends no errors
        rows &= numbers["has_target"][:, None] | (name == "x")
        return rows[:, 0] if name == "has_target" else rows.reshape(steps, batch, *[1] * (numbers[name].ndim - 2))
    return True


def _notices(numbers, stem):
    xp.use(dtype="float64")
    try:
        CHECKS[stem.split("_")[0]](numbers)
    except (AssertionError, PlasticError, KeyError, ValueError, IndexError, ZeroDivisionError, Warning):
        return True
    return False
