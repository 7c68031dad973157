"""The published task: images to classes, by one of the rules on a square or a tower network."""

import functools
import pathlib
from typing import Literal

import numpy as np

from plastic import check, classifier, data, parameters, require, runs, terminal, training, xp
from plastic.data.sources import Batches
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of, told
from plastic.functions import accuracy, confusion, mean_squared_error, one_hot
from plastic.gait import feedback, regulariser, rules
from plastic.gait.experiments import figures
from plastic.gait.experiments.start import assign, newest, require_run
from plastic.gait.network import InvertibleNetwork, predict, random_layer, require_no_growth
from plastic.initializers import legacy_generator
from plastic.optimizers import Adam
from plastic.parameters import Affine

_TOWER, _GAMMA = (784, 500, 200, 10), 1e-3
_SMALL = 100  # units of a layer, whose products take about the time of the calls that make them


def restore(arrays, *, n_inputs, linear, classes, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes images (batch, ...) of the host, scaled as in training, to the outputs of the classes (..., batch,
    classes). The network is that of the best epoch where there was a validation set.
    """
    arrays = best_of(arrays)
    places = range(sum(path.startswith("layers/") and path.endswith("/W") for path in arrays))
    layers = [Affine(*(xp.asarray(arrays[f"layers/{place}/{name}"]) for name in ("W", "b"))) for place in places]
    net = InvertibleNetwork(layers, n_inputs, linear)
    return net, lambda x: xp.asnumpy(predict(net, classifier.given(x).reshape(len(x), -1), classes=classes))


def _readable(*, algorithm, dataset, tower, nb_layers, orthogonal_reg, seeds, **_):
    shape = "tower" if tower else f"{nb_layers}hidden"
    return f"{algorithm}-{pathlib.Path(dataset).stem}-{shape}-reg{orthogonal_reg:g}-{seeds}"


def _small(*, dataset, tower, widths, load, **_):
    """Whether seeds train faster in one run."""
    units = max(widths or _TOWER) if tower else data.width(dataset)
    return units <= _SMALL and not load


@runs.experiment(
    "gait",
    draw=figures.ALL,
    restore=restore,
    length="nb_epochs",
    readable=_readable,
    together=_small,
    rate="learning_rate",
)
def train(
    run,
    *,
    algorithm: Literal["BP", "TP", "GAIT", "FA", "DFA"] = "BP",
    dataset: str = "MNIST",
    orthogonal_reg: float = 0.0,
    orthogonal_init: bool = False,
    nb_epochs: int = 100,
    nb_layers: int = 1,
    learning_rate: float = 1e-4,
    linear: bool = False,
    tower: bool = False,
    widths: tuple[int, ...] | None = None,
    gamma: float = _GAMMA,
    batch_size: int | None = None,
    shuffle: bool = False,
    eval_every: int | None = None,
    validation: float = 0.0,
    load: bool | str | None = None,
):
    """Train an invertible network to classify images by BP, TP, GAIT-prop, FA or DFA (Ahmad et al. 2020).

    The run folder, results/gait/train-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 and four figures.
    The metrics are the accuracy and the true mean squared error on the test set; the same in training, running means
    over the batches since the last evaluation, each before its update; and for each layer the cosine between the update
    of the rule and that of backpropagation, both without regulariser, on the first training batch. (The published code
    evaluates the training set each time, which costs a fifth of BP's time; and it logs as its loss the square of a
    mean, not the mean of squares. Both are dropped.)
    As published, layer l = 0, 1, .. draws its weights from seed + l, and the output layer of a square network from the
    seed of the last hidden layer, so these two start equal. lambda above 1 has its Gram matrix in float64 in either
    precision. As published, the test set is measured at each evaluation; with --validation=0.1 the validation set is,
    and the test set once, with the parameters of the best epoch, which arrays.h5 has (test_accuracy, test_mse,
    test_confusion, best_epoch). The confusion matrix of the last evaluation is in the checkpoint.

    Args:
        algorithm: BP (backpropagation), TP (target propagation), GAIT (GAIT-prop), FA or DFA ((direct) feedback
            alignment).
        dataset: MNIST, FMNIST, KMNIST, glyphs (needs no download), another name that `plastic.data list` shows, speech
            apart, or an .npz file with x_train, y_train, x_test, y_test: samples of any shape, which are made flat, and
            labels 0, 1, 2, ..
        orthogonal_reg: strength lambda of the soft orthogonality. As published, 0 makes the initial weights orthogonal
            whatever orthogonal_init says.
        orthogonal_init: orthogonal initial weights rather than Xavier's.
        nb_epochs: epochs to train.
        nb_layers: hidden layers of the square network; a tower ignores it, as published.
        learning_rate: step size of Adam, which is as published: without bias correction, beta2 = 0.99.
        linear: no leaky rectifier.
        tower: layers that narrow (784, 500, 200, 10) rather than square ones.
        widths: other widths for the tower, input side first, not growing.
        gamma: of GAIT: how far a target moves from the activity.
        batch_size: samples per batch; by default a thousandth of the training set, as published. What does not fill a
            batch is left out of an epoch.
        shuffle: a new order of the samples in every epoch; by default the file's order, as published, in which the
            samples that are left out are always the last ones and are never trained on. That is said at the start.
        eval_every: steps between two evaluations; by default an epoch (the published code takes 10 steps).
        validation: share of the training samples, 0.1 for instance, that is held out as a validation set: of each class
            the last ones.
        load: a run folder whose parameters, those of its best epoch where it had a validation set, the training starts
            from, with fresh moments; without a value the newest run with the same options, but for the lengths
            nb_epochs and eval_every.
    """
    require.counts(nb_epochs=nb_epochs, nb_layers=nb_layers, batch_size=batch_size, eval_every=eval_every)
    _require_constants(learning_rate, orthogonal_reg, gamma, validation)
    if algorithm != "GAIT" and gamma != _GAMMA:
        raise PlasticError(f"gamma is {gamma:g}, but it is a constant of GAIT, not of {algorithm}; leave it out")
    _require_widths(widths, tower)
    if isinstance(load, str) and not run.resuming:
        require_run(load)
    wanted = _Widths(tower, widths or _TOWER, nb_layers)
    samples, batch_size = wanted.samples(dataset, validation, batch_size)
    x, labels = samples.train
    run.fill(batch_size=batch_size, classes=samples.classes, n_inputs=x.shape[1])
    run.expect(wanted.entries(x.shape[1]) * len(run.seeds), **wanted.options)
    if isinstance(load, bool):
        load = newest(run) if load else None
        run.fill(load=load)

    net = _network(wanted, run.seeds, orthogonal_init or orthogonal_reg == 0, linear, x.shape[1])
    if load is not None and not run.resuming:
        assign(net, load)
    generators = run.generators()
    rule = _rule(algorithm, net, samples.classes, [each.init for each in generators], gamma)
    optimizer, grads = Adam.without_correction(run.rate("learning_rate")), parameters.zeros_like(net.parameters)
    moments, tally = optimizer.init(net.parameters), classifier.Tally(net.replicas, "accuracy", "mse")
    evaluations = Evaluations(net.parameters, net.replicas, samples.classes, "accuracy", best=bool(validation))
    state = net.parameters | {"moments": moments, "tally": tally.totals} | evaluations.tree
    shuffles = [each.shuffle for each in generators] if shuffle else ()
    source = Batches(x, one_hot(labels, samples.classes), batch_size, shuffles)
    if not shuffle:
        _tell_left_out(len(x), batch_size)
    every, first = eval_every or source.per_epoch, (x[:batch_size], source.y[:batch_size])

    def step(batch, number):
        if (number - 1) % every == 0:
            tally.forget()
        _, output = rule(net, *batch, out=grads)
        tally.add(_sums(output, batch[1]), batch_size)
        if orthogonal_reg > 0:
            regulariser.add_gradient(net.parameters, grads, orthogonal_reg)
        optimizer.step(net.parameters, grads, moments)
        return xp.sum(grads["layers"][0].b, axis=(-2, -1))  # finite while all is well

    training.fit(
        run,
        state,
        source,
        step,
        steps=nb_epochs * source.per_epoch,
        evaluate=lambda: evaluations.note(_evaluate(net, rule, samples, first, tally)),
        evaluate_every=every,
        checkpoint_every=source.per_epoch,
        advice="try a smaller learning_rate, or a smaller orthogonal_reg",
    )
    tested = evaluations.test(run, _measure(net, samples.classes), samples.test)
    run.save_arrays(_singular_values(net))
    return [_report(run, tested)]


def _require_constants(learning_rate, orthogonal_reg, gamma, validation):
    require.number("learning_rate", learning_rate, above=0)
    require.number("orthogonal_reg", orthogonal_reg, least=0)
    require.number("gamma", gamma, above=0, most=1)
    require.number("validation", validation, least=0, below=1)


def _tell_left_out(samples, batch_size):
    """Say which samples are never trained on in the file's order."""
    if left := samples % batch_size:
        terminal.warn(
            f"note: the last {left} of {samples} training samples fill no batch of {batch_size} and are never trained "
            "on, as published; --shuffle takes all in turn"
        )


class _Widths:
    """The widths that are asked for: of a tower, or of so many hidden layers as wide as the input."""

    def __init__(self, tower, widths, nb_layers):
        self.tower, self.widths, self.nb_layers = tower, widths, nb_layers

    def of(self, n_inputs):
        """Return (s_1, .., s_L) for an input of n_inputs units."""
        return self.widths if self.tower else (n_inputs,) * (self.nb_layers + 1)

    @property
    def options(self):
        """The option that sets the size."""
        return {"widths": self.widths} if self.tower else {"nb_layers": self.nb_layers}

    def entries(self, n_inputs):
        """Return how many numbers weights, gradients and moments are."""
        if self.tower:
            return 4 * sum(width * width for width in self.widths)
        return 4 * n_inputs * n_inputs * (self.nb_layers + 1)

    def samples(self, dataset, validation, batch_size):
        """Return the samples of a data set, and the size of a batch; as `require_data`, before a download if it can."""
        if (known := data.sizes(dataset)) is not None:
            self.require_data(*known, batch_size)
        samples = classifier.load(dataset, validation=validation)
        x, _ = samples.train
        return samples, self.require_data(len(x), x.shape[1], samples.classes, batch_size)

    def require_data(self, samples, n_inputs, classes, batch_size):
        """Return the size of a batch; raise PlasticError where batches or widths do not fit the data."""
        if batch_size is not None and batch_size > samples:
            raise PlasticError(f"batch_size is {batch_size}, but the training set has {samples} samples")
        first, output = (self.widths[0], self.widths[-1]) if self.tower else (n_inputs, n_inputs)
        if first > n_inputs:
            raise PlasticError(f"widths {self.widths} need {first} inputs, but the data have {n_inputs}; give --widths")
        if output < classes:
            raise PlasticError(f"an output layer of {output} units is too small for the {classes} classes of the data")
        return batch_size or max(1, samples // 1000)


def _require_widths(widths, tower):
    if widths is None:
        return
    if not tower:
        raise PlasticError("widths are those of a tower: add --tower, or leave them out")
    require.sizes(widths, least=1, name="widths")
    require_no_growth(widths)


def _sums(a, y):
    """Return how many outputs (..., batch, classes) are right by the one-hot targets, and the sum of squared errors."""
    right = xp.argmax(a, axis=-1) == xp.argmax(y, axis=-1)
    return {"accuracy": xp.sum(right, axis=-1).astype(a.dtype), "mse": mean_squared_error(a, y) * a.shape[-2]}


def _measure(net, classes):
    """Return the function (x, labels) -> accuracy, mean squared error and confusion matrix."""

    def measure(x, labels):
        a = predict(net, x, classes=classes)
        found = {"accuracy": accuracy(a, labels), "mse": mean_squared_error(a, one_hot(labels, classes))}
        return found | {"confusion": confusion(a, labels)}

    return measure


def _evaluate(net, rule, samples, first, tally):
    """Return accuracy and mean squared error in training and on the judging set, and each layer's cosine with BP."""
    name, judged = samples.judged
    sets = {"train": tally.means(), name: classifier.means(_measure(net, samples.classes), *judged)}
    cosines = check.cosine(rule(net, *first)[0], rules.bp(net, *first)[0])
    metrics = {f"{name}_{measured}": value for name, found in sets.items() for measured, value in found.items()}
    return metrics | {f"cosine_{k + 1}": cosines[f"layers/{k}/W"] for k in range(len(net.layers))}


def _network(wanted, seeds, orthogonal, linear, n_inputs):
    layers = [published_layers(wanted.of(n_inputs), seed, not wanted.tower, orthogonal) for seed in seeds]
    return InvertibleNetwork(parameters.stack_replicas(layers), n_inputs, linear)


def _rule(algorithm, net, classes, generators, gamma):
    if algorithm == "GAIT":
        return functools.partial(rules.gait, gamma=gamma)
    if algorithm == "FA":
        draws = [feedback.fa_feedback(net, each) for each in generators]
        return functools.partial(feedback.fa, feedback=parameters.stack_replicas(draws))
    if algorithm == "DFA":
        draws = [feedback.dfa_feedback(net, classes, each) for each in generators]
        return functools.partial(feedback.dfa, feedback=parameters.stack_replicas(draws))
    return {"BP": rules.bp, "TP": rules.tp}[algorithm]


def published_layers(widths, seed, square, orthogonal):
    """Return the layers of one network as the published code draws them; biases are 0.

    Layer l = 0, 1, .. draws from the legacy NumPy generator of seed + l, modulo 2^32. The output layer of a square
    network takes the seed of the last hidden layer again, so that these two start equal.

    widths: the widths (s_1, .., s_L) of the layers, at least two in a square network.
    seed: the seed of the first layer.
    square: whether the network is square, rather than a tower.
    orthogonal: random orthogonal matrices; otherwise Xavier's.
    """
    seeds = [(seed + place) % 2**32 for place in range(len(widths))]
    if square:
        seeds[-1] = seeds[-2]
    return [random_layer(s, legacy_generator(each), orthogonal) for s, each in zip(widths, seeds, strict=True)]


def _singular_values(net):
    """Return the singular values of every weight matrix, largest first, {"singular_values/l": values}, l = 1..L."""
    values = [np.linalg.svd(xp.asnumpy(layer.W), compute_uv=False) for layer in net.layers]
    return {f"singular_values/{number}": each for number, each in enumerate(values, 1)}


def _report(run, tested):
    """Return the line on a run: what `Evaluations.test` has found, or else the last rows of metrics.csv."""
    metrics = run.metrics()
    last = [step == metrics["step"][-1] for step in metrics["step"]]  # the rows of the replicas that have not diverged
    train = 100 * np.mean(np.compress(last, metrics["train_accuracy"]))
    test = tested["test_accuracy"] if tested else np.compress(last, metrics["test_accuracy"])
    return f"test accuracy {100 * np.mean(test):.2f} % (training {train:.2f} %){told(tested)}"
