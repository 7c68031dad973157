"""Equilibrium propagation against numbers of the published code, in float64 (their format: README.md beside this file).

Every size, activation and constant comes from the files. There, layer 0 is the output, weights are (units, inputs) and
maps (batch, channels, rows, columns); `Reader` translates.
"""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import ep, functions, parameters, xp
from plastic.convolution import conv, pad
from plastic.ep import Comparison, Relaxation, bptt, distances, eqprop
from plastic.ep.curves import Distance, connections, sign_agreement
from plastic.ep.experiments.options import NetworkOptions
from plastic.optimizers import SGD
from plastic.parameters import Affine

GOLDEN = "ep_*.npz"
STATES, BPTT, EP = 1e-11, 1e-10, 1e-9


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    assert all(np.isfinite(array).all() for array in numbers.values() if array.dtype.kind == "f")
    xp.use(dtype="float64")
    check(numbers)


def check(numbers):
    """Run the checks of the kind of file that these numbers come from."""
    (check_training if "batch" in numbers else check_batch)(numbers)


def check_batch(numbers):
    """One batch: trajectories, updates of both rules, curves, agreement of signs, and one step of training."""
    reader = Reader(numbers)
    check_geometry(numbers, reader)
    check_states(numbers, reader)
    T, K, beta = (numbers[name].item() for name in ("T", "K", "beta"))
    found = {
        "ep": eqprop(reader.network, reader.x, reader.y, T=T, K=K, beta=beta),
        "bptt": bptt(reader.network, reader.x, reader.y, T=T, steps=numbers["bptt_steps"].item()),
    }
    assert numbers["bptt_steps"] == K + (numbers["model"] in ("energy", "prototypical"))
    check_updates(numbers, reader, found)
    signs = [
        sign_agreement(*(_cut(dict(parameters.leaves(found[rule][0]))[path]) for rule in ("bptt", "ep")))
        for _, path in connections(reader.network)
    ]
    assert_allclose(np.transpose(signs), [numbers["sign_agree_pct"], numbers["both_zero_pct"]], atol=1e-9)
    check_curves(numbers, reader)


def check_geometry(numbers, reader):
    """The sizes that the file names are those of its arrays and of the network."""
    shapes = [shape[-1] if len(shape) == 1 else shape for shape in reversed(reader.network.wiring.shapes)]
    if reader.model == "conv":
        N, pooled = reader.classifier, numbers["pool_map_sizes"]
        assert list(numbers["sizes"]) == shapes[:N]
        assert (
            shapes[N:] == [(z, z, C) for z, C in zip(pooled, numbers["channels"][:-1], strict=False)][: len(shapes) - N]
        )
        assert list(numbers["fc_sizes"]) == [*numbers["sizes"], pooled[0] ** 2 * numbers["channels"][0]]
        assert [c for c, _ in reversed(reader.network.wiring.map_sizes)] == [
            (c, c) for c in numbers["conv_map_sizes"][:-1]
        ]
        assert numbers["conv_map_sizes"][-1] == pooled[-1] == numbers["x_int"].shape[-1]
        assert {numbers[name].shape[-1] for name in numbers if name[:2] == "cW"} == {numbers["Fconv"].item()}
        assert numbers["channels"][-1] == 1
    else:
        assert list(numbers["sizes"]) == [*shapes, reader.x.shape[-1]]


def check_pooling(numbers, reader, star):
    """Windows with equal maxima, and the smallest gap between the largest and the next, in the maps at s*."""
    wiring = reader.network.wiring
    maps = [reader.x, *wiring.split(star)]
    for m in range(len(numbers["pool_exact_ties"])):
        number = len(wiring.convolutions) - 1 - m
        layer, F = wiring.convolutions[number], wiring.pooling
        c = conv(pad(maps[number], wiring.padding), layer.W) + layer.b
        rows = c.shape[1] // F * F
        windows = [c[:, p:rows:F, q:rows:F] for p in range(F) for q in range(F)]
        largest = np.sort(np.stack(windows), axis=0)
        gap = largest[-1] - largest[-2]
        assert np.sum(gap == 0) == numbers["pool_exact_ties"][m]
        assert_allclose(gap[gap > 0].min(), numbers["pool_min_nonzero_gap"][m], rtol=1e-6)


def check_states(numbers, reader):
    """The free trajectory from zero and the nudged one, with the loss, the residual and the switches at their ends."""
    w = Relaxation(reader.network, reader.x)
    for phase, steps, nudge in (
        ("free", int(numbers["T"]), {}),
        ("nudge", int(numbers["K"]), {"beta": float(numbers["beta"]), "y": reader.y}),
    ):
        times = _times(numbers, phase)
        for t in range(1, steps + 1):
            w.run(1, **nudge)
            if t in times:
                for layer, state in enumerate(reader.states(w.s)):
                    close(state, numbers[f"s_{phase}_t{t}_{layer}"], STATES)
        end = "star" if phase == "free" else "nudge"
        for layer, index in reader.pool_indices(w.switches).items():
            assert_array_equal(index, numbers[f"pool_index_{end}_{layer}"])
        if phase == "free":
            for layer, state in enumerate(reader.states(w.s)):
                close(state, numbers[f"s_star_{layer}"], STATES)
            loss = ((w.output - reader.y) ** 2).sum() / (2 * len(reader.y))
            assert_allclose(loss, numbers["loss_star"], rtol=STATES)
            star = w.s.copy()
            if reader.model == "conv":
                check_pooling(numbers, reader, star)
            w.run(1)
            residual = [np.abs(change).max() for change in reader.states(w.s - star)]
            assert_allclose(residual, numbers["fixed_point_residual"], rtol=1e-6, atol=1e-14)
            w.s[...] = star


def check_updates(numbers, reader, found):
    """Both updates, and the parameters after one step with them."""
    for rule, tolerance in (("ep", EP), ("bptt", BPTT)):
        grads, output = found[rule]
        signed = parameters.map(lambda grad: -grad, grads) if rule == "ep" else grads
        named = reader.named(signed)
        for name in _names(numbers, f"{rule}_", named):
            close(named[name], numbers[f"{rule}_{name}"], tolerance)
        if f"train_error_pct_{rule}" not in numbers:
            continue
        wrong = 100 * np.mean(output.argmax(axis=1) != reader.y.argmax(axis=1))
        assert_allclose(wrong, numbers[f"train_error_pct_{rule}"])
        after = reader.after_step(grads)
        for name in _names(numbers, f"after_{rule}_", named):
            close(after[name], numbers[f"after_{rule}_{name}"], EP)


def check_curves(numbers, reader):
    """nS, dS in full; NT and DT at some times and columns; the distances over all times and entries."""
    T, K, beta = (numbers[name].item() for name in ("T", "K", "beta"))
    comparison = Comparison(reader.network, reader.x, reader.y, T=T, K=K, beta=beta)
    assert_allclose(np.array(comparison.residual), numbers["fixed_point_residual"], rtol=1e-6, atol=1e-14)
    n, d = comparison.neurons()
    for layer in range(len(n)):
        close(_channels_first(n[layer]), numbers[f"nS_{layer}"], BPTT)
        close(_channels_first(d[layer]), numbers[f"dS_{layer}"], EP)
    statistics([distances(*pair) for pair in zip(n, d, strict=True)], numbers, "S")
    paths = [path for _, path in connections(reader.network)]
    distance, visited = [Distance() for _ in paths], []
    for t, trees in enumerate(comparison.synapses()):
        N, D = (dict(parameters.leaves(tree)) for tree in trees)
        for each, path in zip(distance, paths, strict=True):
            each.add(N[path], D[path])
        if t in numbers["t_curves"]:
            visited.append(t)
            place = int(np.flatnonzero(numbers["t_curves"] == t)[0])
            for curve, tree, tolerance in zip(("NT", "DT"), trees, (BPTT, EP), strict=True):
                named = reader.named(tree)
                for name in _names(numbers, f"{curve}_", named):
                    columns, expected = numbers.get(f"cols_{name}", slice(None)), numbers[f"{curve}_{name}"]
                    close(named[name][..., columns], expected[place], tolerance, scale=np.abs(expected).max())
    assert t == K - 1 and visited == list(numbers["t_curves"])
    statistics([each.value() for each in distance], numbers, "W")


def check_training(numbers):
    """Epochs in the given order by both rules from the same weights, with the errors and losses that are printed."""
    for rule in ("ep", "bptt"):
        reader = Reader(numbers)
        check_geometry(numbers, reader)
        size = int(numbers["batch"])
        test = len(numbers[f"final_{rule}_test_output"])
        last = len(reader.x) - test
        assert last % size == 0
        for epoch in range(len(numbers[f"train_error_pct_{rule}"])):
            wrong = loss = 0
            for start in range(0, last, size):
                x, y = (array[start : start + size] for array in (reader.x, reader.y))
                grads, output = reader.learn(rule, x, y)
                wrong += np.sum(output.argmax(axis=1) != y.argmax(axis=1))
                loss += np.sum((output - y) ** 2) / (2 * size)
                reader.step(grads)
            assert_allclose(100 * wrong / last, numbers[f"train_error_pct_{rule}"][epoch])
            assert_allclose(loss / last, numbers[f"printed_train_loss_{rule}"][epoch], atol=0.51e-4)
            output, y = reader.predict(reader.x[last:]), reader.y[last:]
            wrong = 100 * np.mean(output.argmax(axis=1) != y.argmax(axis=1))
            assert_allclose(wrong, numbers[f"test_error_pct_{rule}"][epoch])
            loss = np.sum((output - y) ** 2) / (2 * test)
            assert_allclose(loss, numbers[f"printed_test_loss_{rule}"][epoch], atol=0.51e-4)
        close(output, numbers[f"final_{rule}_test_output"], EP)
        named = reader.named(reader.network.parameters)
        for name in _names(numbers, f"final_{rule}_", named):
            close(named[name], numbers[f"final_{rule}_{name}"], EP)


class Reader:
    """The network, the batch and the constants of a file, and its names for what we compute."""

    def __init__(self, numbers):
        self.numbers, self.model = numbers, str(numbers["model"])
        self.y = numbers["y"].astype(float)
        self.T, self.K, self.beta = (numbers[name].item() for name in ("T", "K", "beta"))
        self.classifier = len(numbers["sizes"]) if self.model == "conv" else 0
        self.network = self._network(getattr(functions, str(numbers["activation"])), numbers["dt"].item())

    @functools.cached_property
    def x(self):
        if self.model == "toy":
            return self.numbers["x"].astype(float)
        pixels = self.numbers["x_int"] / float(self.numbers["x_scale"])
        return pixels[..., None] if self.model == "conv" else pixels.reshape(len(pixels), -1)

    def _network(self, activation, dt):
        clamp = bool(self.numbers["clamp"])
        if self.model == "conv":
            kernels, dense = ([self._affine(name) for name in names] for names in self._conv_names())
            padding, pooling = int(self.numbers["padding"]), int(self.numbers["Fpool"])
            wiring = ep.Convolutional(kernels, dense, self.x.shape[1], padding, pooling)
            return ep.PrototypicalNetwork(wiring, activation, dt)
        if self.model == "toy":
            wiring = ep.FullyConnected([self._affine("1x"), self._affine("01")], skip=self._affine("0x"))
            return ep.EnergyNetwork(wiring, activation, dt, clamp, consistent=True)
        wiring = ep.FullyConnected([self._affine(str(k)) for k in reversed(range(len(self.numbers["sizes"]) - 1))])
        if self.model == "energy":
            return ep.EnergyNetwork(wiring, activation, dt, clamp)
        return ep.PrototypicalNetwork(wiring, activation, dt)

    def _conv_names(self):
        maps = len(self.numbers["channels"]) - 1
        return [f"c{m}" for m in reversed(range(maps))], [f"fc{i}" for i in reversed(range(self.classifier))]

    def _affine(self, name):
        kind, number = name.rstrip("0123456789"), name.lstrip("fc")
        W, b = (
            self.numbers[f"{kind}{letter}{number}" if kind in ("c", "fc") else f"{letter}{name}"].astype(float)
            for letter in "Wb"
        )
        if kind == "c":
            return Affine(W.transpose(2, 3, 1, 0).copy(), b[None])
        W = W.T
        if kind == "fc" and int(number) == self.classifier - 1:
            W = self._flat(W, first="channels")
        return Affine(W.copy(), b[None])

    def _flat(self, W, first):
        """Reorder the inputs of the classifier, flattened with the channels first (as in the file) or last."""
        C, z = int(self.numbers["channels"][0]), int(self.numbers["pool_map_sizes"][0])
        order = np.arange(C * z * z).reshape(C, z, z).transpose(1, 2, 0).reshape(-1)
        return W[order if first == "channels" else np.argsort(order)]

    def named(self, tree):
        """Return a tree of parameters as {the file's name: array in the file's order}."""
        if self.model == "toy":
            dense = {"1x": tree["layers"][0], "01": tree["layers"][1], "0x": tree["skip"]}
        elif self.model == "conv":
            dense = {}
        else:
            dense = {str(len(tree["layers"]) - 1 - k): layer for k, layer in enumerate(tree["layers"])}
        named = {}
        for name, layer in dense.items():
            named |= {f"W{name}": layer.W.T, f"b{name}": layer.b[0]}
        for m, layer in enumerate(reversed(tree.get("convolutions", []))):
            named |= {f"cW{m}": layer.W.transpose(3, 2, 0, 1), f"cb{m}": layer.b[0]}
        for i, layer in enumerate(reversed(tree.get("classifier", []))):
            W = self._flat(layer.W, first="last") if i == self.classifier - 1 else layer.W
            named |= {f"fcW{i}": W.T, f"fcb{i}": layer.b[0]}
        return named

    def states(self, flat):
        """Return the layers of a flat state in the file's order."""
        return [_channels_first(layer) for layer in reversed(self.network.wiring.split(flat))]

    def pool_indices(self, switches):
        """Return {layer: row * columns + column of each maximum in the convolved map}."""
        indices = {}
        for m, switch in enumerate(reversed(switches)):
            F, width = self.network.wiring.pooling, self.network.wiring.map_sizes[len(switches) - 1 - m][0][0]
            rows, columns = np.indices(switch.shape[1:3])
            rows, columns = (place[None, :, :, None] * F for place in (rows, columns))
            index = (rows + switch // F) * width + columns + switch % F
            indices[self.classifier + m] = _channels_first(index)
        return indices

    def learn(self, rule, x, y):
        """Return (gradients, output) of a rule, as in training."""
        if rule == "ep":
            return eqprop(self.network, x, y, T=self.T, K=self.K, beta=self.beta)
        return bptt(self.network, x, y, T=self.T, steps=self.K + (self.model != "conv"))

    def step(self, grads):
        """Change the parameters by one step of gradient descent, with the rates of the file."""
        rates = tuple(float(rate) for rate in self.numbers["lr"])
        channels = self.numbers["channels"] if self.model == "conv" else ()
        options = NetworkOptions(size_tab=tuple(self.numbers["sizes"]), C_tab=tuple(channels))
        SGD(options.rates(rates)).step(self.network.parameters, grads, {})

    def after_step(self, grads):
        """Return the parameters by name after a step that is not kept."""
        before = self.network
        tree = parameters.copy(before.parameters)
        self.network = before.with_parameters(tree)
        self.step(grads)
        self.network = before
        return self.named(tree)

    def predict(self, x):
        return ep.predict(self.network, x, T=self.T)


def statistics(distance, numbers, kind):
    """Compare mean and standard deviation of the distance of each layer or connection."""
    for index, each in enumerate(distance):
        assert_allclose(each.mean(), numbers[f"rmse_{kind}_mean"][index], rtol=1e-7, atol=1e-12)
        assert_allclose(each.std(ddof=1), numbers[f"rmse_{kind}_std"][index], rtol=1e-7, atol=1e-12)
    assert len(distance) == len(numbers[f"rmse_{kind}_mean"])


def close(found, expected, tolerance, scale=None):
    """Compare to a tolerance relative to the largest entry, or to `scale` (of a curve: its largest over time)."""
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0, atol=tolerance * (np.abs(expected).max() if scale is None else scale))


def _cut(update):
    """Set to 0 what lies below the rounding of the products that the published code subtracts from each other."""
    return np.where(np.abs(update) < 1e-15 * np.abs(update).max(), 0.0, update)


def _channels_first(layer):
    return np.moveaxis(layer, -1, 1) if layer.ndim == 4 else layer


def _times(numbers, phase):
    return {int(name.split("_")[2][1:]) for name in numbers if name.startswith(f"s_{phase}_t")}


def _names(numbers, prefix, named):
    """Return the names of parameters of which the file has the number with this prefix: at least one."""
    names = [name for name in named if prefix + name in numbers]
    if not names:
        pytest.fail(f"the file has no {prefix}<parameter>")
    return names
