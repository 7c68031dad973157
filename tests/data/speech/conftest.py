"""Small archives in the format of the real ones, written from the description of the formats."""

import hashlib
import struct

import numpy as np
import pytest

from plastic.data.speech import gsc

GSC_FILE = "speech_commands_v0.02.tar.gz"


def _wav(samples, rate, channels=1, bits=16, tag=1):
    """A .wav file: RIFF, the size, WAVE, the chunks `fmt ` and `data`."""
    data = np.asarray(samples, "<i2").tobytes()
    size = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * size, size, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.fixture
def wav():
    return _wav


def _commands(words, speakers=40, rate=16_000):
    """{path: samples} of short recordings: one by each speaker of each word, all of them different."""
    rng = np.random.default_rng(5)
    names = [f"{speaker:08x}_nohash_0.wav" for speaker in rng.integers(1 << 32, size=speakers)]
    lengths = iter(rng.integers(100, 1000, len(words) * speakers))
    return {
        f"./{word}/{name}": rng.integers(-(2**15), 2**15, next(lengths)).astype(np.int16)
        for word in words
        for name in names
    }


@pytest.fixture(scope="session")
def commands():
    """{path: samples int16} of 40 speakers who say three of the ten words and two others."""
    return _commands(("yes", "no", "go", "bed", "cat"))


@pytest.fixture(scope="session")
def noises():
    rng = np.random.default_rng(6)
    return {
        f"./_background_noise_/{name}.wav": rng.integers(-99, 99, n) for name, n in {"a": 16_000, "b": 40_000}.items()
    }


@pytest.fixture
def gsc_entries(commands, noises):
    """The members of an archive like that of Speech Commands, with what is in it besides recordings."""
    rest = {"./LICENSE": b"by", "./validation_list.txt": b"", "./_background_noise_/README.md": b"", "./yes": None}
    rest |= {"./yes/._12345678_nohash_0.wav": b"of a Macintosh"}
    return rest | {name: _wav(samples, 16_000) for name, samples in (commands | noises).items()}


@pytest.fixture
def gsc_mirror(tmp_path, tar_gz, monkeypatch):
    """Make an archive of {path: bytes} the one that GSC is made from; returns its path. No other place is tried."""

    def serve(entries):
        path = tar_gz(entries, f"mirror/gsc/{GSC_FILE}")
        monkeypatch.setattr(gsc, "_DIGEST", hashlib.sha256(path.read_bytes()).hexdigest())
        return path

    monkeypatch.setattr(gsc, "_MIRRORS", ())
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "mirror"))
    return serve
