"""Store-recall: one bit kept over a delay (Bellec et al. 2018)."""

import functools

from plastic import runs
from plastic.eprop import inputs
from plastic.eprop.experiments import decisions, figures
from plastic.eprop.experiments.adaptive_neurons import AdaptiveNeurons
from plastic.eprop.experiments.decision_options import Rule, Schedule, expect, require_trials
from plastic.eprop.experiments.spellings import PLOT, PRINTED

_SCHEDULE = Schedule(n_iter=1000, learning_rate=0.003, stop_crit=0.05)
_RULE = Rule(eprop=True, feedback="random")
_NEURONS = AdaptiveNeurons(tau_a=1200.0, n_regular=20, n_adaptive=20)


@runs.experiment(
    "eprop",
    draw=figures.STORE_RECALL,
    restore=decisions.restore,
    length="n_iter",
    readable=decisions.READABLE,
    spellings=PRINTED | PLOT,
)
def store_recall(
    run,
    *,
    schedule: Schedule = _SCHEDULE,
    rule: Rule = _RULE,
    neurons: AdaptiveNeurons = _NEURONS,
    dt: int = 1,
    n_in: int = 40,
    t_cue: int = 100,
    t_delay: int = 800,
    t_recall: int = 100,
    input_f0: float = 100.0,
):
    """Store one bit, keep it over a delay, and report it, with LIF and ALIF neurons (a task of Bellec et al. 2018).

    Training and run folder, results/eprop/store_recall-..., are as for evidence; the rule is e-prop unless --no_eprop.

    Args:
        dt: length of a step in ms; only 1 is possible.
        n_in: input neurons, in four populations: zero, one, store, recall.
        t_cue: length of the cue in ms.
        t_delay: from the cue to the recall in ms.
        t_recall: length of the recall in ms, in which the loss is taken.
        input_f0: rate of active input neurons in Hz; the others fire at 10 Hz.
    """
    require_trials(n_in, t_cue, t_delay, t_recall, input_f0, dt)
    lengths = {"t_cue": t_cue, "t_delay": t_delay, "t_recall": t_recall}
    expect(run, sum(lengths.values()), schedule, neurons, n_in, **lengths)
    draw = functools.partial(
        inputs.store_recall,
        batch=schedule.n_batch,
        n_in=n_in,
        cue_length=t_cue,
        delay=t_delay,
        recall_length=t_recall,
        f0=input_f0,
    )
    return decisions.train(run, draw, n_in=n_in, window=t_recall, schedule=schedule, rule=rule, neurons=neurons)
