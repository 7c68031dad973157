"""The commands of e-prop at tiny sizes, and how the tests of the family run them."""

import functools
import re
import shlex

import command_lines
import numpy as np
from commands.case import Line

from plastic import runs
from plastic.eprop import inputs
from plastic.eprop.__main__ import COMMANDS

# trials of 80 and of 50 ms, with input enough that four neurons have something to learn from
DECISIONS = "--n_in=8 --n_regular=3 --n_adaptive=3 --n_batch=4 --input_f0=300 --tau_a=50 --learning_rate=0.02"
EVIDENCE = f"evidence {DECISIONS} --n_cues=3 --t_cue=15 --t_cue_spacing=20 --t_delay=5 --t_recall=15"
RECALL = f"store_recall {DECISIONS} --t_cue=20 --t_delay=10 --t_recall=20"
PATTERN = "pattern --n_in=10 --n_rec=8 --f0=200 --seq_len=60 --learning_rate=1e-3 --reg=10"
SHORT = "--n_iter=7 --validate_every=3 --stop_crit=0"
TINY = {
    "pattern": f"{PATTERN} --n_iter=7 --print_every=3",
    "evidence": f"{EVIDENCE} {SHORT}",
    "store_recall": f"{RECALL} {SHORT}",
}
"""Lines of seven iterations, evaluated at the iterations of `CLOCK`."""
CLOCK = (0, 3, 6, 7)


def split(*lines):
    """The words of some lines, as a shell would hand them over; an option given again replaces the earlier one."""
    words = {}
    for word in (word for line in lines for word in shlex.split(str(line))):
        name = word.partition("=")[0]
        if name.startswith("-"):  # --no_flag and --flag are one option
            name = re.sub("^-+(no_?)?(?=random_|stop_z|gradient_|do_plot|plot|eprop$)", "", name.replace("-", "_"))
        words[name.lstrip("-_")] = word
    return list(words.values())


def printed(*lines):
    """Run a command line in this process; return the lines that it printed."""
    return command_lines.printed(COMMANDS, split(*lines), "plastic.eprop")


def command(*lines, plot=False):
    """Run a command line that trains; return the folder of the run, and the other lines that were printed."""
    return command_lines.trained(COMMANDS, split(*lines, *([] if plot else ["--no_plot"])), "plastic.eprop")


def refused(*lines, code=2):
    """Run a command line that fails; return the one line of its error."""
    return command_lines.refused(COMMANDS, split(*lines), "plastic.eprop", code)


def parameters_of(folder):
    """The trained and the fixed parameters by name, without what else a checkpoint holds."""
    arrays, _ = runs.Run(folder).read_checkpoint()
    return {path.split("/")[1]: a for path, a in arrays.items() if path.startswith(("parameters/", "fixed/"))}


def drawer(folder):
    """Return draw(generator) -> trials, of the options of a run of decisions."""
    run = runs.Run(folder)
    names = {"batch": "n_batch", "n_in": "n_in", "cue_length": "t_cue", "delay": "t_delay", "recall_length": "t_recall",
             "f0": "input_f0"}  # fmt: skip
    if run.experiment == "evidence":
        names |= {"n_cues": "n_cues", "cue_spacing": "t_cue_spacing"}
    draw = getattr(inputs, run.experiment)
    return functools.partial(draw, **{name: run.options[option] for name, option in names.items()})


def traces_the_pattern(trained, run):
    """The loss of the last row is that of the predictions for the kept input and target."""
    arrays = run.arrays()
    y = trained.predict(arrays["x"][:, None])[:, 0]
    assert abs(0.5 * np.sum((y - arrays["target"]) ** 2) / run.metrics()["loss"][-1] - 1) < 1e-4


def decides(trained, run):
    """The readout of the kept trial is the prediction for it."""
    arrays = run.arrays()
    np.testing.assert_allclose(trained.predict(arrays["x"][:, None])[:, 0], arrays["y"], rtol=1e-4, atol=1e-6)
    assert trained.network.sizes == (8, 6, 2)


FIGURES = ("learning", "trial", "synapse")
WRONG_DECISIONS = {
    "--tau_v=0": "tau_v", "--tau_v=-20": "tau_v", "--tau_v=1e17": "tau_v", "--tau_a=0": "tau_a", "--tau_a=-1": "tau_a",
    "--tau_out=0": "tau_out", "--tau_out=-1e-9": "tau_out", "--n_ref=0": "n_ref is 0", "--n_ref=-1": "n_ref",
    "--t_delay=-1": "t_delay is -1", "--t_recall=0": "t_recall is 0", "--t_recall=-5": "t_recall",
    "--t_cue=0": "t_cue is 0", "--t_cue=-5": "t_cue", "--feedback=broadcast": "random", "--feedback=Random": "random",
    "--n_in=6": "multiple of 4", "--n_in=0": "n_in", "--n_in=-4": "n_in", "--dt=2": "dt is 2", "--thr=0": "thr",
    "--thr=-1": "thr", "--learning_rate=0": "learning_rate", "--learning_rate=inf": "learning_rate",
    "--learning_rate=-1": "learning_rate", "--n_iter=0": "n_iter", "--n_batch=0": "n_batch",
    "--n_batch=999999999": "n_batch 999999999", "--validate_every=0": "validate_every",
    "--print_every=x": "print_every",
    "--n_regular=0 --n_adaptive=0": "n_regular and n_adaptive are 0", "--n_regular=-1": "n_regular is -1",
    "--n_adaptive=-1": "n_adaptive is -1", "--n_regular=-1 --n_adaptive=5": "n_regular is -1",
    "--input_f0=-1": "input_f0 is -1", "--input_f0=1001": "input_f0 is 1001", "--reg_f=-1": "reg_f is -1",
    "--reg_rate=-1": "reg_rate", "--reg_rate=1001": "1000", "--beta=-1": "beta is -1",
    "--readout_decay=2": "readout_decay",
    "--readout_decay=-0.1": "readout_decay", "--dampening_factor=0": "dampening_factor",
    "--surrogate=triangle": "arctan", "--sharpness=0": "sharpness", "--eprop_impl=hardcode": "hardcoded",
    "--f_regularization_type=offline": "online", "--stop_crit=never": "never",
    "--tau_a=none": "tau_a", "--n_iter=1.5": "n_iter", "--eprop=2": "eprop", "--learning_rat=1": "learning_rate",
}  # fmt: skip

LINES = [
    Line(
        "eprop",
        "pattern",
        (*split(TINY["pattern"], "--seq_len=210")[1:],),
        figures=FIGURES,
        network=traces_the_pattern,
        longer=(("--n_iter=3",), ("--n_iter=9",)),
        seeds="--seeds",
        columns=("loss", "loss_reg", "rate"),
        wrong={
            "--n_batch=0": "n_batch", "--n_out=0": "n_out", "--n_in=0": "n_in", "--n_rec=0": "n_rec",
            "--n_rec=-3": "n_rec", "--n_iter=0": "n_iter", "--seq_len=0": "seq_len", "--print_every=0": "print_every",
            "--seq_len=9999999999": "seq_len 9999999999", "--learning_rate=0": "learning_rate",
            "--learning_rate=-1": "learning_rate", "--learning_rate=nan": "learning_rate", "--thr=0": "thr",
            "--thr=-0.1": "thr", "--dampening_factor=0": "dampening_factor", "--dt=2": "dt is 2", "--dt=0": "dt is 0",
            "--dt=0.5": "dt", "--f0=-1": "f0 is -1", "--f0=1001": "1000", "--reg=-1": "reg is -1",
            "--reg_rate=1001": "reg_rate", "--eprop_or_bptt=btpp": "bptt", "--eprop_or_bptt=BPTT": "bptt",
            "--random_feedback=maybe": "maybe", "--no_plot --do_plot": "different things",
        },
    ),
    Line(
        "eprop",
        "evidence",
        (*split(TINY["evidence"], "--eprop --feedback=adaptive --f_regularization_type=online")[1:],),
        figures=FIGURES,
        network=decides,
        longer=(("--n_iter=3",), ("--n_iter=9",)),
        seeds="--seeds",
        columns=("loss", "rate_penalty", "error", "validation_error"),
        wrong=WRONG_DECISIONS | {
            "--n_cues=2": "n_cues is 2", "--n_cues=0": "n_cues", "--n_cues=-1": "n_cues", "--t_cue=21": "t_cue is 21",
            "--t_cue_spacing=14": "t_cue_spacing, 14", "--t_cue_spacing=0": "t_cue_spacing",
            "--device_placement=maybe": "maybe", "--no_plot --do_plot": "different things",
        },
    ),
    Line(
        "eprop",
        "store_recall",
        (*split(TINY["store_recall"], "--stop_crit=0.6 --dtype=float64 --n_iter=6")[1:],),
        figures=FIGURES,
        network=decides,
        wrong=WRONG_DECISIONS | {"--n_cues=3": "n_cues", "--no_plot --do_plot": "different things"},
    ),
    Line(
        "eprop",
        "verify",
        ("--seeds=1,2",),
        arrays=False,
        trains=False,
        wrong={
            "BPTT": "factorization_vs_BPTT", "factorisation_vs_BPTT": "factorization_vs_BPTT",
            "--which=both": "hardcoded_vs_autodiff", "--tolerance=x": "tolerance", "--tolerance=-1": "tolerance is -1",
            "--tolerance=0": "tolerance of 0", "--dtype=half": "float64", "--seed=1": "seeds",
        },
    ),
]  # fmt: skip
