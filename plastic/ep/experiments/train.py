"""Training on images by EP, by BPTT, or by both from the same initial weights on the same batches."""

import functools
import itertools
from typing import Literal

import numpy as np

from plastic import classifier, parameters, require, runs, training, xp
from plastic.data.sources import Batches, Drawn, Repeated, Together
from plastic.ep.experiments import figures
from plastic.ep.experiments.images import Images
from plastic.ep.experiments.options import SPELLINGS, NetworkOptions, Phases, folder_name
from plastic.ep.experiments.replicas import Replicas, relaxed
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of, told
from plastic.functions import confusion, one_hot
from plastic.optimizers import SGD, Adam
from plastic.types import Array

_SMALL = 60_000  # products of a step, over the batch
_RATES = {False: (0.05, 0.1), True: (0.05, 0.05, 0.1)}  # by default, of SGD, without and with toymodel


def restore(arrays, *, T, tolerance, solver, input_shape, **options):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes samples (batch, ...) of the host, scaled as in training, to the outputs (..., batch, n_L) after T
    free steps, on the host. Those of several replicas (seeds; BPTT before EP) are stacked. The network is that of the
    best epoch where there was a validation set.
    """
    network = NetworkOptions.of(options).build(xp.generator(0).init, input_shape)
    held = {path.removeprefix("parameters/"): xp.asarray(array) for path, array in best_of(arrays).items()}
    paths = iter([path for path, _ in parameters.leaves(network.parameters)])
    network = network.with_parameters(parameters.map(lambda _: held[next(paths)], network.parameters))

    def outputs(x):
        x = classifier.given(x)
        if x[0].size != np.prod(input_shape):
            raise PlasticError(f"x has shape {x.shape}; samples of shape {input_shape} are needed")
        x = x.reshape(len(x), *input_shape)
        return xp.asnumpy(relaxed(network, x, T, tolerance=tolerance, solver=solver)[0])

    return network, outputs


def _small(*, benchmark, batch_size, **options):
    """Whether seeds train faster in one run: where the products of a step take about the time of its calls."""
    network = NetworkOptions.of(options).complete()
    moving = itertools.pairwise(network.sizes[:-1])  # the input is none of them
    return not network.C_tab and not benchmark and batch_size * sum(n * m for n, m in moving) <= _SMALL


@runs.experiment(
    "ep",
    draw=figures.ERRORS,
    restore=restore,
    length="epochs",
    readable=folder_name,
    spellings=SPELLINGS,
    aliases={"training_method": {"eqprop": "EP"}},
    together=_small,
)
def train(
    run,
    *,
    network: NetworkOptions,
    phases: Phases,
    images: Images,
    training_method: Literal["EP", "eqprop", "BPTT"] = "EP",
    nudging: Literal["one-sided", "random-sign", "centered"] = "one-sided",
    cep: bool = False,
    benchmark: bool = False,
    optim: Literal["sgd", "adam"] = "sgd",
    lr_tab: tuple[float, ...] | None = None,
    epochs: int = 1,
    test_batch_size: int = 1000,
    eval_every: int | None = None,
    validation: float = 0.0,
):
    """Train a network to classify images by equilibrium propagation (EP) or BPTT (Ernoult et al. 2019).

    Sizes, channels and learning rates are given from the output backwards, as in the paper. Without options it is an
    epoch of the energy-based network with one hidden layer on MNIST, in a quarter of a minute. The run folder,
    results/ep/train-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 and figures of the errors and of the
    confusion matrix of each method. The training error is that of each batch before its update, as published; the
    residual in metrics.csv is the largest change of a state in one more free step, over the test set.

    Quirks of the published code that are kept: the output of the energy-based net has no rho' in its dynamics
    (--consistent puts it there); BPTT goes back Kmax + 1 steps, in convolutional nets and the toy model Kmax. Dropped:
    there, --discrete without --dt runs the leaky map with dt 0.2, with which EP stays above 4.4 % test error in 30
    epochs of the documented P-1h; here it runs the paper's map, dt 1, with which it is under 2.5 % after six. With
    --benchmark both methods see the same batches, not each its own. Samples that do not fill a batch are left out.

    Args:
        training_method: EP (also spelt eqprop) or BPTT.
        nudging: one-sided as published; random-sign (the sign of beta is drawn for each batch); or centered (two
            nudged phases, with beta and -beta).
        cep: continual EP: the weights move in every nudged step, by what it has changed (Ernoult et al. 2020). Nudged
            steps are then plain ones, Kmax of them, whatever tolerance and solver say.
        benchmark: train by BPTT and by EP, from the same initial weights.
        optim: sgd, as published; or adam (Kingma and Ba 2015).
        lr_tab: learning rates from the output backwards, one per connection; with C_tab the classifier's first. By
            default 0.05 0.1, in the toy model 0.05 0.05 0.1 (W_01, W_0x, W_1x), and with adam 0.001 for each.
        epochs: epochs to train.
        test_batch_size: test samples relaxed at once.
        eval_every: steps between two evaluations; by default an epoch.
        validation: share of the training samples, 0.1 for instance, that is held out: of each class the last ones. They
            then take the place of the test set, which is measured once, with the parameters of the best epoch
            (best_epoch, test_error, test_loss, test_confusion in arrays.h5); as published, it is at each evaluation.
    """
    network = network.complete()
    phases.require(network, bptt=benchmark or training_method == "BPTT")
    require.counts(epochs=epochs, test_batch_size=test_batch_size, eval_every=eval_every)
    require.number("validation", validation, least=0, below=1)
    _require_method(network, training_method, nudging, cep, benchmark)
    if lr_tab is None:
        lr_tab = (0.001,) * network.connections if optim == "adam" else _RATES[network.toymodel]
    optimizer = {"sgd": SGD, "adam": Adam}[optim](network.rates(lr_tab))
    samples = images.load(network, validation)
    shape = samples.train[0].shape[1:]
    run.fill(size_tab=network.size_tab, dt=network.dt, lr_tab=lr_tab, input_shape=shape)

    generators = run.generators()
    networks = [network.build(each.init, shape) for each in generators]
    replicas = Replicas(networks, ("BPTT", "EP") if benchmark else (training_method,), run.seeds)
    source = _source(samples, network.sizes[0], images.batch_size, generators, nudging == "random-sign")
    rule, tree = phases.rules(network, nudging), replicas.network.parameters
    moments, lead = optimizer.init(tree), (len(replicas.columns),) * (len(replicas.columns) > 1)
    every, tally = eval_every or source.per_epoch, classifier.Tally(lead, "errors", "loss")
    evaluations = Evaluations({"parameters": tree}, lead, network.sizes[0], "error", best=bool(validation))

    def step(batch, number):
        if (number - 1) % every == 0:
            tally.forget()
        beta = phases.beta * source.sources["signs"].next()
        if cep:
            pairs = replicas.relax(*batch, T=phases.T, **phases.ending)
            for _ in range(phases.Kmax):
                replicas.nudge(beta)
                optimizer.step(tree, replicas.grads, moments)
        else:
            pairs = replicas.learn(*batch, rule, beta)
            optimizer.step(tree, replicas.grads, moments)
        sums, count = _sums(replicas.network, pairs, lead)
        tally.add(sums, count)
        return sums["loss"]

    training.fit(
        run,
        {"parameters": tree, "moments": moments, "online": tally.totals} | evaluations.tree,
        source,
        step,
        steps=epochs * source.per_epoch,
        evaluate=lambda: evaluations.note(_measured(replicas.network, samples, phases, test_batch_size, tally.means())),
        evaluate_every=every,
        checkpoint_every=source.per_epoch,
        replicas=replicas.columns,
        advice="try smaller rates in lr_tab, or a larger beta",
    )
    measure = functools.partial(_measure, replicas.network, phases, [])
    tested = evaluations.test(run, measure, samples.test, chunk=test_batch_size)
    return _results(run, replicas.columns, tested)


def _results(run, columns, tested):
    """Save the errors of each method over the epochs; return a line on each.

    tested: what `Evaluations.test` has found.
    """
    curves = figures.error_curves(run.metrics())
    for method, (at, values) in curves.items():
        run.save_arrays({f"epochs/{method}": at} | {f"{name}/{method}": each for name, each in values.items()})
    left = np.delete([each["method"] for each in columns], run.diverged)
    of_left = {method: {name: each[left == method] for name, each in tested.items()} for method in set(left)}
    return [
        _report(method, curves[method][1], of_left[method]) if method in of_left else f"{method}: diverged"
        for method in sorted(curves)
    ]


def _require_method(network, training_method, nudging, cep, benchmark):
    """Raise PlasticError where the method has no such nudging, or weights cannot move in every nudged step."""
    if training_method == "BPTT" and benchmark:
        raise PlasticError("training_method is BPTT, but --benchmark trains by EP too; leave one of them out")
    if training_method == "BPTT" and nudging != "one-sided":
        raise PlasticError(f"nudging is {nudging}, but BPTT has no nudged phase; leave it out, or take --benchmark")
    if not cep:
        return
    if network.loss != "mse":
        raise PlasticError(f"loss is {network.loss}, but cep takes mse: a readout has no change in each nudged step")
    if training_method == "BPTT" or benchmark:
        raise PlasticError("cep is a way of EP, which BPTT has not; leave out --training_method=BPTT and --benchmark")
    if nudging == "centered":
        raise PlasticError("cep has one nudged phase, but nudging=centered has two; take one-sided or random-sign")


def _sums(network, pairs, lead):
    """Return the wrong samples and the sum of losses of [(outputs, targets)], in the order of the replicas (`lead`)."""
    scores, count = [_scores(network, output, y) for output, y in pairs], pairs[0][1].shape[-2]
    every = (xp.concatenate([each.reshape(-1) for each in kind]) for kind in zip(*scores, strict=True))
    wrong, loss = (each.reshape(lead) for each in every)
    return {"errors": wrong, "loss": loss * count}, count


def _scores(network, output, y):
    """Return the number of wrong samples and the mean loss of outputs and targets (..., batch, n)."""
    differ = xp.argmax(output, axis=-1) != xp.argmax(y, axis=-1)
    return xp.sum(differ, axis=-1).astype(output.dtype), network.loss(output, y)


def _source(samples, outputs, batch_size, generators, random_sign):
    """Return the shuffled batches (x, y) and, beside them, the signs of beta: of every seed, or 1."""
    x, labels = samples.train
    batches = Batches(x, one_hot(labels, outputs), batch_size, [each.shuffle for each in generators])
    signs = Drawn(lambda noise: 1 - 2 * int(noise.integers(2)), [each.noise for each in generators], np.array)
    return Together(batches=batches, signs=signs if random_sign else Repeated(1))


def _measured(network, samples, phases, chunk, train):
    """Return the columns of metrics.csv: error and loss on the judging set, and in training by the tally.

    The residual is the largest change of a state in one more free step, over that set. With the confusion matrix there.
    """
    residuals: list[Array] = []
    name, judged = samples.judged
    found = classifier.means(functools.partial(_measure, network, phases, residuals), *judged, chunk=chunk)
    running = {"error": train["errors"], "loss": train["loss"]}
    sets = {name: found, "train": running}
    columns = {f"{each}_{measured}": sets[each][measured] for measured in ("error", "loss") for each in sets}
    return columns | {"residual": xp.max(xp.stack(residuals), axis=0), f"{name}_confusion": found["confusion"]}


def _measure(network, phases, residuals, x, labels):
    """Return error, loss and confusion matrix of samples; add the residual of the free phase to a list."""
    output, residual = relaxed(network, x, phases.T, **phases.ending)
    residuals.append(residual)
    wrong, loss = _scores(network, output, one_hot(labels, output.shape[-1]))
    return {"error": wrong / len(x), "loss": loss, "confusion": confusion(output, labels)}


def _report(method, curves, tested):
    """Return the line on a method: what `Evaluations.test` has found, or else the errors (seeds, epochs) of `curves`.

    These are the last and the best, means over the seeds left.
    """
    last = 100 * np.nanmean(curves["train_error"][:, -1])
    if tested:
        test = 100 * tested["test_error"].mean()
        return f"{method}: test error {test:.2f} %, training error {last:.2f} %{told(tested)}"
    test = 100 * np.nanmean(curves["test_error"], axis=0)
    return f"{method}: test error {test[-1]:.2f} % (best {min(test):.2f} %), training error {last:.2f} %"
