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
_FULL = {"GSC": gsc.FULL}  # the tasks with all words that were recorded, of the same files


def info(name: str, full: bool = False) -> tuple[tuple[str, ...], int]:
    """Return what the classes of a speech data set are called, and its rate; nothing is read or downloaded.

    Args:
        name: "GSC" or "FSDD", in any case.
        full: as for `load`.

    Returns:
        (names of the classes, samples per second).

    Raises:
        PlasticError: for any other name, and for FSDD with `full`.

    Example:
        >>> info("GSC")[0][:3], info("GSC")[1]
        (('unknown', 'silence', 'yes'), 16000)
    """
    source = _source(name, full)
    return source.classes, source.rate


def knows(name: str) -> bool:
    """Return whether `name` is that of a speech data set, in any case."""
    return str(name).upper() in SOURCES


def load(name: str, seed: int = 0, folder: data.Folder = None, full: bool = False) -> Speech:
    """Return a speech data set; its first use downloads it.

    Args:
        name: "GSC" or "FSDD", in any case.
        seed: of what is drawn for a split: which recordings of other words are GSC's `unknown`. FSDD draws nothing.
        folder: where the HDF5 files are, `plastic.data.default_folder()` by default.
        full: all 35 words of GSC, rather than ten of them, unknown and silence.

    Returns:
        The `Speech`.

    Raises:
        PlasticError: if the name or the seed is wrong, the download failed, the archive is damaged or holds something
            unexpected, or the folder cannot be written or has no room.
    """
    source = _source(name, full)
    require.whole("seed", seed, least=0)
    place = data.folder_of(folder)
    path = place / source.file
    stored = store.made_once(path, clips.read, lambda: source.make(place / "raw", path))
    splits = {
        split: Recordings(labels, rows, stored) for split, (labels, rows) in source.split(stored.names, seed).items()
    }
    noise = [as_float(each) for each in stored.noise]
    return Speech(name=source.name, rate=source.rate, classes=source.classes, noise=noise, **splits)


def _source(name: str, full: bool) -> Source:
    known = {each.lower(): source for each, source in SOURCES.items()}
    if str(name).lower() in known:
        source = known[str(name).lower()]
        if full and source.name not in _FULL:
            raise PlasticError(
                f"full is for {', '.join(_FULL)}; {source.name} has its {len(source.classes)} classes only"
            )
        return _FULL[source.name] if full else source
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"; did you mean {known[near[0]].name}?" if near else ""
    raise PlasticError(f"unknown speech data set {name!r}: take {' or '.join(SOURCES)}{hint}")
