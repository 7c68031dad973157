"""Speech as labelled waveforms of one second: `load("GSC")`, `load("FSDD")`.

The first use fetches the archive and writes its recordings to one HDF5 file in `plastic.data.default_folder()`; they
are read from there a batch at a time, since those of Speech Commands do not fit the memory of every machine. `features`
makes spectrograms of them, `batches` is the source of a training run.
"""

import difflib
from pathlib import Path

from plastic import data
from plastic.data import store
from plastic.data.speech import clips, fsdd, gsc
from plastic.data.speech.recordings import Recordings, Speech, as_float
from plastic.errors import PlasticError

SOURCES = {source.name: source for source in (gsc.SOURCE, fsdd.SOURCE)}


def info(name):
    """Return (the names of the classes, samples per second) of "GSC" or "FSDD", reading and downloading nothing.

    Raises PlasticError for any other name.
    """
    source = _source(name)
    return source.classes, source.rate


def knows(name):
    """Return whether `name` is that of a speech data set, in any case."""
    return str(name).upper() in SOURCES


def load(name, seed=0, folder=None):
    """Return the data set `Speech` called "GSC" or "FSDD", in any case.

    seed: of what is drawn for a split: which recordings of other words are GSC's `unknown`. FSDD draws nothing.
    folder: where the HDF5 files are, `plastic.data.default_folder()` by default.

    Raises PlasticError for an unknown name, a download that failed, an archive that is damaged or holds something
    unexpected, and a folder that cannot be written or has no room.
    """
    source = _source(name)
    folder = Path(folder or data.default_folder())
    path = folder / source.file
    stored = store.made_once(path, clips.read, lambda: source.make(folder / "raw", path))
    splits = {
        split: Recordings(labels, rows, stored) for split, (labels, rows) in source.split(stored.names, seed).items()
    }
    noise = [as_float(each) for each in stored.noise]
    return Speech(name=source.name, rate=source.rate, classes=source.classes, noise=noise, **splits)


def _source(name):
    known = {each.lower(): source for each, source in SOURCES.items()}
    if str(name).lower() in known:
        return known[str(name).lower()]
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"; did you mean {known[near[0]].name}?" if near else ""
    raise PlasticError(f"unknown speech data set {name!r}: take {' or '.join(SOURCES)}{hint}")
