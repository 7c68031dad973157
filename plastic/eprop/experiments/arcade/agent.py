"""The network of the published code for games: drawn weights, and what it loses and learns in an unroll."""

import dataclasses

import numpy as np

from plastic import parameters, xp
from plastic.eprop import bidirectional, convolutional, rewards, signals
from plastic.eprop.convolutional import ConvolutionalNetwork, Maps
from plastic.eprop.experiments.arcade.screens import SIZE
from plastic.eprop.spiking import decay
from plastic.parameters import Affine

RATE = 0.02  # spikes per ms that the regulariser of rates has as its goal


def drawn(generator, sizes, n_out):
    """Return the tree of weights, N(0, 1) / sqrt(inputs) each, biases 0; `network` makes a network of it."""
    n, (cells_see, averages) = sizes.n_rec, _seen(sizes)

    def normal(*shape):
        return xp.asarray(generator.standard_normal(shape) / np.sqrt(np.prod(shape[:-1])), dtype=xp.float_dtype)

    F1, F2 = sizes.n_kernel_1, sizes.n_kernel_2
    kernels = [normal(F1, F1, 1, sizes.n_filters_1), normal(F2, F2, sizes.n_filters_1, sizes.n_filters_2)]
    cells = {"W_in": normal(cells_see, n), "W_rec": normal(n, n)}
    readout = Affine(normal(n + averages, n_out), xp.zeros((1, n_out), dtype=xp.float_dtype))
    return {"kernels": kernels, "cells": cells, "readout": readout}


def network(tree, sizes):
    """Return the `ConvolutionalNetwork` of a tree of weights."""
    first = Maps(tree["kernels"][0], sizes.stride_1, sizes.avg_pool_1, sizes.avg_pool_stride_1)
    second = Maps(tree["kernels"][1], sizes.stride_2, sizes.avg_pool_2, sizes.avg_pool_stride_2)
    cells = bidirectional.cells(sizes.cells(), **tree["cells"])
    steps, kappa = sizes.n_rnn_step_factor, decay(sizes.tau_readout)
    return ConvolutionalNetwork([first, second], sizes.maps(), cells, tree["readout"], SIZE, steps, kappa)


def entries(sizes, play, n_out):
    """Return how many numbers weights, gradients, moments and the records of an unroll are, at least."""
    n, (cells_see, averages) = sizes.n_rec, _seen(sizes)
    weights = (cells_see + n) * n + (n + averages) * n_out
    units = sum(int(np.prod(shape)) for shape in _maps(sizes)) + 4 * n
    return 5 * weights + units * play.parallel_episodes * play.unroll_length * sizes.n_rnn_step_factor


def _maps(sizes):
    found, size = [], SIZE[0]
    for k in (1, 2):
        size = (size - getattr(sizes, f"n_kernel_{k}")) // getattr(sizes, f"stride_{k}") + 1
        found.append((size, size, getattr(sizes, f"n_filters_{k}")))
    return found


def _seen(sizes):
    """Return how many spikes the cells see, and how many averages of maps the readout does."""
    shapes, averages = _maps(sizes), 0
    for k, (size, _, channels) in enumerate(shapes, 1):
        windows = (size - getattr(sizes, f"avg_pool_{k}")) // getattr(sizes, f"avg_pool_stride_{k}") + 1
        averages += windows * windows * channels
    return int(np.prod(shapes[-1])), averages if sizes.avg_ba_cnn else 0


@dataclasses.dataclass(frozen=True)
class Unroll:
    """What a group of episodes has seen, done and got in S actions.

    record: of the network. actions, rewards, done: (S, batch). counted: (S, batch), how much each action counts in the
    loss. last: the value of what was seen after the last action (batch,).
    """

    record: object
    actions: np.ndarray
    rewards: np.ndarray
    done: np.ndarray
    counted: np.ndarray
    last: np.ndarray


def counted(done, ended, published):
    """Return how much each action of an unroll counts (S, batch): 1 until an episode's end, and 0 after it.

    done: (S, batch), whether an episode ended with the action. ended: (batch,), whether it had ended before the unroll.
    With `published`, the action that ends it counts 0 too, and those after a second end -1, as in the published code.
    """
    ends = np.cumsum(done, axis=0)
    if published:
        return (1 - ends) * (1 - ended)
    return (ends - done == 0) * (1.0 - ended)


def learned(net, unrolls, learning, work):
    """Return the gradients of unrolls of all groups, summed, and what is to be told of them.

    The loss is a sum over actions and episodes; the penalties are of each unroll, over the mean of all its episodes.
    """
    batch = sum(each.actions.shape[1] for each in unrolls)
    z = [each.record.cells.z for each in unrolls]
    steps = min(len(each) for each in z)
    penalty, R = signals.rate_penalty(xp.concatenate([each[:steps] for each in z], axis=-2), RATE, learning.rate_cost)
    rule = convolutional.eprop if learning.use_eprop else convolutional.bptt
    total, told = None, {"loss": 0.0, "rate_penalty": penalty, "voltage_penalty": 0.0, "rate_mean": 0.0}
    for each in unrolls:
        share = each.actions.shape[1] / batch
        loss, err, of_maps = errors(net, each.record.output, each, learning)
        voltage, potentials = convolutional.potentials_penalty(
            net, each.record, share * learning.voltage_cost_rnn, share * learning.voltage_cost_cnn
        )
        grads = rule(net, each.record, err, R, of_maps=of_maps, potentials=potentials, work=work)
        total = grads if total is None else parameters.map(lambda a, b: a + b, total, grads)
        told["loss"] += loss
        told["voltage_penalty"] += voltage
        told["rate_mean"] += 1000 * share * xp.mean(signals.rates(each.record.cells.z))
    return total, told


def errors(net, output, unroll, learning):
    """Return the loss of actor and critic in an unroll, dE/doutput, and dE/doutput for the maps, without entropy."""
    batch = unroll.actions.shape[1]
    rewarded, done, weights, last = (
        xp.asarray(each, dtype=net.dtype)
        for each in (unroll.rewards, unroll.done, unroll.counted * batch, unroll.last)  # a sum, not a mean
    )
    R = rewards.returns(rewarded, learning.discounting, last, done)
    given = (
        output,
        slice(net.steps - 1, None, net.steps),
        xp.asarray(unroll.actions, dtype=xp.int64),
        R,
    )
    costs = {"weights": weights, "baseline": learning.baseline_cost}
    loss, err = rewards.actor_critic(*given, entropy=learning.entropy_cost, **costs)
    _, of_maps = rewards.actor_critic(*given, **costs)
    return loss, err, of_maps / learning.reg_factor_cnn
