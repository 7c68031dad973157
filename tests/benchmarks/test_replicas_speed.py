"""Ten seeds in one pass against ten runs in turn: one typical training step of each family, at a published size.

The runs in turn are ten networks of their own, each of which takes the same step; so no call is shared, and each finds
its arrays where its last step left them. In one pass replicas share the cost of calls, and all their arrays are in use.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import numpy as np
import pytest
import timing

from plastic import ep, eprop, gait, parameters, pc
from plastic.gle import lagline_student
from plastic.gle.experiments import mnist1d
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.networks import uniform_layers
from plastic.optimizers import SGD, Adam, Plateau

SEEDS = 10


def numbers(rng, lead, *shape):
    return rng.random((*lead, *shape), dtype=np.float32)


def one_hot(rng, lead, batch):
    return np.eye(10, dtype=np.float32)[rng.integers(10, size=(*lead, batch))]


def gait_step(rng, generators, lead, batch, rule="gait"):
    """784 wide, two hidden layers."""
    net, optimizer = gait.square((784,) * 4, generators), Adam.without_correction(1e-5)
    x, y, state = numbers(rng, lead, batch, 784), one_hot(rng, lead, batch), optimizer.init(net.parameters)
    grads = parameters.zeros_like(net.parameters)

    def step():
        gait.RULES[rule](net, x, y, out=grads)
        optimizer.step(net.parameters, grads, state)

    return step


def ep_step(rng, generators, lead, batch):
    """784-512-10, prototypical, T 40, K 15."""
    net, optimizer = ep.prototypical((784, 512, 10), generators), SGD(1e-4)
    x, y = numbers(rng, lead, batch, 784), one_hot(rng, lead, batch)
    work, out, state = ep.Relaxation(net, x), parameters.zeros_like(net.parameters), optimizer.init(net.parameters)

    def step():
        grads, _ = ep.eqprop(net, x, y, T=40, K=15, beta=0.1, work=work, out=out)
        optimizer.step(net.parameters, grads, state)

    return step


def eprop_step(rng, generators, lead, batch):
    """100 neurons, 40 inputs that spike at 20 Hz, 300 ms."""
    net, optimizer = eprop.lsnn((40, 100, 2), generators), Adam(1e-9)
    x = rng.random((*lead, 300, batch, 40)) < 0.02
    y, state = numbers(rng, lead, 300, batch, 2), optimizer.init(net.parameters)

    def step():
        grads, _ = eprop.eprop(net, x, y)
        optimizer.step(net.parameters, grads, state)

    return step


def pc_step(rng, generators, lead, batch):
    """784-64-64-10, 128 steps of inference."""
    net, optimizer = pc.network((784, 64, 64, 10), generators), Adam(1e-9)
    x, y, state = numbers(rng, lead, batch, 784), one_hot(rng, lead, batch), optimizer.init(net.parameters)

    def step():
        grads, _ = pc.pc(net, x, y, T=128)
        optimizer.step(net.parameters, grads, state)

    return step


def gle_steps(architecture):
    """36 Euler steps with an update each."""

    def make(rng, generators, lead, batch):
        drawn = uniform_layers(generators, mnist1d.sizes(architecture))
        net = mnist1d.network(architecture, drawn)
        learner = SequenceClassifier(net, None, Plateau(2, 0.5), 1e-3, batch, chunk=1000)
        x = rng.standard_normal((*lead, 36, batch, net.sizes[0]), dtype=np.float32)
        labels = rng.integers(10, size=(*lead, batch))
        return lambda: learner.learn(x, labels)

    return make


def lag_line_steps(rng, generators, lead, batch):
    """200 Euler steps of teacher and student, with an update each."""
    start = np.broadcast_to([0.4, 0.6, 0.5, 0.9], (*lead, 4))
    learner = lagline_student.Student(True, 0, start, 1, batch, 0.01, 0.01, 1e-4)
    x, begun = rng.standard_normal((200, *lead, batch, 1), dtype=np.float32), [0]

    def steps():
        for x_t in x:
            learner.step(begun[0], x_t)
            begun[0] += 1

    return steps


CASES = {
    "GAIT 784 x 4": (gait_step, 60),
    "EP P-1h": (ep_step, 20),
    "e-prop 40-100-2": (eprop_step, 16),
    "PC 784-64-64-10": (pc_step, 64),
    "GLE plastic_e2e": (gle_steps("plastic_e2e"), 100),
    "GLE plastic_e2e, small batch": (gle_steps("plastic_e2e"), 10),
    "GLE plastic_e2e_42k": (gle_steps("plastic_e2e_42k"), 100),
    "GLE static_lagnet": (gle_steps("static_lagnet"), 100),
    "GLE lag line": (lag_line_steps, 100),
}


@pytest.mark.parametrize("case", CASES)
def test_ten_seeds(benchmark, case):
    make, batch = CASES[case]
    rng = np.random.default_rng(0)
    generators = [np.random.default_rng(seed) for seed in range(SEEDS)]
    together = make(rng, generators, (SEEDS,), batch)
    alone = [make(rng, generator, (), batch) for generator in generators]

    def in_turn():
        for step in alone:
            step()

    name = f"{case}, batch {batch}, {SEEDS} seeds in one pass"
    timing.compare(benchmark, name, together, peers={"in turn": in_turn, "one": alone[0]}, rounds=7)


@pytest.mark.parametrize("seeds", [1, 10, 100])
def test_seeds_of_the_lag_line(benchmark, seeds):
    """What a step costs is that of its calls: time per seed."""
    lead = (seeds,) if seeds > 1 else ()
    steps = lag_line_steps(np.random.default_rng(0), None, lead, 100)
    found = timing.compare(benchmark, f"lag line, 200 steps, {seeds} seeds", steps)
    print(f"{found['ours'] / seeds:.3g} ms for each seed")
