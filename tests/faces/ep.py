"""What the walk of tests/test_face.py is told of `plastic.ep`."""

import numpy as np
from faces.case import Case

from plastic import ep, parameters, xp


def _batch(n_in, n_out):
    def batch(rng, lead):
        return rng.random((*lead, 4, n_in)), np.eye(n_out)[rng.integers(0, n_out, (*lead, 4))]

    return batch


def _other_batch(net, x, y):
    return ep.Relaxation(net, xp.concatenate([x, x]))


def _other_network(net, x):
    return ep.Relaxation(ep.energy((x.shape[-1], 5, 3), np.random.default_rng(0)), x)


def _nudged(net, x, y):
    state = ep.Relaxation(net, x)
    state.run(5)
    return ep.step(net, state, y, beta=0.1)


MISUSE = {
    f"{rule}, {name} {value!r}": lambda net, x, y, rule=rule, right=right, name=name, value=value: ep.RULES[rule](
        net, x, y, **right | {name: value}
    )
    for rule, right, wrong in (
        (
            "eqprop",
            {"T": 6, "K": 3, "beta": 0.1},
            {
                "T": (0, -1, 6.0, True, None, "6", float("nan")),
                "K": (0, -1, 3.0, True, None, "3", [3]),
                "beta": (0, 0.0, float("nan"), float("inf"), True, None, "0.1", [0.1], 1j),
                "centered": ("no", None, 2),
                "tolerance": (-1e-3, float("nan"), float("inf"), None, True, "0", [0.0]),
                "solver": ("newton", "", None, 0, ["steps"]),
                "work": (0, [], "work"),
                "out": ([], {}, 0.0),
            },
        ),
        (
            "bptt",
            {"T": 6, "steps": 3},
            {
                "T": (0, -1, 6.0, True, None),
                "steps": (0, -1, 3.0, True, None, "3"),
                "tolerance": (-1e-3, float("nan"), float("inf"), None, True, "0", [0.0]),
                "solver": ("newton", "", None, 0, ["steps"]),
                "work": (0, [], "work"),
                "out": ([], {}, 0.0),
            },
        ),
    )
    for name, values in wrong.items()
    for value in values
} | {
    "predict, T 0": lambda net, x, y: ep.predict(net, x, T=0),
    "predict, T 2.5": lambda net, x, y: ep.predict(net, x, T=2.5),
    "predict, tolerance nan": lambda net, x, y: ep.predict(net, x, T=3, tolerance=float("nan")),
    "predict, tolerance an array": lambda net, x, y: ep.predict(net, x, T=3, tolerance=xp.zeros(4)),
    "predict, solver": lambda net, x, y: ep.predict(net, x, T=3, solver="newton"),
    "predict by no network": lambda net, x, y: ep.predict(net.parameters, x, T=3),
    "eqprop on no network": lambda net, x, y: ep.eqprop(net.wiring, x, y, T=3, K=2, beta=0.1),
    "bptt on no network": lambda net, x, y: ep.bptt(None, x, y, T=3, steps=2),
    "beta for each sample": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=xp.ones((4, 1))),
    "beta for each output": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=xp.ones(3)),
    "beta for replicas that are not": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=xp.ones((2, 1, 1))),
    "beta of whole numbers": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=xp.ones((1, 1), dtype="int64")),
    "beta of another precision": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=xp.ones((1, 1), "float32")),
    "replicas of x": lambda net, x, y: ep.bptt(net, xp.stack([x, x]), xp.stack([y, y]), T=3, steps=2),
    "replicas of y": lambda net, x, y: ep.eqprop(net, x, xp.stack([y, y]), T=3, K=2, beta=0.1),
    "work of another batch": lambda net, x, y: ep.bptt(net, x, y, T=3, steps=2, work=_other_batch(net, x, y)),
    "work of another network": lambda net, x, y: ep.bptt(net, x, y, T=3, steps=2, work=_other_network(net, x)),
    "out of other shapes": lambda net, x, y: ep.bptt(
        net, x, y, T=3, steps=2, out=parameters.map(lambda leaf: leaf[..., :1], net.parameters)
    ),
    "relaxation, x None": lambda net, x, y: ep.Relaxation(net, None),
    "relaxation of no network": lambda net, x, y: ep.Relaxation("net", x),
    "relaxation, steps -1": lambda net, x, y: ep.Relaxation(net, x).run(-1),
    "relaxation, steps 2.0": lambda net, x, y: ep.Relaxation(net, x).run(2.0),
    "relaxation, record 0": lambda net, x, y: ep.Relaxation(net, x).record(0),
    "relaxation, beta alone": lambda net, x, y: ep.Relaxation(net, x).run(2, beta=0.1),
    "relaxation, y alone": lambda net, x, y: ep.Relaxation(net, x).run(2, y=y),
    "relaxation, beta nan": lambda net, x, y: ep.Relaxation(net, x).run(2, beta=float("nan"), y=y),
    "relaxation, tolerance nan": lambda net, x, y: ep.Relaxation(net, x).run(2, tolerance=float("nan")),
    "relaxation, solver": lambda net, x, y: ep.Relaxation(net, x).run(2, solver="newton"),
    "relaxation, labels": lambda net, x, y: ep.Relaxation(net, x).record(2, beta=0.1, y=xp.argmax(y, axis=-1)),
    "relaxation, begin on another batch": lambda net, x, y: ep.Relaxation(net, x).begin(x[:2]),
    "step of another network": lambda net, x, y: ep.step(net, _other_network(net, x), y, beta=0.1),
    "step from no state": lambda net, x, y: ep.step(net, x, y, beta=0.1),
    "step, beta 0": lambda net, x, y: ep.step(net, ep.Relaxation(net, x), y, beta=0),
    "step, labels": lambda net, x, y: ep.step(net, ep.Relaxation(net, x), xp.argmax(y, axis=-1), beta=0.1),
    "step, out of another shape": lambda net, x, y: ep.step(net, ep.Relaxation(net, x), y, beta=0.1, out={}),
    "comparison, K above T": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=4, beta=0.1),
    "comparison, K 0": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=0, beta=0.1),
    "comparison, T 3.0": lambda net, x, y: ep.Comparison(net, x, y, T=3.0, K=2, beta=0.1),
    "comparison, beta 0": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=2, beta=0),
    "comparison, beta an array": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=2, beta=xp.ones((1, 1))),
    "comparison, tolerance -1": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=2, beta=0.1, tolerance=-1),
    "comparison, solver": lambda net, x, y: ep.Comparison(net, x, y, T=3, K=2, beta=0.1, solver="newton"),
    "comparison, labels": lambda net, x, y: ep.Comparison(net, x, xp.argmax(y, axis=-1), T=3, K=2, beta=0.1),
    "comparison, x wider": lambda net, x, y: ep.Comparison(net, xp.concatenate([x, x], -1), y, T=3, K=2, beta=0.1),
}


LAYERWISE = {
    "eqprop, layerwise": lambda net, x, y: ep.eqprop(net, x, y, T=3, K=2, beta=0.1, solver="layerwise"),
    "bptt, layerwise": lambda net, x, y: ep.bptt(net, x, y, T=3, steps=2, solver="layerwise"),
    "predict, layerwise": lambda net, x, y: ep.predict(net, x, T=3, solver="layerwise"),
}
"""What energy-based networks refuse."""


def _case(network, sizes, inputs, constants, wrong, refused=(), steps=None, **more):
    """A case whose constructor refuses, for each name in `wrong`, the values there; and what else is `refused`."""

    def make(name, value):
        return lambda net, x, y: ep.NETWORKS[network](
            *more.get("positional", ()), sizes, np.random.default_rng(0), **constants | {name: value}
        )

    return Case(
        ep,
        network,
        sizes,
        _batch(inputs, sizes[-1]),
        {"eqprop": {"T": 12, "K": 5, "beta": 0.1}, "bptt": {"T": 12, "steps": 5}},
        outputs=sizes[-1],
        constants=constants,
        predict={"T": 12},
        steps={"step": _nudged} if steps is None else steps,
        misuse=MISUSE
        | dict(refused)
        | {f"{name} {value!r}": make(name, value) for name, values in wrong.items() for value in values},
        **more,
    )


PHI = {"phi": ("tahn", None, 1, ["tanh", "tanh"])}
DT = {"dt": (0, -0.1, 1.5, float("nan"), None, True, "0.2", [0.2], np.array([0.2]))}
ANGLE = {"angle": (-1, 180.5, float("nan"), "tied", True, [90])}
CLAMP = {"clamp": ("no", None, 2)}
MAPS = {
    "size": (0, 5.0, None, (6,), (6, 0), (6, 6, 1), "66", 3),
    "F": (0, -1, 3.0, None, 9),
    "padding": (-1, 0.5, None),
    "pooling": (0, 2.0, None, 17, 5),
}

CASES = [
    _case("toy", (6, 5, 3), 6, {"phi": "tanh", "clamp": False}, PHI | DT | CLAMP, refused=LAYERWISE),
    _case(
        "energy",
        (6, 5, 4, 3),
        6,
        {"dt": 0.5},
        PHI | DT | CLAMP | ANGLE | {"consistent": ("no", None, 2)},
        refused=LAYERWISE,
    ),
    _case("prototypical", (6, 5, 3), 6, {"phi": "tanh"}, PHI | DT | ANGLE),
    _case("prototypical", (6, 5, 3), 6, {"phi": "tanh", "angle": 60.0}, {}),
    _case("prototypical", (6, 5, 4, 3), 6, {"loss": "cel"}, {"loss": ("ce", None, 1, ["mse"])}, steps={}),
    _case("energy", (6, 5, 4, 3), 6, {"loss": "cel", "dt": 0.5, "angle": 30.0}, {}, refused=LAYERWISE, steps={}),
    _case(
        "convolutional",
        (4, 3),
        36,
        {"size": 6, "F": 3, "padding": 1, "phi": "tanh"},
        PHI | MAPS,
        positional=((1, 2, 3),),
        replicas=False,
    ),
]
