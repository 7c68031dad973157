"""The lag line (Ellenberger et al. 2024, Fig. 5): the command."""

import math
from typing import Literal

import numpy as np

from plastic import training, xp
from plastic.errors import PlasticError
from plastic.gle import figures, inputs
from plastic.gle.lagline_student import LEAST, WINDOWS, Student
from plastic.gle.options import check_steps
from plastic.gle.state import history
from plastic.runs.command import run_task
from plastic.runs.options import (
    check_above_zero,
    check_at_least_one,
    check_seeds,
    resumed,
    seed_names,
    seeds_of,
)

PUBLISHED_SEED, PUBLISHED = 0, (0.30742282, 0.63407868, 0.49009341, 0.89644474)
"""The seed of the published run, and the tau_0, tau_1, w_0, w_1 it begins with."""
BLOCK, ROW = 100, 10  # Euler steps: in one step of training; from one record to the next
EVERY = 50  # steps of training from one evaluation to the next
OF_NEURONS = ("u", "v", "u_ahead", "r", "e_ahead")
TRACES = ("input", "target", "output", *(f"{name}_{k}" for name in OF_NEURONS for k in range(2)))


class Task:
    """The input, the `Student` in blocks of steps, and records of every tenth step of the first sample of a batch."""

    def __init__(self, options):
        self.options, self.seeds, dt = options, seeds_of(options), options["dt"]
        self.total = round((options["t_init"] + options["t_train"]) / dt)
        generators = [xp.generator(seed) for seed in self.seeds]
        self.wave = inputs.square_wave(self.total, dt)
        width, batch = int(2 / dt), options["batch_size"]
        shifts = [each.data.integers(width, size=batch) for each in generators]
        starts = [_start(options, seed, each.init) for seed, each in zip(self.seeds, generators, strict=True)]
        self.shifts, starts = (np.stack(each) if len(self.seeds) > 1 else each[0] for each in (shifts, starts))
        window = round(WINDOWS.get(options["model"], 0) / dt)
        begin, beta = round(options["t_init"] / dt), options["beta"]
        lr = options["learning_rate"] / beta * max(window, 1)
        self.learner = Student(options["model"] == "gle", window, starts, begin, batch, dt, beta, lr)
        self._records()
        self.state = self.learner.tree | {"records": self.kept, "sum": self.sum, "count": self.count}

    def _records(self):
        student, rows = self.learner.student, math.ceil(self.total / ROW)
        shapes = {"trace": (len(TRACES),), "parameters": (4,), "loss": ()}
        both = {name: history(student, rows, *shape) for name, shape in shapes.items()}
        self.kept = {name: kept for name, (kept, _) in both.items()}
        self.by_time = {name: view for name, (_, view) in both.items()}
        lead = student.lead
        self.sum, self.count = xp.zeros((*lead, 1), dtype=xp.float_dtype), xp.zeros((), dtype=xp.float_dtype)
        self.d = xp.zeros((BLOCK, *lead, self.options["batch_size"]), dtype=xp.float_dtype)

    def train(self, run):
        """Train as the options say, or go on from the checkpoint."""
        steps = math.ceil(self.total / BLOCK)
        training.fit(
            run,
            self.state,
            training.Frozen(None),
            self.step,
            steps=steps,
            evaluate=self.evaluate,
            evaluate_every=EVERY,
            checkpoint_every=500,
            replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(self.seeds)],
            advice="try a smaller learning_rate",
        )

    def step(self, _, number):
        """Take a block of steps; return a vital sign."""
        learner, trace, parameters = self.learner, self.by_time["trace"], self.by_time["parameters"]
        start = (number - 1) * BLOCK
        stop = min(start + BLOCK, self.total)
        if (number - 1) % EVERY == 0:
            self.sum[...], self.count[...] = 0, 0
        block = xp.asarray(inputs.moved(self.wave, self.shifts, 5, start, stop))[..., None]
        for s in range(start, stop):
            x, row, recorded = block[s - start], s // ROW, s % ROW == 0
            if recorded:
                parameters[row] = learner.student.parameters.flat
                trace[row, ..., 2] = learner.state.output[..., 0, 0]
            y, d = learner.step(s, x)
            self.d[s - start] = d[..., 0]
            if recorded:
                trace[row, ..., 0], trace[row, ..., 1] = x[..., 0, 0], y[..., 0, 0]
                for k, name in enumerate(OF_NEURONS):
                    trace[row, ..., 3 + 2 * k : 5 + 2 * k] = getattr(learner.state, name)[..., 0, :]
        loss = xp.mean(self.d[: stop - start] ** 2, axis=-1)
        self.by_time["loss"][start // ROW : math.ceil(stop / ROW)] = loss[::ROW]
        self.sum += xp.sum(loss, axis=0)[..., None]
        self.count += stop - start
        return xp.sum(loss, axis=0)

    def evaluate(self):
        """Return the loss, a mean over the steps since the last evaluation, and what is learned."""
        vector = self.learner.student.parameters.flat
        values = {name: vector[..., k].copy() for k, name in enumerate(("w_0", "w_1", "tau_0", "tau_1"))}
        return {"loss": (self.sum / xp.maximum(self.count, 1))[..., 0]} | values

    def arrays(self):
        """Return the records: trace/<name> (..., rows), w (..., rows, 2), tau_m (..., rows, 2), loss, time."""
        kept = self.kept
        traces = {f"trace/{name}": kept["trace"][..., k] for k, name in enumerate(TRACES)}
        time = np.arange(kept["loss"].shape[-1]) * (ROW * self.options["dt"])
        learned = {"w": kept["parameters"][..., :2], "tau_m": kept["parameters"][..., 2:]}
        return traces | learned | {"loss": kept["loss"], "time": time}


def _start(options, seed, generator):
    if options["start"] is not None:
        return options["start"]
    if seed == PUBLISHED_SEED:
        return PUBLISHED
    drawn = generator.uniform(size=4)
    drawn[:2] = np.maximum(drawn[:2], options["dt"])
    return drawn


def lagline(
    *,
    model: Literal["gle", "bp", "bptt_tw4", "bptt_tw2", "bptt_tw1"] = "gle",
    t_init: float = 50.0,
    t_train: float = 4000.0,
    start: tuple[float, ...] | None = None,
    learning_rate: float = 1e-6,
    batch_size: int = 100,
    beta: float = 0.01,
    dt: float = 0.01,
    seed: int = 0,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Teach a chain of two lagged neurons to be another one, by GLE, BP or truncated BPTT (Ellenberger et al., Fig. 5).

    The chain learns its two weights and its two membrane time constants, which are 1, 2 and 1, 2 in the teacher. The
    run folder, results/gle/lagline-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 (every tenth step of
    the first sample) and a figure; `figure` draws several runs into one.

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
        seed: seed of everything random.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(lagline, options, "gle", "lagline")
    check_seeds(options)
    check_at_least_one(options, "batch_size")
    check_above_zero(options, "t_init", "t_train", "learning_rate", "beta", "dt")
    check_steps(options, "t_init", "t_train")
    _check(options)
    readable = f"{options['model']}-{seed_names(options)}"
    return run_task(
        "gle", "lagline", options, readable, lambda: Task(options), _report, lambda task: task.arrays(), figures.draw
    )


def _check(options):
    """Raise PlasticError for times and time constants that do not fit the step."""
    dt, start = options["dt"], options["start"]
    if dt > 0.1:
        raise PlasticError(f"dt is {dt}; it must be at most 0.1, the prospective time constant of the neurons")
    if round((options["t_init"] + options["t_train"]) / dt) <= round(4 / dt):
        raise PlasticError(
            f"t_init {options['t_init']} and t_train {options['t_train']} are too short: "
            "the input has a period of 4, and one at least is needed"
        )
    if start is not None and (len(start) != 4 or min(start[:2]) < dt):
        raise PlasticError(f"start is {start}; it takes tau_0, tau_1 (at least dt={dt}), w_0 and w_1")


def _report(run, _):
    metrics, last = run.metrics(), LEAST * run.options["dt"]
    for at in range(len(metrics["step"])):
        if metrics["step"][at] == metrics["step"][-1]:
            w_0, w_1, tau_0, tau_1 = (metrics[name][at] for name in ("w_0", "w_1", "tau_0", "tau_1"))
            held = " (held at its least)" if min(tau_0, tau_1) <= last * 1.001 else ""
            print(
                f"seed {metrics['seed'][at]}: loss {metrics['loss'][at]:.3g}, "
                f"w {w_0:.4f} {w_1:.4f}, tau_m {tau_0:.4f} {tau_1:.4f}{held}; the teacher has w 1 2, tau_m 1 2"
            )
