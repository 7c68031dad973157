"""The options that the experiments of one decision per trial share, beside those of the neurons."""

import dataclasses
from typing import Any, Literal

from plastic import require
from plastic.eprop import signals
from plastic.eprop.experiments.adaptive_neurons import AdaptiveNeurons
from plastic.eprop.experiments.plastic_network import entries
from plastic.errors import PlasticError
from plastic.types import Array


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long training goes on.

    Args:
        n_batch: trials per batch.
        n_iter: iterations at most.
        learning_rate: of Adam.
        stop_crit: the error, a fraction, that ends training.
        validate_every: iterations between two validations.
    """

    n_batch: int = 64
    n_iter: int = 2000
    learning_rate: float = 0.005
    stop_crit: float = 0.07
    validate_every: int = 10

    def __post_init__(self) -> None:
        for name in ("n_batch", "n_iter", "validate_every"):
            require.whole(name, getattr(self, name))
        require.number("learning_rate", self.learning_rate, above=0)
        require.number("stop_crit", self.stop_crit)


@dataclasses.dataclass(frozen=True)
class Rule:
    """What changes the weights.

    Args:
        eprop: learn by e-prop; --no_eprop learns by BPTT.
        eprop_impl: hardcoded carries eligibility traces forward, online; autodiff takes the sweep back in time, which
            is equal and many times faster.
        feedback: how e-prop's learning signals come down: symmetric (the readout weights), random, or adaptive (random
            at first, then changed as the readout weights are).
        readout_decay: of adaptive feedback, the decay of feedback and readout weights in an iteration.
        f_regularization_type: simple, or online (running averages of the rates).
        reg_f: strength of the regulariser of rates.
        reg_rate: target rate in Hz.
    """

    eprop: bool = False
    eprop_impl: Literal["autodiff", "hardcoded"] = "autodiff"
    feedback: Literal["symmetric", "random", "adaptive"] = "symmetric"
    readout_decay: float = 1e-3
    f_regularization_type: Literal["simple", "online"] = "simple"
    reg_f: float = 1.0
    reg_rate: float = 10.0

    def __post_init__(self) -> None:
        require.number("readout_decay", self.readout_decay, least=0, most=1)
        require.number("reg_f", self.reg_f, least=0)
        require.number("reg_rate", self.reg_rate, least=0, most=1000)

    @property
    def name(self) -> str:
        """Of the rule: "bptt", "eprop" or "online"."""
        return "bptt" if not self.eprop else "online" if self.eprop_impl == "hardcoded" else "eprop"

    @property
    def learning_signals(self) -> str:
        """How learning signals come down; those of BPTT by the readout weights."""
        return self.feedback if self.eprop else "symmetric"

    def penalty(self, z: Array) -> tuple[Array, Array]:
        """Return (penalty, R) of the spikes, from the regulariser of firing rates."""
        kind = {"simple": signals.rate_penalty, "online": signals.running_rate_penalty}
        return kind[self.f_regularization_type](z, self.reg_rate / 1000, self.reg_f)


def require_trials(n_in: int, t_cue: int, t_delay: int, t_recall: int, input_f0: float, dt: int) -> None:
    """Require options of the trials that are possible, by the names that they have at the command line.

    n_in: input neurons. t_cue, t_delay, t_recall: lengths in ms. input_f0: rate of active inputs in Hz.
    dt: length of a step in ms.
    """
    require_step(dt)
    require.whole("n_in", n_in)
    if n_in % 4:
        raise PlasticError(f"n_in is {n_in}, which does not divide into four populations; take a multiple of 4")
    require.whole("t_cue", t_cue)
    require.whole("t_delay", t_delay, 0)
    require.whole("t_recall", t_recall)
    require.number("input_f0", input_f0, least=0, most=1000)


def require_step(dt: int) -> None:
    """Require steps of 1 ms. dt: their length in ms."""
    if dt != 1:
        raise PlasticError(f"dt is {dt}; the stimuli are made for steps of 1 ms")


def expect(run: Any, steps: int, schedule: Schedule, neurons: AdaptiveNeurons, n_in: int, **lengths: int) -> None:
    """Require trials and networks that fit the memory.

    run: of the experiment. steps: of a trial. schedule, neurons: the options. n_in: input neurons. lengths: the options
    that set the length of a trial, for the message.
    """
    needed = entries((n_in, neurons.n, 2), steps, schedule.n_batch) * len(run.seeds)
    n_regular, n_adaptive = neurons.n_regular, neurons.n_adaptive
    run.expect(needed, n_batch=schedule.n_batch, n_in=n_in, n_regular=n_regular, n_adaptive=n_adaptive, **lengths)
