"""Evidence accumulation (Bellec, Scherr et al. 2020, Fig. 3)."""

import functools

from plastic import require
from plastic.eprop import inputs
from plastic.eprop.experiments import decisions, figures
from plastic.eprop.experiments.options import PLACEMENT, PLOT, PRINTED, AdaptiveNeurons, Rule, Schedule, Trials
from plastic.errors import PlasticError


@decisions.experiment(draw=figures.EVIDENCE, spellings=PRINTED | PLOT | PLACEMENT)
def evidence(
    run,
    *,
    schedule: Schedule,
    rule: Rule,
    neurons: AdaptiveNeurons,
    trials: Trials,
    n_cues: int = 7,
    t_cue_spacing: int = 150,
):
    """Accumulate evidence and decide after a delay, with LIF and ALIF neurons (Bellec, Scherr et al. 2020, Fig. 3).

    Without --eprop the rule is BPTT, as published. As long as the last validated batch was decided with an error under
    stop_crit, eight new batches are tried in every iteration, and training ends where their mean error is under it too;
    1,024 or more trials are tested (test_error in arrays.h5, one for each seed). The populations of the input are left,
    right, recall, and noise, at a quarter of input_f0. The run folder, results/eprop/evidence-..., gets config.json,
    metrics.csv, checkpoint.h5, arrays.h5 and figures. Seeds govern everything, the input spikes too. A run that has not
    reached the goal can be extended by a larger n_iter.

    Args:
        n_cues: cues of a trial, an odd number.
        t_cue_spacing: from one cue to the next in ms.
    """
    require.counts(n_cues=n_cues, t_cue_spacing=t_cue_spacing)
    if n_cues % 2 == 0:
        raise PlasticError(f"n_cues is {n_cues}: a trial of an even number may have no answer; take an odd one")
    if trials.t_cue > t_cue_spacing:
        raise PlasticError(f"t_cue is {trials.t_cue}, more than t_cue_spacing, {t_cue_spacing}: cues would overlap")
    draw = functools.partial(inputs.evidence, n_cues=n_cues, cue_spacing=t_cue_spacing)
    return decisions.train(run, draw, schedule, rule, neurons, trials, n_cues=n_cues, t_cue_spacing=t_cue_spacing)
