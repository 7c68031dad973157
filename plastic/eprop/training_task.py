"""What all training of recurrent spiking networks has in common: parameters of all seeds, rule, optimizer."""

import dataclasses

import numpy as np

from plastic import parameters, training, xp
from plastic.eprop import rules
from plastic.eprop.spiking import Neurons, SpikingNetwork, decay
from plastic.runs.options import seeds_of


def draw_parameters(generator, n_in, n, n_out, feedback, glorot):
    """Return {"W_in", "W_rec", "W_out"} and, unless the feedback is symmetric, "B", as the published code draws them.

    All are N(0, 1) / sqrt(inputs); with `glorot`, W_out is U(-c, c), c = sqrt(6 / (n + n_out)), and a random B N(0, 1).
    """
    drawn = {
        "W_in": generator.standard_normal((n_in, n)) / np.sqrt(n_in),
        "W_rec": generator.standard_normal((n, n)) / np.sqrt(n),
    }
    limit = np.sqrt(6 / (n + n_out))
    drawn["W_out"] = (
        generator.uniform(-limit, limit, (n, n_out)) if glorot else generator.standard_normal((n, n_out)) / np.sqrt(n)
    )
    if feedback != "symmetric":
        scale = 1.0 if glorot and feedback == "random" else 1 / np.sqrt(n)
        drawn["B"] = generator.standard_normal((n, n_out)) * scale
    return {name: xp.asarray(array) for name, array in drawn.items()}


class SpikingTask:
    """The part of a task that a step of training needs.

    A task says what is its own: `loss(record, stimuli)` -> (loss, err), and `penalty(z)` -> (penalty, R).
    options: with seed, seeds, rule ("eprop", "online", "bptt"), learning_signals ("symmetric", "random",
        "adaptive"), readout_decay.
    """

    def __init__(self, options, neurons, optimizer, n_out, kappa, glorot):
        self.options, self.seeds, self.optimizer = options, seeds_of(options), optimizer
        self.generators = [xp.generator(seed) for seed in self.seeds]
        n = options["n_regular"] + options["n_adaptive"]
        feedback = options["learning_signals"]
        drawn = [draw_parameters(g.init, options["n_in"], n, n_out, feedback, glorot) for g in self.generators]
        stacked = parameters.stack_replicas(drawn)
        self.feedback = stacked.get("B")
        fixed = {"B": stacked.pop("B")} if feedback == "random" else {}
        self.parameters = stacked
        weights = {name: array for name, array in stacked.items() if name != "B"}
        self.network = SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)
        self.state = {"parameters": self.parameters, "moments": optimizer.init(self.parameters), "fixed": fixed}

    def loss(self, record, stimuli):
        """Return (loss, err) of a simulation, see `signals`."""
        raise NotImplementedError

    def penalty(self, z):
        """Return (penalty, R) of the spikes."""
        raise NotImplementedError

    def feedback_of(self, replica):
        """Return the matrix that learning signals come down by in one replica, or None for symmetric feedback."""
        return self.feedback if self.feedback is None or len(self.seeds) == 1 else self.feedback[replica]

    def learn(self, x, stimuli, active=1.0):
        """Change the parameters by one step; return loss, penalty and the record, all before the change.

        active: 1, or (seeds, 1, 1) of 1 and 0: the parameters of a seed with 0 stay as they are.
        """
        record = rules.simulate(self.network, x)
        loss, err = self.loss(record, stimuli)
        penalty, R = self.penalty(record.z)
        grads = self.gradients(record, err, R)
        grads = {name: grads["W_out" if name == "B" else name] for name in self.parameters}
        self.optimizer.step(self.parameters, grads, self.state["moments"], lr=self.optimizer.lr * active)
        if "B" in self.parameters:  # adaptive feedback: W_out and B get the same changes, and decay until they agree
            for name in ("W_out", "B"):
                self.parameters[name] *= 1 - self.options["readout_decay"] * active
        return loss, penalty, record

    def gradients(self, record, err, R):
        """Return the gradients of the rule and the feedback that the options ask for."""
        if self.options["rule"] == "bptt":
            return rules.bptt_gradients(self.network, record, err, R)
        rule = rules.online_gradients if self.options["rule"] == "online" else rules.eprop_gradients
        return rule(self.network, record, err, R, feedback=self.feedback)

    def fit(self, run, source, step, evaluate, steps, every, stop=None):
        """Train in a run folder; see `plastic.training.fit`."""
        return training.fit(
            run,
            self.state,
            source,
            step,
            steps=steps,
            evaluate=evaluate,
            evaluate_every=every,
            checkpoint_every=every,
            replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(self.seeds)],
            stop=stop,
            advice="try a smaller learning_rate",
        )


def one_of(network, replica, count):
    """Return the network of one replica of `count`."""
    if count == 1:
        return network
    return dataclasses.replace(
        network, **{name: getattr(network, name)[replica] for name in ("W_in", "W_rec", "W_out")}
    )


def squared_error(output, target):
    """Return (loss, err) of 1/2 sum over batch, time and outputs of (y - y*)^2, y the `output`, y* the `target`.

    The published loss is this sum, and its learning rate and regulariser belong to it; `signals.regression` is the mean
    over batch and time.
    """
    err = output - target
    return 0.5 * xp.sum(err * err, axis=(-3, -2, -1)), err


TAU_PATTERN = 30.0
"""ms, of the membrane and of the readout in pattern generation."""


def pattern_neurons(options):
    """Return the LIF neurons of pattern generation, with the options thr and dampening_factor."""
    alpha = decay(TAU_PATTERN)
    return Neurons(alpha, options["thr"], gamma=options["dampening_factor"], gain=1 - alpha)


def adaptive_neurons(options):
    """Return the LIF neurons, then the ALIF neurons, of the options thr, tau_v, tau_a, beta, n_ref, dampening_factor.

    beta is that of the published code, for an input gain of 1 - alpha; with the gain of 1 used here it is
    beta (1 - rho) / (1 - alpha).
    """
    alpha, rho = decay(options["tau_v"], "tau_v"), decay(options["tau_a"], "tau_a")
    beta = np.zeros((1, options["n_regular"] + options["n_adaptive"]))
    beta[0, options["n_regular"] :] = options["beta"] * (1 - rho) / (1 - alpha)
    gamma, n_ref = options["dampening_factor"], options["n_ref"]
    return Neurons(alpha, options["thr"], rho, xp.asarray(beta), gamma, n_ref=n_ref)
