"""A trained network from the folder of its run."""

from plastic import xp
from plastic.eprop import rules
from plastic.eprop.spiking import SpikingNetwork, decay
from plastic.eprop.training_task import TAU_PATTERN, adaptive_neurons, pattern_neurons


def restore(config, arrays):
    """Return (network, predict) from the config of a run and the arrays of its checkpoint; see `plastic.load`.

    predict(x) takes spikes (T, batch, n_in) of the host to readouts (..., T, batch, n_out). The parameters of several
    seeds are stacked, as are their readouts.
    """
    options = config["options"]
    weights = {
        path.rpartition("/")[2]: xp.asarray(array)
        for path, array in arrays.items()
        if path.startswith(("parameters/", "fixed/"))
    }
    is_pattern = config["experiment"] == "pattern"
    neurons = pattern_neurons(options) if is_pattern else adaptive_neurons(options)
    kappa = decay(TAU_PATTERN if is_pattern else options["tau_out"])
    weights.pop("B", None)  # the feedback is not the network's
    network = SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)

    def predict(x):
        return xp.asnumpy(rules.predict(network, xp.asarray(x)))

    return network, predict
