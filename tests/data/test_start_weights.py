"""The weights that published runs begin with: a file of the published layout, and the published one where it is."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from plastic import data
from plastic.data import start_weights
from plastic.errors import PlasticError

MIRROR = Path(os.environ.get("PLASTIC_MIRROR") or "nowhere") / "concept-drift"
SHAPES = [(784, 32), (32, 32), (32, 10)]


def published(path, weights):
    """Write a zip archive with the members of the published file, outputs first."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n")  # which nobody may load
        for k, W in enumerate(weights):
            archive.writestr(f"archive/data/{k}", W.T.astype("<f4").tobytes())


@pytest.fixture
def weights():
    return [np.random.default_rng(k).standard_normal(shape).astype(np.float32) for k, shape in enumerate(SHAPES)]


def test_the_weights_are_fetched_checked_and_kept(tmp_path, monkeypatch, weights):
    folder = tmp_path / "mirror" / "concept-drift"
    folder.mkdir(parents=True)
    published(folder / start_weights._FILE, weights)
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(start_weights, "_MIRRORS", ())
    with pytest.raises(PlasticError, match="concept-drift"):
        start_weights.concept_drift(tmp_path / "sets")  # of another digest than the published file
    content = (folder / start_weights._FILE).read_bytes()
    monkeypatch.setattr(start_weights, "_DIGEST", hashlib.sha256(content).hexdigest())
    for _ in range(2):
        for W, expected in zip(start_weights.concept_drift(tmp_path / "sets"), weights, strict=True):
            np.testing.assert_array_equal(W, expected)
        (folder / start_weights._FILE).unlink(missing_ok=True)  # the second time it is not needed


def test_another_archive_is_refused(tmp_path, weights):
    published(tmp_path / "a.pth", weights[:2])
    with pytest.raises(PlasticError, match="does not hold the weights"):
        start_weights._unpacked(tmp_path / "a.pth")
    published(tmp_path / "b.pth", [weights[0], weights[1][:-1], weights[2]])
    with pytest.raises(PlasticError, match="does not hold the weights"):
        start_weights._unpacked(tmp_path / "b.pth")
    (tmp_path / "c.pth").write_bytes(b"PK")
    with pytest.raises(PlasticError, match="does not hold the weights"):
        start_weights._unpacked(tmp_path / "c.pth")


@pytest.mark.skipif(not MIRROR.is_dir(), reason="PLASTIC_MIRROR is no folder that holds concept-drift")
def test_the_published_weights_are_those_of_both_files(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", str(MIRROR.parent))
    found = start_weights.concept_drift(tmp_path)
    others = start_weights.from_file(str(MIRROR / "pre_model-FashionMNIST-2.npz"))
    for W, other in zip(found, others, strict=True):
        np.testing.assert_array_equal(W, other)
    folder = tmp_path / "sets"
    if (MIRROR.parent / "fashion-mnist").is_dir():
        x, y = data.load("FMNIST", folder=folder).test
        r = x.reshape(len(x), -1) @ found[0]
        r = (1 / (1 + np.exp(-r))) @ found[1]
        outputs = (1 / (1 + np.exp(-r))) @ found[2]
        assert np.mean(outputs.argmax(axis=1) != y) == pytest.approx(0.4223, abs=2e-4)
