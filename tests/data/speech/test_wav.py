import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.data.speech.wav import one_second, samples
from plastic.errors import PlasticError

VALUES = np.array([0, 1, -1, 2**15 - 1, -(2**15), 1234], np.int16)


def test_reads_the_samples(wav):
    found = samples(wav(VALUES, 8000), 8000, "a.wav")
    np.testing.assert_array_equal(found, VALUES, strict=True)


def test_passes_over_other_chunks(wav):
    data = wav(VALUES, 8000)
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    longer = data[:4] + struct.pack("<I", len(data) + len(note) - 8) + data[8:12] + note + data[12:]
    np.testing.assert_array_equal(samples(longer, 8000, "a.wav"), VALUES)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"rate": 44100}, "x/a.wav has 1 channels of 16 bits at 44,100 Hz; expected are 1, 16 bits, 8,000 Hz"),
        ({"channels": 2}, "2 channels of 16 bits at 8,000"),
        ({"bits": 8}, "1 channels of 8 bits"),
        ({"bits": 32}, "1 channels of 32 bits"),
        ({"tag": 3}, r"x/a.wav cannot be read as a .wav file: unknown format"),
    ],
)
def test_other_kinds_of_sound_are_refused(wav, form, message):
    with pytest.raises(PlasticError, match=message):
        samples(wav(VALUES, **({"rate": 8000} | form)), 8000, "x/a.wav")


def test_every_truncation_is_noticed(wav):
    data = wav(VALUES, 8000)
    for n in range(len(data)):
        with pytest.raises(PlasticError, match=r"^x/a.wav (cannot be read as a .wav file: \w|should hold)"):
            samples(data[:n], 8000, "x/a.wav")


@given(changes=st.lists(st.tuples(st.integers(0, 55), st.integers(0, 255)), min_size=1, max_size=6))
def test_whatever_is_in_it_gives_samples_or_one_line(wav, changes):
    data = bytearray(wav(VALUES, 8000))
    for position, value in changes:
        data[position] = value
    try:
        assert samples(bytes(data), 8000, "a.wav").dtype == np.int16
    except PlasticError as error:
        assert "\n" not in str(error)


def test_one_second_ends_in_zeros_or_is_cut():
    np.testing.assert_array_equal(one_second(VALUES, 8), [*VALUES, 0, 0])
    np.testing.assert_array_equal(one_second(VALUES, 4), VALUES[:4])
    np.testing.assert_array_equal(one_second(VALUES[:0], 4), [0, 0, 0, 0])
