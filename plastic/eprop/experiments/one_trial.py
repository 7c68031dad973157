"""One trial of a trained network, as the arrays that figures show: spikes, readout, learning signals, synapses."""

import numpy as np

from plastic import affine, xp
from plastic.eprop import gradients
from plastic.eprop.spiking import eligibility_traces

MANY = 50  # synapses whose traces are kept


def arrays(network, feedback, x, loss):
    """Simulate the first trial of the batch `x` by the network of one seed and return it, on the host.

    The synapse is the recurrent one that the trial would change most (onto ALIF neurons, where there are some).
    feedback: B, or None for symmetric feedback. loss: of the output of the trial to (loss, err).

    Returns {"x", "z", "y", "L": (T, n) each, "synapse/eps_v", "synapse/eps_a", "synapse/ebar", "synapse/psi",
    "synapse/L": (T,) each, "synapse/neurons": (pre, post)}, and of the `MANY` recurrent synapses that the trial would
    change most, or of all, {"traces/ebar": (T, K), "traces/neurons": (K, 2)}, ordered by the neuron that they lead to.
    """
    x = x[:, :1]
    record = gradients.simulate(network, x)
    _, err = loss(record.output)
    L = err @ affine.transposed(network.W_out if feedback is None else feedback)
    n_in = x.shape[-1]
    size = np.abs(_host(gradients.eprop_gradients(network, record, err, feedback=feedback)["W_rec"]))
    others = np.argwhere(~np.eye(len(size), dtype=bool)) if len(size) > 1 else np.zeros((1, 2), int)
    many = others[np.argsort(-size[tuple(others.T)], kind="stable")[:MANY]]
    many = many[np.lexsort(many.T)]
    if network.neurons.beta is not None:
        adaptive = _host(network.neurons.beta)[0] > 0
        size = size * adaptive if adaptive.any() else size
    pre, post = np.unravel_index(np.argmax(size), size.shape)
    series, traces = {name: [] for name in ("eps_v", "eps_a", "ebar")}, []
    for trace in eligibility_traces(network, record):
        for name, values in series.items():
            values.append(getattr(trace, name)[0, n_in + pre, post].copy())
        traces.append(_host(trace.ebar[0])[n_in + many[:, 0], many[:, 1]])
    found = {f"synapse/{name}": _host(xp.stack(values)) for name, values in series.items()}
    found["synapse/psi"] = _host(record.psi[:, 0, post])
    found["synapse/L"] = _host(L[:, 0, post])
    found["synapse/neurons"] = np.array([pre, post])
    found |= {"traces/ebar": np.stack(traces), "traces/neurons": many}
    histories = {"x": x, "z": record.z, "y": record.output, "L": L}
    return found | {name: _host(history[:, 0]) for name, history in histories.items()}


def _host(array):
    return np.array(xp.asnumpy(array))
