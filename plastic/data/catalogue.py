"""The data sets that have a name: what they are, where they come from, and how their arrays are made from that."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plastic.data import cifar, glyphs, idx, mnist1d, xor, yinyang
from plastic.data.download import fetch
from plastic.errors import PlasticError

_DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True, repr=False)
class Source:
    """A data set with a name.

    Attributes:
        name: as `plastic.data.load` takes it.
        about, licence: for people.
        train, test: numbers of samples.
        shape: of one of them.
        labels: what the classes are called.
        megabytes: to download, or to copy where there is no mirror but the user's.
        kind: how a sample is drawn, "image", "curve" or "point".
        make: a function of the folder for raw files that returns the arrays {"x_train", "y_train", "x_test", "y_test"}.
        scale: whether x is to be divided by max |x_train|; not where the published data have a scale of their own.
        public: whether there are mirrors; else it is read from PLASTIC_MIRROR.
    """

    name: str
    about: str
    licence: str
    train: int
    test: int
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    megabytes: int
    kind: str
    make: Callable[[Path], dict[str, np.ndarray]]
    scale: bool = True
    public: bool = True

    @property
    def file(self) -> str:
        """The name of its HDF5 file."""
        return f"{self.name.lower()}.h5"

    def __repr__(self) -> str:
        return f"Source {self.name}, {self.about}: {self.train:,} + {self.test:,} samples of shape {self.shape}"


def make_idx(
    raw: Path, dataset: str, digests: Sequence[str], mirrors: Sequence[str], megabytes: float = 100
) -> dict[str, np.ndarray]:
    """Return the arrays of a set of the MNIST family from its four IDX files, which are fetched where needed.

    Args:
        raw: the folder for raw files; these go into a folder of it.
        dataset: the name of that folder, and of the one of a mirror of the user's.
        digests: of train-images, train-labels, t10k-images and t10k-labels, in this order (sha256 or md5).
        mirrors: URLs of public folders that hold the files.
        megabytes: how large each file is at most.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: images uint8 (N, 28, 28) and labels uint8 (N,).

    Raises:
        PlasticError: if a file cannot be had or read, or images and labels do not belong together.
    """
    of_files = iter(digests)
    arrays = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        for letter, kind, ndim in (("x", "images-idx3", 3), ("y", "labels-idx1", 1)):
            path = fetch(dataset, f"{prefix}-{kind}-ubyte.gz", next(of_files), mirrors, raw / dataset, megabytes)
            arrays[f"{letter}_{split}"] = idx.read(path, ndim)
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.shape != (len(y), 28, 28) or len(y) == 0 or y.max() > 9:
            raise PlasticError(
                f"{raw / dataset}: the {prefix} files hold images of shape {x.shape} and {len(y)} labels up to "
                f"{y.max(initial=0)}; there should be as many 28 x 28 images as labels, and these from 0 to 9"
            )
    return arrays


def _like_mnist(dataset: str, megabytes: int, digests: Sequence[str], mirrors: Sequence[str]) -> dict[str, Any]:
    """Return what a Source of the MNIST family has beyond its names; see `make_idx`."""
    make = functools.partial(make_idx, dataset=dataset, digests=digests, mirrors=mirrors, megabytes=megabytes)
    return {
        "train": 60_000,
        "test": 10_000,
        "shape": (28, 28),
        "megabytes": megabytes,
        "kind": "image",
        "make": make,
    }


def _curves(length: int) -> Callable[[Path], dict[str, np.ndarray]]:
    return lambda raw: mnist1d.generate(length=length)


_ALL = (
    Source(
        name="MNIST",
        about="handwritten digits",
        licence="CC BY-SA 3.0 (LeCun, Cortes, Burges)",
        labels=_DIGITS,
        **_like_mnist(
            megabytes=12,
            dataset="mnist",
            digests=(
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ),
        ),
    ),
    Source(
        name="FMNIST",
        about="Fashion-MNIST: articles of clothing",
        licence="MIT (Zalando)",
        labels=("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        **_like_mnist(
            megabytes=31,
            dataset="fashion-mnist",
            digests=(
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
            mirrors=(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            ),
        ),
    ),
    Source(
        name="KMNIST",
        about="Kuzushiji-MNIST: cursive Japanese characters",
        licence="CC BY-SA 4.0 (CODH, adapted from the Kuzushiji Dataset)",
        labels=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        **_like_mnist(
            megabytes=21,
            dataset="kmnist",
            digests=(
                "bdb82020997e1d708af4cf47b453dcf7",  # as commonly published; not checked against the files
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
            mirrors=(
                "https://codh.rois.ac.jp/kmnist/dataset/kmnist",
                "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
            ),
        ),
    ),
    *(
        Source(
            name=name,
            about=about,
            licence="not stated (Krizhevsky)",
            train=50_000,
            test=10_000,
            shape=cifar.SHAPE,
            labels=cifar.LABELS,
            megabytes=megabytes,
            kind="image",
            make=make,
            public=name == "CIFAR-10",
        )
        for name, about, megabytes, make in (
            ("CIFAR-10", "small colour photographs", cifar.MEGABYTES, cifar.make),
            ("CIFAR-10-JPEG", "the same from a lossy copy of your own", 56, cifar.make_from_jpeg),
        )
    ),
    Source(
        name="glyphs",
        about="deformed digits of many typefaces",
        licence="drawn from the fonts that come with matplotlib",
        train=10_000,
        test=2_000,
        shape=(28, 28),
        labels=_DIGITS,
        megabytes=0,
        kind="image",
        make=lambda raw: glyphs.generate(),
    ),
    *(
        Source(
            name=name,
            about=f"digit-like noisy curves of {length} steps",
            licence="generated; by Greydanus and Kobak, whose code is Apache-2.0",
            train=4_000,
            test=1_000,
            shape=(length,),
            labels=_DIGITS,
            megabytes=0,
            kind="curve",
            make=_curves(length),
            scale=False,
        )
        for name, length in (("MNIST-1D", 40), ("MNIST-1D-360", 360))
    ),
    Source(
        name="YinYang",
        about="points of a yin-yang symbol, in 4 coordinates",
        licence="generated; by Kriener, Göltz and Petrovici, whose code is MIT",
        train=5_000,
        test=1_000,
        shape=(4,),
        labels=("yin", "yang", "dot"),
        megabytes=0,
        kind="point",
        make=lambda raw: yinyang.generate(),
        scale=False,
    ),
    Source(
        name="XOR",
        about="noisy corners of a square",
        licence="generated",
        train=1_000,
        test=200,
        shape=(2,),
        labels=("equal", "different"),
        megabytes=0,
        kind="point",
        make=lambda raw: xor.generate(),
        scale=False,
    ),
)
SOURCES = {source.name: source for source in _ALL}
