"""MNIST-1D, one sample in each Euler step (Ellenberger et al. 2024, Fig. 8)."""

import dataclasses
import pathlib
from typing import Literal

import numpy as np

from plastic import classifier, data, require, runs, xp
from plastic.data.catalogue import SOURCES
from plastic.data.mnist1d import CLASSES, PUBLISHED, Deformation, generate
from plastic.data.sources import Batches
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of, told
from plastic.functions import log_softmax
from plastic.gle.experiments import seeds, sequence_classifier, sequence_figures
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.lag_features import lag_features
from plastic.gle.networks import Network, uniform_layers
from plastic.optimizers import Plateau

_SET, _DT, _STEPS, _CLASSES = "MNIST-1D-360", 0.2, 360, 10
_SAMPLES = 5000  # of the published data
_OF_THE_CURVES = ("num_samples", "classes", *(field.name for field in dataclasses.fields(Deformation)))
_RATES = {"plastic_e2e": 5e-3, "plastic_e2e_42k": 2.5e-3, "static_lagnet": 5e-3}  # for 72 steps
_DELAY = 7  # steps from an input to the outputs of any architecture, a layer in each; of four the lag net
_CHUNK = 1000  # samples at once, where nothing is learned
_EQUAL, _LAGGED = {"plastic_e2e": 17, "plastic_e2e_42k": 30}, {"plastic_e2e": 36, "plastic_e2e_42k": 60}
_SMALL = {"plastic_e2e": 20, "plastic_e2e_42k": 10, "static_lagnet": 100}
"""Sequences of a batch up to which the calls of a step take more time than its products."""
_READ = {"ce": None, "nll": log_softmax}


def restore(arrays, *, architecture, loss, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes samples (batch, T) or (batch, T, n_0) of the host, as training has them, and gives what is read
    summed over the steps (..., batch, classes) from rest. In training, and in metrics.csv, a sequence begins in what
    the one before left. The network is that of the best epoch where there was a validation set.
    """
    net = network(architecture, sequence_classifier.layers_of(best_of(arrays)))
    more = {"read": _READ[loss]} if _READ[loss] else {}
    return net, lambda x: sequence_classifier.summed(
        net, steps_first(features(architecture, classifier.given(x))), **more
    )


def _readable(*, architecture, dataset, seeds, **_):
    return "-".join([architecture, *([] if dataset == _SET else [pathlib.Path(dataset).stem]), seeds])


def _small(*, architecture, batch_size, **_):
    """Whether seeds train faster in one run."""
    return batch_size <= _SMALL[architecture]


@runs.experiment(
    "gle",
    draw=sequence_figures.OF_MNIST1D,
    restore=restore,
    length="max_epochs",
    readable=_readable,
    seed=42,
    together=_small,
)
def mnist1d(
    run,
    *,
    architecture: Literal["plastic_e2e", "plastic_e2e_42k", "static_lagnet"] = "plastic_e2e",
    max_epochs: int = 150,
    batch_size: int = 100,
    learning_rate: float | None = None,
    loss: Literal["ce", "nll"] = "ce",
    validation: float = 0.0,
    dataset: str = _SET,
    num_samples: int = _SAMPLES,
    classes: tuple[int, ...] = CLASSES,
    deformation: Deformation,
):
    """Classify MNIST-1D online, a sample and an update in each of 360 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    The run folder, results/gle/mnist1d-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 (the outputs in
    every step of a few test sequences one after the other) and figures. The prediction is where the outputs are largest
    in their sum over a sequence. As published, the learning rate is halved when the loss on the test set has not fallen
    for three epochs, there being no third set. With --validation=0.1 there is one, which takes its place in this and in
    metrics.csv; the test set is measured once, with the parameters of the best epoch (test_accuracy, test_loss,
    test_confusion, best_epoch in arrays.h5). Published after 150 epochs, ten seeds: 91.7 % (plastic_e2e), 93.5 %
    (plastic_e2e_42k), 90.9 % (static_lagnet). The sizes of plastic_e2e_42k follow from its number of parameters; no
    script is published.

    Args:
        architecture: plastic_e2e (six hidden layers of 53 neurons, trained end to end), plastic_e2e_42k (of 90), or
            static_lagnet (two layers of 60 on ten fixed chains of leaky integrators).
        max_epochs: epochs to train.
        batch_size: sequences per batch, in a new order in every epoch; what does not fill a batch is left out of it.
        learning_rate: of Adam, for 72 steps; it is divided by 5 for the 360 steps here, and likewise for sequences of
            another length. By default 5e-3, and 2.5e-3 for plastic_e2e_42k.
        loss: ce (cross-entropy of the outputs) or nll (negative log-likelihood of their log-softmax). Both learn and
            predict the same, since log-softmax takes one number from all outputs of a step; what `plastic.load`
            predicts are sums of logits or of log-probabilities.
        validation: share of the training samples, 0.1 for instance, that is held out as a validation set: of each class
            the last ones.
        dataset: MNIST-1D-360; another set of curves or of grey images, whose rows are the steps, that `plastic.data
            list` shows; or an .npz file of sequences with x_train, y_train, x_test, y_test, x (N, T), or (N, T, n) for
            n inputs, and labels 0, 1, 2, .. An input needs 7 steps to the outputs, so T is at least 8.
        num_samples: curves of MNIST-1D that are generated, the first 80 % for training.
        classes: of the ten curves of MNIST-1D, those that are taken; they become the classes 0, 1, ..
    """
    require.counts(max_epochs=max_epochs, batch_size=batch_size)
    if learning_rate is not None:
        require.number("learning_rate", learning_rate, above=0)
    require.number("validation", validation, least=0, below=1)
    generated = (num_samples, classes, deformation)
    dataset = data.require(dataset)
    run.require_used(**dict.fromkeys(_OF_THE_CURVES, dataset != _SET and f"--dataset={_SET}"))
    run.fill(dataset=dataset)
    if generated == (_SAMPLES, CLASSES, PUBLISHED):
        _require_known(architecture, dataset, batch_size)
        found = classifier.load(dataset, flat=False, validation=validation)
    else:
        arrays = generate(num_samples, _STEPS, classes=classes, deformation=deformation)
        found = classifier.placed(data.assembled(_SET, arrays, xp.float_dtype.name, validation), flat=False)

    samples, generators = _seen(architecture, found), run.generators()
    x, labels = samples.train
    widths = sizes(architecture, x.shape[-1], samples.classes)
    net = network(architecture, seeds.stacked([uniform_layers(each.init, widths) for each in generators]))
    rate, schedule = (learning_rate or _RATES[architecture]) * 72 / x.shape[1], Plateau(patience=2, factor=0.5)
    learner = SequenceClassifier(net, steps_first, schedule, rate, batch_size, chunk=_CHUNK, read=_READ[loss])
    source = Batches(x, labels, batch_size, [each.shuffle for each in generators])
    evaluations = Evaluations({"layers": net.layers}, net.replicas, samples.classes, "accuracy", best=bool(validation))
    sequence_classifier.train(run, learner, source, samples.judged, evaluations, epochs=max_epochs)
    tested = evaluations.test(run, learner.measure, samples.test, chunk=_CHUNK)
    raw, of_raw = (xp.asnumpy(each) for each in found.test)
    run.save_arrays(sequence_classifier.stream(net, raw, of_raw, samples.test[0]))
    accuracies = tested["test_accuracy"] if tested else [row["test_accuracy"] for row in seeds.last_rows(run)]
    return [sequence_classifier.spread(accuracies) + told(tested)]


def network(architecture, layers):
    """Return the network of an architecture with these layers, [Affine] of host arrays.

    plastic_e2e: six hidden layers, the first linear, the others tanh; in each, half of the lagged neurons have tau_m =
    0.6, half 1.2, all tau_r = dt, and the others tau_m = tau_r = 1.2, as the outputs have. Prospective errors.
    static_lagnet: two hidden layers of tanh, instantaneous (tau_m = tau_r), behind the fixed lag net.
    """
    if architecture == "static_lagnet":
        phi = ["tanh", "tanh", "linear"]
        return Network.from_layers(layers, phi, 2.0, 2.0, _DT, prospective=False, memoryless=True)
    lagged = _LAGGED[architecture]
    tau_m = np.repeat([0.6, 1.2, 1.2], [lagged // 2, lagged // 2, _EQUAL[architecture]])
    tau_r = np.repeat([_DT, 1.2], [lagged, _EQUAL[architecture]])
    phi = ["linear", *["tanh"] * 5, "linear"]
    return Network.from_layers(layers, phi, [tau_m] * 6 + [1.2], [tau_r] * 6 + [1.2], _DT, memoryless=True)


def sizes(architecture, n_inputs=None, classes=_CLASSES):
    """Return the numbers of neurons of an architecture, inputs first: by default those for MNIST-1D."""
    if architecture == "static_lagnet":
        return (n_inputs or 10, 60, 60, classes)
    return (n_inputs or 1, *[_EQUAL[architecture] + _LAGGED[architecture]] * 6, classes)


def features(architecture, x):
    """Return what an architecture sees of samples x (N, T) or (N, T, n): (N, T, n), or the lag net's (N, T, 10)."""
    x = xp.asarray(x) if x.ndim > 2 else xp.asarray(x)[..., None]
    if architecture != "static_lagnet":
        return x
    return xp.concatenate([lag_features(x[start : start + _CHUNK]) for start in range(0, len(x), _CHUNK)])


def steps_first(x):
    """Return sequences (..., batch, T, n_0) as (..., T, batch, n_0)."""
    return xp.ascontiguousarray(xp.swapaxes(x, -2, -3))


def _require_known(architecture, dataset, batch_size):
    """Require of a data set with a name a batch, and sequences, before it is fetched or made."""
    if (source := SOURCES.get(dataset)) is None:
        return
    if batch_size > source.train:
        raise PlasticError(f"batch_size is {batch_size}, but there are {source.train} training samples")
    _require_sequences(architecture, dataset, source.shape)


def _require_sequences(architecture, name, shape):
    """Require samples that are sequences, which an architecture takes, and long enough to be seen by the outputs."""
    if len(shape) > 2 or (architecture == "static_lagnet" and shape[1:] not in ((), (1,))):
        wanted = "(T,)" if architecture == "static_lagnet" else "(T,) or (T, inputs)"
        raise PlasticError(f"{name} has samples of shape {shape}; {architecture} takes sequences {wanted}")
    if shape[0] <= _DELAY:
        raise PlasticError(
            f"{name} has sequences of {shape[0]} steps, but an input needs {_DELAY} steps to the outputs of "
            f"{architecture}; take longer ones"
        )


def _seen(architecture, samples):
    """Return `Samples` with the features of the sequences; nothing in them changes while the network learns."""
    _require_sequences(architecture, samples.name, samples.train[0].shape[1:])
    sets = {name: getattr(samples, name) for name in ("train", "test", "validation")}
    seen = {name: (features(architecture, each[0]), each[1]) for name, each in sets.items() if each}
    return dataclasses.replace(samples, **seen)
