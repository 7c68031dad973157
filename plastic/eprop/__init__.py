"""e-prop: learning in recurrent networks of spiking neurons and of LSTM cells (Bellec, Scherr et al. 2020).

    net = eprop.lsnn((40, 100, 2), generator)                          LIF and ALIF neurons; or lif, lstm, rnn
    output = eprop.predict(net, x)                                     x (T, batch, n_in), spikes or currents
    loss = functools.partial(eprop.signals.classification, window=150)
    grads, output = eprop.eprop(net, x, labels, loss=loss)             or eprop.online, eprop.bptt

Below them, `simulate` gives a record, a loss gives err = dE/doutput, and `eprop_gradients`, `online_gradients` or
`bptt_gradients` the gradient. `traces_after` hands the traces of one chunk of a sequence to the next.

Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein, Maass: A solution to the learning dilemma for recurrent networks
of spiking neurons. Nature Communications 11, 3625, 2020.
"""

from collections.abc import Callable

from plastic.eprop import bidirectional, convolutional, ctc, inputs, rewards, signals, transcripts
from plastic.eprop.gradients import (
    bptt_gradients,
    eprop_gradients,
    online_gradients,
    predict,
    simulate,
    traces_after,
)
from plastic.eprop.lstm_cells import LSTMNetwork, LSTMRecord, LSTMState, LSTMTraces
from plastic.eprop.networks import NETWORKS, lif, lsnn, lstm, rnn
from plastic.eprop.rnn_cells import RNNNetwork, RNNRecord, RNNState
from plastic.eprop.rules import RULES, bptt, eprop, online
from plastic.eprop.spiking import (
    Neurons,
    SpikingNetwork,
    SpikingRecord,
    SpikingState,
    SpikingTraces,
    Traces,
    constant_gradients,
    decay,
    eligibility_traces,
    factorised_gradients,
    ideal_learning_signals,
)
from plastic.eprop.wiring import Wiring
from plastic.types import Array, Tree

STEPS: dict[str, Callable[..., tuple[Tree, Array]]] = {}
"""No rule of this family moves weights within the dynamics."""

__all__ = [
    "NETWORKS",
    "RULES",
    "STEPS",
    "LSTMNetwork",
    "LSTMRecord",
    "LSTMState",
    "LSTMTraces",
    "Neurons",
    "RNNNetwork",
    "RNNRecord",
    "RNNState",
    "SpikingNetwork",
    "SpikingRecord",
    "SpikingState",
    "SpikingTraces",
    "Traces",
    "Wiring",
    "bidirectional",
    "bptt",
    "bptt_gradients",
    "constant_gradients",
    "convolutional",
    "ctc",
    "decay",
    "eligibility_traces",
    "eprop",
    "eprop_gradients",
    "factorised_gradients",
    "ideal_learning_signals",
    "inputs",
    "lif",
    "lsnn",
    "lstm",
    "online",
    "online_gradients",
    "predict",
    "rewards",
    "rnn",
    "signals",
    "simulate",
    "traces_after",
    "transcripts",
]


def __dir__() -> list[str]:
    return __all__
