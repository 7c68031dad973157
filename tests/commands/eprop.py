"""The commands of e-prop at tiny sizes, and how the tests of the family run them."""

import functools
import re
import shlex

import command_lines
import numpy as np
from commands.case import Line

from plastic import runs
from plastic.data.speech import clips
from plastic.eprop import inputs
from plastic.eprop.__main__ import COMMANDS

# trials of 80 and of 50 ms, with input enough that four neurons have something to learn from
DECISIONS = "--n_in=8 --n_regular=3 --n_adaptive=3 --n_batch=4 --input_f0=300 --tau_a=50 --learning_rate=0.02"
EVIDENCE = f"evidence {DECISIONS} --n_cues=3 --t_cue=15 --t_cue_spacing=20 --t_delay=5 --t_recall=15"
REWARD = (
    "reward --n_regular=3 --n_adaptive=3 --n_batch=4 --t_cue=10 --t_delay=10 --t_action=5 --n_moves=3 --input_f0=300 "
    "--validate_every=3 --stop_crit=2"
)
ATARI = (
    "atari --game=catch --workers=0 --n_rec=6 --n_filters_1=2 --n_filters_2=2 --n_rnn_step_factor=2 "
    "--parallel_episodes=3 --unroll_length=4 --max_episode_len=7 --max_episode_len_jitter=2 --eval_length=6 "
    "--total_environment_frames=240 --log_every=96 --save_every=48 --learning_rate=0.1"
)
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


def acts(trained, run):
    """The readout of the kept episode is the prediction for its input."""
    arrays = run.arrays()
    np.testing.assert_allclose(trained.predict(arrays["x"][:, None])[:, 0], arrays["y"], rtol=1e-4, atol=1e-5)
    assert trained.network.sizes == (20, 6, 3)


def plays(trained, run):
    """The last of the readouts of the kept episode's first screen is the prediction for it."""
    arrays = run.arrays()
    screens = arrays["screens"][:1, None] / np.float32(255)
    found, expected = trained.predict(screens.astype("f4"))[0, 0], arrays["output"][run.option("n_rnn_step_factor") - 1]
    np.testing.assert_allclose(found, expected, atol=0.05)  # screens are kept in 256 steps
    assert trained.network.shapes == [(20, 20, 2), (17, 17, 2)] and -5 <= arrays["test_score"] <= 5


def decides(trained, run):
    """The readout of the kept trial is the prediction for it."""
    arrays = run.arrays()
    np.testing.assert_allclose(trained.predict(arrays["x"][:, None])[:, 0], arrays["y"], rtol=1e-4, atol=1e-6)
    assert trained.network.sizes == (8, 6, 2)


def spoken(folder):
    """Make a set of three digits by three speakers in a folder, noise of 30 ms whose loudness is the digit's."""
    rng = np.random.default_rng(0)
    names = [f"recordings/{digit}_{who}_{n}.wav" for digit in range(3) for who in ("a", "b", "c") for n in range(4)]
    waves = np.zeros((len(names), 8000), "<i2")
    waves[:, :240] = [10.0 ** (1 + int(name[11])) * (1 + rng.random(240)) for name in names]
    clips.write(folder / "fsdd.h5", 8000, names, [clips.checksum(wave) for wave in waves], [], waves)
    return folder


def hears(trained, run):
    """The probabilities of the kept utterance are the softmax of the prediction for it."""
    arrays = run.arrays()
    logits = trained.predict(arrays["x"][:, None])[:, 0]
    probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(probability, arrays["probability"], rtol=1e-4, atol=1e-6)
    assert trained.network.sizes[0] == 39 and len(arrays["labels"]) == len(logits)


FIGURES = ("learning", "trial", "synapse", "traces")
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
    "--surrogate=triangle": "arctan", "--sharpness=0": "sharpness",
    "--eprop_impl=hardcode": "hardcoded", "--f_regularization_type=offline": "online", "--stop_crit=never": "never",
    "--eprop=false --feedback=adaptive": "feedback is adaptive, which does nothing without --eprop",
    "--eprop=false --eprop_impl=hardcoded": "eprop_impl is hardcoded, which does nothing without --eprop",
    "--eprop --feedback=symmetric --readout_decay=0.1": "readout_decay is 0.1, which does nothing without --eprop --fe",
    "--reg_f=0 --reg_rate=20 --f_regularization_type=simple": "reg_rate is 20.0, which does nothing without --reg_f",
    "--reg_f=0 --f_regularization_type=online": "f_regularization_type is online, which does nothing without --reg_f",
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
            "--nostop_z_gradients": "stop_z_gradients is False, which does nothing without --eprop_or_bptt=bptt",
            "--norandom_feedback --eprop_or_bptt=bptt": "random_feedback is False, which does nothing without",
            "--nogradient_check": "gradient_check is False, which does nothing without --seq_len up to 20",
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
            "--eprop=false --feedback=random": "BPTT",
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
        "reward",
        (*split(REWARD, "--n_iter=7")[1:],),
        figures=FIGURES,
        network=acts,
        longer=(("--n_iter=3",), ("--n_iter=9",)),
        columns=("loss", "rate_penalty", "training_reward", "rate_mean", "reward"),
        wrong={
            "--game=chess": "cartpole", "--rule=sarsa": "no_traces", "--rule=bptt --feedback=random": "BPTT",
            "--t_action=0": "t_action is 0", "--n_moves=2": "n_moves is 2", "--n_moves=0": "n_moves",
            "--t_delay=-1": "t_delay is -1", "--t_cue=0": "t_cue is 0", "--input_f0=1001": "input_f0",
            "--discount=1.1": "discount", "--entropy_cost=-1": "entropy_cost", "--baseline_cost=-1": "baseline_cost",
            "--learning_rate=0": "learning_rate", "--n_iter=0": "n_iter", "--n_batch=0": "n_batch",
            "--n_batch=999999999": "n_batch 999999999", "--reg_rate=1001": "reg_rate", "--reg_f=-1": "reg_f",
            "--validate_every=0": "validate_every", "--readout_decay=2": "readout_decay", "--seeds=1,2": "seed",
            "--readout_decay=0.1": "readout_decay is 0.1, which does nothing without --feedback=adaptive",
            "--reg_f=0 --reg_rate=20": "reg_rate is 20.0, which does nothing without --reg_f",
            "--game=cartpole --n_moves=3": "which does nothing without --game=delayed",
        },
    ),
    Line(
        "eprop",
        "timit",
        (
            "--preproc=mfccs", "--n_regular=3", "--n_adaptive=2", "--n_layer=2", "--batch=2", "--n_epochs=3",
            "--eprop=adaptive", "--drop_out_probability=0.8", "--print_every=-1", "--noise_step_start=1",
            "--input_noise=0.1", "--w_noise=0.01", "--truncT=30",
        ),
        data=spoken,
        variables={"PLASTIC_DATASETS": "{data}"},
        figures=("learning", "utterance"),
        network=hears,
        longer=(("--n_epochs=1",), ("--n_epochs=3",)),
        wrong={
            "--task=framwise": "framewise", "--model=lsn": "lsnn", "--eprop=symetric": "symmetric",
            "--preproc=mfcc": "mfccs", "--dataset=timit_processed": "TIMIT", "--dataset=TIMIT": "--timit=FOLDER",
            "--timit=nowhere": "timit", "--timit=nowhere --dataset=FSDD": "leave one out",
            "--reduced_phns": "digits are not folded",
            "--n_neuron=5": "n_neuron is 5, but --task=framewise --model=lsnn has no such option",
            "--model=lstm": "n_regular is 3", "--task=ctc --model=lsnn": "truncT is 30",
            "--n_layer=0": "n_layer is 0", "--n_repeat=0": "n_repeat", "--n_ref=0": "n_ref", "--thr=0": "thr",
            "--tau_v=0": "tau_v", "--tau_a=-1": "tau_a", "--tau_out=0": "tau_out", "--beta=-1": "beta",
            "--dampening_factor=0": "dampening_factor", "--n_regular=0 --n_adaptive=0": "one neuron or more",
            "--n_regular=-1": "n_regular", "--readout_decay=2": "readout_decay", "--n_epochs=0": "n_epochs",
            "--batch=0": "batch", "--batch=999": "a batch of 999", f"--batch={10**11}": f"batch {10**11}",
            "--test_batch=0": "test_batch", "--print_every=0": "print_every", "--beam_width=0": "beam_width",
            "--optimizer=adamw": "adam", "--momentum=1": "momentum", "--adam_epsilon=0": "adam_epsilon",
            "--lr_init=0": "lr_init", "--lr_decay=0": "lr_decay", "--lr_decay_every=-2": "lr_decay_every",
            "--l2=-1": "l2", "--reg=-1": "reg", "--reg_rate=1001": "reg_rate", "--grad_clip=-1": "grad_clip",
            "--drop_out_probability=1.5": "drop_out_probability", "--drop_out_probability=0": "drop_out_probability",
            "--truncT=0": "truncT", "--input_noise=-1": "input_noise", "--w_noise=-1": "w_noise",
            "--gd_noise=-1": "gd_noise", "--noise_step_start=-2": "noise_step_start",
            "--noise_epoch_start=1": "noise_epoch_start", "--peephole": "peephole", "--init_scale=0.1": "init_scale",
            "--no_loss_from_all_layers": "no learning signals for layers unread", "--clean=maybe": "clean",
            "--no_adam --optimizer=adam": "different things", "--n_lstm=4": "n_neuron is 4",
            "--eprop=random --readout_decay=0.1": "readout_decay is 0.1, which does nothing without --eprop=adaptive",
            "--eprop=none --BAglobal": "BAglobal", "--eprop=symmetric --BAglobal": "--eprop=random or adaptive",
            "--no_psp_out --tau_out=5": "tau_out is 5.0, which does nothing without --psp_out",
            "--gd_noise=0 --input_noise=0 --w_noise=0": "noise_step_start is 1, which does nothing without --input_noi",
 "--beam_width=3": "--task=ctc", "--momentum=0.5": "--optimizer=sgd",
            "--optimizer=sgd --adam_epsilon=1e-3": "adam_epsilon", "--lr_decay=0.5": "--lr_decay_every",
            "--reg=0 --reg_rate=20": "reg_rate is 20.0", "--noise_step_start=-1": "input_noise is 0.1",
            "--noise_step_start=-1 --input_noise=0": "w_noise is 0.01",
            "--noise_step_start=-1 --input_noise=0 --w_noise=0 --gd_noise=1": "gd_noise is 1",
            "--no_lstm": "n_regular is 3", "--task=ctc --model=rnn": "takes lsnn or lstm",
        },
    ),
    Line(
        "eprop",
        "timit",
        (
            "--task=ctc", "--preproc=mfccs", "--n_neuron=3", "--n_layer=2", "--batch=2", "--test_batch=2",
            "--n_epochs=2", "--beam_width=2", "--eprop=random", "--optimizer=rmsprop",
        ),
        data=spoken,
        variables={"PLASTIC_DATASETS": "{data}"},
        figures=("learning", "utterance"),
        network=hears,
        wrong={"--n_regular=3": "n_regular is 3", "--reg=1": "reg is 1", "--truncT=30": "truncT is 30",
               "--noise_step_start=1": "noise_step_start is 1", "--noise_epoch_start=-1": "noise_epoch_start",
               "--noise_epoch_start=1": "noise_epoch_start is 1, which does nothing without --input_noise",
               "--no_peephole": "peephole is False, which does nothing without --eprop=none",
               "--clean --peephole=false": "peephole is False, which does nothing without --eprop=none"},
    ),
    Line(
        "eprop",
        "atari",
        (*split(ATARI)[1:],),
        figures=("performance", "value", "episode"),
        network=plays,
        longer=(("--total_environment_frames=96",), ("--total_environment_frames=288",)),
        columns=("loss", "rate_penalty", "voltage_penalty", "rate_mean", "score", "frames", "evaluation_score"),
        wrong={
            "--game=cach": "catch", "--game=cartpole": "plastic.eprop reward --game=cartpole",
            "--workers=-1": "workers is -1", "--seeds=1,2": "seed",
            "--level_name=atari/pong": "level_name atari/pong and game catch say different things",
            "--total_environment_frames=0": "total_environment_frames", "--parallel_episodes=0": "parallel_episodes",
            "--parallel_episodes=999999999": "parallel_episodes 999999999", "--unroll_length=0": "unroll_length",
            "--num_action_repeats=0": "num_action_repeats", "--max_episode_len=0": "max_episode_len",
            "--max_episode_len_jitter=7": "it must be below max_episode_len", "--max_episode_len_jitter=-1": "jitter",
            "--increase_episode_len_every=0": "increase_episode_len_every", "--log_every=0": "log_every",
            "--increase_episode_len_by=-1": "increase_episode_len_by", "--save_every=0": "save_every",
            "--eval_length=0": "eval_length", "--n_rec=0": "n_rec", "--fraction_adaptive=1.1": "fraction_adaptive",
            "--n_rnn_step_factor=0": "n_rnn_step_factor", "--n_filters_1=0": "n_filters_1", "--stride_2=0": "stride_2",
            "--n_kernel_1=85": "n_kernel_1 is 85; what it sees has 84 rows", "--n_kernel_2=21": "has 20 rows",
            "--avg_pool_1=21": "avg_pool_1 is 21; the maps have 20 rows", "--avg_pool_2=18": "have 17 rows",
            "--avg_pool_stride_1=0": "avg_pool_stride_1", "--tau=0": "tau", "--thr=0": "thr", "--beta=-1": "beta",
            "--tau_adaptation=0": "tau_adaptation", "--n_refractory=0": "n_refractory", "--tau_scnn=0": "tau_scnn",
            "--thr_scnn=0": "thr_scnn", "--tau_readout=0": "tau_readout", "--learning_rate=0": "learning_rate",
            "--epsilon=0": "epsilon", "--learning_rate_decay=0": "learning_rate_decay", "--decay_every=0": "decay",
            "--discounting=1.1": "discounting", "--entropy_cost=-1": "entropy_cost", "--baseline_cost=-1": "baseline",
            "--rate_cost=-1": "rate_cost", "--voltage_cost_rnn=-1": "voltage_cost_rnn",
            "--use_eprop=maybe": "use_eprop", "--voltage_cost_cnn=-1": "voltage_cost_cnn",
            "--reg_factor_cnn=0": "reg_factor_cnn",
            "--no_avg_ba_cnn --avg_pool_1=7": "avg_pool_1 is 7, which does nothing without --avg_ba_cnn",
            "--no_avg_ba_cnn --reg_factor_cnn=7": "reg_factor_cnn is 7.0, which does nothing without --avg_ba_cnn",
            "--decay_every=100": "decay_every is 100.0, which does nothing without --learning_rate_decay",
            "--increase_episode_len_by=0 --no_use_cubic_schedule": "--increase_episode_len_by; leave it out",
            "--no_resume_max_episode_len": "which does nothing without --restore_from",
            "--restore_from=nowhere": "nowhere", "--restore_cnn_from=nowhere": "nowhere",
        },
    ),
    Line(
        "eprop",
        "verify",
        ("--seeds=1,2",),
        figures=("gradients", "trial"),
        trains=False,
        wrong={
            "BPTT": "factorization_vs_BPTT", "factorisation_vs_BPTT": "factorization_vs_BPTT",
            "--which=both": "hardcoded_vs_autodiff", "--tolerance=x": "tolerance", "--tolerance=-1": "tolerance is -1",
            "--tolerance=0": "tolerance of 0", "--dtype=half": "float64", "--seed=1": "seeds",
        },
    ),
]  # fmt: skip
