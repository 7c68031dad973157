"""The one training loop, `fit`.

The clock is the number of steps taken. What is special to an experiment comes in as functions and objects:

    source    next() gives what one step needs: a batch, a teacher's time step, a trial, remembered transitions;
              state() gives its position as JSON-able values, restore(state) goes back there;
              per_epoch is the number of steps that count as an epoch
    step      step(batch, number) changes the state in place, `number` = 1, 2, ..; schedules are functions of it.
              It returns a vital sign: an array of the replica shape that is not finite once that replica has diverged
              (its loss, say). Nothing in a step waits for the device
    evaluate  evaluate() gives the metrics as {name: array of the replica shape}
"""

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plastic import interruption, parameters, require, terminal, xp
from plastic.data.sources import Source
from plastic.errors import Diverged, PlasticError
from plastic.progress import Progress
from plastic.runs.folder import Run
from plastic.types import Array, Tree

__all__ = ["fit"]


def __dir__() -> list[str]:
    return __all__


def fit(
    run: Run,
    state: Tree,
    source: Source,
    step: Callable[[Any, int], Array],
    *,
    steps: int,
    evaluate: Callable[[], dict[str, Array]],
    evaluate_every: int | None = None,
    checkpoint_every: int | None = None,
    replicas: Sequence[dict[str, Any]] | None = None,
    shape: tuple[int, ...] | None = None,
    stop: Callable[[dict[str, np.ndarray]], bool] | None = None,
    advice: str = "try a smaller learning rate",
    when_diverged: dict[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Train to `steps` steps, from the checkpoint of the run where it has one.

    Divergence: the first bad step of every replica is kept on the device and read at evaluations and checkpoints, where
    an array of the state that is not finite counts too, and so does an infinite metric (a NaN may mean: none yet). A
    replica that has diverged gets no more rows in metrics.csv, is recorded in config.json ("diverged": {replica:
    step}), and its arrays in the checkpoint (and in `state` at the end) are those of its last finite checkpoint.

    Args:
        run: the `plastic.runs.Run`, or a part of one. Metrics go to its metrics.csv, the state to its checkpoint.
        state: the tree of all arrays that `step` changes: parameters, moments, neuron states. With several replicas,
            each leaf of more than one element has the replica axes first.
        source: gives what a step needs; see `plastic.data.sources`.
        step: step(batch, number), number = 1, 2, .., changes the state in place and returns a vital sign: an array of
            the replica shape that is not finite once that replica has diverged. Nothing in it waits for the device.
        steps: to take in all; those that the checkpoint has taken count.
        evaluate: evaluate() -> {name: array of the replica shape}.
        evaluate_every: steps between two evaluations, an epoch by default. Step 0 and the last step are always
            evaluated and saved.
        checkpoint_every: steps between two checkpoints, `evaluate_every` by default.
        replicas: what sets the replicas apart, one {column: value} each; by default {"replica": 0, "seed": 1} and so
            on, the seeds of the run.
        shape: the replica shape where it has several axes, for instance (seeds, rates); `replicas` are in its order.
        stop: stop(metrics) is true when the goal is reached; asked after each evaluation. The metrics are of all
            replicas, those that have diverged too.
        advice: what to try when training diverges, for the message.
        when_diverged: {metric: value} that a replica has in metrics.csv once it has diverged, where it keeps its rows
            and training goes to its end whoever has diverged, as in a search over learning rates.

    Returns:
        The last metrics, as host arrays.

    Raises:
        PlasticError: if an argument does not fit, or what a step or an evaluation returns.
        Diverged: when no replica is left, unless `when_diverged` is given.
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGHUP, which end the step in progress and save; it says how to go
            on.

    Example:
        >>> import tempfile
        >>> from plastic.data.sources import Repeated
        >>> from plastic.runs import Run
        >>> w = xp.asarray([1.0, 2.0])
        >>> def step(batch, number):
        ...     w[...] *= 0.5
        ...     return w.sum()
        >>> with tempfile.TemporaryDirectory() as folder, Run.create(folder, "mine", "halving", {}) as run:
        ...     metrics = fit(
        ...         run, {"w": w}, Repeated(), step, steps=2, evaluate=lambda: {"loss": (w**2).sum()}
        ...     )
        >>> float(metrics["loss"])
        0.3125
    """
    require.whole("steps", steps, least=0)
    require.counts(evaluate_every=evaluate_every, checkpoint_every=checkpoint_every)
    if not all(hasattr(source, name) for name in ("next", "state", "restore", "per_epoch")):
        raise PlasticError(f"source is a {type(source).__name__}; it must be one of plastic.data.sources, or like them")
    evaluate_every = evaluate_every or source.per_epoch
    health = _Health(run, state, replicas, shape, advice, when_diverged)
    run.begin(steps=steps, trial=lambda: _seconds_a_step(step, source))
    now = Progress(step=0, stopped=False, metrics={}, diverged=health.diverged, source={})

    def measure():
        health.check(now.step)
        with _quiet():
            now.metrics = health.measured(evaluate())
        health.check_metrics(now.metrics, now.step)
        clock = {"step": now.step, "epoch": now.step / source.per_epoch}
        run.log([clock | row for row in health.rows(now.metrics, health.logged())])

    def save():
        health.check(now.step)
        health.put_back()
        now.source = source.state()
        run.save_checkpoint(state, now.counters())

    def accept(arrays, counters, table):
        found = Progress.of(counters, steps, health.shape)
        found.require_arrays(arrays, state)
        health.diverged = found.diverged
        rows = [run.columns | row for row in health.rows(found.metrics, health.alive())]
        found.require_rows(rows, table, evaluate_every)
        found.restore(source)
        return found

    if run.has_checkpoint():
        now = run.load_checkpoint(state, accept)
        if now.step < steps and not now.stopped:
            run.status("running", **health.details())
    else:
        run.forget_rows()
        measure()
        save()
    with interruption.deferred() as waiting, _progress_bar(steps, now.step) as bar, _quiet():
        while now.step < steps and not now.stopped:
            now.step += 1
            health.watch(now.step, step(source.next(), now.step))
            bar.update()
            if now.step % evaluate_every == 0 or now.step == steps:
                measure()
                now.stopped = stop is not None and bool(stop(now.metrics))
                bar.set_postfix({name: f"{np.mean(value):.4g}" for name, value in list(now.metrics.items())[:3]})
            leave, done = bool(waiting), now.stopped or now.step == steps
            if leave or done or now.step % (checkpoint_every or evaluate_every) == 0:
                save()
            if leave:
                run.status("interrupted", step=now.step, **health.details())
                raise KeyboardInterrupt(f"interrupted at step {now.step}; go on with {run.to_resume}")
    return now.metrics


class _Health:
    """Which replicas have diverged, and since which step."""

    def __init__(self, run, state, replicas, shape, advice, when_diverged):
        if replicas is None:
            replicas = [{"replica": replica, "seed": seed} for replica, seed in enumerate(run.seeds)]
        self.run, self.state, self.replicas, self.shape = run, state, replicas, tuple(shape or (len(replicas),))
        self.advice, self.when_diverged = advice, when_diverged
        self._require_state()
        self.diverged = {}  # replica -> first bad step
        self._first_bad = None  # on the device, of the replica shape: 0 while all is well

    def alive(self):
        """Return (index, columns) of the replicas that have not diverged."""
        return [(index, columns) for index, columns in enumerate(self.replicas) if index not in self.diverged]

    def logged(self):
        """Return (index, columns) of the replicas that have rows in metrics.csv."""
        return self.alive() if self.when_diverged is None else list(enumerate(self.replicas))

    def rows(self, values, of):
        """Return the rows of metrics.csv, but for the clock, of some replicas, (index, columns) each."""
        return [columns | self.shown(values, index) for index, columns in of]

    def shown(self, values, index):
        """Return the metrics of one replica."""
        found = {name: float(value.reshape(-1)[index]) for name, value in values.items()}
        return found | self.when_diverged if index in self.diverged and self.when_diverged else found

    def details(self):
        """Return what config.json says of it."""
        return {"diverged": self.diverged} if self.diverged else {}

    def watch(self, number, vital):
        """Note, without waiting for the device, which replicas have a vital sign that is not finite."""
        if self._first_bad is None:
            self._require_of_replicas("what step returns, a vital sign,", vital)
        bad = xp.where(xp.isfinite(vital), 0, number)
        self._first_bad = bad if self._first_bad is None else xp.where(self._first_bad > 0, self._first_bad, bad)

    def check(self, number):
        """Read the first bad steps and the state; record who is newly diverged, and stop when nobody is left."""
        if self._first_bad is not None:
            self._record(xp.asnumpy(self._first_bad))
        finite = functools.reduce(xp.logical_and, (self._finite(leaf) for _, leaf in parameters.leaves(self.state)))
        self._record(np.where(xp.asnumpy(finite), 0, max(number, 1)))

    def measured(self, values):
        """Return metrics on the host, no views of the state; they are a number for each replica, under a new name."""
        if not isinstance(values, dict):
            raise PlasticError(f"evaluate returns a {type(values).__name__}; it must be a dict, {{name: array}}")
        taken = {"step", "epoch", *self.replicas[0], *self.run.columns}
        for name, value in values.items():
            if name in taken:
                raise PlasticError(f"evaluate returns a metric called {name}, as a column of metrics.csv is; rename it")
            self._require_of_replicas(f"the metric {name}", value)
        return {name: np.array(xp.asnumpy(value)) for name, value in values.items()}

    def _require_state(self):
        """Require replicas that are told apart, and a state of arrays that have their axes."""
        count = math.prod(self.shape)
        if not all(isinstance(each, dict) for each in self.replicas) or len(self.replicas) != count:
            raise PlasticError(f"replicas is {self.replicas}; it must have a dict for each of {count} replicas")
        leaves = parameters.leaves(self.state)
        if not leaves:
            raise PlasticError("state has no arrays; it must be the tree of all that step changes")
        for path, leaf in leaves:
            if not isinstance(leaf, xp.ndarray):
                raise PlasticError(f"{path or 'state'} is a {type(leaf).__name__}; a state has arrays and nothing else")
            if count > 1 and leaf.size > 1 and leaf.shape[: len(self.shape)] != self.shape:
                raise PlasticError(
                    f"{path or 'state'} has shape {leaf.shape}; of {count} replicas it must begin with {self.shape}"
                )

    def _require_of_replicas(self, what, value):
        """Require a number for each replica."""
        kind = getattr(value, "dtype", np.dtype(type(value)) if isinstance(value, int | float) else None)
        if kind is None or kind.kind not in "biuf" or getattr(value, "size", 1) != len(self.replicas):
            found = f"{kind} of shape {value.shape}" if hasattr(value, "shape") else f"a {type(value).__name__}"
            raise PlasticError(f"{what} is {found}; it must be an array of the replica shape, {self.shape}")

    def check_metrics(self, values, number):
        """Record who has an infinite metric."""
        infinite = [np.isinf(value).reshape(-1) for value in values.values()]
        self._record(np.where(np.any(infinite, axis=0), max(number, 1), 0))

    def put_back(self):
        """Put the last finite arrays of diverged replicas back, as a checkpoint needs."""
        if self.diverged:
            arrays, _ = self.run.read_checkpoint()
            for path, leaf in parameters.leaves(self.state):
                for index in self.diverged:
                    if leaf.size > 1:
                        place = np.unravel_index(index, self.shape)
                        leaf[place] = xp.asarray(arrays[path][place])

    def _finite(self, leaf):
        if len(self.replicas) == 1 or leaf.size == 1:
            return xp.isfinite(leaf).all()
        return xp.isfinite(leaf).reshape(len(self.replicas), -1).all(axis=1)

    def _record(self, first_bad):
        new = {
            index: int(bad) for index, bad in enumerate(np.ravel(first_bad)) if bad > 0 and index not in self.diverged
        }
        self.diverged |= new
        if new and (self.alive() or self.when_diverged is not None):
            self.run.status("running", **self.details())
            if self.when_diverged is None:
                named = "; ".join(f"{self._name(index)} at step {step}" for index, step in new.items())
                terminal.warn(f"warning: diverged, and left out from there on: {named}: {self.advice}")
        elif new:
            self.run.status("diverged", **self.details())
            kept = f"; the last finite checkpoint is in {self.run.folder}" if self.run.has_checkpoint() else ""
            raise Diverged(f"training diverged at step {min(self.diverged.values())}: {self.advice}{kept}")

    def _name(self, index):
        return ", ".join(f"{name} {value}" for name, value in self.replicas[index].items() if name != "replica")


def _seconds_a_step(step, source):
    """Take a few steps; return the seconds that one needs."""
    with _quiet():
        step(source.next(), 1)  # what is made at the first step is made once
        start = time.perf_counter()
        for count in itertools.count(1):
            step(source.next(), 1 + count)
            xp.synchronize()
            if count == 20 or time.perf_counter() - start > 2:
                return (time.perf_counter() - start) / count


def _progress_bar(steps, number):
    return terminal.progress(total=steps, initial=number, unit="step", dynamic_ncols=True, mininterval=0.5)


def _quiet():
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")  # divergence is watched, not warned about
