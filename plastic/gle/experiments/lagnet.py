"""The lag net (Ellenberger et al. 2024, Fig. 6): GLE beside the adjoint method."""

from typing import Literal

import numpy as np

from plastic import require, runs, training, xp
from plastic.data.sources import Repeated
from plastic.errors import PlasticError
from plastic.gle import dynamics, inputs
from plastic.gle.experiments import blocks, figures, seeds
from plastic.gle.lagnet_students import AM, GLE, TEACHER, Students, replicas
from plastic.gle.state import histories
from plastic.initializers import uniform_fan_in

_PUBLISHED_SEED, _PUBLISHED, _SMALL = 5, (0.6605, -0.7478), (-0.07, 1.0)
"""The seed of the published run, and the weights it begins with; those of the figure in the paper."""
_ANGULAR = (0.49, 1.07, 1.98)  # frequencies of the input
_EVERY = 20  # blocks from one evaluation to the next
_STUDENTS = {"gle": GLE, "am": AM}
_BINS = 30  # frequencies of the spectra
_EARLY = 120.0  # the time at which GLE has the weights of the second spectra, as in the figure of the paper
_MEAN_OF_ERRORS, _MEAN_OF_LOSS = 500, 100  # Euler steps


def restore(arrays, *, gamma, dt, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    The network is that of teacher, GLE student and AM student, three replicas. predict(x) takes an input over time (T,
    batch) of the host, and gives their outputs over time (..., 3, T, batch) from rest.
    """
    W = np.asarray(arrays["layers/0/W"])
    net = replicas(W[..., GLE, :, :], gamma, dt)
    net.layers[0].W[...] = xp.asarray(W)
    return net, lambda x: xp.asnumpy(dynamics.predict(net, xp.asarray(x)[..., None])[..., 0])


def _readable(*, boundary, small_weights, seeds, **_):
    return f"{boundary}{'-small' if small_weights else ''}-{seeds}"


# no length: as published, the steps of the input are a little longer than dt by what depends on how many there are
@runs.experiment("gle", draw=figures.OF_LAGNET, restore=restore, readable=_readable, seed=5, together=True)
def lagnet(
    run,
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
):
    """Compare GLE with the adjoint method on a net of instantaneous and retarded neurons (Ellenberger et al., Fig. 6).

    Two students of one teacher learn the two weights of their first layer, by GLE in every step and by the adjoint
    method over windows. The run folder, results/gle/lagnet-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5
    (every step, and spectra of the errors before learning, and with the weights that GLE has at t = 120) and figures.
    Seed 5 begins with the weights of the published run.

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
    """
    blocks.require_times(dt, t=t)
    require.number("learning_rate_gle", learning_rate_gle, above=0)
    require.number("learning_rate_am", learning_rate_am, above=0)
    require.number("momentum", momentum, least=0, most=1)
    require.number("gamma", gamma, least=0)
    require.counts(start_learning_step=start_learning_step, update_every=update_every)
    total = round(t / dt)
    if total < start_learning_step + update_every:
        raise PlasticError(
            f"t is {t}, {total} steps of dt={dt}; the students learn after start_learning_step={start_learning_step} "
            f"and update_every={update_every} more"
        )

    run.expect(len(run.seeds) * 21 * total, t=t, dt=dt)  # records, and what the adjoint method needs of the past
    x = inputs.sines(total, t, np.array(_ANGULAR) / (2 * np.pi))
    first = seeds.stacked([_first(small_weights, seed) for seed in run.seeds])
    rates = learning_rate_gle * dt, learning_rate_am, momentum
    students = Students(first, total, start_learning_step, update_every, dt, gamma, *rates, boundary == "textbook")
    records = Records(students, x)
    training.fit(
        run,
        students.tree | records.tree,
        Repeated(),
        lambda _, number: records.take(number),
        steps=blocks.count(total),
        evaluate=records.means,
        evaluate_every=_EVERY,
        checkpoint_every=10 * _EVERY,
        advice="try smaller learning rates or gamma",
    )
    arrays = records.arrays() | {"time": inputs.times(total, t)}
    early = arrays["w/gle"][..., min(round(_EARLY / dt), total - 1), :][..., None, :]
    still = Students(early, start_learning_step + 1, start_learning_step, update_every, dt, gamma, *rates)
    held = _without_learning(Records(still, x[: start_learning_step + 1]))
    arrays = _measured(arrays, start_learning_step, dt) | {
        f"early/{name}": each for name, each in _spectra(held, start_learning_step).items()
    }
    run.save_arrays(arrays)
    return _report(run)


class Records:
    """What is kept of every step of `Students`, whose input is x (steps,), a host array."""

    def __init__(self, students, x):
        self.students, self.x = students, x
        shapes = {"output": (3,), "e": (2,), "w_gle": (2,), "w_am": (2,)}
        self.kept, self._by_time = histories(students.am, len(x), shapes)
        self._span = slice(0, 1)  # since the last evaluation

    @property
    def tree(self):
        """All that changes."""
        return {"records": self.kept}

    def take(self, number):
        """Let the students take the steps of a block, number 1, 2, ..; return the sum of their outputs."""
        students, kept, steps = self.students, self._by_time, blocks.steps_of(number, len(self.x))
        for s in steps:
            kept["output"][s] = students.step(s, float(self.x[s]))[..., 0, 0]
            kept["e"][s] = students.state.e_ahead[..., GLE, 0, :2]
            kept["w_gle"][s], kept["w_am"][s] = (students.W[k][..., 0, :] for k in (GLE, AM))
        self._span = slice((number - 1) // _EVERY * _EVERY * blocks.BLOCK, steps.stop)
        return xp.sum(kept["output"][steps.start : steps.stop], axis=(0, -1))

    def means(self):
        """Return the loss of both students, means since the last evaluation, and the weights they learn."""
        metrics, output = {}, self.kept["output"][..., self._span, :]
        for name, student in _STUDENTS.items():
            d = output[..., 0] - output[..., student]
            metrics[f"loss_{name}"] = xp.mean(d * d, axis=-1)
            metrics |= {f"w{k}_{name}": self.students.W[student][..., 0, k].copy() for k in range(2)}
        return metrics

    def arrays(self):
        """Return the records of all steps: input, teacher, output, error e~ or lambda, and w of both students."""
        kept = {name: xp.asnumpy(array) for name, array in self.kept.items()}
        arrays = {"input": self.x, "teacher": kept["output"][..., 0]}
        arrays |= {f"output/{name}": kept["output"][..., student] for name, student in _STUDENTS.items()}
        arrays |= {"error/gle": kept["e"], "error/am": xp.asnumpy(self.students.kept["lam"][..., 0, :2])}
        return arrays | {f"w/{name}": kept[f"w_{name}"] for name in _STUDENTS}


def _without_learning(records):
    """Let students with the weights that they are given take their steps before learning; return the records."""
    for number in range(1, blocks.count(len(records.x)) + 1):
        records.take(number)
    return records.arrays()


def _measured(arrays, start, dt):
    """Return the records with what the figures show of them, all of it over time but for the spectra.

    mean_error: of e~ over 500 steps around each. loss/time, loss/<student>: means over 100 steps. spectrum/omega, and
    what `_spectra` gives of the `start` steps before learning.
    """
    errors = arrays["error/gle"].astype(float)
    found = {"mean_error": _running_mean(errors, min(_MEAN_OF_ERRORS, len(arrays["time"])))}
    found |= {"spectrum/omega": 2 * np.pi * np.fft.rfftfreq(start, dt)[:_BINS]}
    found |= {"loss/time": _means(arrays["time"])}
    for name in _STUDENTS:
        found[f"loss/{name}"] = _means((arrays[f"output/{name}"].astype(float) - arrays["teacher"]) ** 2)
    return arrays | found | _spectra(arrays, start)


def _spectra(arrays, start):
    """Return the spectra of the first `start` steps, (..., frequencies, 2) for the two neurons of the first layer.

    spectrum/<student>: amplitudes of e~ and lambda. spectrum/phase: of e~ against lambda. phase/<student>: of e~ and
    lambda against the error at the top, teacher - output.
    """
    found, waves = {}, {}
    for name in _STUDENTS:
        error = arrays[f"error/{name}"][..., :start, :].astype(float)
        top = arrays["teacher"][..., :start].astype(float) - arrays[f"output/{name}"][..., :start]
        waves[name] = np.fft.rfft(error, axis=-2)[..., :_BINS, :]
        found[f"spectrum/{name}"] = 2 / start * np.abs(waves[name])
        found[f"phase/{name}"] = np.angle(waves[name] * np.fft.rfft(top, axis=-1)[..., :_BINS, None].conj())
    return found | {"spectrum/phase": np.angle(waves["gle"] * waves["am"].conj())}


def _running_mean(array, width):
    """Return the means over `width` steps around each step of an array (..., steps, n), which is 0 beyond its ends."""
    kernel = np.ones(width) / width
    return np.apply_along_axis(np.convolve, -2, array, kernel, mode="same")


def _means(array):
    """Return the means of an array (..., steps) over as many steps at a time as a point of the loss has."""
    span = min(_MEAN_OF_LOSS, array.shape[-1])
    count = array.shape[-1] // span
    return array[..., : count * span].reshape(*array.shape[:-1], count, span).mean(axis=-1)


def _first(small_weights, seed):
    """Return the first weights (1, 2) of both students."""
    if small_weights:
        return np.array([_SMALL])
    if seed == _PUBLISHED_SEED:
        return np.array([_PUBLISHED])
    return uniform_fan_in(xp.generator(seed).init, (1, 2), 1)


def _report(run):
    lines = []
    for row in seeds.last_rows(run):
        for name in _STUDENTS:
            w = ", ".join(f"{row[f'w{k}_{name}']:.4f}" for k in range(2))
            loss = f"{row[f'loss_{name}']:.3g}"
            lines.append(f"seed {row['seed']}, {name}: loss {loss}, w {w}; the teacher has {TEACHER[0][0]}")
    return lines
