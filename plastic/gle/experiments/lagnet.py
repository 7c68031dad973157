"""The lag net (Ellenberger et al. 2024, Fig. 6): GLE beside the adjoint method."""

import itertools
from typing import Literal

import numpy as np

from plastic import parameters, require, runs, training, xp
from plastic.data.sources import Repeated
from plastic.errors import PlasticError
from plastic.gle import dynamics, inputs
from plastic.gle.experiments import blocks, figures, seeds
from plastic.gle.lagnet_students import AM, GLE, TEACHER, Students, flat, of_vector, published, replicas
from plastic.gle.state import histories
from plastic.initializers import uniform_fan_in
from plastic.parameters import Affine

_WIDTHS = (2, 2)
_PUBLISHED_SEED, _PUBLISHED, _SMALL = 5, (0.6605, -0.7478), (-0.07, 1.0)
"""The seed of the published run, and the weights it begins with; those of the figure in the paper."""
_ANGULAR = (0.49, 1.07, 1.98)  # frequencies of the input
_EVERY = 20  # blocks from one evaluation to the next
_STUDENTS = {"gle": GLE, "am": AM}
_BINS = 30  # frequencies of the spectra
_EARLY = 120.0  # the time at which GLE has the weights of the second spectra, as in the figure of the paper
_MEAN_OF_ERRORS, _MEAN_OF_LOSS = 500, 100  # Euler steps


def restore(arrays, *, gamma, dt, activation, **_):
    """Return (network, predict) from the arrays of a checkpoint; see `plastic.load`.

    The network is that of teacher, GLE student and AM student, three replicas. predict(x) takes an input over time (T,
    batch) of the host, and gives their outputs over time (..., 3, T, batch) from rest.
    """
    count = sum(path.startswith("layers/") and path.endswith("/W") for path in arrays)
    layers = [Affine(*(arrays.get(f"layers/{k}/{name}") for name in ("W", "b"))) for k in range(count)]
    teacher, student = (parameters.map(lambda array: np.asarray(array)[..., k, :, :], layers) for k in (0, GLE))  # noqa: B023
    net = replicas(teacher, student, gamma, dt, activation)
    for mine, kept in parameters.pairs(net.layers, layers):
        mine[...] = xp.asarray(kept)
    return net, lambda x: xp.asnumpy(dynamics.predict(net, xp.asarray(x)[..., None])[..., 0])


def _readable(*, boundary, small_weights, input, widths, seeds, **_):
    apart = ["small"] * small_weights + [input] * (input != "sines")
    apart += ["x".join(map(str, widths))] * (widths != _WIDTHS)
    return "-".join([boundary, *apart, seeds])


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
    input: Literal["sines", "ou", "steps"] = "sines",
    widths: tuple[int, ...] = _WIDTHS,
    activation: Literal["tanh", "sigmoid", "softplus"] = "tanh",
    bias: bool = False,
    learned: tuple[int, ...] = (1,),
    dt: float = 0.01,
):
    """Compare GLE with the adjoint method on a net of instantaneous and retarded neurons (Ellenberger et al., Fig. 6).

    Two students of one teacher learn the two weights of their first layer, by GLE in every step and by the adjoint
    method over windows. The published teacher has two hidden layers of two neurons and the weights (-0.5, 1), diag(0.5,
    1), (0.5, 1); one of other widths draws its weights, and its biases, from the seed. Where the students learn more
    than these two weights, metrics.csv has, in their place, the root mean squared distance of what they learn from the
    teacher. The run folder, results/gle/lagnet-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5
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
        input: sines, of angular frequencies 0.49, 1.07 and 1.98; ou, an Ornstein-Uhlenbeck process of time constant 1
            and standard deviation 0.5, drawn from the seed; or steps, pulses of length 2.
        widths: neurons of the hidden layers, at least two each: the first half instantaneous, the others retarded.
        activation: of the hidden neurons.
        bias: whether neurons have biases, which are learned with the weights of their layer.
        learned: the layers that the students learn, 1 being the first; the others are frozen, and are the teacher's.
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

    _require_net(widths, small_weights, learned)

    sizes = (1, *widths, 1)
    of_a_step = 4 + widths[0] + 3 * sum(sizes[1:])  # records, and what the adjoint method needs of the past
    of_a_step += 2 * sum((sizes[k - 1] + bias) * sizes[k] for k in learned)
    run.expect(len(run.seeds) * of_a_step * total, t=t, dt=dt, widths=widths)
    generators = run.generators()
    teacher, first = seeds.stacked(
        [_nets(sizes, bias, learned, small_weights, *each) for each in zip(run.seeds, generators, strict=True)]
    )
    x = _input(input, total, t, dt, generators)
    rates = learning_rate_gle * dt, learning_rate_am, momentum
    kind = {"teacher": teacher, "phi": activation, "layers": [k - 1 for k in learned]}
    lengths = start_learning_step, update_every, dt
    students = Students(first, total, *lengths, gamma, *rates, boundary == "textbook", **kind)
    few = widths == _WIDTHS and learned == (1,) and not bias
    records = Records(students, x, few)
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
    early, then = list(first), arrays["w/gle"][..., min(round(_EARLY / dt), total - 1), :]
    for k, layer in zip(learned, of_vector(then, [first[k - 1] for k in learned]), strict=True):
        early[k - 1] = layer
    still = Students(early, start_learning_step + 1, *lengths, gamma, *rates, **kind)
    held = _without_learning(Records(still, x[: start_learning_step + 1]))
    arrays = _measured(arrays, start_learning_step, dt) | {
        f"early/{name}": each for name, each in _spectra(held, start_learning_step).items()
    }
    run.save_arrays(arrays)
    return _report(run)


class Records:
    """What is kept of every step of `Students`, whose input is x (steps,) or (steps, seeds), a host array.

    few: whether they learn the two published weights alone, which are metrics then, and not their distance.
    """

    def __init__(self, students, x, few=True):
        self.students, self.x, self.few = students, x, few
        self._inputs = x.tolist() if x.ndim == 1 else xp.asarray(x)[..., None, None, None]
        self._leading, self.n = len(students.am.lead), students.am.sizes[1]
        teacher = parameters.map(
            lambda array: array[..., 0, :, :], [students.network.layers[k] for k in students.layers]
        )
        self.goal = flat(teacher, self._leading)
        learned = self.goal.shape[-1:]
        shapes = {"output": (3,), "e": (self.n,), "w_gle": learned, "w_am": learned}
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
            kept["output"][s] = students.step(s, self._inputs[s])[..., 0, 0]
            kept["e"][s] = students.state.e_ahead[..., GLE, 0, : self.n]
            kept["w_gle"][s], kept["w_am"][s] = (self._vector(student) for student in (GLE, AM))
        self._span = slice((number - 1) // _EVERY * _EVERY * blocks.BLOCK, steps.stop)
        return xp.sum(kept["output"][steps.start : steps.stop], axis=(0, -1))

    def means(self):
        """Return the loss of both students, means since the last evaluation, and what they learn.

        That is two weights, or else its distance from the teacher.
        """
        metrics, output = {}, self.kept["output"][..., self._span, :]
        for name, student in _STUDENTS.items():
            d = output[..., 0] - output[..., student]
            metrics[f"loss_{name}"] = xp.mean(d * d, axis=-1)
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
        arrays |= {f"output/{name}": kept["output"][..., student] for name, student in _STUDENTS.items()}
        arrays |= {"error/gle": kept["e"], "error/am": xp.asnumpy(self.students.kept["lam"][..., 0, : self.n])}
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
    """Return the spectra of the first `start` steps, (..., frequencies, n) for the neurons of the first layer.

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


def _require_net(widths, small_weights, learned):
    """Require widths of layers with both kinds of neurons, and numbers of layers that are there."""
    require.sizes(widths, least=1, name="widths")
    if min(widths) < 2:
        raise PlasticError(f"widths are {widths}; a layer has an instantaneous and a retarded neuron at least")
    if small_weights and widths != _WIDTHS:
        raise PlasticError(f"small_weights are those of the published widths {_WIDTHS}; leave them out")
    if not learned or len(set(learned)) < len(learned) or not set(learned) <= set(range(1, len(widths) + 2)):
        raise PlasticError(f"learned is {learned}; it must be different numbers of layers from 1 to {len(widths) + 1}")


def _nets(sizes, bias, learned, small_weights, seed, generators):
    """Return (teacher, student at first) as lists of layers; see `lagnet`."""
    teacher = (
        [Affine(layer.W.copy()) for layer in TEACHER] if sizes == (1, *_WIDTHS, 1) else _drawn(sizes, generators.task)
    )
    if bias:
        for layer, drawn in zip(teacher, _drawn(sizes, generators.task, bias=True), strict=True):
            layer.b = drawn.b
    student = _drawn(sizes, generators.init, bias)
    if sizes == (1, *_WIDTHS, 1) and (small_weights or seed == _PUBLISHED_SEED):
        student[0].W = published([_SMALL if small_weights else _PUBLISHED])[0].W
    return teacher, [
        mine if k in learned else known for k, (mine, known) in enumerate(zip(student, teacher, strict=True), 1)
    ]


def _drawn(sizes, generator, bias=False):
    """Return layers, drawn as usual: first all weights, then all biases."""
    shapes = list(itertools.pairwise(sizes))
    layers = [Affine(uniform_fan_in(generator, shape, shape[0])) for shape in shapes]
    for layer, (n_in, n) in zip(layers, shapes, strict=True):
        layer.b = uniform_fan_in(generator, (1, n), n_in) if bias else None
    return layers


def _input(kind, total, t, dt, generators):
    """Return the input, (steps,), or (steps, seeds) where several seeds draw it."""
    if kind == "ou":
        return seeds.stacked([inputs.ornstein_uhlenbeck(each.data, total, dt)[:, 0] for each in generators]).T
    if kind == "steps":
        return inputs.step_function(total, dt, [0])[:, 0]
    return inputs.sines(total, t, np.array(_ANGULAR) / (2 * np.pi))


def _report(run):
    lines = []
    for row in seeds.last_rows(run):
        for name in _STUDENTS:
            learned = f"distance from the teacher {row.get(f'distance_{name}', 0):.3g}"
            if f"w0_{name}" in row:
                w = ", ".join(f"{row[f'w{k}_{name}']:.4f}" for k in range(2))
                learned = f"w {w}; the teacher has {TEACHER[0].W[0].tolist()}"
            lines.append(f"seed {row['seed']}, {name}: loss {row[f'loss_{name}']:.3g}, {learned}")
    return lines
