"""A corpus in the formats of TIMIT with a few speakers, written from the description of the formats."""

import struct

import numpy as np
import pytest

from plastic.data.utterances import phones, timit

SPEAKERS = {"train": ("dr1/fabc0", "dr1/mabc0", "dr2/fxyz0"), "test": ("dr1/fdev0", "dr2/mcor0", "dr2/munu0")}
SENTENCES = {"sa1": 900, "sx3": 1700, "si7": 2000}


def sphere(samples, rate=16_000):
    """NIST SPHERE: a header of 1,024 bytes, then the samples, the low byte first."""
    fields = (
        "database_id -s5 TIMIT", f"sample_count -i {len(samples)}", "sample_n_bytes -i 2", "channel_count -i 1",
        "sample_byte_format -s2 01", f"sample_rate -i {rate}", "sample_coding -s3 pcm", "end_head",
    )  # fmt: skip
    return "\n".join(["NIST_1A", "   1024", *fields, ""]).encode().ljust(1024) + np.asarray(samples, "<i2").tobytes()


def riff(samples, rate=16_000):
    data = np.asarray(samples, "<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 20 + len(form) + len(data))
        + b"WAVE"
        + form
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def samples_of(name, length):
    return (3000 * np.random.default_rng(sum(name.encode())).standard_normal(length)).astype(np.int16)


def write(folder, capitals=False, form=sphere, suffix=".wav"):
    """Write the corpus; return its folder."""
    for part, speakers in SPEAKERS.items():
        for speaker in speakers:
            for name, length in SENTENCES.items():
                path = f"{part}/{speaker}/{name}"
                place = folder / (path.upper() if capitals else path)
                place.parent.mkdir(parents=True, exist_ok=True)
                ends = {".PHN" if capitals else ".phn": b"0 480 h#\n480 805 ix\n805 1288 pcl\n1288 %d z\n" % length}
                ends |= {".WAV" if capitals else ".wav": b""} if suffix == ".WAV.wav" else {}
                ends[suffix] = form(samples_of(path, length))
                for end, content in ends.items():
                    (place.parent / f"{place.name}{end}").write_bytes(content)
    return folder


@pytest.fixture
def few(monkeypatch):
    """Let a corpus be whole that has the speakers of `write`."""
    monkeypatch.setattr(timit, "SPEAKERS", 3)
    monkeypatch.setattr(timit, "SENTENCES", 2)
    monkeypatch.setattr(phones, "DEVELOP", frozenset({("dr1", "fdev0")}))
    monkeypatch.setattr(phones, "CORE", frozenset({("dr2", "mcor0")}))


@pytest.fixture
def corpus(tmp_path, few):
    return write(tmp_path / "timit")
