"""Evidence accumulation (Bellec, Scherr et al. 2020, Fig. 3)."""

import functools

from plastic import require, runs
from plastic.eprop import inputs
from plastic.eprop.experiments import decisions, figures
from plastic.eprop.experiments.adaptive_neurons import AdaptiveNeurons
from plastic.eprop.experiments.decision_options import Rule, Schedule, expect, require_trials
from plastic.eprop.experiments.spellings import PLACEMENT, PLOT, PRINTED
from plastic.errors import PlasticError


@runs.experiment(
    "eprop",
    draw=figures.EVIDENCE,
    restore=decisions.restore,
    length="n_iter",
    readable=decisions.READABLE,
    spellings=PRINTED | PLOT | PLACEMENT,
)
def evidence(
    run,
    *,
    schedule: Schedule,
    rule: Rule,
    neurons: AdaptiveNeurons,
    dt: int = 1,
    n_in: int = 40,
    n_cues: int = 7,
    t_cue: int = 100,
    t_cue_spacing: int = 150,
    t_delay: int = 1050,
    t_recall: int = 150,
    input_f0: float = 40.0,
):
    """Accumulate evidence and decide after a delay, with LIF and ALIF neurons (Bellec, Scherr et al. 2020, Fig. 3).

    Without --eprop the rule is BPTT, as published. As long as the last validated batch was decided with an error under
    stop_crit, eight new batches are tried in every iteration, and training ends where their mean error is under it too;
    four more are tested. The run folder, results/eprop/evidence-..., gets config.json, metrics.csv, checkpoint.h5,
    arrays.h5 and figures. Seeds govern everything, the input spikes too. A run that has not reached the goal can be
    extended by a larger n_iter.

    Args:
        dt: length of a step in ms; only 1 is possible, as in the published stimuli.
        n_in: input neurons, in four populations: left, right, recall, noise.
        n_cues: cues of a trial, an odd number.
        t_cue: length of a cue in ms.
        t_cue_spacing: from one cue to the next in ms.
        t_delay: from the last cue to the recall in ms.
        t_recall: length of the recall in ms, in which the loss is taken.
        input_f0: rate of active input neurons in Hz; that of the noise is a quarter.
    """
    require_trials(n_in, t_cue, t_delay, t_recall, input_f0, dt)
    require.whole("n_cues", n_cues)
    if n_cues % 2 == 0:
        raise PlasticError(f"n_cues is {n_cues}: a trial of an even number may have no answer; take an odd one")
    require.whole("t_cue_spacing", t_cue_spacing)
    if t_cue > t_cue_spacing:
        raise PlasticError(f"t_cue is {t_cue}, more than t_cue_spacing, {t_cue_spacing}: cues would overlap")
    steps = n_cues * t_cue_spacing + t_delay + t_recall
    lengths = {"n_cues": n_cues, "t_cue_spacing": t_cue_spacing, "t_delay": t_delay, "t_recall": t_recall}
    expect(run, steps, schedule, neurons, n_in, **lengths)
    draw = functools.partial(
        inputs.evidence,
        batch=schedule.n_batch,
        n_in=n_in,
        n_cues=n_cues,
        cue_length=t_cue,
        cue_spacing=t_cue_spacing,
        delay=t_delay,
        recall_length=t_recall,
        f0=input_f0,
    )
    return decisions.train(run, draw, n_in=n_in, window=t_recall, schedule=schedule, rule=rule, neurons=neurons)
