"""The lag line (Ellenberger et al. 2024, Fig. 5): a chain of two lagged neurons learns to be another one."""

import math
from typing import Literal

import numpy as np

from plastic import require, runs, training, xp
from plastic.data.sources import Repeated
from plastic.errors import PlasticError
from plastic.gle import dynamics, inputs
from plastic.gle.experiments import blocks, figures, seeds
from plastic.gle.lagline_student import LEAST, WINDOWS, Student, chain
from plastic.gle.state import histories

_PUBLISHED_SEED, _PUBLISHED = 0, (0.30742282, 0.63407868, 0.49009341, 0.89644474)
"""The seed of the published run, and the tau_0, tau_1, w_0, w_1 it begins with."""
_SMOOTH = 5  # Euler steps: standard deviation of the smoothing of the input
_ROW = 10  # Euler steps from one record to the next
_EVERY = 50  # blocks from one evaluation to the next
_OF_NEURONS = ("u", "v", "u_ahead", "r", "e_ahead")
_TRACES = ("input", "target", "output", *(f"{name}_{k}" for name in _OF_NEURONS for k in range(2)))
_LEARNED = ("w_0", "w_1", "tau_0", "tau_1")


def restore(arrays, *, dt, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes an input over time (T, batch) of the host, and gives the outputs (..., T, batch) from rest.
    """
    vector = np.asarray(arrays["parameters"])
    net = chain(vector[..., 2:], vector[..., :2], dt)
    return net, lambda x: xp.asnumpy(dynamics.predict(net, xp.asarray(x)[..., None])[..., 0])


# no length: the published input spreads its pulses evenly over the whole run, so a longer one has another past
@runs.experiment(
    "gle",
    draw=figures.OF_LAGLINE,
    restore=restore,
    readable="{model}-{seeds}",
    seed=0,
    together=True,
    rate="learning_rate",
)
def lagline(
    run,
    *,
    model: Literal["gle", "bp", "bptt_tw4", "bptt_tw2", "bptt_tw1"] = "gle",
    t_init: float = 50.0,
    t_train: float = 4000.0,
    start: tuple[float, ...] | None = None,
    learning_rate: float = 1e-6,
    batch_size: int = 100,
    beta: float = 0.01,
    dt: float = 0.01,
):
    """Teach a chain of two lagged neurons to be another one, by GLE, BP or truncated BPTT (Ellenberger et al., Fig. 5).

    The chain learns its two weights and its two membrane time constants, which are 1, 2 and 1, 2 in the teacher. The
    run folder, results/gle/lagline-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 (every tenth step of
    the first sample) and a figure; `figure` draws several runs into one. By default it takes half a minute.

    Args:
        model: gle; bp, with instantaneous errors; bptt_tw4, bptt_tw2 or bptt_tw1, truncated BPTT with a window of 4, 2
            or 1 time units. BPTT steps once in a window.
        t_init: time before learning. As published, gle and bp show the teacher's time constants in its first half.
        t_train: time of learning.
        start: tau_0, tau_1, w_0, w_1 at first; by default those of the published run with seed 0, and drawn from
            U(0, 1) with every other seed.
        learning_rate: of Adam, times beta; BPTT multiplies it by the steps of its window.
        batch_size: samples: shifted copies of one square wave.
        beta: strength of the nudge towards the target.
        dt: Euler step.
    """
    blocks.require_times(dt, t_init=t_init, t_train=t_train)
    require.number("learning_rate", learning_rate, above=0)
    require.number("beta", beta, above=0)
    require.counts(batch_size=batch_size)
    total, window = round((t_init + t_train) / dt), round(WINDOWS.get(model, 0) / dt)
    _require_fitting(dt, t_init, t_train, start)
    _require_an_update(dt, t_init, t_train, model, window)

    of_a_step = 12 if window else 1  # numbers that are kept of a sample
    run.expect(len(run.seeds) * batch_size * of_a_step * max(window, blocks.BLOCK), batch_size=batch_size)
    shifts, starts = _drawn(run, start, dt, batch_size)
    rate = run.rate("learning_rate") / beta * max(window, 1)
    student = Student(model == "gle", window, starts, round(t_init / dt), batch_size, dt, beta, rate)
    records, wave = Records(student, total), inputs.square_wave(total, dt)

    def step(_, number):
        steps = blocks.steps_of(number, total)
        x = xp.asarray(inputs.moved(wave, shifts, _SMOOTH, steps.start, steps.stop))[..., None]
        return records.take(steps, x, anew=(number - 1) % _EVERY == 0)

    training.fit(
        run,
        student.tree | records.tree,
        Repeated(),
        step,
        steps=blocks.count(total),
        evaluate=records.means,
        evaluate_every=_EVERY,
        checkpoint_every=500,
        advice="try a smaller learning_rate, a beta near 0.01, or a start near 1",
    )
    run.save_arrays(records.arrays())
    return _report(run, LEAST * dt)


class Records:
    """What is kept of a `Student` over `total` steps: every tenth step of the first sample, and means of the loss."""

    def __init__(self, student, total):
        self.student, net = student, student.student
        shapes = {"trace": (len(_TRACES),), "parameters": (4,), "loss": ()}
        self.kept, self._by_time = histories(net, math.ceil(total / _ROW), shapes)
        self.sum, self.count = xp.zeros((*net.replicas, 1), dtype=xp.float_dtype), xp.zeros((), dtype=xp.float_dtype)
        self._d = xp.zeros((blocks.BLOCK, *net.replicas, student.state.batch), dtype=xp.float_dtype)

    @property
    def tree(self):
        """All that changes."""
        return {"records": self.kept, "sum": self.sum, "count": self.count}

    def take(self, steps, x, anew):
        """Take steps, a range, with inputs x (steps, ..., batch, 1); return the sum of their losses.

        anew: whether the means of the loss begin anew.
        """
        if anew:
            self.sum[...], self.count[...] = 0, 0
        for s in steps:
            recorded = s % _ROW == 0
            if recorded:
                self._note_before(s // _ROW)
            y, d = self.student.step(s, x[s - steps.start])
            self._d[s - steps.start] = d[..., 0]
            if recorded:
                self._note_after(s // _ROW, x[s - steps.start], y)
        loss = xp.mean(self._d[: len(steps)] ** 2, axis=-1)
        self._by_time["loss"][steps.start // _ROW : math.ceil(steps.stop / _ROW)] = loss[::_ROW]
        self.sum += xp.sum(loss, axis=0)[..., None]
        self.count += len(steps)
        return xp.sum(loss, axis=0)

    def means(self):
        """Return what is learned, and the loss: a mean over the steps since it began anew, none before the first."""
        vector = self.student.student.parameters.flat
        values = {name: vector[..., k].copy() for k, name in enumerate(_LEARNED)}
        return {"loss": (self.sum / self.count)[..., 0]} | values

    def arrays(self):
        """Return the records: trace/<name> (..., rows), w (..., rows, 2), tau_m (..., rows, 2), loss, time."""
        kept = self.kept
        traces = {f"trace/{name}": kept["trace"][..., k] for k, name in enumerate(_TRACES)}
        time = np.arange(kept["loss"].shape[-1]) * (_ROW * self.student.student.dt)
        learned = {"w": kept["parameters"][..., :2], "tau_m": kept["parameters"][..., 2:]}
        return traces | learned | {"loss": kept["loss"], "time": time}

    def _note_before(self, row):
        self._by_time["parameters"][row] = self.student.student.parameters.flat
        self._by_time["trace"][row, ..., 2] = self.student.state.output[..., 0, 0]

    def _note_after(self, row, x, y):
        trace = self._by_time["trace"][row]
        trace[..., 0], trace[..., 1] = x[..., 0, 0], y[..., 0, 0]
        for k, name in enumerate(_OF_NEURONS):
            trace[..., 3 + 2 * k : 5 + 2 * k] = getattr(self.student.state, name)[..., 0, :]


def _drawn(run, start, dt, batch_size):
    """Return the shifts of the samples and the parameters to start from, host arrays."""
    generators = run.generators()
    shifts = [each.data.integers(int(2 / dt), size=batch_size) for each in generators]
    starts = [start or _start(seed, each.init, dt) for seed, each in zip(run.seeds, generators, strict=True)]
    return seeds.stacked(shifts), seeds.stacked([np.array(each) for each in starts])


def _start(seed, generator, dt):
    if seed == _PUBLISHED_SEED:
        return _PUBLISHED
    drawn = generator.uniform(size=4)
    drawn[:2] = np.maximum(drawn[:2], dt)
    return drawn


def _require_fitting(dt, t_init, t_train, start):
    """Require times with a period of the input, and time constants that fit the step."""
    if round((t_init + t_train) / dt) <= round(4 / dt):
        raise PlasticError(f"t_init {t_init} and t_train {t_train} are too short: the input has a period of 4")
    if start is not None and (len(start) != 4 or min(start[:2]) < dt):
        raise PlasticError(f"start is {start}; it takes tau_0, tau_1 (at least dt={dt}), w_0 and w_1")


def _require_an_update(dt, t_init, t_train, model, window):
    """Require of BPTT the time for one update, which comes at a multiple of its window after learning has begun."""
    if window and (first := (round(t_init / dt) // window + 1) * window) >= round((t_init + t_train) / dt):
        raise PlasticError(
            f"t_train is {t_train:g}: after t_init={t_init:g}, {model} makes its first update at t = {first * dt:g}"
        )


def _report(run, least):
    lines = []
    for row in seeds.last_rows(run):
        w_0, w_1, tau_0, tau_1 = (row[name] for name in _LEARNED)
        held = " (held at its least)" if min(tau_0, tau_1) <= least * 1.001 else ""
        learned = f"w {w_0:.4f} {w_1:.4f}, tau_m {tau_0:.4f} {tau_1:.4f}{held}"
        lines.append(f"seed {row['seed']}: loss {row['loss']:.3g}, {learned}; the teacher has w 1 2, tau_m 1 2")
    return lines
