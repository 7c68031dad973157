"""One trial of a trained network, as the arrays that figures show: spikes, readout, learning signals, one synapse."""

import numpy as np

from plastic import affine, xp
from plastic.eprop import gradients
from plastic.eprop.spiking import eligibility_traces


def arrays(network, feedback, x, loss):
    """Simulate the first trial of the batch `x` by the network of one seed and return it, on the host.

    The synapse is the recurrent one that the trial would change most (onto ALIF neurons, where there are some).
    feedback: B, or None for symmetric feedback. loss: of the output of the trial to (loss, err).

    Returns {"x", "z", "y", "L": (T, n) each, "synapse/eps_v", "synapse/eps_a", "synapse/ebar", "synapse/psi",
    "synapse/L": (T,) each, "synapse/neurons": (pre, post)}.
    """
    x = x[:, :1]
    record = gradients.simulate(network, x)
    _, err = loss(record.output)
    L = err @ affine.transposed(network.W_out if feedback is None else feedback)
    n_in = x.shape[-1]
    size = np.abs(_host(gradients.eprop_gradients(network, record, err, feedback=feedback)["W_rec"]))
    if network.neurons.beta is not None:
        adaptive = _host(network.neurons.beta)[0] > 0
        size = size * adaptive if adaptive.any() else size
    pre, post = np.unravel_index(np.argmax(size), size.shape)
    series = {name: [] for name in ("eps_v", "eps_a", "ebar")}
    for trace in eligibility_traces(network, record):
        for name, values in series.items():
            values.append(getattr(trace, name)[0, n_in + pre, post].copy())
    found = {f"synapse/{name}": _host(xp.stack(values)) for name, values in series.items()}
    found["synapse/psi"] = _host(record.psi[:, 0, post])
    found["synapse/L"] = _host(L[:, 0, post])
    found["synapse/neurons"] = np.array([pre, post])
    histories = {"x": x, "z": record.z, "y": record.output, "L": L}
    return found | {name: _host(history[:, 0]) for name, history in histories.items()}


def _host(array):
    return np.array(xp.asnumpy(array))
