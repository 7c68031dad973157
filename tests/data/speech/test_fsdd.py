import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from plastic import xp
from plastic.data import speech
from plastic.data.speech import batches, fsdd
from plastic.errors import PlasticError

MIRROR = os.environ.get("PLASTIC_MIRROR", "")  # read before the tests take it away
FILE = "free-spoken-digit-dataset-1.0.10.tar.gz"
TOP = "free-spoken-digit-dataset-1.0.10"


@pytest.fixture
def few(monkeypatch, wav):
    """The members of an archive with two speakers, three digits and twelve recordings of each."""
    rng = np.random.default_rng(1)
    clips = {
        f"{digit}_{speaker}_{n}.wav": wav(rng.integers(-(2**15), 2**15, 50), 8000)
        for digit in (0, 4, 9)
        for speaker in ("anna", "ben")
        for n in range(12)
    }
    sums = "".join(f"{hashlib.sha256(clips[name]).hexdigest()}  {name}\n" for name in sorted(clips))
    monkeypatch.setattr(fsdd, "_DIGEST", hashlib.sha256(sums.encode()).hexdigest())
    monkeypatch.setattr(fsdd, "_MIRRORS", ())
    return {f"{TOP}/README.md": b"?", f"{TOP}/recordings": None} | {
        f"{TOP}/recordings/{name}": data for name, data in clips.items()
    }


def test_the_split_is_by_the_number_of_the_recording(tmp_path, monkeypatch, few, tar_gz):
    tar_gz(few, f"mirror/fsdd/{FILE}")
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "mirror"))
    made = speech.load("FSDD", folder=tmp_path)
    assert (made.classes, made.rate, made.noise) == (tuple("0123456789"), 8000, [])
    for split, numbers in (("test", range(5)), ("validation", range(5, 10)), ("train", range(10, 12))):
        recordings = getattr(made, split)
        expected = {f"recordings/{d}_{s}_{n}.wav" for d in (0, 4, 9) for s in ("anna", "ben") for n in numbers}
        assert {recordings.clips.names[row] for row in recordings.rows} == expected
        assert len(recordings) == len(expected)
        digits = [int(recordings.clips.names[row].split("/")[1][0]) for row in recordings.rows]
        assert recordings.labels.tolist() == digits


def test_another_compression_of_the_same_recordings_will_do(site, tmp_path, monkeypatch, few, tar):
    entries = dict(reversed([item for item in few.items() if "README" not in item[0]]))
    site.files[f"/archive/v1.0.10/{FILE}"] = gzip.compress(tar(entries), 6)
    monkeypatch.setattr(fsdd, "_MIRRORS", (f"{site.url}/archive/v1.0.10",))
    assert len(speech.load("FSDD", folder=tmp_path).train) == 12
    speech.load("FSDD", folder=tmp_path)
    assert len(site.log) == 1


def replace(entries, name, data):
    return entries | {f"{TOP}/recordings/{name}": data}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda few: replace(few, "0_anna_0.wav", b"other"), "(wrong recordings: sha256 "),
        (lambda few: replace(few, "0_anna_99.wav", b"more"), "(wrong recordings: sha256 "),
        (lambda few: {k: v for k, v in few.items() if "9_ben_3" not in k}, "(wrong recordings: sha256 "),
        (lambda few: few | {"../../evil.wav": b""}, "is refused: its member '../../evil.wav' leads out of its folder"),
    ],
)
def test_other_recordings_will_not_do(tmp_path, monkeypatch, few, tar_gz, change, message):
    tar_gz(change(few), f"mirror/fsdd/{FILE}")
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(PlasticError) as error:
        speech.load("FSDD", folder=tmp_path / "sets")
    assert str(error.value).startswith(f"cannot fetch fsdd/{FILE}. Tried {tmp_path}/mirror/fsdd/{FILE} (")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not [path for path in (tmp_path / "sets").rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.fixture
def real(tmp_path, monkeypatch):
    if not MIRROR or not (Path(MIRROR) / "fsdd" / FILE).is_file():
        pytest.skip("PLASTIC_MIRROR is no folder that holds fsdd")
    monkeypatch.setenv("PLASTIC_MIRROR", MIRROR)
    monkeypatch.setattr(fsdd, "_MIRRORS", ())
    return speech.load("fsdd", folder=tmp_path)


def test_the_real_data(real):
    """As the data set's own description says: 3,000 recordings, 6 speakers, 10 digits, 50 of each."""
    sizes = {split: len(getattr(real, split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 2400, "validation": 300, "test": 300}
    names = real.train.clips.names
    assert len(set(names)) == 3000
    assert len({name.split("_")[1] for name in names}) == 6
    for split, each in (("train", 240), ("validation", 30), ("test", 30)):
        assert np.bincount(getattr(real, split).labels).tolist() == [each] * 10
    waves = real.test.waves(range(300))
    assert -1 <= waves.min() < -0.01 and 0.01 < waves.max() < 1
    assert (waves == 0).any() and np.abs(waves).max(axis=1).min() > 0

    features = xp.asnumpy(batches.fixed(real.test, real.rate, 32))
    assert features.shape == (300, 41, 32)
    assert np.isfinite(features).all()
    source = batches.Batches(real.train, real.rate, 256, 32, [np.random.default_rng(0)], real.noise)
    assert source.per_epoch == 9
    x, labels = source.next()
    assert x.shape == (256, 41, 32) and labels.shape == (256,) and np.isfinite(x).all()


def test_the_real_digits_can_be_told_apart(real):
    """By ridge regression, the plainest of classifiers: features and labels belong together."""
    train, test = (
        xp.asnumpy(batches.fixed(split, real.rate, 32)).reshape(len(split), -1) for split in (real.train, real.test)
    )
    W = np.linalg.solve(train.T @ train + 100 * np.eye(train.shape[1]), train.T @ np.eye(10)[real.train.labels])
    assert ((test @ W).argmax(axis=1) == real.test.labels).mean() > 0.8
