"""The one training loop, `fit`, and two sources: mini-batches of a static set, and the same batch again and again.

The clock is the number of steps taken. What is special to an experiment comes in as functions and objects:

    source    next() gives what one step needs: a batch, a teacher's time step, a trial, remembered transitions;
              state() gives its position as JSON-able values, restore(state) goes back there;
              per_epoch is the number of steps that count as an epoch
    step      step(batch, number) changes the state in place, `number` = 1, 2, ..; schedules are functions of it.
              It returns a vital sign: an array of the replica shape that is not finite once that replica has diverged
              (its loss, say). Nothing in a step waits for the device
    evaluate  evaluate() gives the metrics as {name: array of the replica shape}
"""

import contextlib
import functools
import itertools
import signal
import threading
import time

import numpy as np

from plastic import parameters, xp
from plastic.errors import PlasticError


def fit(
    run,
    state,
    source,
    step,
    *,
    steps,
    evaluate,
    evaluate_every,
    checkpoint_every,
    replicas,
    shape=None,
    stop=None,
    advice="",
    when_diverged=None,
):
    """Train to `steps` steps, from the checkpoint of `run` where it has one. Returns the last metrics, as host arrays.

    run: the open `plastic.runs.Run`. Metrics go to its metrics.csv, the state to its checkpoint.
    state: the tree of all arrays that `step` changes: parameters, moments, neuron states. With several replicas, each
        leaf of more than one element has the replica axis first.
    evaluate_every, checkpoint_every: in steps. Step 0 and the last step are always evaluated and saved.
    replicas: what sets the replicas apart, one {column: value} each, for instance {"replica": 0, "seed": 1}.
    shape: the replica shape where it has several axes, for instance (seeds, rates); `replicas` are in its order.
    stop: stop(metrics) is true when the goal is reached; asked after each evaluation. The metrics are of all replicas,
        those that have diverged too.
    advice: what to try when training diverges, for the message.
    when_diverged: {metric: value} that a replica has in metrics.csv once it has diverged, where it keeps its rows and
        training goes to its end whoever has diverged, as in a search over learning rates.

    Divergence: the first bad step of every replica is kept on the device and read at evaluations and checkpoints. A
    replica that has diverged gets no more rows in metrics.csv, is recorded in config.json ("diverged": {replica:
    step}), and its arrays in the checkpoint (and in `state` at the end) are those of its last finite checkpoint.
    Raises PlasticError when no replica is left. Ctrl-C ends the step in progress, saves, and raises KeyboardInterrupt
    with the way to go on.
    """
    run.begin(steps=steps, trial=lambda: _seconds_a_step(step, source))
    health = _Health(run, state, replicas, shape or (len(replicas),), advice, when_diverged)
    number, metrics, stopped = 0, None, False

    def evaluated():
        health.check()
        with _quiet():
            values = {name: np.asarray(xp.asnumpy(value)) for name, value in evaluate().items()}
        clock = {"step": number, "epoch": number / source.per_epoch}
        run.log([clock | columns | health.shown(values, index) for index, columns in health.logged()])
        return values

    def save():
        health.check_state(number)
        record = {name: value.tolist() for name, value in metrics.items()}
        counters = {"step": number, "stopped": stopped, "metrics": record, "diverged": health.diverged}
        run.save_checkpoint(state, counters | {"source": source.state()})

    if run.has_checkpoint():
        counters = run.load_checkpoint(state)
        number, stopped = counters["step"], counters["stopped"]
        metrics = {name: np.asarray(value) for name, value in counters["metrics"].items()}
        health.diverged = {int(index): bad for index, bad in counters["diverged"].items()}
        run.status("running", **health.details())
        source.restore(counters["source"])
    else:
        run.forget_rows()
        metrics = evaluated()
        save()
    with _deferred_interrupt() as interrupted, _progress_bar(steps, number) as bar, _quiet():
        while number < steps and not stopped:
            number += 1
            health.watch(number, step(source.next(), number))
            bar.update()
            if number % evaluate_every == 0 or number == steps:
                metrics = evaluated()
                stopped = stop is not None and bool(stop(metrics))
                bar.set_postfix({name: f"{np.mean(value):.4g}" for name, value in list(metrics.items())[:3]})
            done, leave = stopped or number == steps, interrupted.is_set()
            if done or leave or number % checkpoint_every == 0:
                save()
            if leave and not done:
                run.status("interrupted", step=number, **health.details())
                raise KeyboardInterrupt(f"interrupted at step {number}; go on with --resume={run.folder}")
    return metrics


class Batches:
    """Mini-batches of a static set, in file order or shuffled anew each epoch; what does not fill a batch is left out.

    x (samples, ...), y (samples, ...): arrays of the backend. generators: none for the file order; one generator for
    a shuffled order; several for an order per replica, whose batches are then (replicas, batch, ...). Raises
    PlasticError if the batch is larger than the set, or x and y differ in their number of samples.
    """

    def __init__(self, x, y, batch_size, generators=()):
        if len(x) != len(y):
            raise PlasticError(f"x has {len(x)} samples, but y has {len(y)}")
        if not 1 <= batch_size <= len(x):
            raise PlasticError(f"batch_size {batch_size} is not possible with a training set of {len(x)} samples")
        self.x, self.y, self.batch_size, self.generators = x, y, batch_size, list(generators)
        self.per_epoch = len(x) // batch_size
        self._begin_epoch()

    def next(self):
        """Return the next batch (x, y)."""
        if self._position == self.per_epoch:
            self._begin_epoch()
        chosen = slice(self._position * self.batch_size, (self._position + 1) * self.batch_size)
        self._position += 1
        if self.generators:
            chosen = xp.asarray(self._order[..., chosen])
        return self.x[chosen], self.y[chosen]

    def state(self):
        """Return the position in the epoch, and the generators as they were when the epoch began."""
        return {"position": self._position, "generators": self._at_epoch}

    def restore(self, state):
        """Go back to a position that `state` gave."""
        for generator, bits in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = bits
        self._begin_epoch()
        self._position = state["position"]

    def _begin_epoch(self):
        self._at_epoch = [generator.bit_generator.state for generator in self.generators]
        orders = [generator.permutation(len(self.x)) for generator in self.generators]
        self._order = orders[0] if len(orders) == 1 else np.array(orders)
        self._position = 0


class Frozen:
    """The same batch at every step: a source without position; an epoch is a step."""

    per_epoch = 1

    def __init__(self, batch):
        self.batch = batch

    def next(self):
        """Return the batch."""
        return self.batch

    def state(self):
        """Return nothing: there is no position."""
        return {}

    def restore(self, state):
        """Do nothing."""


class _Health:
    """Which replicas have diverged, and since which step."""

    def __init__(self, run, state, replicas, shape, advice, when_diverged):
        self.run, self.state, self.replicas, self.shape = run, state, replicas, shape
        self.advice, self.when_diverged = advice, when_diverged
        self.diverged = {}  # replica -> first bad step
        self._first_bad = None  # on the device, of the replica shape: 0 while all is well

    def alive(self):
        """Return (index, columns) of the replicas that have not diverged."""
        return [(index, columns) for index, columns in enumerate(self.replicas) if index not in self.diverged]

    def logged(self):
        """Return (index, columns) of the replicas that have rows in metrics.csv."""
        return self.alive() if self.when_diverged is None else list(enumerate(self.replicas))

    def shown(self, values, index):
        """Return the metrics of one replica."""
        found = {name: float(value.reshape(-1)[index]) for name, value in values.items()}
        return found | self.when_diverged if index in self.diverged and self.when_diverged else found

    def details(self):
        """Return what config.json says of it."""
        return {"diverged": self.diverged} if self.diverged else {}

    def watch(self, number, vital):
        """Note, without waiting for the device, which replicas have a vital sign that is not finite."""
        bad = xp.where(xp.isfinite(vital), 0, number)
        self._first_bad = bad if self._first_bad is None else xp.where(self._first_bad > 0, self._first_bad, bad)

    def check(self):
        """Read the first bad steps; record who is newly diverged, and stop the run when nobody is left."""
        if self._first_bad is not None:
            self._record(xp.asnumpy(self._first_bad))

    def check_state(self, number):
        """Check every array too, as a checkpoint needs; put the last finite arrays of diverged replicas back."""
        self.check()
        finite = functools.reduce(xp.logical_and, (self._finite(leaf) for _, leaf in parameters.leaves(self.state)))
        self._record(np.where(xp.asnumpy(finite), 0, max(number, 1)))
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
        elif new:
            self.run.status("diverged", **self.details())
            first = f"training diverged at step {min(self.diverged.values())}"
            raise PlasticError(f"{first}: {self.advice}; the last finite checkpoint is in {self.run.folder}")


def _seconds_a_step(step, source):
    """Take a few steps; return the seconds that one needs."""
    step(source.next(), 1)  # what is made at the first step is made once
    start = time.perf_counter()
    for count in itertools.count(1):
        step(source.next(), 1 + count)
        xp.synchronize()
        if count == 20 or time.perf_counter() - start > 2:
            return (time.perf_counter() - start) / count


def _progress_bar(steps, number):
    from tqdm import tqdm

    return tqdm(total=steps, initial=number, disable=None, unit="step", dynamic_ncols=True, mininterval=0.5)


def _quiet():
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")  # divergence is watched, not warned about


@contextlib.contextmanager
def _deferred_interrupt():
    """Turn the first Ctrl-C or SIGTERM into an event to ask about between steps; a second one interrupts at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # Python takes signals in the main thread only
        return

    def note(signum, frame):
        interrupted.set()
        signal.signal(signum, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
