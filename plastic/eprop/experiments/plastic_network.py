"""A network whose weights a rule changes: drawn as in the paper's code, for all seeds side by side."""

import dataclasses

import numpy as np

from plastic import parameters, xp
from plastic.eprop import gradients
from plastic.eprop.gradients import predict
from plastic.eprop.spiking import SpikingNetwork


def published_weights(generator, sizes, feedback, glorot):
    """Return {"W_in", "W_rec", "W_out"} and, unless the feedback is "symmetric", "B", as the published code draws them.

    All are N(0, 1) / sqrt(inputs); with `glorot`, W_out is U(-c, c), c = sqrt(6 / (n + n_out)), and a "random" B
    N(0, 1). sizes: (n_in, n, n_out).
    """
    n_in, n, n_out = sizes
    drawn = {name: generator.standard_normal((m, n)) / np.sqrt(m) for name, m in (("W_in", n_in), ("W_rec", n))}
    limit = np.sqrt(6 / (n + n_out))
    drawn["W_out"] = (
        generator.uniform(-limit, limit, (n, n_out)) if glorot else generator.standard_normal((n, n_out)) / np.sqrt(n)
    )
    if feedback != "symmetric":
        scale = 1.0 if glorot and feedback == "random" else 1 / np.sqrt(n)
        drawn["B"] = generator.standard_normal((n, n_out)) * scale
    return {name: xp.asarray(array) for name, array in drawn.items()}


def entries(sizes, steps, batch):
    """Return how many numbers weights (`sizes`), gradients, moments and a record (`steps`, `batch`) are, at least."""
    n_in, n, _ = sizes
    return 4 * (n_in + n) * n + 2 * steps * batch * n


def restored(arrays, neurons, kappa):
    """Return (network, predict) from the `arrays` of a checkpoint, the constants of neurons and the readout's decay.

    predict(x) takes spikes (T, batch, n_in) of the host to readouts (..., T, batch, n_out). The parameters of several
    seeds are stacked, as are their readouts.
    """
    weights = {name: xp.asarray(arrays[f"parameters/{name}"]) for name in ("W_in", "W_rec", "W_out")}
    network = SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)
    return network, lambda x: xp.asnumpy(predict(network, xp.asarray(x)))


class PlasticNetwork:
    """The networks of all seeds, stacked, with the rule that changes them.

    network: the `SpikingNetwork`. feedback: B, or None where it is symmetric. parameters: what is learned, {"W_in",
    "W_rec", "W_out"}, and "B" where the feedback is adaptive. state: the tree of all arrays, for a checkpoint.
    """

    def __init__(self, draws, neurons, kappa, optimizer, *, rule, learning_signals, readout_decay=0.0):
        """Stack the weights that `published_weights` drew of every seed.

        rule: what moves them, "bptt", "eprop", "online" or "no_traces".

        readout_decay: where `learning_signals` are "adaptive", the decay of feedback and readout weights in a step.
        """
        self.count, self.rule, self.optimizer, self.readout_decay = len(draws), rule, optimizer, readout_decay
        self.parameters = parameters.stack_replicas(draws)
        self.feedback = self.parameters.get("B")
        fixed = {"B": self.parameters.pop("B")} if learning_signals == "random" else {}
        weights = {name: array for name, array in self.parameters.items() if name != "B"}
        self.network = SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)
        self.state = {"parameters": self.parameters, "moments": optimizer.init(self.parameters), "fixed": fixed}
        self._record = None

    def simulate(self, x):
        """Return the record for input `x`, valid until the next."""
        self._record = gradients.simulate(self.network, x, out=self._record)
        return self._record

    def step(self, x, loss, penalty, active=1.0):
        """Change the weights by one step; return loss, penalty and the record for input `x`, all before the change.

        The record is valid until the next.

        loss: of the output to (loss, err). penalty: of the spikes to (penalty, R).
        active: 1, or (seeds, 1, 1) of 1 and 0: the weights of a seed with 0 stay as they are.
        """
        record = self.simulate(x)
        value, err = loss(record.output)
        extra, R = penalty(record.z)
        self.learn(record, err, R, active)
        return value, extra, record

    def learn(self, record, err, R, active=1.0):
        """Change the weights by one step, from the `record` of a simulation, err = dE/doutput and R = dE_reg/dz.

        active: that of `step`.
        """
        found = self.gradients(record, err, R)
        grads = {name: found["W_out" if name == "B" else name] for name in self.parameters}
        self.optimizer.step(self.parameters, grads, self.state["moments"], lr=self.optimizer.lr * active)
        if "B" in self.parameters:  # adaptive feedback: W_out and B get the same changes, and decay until they agree
            for name in ("W_out", "B"):
                self.parameters[name] *= 1 - self.readout_decay * active

    def gradients(self, record, err, R):
        """Return the gradients of the rule from the `record` of a simulation, err = dE/doutput and R = dE_reg/dz."""
        if self.rule == "bptt":
            return gradients.bptt_gradients(self.network, record, err, R)
        if self.rule == "no_traces":
            return without_traces(self.network, record, err, R, self.feedback)
        rule = gradients.online_gradients if self.rule == "online" else gradients.eprop_gradients
        return rule(self.network, record, err, R, feedback=self.feedback)

    def one(self, replica):
        """Return (network, feedback) of one seed, the `replica` in their order."""
        if self.count == 1:
            return self.network, self.feedback
        weights = {name: getattr(self.network, name)[replica] for name in ("W_in", "W_rec", "W_out")}
        feedback = None if self.feedback is None else self.feedback[replica]
        return dataclasses.replace(self.network, **weights), feedback


def forgetful(network):
    """Return a spiking `network` whose e-prop has no eligibility traces: e^t = psi^t p^t of the same step alone.

    Its neurons forget in one step, do not adapt, and its readout does not filter, in the gradient only: a gradient
    takes spikes and pseudo-derivatives from the record of the network as it is.
    """
    neurons = dataclasses.replace(network.neurons, alpha=0.0, beta=None)
    return dataclasses.replace(network, neurons=neurons, kappa=0.0)


def without_traces(network, record, err, R, feedback):
    """Return e-prop's gradients with the traces of neurons' synapses cut off; the readout learns as with them."""
    whole = gradients.eprop_gradients(network, record, err, R, feedback=feedback)
    cut = gradients.eprop_gradients(forgetful(network), record, err, R, feedback=feedback)
    return whole | {name: cut[name] for name in ("W_in", "W_rec")}
