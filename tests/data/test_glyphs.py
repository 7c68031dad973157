import numpy as np
import pytest

from plastic.data import glyphs
from plastic.errors import PlasticError


@pytest.fixture(scope="module")
def made():
    return glyphs.generate(1203, 400)


@pytest.fixture
def quick(fields, monkeypatch):
    monkeypatch.setattr(glyphs, "_distance_fields", lambda: fields)


def test_shapes_and_types(made):
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        "x_train": ((1203, 28, 28), np.uint8),
        "y_train": ((1203,), np.uint8),
        "x_test": ((400, 28, 28), np.uint8),
        "y_test": ((400,), np.uint8),
    }


def test_classes_are_balanced_and_shuffled(made):
    assert sorted(np.bincount(made["y_train"])) == [120] * 7 + [121] * 3
    assert np.bincount(made["y_test"]).tolist() == [40] * 10
    # the labels of neighbours are as good as independent: about one pair in ten is equal (a sorted set has nine)
    assert 0.05 < np.mean(np.diff(made["y_train"]) == 0) < 0.15


def test_the_same_seed_gives_the_same_bytes(made):
    again = glyphs.generate(1203, 400)
    for name, array in made.items():
        np.testing.assert_array_equal(again[name], array)


def test_the_test_set_does_not_depend_on_the_size_of_the_training_set(made, quick):
    np.testing.assert_array_equal(glyphs.generate(10, 400)["x_test"], made["x_test"])


def test_another_seed_gives_other_images(made, quick):
    other = glyphs.generate(1203, 400, seed=1)
    assert not np.array_equal(other["y_train"], made["y_train"])
    assert not np.array_equal(other["x_test"], made["x_test"])


def test_all_images_differ(made):
    images = np.concatenate([made["x_train"], made["x_test"]]).reshape(-1, 784)
    assert len(np.unique(images, axis=0)) == len(images)


def test_a_style_sheet_of_the_user_changes_nothing(made):
    import matplotlib

    dark = {"figure.facecolor": "black", "savefig.facecolor": "black", "text.color": "white", "patch.facecolor": "red"}
    with matplotlib.rc_context(dark):
        np.testing.assert_array_equal(glyphs.generate(10, 400)["x_test"], made["x_test"])


def test_digits_are_bright_in_the_middle_and_the_ground_is_dark(made):
    pixels = made["x_train"] / 255.0
    assert 0.1 < pixels.mean() < 0.25
    assert pixels[:, 4:24, 4:24].mean() > 5 * np.concatenate([pixels[:, :2], pixels[:, -2:]], axis=1).mean()
    assert (pixels.max(axis=(1, 2)) > 0.5).all()  # no digit has vanished


def test_the_drawn_digits_have_the_topology_of_digits():
    from scipy.ndimage import label

    ink = glyphs._drawn_digits()
    assert ink.shape == (20, 10, 112, 112)
    for font, digits in zip(glyphs._FONTS, ink, strict=True):
        for digit, drawn in enumerate(digits):
            rows, columns = np.nonzero(drawn)
            assert 78 <= max(np.ptp(rows), np.ptp(columns)) <= 80  # 20 pixels of 4 dots
            pieces, holes = label(drawn)[1], label(~drawn, np.ones((3, 3)))[1] - 1
            dotted_zero = digit == 0 and "Mono" in font
            assert pieces == (2 if dotted_zero else 1)
            assert holes == {0: 1, 4: 1, 6: 1, 8: 2, 9: 1}.get(digit, 0)


def test_distances_are_those_from_the_outline(fields):
    centre = glyphs._drawn_digits()[..., ::2, ::2]  # one dot of each block of 2 x 2 that a kept value stands for
    clear = np.abs(fields) > 0.5  # pixels: further from the outline than a block is wide
    np.testing.assert_array_equal((fields < 0)[clear], centre[clear])
    # a distance grows by at most one per pixel, and there are two values to a pixel
    assert np.abs(np.diff(fields, axis=-1)).max() <= 0.5 + 1e-4
    assert np.abs(np.diff(fields, axis=-2)).max() <= 0.5 + 1e-4


def test_looking_up_is_exact_for_a_plane():
    # bilinear interpolation reproduces a + b y + c x; the middle of the field is the offset 0, and a pixel two values
    m = 56
    position = (np.arange(m) - (m - 1) / 2) / 2
    field = (3 + 2 * position[:, None] - position[None, :]).astype(np.float32)
    rng = np.random.default_rng(0)
    down, across = rng.uniform(-13, 13, (2, 1, 28, 28)).astype(np.float32)
    found = glyphs._look_up(np.stack([field]), down.copy(), across.copy())
    np.testing.assert_allclose(found, 3 + 2 * down - across, atol=1e-4)


def test_the_elastic_displacement_is_standard_normal_at_every_pixel():
    spread = glyphs._smooth(np.random.default_rng(0).standard_normal((20_000, 4, 4), np.float32))
    assert spread.shape == (20_000, 28, 28)
    np.testing.assert_allclose(spread.std(axis=0), 1, atol=0.03)  # standard error of a deviation: 0.005
    # neighbours move together
    assert np.abs(np.diff(spread, axis=-1)).std() < 0.15


def test_the_nearest_class_mean_is_not_enough(quick):
    """The point of the set: a linear rule gets far above chance, and leaves something for hidden units to do."""
    made = glyphs.generate(3000, 1000)
    x, y = made["x_train"].reshape(3000, -1) / 255.0, made["y_train"]
    means = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    scores = made["x_test"].reshape(1000, -1) / 255.0 @ means.T - (means**2).sum(axis=1) / 2
    accuracy = np.mean(scores.argmax(axis=1) == made["y_test"])
    assert 0.5 < accuracy < 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_train": 0}, "n_train is 0; it must be at least 1"),
        ({"n_test": 1.5}, r"n_test is 1\.5; it must be a whole number"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(PlasticError, match=message):
        glyphs.generate(**options)
