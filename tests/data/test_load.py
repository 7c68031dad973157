import dataclasses
import functools
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from plastic import data
from plastic.data import catalogue, glyphs, mnist1d, npz, xor, yinyang
from plastic.errors import PlasticError

MIRROR = os.environ.get("PLASTIC_MIRROR", "")  # read before the tests take it away


@pytest.fixture
def kmnist(small_set, site, tmp_path, monkeypatch):
    """A small set under the name KMNIST, with md5 digests as that set has; the value is its arrays."""
    files, _, arrays = small_set
    site.files |= {f"/{name}": content for name, content in files.items()}
    digests = [hashlib.md5(content).hexdigest() for content in files.values()]
    make = functools.partial(catalogue.make_idx, dataset="kmnist", digests=digests, mirrors=[site.url])
    monkeypatch.setitem(catalogue.SOURCES, "KMNIST", dataclasses.replace(catalogue.SOURCES["KMNIST"], make=make))
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path))
    return arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_idx_set(kmnist, tmp_path, dtype):
    for _ in range(2):  # fetched, then read
        dataset = data.load("kmnist", dtype)
        for split in ("train", "test"):
            x, y = getattr(dataset, split)
            pixels = kmnist[f"x_{split}"]
            largest = np.dtype(dtype).type(kmnist["x_train"].max())  # 200, not 255: by the data
            np.testing.assert_array_equal(x, pixels.astype(dtype) / largest, strict=True)
            np.testing.assert_array_equal(y, kmnist[f"y_{split}"].astype(np.int64), strict=True)
        assert (dataset.name, dataset.validation, dataset.classes) == ("KMNIST", None, 10)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kmnist.h5", "kmnist.h5.lock", "raw"]


def test_a_damaged_store_is_made_again_from_the_raw_files(kmnist, site, tmp_path):
    before = data.load("KMNIST")
    asked = len(site.log)
    (tmp_path / "kmnist.h5").write_bytes((tmp_path / "kmnist.h5").read_bytes()[:-100])
    np.testing.assert_array_equal(data.load("KMNIST").test[0], before.test[0])
    assert len(site.log) == asked


def test_validation_is_the_end_of_each_class(kmnist):
    """Thirty samples, three of each class in any order: a third of each class is its last one."""
    whole = data.load("KMNIST")
    for share, count in ((1 / 3, 1), (0.2, 1), (0.5, 2), (0.8, 2)):
        split = data.load("KMNIST", validation=share)
        members = [np.flatnonzero(whole.train[1] == label) for label in range(10)]
        held = np.sort(np.concatenate([each[-count:] for each in members]))
        left = np.sort(np.concatenate([each[:-count] for each in members]))
        for i in range(2):
            np.testing.assert_array_equal(split.validation[i], whole.train[i][held])
            np.testing.assert_array_equal(split.train[i], whole.train[i][left])
            np.testing.assert_array_equal(split.test[i], whole.test[i])
        assert split.classes == 10


@pytest.mark.parametrize("share", [0.9, 0.1])
def test_validation_leaves_a_sample_of_each_class_on_either_side(kmnist, share):
    with pytest.raises(PlasticError, match=rf"validation is {share}, which would hold out [30] of the 3 .* class 0"):
        data.load("KMNIST", validation=share)


@pytest.mark.parametrize("k", [-0.1, 1, 400, True, "ten", None, float("nan")])
def test_validation_is_a_share(tmp_path, k):
    with pytest.raises(PlasticError, match=f"validation is {k!r}; it must be "):
        data.load("KMNIST", validation=k, folder=tmp_path / "sets")
    assert not list(tmp_path.iterdir())  # refused before anything is fetched


def test_validation_may_be_a_number_of_numpy(kmnist):
    assert len(data.load("KMNIST", validation=np.float32(0.4)).validation[0]) == 10


def test_the_folder_of_a_call_goes_before_the_environment(kmnist, tmp_path):
    data.load("KMNIST", folder=tmp_path / "other")
    assert (tmp_path / "other" / "kmnist.h5").is_file()
    assert not (tmp_path / "kmnist.h5").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("y_train", lambda y: y[:-1]),
        ("y_test", lambda y: y + 1),  # a 10
        ("x_test", lambda x: x[:, :27]),
        ("x_train", lambda x: x[:0]),
    ],
)
def test_files_that_do_not_belong_together(small_set, idx_bytes, site, tmp_path, name, change):
    files, digests, arrays = small_set
    place = list(arrays).index(name)
    file = list(files)[place]
    files[file] = idx_bytes(change(arrays[name]))
    digests[place] = hashlib.sha256(files[file]).hexdigest()
    site.files |= {f"/{each}": content for each, content in files.items()}
    with pytest.raises(PlasticError, match="as many 28 x 28 images as labels"):
        catalogue.make_idx(tmp_path, "mnist", digests, [site.url])


def test_names_in_any_case():
    names = ("MNIST", "FMNIST", "KMNIST", "CIFAR-10", "CIFAR-10-JPEG", "glyphs")
    assert data.names() == (*names, "MNIST-1D", "MNIST-1D-360", "YinYang", "XOR")
    assert [data.require(name) for name in ("mnist", "FMnist", "KMNIST", "GLYPHS")] == [*names[:3], names[-1]]
    assert [data.require(name) for name in ("mnist-1d", "Mnist-1D-360", "yinyang", "xor")] == list(data.names()[6:])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("MINST", "MNIST"), ("glyph", "glyphs"), ("mnist1d", "MNIST-1D"), ("cifar10", "CIFAR-10"), ("", "")],
)
def test_an_unknown_name(name, hint, tmp_path):
    with pytest.raises(PlasticError, match=r"take MNIST, FMNIST, .*, XOR or the path of an \.npz file") as error:
        data.load(name, folder=tmp_path / "sets")
    assert str(error.value).endswith(f"did you mean {hint}?" if hint else "file")
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize("dtype", ["float16", "int32", "double precision", np.uint8, None, 32, "complex64", ">f4"])
def test_a_dtype_that_is_not_supported(tmp_path, dtype):
    with pytest.raises(PlasticError, match=r"dtype .* is not supported; take float32 or float64"):
        data.load("glyphs", dtype=dtype, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_a_dtype_in_any_spelling(tmp_path, dtype):
    assert data.load("XOR", dtype=dtype, folder=tmp_path).train[0].dtype == np.float64


@pytest.mark.parametrize("name", [None, 3, ["MNIST"], b"MNIST"])
def test_a_name_that_is_no_text(name):
    for call in (data.load, data.require, data.sizes):
        with pytest.raises(PlasticError, match=r"name is .*; it must be the name of a data set or the path"):
            call(name)


@pytest.mark.parametrize("folder", [3, "", True])
def test_a_folder_that_is_no_path(folder):
    with pytest.raises(PlasticError, match=r"folder is .*; it must be a path"):
        data.load("XOR", folder=folder)


def test_records_are_shown_in_one_line(tmp_path):
    assert repr(catalogue.SOURCES["MNIST"]) == (
        "Source MNIST, handwritten digits: 60,000 + 10,000 samples of shape (28, 28)"
    )
    assert repr(data.load("XOR", folder=tmp_path, validation=0.1)) == (
        "Dataset XOR: 900 training, 100 validation, 200 test samples of shape (2,), 2 classes"
    )


def test_where_the_files_go(monkeypatch, tmp_path):
    assert data.default_folder() == Path(data.__file__).resolve().parents[2] / "datasets"
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path))
    assert data.default_folder() == tmp_path
    monkeypatch.delenv("PLASTIC_DATASETS")
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site-packages" / "plastic" / "data" / "__init__.py"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.default_folder() == tmp_path / ".cache" / "plastic"


def test_where_the_files_go_of_a_user_without_a_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site-packages" / "plastic" / "data" / "__init__.py"))
    with pytest.raises(
        PlasticError, match=r"PLASTIC_DATASETS can name another\) is .* but no home folder is known for ~"
    ):
        data.load("XOR")
    monkeypatch.setenv("PLASTIC_DATASETS", "~/x")
    with pytest.raises(PlasticError, match="PLASTIC_DATASETS is '~/x', but no home folder is known for ~; write the"):
        data.load("XOR")
    with pytest.raises(PlasticError, match="folder is '~/y', but no home folder"):
        data.load("XOR", folder="~/y")
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home_really():
    """A number that is no user's, and no HOME: as in many containers."""
    code = """if True:
        import os
        from plastic import runs, system
        from plastic.errors import PlasticError
        if os.getuid() == 0:
            os.setuid(54321)
        try:
            system.expanded("~/x", "it")
        except PlasticError as error:
            print(error)
        print(runs.results_folder())
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "PLASTIC_RESULTS")}
    done = subprocess.run([sys.executable, "-c", code], env=kept, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "results", done
    if os.getuid() == 0:
        assert "no home folder is known for ~" in done.stdout


def test_a_folder_of_a_name_that_is_too_long(tmp_path):
    with pytest.raises(PlasticError, match=r"cannot read .*: File name too long"):
        data.load("XOR", folder=tmp_path / ("x" * 300))


def test_importing_loads_nothing_heavy():
    heavy = ("matplotlib", "requests", "fire", "cupy", "h5py", "scipy", "filelock", "tqdm")
    code = f"import sys, plastic.data; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_glyphs_are_kept(tmp_path, monkeypatch, fields):
    monkeypatch.setattr(glyphs, "_distance_fields", lambda: fields)
    generate = functools.partial(glyphs.generate, 50, 20)
    monkeypatch.setattr(glyphs, "generate", generate)
    first = data.load("glyphs", folder=tmp_path)
    monkeypatch.setattr(glyphs, "generate", None)
    again = data.load("glyphs", folder=tmp_path)
    np.testing.assert_array_equal(first.train[0], again.train[0])
    assert first.train[0].shape == (50, 28, 28)
    assert first.test[0].shape == (20, 28, 28)
    assert first.train[0].max() == 1


GENERATED = {
    "MNIST-1D": mnist1d.generate,
    "MNIST-1D-360": functools.partial(mnist1d.generate, length=360),
    "YinYang": yinyang.generate,
    "XOR": xor.generate,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", GENERATED)
def test_curves_and_points_keep_their_scale(tmp_path, name, dtype):
    made, source = GENERATED[name](), catalogue.SOURCES[name]
    for _ in range(2):  # made, then read
        loaded = data.load(name, dtype, folder=tmp_path)
        for split in ("train", "test"):
            x, y = getattr(loaded, split)
            np.testing.assert_array_equal(x, made[f"x_{split}"].astype(dtype), strict=True)
            np.testing.assert_array_equal(y, made[f"y_{split}"], strict=True)
            assert x.shape == (getattr(source, split), *source.shape)
        assert loaded.classes == len(source.labels)


def real(name, dataset, tmp_path, monkeypatch):
    if not (Path(MIRROR) / dataset / "train-images-idx3-ubyte.gz").is_file() or not MIRROR:
        pytest.skip(f"PLASTIC_MIRROR is no folder that holds {dataset}")
    monkeypatch.setenv("PLASTIC_MIRROR", MIRROR)
    loaded = data.load(name, folder=tmp_path)
    assert loaded.train[0].shape == (60_000, 28, 28)
    assert loaded.test[0].shape == (10_000, 28, 28)
    assert loaded.classes == 10
    return loaded


def test_real_mnist(tmp_path, monkeypatch):
    mnist = real("MNIST", "mnist", tmp_path, monkeypatch)
    assert mnist.train[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test[1][:5].tolist() == [7, 2, 1, 0, 4]
    # the figures everybody normalises MNIST with, and its known class sizes
    assert mnist.train[0].mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert mnist.train[0].std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)
    assert np.bincount(mnist.train[1]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_real_fashion_mnist(tmp_path, monkeypatch):
    fashion = real("FMNIST", "fashion-mnist", tmp_path, monkeypatch)
    assert np.bincount(fashion.train[1]).tolist() == [6000] * 10
    assert np.bincount(fashion.test[1]).tolist() == [1000] * 10
    assert fashion.train[0].mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert fashion.train[0].std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)


def test_sizes_are_known_without_reading(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "none"))
    assert data.sizes("mnist") == (60_000, 784, 10)
    assert data.sizes("glyphs") == (10_000, 784, 10)
    assert data.sizes("MNIST-1D") == (4_000, 40, 10)
    assert data.sizes("MNIST-1D-360") == (4_000, 360, 10)
    assert data.sizes("YinYang") == (5_000, 4, 3)
    assert data.sizes("XOR") == (1_000, 2, 2)
    assert [data.width(name) for name in ("mnist", "YinYang")] == [784, 4]
    assert not (tmp_path / "none").exists()


def test_the_width_of_a_file_is_read_from_its_head(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_array", None)  # nothing else is read
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "own.npz", x_train=np.zeros((5, 3, 4, 2), order="F"))
        assert data.width(tmp_path / "own.npz") == 24
    np.savez(tmp_path / "own.npz", y_train=np.zeros(5))
    with pytest.raises(PlasticError, match="has no array x_train"):
        data.width(tmp_path / "own.npz")
    (tmp_path / "own.npz").write_bytes(b"PK")
    with pytest.raises(PlasticError, match="cannot be read as an"):
        data.width(tmp_path / "own.npz")
    with pytest.raises(PlasticError, match="does not exist"):
        data.width(tmp_path / "none.npz")


def test_a_damaged_head_has_no_shape(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("x_train.npy", b"no array")
    with pytest.raises(PlasticError, match="x_train is no array, or its header is damaged"):
        data.width(tmp_path / "own.npz")


@pytest.mark.parametrize(
    "name, package", [("GSC", "plastic.gle gsc"), ("fsdd", "FSDD"), ("Timit", "plastic.eprop timit")]
)
def test_speech_is_not_unknown(name, package):
    """`plastic.data list` shows it; who asks for it elsewhere is told where it is."""
    with pytest.raises(PlasticError, match=f"^{name} is no data set of images.* but speech: .*{package}"):
        data.require(name)


def test_a_file_in_the_home_folder(tmp_path, monkeypatch):
    """A shell leaves the ~ of --dataset=~/mine.npz as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    arrays = {"x_train": np.eye(4), "y_train": np.arange(4), "x_test": np.eye(4), "y_test": np.arange(4)}
    np.savez(tmp_path / "mine.npz", **arrays)
    assert data.require("~/mine.npz") == str(tmp_path / "mine.npz")
    assert data.load("~/mine.npz").classes == data.width("~/mine.npz") == 4
    assert data.contents("~/mine.npz") == data.contents(tmp_path / "mine.npz")
    with pytest.raises(PlasticError, match=r"the data file .*gone\.npz does not exist"):
        data.require("~/gone.npz")
