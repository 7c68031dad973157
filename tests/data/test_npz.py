import numpy as np
import pytest

from plastic import data
from plastic.errors import PlasticError


def arrays(**changed):
    plain = {
        "x_train": np.array([[0.0, -4.0], [1.0, 2.0], [3.0, 1.0]]),
        "y_train": np.array([0, 2, 1]),
        "x_test": np.array([[8.0, 0.0], [1.0, 1.0]]),
        "y_test": np.array([1, 3]),
    }
    return plain | changed


@pytest.fixture
def load(tmp_path):
    def save_and_load(values, **options):
        path = tmp_path / "mine.npz"
        np.savez(path, **values)
        return data.load(str(path), **options)

    return save_and_load


def test_own_arrays(load, tmp_path):
    dataset = load(arrays(), dtype="float64", validation=1)
    assert dataset.name == str(tmp_path / "mine.npz")
    np.testing.assert_array_equal(dataset.train[0], [[0, -1], [0.25, 0.5]])  # over max |x_train| = 4
    np.testing.assert_array_equal(dataset.validation[0], [[0.75, 0.25]])
    np.testing.assert_array_equal(dataset.test[0], [[2, 0], [0.25, 0.25]])
    np.testing.assert_array_equal(dataset.validation[1], np.array([1]), strict=True)
    assert dataset.classes == 4  # the test set has one that the training set has not


@pytest.mark.parametrize("kind", [np.uint8, np.int8, bool, np.float32])
def test_labels_and_samples_of_any_real_type(load, kind):
    signs = np.array([[1, 0], [0, 1], [1, 1]]).astype(kind)
    dataset = load(arrays(x_train=signs, y_train=np.array([0, 1, 1]).astype(kind)))
    assert dataset.train[1].tolist() == [0, 1, 1]
    assert dataset.train[1].dtype == np.int64
    assert dataset.train[0].dtype == np.float32


def test_the_most_negative_integer(load):
    dataset = load(arrays(x_train=np.array([[-128], [0], [64]], np.int8), x_test=np.array([[1], [2]])))
    assert dataset.train[0].ravel().tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": np.array([[np.nan, 0], [1, 1]])}, "x_test has values that are not finite"),
        ({"x_train": np.array([[np.inf, 0], [1, 1], [0, 0]])}, "x_train has values that are not finite"),
        ({"y_train": np.array([0, 1, np.nan])}, "y_train has values that are not finite"),
        ({"x_train": np.array([[1j, 0], [1, 1], [0, 0]])}, "x_train has type complex128"),
        ({"x_train": np.array([["a", "b"]] * 3)}, "x_train has type <U1"),
        ({"x_train": np.array([[None, 1]] * 3)}, "cannot be read as an .npz file of plain arrays"),
        ({"y_test": np.array(["cat", "dog"])}, "y_test has type <U3"),
        ({"x_train": np.arange(3.0)}, "x_train has shape (3,); two axes"),
        ({"x_test": np.zeros((0, 2)), "y_test": np.zeros(0)}, "x_test has shape (0, 2); two axes"),
        ({"y_train": np.array([0, 1])}, "y_train has shape (2,); 3 samples need one label each"),
        ({"y_train": np.eye(3)}, "y_train has shape (3, 3); 3 samples need one label each"),
        ({"y_test": np.array([0, -1])}, "y_test has the label -1; labels are whole numbers from 0"),
        ({"y_test": np.array([0, 0.5])}, "y_test has the label 0.5"),
        ({"y_test": np.array([0, 1e30])}, "y_test has the label 1e+30"),
        ({"x_test": np.zeros((2, 3))}, "shapes (3, 2) and (2, 3)"),
        ({"x_train": np.zeros((3, 2))}, "max |x_train| is 0.0"),
        ({"x_train": np.full((3, 2), 1e300)}, "max |x_train| is inf in float32"),
        ({"x_test": np.full((2, 2), 1e300)}, "has to stay finite"),
    ],
)
def test_refuses_with_a_reason(load, changed, message):
    with pytest.raises(PlasticError) as error:
        load(arrays(**changed))
    assert message in str(error.value)
    assert "mine.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_array(load, name):
    values = arrays()
    del values[name]
    with pytest.raises(PlasticError, match=f"has no array {name}; it needs x_train, y_train, x_test, y_test"):
        load(values)


def test_a_missing_file(tmp_path):
    for function in (data.require, data.load):
        with pytest.raises(PlasticError, match=r"the data file .*nothing\.npz does not exist"):
            function(str(tmp_path / "nothing.npz"))


def npy(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros((3, 3)))


@pytest.mark.parametrize(
    "damage",
    [
        npy,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"text"),
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        lambda path: path.write_bytes(path.read_bytes()[:200].ljust(250, b"?") + path.read_bytes()[250:]),
    ],
)
def test_a_damaged_file(tmp_path, damage):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays())
    damage(path)
    with pytest.raises(PlasticError, match=r"mine\.npz cannot be read as an .npz file of plain arrays"):
        data.load(path)
