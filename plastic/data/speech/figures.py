"""The picture of a speech data set."""

from typing import Any

import numpy as np

from plastic import plotting
from plastic.data.speech.features import log_mel
from plastic.data.speech.recordings import Speech


def speech_sheet(speech: Speech, columns: int = 4) -> Any:
    """Return a matplotlib Figure with the first training recording of each class: waveform and log-mel spectrogram.

    Args:
        speech: a `Speech`.
        columns: recordings across.

    Returns:
        The figure.

    Raises:
        PlasticError: if the recordings cannot be read.
    """
    firsts = [np.flatnonzero(speech.train.labels == label)[:1] for label in range(len(speech.classes))]
    shown = [(name, first) for name, first in zip(speech.classes, firsts, strict=True) if len(first)]
    rows = -(-len(shown) // columns)
    fig, axes = plotting.figure(2 * rows, columns, 2.6, 1.4, height_ratios=[0.6, 1] * rows, squeeze=False)
    for axis in axes.flat:
        axis.grid(False)
    for index, (name, first) in enumerate(shown):
        wave, mel = (axes[2 * (index // columns) + k, index % columns] for k in range(2))
        samples = speech.train.waves(first)
        time = np.arange(speech.rate) / speech.rate
        wave.plot(time, samples[0], color=plotting.COLOURS[0], linewidth=0.5)
        wave.set(xlim=(0, 1), xticks=[])
        wave.set_title(name, fontsize="medium")
        energies = log_mel(samples, speech.rate)[0].T
        image = mel.imshow(energies, aspect="auto", origin="lower", extent=(0, 1, 0, len(energies)))
        if index + columns >= len(shown):
            mel.set_xlabel("time (s)")
        if index % columns == 0:
            wave.set_ylabel("wave")
            mel.set_ylabel("mel filter")
    for axis in axes.flat[2 * columns * (rows - 1) :]:
        if not axis.has_data():
            axis.set_axis_off()
    fig.colorbar(image, ax=axes, label="log2 energy", shrink=0.5)
    counts = ", ".join(f"{len(getattr(speech, split)):,} {split}" for split in ("train", "validation", "test"))
    fig.suptitle(f"{speech.name}: {counts} recordings at {speech.rate / 1000:g} kHz", fontsize="medium")
    return fig
