"""Training for one decision per trial until the error of new trials is under a criterion, as published.

Every `validate_every` iterations a new batch is validated. As long as the last such error is under `stop_crit`, eight
more batches are tried in every iteration, and where their mean error is under it too, the goal is reached. Every seed
has trials of its own; one that has reached the goal rests while the others go on.
"""

import dataclasses
import functools
import math

import numpy as np

from plastic import runs, training, xp
from plastic.data.sources import Drawn, Together
from plastic.eprop import inputs, signals
from plastic.eprop.experiments import one_trial
from plastic.eprop.experiments.options import AdaptiveNeurons
from plastic.eprop.experiments.plastic_network import PlasticNetwork, entries, published_weights, restored
from plastic.eprop.gradients import predict
from plastic.errors import PlasticError
from plastic.functions import softmax
from plastic.optimizers import Adam

CONFIRM = 8  # batches that confirm a validation error under the criterion
TEST = 1024  # trials, at least, that are tested at the end: a published test of 4 batches leaves a doubt of points
TOGETHER = 256  # trials that are simulated at once, where batches are smaller: a step costs little more for them
_READABLE = "{rule}-{learning_signals}-batch{n_batch}-{seeds}"


def restore(arrays, **options):
    """Return (network, predict) from the `arrays` of a checkpoint and the `options` of its run; see `plastic.load`.

    predict(x) takes spikes (T, batch, n_in) of the host to the readouts in every step, (..., T, batch, n_out), from
    rest.
    """
    neurons = AdaptiveNeurons(**{field.name: options[field.name] for field in dataclasses.fields(AdaptiveNeurons)})
    return restored(arrays, neurons.constants(), neurons.kappa)


experiment = functools.partial(runs.experiment, "eprop", restore=restore, length="n_iter", readable=_READABLE)
"""The decorator of an experiment that ends in `train`."""


def train(run, stimuli, schedule, rule, neurons, trials, **cues):
    """Train every seed until it has reached the goal; test it; keep one trial; return the lines of the report.

    stimuli: of `plastic.eprop.inputs`, with what is special to the task. schedule, rule, neurons, trials: the options.
    cues: the options whose product is the length of a trial before its delay, in ms.
    """
    steps, sizes = math.prod(cues.values()) + trials.t_delay + trials.t_recall, (trials.n_in, neurons.n, 2)
    sized_by = {"n_batch": schedule.n_batch, "n_regular": neurons.n_regular, "n_adaptive": neurons.n_adaptive} | cues
    needed = entries(sizes, steps, schedule.n_batch) * len(run.seeds)
    run.expect(needed, n_in=trials.n_in, **sized_by, t_delay=trials.t_delay, t_recall=trials.t_recall)
    run.require_used(**rule.without())
    run.fill(rule=rule.name, learning_signals=rule.learning_signals)
    _require_extension(run, schedule)
    generators = run.generators()
    network = PlasticNetwork(
        [published_weights(each.init, sizes, rule.learning_signals, True) for each in generators],
        neurons.constants(),
        neurons.kappa,
        Adam(schedule.learning_rate),
        rule=rule.name,
        learning_signals=rule.learning_signals,
        readout_decay=rule.readout_decay,
    )
    draw = functools.partial(stimuli, batch=schedule.n_batch, **trials.arguments())
    validation = Drawn(draw, [each.task for each in generators])
    learning = Learning(network, rule.penalty, validation, trials.t_recall, schedule)
    training.fit(
        run,
        network.state | learning.state,
        Together(training=Drawn(draw, [each.data for each in generators], inputs.stacked), validation=validation),
        learning.step,
        steps=schedule.n_iter,
        evaluate=learning.evaluate,
        evaluate_every=schedule.validate_every,
        stop=lambda metrics: bool(np.all((metrics["reached"] >= 0) | ~np.isfinite(metrics["loss"]))),
        advice="try a smaller learning_rate, reg_f or dampening_factor, or a larger thr",
    )
    with np.errstate(all="ignore"):  # a diverged seed
        batches = math.ceil(TEST / schedule.n_batch)
        errors = [learning.error(replica, batches, each.noise) for replica, each in enumerate(generators)]
    run.save_tested({"test_error": np.array(errors)})
    trial = _trial(network, draw(generators[0].noise), trials.t_recall)
    run.save_arrays(trial | {"n_regular": np.array(neurons.n_regular), "goal": np.array(schedule.stop_crit)})
    return _report(run, errors)


class Learning:
    """What `fit` calls: a step, which learns from a batch, and an evaluation, which notes who has reached the goal.

    Errors are fractions of the trials. Before the first step there is no batch of training: its numbers are NaN.

    number: of the present iteration. state: {"reached": the iteration at which the goal was reached, or -1;
    "validated": the last validation error; "confirmed": the mean error of the last eight batches since the last
    evaluation, or -1}, each (seeds,).
    """

    def __init__(self, network, penalty, validation, window, schedule):
        """Begin with a `PlasticNetwork`, its regulariser, the trials of validation, and the steps of the recall."""
        self.network, self.penalty, self.validation = network, penalty, validation
        self.window, self.schedule, self.number = window, schedule, 0
        starts = {"reached": -1.0, "validated": 1.0, "confirmed": -1.0}
        self.state = {name: xp.full(network.count, value, dtype=xp.float_dtype) for name, value in starts.items()}
        names = ("loss", "rate_penalty", "error", "rate_min", "rate_mean", "rate_max")
        self.loss = math.nan  # of the trials that `error` has drawn last
        self._last = {name: xp.full(network.count, xp.nan, dtype=xp.float_dtype) for name in names}
        self._trying = []  # the seeds whose last validation error is under the criterion

    def step(self, stimuli, number):
        """Learn from a batch of `stimuli` in the iteration `number`, but for the seeds that have reached the goal."""
        if self.number == 0:  # the first step, or the first of a run that is resumed
            self._trying = self._under_the_criterion()
        self.number, labels = number, xp.asarray(stimuli.labels)
        loss = functools.partial(signals.classification, labels=labels, window=self.window)
        active = (self.state["reached"] < 0).astype(xp.float_dtype)[:, None, None]
        active = active if self.network.count > 1 else active[0]
        value, penalty, record = self.network.step(xp.asarray(stimuli.x), loss, self.penalty, active)
        wrong = signals.decisions(record.output, self.window) != labels
        error = xp.mean(wrong, axis=-1, dtype=xp.float_dtype)
        self._last = {"loss": value, "rate_penalty": penalty, "error": error} | rate_range(record.z)
        if number % self.schedule.validate_every:
            self.confirm()
        return value

    def confirm(self):
        """Try eight more batches of the seeds that seem near the goal; note who has reached it."""
        for replica in list(self._trying):
            error = self.error(replica, CONFIRM)
            self.state["confirmed"][replica] = error
            if error < self.schedule.stop_crit:
                self.state["reached"][replica] = self.number
                self._trying.remove(replica)

    def evaluate(self):
        """Return the metrics; seeds that have not reached the goal are validated by a new batch."""
        errors, losses = np.full((2, self.network.count), np.nan)
        reached = xp.asnumpy(self.state["reached"])
        for replica in np.flatnonzero(reached < 0).tolist():
            errors[replica] = self.state["validated"][replica] = self.error(replica, 1)
            losses[replica] = self.loss
        if self.number > 0:
            self._trying = self._under_the_criterion()
            self.confirm()
        confirmed = self.state["confirmed"]
        found = {"confirmed_error": xp.where(confirmed < 0, xp.nan, confirmed), "reached": self.state["reached"].copy()}
        confirmed[...] = -1
        return self._last | {"validation_error": errors, "validation_loss": losses} | found

    def error(self, replica, batches, generator=None):
        """Return the mean error of a seed on so many new batches, of validation unless another generator is given."""
        network, _ = self.network.one(replica)
        errors, together = [], max(1, TOGETHER // self.schedule.n_batch)
        for place in range(0, batches, together):
            draws = range(place, min(place + together, batches))
            drawn = [self.validation.draw(generator or self.validation.generators[replica]) for _ in draws]
            x, labels = np.concatenate([each.x for each in drawn], axis=1), [each.labels for each in drawn]
            output = predict(network, xp.asarray(x))
            found = xp.asnumpy(signals.decisions(output, self.window))
            right = xp.asarray(np.concatenate(labels))
            self.loss = float(xp.asnumpy(signals.classification(output, right, self.window)[0]))
            errors += np.mean(found.reshape(len(drawn), -1) != np.stack(labels), axis=1).tolist()
        return float(np.mean(errors))

    def _under_the_criterion(self):
        reached, validated = (xp.asnumpy(self.state[name]) for name in ("reached", "validated"))
        return np.flatnonzero((reached < 0) & (validated < self.schedule.stop_crit)).tolist()


def rate_range(z):
    """Return the least, mean and largest firing rate in Hz of the neurons whose spikes are `z`, one for each seed."""
    rates = 1000 * signals.rates(z)
    ranges = {"rate_min": xp.min, "rate_mean": xp.mean, "rate_max": xp.max}
    return {name: of(rates, axis=(-3, -2, -1)) for name, of in ranges.items()}


def _require_extension(run, schedule):
    """Refuse to extend a run that ended between two validations: its last one drew trials that others would have."""
    before = run.length_before
    if before is not None and before % schedule.validate_every:
        raise PlasticError(
            f"n_iter of the run to resume is {before}, no multiple of validate_every {schedule.validate_every}: it was "
            "validated once more at its end, and would not go on as a longer run does"
        )


def _trial(network, stimuli, window):
    """Return what the figures show of the first seed: one trial and its probabilities."""
    loss = functools.partial(signals.classification, labels=xp.asarray(stimuli.labels[:1]), window=window)
    arrays = one_trial.arrays(*network.one(0), xp.asarray(stimuli.x), loss)
    return arrays | {"cues": stimuli.cues[0], "probability": np.array(xp.asnumpy(softmax(xp.asarray(arrays["y"]))))}


def _report(run, errors):
    metrics = run.metrics()
    reached = dict(zip(metrics["seed"], metrics["reached"], strict=True))
    lines = []
    for seed, error in zip(run.seeds, errors, strict=True):
        when = f"reached at iteration {reached[seed]:.0f}" if reached[seed] >= 0 else "not reached"
        lines.append(f"seed {seed}: goal {when}, test error {100 * error:.2f} %")
    return lines
