"""Pattern generation (Bellec, Scherr et al. 2020, Fig. S7): LIF neurons learn to trace one target from frozen input."""

from typing import Literal

import numpy as np

from plastic import training, xp
from plastic.eprop import figures, inputs, rules, signals
from plastic.eprop.running import check_step, run_spiking_task
from plastic.eprop.spiking import decay
from plastic.eprop.training_task import TAU_PATTERN, SpikingTask, one_of, pattern_neurons, squared_error
from plastic.errors import PlasticError
from plastic.optimizers import SGD
from plastic.runs.options import check_above_zero, check_at_least_one, check_between, check_seeds, resumed, seed_names


class Task(SpikingTask):
    """Gradient descent on 1/2 sum (y - y*)^2 + reg/2 sum (av - f0)^2; each seed has its own input and target."""

    def __init__(self, options):
        optimizer, n_out = SGD(options["learning_rate"]), options["n_out"]
        super().__init__(options, pattern_neurons(options), optimizer, n_out, decay(TAU_PATTERN), glorot=False)
        sizes = options["seq_len"], options["n_batch"], options["n_in"], options["n_out"]
        drawn = [inputs.pattern(each.data, *sizes, rate=options["f0"]) for each in self.generators]
        x, target = (np.stack(arrays) if len(drawn) > 1 else arrays[0] for arrays in zip(*drawn, strict=True))
        self.x, self.target = xp.asarray(x), xp.asarray(target)

    def loss(self, record, stimuli):
        """Half the summed squared error."""
        return squared_error(record.output, self.target)

    def penalty(self, z):
        """The regulariser of firing rates."""
        return signals.rate_penalty(z, self.options["reg_rate"] / 1000, self.options["reg"] / 2)

    def train(self, run):
        """Train as the options say, or go on from the checkpoint."""
        self.fit(
            run, training.Frozen(self.x), self.step, self.evaluate, self.options["n_iter"], self.options["print_every"]
        )

    def step(self, x, number):
        """Learn once; return the loss of every seed."""
        loss, _, _ = self.learn(x, None)
        return loss

    def evaluate(self):
        """Return the loss, the regulariser without its strength, and the mean rate in Hz, of the present weights."""
        record = rules.simulate(self.network, self.x)
        loss, _ = self.loss(record, None)
        penalty, _ = signals.rate_penalty(record.z, self.options["reg_rate"] / 1000, 0.5)
        rate = 1000 * xp.mean(record.z, axis=(-3, -2, -1), dtype=xp.float_dtype)
        return {"loss": loss, "loss_reg": penalty, "rate": rate}

    def one(self, replica):
        """Return (network, input, target) of one seed."""
        network = one_of(self.network, replica, len(self.seeds))
        return network, *((self.x, self.target) if len(self.seeds) == 1 else (self.x[replica], self.target[replica]))

    def check_gradient(self):
        """Raise PlasticError unless e-prop online and by the sweep back in time agree, to 1e-4 of the largest entry."""
        record = rules.simulate(self.network, self.x)
        _, err = self.loss(record, None)
        _, R = self.penalty(record.z)
        forms = rules.eprop_gradients, rules.online_gradients
        pair = [form(self.network, record, err, R, feedback=self.feedback) for form in forms]
        for name in ("W_in", "W_rec"):
            difference, largest = (
                float(xp.asnumpy(xp.max(xp.abs(each)))) for each in (pair[0][name] - pair[1][name], pair[0][name])
            )
            if not difference <= 1e-4 * largest:
                raise PlasticError(f"gradient_check: two forms of e-prop differ by {difference:.1e} in {name}")


def pattern(
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
    do_plot: bool = True,
    random_feedback: bool = True,
    stop_z_gradients: bool = True,
    gradient_check: bool = True,
    eprop_or_bptt: Literal["eprop", "bptt"] = "eprop",
    seed: int = 1,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Learn to trace a pattern by e-prop or BPTT with LIF neurons (Bellec, Scherr et al. 2020, Fig. S7).

    The run folder, results/eprop/pattern-..., gets config.json, metrics.csv (loss; loss_reg, half the summed squares of
    rate - reg_rate in spikes per ms; mean rate in Hz), checkpoint.h5, arrays.h5 and figures. Seeds govern everything,
    the input spikes too.

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
        do_plot: draw the figures.
        random_feedback: learning signals come down by a fixed random matrix, rather than by the readout weights.
        stop_z_gradients: with eprop_or_bptt=bptt, take spikes for constants, which makes it e-prop with symmetric
            feedback; as published, BPTT needs --nostop_z_gradients.
        gradient_check: with seq_len up to 20, compare the two forms of e-prop first.
        eprop_or_bptt: the rule.
        seed: seed of everything random.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(pattern, options, "eprop", "pattern")
    check_seeds(options)
    check_at_least_one(options, "n_batch", "n_out", "n_in", "n_rec", "n_iter", "seq_len", "print_every")
    check_above_zero(options, "learning_rate", "thr", "dampening_factor")
    check_step(options)
    check_between(options, "reg_rate", 0, 1000)
    check_between(options, "reg", 0)
    check_between(options, "f0", 0, 1000)
    backprop = options["eprop_or_bptt"] == "bptt"
    random = options["random_feedback"] and not backprop
    rule = {
        "rule": "bptt" if backprop and not options["stop_z_gradients"] else "eprop",
        "learning_signals": "random" if random else "symmetric",
    }
    options |= rule | {"n_regular": options["n_rec"], "n_adaptive": 0}

    readable = f"{rule['rule']}-{rule['learning_signals']}-{seed_names(options)}"
    return run_spiking_task("pattern", options, readable, lambda: _prepared(options), figures.keep_pattern, _report)


def _prepared(options):
    task = Task(options)
    if options["gradient_check"] and options["seq_len"] <= 20:
        task.check_gradient()
    return task


def _report(run, _):
    metrics = run.metrics()
    steps, loss = np.array(metrics["step"]), np.array(metrics["loss"])
    print(f"loss {loss[steps == steps[-1]].mean():.4g} (at first {loss[steps == 0].mean():.4g})")
