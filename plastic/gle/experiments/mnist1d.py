"""MNIST-1D, one sample in each Euler step (Ellenberger et al. 2024, Fig. 8)."""

import dataclasses
from typing import Literal

import numpy as np

from plastic import classifier, data, require, runs, xp
from plastic.data.sources import Batches
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of, told
from plastic.gle.experiments import figures, seeds, sequence_classifier
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.lag_features import lag_features
from plastic.gle.networks import Network, uniform_layers
from plastic.optimizers import Plateau

_SET, _DT, _STEPS, _CLASSES = "MNIST-1D-360", 0.2, 360, 10
_RATES = {"plastic_e2e": 5e-3, "plastic_e2e_42k": 2.5e-3, "static_lagnet": 5e-3}  # for 72 steps
_CHUNK = 1000  # samples at once, where nothing is learned
_EQUAL, _LAGGED = {"plastic_e2e": 17, "plastic_e2e_42k": 30}, {"plastic_e2e": 36, "plastic_e2e_42k": 60}


def restore(arrays, *, architecture, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes samples (batch, 360) of the host, as training has them, and gives the outputs summed over the steps
    (..., batch, classes) from rest. The network is that of the best epoch where there was a validation set.
    """
    net = network(architecture, sequence_classifier.layers_of(best_of(arrays)))
    return net, lambda x: sequence_classifier.summed(net, steps_first(features(architecture, x)))


@runs.experiment(
    "gle", draw=figures.OF_SEQUENCES, restore=restore, length="max_epochs", readable="{architecture}-{seeds}", seed=42
)
def mnist1d(
    run,
    *,
    architecture: Literal["plastic_e2e", "plastic_e2e_42k", "static_lagnet"] = "plastic_e2e",
    max_epochs: int = 150,
    batch_size: int = 100,
    learning_rate: float | None = None,
    validation: float = 0.0,
):
    """Classify MNIST-1D online, a sample and an update in each of 360 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    The run folder, results/gle/mnist1d-..., gets config.json, metrics.csv, checkpoint.h5 and figures. The prediction is
    where the outputs are largest in their sum over a sequence. As published, the learning rate is halved when the loss
    on the test set has not fallen for three epochs, there being no third set. With --validation=0.1 there is one, which
    takes its place in this and in metrics.csv; the test set is measured once, with the parameters of the best epoch
    (test_accuracy, test_loss, best_epoch in arrays.h5). Published after 150 epochs, ten seeds: 91.7 % (plastic_e2e),
    93.5 % (plastic_e2e_42k), 90.9 % (static_lagnet). The sizes of plastic_e2e_42k follow from its number of parameters;
    no script is published.

    Args:
        architecture: plastic_e2e (six hidden layers of 53 neurons, trained end to end), plastic_e2e_42k (of 90), or
            static_lagnet (two layers of 60 on ten fixed chains of leaky integrators).
        max_epochs: epochs to train.
        batch_size: sequences per batch.
        learning_rate: of Adam, for 72 steps; it is divided by 5 for the 360 steps here. By default 5e-3, and 2.5e-3
            for plastic_e2e_42k.
        validation: share of the training samples, 0.1 for instance, that is held out as a validation set: of each class
            the last ones.
    """
    require.counts(max_epochs=max_epochs, batch_size=batch_size)
    if learning_rate is not None:
        require.number("learning_rate", learning_rate, above=0)
    require.number("validation", validation, least=0, below=1)
    if (known := data.sizes(_SET)) is not None and batch_size > known[0]:
        raise PlasticError(f"batch_size is {batch_size}, but there are {known[0]} training samples")

    generators = run.generators()
    layers = seeds.stacked([uniform_layers(each.init, sizes(architecture)) for each in generators])
    samples = _seen(architecture, classifier.load(_SET, validation=validation))
    rate, schedule = (learning_rate or _RATES[architecture]) * 72 / _STEPS, Plateau(patience=2, factor=0.5)
    net = network(architecture, layers)
    learner = SequenceClassifier(net, steps_first, schedule, rate, batch=batch_size, chunk=_CHUNK)
    x, labels = samples.train
    source = Batches(x, labels, batch_size, [each.shuffle for each in generators])
    evaluations = Evaluations({"layers": net.layers}, net.lead, _CLASSES, "accuracy", best=bool(validation))
    sequence_classifier.train(run, learner, source, samples.judged, evaluations, epochs=max_epochs)
    tested = evaluations.test(run, learner.measure, samples.test, chunk=_CHUNK)
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


def sizes(architecture):
    """Return the numbers of neurons of an architecture, inputs first."""
    if architecture == "static_lagnet":
        return (10, 60, 60, _CLASSES)
    return (1, *[_EQUAL[architecture] + _LAGGED[architecture]] * 6, _CLASSES)


def features(architecture, x):
    """Return what an architecture sees of samples x (N, 360): (N, 360, 1), or the 10 outputs of the fixed lag net."""
    x = xp.asarray(x)[..., None]
    if architecture != "static_lagnet":
        return x
    return xp.concatenate([lag_features(x[start : start + _CHUNK]) for start in range(0, len(x), _CHUNK)])


def steps_first(x):
    """Return sequences (..., batch, T, n_0) as (..., T, batch, n_0)."""
    return xp.ascontiguousarray(xp.swapaxes(x, -2, -3))


def _seen(architecture, samples):
    """Return `Samples` with the features of the curves; nothing in them changes while the network learns."""
    sets = {name: getattr(samples, name) for name in ("train", "test", "validation")}
    seen = {name: (features(architecture, each[0]), each[1]) for name, each in sets.items() if each}
    return dataclasses.replace(samples, **seen)
