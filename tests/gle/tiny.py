"""The commands of GLE at tiny sizes, in this process, on data in memory: what the tests of the experiments share."""

import dataclasses
import shlex

import command_lines
import numpy as np

from plastic import data, training
from plastic.data.mnist1d import generate
from plastic.data.speech.recordings import Speech
from plastic.gle.__main__ import COMMANDS
from plastic.gle.experiments import blocks, gsc, mnist1d

MODELS = ("gle", "bp", "bptt_tw4", "bptt_tw2", "bptt_tw1")
ARCHITECTURES = ("plastic_e2e", "plastic_e2e_42k", "static_lagnet")

LINE = "lagline --t_init=2 --t_train=10 --dt=0.02 --batch_size=3 --learning_rate=1e-4"  # 100 and 500 steps
NET = "lagnet --t=30 --dt=0.05 --start_learning_step=200 --update_every=60 --learning_rate_gle=0.2"  # 600 steps
CURVES = "mnist1d --max_epochs=3 --batch_size=10 --validation=0.2"  # 3 batches of 30 steps
WORDS = "gsc --max_epochs=3 --batch_size=6 --hidden=10 --n_mels=6 --dataset=FSDD"  # 3 batches of 100 steps
TASKS = {"lagline": LINE, "lagnet": NET, "mnist1d": CURVES, "gsc": WORDS}
EVERY = {"lagline": 7, "lagnet": 7, "mnist1d": 3, "gsc": 3}
"""Steps of training between checkpoints, here."""

LOAD, FIT = data.load, training.fit


def place(folder, monkeypatch):
    """Run in an empty folder, on tiny data sets, in blocks of ten Euler steps, with more checkpoints."""
    monkeypatch.chdir(folder)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE", "PLASTIC_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(blocks, "BLOCK", 10)
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(mnist1d.data, "load", tiny_curves)
    monkeypatch.setattr(gsc.speech, "load", tiny_words)


def fit(run, *arguments, **options):
    """`plastic.training.fit` with more checkpoints."""
    return FIT(run, *arguments, **options | {"checkpoint_every": EVERY[run.experiment]})


def tiny_curves(name, dtype="float32", validation=0, **_):
    """38 curves of 30 steps for training and validation, the last of them, and 12 for the test."""
    assert name == "MNIST-1D-360"
    arrays = generate(num_samples=50, length=30)
    x, y = (np.concatenate([arrays[f"{axis}_train"], arrays[f"{axis}_test"]]) for axis in "xy")
    x, kept = x.astype(dtype), 38 - round(38 * validation)
    held = (x[kept:38], y[kept:38]) if validation else None
    return data.Dataset(name=name, train=(x[:kept], y[:kept]), test=(x[38:], y[38:]), validation=held, classes=10)


@dataclasses.dataclass(frozen=True, eq=False)
class Tones:
    """Recordings in memory: a tone for each class, with noise."""

    labels: np.ndarray
    samples: np.ndarray

    def __len__(self):
        return len(self.labels)

    def waves(self, indices):
        return self.samples[np.asarray(indices)].copy()


def tones(rng, n):
    labels = np.arange(n) % 3
    t = np.arange(800) / 8000
    samples = np.sin(2 * np.pi * 400 * (1 + labels[:, None]) * t + rng.uniform(0, 6, (n, 1)))
    return Tones(labels, (0.3 * samples + 0.01 * rng.standard_normal(samples.shape)).astype(np.float32))


def tiny_words(name, seed=0, **_):
    """A tenth of a second, five frames, of one of three tones; the split depends on the seed, as that of GSC does."""
    rng = np.random.default_rng(100 + seed)
    sets = {split: tones(rng, n) for split, n in {"train": 18, "validation": 9, "test": 7}.items()}
    noise = [rng.uniform(-0.1, 0.1, 1000).astype(np.float32)]
    return Speech(name=name, rate=8000, classes=("a", "b", "c"), noise=noise, **sets)


def split(*lines):
    """The words of some lines, as a shell would hand them over; an option given again replaces the earlier one."""
    words = {}
    for word in (word for line in lines for word in shlex.split(str(line))):
        words[word.partition("=")[0].lstrip("-").replace("-", "_")] = word
    return list(words.values())


def printed(*lines):
    """Run a command line in this process; return the lines that it printed."""
    return command_lines.printed(COMMANDS, split(*lines), "plastic.gle")


def command(*lines):
    """Run a command line that trains, without figures; return the folder of the run, and the other lines printed."""
    return command_lines.trained(COMMANDS, split(*lines, "--no_plot"), "plastic.gle")


def refused(*lines, code=2):
    """Run a command line that fails; return the one line of its error."""
    return command_lines.refused(COMMANDS, split(*lines), "plastic.gle", code)


def numbers(rows):
    """The rows of metrics.csv as numbers: {column: (rows,)}."""
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def assert_close(found, expected, rtol=1e-9, atol=1e-12):
    assert found.keys() >= expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol, err_msg=name)


def stretched(x):
    """Twenty steps for each frame, linear between the middles of the frames: (batch, 20 frames, n_mels)."""
    n = x.shape[1]
    place, middles = (np.arange(20 * n) + 0.5) / 20, np.arange(n) + 0.5
    return np.stack([[np.interp(place, middles, each) for each in one.T] for one in x]).transpose(0, 2, 1)
