"""A training step of each family on a device, ours beside PyTorch's for the same work, as one table in Markdown.

    PLASTIC_DEVICE=gpu python tests/benchmarks/gpu_table.py [--small]

On a GPU times are those between two CUDA events, after a warm-up; on a CPU they are CPU time. They are medians of
alternating calls. With --small the sizes are tiny, which proves that everything runs and says nothing of speed.
tests/gpu.sh runs it after the tests of the GPU. Nothing in a step that is timed crosses between host and device.
"""

import dataclasses
import functools
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import timing
import torch_twins

from plastic import ep, eprop, gait, gle, parameters, pc, runs, xp
from plastic.eprop import inputs, signals
from plastic.functions import softmax
from plastic.optimizers import SGD, Adam

ROUNDS, SECONDS = 15, 6.0  # at most so many calls of each, for so long
WARM_UP = 3


@dataclasses.dataclass
class Work:
    """A step of ours and its peer.

    net: the network. step: a step of ours, which returns its gradients. twin: device -> the same of PyTorch.
    """

    net: Any
    step: Callable[[], Any]
    twin: Callable[[str], Callable[[], Any]]


def _trained(net, optimizer, rule):
    """Return a function that makes a step: rule(out) writes the gradients into `out`, and returns them or nothing."""
    state, out = optimizer.init(net.parameters), parameters.zeros_like(net.parameters)

    def step():
        grads = rule(out)
        optimizer.step(net.parameters, grads, state)
        return grads

    return step


def _images(batch, *shape):
    """Return images and one-hot classes."""
    rng = np.random.default_rng(0)
    return xp.asarray(rng.random((batch, *shape))), xp.asarray(np.eye(10)[rng.integers(0, 10, batch)])


def of_gait(rule, small):
    """A rule on a square network of four hidden layers."""
    x, y = _images(*((7, 12) if small else (60, 784)))
    net = gait.square((x.shape[1],) * (4 if small else 6), np.random.default_rng(1))

    def gradients(out):
        return gait.RULES[rule](net, x, y, out=out)[0]

    step = _trained(net, Adam(1e-5, beta2=0.99), gradients)
    return Work(net, step, lambda device: torch_twins.gait(net, x, y, device, rule))


def of_ep(make, T, K, beta, small):
    """Equilibrium propagation with one-sided nudging on a batch of 20."""
    net = make(np.random.default_rng(1), small)
    convolutional = "convolutions" in net.parameters
    shape = net.wiring.input_shape if convolutional else (net.wiring.inputs,)
    x, y = _images(4 if small else 20, *shape)
    T, K = (6, 3) if small else (T, K)
    work = ep.Relaxation(net, x)

    def gradients(out):
        return ep.eqprop(net, x, y, T=T, K=K, beta=beta, work=work, out=out)[0]

    twin = torch_twins.ep_convolutional if convolutional else torch_twins.ep_dense
    return Work(net, _trained(net, SGD(1e-4), gradients), lambda device: twin(net, x, y, device, T, K, beta))


def of_pc(hidden, small):
    """Predictive coding on a batch of 64 with 128 steps of inference."""
    x, y = _images(*((5, 12) if small else (64, 784)))
    net = pc.network((x.shape[1], *((8, 8) if small else hidden), 10), np.random.default_rng(1))
    T = 9 if small else 128

    def gradients(out):
        return pc.pc(net, x, y, T=T, out=out)[0]

    return Work(net, _trained(net, SGD(1e-3), gradients), lambda device: torch_twins.pc(net, x, y, device, T))


def of_gle(small):
    """Generalized latent equilibrium as MNIST-1D is learned end to end: 36 Euler steps with 100 sequences."""
    lagged, equal, steps, batch = (4, 3, 8, 5) if small else (36, 17, 36, 100)
    tau_m = np.repeat([0.6, 1.2, 1.2], [lagged // 2, lagged // 2, equal])
    tau_r = np.repeat([0.2, 1.2], [lagged, equal])
    constants = {"tau_m": [tau_m] * 6 + [1.2], "tau_r": [tau_r] * 6 + [1.2], "dt": 0.2}
    phi = ["linear", *["tanh"] * 5, "linear"]
    net = gle.network((1, *[lagged + equal] * 6, 10), np.random.default_rng(1), phi=phi, **constants)
    x, y = xp.asarray(np.random.default_rng(0).standard_normal((steps, batch, 1))), _images(batch, 1)[1]
    state = gle.State(net, batch)
    adam, grads = Adam(1e-3), parameters.zeros_like(net.parameters)
    moments = adam.init(net.parameters)

    def step():
        for t in range(steps):
            gle.step(net, state, x[t], softmax(state.output) - y, out=grads)
            adam.step(net.parameters, grads, moments)
        return grads

    return Work(net, step, lambda device: torch_twins.gle(net, x, y, device))


def of_eprop(small):
    """e-prop on a batch of evidence accumulation: simulation, sweep back in time, Adam."""
    batch, n, window = (2, 8, 20) if small else (64, 100, 150)
    trials = inputs.evidence(np.random.default_rng(0), batch)
    x, labels = xp.asarray(trials.x[: 60 if small else None]), xp.asarray(trials.labels)
    net = eprop.lsnn((x.shape[-1], n, 2), np.random.default_rng(1))
    constants = {"window": window, "target": 0.01, "strength": 1.0}
    loss = functools.partial(signals.classification, window=window)
    rates = functools.partial(signals.rate_penalty, target=0.01, strength=1.0)

    def gradients(_):
        return eprop.eprop(net, x, labels, loss=loss, regulariser=rates)[0]

    step = _trained(net, Adam(0.005), gradients)
    return Work(net, step, lambda device: torch_twins.eprop(net, x, labels, device, **constants))


def _p_1h(generator, small):
    return ep.prototypical((12, 8, 10) if small else (784, 512, 10), generator)


def _eb_2h(generator, small):
    return ep.energy((12, 8, 9, 10) if small else (784, 512, 512, 10), generator)


def _p_conv(generator, small):
    channels = (1, 3, 4) if small else (1, 32, 64)
    return ep.convolutional(channels, (10,), generator, size=16 if small else 28, phi="hardsigm")


CASES: dict[str, Callable[[bool], Work]] = {
    "gait, BP, 784 x 4, batch 60": functools.partial(of_gait, "bp"),
    "gait, TP": functools.partial(of_gait, "tp"),
    "gait, GAIT-prop": functools.partial(of_gait, "gait"),
    "ep, P-1h, T 40, K 15, batch 20": functools.partial(of_ep, _p_1h, 40, 15, 0.1),
    "ep, EB-2h, T 400, K 40": functools.partial(of_ep, _eb_2h, 400, 40, 0.5),
    "ep, P-conv, T 200, K 10": functools.partial(of_ep, _p_conv, 200, 10, 0.4),
    "pc, 784-64-64-10, T 128, batch 64": functools.partial(of_pc, (64, 64)),
    "pc, 784-256x3-10": functools.partial(of_pc, (256, 256, 256)),
    "gle, MNIST-1D end to end, 36 steps, batch 100": of_gle,
    "eprop, evidence, T 2250, batch 64": of_eprop,
}


def torch_device():
    """Return the device of PyTorch that is ours, or None where PyTorch is absent or cannot use it."""
    torch = torch_twins.torch
    if torch is None:
        return None
    if xp.backend() != "cupy":
        return "cpu"
    if not torch.cuda.is_available():
        return None
    torch.backends.cudnn.allow_tf32 = False  # ours computes in float32 throughout
    return f"cuda:{xp.cuda.Device().id}"


def twin_of(work, device):
    """Return a list of the twin, which has made its first steps, or of nothing; why it fails is on stderr."""
    if device is None:
        return []
    try:
        twin = work.twin(device)
        for _ in range(WARM_UP):
            twin()
    except Exception:
        traceback.print_exc()
        return []
    return [twin]


def measure(work, device, rounds):
    """Return the median times in ms of ours and of PyTorch, if that is there, alternating after a warm-up."""
    functions = [*twin_of(work, device), work.step]
    for _ in range(WARM_UP):
        work.step()
    xp.synchronize()
    times, start = [[] for _ in functions], time.monotonic()
    for _ in range(rounds):
        for kept, function in zip(times, functions, strict=True):
            kept.append(timing.milliseconds(function))
        if time.monotonic() - start > SECONDS:
            break
    return [statistics.median(each) for each in times][::-1]


def table(small):
    """Yield the lines of the table; a step that fails has the error in its place, and the traceback on stderr."""
    device, sizes = torch_device(), ", tiny sizes" if small else ""
    peer = f"PyTorch {torch_twins.torch.__version__}" if device else "PyTorch, which is not there,"
    yield f"| training step on {timing.where()}{sizes} | ours (ms) | {peer} (ms) | its time / ours |"
    yield "|---|---|---|---|"
    for name, make in CASES.items():
        try:
            ours, *theirs = measure(make(small), device, 1 if small else ROUNDS)
        except Exception as error:
            traceback.print_exc()
            yield f"| {name} | failed: {type(error).__name__} | | |"
            continue
        cells = [f"{theirs[0]:.3g}", f"{theirs[0] / ours:.2f}"] if theirs else ["failed" if device else "", ""]
        yield f"| {name} | {ours:.3g} | {' | '.join(cells)} |"


def main(words):
    """Print the table; return 1 if a step has failed, ours or PyTorch's."""
    if words not in ([], ["--small"]):
        print("usage: gpu_table.py [--small]", file=sys.stderr)
        return 2
    failed = False
    with runs.environment(os.environ.get("PLASTIC_DEVICE") or "gpu"):
        for line in table(bool(words)):
            failed |= "| failed" in line
            print(line, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
