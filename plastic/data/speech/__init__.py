"""Speech as labelled waveforms of one second: `load("GSC")`, `load("FSDD")`.

The first use fetches the archive and writes its recordings to one HDF5 file in `plastic.data.default_folder()`; they
are read from there a batch at a time, since those of Speech Commands do not fit the memory of every machine. `features`
makes spectrograms of them, `batches` is the source of a training run.
"""

import difflib

from plastic import data, require
from plastic.data import store
from plastic.data.speech import clips, fsdd, gsc
from plastic.data.speech.recordings import Recordings, Speech, as_float
from plastic.data.speech.source import Source
from plastic.errors import PlasticError

SOURCES = {source.name: source for source in (gsc.SOURCE, fsdd.SOURCE)}


def info(name: str) -> tuple[tuple[str, ...], int]:
    """Return what the classes of a speech data set are called, and its rate; nothing is read or downloaded.

    Args:
        name: "GSC" or "FSDD", in any case.

    Returns:
        (names of the classes, samples per second).

    Raises:
        PlasticError: for any other name.

    Example:
        >>> info("GSC")[0][:3], info("GSC")[1]
        (('unknown', 'silence', 'yes'), 16000)
    """
    source = _source(name)
    return source.classes, source.rate


def knows(name: str) -> bool:
    """Return whether `name` is that of a speech data set, in any case."""
    return str(name).upper() in SOURCES


def load(name: str, seed: int = 0, folder: data.Folder = None) -> Speech:
    """Return a speech data set; its first use downloads it.

    Args:
        name: "GSC" or "FSDD", in any case.
        seed: of what is drawn for a split: which recordings of other words are GSC's `unknown`. FSDD draws nothing.
        folder: where the HDF5 files are, `plastic.data.default_folder()` by default.

    Returns:
        The `Speech`.

    Raises:
        PlasticError: if the name or the seed is wrong, the download failed, the archive is damaged or holds something
            unexpected, or the folder cannot be written or has no room.
    """
    source = _source(name)
    require.whole("seed", seed, least=0)
    place = data.folder_of(folder)
    path = place / source.file
    stored = store.made_once(path, clips.read, lambda: source.make(place / "raw", path))
    splits = {
        split: Recordings(labels, rows, stored) for split, (labels, rows) in source.split(stored.names, seed).items()
    }
    noise = [as_float(each) for each in stored.noise]
    return Speech(name=source.name, rate=source.rate, classes=source.classes, noise=noise, **splits)


def _source(name: str) -> Source:
    known = {each.lower(): source for each, source in SOURCES.items()}
    if str(name).lower() in known:
        return known[str(name).lower()]
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"; did you mean {known[near[0]].name}?" if near else ""
    raise PlasticError(f"unknown speech data set {name!r}: take {' or '.join(SOURCES)}{hint}")
