"""Tasks of one decision per trial: evidence accumulation (Bellec, Scherr et al. 2020, Fig. 3) and store-recall."""

import functools
import re

import numpy as np

from plastic import xp
from plastic.eprop import figures, signals
from plastic.eprop.inputs import Trials
from plastic.eprop.rules import predict
from plastic.eprop.running import check_step, run_spiking_task
from plastic.eprop.spiking import decay
from plastic.eprop.training_task import SpikingTask, adaptive_neurons, one_of
from plastic.errors import PlasticError
from plastic.optimizers import Adam
from plastic.runs.options import (
    check_above_zero,
    check_at_least_one,
    check_between,
    check_seeds,
    resumed,
    seed_names,
    seeds_of,
)

CONFIRM, TEST = 8, 4  # batches that confirm a validation error under the criterion, and that are tested at the end


class Source:
    """Trials of training and of validation: two sources with one state."""

    def __init__(self, training, validation):
        self.training, self.validation, self.per_epoch = training, validation, 1

    def next(self):
        """Return the next batch of training."""
        return self.training.next()

    def state(self):
        """Return where both are."""
        return {"training": self.training.state(), "validation": [each.state() for each in self.validation]}

    def restore(self, state):
        """Go back there."""
        self.training.restore(state["training"])
        for each, before in zip(self.validation, state["validation"], strict=True):
            each.restore(before)


class Task(SpikingTask):
    """Training until the validation error is under the criterion, as published.

    Every `validate_every` iterations a new batch is validated. As long as the last such error is under `stop_crit`,
    eight more batches are tried in every iteration, and where their mean error is under it too, the goal is reached.
    Every seed has trials of its own; one that has reached the goal rests while the others go on.
    """

    def __init__(self, options, draw):
        kappa = decay(options["tau_out"], "tau_out")
        super().__init__(options, adaptive_neurons(options), Adam(options["learning_rate"]), 2, kappa, glorot=True)
        self.window = options["t_recall"]
        validation = [Trials(draw, [each.task]) for each in self.generators]
        self.source = Source(Trials(draw, [each.data for each in self.generators]), validation)
        self.tests = [Trials(draw, [each.noise]) for each in self.generators]
        count, dtype = len(self.seeds), xp.float_dtype
        starts = {"reached": -1.0, "validated": 1.0, "confirmed": -1.0}
        self.state |= {name: xp.full(count, value, dtype=dtype) for name, value in starts.items()}
        self.last = {name: xp.full(count, xp.nan, dtype=dtype) for name in ("loss", "rate_penalty", "error")}
        self.number, self.trying = 0, None

    def loss(self, record, stimuli):
        """Cross-entropy over the recall window."""
        return signals.classification(record.output, xp.asarray(stimuli.labels), self.window)

    def penalty(self, z):
        """The regulariser of firing rates that the options ask for."""
        kind = {"simple": signals.rate_penalty, "online": signals.running_rate_penalty}
        options = self.options
        return kind[options["f_regularization_type"]](z, options["reg_rate"] / 1000, options["reg_f"])

    def train(self, run):
        """Train as the options say, or go on from the checkpoint; return the test error of every seed, in per cent."""
        options = self.options
        self.fit(
            run,
            self.source,
            self.step,
            self.evaluate,
            options["n_iter"],
            options["validate_every"],
            stop=lambda metrics: bool(np.all((metrics["reached"] >= 0) | ~np.isfinite(metrics["loss"]))),
        )
        with np.errstate(all="ignore"):  # a diverged seed
            return [100 * self._error(replica, self.tests[replica], TEST) for replica in range(len(self.seeds))]

    def step(self, stimuli, number):
        """Learn from one batch; return the loss of every seed."""
        self.number = number
        if self.trying is None:  # of a run that is resumed
            self.trying = self._under_the_criterion()
        active = (self.state["reached"] < 0).astype(xp.float_dtype)[:, None, None]
        loss, penalty, record = self.learn(xp.asarray(stimuli.x), stimuli, active if len(self.seeds) > 1 else active[0])
        wrong = signals.decisions(record.output, self.window) != xp.asarray(stimuli.labels)
        error = xp.mean(wrong, axis=-1, dtype=xp.float_dtype)
        self.last = {"loss": loss, "rate_penalty": penalty, "error": error}
        if number % self.options["validate_every"]:
            self._confirm()
        return loss

    def evaluate(self):
        """Return loss, rates and error of the last batch of training, and the error of a new batch of every seed.

        Errors are fractions of the trials. "confirmed_error": of the last eight batches that were tried since the last
        evaluation. "reached": the iteration at which the goal was reached, or -1.
        """
        errors, reached = np.full(len(self.seeds), np.nan), xp.asnumpy(self.state["reached"])
        for replica in np.flatnonzero(reached < 0).tolist():
            error = self._error(replica, self.source.validation[replica], 1)
            errors[replica] = self.state["validated"][replica] = error
        if self.number > 0:
            self.trying = self._under_the_criterion()
            self._confirm()
        confirmed = self.state["confirmed"]
        found = {"confirmed_error": xp.where(confirmed < 0, xp.nan, confirmed), "reached": self.state["reached"].copy()}
        confirmed[...] = -1
        return self.last | {"validation_error": errors} | found

    def _under_the_criterion(self):
        """Return the seeds that have not reached the goal and whose last validation error is under the criterion."""
        reached, validated = (xp.asnumpy(self.state[name]) for name in ("reached", "validated"))
        return np.flatnonzero((reached < 0) & (validated < self.options["stop_crit"])).tolist()

    def _confirm(self):
        """Try eight more batches of these seeds; note who has reached the goal."""
        for replica in list(self.trying):
            error = self._error(replica, self.source.validation[replica], CONFIRM)
            self.state["confirmed"][replica] = error
            if error < self.options["stop_crit"]:
                self.state["reached"][replica] = self.number
                self.trying.remove(replica)

    def one(self, replica):
        """Return (network, a new batch of trials) of one seed, from its test trials."""
        return one_of(self.network, replica, len(self.seeds)), self.tests[replica].next()

    def _error(self, replica, trials, batches):
        """Return the mean error of a seed on so many new batches."""
        network, errors = one_of(self.network, replica, len(self.seeds)), []
        for _ in range(batches):
            stimuli = trials.next()
            found = signals.decisions(predict(network, xp.asarray(stimuli.x)), self.window)
            errors.append(np.mean(xp.asnumpy(found) != stimuli.labels))
        return float(np.mean(errors))


def run_decisions(name, command, options, draw, stimuli):
    """Run a task of one decision per trial: `draw` makes its stimuli, `stimuli` {argument of draw: option}."""
    if options["resume"] is not None:
        options = resumed(command, options, "eprop", name)
    check_seeds(options)
    sizes = "n_batch", "n_iter", "print_every", "validate_every", "n_in", "t_recall", "n_ref"
    check_at_least_one(options, *sizes)
    check_above_zero(options, "learning_rate", "thr", "tau_v", "tau_a", "tau_out", "dampening_factor")
    check_step(options)
    check_between(options, "reg_rate", 0, 1000)
    check_between(options, "reg_f", 0)
    check_between(options, "beta", 0)
    check_between(options, "readout_decay", 0, 1)
    if options["n_regular"] < 0 or options["n_adaptive"] < 0 or options["n_regular"] + options["n_adaptive"] < 1:
        raise PlasticError(
            f"n_regular {options['n_regular']} and n_adaptive {options['n_adaptive']} must be one neuron or more in all"
        )
    draw = functools.partial(draw, **{name: options[ours] for name, ours in stimuli.items()})
    _refuse_what_does_not_fit(draw, stimuli)
    hardcoded = options["eprop_impl"] == "hardcoded"
    options |= {
        "rule": "bptt" if not options["eprop"] else "online" if hardcoded else "eprop",
        "learning_signals": options["feedback"] if options["eprop"] else "symmetric",
    }

    def report(run, errors):
        metrics = run.metrics()
        reached = dict(zip(metrics["seed"], metrics["reached"], strict=True))
        for seed, error in zip(seeds_of(options), errors, strict=True):
            when = f"reached at iteration {reached[seed]:.0f}" if reached[seed] >= 0 else "not reached"
            print(f"seed {seed}: goal {when}, test error {error:.2f} %")

    readable = f"{options['rule']}-{options['learning_signals']}-batch{options['n_batch']}-{seed_names(options)}"
    return run_spiking_task(name, options, readable, lambda: Task(options, draw), figures.keep_decisions, report)


def _refuse_what_does_not_fit(draw, stimuli):
    """Draw a batch, so that what is impossible is said before anything is written, by the names of the options."""
    try:
        draw(np.random.default_rng(0))
    except PlasticError as error:
        message = str(error)
        for name, option in stimuli.items():
            message = re.sub(rf"\b{name}=", f"{option}=", message)
        raise PlasticError(message) from None
