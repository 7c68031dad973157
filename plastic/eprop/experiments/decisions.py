"""Training for one decision per trial until the error of new trials is under a criterion, as published.

Every `validate_every` iterations a new batch is validated. As long as the last such error is under `stop_crit`, eight
more batches are tried in every iteration, and where their mean error is under it too, the goal is reached. Every seed
has trials of its own; one that has reached the goal rests while the others go on.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import training, xp
from plastic.data.sources import Drawn, Together
from plastic.eprop import inputs, signals
from plastic.eprop.experiments import one_trial
from plastic.eprop.experiments.adaptive_neurons import AdaptiveNeurons
from plastic.eprop.experiments.decision_options import Rule, Schedule
from plastic.eprop.experiments.plastic_network import PlasticNetwork, network_of, published_weights
from plastic.eprop.inputs import Stimuli
from plastic.eprop.rules import predict
from plastic.eprop.spiking import SpikingNetwork
from plastic.errors import PlasticError
from plastic.functions import softmax
from plastic.optimizers import Adam
from plastic.types import Array

CONFIRM, TEST = 8, 4  # batches that confirm a validation error under the criterion, and that are tested at the end
READABLE = "{rule}-{learning_signals}-batch{n_batch}-{seeds}"


def restore(arrays: dict[str, Array], **options: Any) -> tuple[SpikingNetwork, Callable[[np.ndarray], np.ndarray]]:
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes spikes (T, batch, n_in) of the host to readouts (..., T, batch, n_out). The parameters of several
    seeds are stacked, as are their readouts.

    arrays: by path. options: of the run.
    """
    neurons = AdaptiveNeurons.of(options)
    network = network_of(arrays, neurons.constants(), neurons.kappa)
    return network, lambda x: xp.asnumpy(predict(network, xp.asarray(x)))


def train(
    run: Any,
    draw: Callable[[np.random.Generator], Stimuli],
    *,
    n_in: int,
    window: int,
    schedule: Schedule,
    rule: Rule,
    neurons: AdaptiveNeurons,
) -> list[str]:
    """Train every seed until it has reached the goal; test it; keep one trial; return the lines of the report.

    run: of the experiment. draw: draw(generator) -> trials. n_in: input neurons. window: steps of the recall, at the
    end of a trial. schedule, rule, neurons: the options.
    """
    run.fill(rule=rule.name, learning_signals=rule.learning_signals)
    _require_extension(run, schedule)
    generators, optimizer = run.generators(), Adam(schedule.learning_rate)
    draws = [published_weights(each.init, (n_in, neurons.n, 2), rule.learning_signals, True) for each in generators]
    network = PlasticNetwork(
        draws,
        neurons.constants(),
        neurons.kappa,
        rule=rule.name,
        learning_signals=rule.learning_signals,
        optimizer=optimizer,
        readout_decay=rule.readout_decay,
    )
    goal = Goal(network, draw, [each.task for each in generators], window, schedule)
    learning = _Learning(network, goal, rule, window)
    training.fit(
        run,
        network.state | goal.state,
        Together(training=Drawn(draw, [each.data for each in generators], inputs.stacked), validation=goal.source),
        learning.step,
        steps=schedule.n_iter,
        evaluate=learning.evaluate,
        evaluate_every=schedule.validate_every,
        checkpoint_every=schedule.validate_every,
        replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(run.seeds)],
        stop=lambda metrics: bool(np.all((metrics["reached"] >= 0) | ~np.isfinite(metrics["loss"]))),
        advice="try a smaller learning_rate",
    )
    with np.errstate(all="ignore"):  # a diverged seed
        errors = [
            mean_error(network.one(replica)[0], draw, each.noise, window, TEST)
            for replica, each in enumerate(generators)
        ]
    run.save_arrays(_trial(network, draw(generators[0].noise), window, neurons, schedule))
    return _report(run, errors)


class Goal:
    """Which seeds have reached the goal, by trials of their own.

    Args:
        network: the `PlasticNetwork` of all seeds.
        draw: draw(generator) -> trials.
        generators: of the trials of validation, one for each seed.
        window: steps of the recall.
        schedule: the options.

    Attributes:
        number: of the present iteration.
        state: {"reached": the iteration at which the goal was reached, or -1; "validated": the last validation error;
            "confirmed": the mean error of the last eight batches since the last evaluation, or -1}, each (seeds,).
        source: the trials of validation, for checkpoints.
    """

    def __init__(
        self,
        network: PlasticNetwork,
        draw: Callable[[np.random.Generator], Stimuli],
        generators: list[np.random.Generator],
        window: int,
        schedule: Schedule,
    ) -> None:
        self.network, self.draw, self.generators = network, draw, generators
        self.window, self.schedule = window, schedule
        starts = {"reached": -1.0, "validated": 1.0, "confirmed": -1.0}
        self.state = {name: xp.full(network.count, value, dtype=xp.float_dtype) for name, value in starts.items()}
        self.source = Drawn(draw, generators)
        self.number = 0
        self._trying: list[int] = []  # the seeds whose last validation error is under the criterion

    def active(self) -> Array:
        """Return 1 for each seed that has not reached the goal and 0 for the others, (seeds, 1, 1); (1, 1) of one."""
        found = (self.state["reached"] < 0).astype(xp.float_dtype)[:, None, None]
        return found if self.network.count > 1 else found[0]

    def begin(self, number: int) -> None:
        """Begin an iteration."""
        if self.number == 0:  # the first, or the first of a run that is resumed
            self._trying = self._under_the_criterion()
        self.number = number

    def confirm(self) -> None:
        """Try eight more batches of the seeds that seem near the goal; note who has reached it."""
        for replica in list(self._trying):
            error = self.error(replica, CONFIRM)
            self.state["confirmed"][replica] = error
            if error < self.schedule.stop_crit:
                self.state["reached"][replica] = self.number
                self._trying.remove(replica)

    def validate(self) -> dict[str, Array]:
        """Return the error of a new batch of every seed that has not reached the goal, and who has reached it."""
        errors, reached = np.full(self.network.count, np.nan), xp.asnumpy(self.state["reached"])
        for replica in np.flatnonzero(reached < 0).tolist():
            errors[replica] = self.state["validated"][replica] = self.error(replica, 1)
        if self.number > 0:
            self._trying = self._under_the_criterion()
            self.confirm()
        confirmed = self.state["confirmed"]
        found = {"confirmed_error": xp.where(confirmed < 0, xp.nan, confirmed), "reached": self.state["reached"].copy()}
        confirmed[...] = -1
        return {"validation_error": errors} | found

    def error(self, replica: int, batches: int) -> float:
        """Return the mean error of a seed on so many new batches of validation."""
        network, _ = self.network.one(replica)
        return mean_error(network, self.draw, self.generators[replica], self.window, batches)

    def _under_the_criterion(self) -> list[int]:
        reached, validated = (xp.asnumpy(self.state[name]) for name in ("reached", "validated"))
        return np.flatnonzero((reached < 0) & (validated < self.schedule.stop_crit)).tolist()


class _Learning:
    """What `fit` calls: a step, which learns from a batch, and an evaluation.

    Errors are fractions of the trials. Before the first step there is no batch of training: its numbers are NaN.
    """

    def __init__(self, network: PlasticNetwork, goal: Goal, rule: Rule, window: int) -> None:
        self.network, self.goal, self.rule, self.window = network, goal, rule, window
        names = ("loss", "rate_penalty", "error")
        self.last = {name: xp.full(network.count, xp.nan, dtype=xp.float_dtype) for name in names}

    def step(self, stimuli: Stimuli, number: int) -> Array:
        goal, labels = self.goal, xp.asarray(stimuli.labels)
        goal.begin(number)
        loss = functools.partial(signals.classification, labels=labels, window=self.window)
        value, penalty, record = self.network.step(xp.asarray(stimuli.x), loss, self.rule.penalty, goal.active())
        wrong = signals.decisions(record.output, self.window) != labels
        error = xp.mean(wrong, axis=-1, dtype=xp.float_dtype)
        self.last = {"loss": value, "rate_penalty": penalty, "error": error}
        if number % goal.schedule.validate_every:
            goal.confirm()
        return value

    def evaluate(self) -> dict[str, Array]:
        return self.last | self.goal.validate()


def mean_error(
    network: SpikingNetwork,
    draw: Callable[[np.random.Generator], Stimuli],
    generator: np.random.Generator,
    window: int,
    batches: int,
) -> float:
    """Return the mean error of one network on new batches, a fraction of the trials.

    network: of one seed. draw: draw(generator) -> trials. generator: of random numbers. window: steps of the recall.
    batches: how many.
    """
    errors = []
    for _ in range(batches):
        stimuli = draw(generator)
        found = signals.decisions(predict(network, xp.asarray(stimuli.x)), window)
        errors.append(np.mean(xp.asnumpy(found) != stimuli.labels))
    return float(np.mean(errors))


def _require_extension(run: Any, schedule: Schedule) -> None:
    """Refuse to extend a run that ended between two validations: its last one drew trials that others would have."""
    before = run.length_before
    if before is not None and before % schedule.validate_every:
        raise PlasticError(
            f"n_iter of the run to resume is {before}, no multiple of validate_every {schedule.validate_every}: it was "
            "validated once more at its end, and would not go on as a longer run does"
        )


def _trial(
    network: PlasticNetwork, stimuli: Stimuli, window: int, neurons: AdaptiveNeurons, schedule: Schedule
) -> dict[str, np.ndarray]:
    """Return what the figures show of the first seed: one trial, and the options that they need."""
    loss = functools.partial(signals.classification, labels=xp.asarray(stimuli.labels[:1]), window=window)
    arrays = one_trial.arrays(*network.one(0), xp.asarray(stimuli.x), loss)
    arrays["probability"] = np.array(xp.asnumpy(softmax(xp.asarray(arrays["y"]))))
    return arrays | {"n_regular": np.array(neurons.n_regular), "goal": np.array(schedule.stop_crit)}


def _report(run: Any, errors: list[float]) -> list[str]:
    metrics = run.metrics()
    reached = dict(zip(metrics["seed"], metrics["reached"], strict=True))
    lines = []
    for seed, error in zip(run.seeds, errors, strict=True):
        when = f"reached at iteration {reached[seed]:.0f}" if reached[seed] >= 0 else "not reached"
        lines.append(f"seed {seed}: goal {when}, test error {100 * error:.2f} %")
    return lines
