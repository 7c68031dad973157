"""MNIST-1D, one sample in each Euler step (Ellenberger et al. 2024, Fig. 8): the command."""

from typing import Literal

import numpy as np

from plastic import data, parameters, training, xp
from plastic.errors import PlasticError
from plastic.gle import figures
from plastic.gle.lag_features import lag_features
from plastic.gle.networks import Network, uniform_layers
from plastic.gle.sequences import SequenceTask
from plastic.optimizers import Plateau
from plastic.runs.command import run_task
from plastic.runs.options import check_at_least_one, check_seeds, resumed, seed_names, seeds_of

SET, DT, STEPS, CLASSES = "MNIST-1D-360", 0.2, 360, 10
RATES = {"plastic_e2e": 5e-3, "plastic_e2e_42k": 2.5e-3, "static_lagnet": 5e-3}  # for 72 steps; see `Task`
_TEST_BATCH = 1000
_EQUAL, _LAGGED = {"plastic_e2e": 17, "plastic_e2e_42k": 30}, {"plastic_e2e": 36, "plastic_e2e_42k": 60}


def network(architecture, layers):
    """Return the network of an architecture with these layers, [Affine] of host arrays.

    plastic_e2e: six hidden layers, the first linear, the others tanh; in each, half of the lagged neurons have tau_m =
    0.6, half 1.2, all tau_r = dt, and the others tau_m = tau_r = 1.2, as the outputs have. Prospective errors.
    static_lagnet: two hidden layers of tanh, instantaneous (tau_m = tau_r), behind the fixed lag net.
    """
    if architecture == "static_lagnet":
        phi = ["tanh", "tanh", "linear"]
        return Network.from_layers(layers, phi, 2.0, 2.0, DT, prospective=False, memoryless=True)
    lagged = _LAGGED[architecture]
    tau_m = np.repeat([0.6, 1.2, 1.2], [lagged // 2, lagged // 2, _EQUAL[architecture]])
    tau_r = np.repeat([DT, 1.2], [lagged, _EQUAL[architecture]])
    phi = ["linear", *["tanh"] * 5, "linear"]
    return Network.from_layers(layers, phi, [tau_m] * 6 + [1.2], [tau_r] * 6 + [1.2], DT)


def sizes(architecture):
    """Return the numbers of neurons of an architecture, inputs first."""
    if architecture == "static_lagnet":
        return (10, 60, 60, CLASSES)
    return (1, *[_EQUAL[architecture] + _LAGGED[architecture]] * 6, CLASSES)


def task(options):
    """Return the `SequenceTask` of the options."""
    architecture, seeds = options["architecture"], seeds_of(options)
    generators = [xp.generator(seed) for seed in seeds]
    drawn = [uniform_layers(each.init, sizes(architecture)) for each in generators]
    layers = parameters.map(lambda *arrays: np.stack(arrays) if len(arrays) > 1 else arrays[0], *drawn)
    dataset = data.load(SET, dtype=options["dtype"], validation=options["validation"])
    held = {"test": dataset.test} | ({"validation": dataset.validation} if options["validation"] else {})
    held = {name: (features(architecture, x), xp.asarray(labels)) for name, (x, labels) in held.items()}
    batch = options["batch_size"]
    x, labels = features(architecture, dataset.train[0]), xp.asarray(dataset.train[1])
    return SequenceTask(
        options,
        network(architecture, layers),
        source=training.Batches(x, labels, batch, [each.shuffle for each in generators]),
        prepare=steps_first,
        sets=held,
        watched="validation" if options["validation"] else "test",
        schedule=Plateau(patience=2, factor=0.5),
        learning_rate=(options["learning_rate"] or RATES[architecture]) * 72 / STEPS,
        batch=batch,
        chunk=_TEST_BATCH,
    )


def features(architecture, x):
    """Return what an architecture sees of samples x (N, 360): (N, 360, 1), or the 10 outputs of the fixed lag net."""
    x = xp.asarray(x)[..., None]
    return lag_features(x) if architecture == "static_lagnet" else x


def steps_first(x):
    """Return sequences (..., batch, T, n_0) as (..., T, batch, n_0)."""
    return xp.ascontiguousarray(xp.swapaxes(x, -2, -3))


def mnist1d(
    *,
    architecture: Literal["plastic_e2e", "plastic_e2e_42k", "static_lagnet"] = "plastic_e2e",
    max_epochs: int = 150,
    batch_size: int = 100,
    learning_rate: float | None = None,
    validation: int = 0,
    seed: int = 42,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Classify MNIST-1D online, a sample and an update in each of 360 steps, by GLE (Ellenberger et al. 2024, Fig. 8).

    The run folder, results/gle/mnist1d-..., gets config.json, metrics.csv, checkpoint.h5 and figures. The prediction is
    where the outputs are largest in their sum over a sequence. As published, the learning rate is halved when the loss
    on the test set has not fallen for three epochs, there being no third set; --validation=400 takes one from the
    training set for that. Published after 150 epochs, ten seeds: 91.7 % (plastic_e2e), 93.5 % (plastic_e2e_42k),
    90.9 % (static_lagnet). The sizes of plastic_e2e_42k follow from its number of parameters; no script is published.

    Args:
        architecture: plastic_e2e (six hidden layers of 53 neurons, trained end to end), plastic_e2e_42k (of 90), or
            static_lagnet (two layers of 60 on ten fixed chains of leaky integrators).
        max_epochs: epochs to train.
        batch_size: sequences per batch.
        learning_rate: of Adam, for 72 steps; it is divided by 5 for the 360 steps here. By default 5e-3, and 2.5e-3
            for plastic_e2e_42k.
        validation: how many training samples are held out, to lower the learning rate by, rather than by the test set.
        seed: seed of everything random but the data.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(mnist1d, options, "gle", "mnist1d")
    check_seeds(options)
    check_at_least_one(options, "max_epochs", "batch_size")
    if options["learning_rate"] is not None and not options["learning_rate"] > 0:
        raise PlasticError(f"learning_rate is {options['learning_rate']}; it must be above 0")
    samples = data.sizes(SET)[0]
    if not 0 <= options["validation"] < samples:
        raise PlasticError(f"validation is {options['validation']}; it must be at least 0 and below {samples}")
    if options["batch_size"] > samples - options["validation"]:
        left = samples - options["validation"]
        raise PlasticError(f"batch_size is {options['batch_size']}, but there are {left} training samples")
    readable = f"{options['architecture']}-{seed_names(options)}"
    return run_task("gle", "mnist1d", options, readable, lambda: task(options), _report, draw=figures.draw)


def _report(run, _):
    metrics = run.metrics()
    last = [step == metrics["step"][-1] for step in metrics["step"]]  # of the replicas that have not diverged
    accuracy = 100 * np.compress(last, metrics["test_accuracy"])
    print(f"test accuracy {accuracy.mean():.2f} % (seeds: {len(accuracy)}, standard deviation {accuracy.std():.2f})")
