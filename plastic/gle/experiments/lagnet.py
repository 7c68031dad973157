"""The lag net (Ellenberger et al. 2024, Fig. 6): GLE beside the adjoint method."""

import itertools
from typing import Literal

import numpy as np

from plastic import parameters, require, runs, training, xp
from plastic.data.sources import Repeated
from plastic.errors import PlasticError
from plastic.gle import dynamics, inputs
from plastic.gle.experiments import blocks, figures, seeds
from plastic.gle.experiments.lagnet_records import (
    EARLY,
    EVERY,
    STUDENTS,
    Records,
    measured,
    spectra,
    without_learning,
)
from plastic.gle.lagnet_students import GLE, TEACHER, Students, of_vector, published, replicas
from plastic.initializers import uniform_fan_in
from plastic.parameters import Affine

_WIDTHS = (2, 2)
_PUBLISHED_SEED, _PUBLISHED, _SMALL = 5, (0.6605, -0.7478), (-0.07, 1.0)
"""The seed of the published run, and the weights it begins with; those of the figure in the paper."""
_ANGULAR = (0.49, 1.07, 1.98)  # frequencies of the input


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
    (every step, and spectra of the errors before learning, and with the weights that GLE has at t = 120, or at the end
    of a shorter run) and figures. Seed 5 begins with the weights of the published run.

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
    require.number("momentum", momentum, least=0, below=1)
    require.number("gamma", gamma, least=0)
    _require_time_to_learn(t, dt, start_learning_step, update_every)
    _require_net(widths, small_weights, learned)
    run.require_used(small_weights=1 not in learned and "1, the first layer, among --learned")
    total, sizes = round(t / dt), (1, *widths, 1)
    run.expect(len(run.seeds) * _entries(sizes, bias, learned) * total, t=t, widths=widths)

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
        evaluate_every=EVERY,
        checkpoint_every=10 * EVERY,
        advice="try smaller learning rates or gamma",
    )
    arrays = measured(records.arrays() | {"time": inputs.times(total, t)}, start_learning_step, dt)
    early, then = list(first), arrays["w/gle"][..., min(round(EARLY / dt), total - 1), :]
    for k, layer in zip(learned, of_vector(then, [first[k - 1] for k in learned]), strict=True):
        early[k - 1] = layer
    still = Students(early, start_learning_step + 1, *lengths, gamma, *rates, **kind)
    held = without_learning(Records(still, x[: start_learning_step + 1]))
    run.save_arrays(arrays | {f"early/{name}": each for name, each in spectra(held, start_learning_step).items()})
    return _report(run)


def _require_time_to_learn(t, dt, start_learning_step, update_every):
    require.counts(start_learning_step=start_learning_step, update_every=update_every)
    total = round(t / dt)
    if total <= start_learning_step + update_every:  # the latest step of the first update of the adjoint method
        raise PlasticError(
            f"t is {t}, {total} steps of dt={dt}; the students learn after start_learning_step={start_learning_step} "
            f"and update_every={update_every} more"
        )


def _entries(sizes, bias, learned):
    """Return how many numbers are kept of a step: records, and what the adjoint method needs of the past."""
    weights = sum((sizes[k - 1] + bias) * sizes[k] for k in learned)
    return 4 + sizes[1] + 3 * sum(sizes[1:]) + 2 * weights


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
        for name in STUDENTS:
            learned = f"distance from the teacher {row.get(f'distance_{name}', 0):.3g}"
            if f"w0_{name}" in row:
                w = ", ".join(f"{row[f'w{k}_{name}']:.4f}" for k in range(2))
                learned = f"w {w}; the teacher has {TEACHER[0].W[0].tolist()}"
            lines.append(f"seed {row['seed']}, {name}: loss {row[f'loss_{name}']:.3g}, {learned}")
    return lines
