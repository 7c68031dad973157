"""The samples of a .wav file."""

import io
import struct
import wave

import numpy as np

from plastic.errors import PlasticError


def samples(data, rate, where):
    """Return the samples, int16 (n,), of the bytes of a .wav file that is mono, of 16 bits, at `rate` Hz.

    where: what the file is called. Raises PlasticError with that name where the file is anything else or damaged.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, found, n = file.getparams()[:4]
            values = file.readframes(n)
    except (wave.Error, EOFError, struct.error, RuntimeError) as error:
        reason = str(error) or "it ends too early"
        raise PlasticError(f"{where} cannot be read as a .wav file: {reason}") from None
    if (channels, width, found) != (1, 2, rate):
        raise PlasticError(
            f"{where} has {channels} channels of {8 * width} bits at {found:,} Hz; expected are 1, 16 bits, {rate:,} Hz"
        )
    if len(values) != 2 * n:
        raise PlasticError(f"{where} should hold {n:,} samples but ends after {len(values) // 2:,}")
    return np.frombuffer(values, np.int16)


def one_second(samples, rate):
    """Return the first second, int16 (rate,), with zeros where the recording has ended."""
    clip = np.zeros(rate, np.int16)
    clip[: min(len(samples), rate)] = samples[:rate]
    return clip
