"""The convolutional network of predictive coding against numbers of the published code, channels first."""

import numpy as np
from numpy.testing import assert_allclose
from pc_schedules import when

from plastic import functions
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.pc import ConvolutionalNetwork, State, predict, repeated_bp, step

NAMES = ("Wc1", "Wc2", "W3", "b3", "W4", "b4")


def check(numbers):
    """Three batches with weights that move in every step (ppc), in the last (pclast), and by backpropagation (rbp)."""
    T, lr, batch = int(numbers["T"]), float(numbers["lr_w"]), int(numbers["batch"])
    assert len(numbers["X"][0]) == numbers["batch"]
    for regime in ("ppc", "pclast", "rbp"):
        network, maps = build(numbers)
        adam = Adam(lr, eps=1e-8 / batch, weight_decay=float(numbers["p_weight_decay"]) / batch)
        moments = adam.init(network.parameters)
        take, schedule = {"ppc": (step, "all"), "pclast": (step, "last"), "rbp": (repeated_bp, "all")}[regime]
        for k, (images, y) in enumerate(zip(numbers["X"], numbers["Y"], strict=True)):
            x = np.moveaxis(images, 1, -1).reshape(len(images), -1)
            state = State(network, x, y, gamma=float(numbers["lr_x"]), discount=float(numbers["x_lr_discount"]))
            seen, path = [], [[each.copy() for each in state.x_layers]]
            for t in range(T):
                grads, output = take(network, state, x)
                energies = [0.5 * np.sum(eps**2) for eps in state.eps_layers]
                seen.append((0.5 * np.sum((y - output) ** 2), energies, float(state.F)))
                path.append([each.copy() for each in state.x_layers])
                if t in when(schedule, T):
                    adam.step(network.parameters, grads, moments)
            if k == 0:
                compare_trace(numbers, regime, seen, path, maps, T)
            if k in (0, 2):
                compare_parameters(numbers, regime, network, maps, k + 1)
        x = np.moveaxis(numbers["X"][0], 1, -1).reshape(len(numbers["X"][0]), -1)
        close(predict(network, x), numbers[f"{regime}_out_end"])


def build(numbers):
    """Return the network, and the shapes of its maps."""
    _, channels, rows, columns = numbers["X"][0].shape
    kernels = [Affine(np.moveaxis(numbers[name], (0, 1), (3, 2)).copy()) for name in ("Wc1", "Wc2")]
    maps = [(rows, columns, channels)]
    for kernel in kernels:
        maps.append(((maps[-1][0] + 1) // 2, (maps[-1][1] + 1) // 2, kernel.W.shape[3]))
    W3 = numbers["W3"].reshape(-1, maps[2][2], *maps[2][:2])  # its inputs are flattened maps, channels first
    W3 = np.moveaxis(W3, 1, -1).reshape(len(W3), -1)
    dense = [
        Affine(W3.T.copy(), numbers["b3"][None].copy()),
        Affine(numbers["W4"].T.copy(), numbers["b4"][None].copy()),
    ]
    network = ConvolutionalNetwork(kernels + dense, functions.relu, shape=maps[0])
    assert network.sizes == (*(np.prod(each) for each in maps), len(numbers["W3"]), len(numbers["W4"]))
    return network, maps


def compare_trace(numbers, regime, seen, path, maps, T):
    """The first batch: losses, energies, and states after 0, 1 and T updates."""
    loss, energies, total = zip(*seen, strict=True)
    if regime == "rbp":
        close(loss, numbers["rbp_loss_t"])
        close(loss, numbers["rbp_overall_t"])
        assert numbers["rbp_E_t"].shape == (T, 0) and np.isnan(numbers["rbp_lrx_t"]).all()
        return
    close(loss, numbers[f"{regime}_loss_t"])
    close(energies, numbers[f"{regime}_E_t"])
    close(total, numbers[f"{regime}_overall_t"])
    rates = [float(numbers["lr_x"])]
    for t in range(1, T):  # the energy of a step counts for the rate of the next
        rates.append(rates[-1] * (1 if t < 2 or total[t - 1] < total[t - 2] else float(numbers["x_lr_discount"])))
    close(rates, numbers[f"{regime}_lrx_t"])
    for name, index in {"0": 0, "1": 1, "T": T}.items():
        for k, state in enumerate(path[index], 1):
            if k < len(maps):
                state = np.moveaxis(state.reshape(-1, *maps[k]), -1, 1)
            close(state, numbers[f"{regime}_x{k}_{name}"])


def compare_parameters(numbers, regime, network, maps, batches):
    """All parameters after so many batches."""
    first, second, third, fourth = network.layers
    W3 = np.moveaxis(third.W.T.reshape(-1, *maps[2]), -1, 1).reshape(len(third.W.T), -1)
    kernels = [np.moveaxis(layer.W, (3, 2), (0, 1)) for layer in (first, second)]
    found = (*kernels, W3, third.b[0], fourth.W.T, fourth.b[0])
    for name, array in zip(NAMES, found, strict=True):
        close(array, numbers[f"{regime}_{name}_it{batches}"])


def close(found, expected):
    assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-12)
