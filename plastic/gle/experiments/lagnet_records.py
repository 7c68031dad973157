"""What is recorded of the students of the lag net, and what is measured of the records."""

import numpy as np

from plastic import parameters, xp
from plastic.gle.experiments import blocks
from plastic.gle.lagnet_students import AM, GLE, flat
from plastic.gle.state import histories

EVERY = 20  # blocks from one evaluation to the next
EARLY = 120.0
"""The time at which GLE has the weights of the second spectra, as in the figure of the paper; at most the duration."""
_BINS = 30  # frequencies of the spectra
_MEAN_OF_ERRORS, _MEAN_OF_LOSS = 500, 100  # Euler steps
STUDENTS = {"gle": GLE, "am": AM}


class Records:
    """What is kept of every step of `Students`, whose input is x (steps,) or (steps, seeds), a host array.

    few: whether they learn the two published weights alone, which are metrics then, and not their distance.
    """

    def __init__(self, students, x, few=True):
        self.students, self.x, self.few = students, x, few
        self._inputs = x.tolist() if x.ndim == 1 else xp.asarray(x)[..., None, None, None]
        self._leading, self.n = len(students.am.replicas), students.am.sizes[1]
        teacher = parameters.map(
            lambda array: array[..., 0, :, :], [students.network.layers[k] for k in students.layers]
        )
        self.goal = flat(teacher, self._leading)
        learned = self.goal.shape[-1:]
        shapes = {"output": (3,), "e": (self.n,), "w_gle": learned, "w_am": learned}
        self.kept, self._by_time = histories(students.am, len(x), shapes)
        self._span = slice(0, 0)  # since the last evaluation

    @property
    def tree(self):
        """All that changes."""
        return {"records": self.kept}

    def take(self, number):
        """Let the students take the steps of a block, number 1, 2, ..; return the sum of their outputs."""
        students, kept, steps = self.students, self._by_time, blocks.steps_of(number, len(self.x))
        for s in steps:
            kept["output"][s] = students.step(s, self._inputs[s])[..., 0, 0]
            kept["e"][s] = students.state.e_ahead[..., GLE, 0, : self.n]
            kept["w_gle"][s], kept["w_am"][s] = (self._vector(student) for student in (GLE, AM))
        self._span = slice((number - 1) // EVERY * EVERY * blocks.BLOCK, steps.stop)
        return xp.sum(kept["output"][steps.start : steps.stop], axis=(0, -1))

    def means(self):
        """Return the loss of both students, means since the last evaluation, not a number before the first step.

        And what they learn: two weights, or else its distance from the teacher.
        """
        metrics, output = {}, self.kept["output"][..., self._span, :]
        for name, student in STUDENTS.items():
            d = output[..., 0] - output[..., student]
            metrics[f"loss_{name}"] = xp.sum(d * d, axis=-1) / d.shape[-1]
            w = self._vector(student)
            if self.few:
                metrics |= {f"w{k}_{name}": w[..., k].copy() for k in range(2)}
            else:
                metrics[f"distance_{name}"] = xp.sqrt(xp.mean((w - self.goal) ** 2, axis=-1))
        return metrics

    def _vector(self, student):
        return flat(self.students.learned[student], self._leading)

    def arrays(self):
        """Return the records of all steps: input, teacher, output, error e~ or lambda, and w of both students.

        The errors are those of the neurons of the first layer; w/teacher (..., P) is what w is to become.
        """
        kept = {name: xp.asnumpy(array) for name, array in self.kept.items()}
        arrays = {"input": self.x.T, "w/teacher": xp.asnumpy(self.goal), "teacher": kept["output"][..., 0]}
        arrays |= {f"output/{name}": kept["output"][..., student] for name, student in STUDENTS.items()}
        arrays |= {"error/gle": kept["e"], "error/am": xp.asnumpy(self.students.kept["lam"][..., 0, : self.n])}
        return arrays | {f"w/{name}": kept[f"w_{name}"] for name in STUDENTS}


def without_learning(records):
    """Let students with the weights that they are given take their steps before learning; return the records."""
    for number in range(1, blocks.count(len(records.x)) + 1):
        records.take(number)
    return records.arrays()


def measured(arrays, start, dt):
    """Return the records with what the figures show of them, all of it over time but for the spectra.

    mean_error: of e~ over 500 steps around each. loss/time, loss/<student>: means over 100 steps. spectrum/omega, and
    what `spectra` gives of the `start` steps before learning.
    """
    errors = arrays["error/gle"].astype(float)
    found = {"mean_error": _running_mean(errors, min(_MEAN_OF_ERRORS, len(arrays["time"])))}
    found |= {"spectrum/omega": 2 * np.pi * np.fft.rfftfreq(start, dt)[:_BINS]}
    found |= {"loss/time": _means(arrays["time"])}
    for name in STUDENTS:
        found[f"loss/{name}"] = _means((arrays[f"output/{name}"].astype(float) - arrays["teacher"]) ** 2)
    return arrays | found | spectra(arrays, start)


def spectra(arrays, start):
    """Return the spectra of the first `start` steps, (..., frequencies, n) for the neurons of the first layer.

    spectrum/<student>: amplitudes of e~ and lambda. spectrum/phase: of e~ against lambda. phase/<student>: of e~ and
    lambda against the error at the top, teacher - output.
    """
    found, waves = {}, {}
    for name in STUDENTS:
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
