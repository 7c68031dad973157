"""The options that the experiments share: those of one decision per trial, and published spellings of all."""

import dataclasses
from typing import Literal

import numpy as np

from plastic import require, xp
from plastic.eprop import signals
from plastic.eprop.spiking import Neurons, decay
from plastic.errors import PlasticError
from plastic.runs import Spelling

PLOT = {"do_plot": Spelling("plot", bool, True, "draw the figures.")}
PLACEMENT = {"device_placement": Spelling(None, bool, False, "it has no effect.")}
PRINTED = {
    "print_every": Spelling(
        None, int, 10, "it has no effect: progress shows at every iteration, and metrics.csv has every validation."
    )
}


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
        require.counts(n_batch=self.n_batch, n_iter=self.n_iter, validate_every=self.validate_every)
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

    def without(self) -> dict[str, str | bool]:
        """Return what its options do nothing without, as `run.require_used` takes it."""
        return {
            "eprop_impl": not self.eprop and "--eprop (the rule is BPTT)",
            "feedback": not self.eprop and self.feedback != "symmetric" and "--eprop (the rule is BPTT)",
            "readout_decay": self.learning_signals != "adaptive" and "--eprop --feedback=adaptive",
            "f_regularization_type": self.reg_f == 0 and "--reg_f",
            "reg_rate": self.reg_f == 0 and "--reg_f",
        }

    @property
    def name(self):
        """Of the rule: "bptt", "eprop" or "online"."""
        return "bptt" if not self.eprop else "online" if self.eprop_impl == "hardcoded" else "eprop"

    @property
    def learning_signals(self):
        """How learning signals come down; those of BPTT by the readout weights."""
        return self.feedback if self.eprop else "symmetric"

    def penalty(self, z):
        """Return (penalty, R) of the spikes `z`, from the regulariser of firing rates."""
        kind = {"simple": signals.rate_penalty, "online": signals.running_rate_penalty}
        return kind[self.f_regularization_type](z, self.reg_rate / 1000, self.reg_f)


@dataclasses.dataclass(frozen=True)
class AdaptiveNeurons:
    """LIF neurons, then ALIF neurons, and the readout.

    Args:
        tau_a: time constant of the adaptation in ms.
        thr: threshold.
        tau_v: time constant of the membrane in ms.
        tau_out: time constant of the readout in ms.
        n_ref: refractory period in ms, the step of the spike counted; 1 for none.
        dampening_factor: gamma, the height of the pseudo-derivative.
        beta: strength of the adaptation, in the units of the published code.
        n_regular: LIF neurons.
        n_adaptive: ALIF neurons.
        surrogate: form of the pseudo-derivative, as NEST defines them: piecewise_linear is the published one.
        sharpness: of the pseudo-derivative, NEST's beta.
    """

    tau_a: float = 2000.0
    thr: float = 0.6
    tau_v: float = 20.0
    tau_out: float = 20.0
    n_ref: int = 5
    dampening_factor: float = 0.3
    beta: float = 1.7
    n_regular: int = 50
    n_adaptive: int = 50
    surrogate: Literal["piecewise_linear", "exponential", "fast_sigmoid", "arctan"] = "piecewise_linear"
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        for name in ("tau_a", "tau_v", "tau_out"):
            require.number(name, getattr(self, name), above=0, below=1e12)
        for name in ("thr", "dampening_factor", "sharpness"):
            require.number(name, getattr(self, name), above=0)
        require.number("beta", self.beta, least=0)
        require.counts(n_ref=self.n_ref)
        for name in ("n_regular", "n_adaptive"):
            require.whole(name, getattr(self, name), 0)
        if self.n == 0:
            raise PlasticError("n_regular and n_adaptive are 0; there must be one neuron or more in all")

    @property
    def n(self):
        """How many neurons there are."""
        return self.n_regular + self.n_adaptive

    @property
    def kappa(self):
        """The decay of the readout in a step."""
        return decay(self.tau_out)

    def constants(self):
        """Return the constants of the neurons.

        beta is that of the published code, for an input gain of 1 - alpha; with the gain of 1 used here it is
        beta (1 - rho) / (1 - alpha).
        """
        alpha, rho = decay(self.tau_v), decay(self.tau_a)
        beta = np.zeros((1, self.n))
        beta[0, self.n_regular :] = self.beta * (1 - rho) / (1 - alpha)
        return Neurons(
            alpha,
            self.thr,
            rho,
            xp.asarray(beta),
            self.dampening_factor,
            n_ref=self.n_ref,
            surrogate=self.surrogate,
            sharpness=self.sharpness,
        )


@dataclasses.dataclass(frozen=True)
class Trials:
    """What is shown, beside what is special to a task.

    Args:
        dt: length of a step in ms; only 1 is possible, as in the published stimuli.
        n_in: input neurons, in four populations.
        t_cue: length of a cue in ms.
        t_delay: from the last cue to the recall in ms.
        t_recall: length of the recall in ms, in which the loss is taken.
        input_f0: rate of active input neurons in Hz.
    """

    dt: int = 1
    n_in: int = 40
    t_cue: int = 100
    t_delay: int = 1050
    t_recall: int = 150
    input_f0: float = 40.0

    def __post_init__(self) -> None:
        require_step(self.dt)
        require.counts(n_in=self.n_in, t_cue=self.t_cue, t_recall=self.t_recall)
        if self.n_in % 4:
            raise PlasticError(f"n_in is {self.n_in}, not divisible into four populations; take a multiple of 4")
        require.whole("t_delay", self.t_delay, 0)
        require.number("input_f0", self.input_f0, least=0, most=1000)

    def arguments(self):
        """Return them by the names that `plastic.eprop.inputs` has for them."""
        lengths = {"cue_length": self.t_cue, "delay": self.t_delay, "recall_length": self.t_recall}
        return lengths | {"n_in": self.n_in, "f0": self.input_f0}


def require_step(dt):
    """Require steps of 1 ms, `dt` being their length in ms."""
    if dt != 1:
        raise PlasticError(f"dt is {dt}; the stimuli are made for steps of 1 ms")
