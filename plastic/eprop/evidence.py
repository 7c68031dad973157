"""Evidence accumulation (Bellec, Scherr et al. 2020, Fig. 3): the command."""

from typing import Literal

from plastic.eprop import inputs
from plastic.eprop.decisions import run_decisions

_STIMULI = {
    "batch": "n_batch",
    "n_in": "n_in",
    "n_cues": "n_cues",
    "cue_length": "t_cue",
    "cue_spacing": "t_cue_spacing",
    "delay": "t_delay",
    "recall_length": "t_recall",
    "f0": "input_f0",
}  # what the stimuli call our options


def evidence(
    *,
    n_batch: int = 64,
    n_iter: int = 2000,
    learning_rate: float = 0.005,
    stop_crit: float = 0.07,
    print_every: int = 10,
    validate_every: int = 10,
    eprop: bool = False,
    eprop_impl: Literal["autodiff", "hardcoded"] = "autodiff",
    feedback: Literal["symmetric", "random", "adaptive"] = "symmetric",
    readout_decay: float = 1e-3,
    f_regularization_type: Literal["simple", "online"] = "simple",
    tau_a: float = 2000.0,
    thr: float = 0.6,
    tau_v: float = 20.0,
    tau_out: float = 20.0,
    reg_f: float = 1.0,
    reg_rate: float = 10.0,
    n_ref: int = 5,
    dt: int = 1,
    dampening_factor: float = 0.3,
    beta: float = 1.7,
    n_in: int = 40,
    n_regular: int = 50,
    n_adaptive: int = 50,
    n_cues: int = 7,
    t_cue: int = 100,
    t_cue_spacing: int = 150,
    t_delay: int = 1050,
    t_recall: int = 150,
    input_f0: float = 40.0,
    do_plot: bool = True,
    device_placement: bool = False,
    seed: int = 1,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Accumulate evidence and decide after a delay, with LIF and ALIF neurons (Bellec, Scherr et al. 2020, Fig. 3).

    Without --eprop the rule is BPTT, as published. As long as the last validated batch was decided with an error under
    stop_crit, eight new batches are tried in every iteration, and training ends where their mean error is under it too;
    four more are tested. The run folder, results/eprop/evidence-..., gets
    config.json, metrics.csv, checkpoint.h5, arrays.h5 and figures. Seeds govern everything, the input spikes too.

    Args:
        n_batch: trials per batch.
        n_iter: iterations at most.
        learning_rate: of Adam.
        stop_crit: the error, a fraction, that ends training.
        print_every: accepted as published; progress shows at every iteration, and metrics.csv has every validation.
        validate_every: iterations between two validations.
        eprop: learn by e-prop rather than BPTT.
        eprop_impl: hardcoded carries eligibility traces forward, online; autodiff takes the sweep back in time, which
            is equal and many times faster.
        feedback: how e-prop's learning signals come down: symmetric (the readout weights), random, or adaptive (random
            at first, then changed as the readout weights are).
        readout_decay: of adaptive feedback, the decay of feedback and readout weights in an iteration.
        f_regularization_type: simple, or online (running averages of the rates).
        tau_a: time constant of the adaptation in ms.
        thr: threshold.
        tau_v: time constant of the membrane in ms.
        tau_out: time constant of the readout in ms.
        reg_f: strength of the regulariser of rates.
        reg_rate: target rate in Hz.
        n_ref: refractory period in ms, the step of the spike counted; 1 for none.
        dt: length of a step in ms; only 1 is possible, as in the published stimuli.
        dampening_factor: gamma, the height of the pseudo-derivative.
        beta: strength of the adaptation, in the units of the published code.
        n_in: input neurons, in four populations: left, right, recall, noise.
        n_regular: LIF neurons.
        n_adaptive: ALIF neurons.
        n_cues: cues of a trial, an odd number.
        t_cue: length of a cue in ms.
        t_cue_spacing: from one cue to the next in ms.
        t_delay: from the last cue to the recall in ms.
        t_recall: length of the recall in ms, in which the loss is taken.
        input_f0: rate of active input neurons in Hz; that of the noise is a quarter.
        do_plot: draw the figures.
        device_placement: accepted as published; it has no effect.
        seed: seed of everything random.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    return run_decisions("evidence", evidence, dict(locals()), inputs.evidence, _STIMULI)
