"""e-prop: learning in recurrent networks of spiking neurons and of LSTM cells (Bellec, Scherr et al. 2020).

    record = eprop.simulate(network, x)                                  x (T, batch, n_in), spikes or currents
    loss, err = eprop.signals.classification(record.y, labels, window)
    grads = eprop.rules.eprop(network, x, record, err)                   or rules.bptt, rules.online.eprop

Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein, Maass: A solution to the learning dilemma for recurrent networks
of spiking neurons. Nature Communications 11, 3625, 2020.
"""

from plastic.eprop import inputs, lstm, rules, signals
from plastic.eprop.restoring import restore
from plastic.eprop.spiking import Neurons, Record, SpikingNetwork, State, decay, simulate

__all__ = [
    "Neurons",
    "Record",
    "SpikingNetwork",
    "State",
    "decay",
    "inputs",
    "lstm",
    "restore",
    "rules",
    "signals",
    "simulate",
]
