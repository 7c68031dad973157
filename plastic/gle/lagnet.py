"""The lag net (Ellenberger et al. 2024, Fig. 6): the command."""

import math
from typing import Literal

import numpy as np

from plastic import training, xp
from plastic.errors import PlasticError
from plastic.gle import figures, inputs
from plastic.gle.lagnet_students import AM, GLE, TEACHER, Students
from plastic.gle.options import check_steps
from plastic.gle.state import history
from plastic.initializers import uniform_fan_in
from plastic.runs.command import run_task
from plastic.runs.options import (
    check_above_zero,
    check_at_least_one,
    check_between,
    check_seeds,
    resumed,
    seed_names,
    seeds_of,
)

PUBLISHED_SEED, PUBLISHED, SMALL = 5, (0.6605, -0.7478), (-0.07, 1.0)
"""The seed of the published run, and the weights it begins with; those of the figure in the paper."""
ANGULAR = (0.49, 1.07, 1.98)  # frequencies of the input
BLOCK, EVERY = 100, 20  # Euler steps in one step of training, and steps of training between two evaluations
STUDENTS = {"gle": GLE, "am": AM}


class Task:
    """The input, the `Students` in blocks of steps, and records of every step."""

    def __init__(self, options):
        self.options, self.seeds, dt = options, seeds_of(options), options["dt"]
        self.total = round(options["t"] / dt)
        self.x = inputs.sines(self.total, options["t"], np.array(ANGULAR) / (2 * np.pi))
        first = np.stack([_first(options, seed) for seed in self.seeds])
        self.students = Students(
            first if len(self.seeds) > 1 else first[0],
            self.total,
            options["start_learning_step"],
            options["update_every"],
            dt,
            options["gamma"],
            options["learning_rate_gle"] * dt,
            options["learning_rate_am"],
            options["momentum"],
            options["boundary"] == "textbook",
        )
        one = self.students.network.replica(GLE)
        both = {name: history(one, self.total, n) for name, n in {"output": 3, "e": 2, "w_gle": 2, "w_am": 2}.items()}
        self.kept = {name: kept for name, (kept, _) in both.items()}
        self.by_time = {name: view for name, (_, view) in both.items()}
        self.state = self.students.tree | {"records": self.kept}
        self.span = slice(0, 1)

    def train(self, run):
        """Train as the options say, or go on from the checkpoint."""
        training.fit(
            run,
            self.state,
            training.Frozen(None),
            self.step,
            steps=math.ceil(self.total / BLOCK),
            evaluate=self.evaluate,
            evaluate_every=EVERY,
            checkpoint_every=10 * EVERY,
            replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(self.seeds)],
            advice="try smaller learning rates",
        )

    def step(self, _, number):
        """Take a block of steps; return a vital sign."""
        students, kept = self.students, self.by_time
        start = (number - 1) * BLOCK
        stop = min(start + BLOCK, self.total)
        for s in range(start, stop):
            kept["output"][s] = students.step(s, float(self.x[s]))[..., 0, 0]
            kept["e"][s] = students.state.e_ahead[..., GLE, 0, :2]
            kept["w_gle"][s], kept["w_am"][s] = (students.W[k][..., 0, :] for k in (GLE, AM))
        self.span = slice((number - 1) // EVERY * EVERY * BLOCK, stop)
        return xp.sum(kept["output"][start:stop], axis=(0, -1))

    def evaluate(self):
        """Return the loss of both students, means since the last evaluation, and the weights they learn."""
        metrics = {}
        for name, student in STUDENTS.items():
            d = self.kept["output"][..., self.span, 0] - self.kept["output"][..., self.span, student]
            metrics[f"loss_{name}"] = xp.mean(d * d, axis=-1)
            metrics |= {f"w{k}_{name}": self.students.W[student][..., 0, k].copy() for k in range(2)}
        return metrics

    def arrays(self):
        """Return the records of all steps: time, input, teacher, output, error e~ or lambda, and w of both students."""
        output, lam = self.kept["output"], self.students.kept["lam"][..., 0, :2]
        arrays = {"time": inputs.times(self.total, self.options["t"]), "input": self.x, "teacher": output[..., 0]}
        arrays |= {f"output/{name}": output[..., student] for name, student in STUDENTS.items()}
        arrays |= {"error/gle": self.kept["e"], "error/am": lam}
        return arrays | {f"w/{name}": self.kept[f"w_{name}"] for name in STUDENTS}


def _first(options, seed):
    """Return the first weights (1, 2) of both students."""
    if options["small_weights"]:
        return np.array([SMALL])
    if seed == PUBLISHED_SEED:
        return np.array([PUBLISHED])
    return uniform_fan_in(xp.generator(seed).init, (1, 2), 1)


def lagnet(
    *,
    t: float = 1001.0,
    start_learning_step: int = 8000,
    update_every: int = 300,
    learning_rate_gle: float = 0.02,
    learning_rate_am: float = 0.07,
    momentum: float = 0.9,
    gamma: float = 1e-3,
    boundary: Literal["published", "textbook"] = "published",
    small_weights: bool = False,
    dt: float = 0.01,
    seed: int = 5,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Compare GLE with the adjoint method on a net of instantaneous and retarded neurons (Ellenberger et al., Fig. 6).

    Two students of one teacher learn the two weights of their first layer, by GLE in every step and by the adjoint
    method over windows. The run folder, results/gle/lagnet-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5
    (every step) and figures.

    Args:
        t: duration.
        start_learning_step: the students learn from this step on.
        update_every: steps between two updates of the adjoint method, and in its window.
        learning_rate_gle: of GLE, per time unit.
        learning_rate_am: of the adjoint method, per update.
        momentum: of both.
        gamma: how strongly errors nudge the hidden neurons of the teacher and of the GLE student.
        boundary: where the adjoint method begins, at the end of a window: published (from the first neuron of the layer
            above alone) or textbook.
        small_weights: begin from the weights (-0.07, 1) of the figure in the paper, which the published script names.
        dt: Euler step.
        seed: seed of the initial weights; 5 has those of the published run.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(lagnet, options, "gle", "lagnet")
    check_seeds(options)
    check_at_least_one(options, "start_learning_step", "update_every")
    check_above_zero(options, "t", "learning_rate_gle", "learning_rate_am", "dt")
    check_steps(options, "t")
    check_between(options, "momentum", 0, 1)
    check_between(options, "gamma", 0)
    if options["dt"] > 0.1:
        raise PlasticError(f"dt is {options['dt']}; it must be at most 0.1, the smallest prospective time constant")
    steps = round(options["t"] / options["dt"])
    if steps < options["start_learning_step"] + options["update_every"]:
        raise PlasticError(
            f"t is {options['t']}, {steps} steps of dt={options['dt']}; the students learn after "
            f"start_learning_step={options['start_learning_step']} and update_every={options['update_every']} more"
        )
    start = "-small" if options["small_weights"] else ""
    readable = f"{options['boundary']}{start}-{seed_names(options)}"
    return run_task(
        "gle", "lagnet", options, readable, lambda: Task(options), _report, lambda task: task.arrays(), figures.draw
    )


def _report(run, _):
    metrics, target = run.metrics(), TEACHER[0][0]
    for at in range(len(metrics["step"])):
        if metrics["step"][at] == metrics["step"][-1]:
            for name in STUDENTS:
                w = ", ".join(f"{metrics[f'w{k}_{name}'][at]:.4f}" for k in range(2))
                loss = f"{metrics[f'loss_{name}'][at]:.3g}"
                print(f"seed {metrics['seed'][at]}, {name}: loss {loss}, w {w}; the teacher has {target}")
