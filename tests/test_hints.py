"""Type hints from a user's side: scripts that use the public face are right under `mypy --strict`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BEGIN = """
from pathlib import Path
from typing import Any, Literal

import numpy as np

import plastic
from plastic import check, classifier, data, ep, eprop, gait, gle, optimizers, parameters, pc, training, xp
from plastic.data.sources import Batches
from plastic.functions import Activation, accuracy, one_hot
from plastic.parameters import Affine
from plastic.runs import NewRun, Run, Trained, experiment
from plastic.types import Array, Tree

generators = [np.random.default_rng(seed) for seed in range(2)]
x, y = np.ones((4, 6)), np.ones((4, 3))
"""
RULES = """
def rule(net: pc.Network, x: Array, y: Array) -> tuple[Tree, Array]:
    a = pc.activities(net, x)
    e: Array = a[-1] - y
    grads = [Affine(x.T @ e, e.sum(axis=0, keepdims=True))]
    slope: Array = net.phi[0].slope(a[0], net.phi[0].value(a[0]))
    return {"layers": grads, "slope": slope}, a[-1]


W: Array = pc.network((6, 5, 3), generators[0]).layers[0].W
cosines: dict[str, Array] = check.cosine(*(rule(pc.network((6, 3), generators[0]), x, y)[0] for _ in range(2)))
soft = Activation("soft", lambda v: xp.log1p(xp.exp(v)), lambda v, rho: 1 - xp.exp(-rho))
grads, output = ep.eqprop(ep.energy((6, 5, 3), generators, phi=soft), x, y, T=3, K=2, beta=0.1)
for name, function in ep.RULES.items():
    found: Array = function(ep.prototypical((6, 5, 3), generators), x, y, T=3)[1]
outputs: Array = pc.RULES["pc"](pc.network((6, 5, 3), generators, phi=["tanh"]), x, y, T=3, gamma=0.1)[1]
square: gait.InvertibleNetwork = gait.NETWORKS["square"]((6, 6), generators)
feedback: list[Array] = gait.fa_feedback(square, generators)
net = gle.network((6, 5, 3), generators, phi=[soft, "linear"], tau_m=[1.0, 2.0], tau_r=0.2, dt=0.1)
state = gle.State(net, 4)
grads, output = gle.step(net, state, x, state.output - y)
weights: Array = net.parameters.layers[0].W
cells = eprop.lstm((6, 5, 3), generators)
grads, output = eprop.RULES["online"](cells, x[None], y[None])
free = pc.FreeState(pc.network((6, 5, 3), generators), x, y, priors={0: pc.Laplace(0.1), 1: lambda z: (xp.sum(z), z)})
energy: Array = free.F
momenta: dict[str, Tree] = optimizers.SGD(0.1, momentum=0.9).init(net.parameters)
adam: optimizers.Adam = plastic.optimizers.Adam(0.1)
"""
RUNS = """
def restore(arrays: dict[str, Array], **_: Any) -> tuple[pc.Network, Any]:
    return pc.Network([Affine(xp.asarray(arrays["layers/0/W"]))], "tanh"), None


@experiment("mine", restore=restore, length="epochs")
def study(run: NewRun, *, kind: Literal["pc", "bp"] = "pc", epochs: int = 2) -> list[str]:
    samples = classifier.load("glyphs")
    net = pc.network((784, 10), [each.init for each in run.generators()])
    source = Batches(samples.train[0], one_hot(samples.train[1], samples.classes), 50)
    state = {"parameters": net.parameters}

    def step(batch: tuple[Array, Array], number: int) -> Array:
        return pc.RULES[kind](net, *batch)[1]

    def evaluate() -> dict[str, Array]:
        return classifier.means(lambda x, t: {"accuracy": accuracy(pc.predict(net, x), t)}, *samples.test)

    metrics: dict[str, Array] = training.fit(run, state, source, step, steps=epochs, evaluate=evaluate)
    return [str(metrics)]


folder: Path | None = study(kind="bp")
with Run.create(Path("results"), "mine", "rule", {"rate": 0.1}) as run:
    trained: Trained = plastic.load(run.folder)
column: list[float] = Run(Path("results")).metrics()["accuracy"]
images: tuple[Array, Array] = data.load(Path("mine.npz")).train
leaves: list[tuple[str, Array]] = parameters.leaves(trained.network)
"""


def told(script, folder):
    """What mypy says of a script of a user, who has plastic installed."""
    pytest.importorskip("mypy")
    path = folder / "script.py"
    path.write_text(script)
    words = ["-m", "mypy", "--strict", "--follow-imports=silent", "--ignore-missing-imports", path.name]
    variables = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], env=variables, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script", [RULES, RUNS], ids=["rules", "runs"])
def test_a_script_of_a_user_has_no_errors(script, tmp_path):
    assert told(BEGIN + script, tmp_path).startswith("Success")


@pytest.mark.slow
def test_a_wrong_script_has_errors(tmp_path):
    """What is passed in a wrong place is seen: the names are not `Any`."""
    wrong = ("ep.eqprop(3, x, y, T=3, K=2, beta=0.1)", "plastic.pc.network(6, generators)", "gait.fa_feedback(x, x)")
    first, said = BEGIN.count("\n") + 1, told(BEGIN + "\n".join(wrong), tmp_path)
    assert all(f"script.py:{first + place}: error: Argument 1 to" in said for place in range(len(wrong))), said
