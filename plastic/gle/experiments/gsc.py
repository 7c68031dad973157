"""Spoken words, one step in time after another (Ellenberger et al. 2024, Fig. 8)."""

import functools
from typing import Literal

import numpy as np

from plastic import require, runs, xp
from plastic.data import speech
from plastic.data.speech.batches import Balanced, Batches, fixed
from plastic.data.speech.features import mel_filters, stretch
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, confusion
from plastic.gle.experiments import seeds, sequence_classifier, sequence_figures
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.networks import Network, uniform_layers
from plastic.optimizers import SGD, Adam, Plateau, Stairs

_DT, _STRETCH = 0.05, 20  # a frame of the spectrogram lasts one time unit
_RATE = _DT * 625 / 800  # what the learning rate is multiplied by, as published


def restore(arrays, *, tau_m, tau_r, prospective_errors, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes spectrograms (batch, frames, n_mels) of the host, as training has them, and gives the outputs
    summed over the steps (..., batch, classes) from rest. In training, and in metrics.csv, a sequence begins in what
    the one before left.
    """
    net = network(sequence_classifier.layers_of(arrays), tau_m, tau_r, prospective_errors)
    return net, lambda x: sequence_classifier.summed(net, prepare(xp.asarray(x)))


def _readable(*, dataset, full, features, seeds, **_):
    return f"{dataset}{'-full' if full else ''}{'' if features == 'mel' else '-' + features}-{seeds}"


def _classes(run):
    """Return what the classes of a run are called."""
    return speech.info(run.option("dataset"), run.options.get("full", False))[0]


_FIGURES = sequence_figures.OF_SEQUENCES | {"confusion": functools.partial(confusion, names=_classes)}


@runs.experiment("gle", draw=_FIGURES, restore=restore, length="max_epochs", readable=_readable, seed=115)
def gsc(
    run,
    *,
    dataset: str = "GSC",
    full: bool = False,
    features: Literal["mel", "mfcc"] = "mel",
    n_mels: int = 32,
    sampling: Literal["sequential", "random"] = "sequential",
    max_epochs: int = 420,
    batch_size: int = 256,
    optim: Literal["adam", "sgd"] = "adam",
    learning_rate: float = 5e-4,
    lr_scheduler: Literal["plateau", "step"] = "plateau",
    lr_scheduler_patience: int = 3,
    lr_scheduler_step_size: int = 50,
    lr_scheduler_gamma: float = 0.9,
    hidden: int = 750,
    tau_m: tuple[float, ...] = (2.4, 0.6, 1.2, 1.8, 2.4),
    tau_r: tuple[float, ...] = (2.4, 0.1, 0.1, 0.1, 0.1),
    prospective_errors: bool = True,
):
    """Recognise spoken words online, an update in each of 820 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    Google Speech Commands v0.02 (35 words; 12 classes, "unknown" and "silence" among them), or the Free Spoken Digit
    Dataset, which is small. The network sees standardised log-mel spectrograms, with noise and shifts added in
    training. The prediction is where the outputs are largest in their sum over a recording. Published for GSC after
    420 epochs, ten seeds: 91.4 % on the validation set. The run folder, results/gle/gsc-..., gets config.json,
    metrics.csv, checkpoint.h5, arrays.h5 (loss, accuracy and confusion matrix on the test set at the end) and three
    figures. Of several seeds, the first one splits the data. Both sets of data come with a validation set of their own,
    which the schedule follows; as published, the weights of the last epoch are tested, not those of the best.

    Args:
        dataset: GSC (a download of 2.4 GB) or FSDD (16 MB); files of your own are not taken.
        full: all 35 words of GSC as classes, without "unknown" and "silence".
        features: mel (log-mel spectrograms) or mfcc (their cosine transform over the filters, as many coefficients).
        n_mels: filters of the spectrogram.
        sampling: of the validation and the test set: sequential (all, in their order, as published), or random (as
            many, drawn once with replacement, each class as often as any other, as in training).
        max_epochs: epochs to train.
        batch_size: recordings per batch, each class as often as any other.
        optim: adam, or sgd (without momentum).
        learning_rate: times dt 625 / 800 = 0.039, as published.
        lr_scheduler: plateau (the rate is lowered when the loss on the validation set has stopped falling) or step (it
            is lowered after every lr_scheduler_step_size epochs).
        lr_scheduler_patience: epochs without a lower loss before plateau lowers the rate.
        lr_scheduler_step_size: epochs from one step to the next.
        lr_scheduler_gamma: what the rate is multiplied by then.
        hidden: neurons in each of the three hidden layers: a multiple of the number of groups of time constants.
        tau_m: membrane time constants, one for each of the equal groups of neurons in a hidden layer; the outputs have
            those of the first group.
        tau_r: prospective time constants of the same groups. (The published script adds what is given to its default.)
        prospective_errors: errors look ahead by tau_m, as published; otherwise they are instantaneous.
    """
    require.counts(max_epochs=max_epochs, batch_size=batch_size, n_mels=n_mels, hidden=hidden)
    require.number("learning_rate", learning_rate, above=0)
    require.number("lr_scheduler_gamma", lr_scheduler_gamma, above=0, most=1)
    require.whole("lr_scheduler_patience", lr_scheduler_patience, least=0)
    require.whole("lr_scheduler_step_size", lr_scheduler_step_size)
    _require_groups(hidden, tau_m, tau_r)
    run.require_used(
        lr_scheduler_patience=lr_scheduler != "plateau" and "--lr_scheduler=plateau",
        lr_scheduler_step_size=lr_scheduler != "step" and "--lr_scheduler=step",
    )
    mel_filters(speech.info(dataset, full)[1], n_mels)  # refuses what is not possible
    run.fill(dataset=dataset.upper())
    weights = 2 * hidden**2  # with a gradient and two moments each
    run.expect(len(run.seeds) * (4 * weights + 24 * hidden * batch_size), hidden=hidden, batch_size=batch_size)

    generators = run.generators()
    found = speech.load(dataset, seed=run.seeds[0], full=full)
    sizes = (n_mels, hidden, hidden, hidden, len(found.classes))
    layers = seeds.stacked([uniform_layers(each.init, sizes) for each in generators])
    net = network(layers, tau_m, tau_r, prospective_errors)
    plateau = Plateau(lr_scheduler_patience, lr_scheduler_gamma, eps=1e-20)
    schedule = plateau if lr_scheduler == "plateau" else Stairs(lr_scheduler_step_size, lr_scheduler_gamma)
    rate, optimizer = learning_rate * _RATE, {"adam": Adam, "sgd": SGD}[optim]
    learner = SequenceClassifier(net, prepare, schedule, rate, batch_size, chunk=batch_size, optimizer=optimizer)
    drawing = xp.generator(run.seeds[0]).task if sampling == "random" else None
    validation, test = (
        _evaluated(each, found.rate, n_mels, features, drawing) for each in (found.validation, found.test)
    )
    drawn = [each.data for each in generators]
    source = Batches(found.train, found.rate, batch_size, n_mels, drawn, found.noise, features)
    evaluations = Evaluations({"layers": net.layers}, net.replicas, len(found.classes), "accuracy", best=False)
    sequence_classifier.train(run, learner, source, ("validation", validation), evaluations, epochs=max_epochs)
    tested = {name: xp.asnumpy(value) for name, value in learner.score(*test).items()}
    run.save_tested({f"test_{name}": value for name, value in tested.items()})
    return [sequence_classifier.spread(np.delete(np.atleast_1d(tested["accuracy"]), run.diverged))]


def network(layers, tau_m, tau_r, prospective):
    """Return the network with these layers, [Affine] of host arrays: three hidden layers, the first of them linear.

    tau_m, tau_r: of the equal groups of neurons in each hidden layer; the outputs are as the first group.
    """
    size = layers[0].W.shape[-1] // len(tau_m)
    hidden_m, hidden_r = (np.repeat(each, size) for each in (tau_m, tau_r))
    phi = ["linear", "tanh", "tanh", "linear"]
    constants = [hidden_m] * 3 + [tau_m[0]], [hidden_r] * 3 + [tau_r[0]]
    return Network.from_layers(layers, phi, *constants, _DT, prospective=prospective)


def prepare(x):
    """Return spectrograms (..., batch, frames, n_mels) as the input of all steps, (..., T, batch, n_mels)."""
    return xp.ascontiguousarray(xp.swapaxes(stretch(x, _STRETCH), -2, -3))


def _evaluated(recordings, rate, n_mels, features, drawing):
    """Return (x, labels) of a set: all of it, or as many samples of balanced classes if there is a generator."""
    x, labels = fixed(recordings, rate, n_mels, features), recordings.labels
    if drawing is None:
        return x, xp.asarray(labels)
    chosen = xp.asarray(Balanced(labels).draw(drawing, len(labels)))
    return x[chosen], xp.asarray(labels)[chosen]


def _require_groups(hidden, tau_m, tau_r):
    """Require as many time constants of either kind, of at least a step, and equal groups of neurons for them."""
    if not tau_m or len(tau_m) != len(tau_r):
        raise PlasticError(
            f"tau_m has {len(tau_m)} time constants, tau_r {len(tau_r)}; give one of each for each group"
        )
    for name, values in (("tau_m", tau_m), ("tau_r", tau_r)):
        for value in values:
            require.number(name, value, least=_DT)
    if hidden % len(tau_m):
        raise PlasticError(f"hidden is {hidden}; it must be a multiple of {len(tau_m)}, the groups of time constants")
