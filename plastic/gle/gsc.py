"""Spoken words, one step in time after another (Ellenberger et al. 2024, Fig. 8): the command."""

from typing import Literal

import numpy as np

from plastic import parameters, xp
from plastic.data import speech
from plastic.data.speech.batches import Batches, fixed
from plastic.data.speech.features import mel_filters, stretch
from plastic.errors import PlasticError
from plastic.gle import figures
from plastic.gle.networks import Network, uniform_layers
from plastic.gle.sequences import SequenceTask
from plastic.optimizers import Plateau
from plastic.runs.command import run_task
from plastic.runs.options import (
    check_above_zero,
    check_at_least_one,
    check_between,
    check_seeds,
    resumed,
    seed_names,
    seeds_of,
)

DT, STRETCH = 0.05, 20  # a frame of the spectrogram lasts one time unit
GROUPS = ((2.4, 2.4), (0.6, 0.1), (1.2, 0.1), (1.8, 0.1), (2.4, 0.1))
"""(tau_m, tau_r) of the five equal groups of neurons in each hidden layer; the outputs are as the first group."""
RATE = DT * 625 / 800  # what the learning rate is multiplied by, as published


def network(layers):
    """Return the network with these layers, [Affine] of host arrays: three hidden layers, the first of them linear."""
    hidden = layers[0].W.shape[-1] // len(GROUPS)
    tau_m, tau_r = (np.repeat(each, hidden) for each in zip(*GROUPS, strict=True))
    phi = ["linear", "tanh", "tanh", "linear"]
    return Network.from_layers(layers, phi, [tau_m] * 3 + [GROUPS[0][0]], [tau_r] * 3 + [GROUPS[0][1]], DT)


def prepare(x):
    """Return spectrograms (..., batch, frames, n_mels) as the input of all steps, (..., T, batch, n_mels)."""
    return xp.ascontiguousarray(xp.swapaxes(stretch(x, STRETCH), -2, -3))


class Task(SequenceTask):
    """The `SequenceTask` of the options; its data are split by the first seed."""

    def __init__(self, options):
        seeds = seeds_of(options)
        generators = [xp.generator(seed) for seed in seeds]
        data = speech.load(options["dataset"], seed=seeds[0])
        n, mels, batch = options["hidden"], options["n_mels"], options["batch_size"]
        drawn = [uniform_layers(each.init, (mels, n, n, n, len(data.classes))) for each in generators]
        layers = parameters.map(lambda *arrays: np.stack(arrays) if len(arrays) > 1 else arrays[0], *drawn)
        sets = {name: getattr(data, name) for name in ("validation", "test")}
        sets = {name: (fixed(each, data.rate, mels), xp.asarray(each.labels)) for name, each in sets.items()}
        self.test = sets.pop("test")
        super().__init__(
            options,
            network(layers),
            source=Batches(data.train, data.rate, batch, mels, [each.data for each in generators], data.noise),
            prepare=prepare,
            sets=sets,
            watched="validation",
            schedule=Plateau(options["lr_scheduler_patience"], options["lr_scheduler_gamma"], eps=1e-20),
            learning_rate=options["learning_rate"] * RATE,
            batch=batch,
            chunk=batch,
        )

    def train(self, run):
        """Train as the options say, or go on from the checkpoint; return the accuracy on the test set of every seed."""
        super().train(run)
        return xp.asnumpy(self.score(*self.test)[1])


def gsc(
    *,
    dataset: Literal["GSC", "FSDD"] = "GSC",
    max_epochs: int = 420,
    batch_size: int = 256,
    learning_rate: float = 5e-4,
    lr_scheduler_patience: int = 3,
    lr_scheduler_gamma: float = 0.9,
    n_mels: int = 32,
    hidden: int = 750,
    seed: int = 115,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Recognise spoken words online, an update in each of 820 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    Google Speech Commands v0.02 (35 words; 12 classes, "unknown" and "silence" among them), or the Free Spoken Digit
    Dataset, which is small. The network sees standardised log-mel spectrograms, with noise and shifts added in
    training. The prediction is where the outputs are largest in their sum over a recording. Published for GSC after
    420 epochs, ten seeds: 91.4 % on the validation set. The run folder, results/gle/gsc-..., gets config.json,
    metrics.csv, checkpoint.h5 and figures.

    Args:
        dataset: GSC (a download of 2.4 GB) or FSDD (16 MB).
        max_epochs: epochs to train.
        batch_size: recordings per batch, each class as often as any other.
        learning_rate: of Adam, times dt 625 / 800 = 0.039, as published.
        lr_scheduler_patience: epochs without a lower loss on the validation set before the rate is lowered.
        lr_scheduler_gamma: what it is multiplied by then.
        n_mels: filters of the spectrogram.
        hidden: neurons in each of the three hidden layers: a multiple of 5, for the five groups of time constants.
        seed: seed of everything random.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed. The first one splits the data.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(gsc, options, "gle", "gsc")
    check_seeds(options)
    check_at_least_one(options, "max_epochs", "batch_size", "n_mels", "hidden")
    check_above_zero(options, "learning_rate")
    if not 0 < options["lr_scheduler_gamma"] <= 1:
        raise PlasticError(f"lr_scheduler_gamma is {options['lr_scheduler_gamma']}; it must lie in (0, 1]")
    check_between(options, "lr_scheduler_patience", 0)
    if options["hidden"] % len(GROUPS):
        raise PlasticError(f"hidden is {options['hidden']}; it must be a multiple of {len(GROUPS)}")
    mel_filters(speech.info(options["dataset"])[1], options["n_mels"])  # refuses what is not possible
    readable = f"{options['dataset']}-{seed_names(options)}"
    return run_task("gle", "gsc", options, readable, lambda: Task(options), _report, draw=figures.draw)


def _report(run, accuracy):
    diverged = {int(replica) for replica in run.config.get("details", {}).get("diverged", {})}
    accuracy = 100 * np.array([a for k, a in enumerate(np.atleast_1d(accuracy)) if k not in diverged])
    print(f"test accuracy {accuracy.mean():.2f} % (seeds: {len(accuracy)}, standard deviation {accuracy.std():.2f})")
