"""eprop_lstm*.npz: LSTM cells with and without peepholes; states, loss, and the gradients of e-prop and BPTT.

The files are batch-first, `plastic` is time-major. `check(numbers)` raises AssertionError where a number differs; each
array of a file counts.
"""

import numpy as np
from numpy.testing import assert_allclose

from plastic.eprop import LSTMNetwork, bptt_gradients, eprop_gradients, online_gradients, simulate
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine

TOLERANCE = 1e-10  # relative to the largest entry


def check(numbers):
    """Compare states, logits, mean cross-entropy over batch and time, and all gradients of a file."""
    net, x = network(numbers), time_major(numbers["x"])
    record = simulate(net, x)
    for name, found in (("h", record.h), ("c", record.c), ("logits", record.output)):
        close(found, time_major(numbers[name]), name)
    losses, err = softmax_cross_entropy(record.output, time_major(numbers["label"]))
    assert_allclose(losses.mean(), numbers["loss"], rtol=TOLERANCE)
    err = err / losses.size
    both = eprop_gradients, online_gradients
    for kind, grads in {
        "sym": [rule(net, record, err) for rule in both],
        "rand": [rule(net, record, err, feedback=numbers["b_fb"]) for rule in both],
        "bptt": [bptt_gradients(net, record, err)],
    }.items():
        for each in grads:
            found = {f"g_{kind}_{name}": array for name, array in by_name(each).items()}
            assert {name for name in numbers if name.startswith(f"g_{kind}_")} == found.keys()
            for name, array in found.items():
                close(array, numbers[name], name)


def network(numbers):
    """Return the network of a file."""
    kernel, readout = (
        Affine(numbers[W].copy(), numbers[b][None].copy()) for W, b in (("kernel", "bias"), ("w_out", "b_out"))
    )
    return LSTMNetwork(kernel, readout, *(numbers[w][None].copy() for w in ("w_i", "w_f", "w_o") if w in numbers))


def by_name(grads):
    """Return gradients by the names of the files, vectors without their axis of length one."""
    kernel, readout = grads["kernel"], grads["readout"]
    named = {"kernel": kernel.W, "bias": kernel.b[0], "w_out": readout.W, "b_out": readout.b[0]}
    return named | {w: grads[w][0] for w in ("w_i", "w_f", "w_o") if grads[w] is not None}


def time_major(array):
    """Return (batch, T, ...) as (T, batch, ...)."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


def close(found, expected, name):
    assert found.shape == expected.shape, name
    assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name)
