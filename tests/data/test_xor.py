import numpy as np
import pytest

from plastic.data import xor
from plastic.errors import PlasticError


def test_shapes_and_types():
    assert {name: (array.shape, array.dtype) for name, array in xor.generate(40, 12).items()} == {
        "x_train": ((40, 2), np.float64),
        "y_train": ((40,), np.int64),
        "x_test": ((12, 2), np.float64),
        "y_test": ((12,), np.int64),
    }


def test_without_noise_it_is_the_truth_table():
    made = xor.generate(40, 12, noise=0)
    for split, n in (("train", 40), ("test", 12)):
        table = [(*map(int, x), int(y)) for x, y in zip(made[f"x_{split}"], made[f"y_{split}"], strict=True)]
        assert sorted(table) == sorted([(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)] * (n // 4))


def test_the_label_is_that_of_the_nearest_corner():
    made = xor.generate()
    for split in ("train", "test"):
        near = made[f"x_{split}"] > 0.5
        np.testing.assert_array_equal(made[f"y_{split}"], near[:, 0] != near[:, 1])


def test_noise_has_the_deviation_asked_for():
    x = xor.generate(20_000, noise=0.05)["x_train"]
    noise = x - np.round(x)
    np.testing.assert_allclose(noise.std(axis=0), 0.05, rtol=0.03)  # six standard errors
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=6 * 0.05 / np.sqrt(20_000))
    assert abs(np.corrcoef(noise.T)[0, 1]) < 6 / np.sqrt(20_000)


def test_corners_are_shuffled():
    y = xor.generate()["y_train"]
    assert 0.4 < np.mean(np.diff(y) != 0) < 0.6


def test_deterministic_in_the_seed():
    first, again, other = (xor.generate(seed=seed) for seed in (3, 3, 4))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    assert not np.array_equal(first["x_train"][:200], first["x_test"])
    np.testing.assert_array_equal(xor.generate(8, seed=3)["x_test"], first["x_test"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_train": 10}, "n_train is 10; take a multiple of 4"),
        ({"n_train": 4.0}, r"n_train is 4\.0; it must be a whole number"),
        ({"n_test": 0}, "n_test is 0; it must be at least 1"),
        ({"noise": -0.1}, r"noise is -0\.1; it must be at least 0"),
        ({"noise": float("nan")}, "noise is nan; it must be at least 0"),
        ({"noise": "much"}, "noise is 'much'; it must be a number"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"seed": None}, "seed is None; it must be a whole number"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(PlasticError, match=message):
        xor.generate(**options)
