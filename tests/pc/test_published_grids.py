"""The published grids (Song et al. 2024), as literals: what every command tries where nothing is said."""

import pytest

from plastic.pc.__main__ import COMMANDS
from plastic.pc.experiments import (
    alignment,
    cnn,
    coin,
    depth,
    drift,
    erratic,
    fear,
    forgetting,
    images,
    interference,
    online,
    pairs,
    prospective_index,
    replicas,
    reversal,
    rl,
    smalldata,
    teacher,
    trajectory,
)

MODULES = {
    "alignment": alignment,
    "cnn": cnn,
    "coin": coin,
    "depth": depth,
    "drift": drift,
    "erratic": erratic,
    "fear": fear,
    "forgetting": forgetting,
    "interference": interference,
    "online": online,
    "prospective_index": prospective_index,
    "rl": rl,
    "smalldata": smalldata,
    "teacher": teacher,
    "trajectory": trajectory,
}

GRIDS = {
    "interference": {"rates": (0.2, 0.1, 0.05, 0.01, 0.005), "iterations": 2048},
    "alignment": {
        "depths": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
    },
    "trajectory": {"small_iterations": 150},
    "teacher": {"rates": (0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 0.00075, 0.0005)},
    "depth": {
        "depths": (1, 2, 4, 6, 8, 10, 12, 14, 15),
        "rates": (5, 1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6),
    },
    "online": {"batch_sizes": (1, 8, 16, 32, 64)},
    "forgetting": {"rates": (0.005, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4), "iterations": 84},
    "drift": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001), "iterations": 3000},
    "cnn": {"rates": (2.5e-4, 1e-4, 7.5e-5, 5e-5, 2.5e-5, 1e-5), "epochs": 80},
    "rl": {"rates": (0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4), "episodes": 10_000},
    "coin": {
        "spreads": (1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5),
        "rates": (0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6, 1e-6),
        "memory_rates": (0.1, 0.05, 0.01, 0.005, 0.001, 5e-4),
    },
    "fear": {"rates": (1.0, 0.1, 0.01, 0.001)},
}
SEEDS = {"alignment": 27, "prospective_index": 5, "teacher": 6, "erratic": 99, "forgetting": 21, "drift": 3}
SEEDS |= {"coin": 24, "fear": 8}
DEFAULTS = {
    "interference": {"T": 128, "gamma": 0.1, "discount": 0.5},
    "alignment": {"T": 512, "width": 64, "rate": 0.001, "gamma": 0.1, "discount": 0.5, "init": "xavier-uniform"},
    "prospective_index": {"layers": 6, "width": 64, "T": 128, "rates": (0.1, 0.001), "gamma": 0.1, "discount": 0.5},
    "trajectory": {
        "rate_pc": 1.3969543147208123,
        "rate_bp": 0.4,
        "iterations": 15,
        "small_rate": 0.05,
        "discount": 0.8,
    },
    "teacher": {"iterations": 128, "points": 64, "batch_size": 4, "T": 128, "gamma": 0.1, "discount": 0.8},
    "erratic": {"iterations": 64, "T": 200, "gamma": 0.1, "discount": 0.9, "width": 32, "few_seeds": 5},
    "depth": {"epochs": 64, "per_class": 60, "T": 128, "gamma": 0.1, "discount": 0.5}
    | {"dataset": "FMNIST", "seeds": (1, 2, 3), "rules": ("pc", "bp")}
    | {"activation": "leaky", "init": "xavier-normal", "task": "classification"},
    "online": {"epochs": 64, "batches": 200, "T": 64, "gamma": 0.1, "discount": 0.5, "seeds": (1, 2, 3)},
    "smalldata": {"epochs": 64, "T": 64, "gamma": 1.0, "discount": 0.5, "same_test": True, "seeds": (1, 2, 3)}
    | {"width": 32, "loss_coefficient": 0.5, "rules": ("pc", "bp")},
    "forgetting": {
        "per_class": 600,
        "batch_size": 500,
        "T": 64,
        "gamma": 0.1,
        "discount": 0.9,
        "shared_outputs": True,
        "last_output": False,
        "separate_outputs": False,
        "blocked_errors": False,
        "interval": 4,
        "width": 32,
    },
    "drift": {
        "per_class": 120,
        "test_per_class": 100,
        "batch_size": 32,
        "T": 128,
        "gamma": 0.1,
        "discount": 0.5,
        "pretraining_epochs": 64,
        "pretraining_rate": 0.01,
        "signed_targets": True,
    },
    "cnn": {"batch_size": 200, "channels": (64, 128), "hidden": 512, "T": 16, "gamma": 0.5, "discount": 0.5}
    | {"dataset": "CIFAR-10", "seeds": (1, 2, 3)},
    "rl": {"hidden": (128, 128), "batch_size": 60, "updates": 10, "memory": 50_000, "start": 2000}
    | {"reward_discount": 0.98, "T": 32, "gamma": 0.05, "discount": 1.0, "seeds": (1, 2, 3)},
    "coin": {"blocks": 24, "tests": 8, "full": False, "T": 256, "gamma": 0.1, "discount": 0.9},
    "fear": {"iterations": 32, "spreads": (0.01,), "T": 200, "gamma": 0.5, "discount": 0.5},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_published_grids(name):
    defaults = COMMANDS[name].experiment.defaults
    assert {key: defaults[key] for key in DEFAULTS[name]} == DEFAULTS[name]
    assert defaults["grid"] == "paper"
    if name in GRIDS:
        paper = MODULES[name].GRIDS["paper"]
        assert {option: value for option, value in paper.items() if option != "seeds"} == GRIDS[name]
        assert all(defaults[option] is None for option in GRIDS[name])
    if name in SEEDS:
        assert MODULES[name].GRIDS["paper"]["seeds"] == SEEDS[name] and defaults["seeds"] is None


def test_the_published_reversal():
    """It has no grid of ours: each rule has a spread and a number of seeds of its own."""
    published = {"seeds_pc": 22, "seeds_bp": 40, "spreads_pc": (0.05,), "spreads_bp": (0.1,), "rates": (0.1,)}
    published |= {"trials": 128, "T": 256, "gamma": 0.1, "discount": 0.9}
    defaults = COMMANDS["reversal"].experiment.defaults
    assert {key: defaults[key] for key in published} == published
    assert (reversal.LATE, reversal.IN_A_ROW, reversal.P_REVERSAL) == (64, 4, 0.25)
    assert reversal.P_REWARD == {True: 0.7, False: 0.4}


def test_the_rates_of_small_and_of_single_batches():
    assert online.RATES == {
        1: (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
        8: (0.01, 0.025, 0.05, 0.1),
        16: (0.0075, 0.01, 0.025, 0.05),
        32: (0.005, 0.0075, 0.01, 0.025, 0.05),
        64: (0.001, 0.0025, 0.005, 0.0075, 0.01),
    }
    assert 2 * 3 * sum(map(len, online.RATES.values())) == 144  # the published runs
    few = smalldata.GRIDS["paper"]
    assert few["per_class"] == (60, 300, 600, 3000, 6000) and smalldata.BATCH_SIZE == 60
    assert (few["rates"][0], few["rates"][-1]) == (0.1, 1e-5) and 2 * 3 * 5 * len(few["rates"]) == 510


def test_the_couples_of_erratic_learning():
    grid = erratic.GRIDS["paper"]
    assert [len(grid[f"rates_{rule}"]) for rule in ("pc", "bp", "gr", "ap")] == [25, 22, 19, 12]
    assert (grid["rates_pc"][0], grid["rates_pc"][-1]) == (0.476, 0.572)
    assert (grid["rates_bp"][0], grid["rates_bp"][-1]) == (0.336, 0.378)
    assert (grid["rates_gr"][0], grid["rates_gr"][-1]) == (0.002, 0.00344)
    assert (grid["rates_ap"][0], grid["rates_ap"][-1]) == (0.001, 0.00188)
    assert (25 + 22) * 99 == 4653 and (19 + 12) * 5 == 155  # the published runs
    assert erratic.PHASES[False] == {"steps_gr": 128, "gamma_gr": 0.01, "steps_ap": 64, "gamma_ap": 0.001}
    assert (erratic.LAYERS, erratic.SPREAD) == (3, 0.1)


def test_sizes_of_the_networks_and_their_batches():
    assert (depth.WIDTH, depth.BATCH_SIZE) == (64, 60)
    assert images.HIDDEN == (32, 32) and forgetting.LAYERS == 3 and replicas.SEEDS == (1, 2, 3)
    assert (forgetting.TASKS, forgetting.PER_TASK) == (2, 5)
    assert (drift.BATCH_SIZE_BEFORE, images.CLASSES) == (60, 10)
    assert teacher.SIZES == (2, 2, 1) and trajectory.V == (1.0, 2.0) and trajectory.TARGET == (1.0, 1.0)
    assert interference.TARGET == (0.0, 1.0)
    assert (prospective_index.STEPS, prospective_index.RATE) == (100, 0.01)
    assert prospective_index.UPDATES == {"w'": 1, "w*": 100}
    assert pairs.GAINS == {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": 2**0.5, "leaky": 0.9999000099990001}
