"""Spoken words, one step in time after another (Ellenberger et al. 2024, Fig. 8)."""

import numpy as np

from plastic import require, runs, xp
from plastic.data import speech
from plastic.data.speech.batches import Batches, fixed
from plastic.data.speech.features import mel_filters, stretch
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations
from plastic.gle.experiments import figures, seeds, sequence_classifier
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.networks import Network, uniform_layers
from plastic.optimizers import Plateau

_DT, _STRETCH = 0.05, 20  # a frame of the spectrogram lasts one time unit
_GROUPS = ((2.4, 2.4), (0.6, 0.1), (1.2, 0.1), (1.8, 0.1), (2.4, 0.1))
"""(tau_m, tau_r) of the five equal groups of neurons in each hidden layer; the outputs are as the first group."""
_RATE = _DT * 625 / 800  # what the learning rate is multiplied by, as published


def restore(arrays, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes spectrograms (batch, frames, n_mels) of the host, as training has them, and gives the outputs
    summed over the steps (..., batch, classes) from rest.
    """
    net = network(sequence_classifier.layers_of(arrays))
    return net, lambda x: sequence_classifier.summed(net, prepare(xp.asarray(x)))


@runs.experiment(
    "gle", draw=figures.OF_SEQUENCES, restore=restore, length="max_epochs", readable="{dataset}-{seeds}", seed=115
)
def gsc(
    run,
    *,
    dataset: str = "GSC",
    max_epochs: int = 420,
    batch_size: int = 256,
    learning_rate: float = 5e-4,
    lr_scheduler_patience: int = 3,
    lr_scheduler_gamma: float = 0.9,
    n_mels: int = 32,
    hidden: int = 750,
):
    """Recognise spoken words online, an update in each of 820 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    Google Speech Commands v0.02 (35 words; 12 classes, "unknown" and "silence" among them), or the Free Spoken Digit
    Dataset, which is small. The network sees standardised log-mel spectrograms, with noise and shifts added in
    training. The prediction is where the outputs are largest in their sum over a recording. Published for GSC after
    420 epochs, ten seeds: 91.4 % on the validation set. The run folder, results/gle/gsc-..., gets config.json,
    metrics.csv, checkpoint.h5, arrays.h5 (the accuracy on the test set at the end) and a figure. Of several seeds, the
    first one splits the data.

    Args:
        dataset: GSC (a download of 2.4 GB) or FSDD (16 MB).
        max_epochs: epochs to train.
        batch_size: recordings per batch, each class as often as any other.
        learning_rate: of Adam, times dt 625 / 800 = 0.039, as published.
        lr_scheduler_patience: epochs without a lower loss on the validation set before the rate is lowered.
        lr_scheduler_gamma: what it is multiplied by then.
        n_mels: filters of the spectrogram.
        hidden: neurons in each of the three hidden layers: a multiple of 5, for the five groups of time constants.
    """
    require.counts(max_epochs=max_epochs, batch_size=batch_size, n_mels=n_mels, hidden=hidden)
    require.number("learning_rate", learning_rate, above=0)
    require.number("lr_scheduler_gamma", lr_scheduler_gamma, above=0, most=1)
    require.whole("lr_scheduler_patience", lr_scheduler_patience, least=0)
    if hidden % len(_GROUPS):
        raise PlasticError(f"hidden is {hidden}; it must be a multiple of {len(_GROUPS)}")
    mel_filters(speech.info(dataset)[1], n_mels)  # refuses what is not possible
    run.fill(dataset=dataset.upper())
    weights = 2 * hidden**2  # with a gradient and two moments each
    run.expect(len(run.seeds) * (4 * weights + 24 * hidden * batch_size), hidden=hidden, batch_size=batch_size)

    generators = run.generators()
    found = speech.load(dataset, seed=run.seeds[0])
    sizes = (n_mels, hidden, hidden, hidden, len(found.classes))
    net = network(seeds.stacked([uniform_layers(each.init, sizes) for each in generators]))
    schedule = Plateau(lr_scheduler_patience, lr_scheduler_gamma, eps=1e-20)
    learner = SequenceClassifier(net, prepare, schedule, learning_rate * _RATE, batch=batch_size, chunk=batch_size)
    sets = {name: getattr(found, name) for name in ("validation", "test")}
    sets = {name: (fixed(each, found.rate, n_mels), xp.asarray(each.labels)) for name, each in sets.items()}
    source = Batches(found.train, found.rate, batch_size, n_mels, [each.data for each in generators], found.noise)
    judged, classes = ("validation", sets["validation"]), len(found.classes)
    evaluations = Evaluations({"layers": net.layers}, net.lead, classes, "accuracy", best=False)
    sequence_classifier.train(run, learner, source, judged, evaluations, epochs=max_epochs)
    tested = {name: xp.asnumpy(value) for name, value in learner.score(*sets["test"]).items()}
    run.save_arrays({f"test_{name}": value for name, value in tested.items()})
    return [sequence_classifier.spread(np.delete(np.atleast_1d(tested["accuracy"]), run.diverged))]


def network(layers):
    """Return the network with these layers, [Affine] of host arrays: three hidden layers, the first of them linear."""
    hidden = layers[0].W.shape[-1] // len(_GROUPS)
    tau_m, tau_r = (np.repeat(each, hidden) for each in zip(*_GROUPS, strict=True))
    phi = ["linear", "tanh", "tanh", "linear"]
    return Network.from_layers(layers, phi, [tau_m] * 3 + [_GROUPS[0][0]], [tau_r] * 3 + [_GROUPS[0][1]], _DT)


def prepare(x):
    """Return spectrograms (..., batch, frames, n_mels) as the input of all steps, (..., T, batch, n_mels)."""
    return xp.ascontiguousarray(xp.swapaxes(stretch(x, _STRETCH), -2, -3))
