"""The samples of a .wav file."""

import io
import struct
import wave

import numpy as np

from plastic.errors import PlasticError


def samples(data: bytes, rate: int, where: str) -> np.ndarray:
    """Return the samples of a .wav file that is mono and of 16 bits.

    Args:
        data: the bytes of the file.
        rate: the samples per second that it must have.
        where: what the file is called.

    Returns:
        int16 (n,).

    Raises:
        PlasticError: if the file is anything else or damaged; it says which file.
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


def one_second(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the first second of a recording, with zeros where it has ended.

    Args:
        samples: int16 (n,).
        rate: samples per second.

    Returns:
        int16 (rate,).

    Example:
        >>> one_second(np.array([1, 2], np.int16), 4).tolist()
        [1, 2, 0, 0]
    """
    clip = np.zeros(rate, np.int16)
    clip[: min(len(samples), rate)] = samples[:rate]
    return clip
