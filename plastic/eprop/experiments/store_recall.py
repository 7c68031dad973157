"""Store-recall: one bit kept over a delay (Bellec et al. 2018)."""

from plastic.eprop import inputs
from plastic.eprop.experiments import decisions, figures
from plastic.eprop.experiments.options import PLOT, PRINTED, AdaptiveNeurons, Rule, Schedule, Trials

_SCHEDULE = Schedule(n_iter=1000, learning_rate=0.003, stop_crit=0.05)
_RULE = Rule(eprop=True, feedback="random")
_NEURONS = AdaptiveNeurons(tau_a=1200.0, n_regular=20, n_adaptive=20)
_TRIALS = Trials(t_delay=800, t_recall=100, input_f0=100.0)


@decisions.experiment(draw=figures.STORE_RECALL, spellings=PRINTED | PLOT)
def store_recall(
    run,
    *,
    schedule: Schedule = _SCHEDULE,
    rule: Rule = _RULE,
    neurons: AdaptiveNeurons = _NEURONS,
    trials: Trials = _TRIALS,
):
    """Store one bit, keep it over a delay, and report it, with LIF and ALIF neurons (a task of Bellec et al. 2018).

    Training and run folder, results/eprop/store_recall-..., are as for evidence; the rule is e-prop unless --no_eprop.
    The populations of the input are zero, one, store and recall; a neuron that is not active fires at 10 Hz.
    """
    return decisions.train(run, inputs.store_recall, schedule, rule, neurons, trials, t_cue=trials.t_cue)
