"""A network whose weights a rule changes: drawn as in the paper's code, for all seeds side by side."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.eprop import gradients
from plastic.eprop.spiking import Neurons, SpikingNetwork, SpikingRecord
from plastic.optimizers import SGD, Adam
from plastic.types import Array, Tree


def published_weights(
    generator: np.random.Generator, sizes: tuple[int, int, int], feedback: str, glorot: bool
) -> dict[str, Array]:
    """Return {"W_in", "W_rec", "W_out"} and, unless the feedback is symmetric, "B", as the published code draws them.

    All are N(0, 1) / sqrt(inputs); with `glorot`, W_out is U(-c, c), c = sqrt(6 / (n + n_out)), and a random B N(0, 1).

    generator: of random numbers. sizes: (n_in, n, n_out). feedback: "symmetric", "random" or "adaptive".
    """
    n_in, n, n_out = sizes
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


def entries(sizes: tuple[int, int, int], steps: int, batch: int) -> int:
    """Return how many numbers the weights, their gradients and moments and the record of a simulation are, at least.

    sizes: (n_in, n, n_out). steps, batch: of a trial.
    """
    n_in, n, _ = sizes
    return 4 * (n_in + n) * n + 2 * steps * batch * n


def network_of(arrays: dict[str, Array], neurons: Neurons, kappa: float) -> SpikingNetwork:
    """Return the network of the arrays of a checkpoint; those of several seeds are stacked.

    arrays: by path, from the state of a `PlasticNetwork`. neurons: their constants. kappa: decay of the readout.
    """
    weights = {name: xp.asarray(arrays[f"parameters/{name}"]) for name in ("W_in", "W_rec", "W_out")}
    return SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)


class PlasticNetwork:
    """The networks of all seeds, stacked, with the rule that changes them.

    Args:
        draws: the arrays of `published_weights` of every seed.
        neurons: their constants.
        kappa: decay of the readout.
        rule: "bptt", "eprop" (by the sweep back in time) or "online" (by traces carried forward).
        learning_signals: how they come down: "symmetric", "random" or "adaptive".
        optimizer: that moves the weights.
        readout_decay: of adaptive feedback, the decay of feedback and readout weights in a step.

    Attributes:
        network: the `SpikingNetwork`.
        parameters: {"W_in", "W_rec", "W_out"}, and "B" where the feedback is adaptive: what is learned.
        feedback: B, or None where it is symmetric.
        state: the tree of all arrays, for a checkpoint.
    """

    def __init__(
        self,
        draws: list[dict[str, Array]],
        neurons: Neurons,
        kappa: float,
        *,
        rule: str,
        learning_signals: str,
        optimizer: SGD | Adam,
        readout_decay: float = 0.0,
    ) -> None:
        self.count, self.rule, self.optimizer, self.readout_decay = len(draws), rule, optimizer, readout_decay
        self.parameters = parameters.stack_replicas(draws)
        self.feedback = self.parameters.get("B")
        fixed = {"B": self.parameters.pop("B")} if learning_signals == "random" else {}
        weights = {name: array for name, array in self.parameters.items() if name != "B"}
        self.network = SpikingNetwork(**weights, neurons=neurons, kappa=kappa, g_out=1 - kappa)
        self.state: dict[str, Tree] = {
            "parameters": self.parameters,
            "moments": optimizer.init(self.parameters),
            "fixed": fixed,
        }

    def step(
        self,
        x: Array,
        loss: Callable[[Array], tuple[Array, Array]],
        penalty: Callable[[Array], tuple[Array, Array]],
        active: Any = 1.0,
    ) -> tuple[Array, Array, SpikingRecord]:
        """Change the weights by one step; return loss, penalty and the record, all before the change.

        x: input. loss: of the output to (loss, err). penalty: of the spikes to (penalty, R).
        active: 1, or (seeds, 1, 1) of 1 and 0: the weights of a seed with 0 stay as they are.
        """
        record = gradients.simulate(self.network, x)
        value, err = loss(record.output)
        extra, R = penalty(record.z)
        found = self.gradients(record, err, R)
        grads = {name: found["W_out" if name == "B" else name] for name in self.parameters}
        self.optimizer.step(self.parameters, grads, self.state["moments"], lr=self.optimizer.lr * active)
        if "B" in self.parameters:  # adaptive feedback: W_out and B get the same changes, and decay until they agree
            for name in ("W_out", "B"):
                self.parameters[name] *= 1 - self.readout_decay * active
        return value, extra, record

    def gradients(self, record: SpikingRecord, err: Array, R: Array) -> Tree:
        """Return the gradients of the rule from the record of a simulation, dE/doutput and dE_reg/dz."""
        if self.rule == "bptt":
            return gradients.bptt_gradients(self.network, record, err, R)
        rule = gradients.online_gradients if self.rule == "online" else gradients.eprop_gradients
        return rule(self.network, record, err, R, feedback=self.feedback)

    def one(self, replica: int) -> tuple[SpikingNetwork, Array | None]:
        """Return (network, feedback) of one seed."""
        if self.count == 1:
            return self.network, self.feedback
        weights = {name: getattr(self.network, name)[replica] for name in ("W_in", "W_rec", "W_out")}
        feedback = None if self.feedback is None else self.feedback[replica]
        return dataclasses.replace(self.network, **weights), feedback
