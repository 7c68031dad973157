"""MNIST-1D beside the golden numbers of tests/golden/test_gle_data.py: the published arrays, and what must hold."""

import os
from pathlib import Path

import numpy as np
import pytest

from plastic.data import mnist1d
from plastic.errors import PlasticError

PUBLISHED = Path(os.environ.get("PLASTIC_MIRROR", ""), "mnist1d", "mnist1d_reference.npz")  # read before it is unset


def test_the_published_arrays():
    if not PUBLISHED.is_file():
        pytest.skip("PLASTIC_MIRROR is no folder that holds mnist1d/mnist1d_reference.npz")
    published = np.load(PUBLISHED, allow_pickle=False)
    made = mnist1d.generate()
    for name, key in (("x_train", "x"), ("x_test", "x_test")):
        np.testing.assert_allclose(made[name], published[key], rtol=0, atol=2e-15)
    for name, key in (("y_train", "y"), ("y_test", "y_test")):
        np.testing.assert_array_equal(made[name], published[key], strict=True)


def test_shapes_types_and_class_sizes():
    made = mnist1d.generate(200, 25, seed=3)
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        "x_train": ((160, 25), np.float64),
        "y_train": ((160,), np.int64),
        "x_test": ((40, 25), np.float64),
        "y_test": ((40,), np.int64),
    }
    y = np.concatenate([made["y_train"], made["y_test"]])
    assert np.bincount(y).tolist() == [20] * 10


def test_all_samples_together_are_standardised():
    made = mnist1d.generate(100)
    x = np.concatenate([made["x_train"], made["x_test"]])
    assert x.mean() == pytest.approx(0, abs=1e-14)
    assert x.std() == pytest.approx(1, abs=1e-14)


def test_deterministic_in_the_seed_and_apart_from_the_global_generator():
    np.random.seed(5)
    before = np.random.rand()
    np.random.seed(5)
    first, again, other = (mnist1d.generate(50, seed=seed) for seed in (1, 1, 2))
    assert np.random.rand() == before
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["y_train"], other["y_train"])


def test_any_length_has_the_same_curves():
    """The 72 points of a deformed curve are every other one of 143; each length is standardised on its own."""
    short, long = (mnist1d.generate(50, length) for length in (72, 143))
    np.testing.assert_array_equal(short["y_train"], long["y_train"])
    a, b = short["x_train"], long["x_train"][:, ::2]
    a, b = ((x - x.mean()) / x.std() for x in (a, b))
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_templates():
    curves = mnist1d.templates()
    assert curves.shape == (10, 12)
    assert not curves[:, 0].any()
    np.testing.assert_allclose(curves.std(axis=1), 1 / 6)


def test_times():
    np.testing.assert_allclose(mnist1d.times(11), np.linspace(-5, 5, 11) / 6, atol=1e-15)


def test_resampling_a_straight_line():
    x = np.stack([np.linspace(0, 1, 7), np.linspace(5, -1, 7)])
    expected = np.stack([np.linspace(0, 1, 31), np.linspace(5, -1, 31)])
    np.testing.assert_allclose(mnist1d.resample(x, 31), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"scale_coeff": 0.0}, False),
        ({"shear_scale": 0.0}, False),
        ({"iid_noise_scale": 0.0}, False),
        ({"corr_noise_scale": 0.0}, False),
        ({"max_translation": 1}, False),
        ({"padding": (60, 60)}, False),
        ({}, True),
    ],
)
def test_each_constant_of_the_deformation_has_its_effect(changed, same):
    labels = np.arange(10)
    one, two = (
        mnist1d.deform(labels, np.random.RandomState(3), each)
        for each in (mnist1d.PUBLISHED, mnist1d.Deformation(**changed))
    )
    assert one.shape == two.shape == (10, 72) and np.array_equal(one, two) == same


def test_without_deformation_a_curve_is_its_template_and_zeros():
    """Padded by 24 zeros in all, of 36 steps; nothing moves, shrinks, tilts or adds."""
    none = mnist1d.Deformation((24, 24), 0.0, 1, 0.0, 0.0, 0.0)
    curves = mnist1d.deform(np.arange(10), np.random.RandomState(0), none)
    expected = np.concatenate([mnist1d.templates(), np.zeros((10, 24))], axis=1)
    np.testing.assert_allclose(curves, expected, atol=1e-7)


def test_a_subset_of_the_classes_is_renumbered():
    """The same draws in the same order: with noise alone, the curves are those of the templates that are named."""
    made = mnist1d.generate(20, 72, classes=(7, 2), deformation=mnist1d.Deformation((24, 24), 0.0, 1, 0.0, 0.0, 0.0))
    x, y = (np.concatenate([made[f"{axis}_train"], made[f"{axis}_test"]]) for axis in "xy")
    assert np.bincount(y).tolist() == [10, 10]
    for label, template in ((0, 7), (1, 2)):
        curve = np.concatenate([mnist1d.templates()[template], np.zeros(24)])
        for found in x[y == label]:
            assert np.corrcoef(found, mnist1d.resample(curve, 72))[0, 1] > 1 - 1e-9


@pytest.mark.parametrize(
    "changed",
    [{"padding": (3,)}, {"padding": (5, 4)}, {"padding": (-1, 4)}, {"padding": (0, 10**6)}, {"scale_coeff": -0.1},
     {"max_translation": 0}, {"corr_noise_scale": -1.0}, {"iid_noise_scale": float("nan")}, {"shear_scale": -1.0}],
)  # fmt: skip
def test_deformations_out_of_range(changed):
    with pytest.raises(PlasticError, match=f"{next(iter(changed))} is "):
        mnist1d.Deformation(**changed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": (1,)}, r"classes is \(1,\); take two or more different ones from 0 to 9"),
        ({"classes": (1, 1)}, "classes is"),
        ({"classes": (1, 10)}, "classes is"),
        ({"classes": (0, 1, 2), "num_samples": 50}, "num_samples is 50; take a multiple of 3"),
        ({"num_samples": 5}, "num_samples is 5; it must be at least 10"),
        ({"num_samples": 55}, "num_samples is 55; take a multiple of 10"),
        ({"num_samples": 50.0}, r"num_samples is 50\.0; it must be a whole number"),
        ({"length": 1}, "length is 1; it must be at least 2"),
        ({"length": True}, "length is True; it must be a whole number"),
        ({"seed": -1}, "seed is -1; it must be from 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296; it must be from 0 to 4294967295"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(PlasticError, match=message):
        mnist1d.generate(**options)
