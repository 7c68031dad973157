"""Pattern generation (Bellec, Scherr et al. 2020, Fig. S7): LIF neurons learn to trace one target from frozen input."""

import functools
from typing import Literal

import numpy as np

from plastic import parameters, require, runs, training, xp
from plastic.data.sources import Repeated
from plastic.eprop import gradients, inputs, signals
from plastic.eprop.experiments import figures, one_trial
from plastic.eprop.experiments.decisions import rate_range
from plastic.eprop.experiments.options import PLOT, require_step
from plastic.eprop.experiments.plastic_network import PlasticNetwork, entries, published_weights, restored
from plastic.eprop.experiments.verify import compared
from plastic.eprop.spiking import Neurons, decay
from plastic.errors import PlasticError
from plastic.optimizers import SGD

_READABLE = "{rule}-{learning_signals}-{seeds}"
_CHECKED = 20  # steps of the longest sequence in which the gradient is checked
KAPPA = decay(30.0)
"""Decay of the membrane and of the readout: both have a time constant of 30 ms."""


def restore(arrays, *, thr, dampening_factor, **_):
    """Return (network, predict) from the `arrays` of a checkpoint and two options of its run; see `plastic.load`.

    predict(x) takes spikes (T, batch, n_in) of the host to the readouts in every step, (..., T, batch, n_out), from
    rest.
    """
    return restored(arrays, _neurons(thr, dampening_factor), KAPPA)


@runs.experiment(
    "eprop",
    draw=figures.PATTERN,
    restore=restore,
    length="n_iter",
    readable=_READABLE,
    together=True,
    rate="learning_rate",
    spellings=PLOT,
)
def pattern(
    run,
    *,
    n_batch: int = 1,
    n_out: int = 1,
    n_in: int = 100,
    n_rec: int = 100,
    f0: float = 50.0,
    reg_rate: float = 10.0,
    n_iter: int = 2000,
    seq_len: int = 1000,
    print_every: int = 10,
    dampening_factor: float = 0.3,
    learning_rate: float = 1e-4,
    reg: float = 300.0,
    dt: int = 1,
    thr: float = 0.03,
    random_feedback: bool = True,
    stop_z_gradients: bool = True,
    gradient_check: bool = True,
    eprop_or_bptt: Literal["eprop", "bptt"] = "eprop",
):
    """Learn to trace a pattern by e-prop or BPTT with LIF neurons (Bellec, Scherr et al. 2020, Fig. S7).

    Gradient descent on 1/2 sum (y - y*)^2 + reg/2 sum (rate - reg_rate)^2; each seed has its own input and target. The
    run folder, results/eprop/pattern-..., gets config.json, metrics.csv (loss; loss_reg, half the summed squares of
    rate - reg_rate in spikes per ms; least, mean and largest rate in Hz), checkpoint.h5, arrays.h5 and figures. Seeds
    govern everything, the input spikes too.

    Args:
        n_batch: rows of the batch; all have the same target.
        n_out: readouts.
        n_in: input neurons.
        n_rec: recurrent neurons.
        f0: rate of the input neurons in Hz.
        reg_rate: target rate of the recurrent neurons in Hz.
        n_iter: iterations.
        seq_len: steps of 1 ms; a target shorter than 200 is 0 throughout.
        print_every: iterations between two rows of metrics.csv.
        dampening_factor: gamma, the height of the pseudo-derivative.
        learning_rate: of gradient descent.
        reg: strength of the regulariser of rates.
        dt: length of a step in ms; only 1 is possible, as in the published stimuli.
        thr: threshold.
        random_feedback: learning signals come down by a fixed random matrix, rather than by the readout weights.
        stop_z_gradients: with eprop_or_bptt=bptt, take spikes for constants, which makes it e-prop with symmetric
            feedback; as published, BPTT needs --nostop_z_gradients.
        gradient_check: with seq_len up to 20, compare the two forms of e-prop first.
        eprop_or_bptt: the rule.
    """
    require_step(dt)
    sized_by = {"n_batch": n_batch, "n_out": n_out, "n_in": n_in, "n_rec": n_rec, "seq_len": seq_len}
    require.counts(**sized_by, n_iter=n_iter, print_every=print_every)
    sizes = n_in, n_rec, n_out
    run.expect(entries(sizes, seq_len, n_batch) * len(run.seeds), **sized_by)
    for name, value in {"learning_rate": learning_rate, "thr": thr, "dampening_factor": dampening_factor}.items():
        require.number(name, value, above=0)
    require.number("reg", reg, least=0)
    require.number("reg_rate", reg_rate, least=0, most=1000)
    require.number("f0", f0, least=0, most=1000)
    backprop = eprop_or_bptt == "bptt"
    run.require_used(
        stop_z_gradients=not backprop and "--eprop_or_bptt=bptt",
        random_feedback=backprop and "--eprop_or_bptt=eprop",
        gradient_check=seq_len > _CHECKED and f"--seq_len up to {_CHECKED}",
    )
    rule = "bptt" if backprop and not stop_z_gradients else "eprop"
    signals_by = "random" if random_feedback and not backprop else "symmetric"
    run.fill(rule=rule, learning_signals=signals_by)

    generators = run.generators()
    drawn = [inputs.pattern(each.data, seq_len, n_batch, n_in, n_out, f0) for each in generators]
    x, target = (parameters.stack_replicas([xp.asarray(array) for array in each]) for each in zip(*drawn, strict=True))
    draws = [published_weights(each.init, sizes, signals_by, False) for each in generators]
    neurons, optimizer = _neurons(thr, dampening_factor), SGD(run.rate("learning_rate"))
    network = PlasticNetwork(draws, neurons, KAPPA, optimizer, rule=rule, learning_signals=signals_by)
    loss = functools.partial(squared_error, target=target)
    penalty = functools.partial(signals.rate_penalty, target=reg_rate / 1000, strength=reg / 2)
    if gradient_check and seq_len <= _CHECKED:
        check_gradient(network, x, loss, penalty)
    training.fit(
        run,
        network.state,
        Repeated(x),
        lambda x, number: network.step(x, loss, penalty)[0],
        steps=n_iter,
        evaluate=functools.partial(_evaluate, network, x, loss, reg_rate),
        evaluate_every=print_every,
        advice="try a smaller learning_rate, reg or dampening_factor, or a larger thr",
    )
    run.save_arrays(_trial(network, *((x, target) if len(draws) == 1 else (x[0], target[0]))))
    metrics = run.metrics()
    steps, losses = np.array(metrics["step"]), np.array(metrics["loss"])
    return [f"loss {losses[steps == steps[-1]].mean():.4g} (at first {losses[steps == 0].mean():.4g})"]


def squared_error(output, target):
    """Return (loss, err) of 1/2 sum over batch, time and outputs of (y - y*)^2, y the `output`, y* the `target`.

    The published loss is this sum, and its learning rate and regulariser belong to it; `signals.regression` is the mean
    over batch and time.
    """
    err = output - target
    return 0.5 * xp.sum(err * err, axis=(-3, -2, -1)), err


def check_gradient(network, x, loss, penalty):
    """Raise PlasticError unless e-prop online and by the sweep back in time agree, to 1e-4 of the largest entry.

    network: a `PlasticNetwork`. x: input. loss: of the output to (loss, err). penalty: of the spikes to (penalty, R).
    """
    record = gradients.simulate(network.network, x)
    arguments = network.network, record, loss(record.output)[1], penalty(record.z)[1]
    forms = gradients.online_gradients, gradients.eprop_gradients
    online, swept = (form(*arguments, feedback=network.feedback) for form in forms)
    for name, (difference, largest) in compared(online, swept).items():
        if not difference <= 1e-4 * largest:
            raise PlasticError(f"gradient_check: two forms of e-prop differ by {difference:.1e} in {name}")


def _neurons(thr, dampening_factor):
    return Neurons(KAPPA, thr, gamma=dampening_factor, gain=1 - KAPPA)


def _evaluate(network, x, loss, reg_rate):
    """Return the loss, the regulariser without its strength, and rates in Hz, of the present weights."""
    record = network.simulate(x)
    value, _ = loss(record.output)
    penalty, _ = signals.rate_penalty(record.z, reg_rate / 1000, 0.5)
    rates = rate_range(record.z)
    rates["rate"] = rates.pop("rate_mean")
    return {"loss": value, "loss_reg": penalty} | rates


def _trial(network, x, target):
    """Return what the figures show of the first seed, for its input and target."""
    first = functools.partial(squared_error, target=target[:, :1])
    return one_trial.arrays(*network.one(0), x, first) | {"target": np.array(xp.asnumpy(target[:, 0]))}
