"""CIFAR-10: a tiny archive of the published layout, and a tiny copy in JPEG."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from plastic import data
from plastic.data import cifar
from plastic.errors import PlasticError

PER_BATCH = 3
NAMES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]


def archive(images, labels, names=NAMES):
    """An archive with the images (18, 32, 32, 3) and labels (18,), three a file, as planes of red, green and blue."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for index, name in enumerate([*names, "readme.html"]):
            rows = b"<html>"
            if name != "readme.html":
                part = slice(PER_BATCH * index, PER_BATCH * (index + 1))
                planes = images[part].transpose(0, 3, 1, 2).reshape(PER_BATCH, -1)
                rows = np.concatenate([labels[part, None], planes], axis=1).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(rows)
            tar.addfile(member, io.BytesIO(rows))
    return content.getvalue()


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (18, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, 18, dtype=np.uint8)


def made(tmp_path, monkeypatch, content):
    folder = tmp_path / "mirror" / "cifar-10"
    folder.mkdir(parents=True)
    (folder / "cifar-10-binary.tar.gz").write_bytes(content)
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "mirror"))
    return cifar.make(tmp_path / "raw", hashlib.sha256(content).hexdigest(), PER_BATCH)


def test_the_archive_gives_images_with_their_colours_last(tmp_path, monkeypatch, drawn):
    images, labels = drawn
    arrays = made(tmp_path, monkeypatch, archive(images, labels))
    assert np.array_equal(arrays["x_train"], images[:15]) and np.array_equal(arrays["x_test"], images[15:])
    assert np.array_equal(arrays["y_train"], labels[:15]) and np.array_equal(arrays["y_test"], labels[15:])
    assert not list((tmp_path / "raw").rglob("*.bin"))


def test_an_archive_that_lacks_a_batch_or_has_an_eleventh_class_is_refused(tmp_path, monkeypatch, drawn):
    images, labels = drawn
    with pytest.raises(PlasticError, match=r"test_batch\.bin should hold 3 images of 3,073 bytes with labels up to 9"):
        made(tmp_path / "a", monkeypatch, archive(images, labels, NAMES[:-1]))
    labels[4] = 10
    with pytest.raises(PlasticError, match=r"data_batch_2\.bin should hold"):
        made(tmp_path / "b", monkeypatch, archive(images, labels))


def jpeg_copy(folder, images, labels):
    """Write train.npz and test.npz; return their digests."""
    folder.mkdir(parents=True)
    digests = {}
    for split, part in (("train", slice(15)), ("test", slice(15, None))):
        files = []
        for image in images[part]:
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=100, subsampling=0)
            files.append(file.getvalue())
        offsets = np.concatenate([[0], np.cumsum([len(file) for file in files])])
        jpeg = np.frombuffer(b"".join(files), np.uint8)
        np.savez(folder / f"{split}.npz", jpeg=jpeg, offsets=offsets, labels=labels[part])
        digests[split] = hashlib.sha256((folder / f"{split}.npz").read_bytes()).hexdigest()
    return digests


def test_the_jpeg_copy_is_nearly_the_same(tmp_path, monkeypatch):
    flat = np.repeat(np.arange(18, dtype=np.uint8) * 14, 32 * 32 * 3).reshape(18, 32, 32, 3)
    labels = np.arange(18, dtype=np.uint8) % 10
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path))
    digests = jpeg_copy(tmp_path / "cifar-10-jpeg", flat, labels)
    arrays = cifar.make_from_jpeg(tmp_path / "raw", digests)
    assert np.abs(arrays["x_train"].astype(int) - flat[:15]).max() <= 2 and arrays["x_test"].shape == (3, 32, 32, 3)
    assert np.array_equal(arrays["y_train"], labels[:15]) and np.array_equal(arrays["y_test"], labels[15:])


def test_a_mirror_that_has_the_jpeg_copy_alone_says_so_by_the_name(tmp_path, monkeypatch, drawn):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "sets"))
    monkeypatch.delenv("PLASTIC_MIRROR", raising=False)
    assert data.require("cifar-10") == "CIFAR-10"
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path))
    assert data.require("cifar-10") == "CIFAR-10"
    jpeg_copy(tmp_path / "cifar-10-jpeg", *drawn)
    assert data.require("cifar-10") == "CIFAR-10-JPEG"
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / "cifar-10-binary.tar.gz").write_bytes(b"")
    assert data.require("cifar-10") == "CIFAR-10"
    (tmp_path / "cifar-10" / "cifar-10-binary.tar.gz").unlink()
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "cifar-10.h5").write_bytes(b"")
    assert data.require("cifar-10") == "CIFAR-10"
