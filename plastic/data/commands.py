"""The commands of `python -m plastic.data`."""

import os
from pathlib import Path
from typing import Any

from plastic import data, plotting, system, terminal
from plastic.data import figures, speech, store
from plastic.data.catalogue import SOURCES, Source
from plastic.data.speech.figures import speech_sheet
from plastic.data.speech.source import Source as SpeechSource
from plastic.errors import PlasticError


def list_sets(*, folder: str | None = None) -> None:
    """List the data sets, and whether they are here.

    Args:
        folder: where the HDF5 files are (PLASTIC_DATASETS, or datasets/ of a checkout, or ~/.cache/plastic).
    """
    place = data.folder_of(folder)
    terminal.say(f"{'name':14}{'train':>7}{'test':>8}  {'here':19}{'what':47}licence")
    every: list[Source | SpeechSource] = [*SOURCES.values(), *speech.SOURCES.values()]
    for source in every:
        here = "yes" if os.path.isfile(place / source.file) else _absent(source)
        sizes = f"{source.train:7,}{source.test:8,}" if isinstance(source, Source) else f"{'speech':>15}"
        terminal.say(f"{source.name:14}{sizes}  {here:19}{source.about:47}{source.licence}")
    terminal.say(f"folder: {place}; your own arrays: --dataset=FILE.npz")


def _absent(source: Source | SpeechSource) -> str:
    """Return how a data set is had that is not here."""
    if isinstance(source, Source) and not source.public:
        return "from PLASTIC_MIRROR"
    return f"download, {source.megabytes} MB" if source.megabytes else "made in seconds"


def get(name: str, *, folder: str | None = None) -> None:
    """Fetch or make a data set, unless it is here already, and check it.

    Args:
        name: a name that `list` shows, or the path of an .npz file, which is checked only.
        folder: where the HDF5 files are (PLASTIC_DATASETS, or datasets/ of a checkout, or ~/.cache/plastic).
    """
    if speech.knows(name):
        spoken = speech.load(name, folder=folder)
        sizes = f"{len(spoken.train):,} training, {len(spoken.validation):,} validation and {len(spoken.test):,} test"
        terminal.say(f"{spoken.name} is ready: {sizes} recordings at {spoken.rate:,} Hz, {len(spoken.classes)} classes")
        return
    dataset = data.load(name, folder=folder)
    *first, last = map(str, dataset.train[0].shape[1:])
    shape = " x ".join([*first, last]) if first else f"{last} numbers"
    sizes = f"{len(dataset.train[0]):,} training and {len(dataset.test[0]):,} test samples"
    terminal.say(f"{dataset.name} is ready: {sizes} of {shape}, {dataset.classes} classes")


def show(name: str, *, out: str | None = None, folder: str | None = None) -> None:
    """Draw the first samples of each class of a data set, and say where the picture is.

    Args:
        name: a name that `list` shows, or the path of an .npz file.
        out: the .png, .pdf or .svg file to write; by default NAME.png beside the HDF5 files. A file that exists is left
            as it is.
        folder: where the HDF5 files are (PLASTIC_DATASETS, or datasets/ of a checkout, or ~/.cache/plastic).
    """
    spoken = speech.knows(name)
    name = name.upper() if spoken else data.require(name)
    path = system.expanded(out, "out") if out else data.folder_of(folder) / f"{Path(name).stem.lower()}.png"
    _require_new(path)
    sheet = speech_sheet(speech.load(name, folder=folder)) if spoken else _sheet(name, folder)
    with store.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    plotting.save(sheet, path)
    terminal.say(str(path))


def _require_new(path: Path) -> None:
    plotting.require_name(path)
    if os.path.lexists(path):
        raise PlasticError(f"{path} exists and is left as it is: look at it, delete it, or give another --out=FILE.png")


def _sheet(name: str, folder: str | None) -> Any:
    """Return the figure of a data set that is not speech."""
    dataset = data.load(name, folder=folder)
    if name in SOURCES:
        return figures.SHEETS[SOURCES[name].kind](dataset, SOURCES[name].labels)
    return figures.SHEETS["image"](dataset, [str(label) for label in range(dataset.classes)])
