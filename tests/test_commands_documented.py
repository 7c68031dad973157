"""Every command that the papers' code, the README and docs/ document: each parses, and runs at a tiny size."""

import collections
import inspect
import pathlib
import re
import shlex

import numpy as np
import pytest

from plastic import cli, data, runs
from plastic.compare import __main__ as compare
from plastic.data import commands, utterances
from plastic.data.mnist1d import generate
from plastic.data.speech.recordings import Speech
from plastic.data.utterances import Corpus, Utterances
from plastic.ep import __main__ as ep
from plastic.eprop import __main__ as eprop
from plastic.gait import __main__ as gait
from plastic.gle import __main__ as gle
from plastic.gle.experiments import gsc, mnist1d
from plastic.pc import __main__ as pc
from plastic.pc.experiments import published
from plastic.report.__main__ import report
from plastic.runs.figure import figure
from plastic.runs.record import plain
from plastic.sweep import __main__ as sweep_command
from plastic.verify.__main__ import verify

PUBLISHED = """
plastic.gait --algorithm=BP --learning_rate=0.0001 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=TP --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 --nb_layers=4 --nb_epochs=100 --tower
plastic.gait --algorithm=TP --linear --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 --nb_layers=4 --nb_epochs=100
plastic.ep --action 'plotcurves' --toymodel --no-clamp --batch-size 1 --size_tab 10 50 5 --activation-function 'tanh' --dt 0.08 --beta 0.01 --T 5000 --Kmax 80
plastic.ep --action 'plotcurves' --no-clamp --batch-size 20 --size_tab 10 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.001 --T 800 --Kmax 80
plastic.ep --action 'plotcurves' --no-clamp --batch-size 20 --size_tab 10 512 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.01 --T 5000 --Kmax 150
plastic.ep --action 'plotcurves' --no-clamp --batch-size 20 --size_tab 10 512 512 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.02 --T 30000 --Kmax 200
plastic.ep --action 'plotcurves' --discrete --batch-size 20 --size_tab 10 512 784 --activation-function 'tanh' --beta 0.01 --T 150 --Kmax 10
plastic.ep --action 'plotcurves' --discrete --batch-size 1 --size_tab 10 512 512 784 --activation-function 'tanh' --beta 0.01 --T 1500 --Kmax 40
plastic.ep --action 'plotcurves' --discrete --batch-size 1 --size_tab 10 512 512 512 784 --activation-function 'tanh' --beta 0.015 --T 5000 --Kmax 40
plastic.ep --action 'plotcurves' --batch-size 1 --size_tab 10 --C_tab 64 32 1 --activation-function 'hardsigm' --beta 0.02 --T 5000 --Kmax 10
plastic.ep --action 'train' --size_tab 10 512 784 --lr_tab 0.05 0.1 --epochs 30 --T 100 --Kmax 12 --beta 0.5 --dt 0.2 --benchmark
plastic.ep --action 'train' --size_tab 10 512 512 784 --lr_tab 0.01 0.1 0.4 --epochs 50 --T 400 --Kmax 40 --beta 0.5 --dt 0.2 --benchmark
plastic.ep --action 'train' --discrete --size_tab 10 512 784 --lr_tab 0.04 0.08 --epochs 30 --T 40 --Kmax 15 --beta 0.1 --benchmark
plastic.ep --action 'train' --discrete --size_tab 10 512 512 784 --lr_tab 0.005 0.05 0.2 --epochs 50 --T 100 --Kmax 20 --beta 0.5 --benchmark
plastic.ep --action 'train' --discrete --size_tab 10 512 512 512 784 --lr_tab 0.002 0.01 0.05 0.2 --epochs 100 --T 180 --Kmax 20 --beta 0.5 --benchmark
plastic.ep --action 'train' --activation-function 'hardsigm' --C_tab 64 32 1 --size_tab 10 --lr_tab 0.015 0.035 0.15 --epochs 40 --T 200 --Kmax 10 --beta 0.4 --benchmark
plastic.ep --action 'plotcurves' --no-clamp --batch-size 1 --size_tab 10 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.001 --T 800 --Kmax 80
plastic.ep --action 'plotcurves' --no-clamp --batch-size 1 --size_tab 10 512 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.01 --T 5000 --Kmax 150
plastic.ep --action 'plotcurves' --no-clamp --batch-size 1 --size_tab 10 512 512 512 784 --activation-function 'tanh' --dt 0.08 --beta 0.02 --T 30000 --Kmax 200
plastic.ep --action 'plotcurves' --discrete --batch-size 1 --size_tab 10 512 784 --activation-function 'tanh' --beta 0.01 --T 150 --Kmax 10
plastic.ep --action 'plotcurves' --discrete --batch-size 1 --size_tab 10 512 512 784 --activation-function 'tanh' --beta 0.01 --T 1500 --Kmax 40
plastic.ep --action 'plotcurves' --discrete --batch-size 1 --size_tab 10 512 512 512 784 --activation-function 'tanh' --beta 0.015 --T 5000 --Kmax 40
plastic.ep --action 'plotcurves' --batch-size 20 --size_tab 10 --C_tab 64 32 1 --activation-function 'hardsigm' --beta 0.02 --T 5000 --Kmax 10
""".strip().splitlines()  # noqa: E501  as they are typed

PUBLISHED_EPROP = {
    "plastic.eprop verify factorization_vs_BPTT": {"which": "factorization_vs_BPTT"},
    "plastic.eprop verify hardcoded_vs_autodiff": {"which": "hardcoded_vs_autodiff"},
    "plastic.eprop pattern": {},
    "plastic.eprop evidence": {},
    "plastic.eprop evidence -feedback random -eprop -eprop_impl hardcoded -n_batch 32": {
        "feedback": "random",
        "eprop": True,
        "eprop_impl": "hardcoded",
        "n_batch": 32,
    },
    "plastic.eprop timit --task framewise --model lstm --eprop=symmetric --preproc=mfccs": {
        "task": "framewise",
        "model": "lstm",
        "eprop": "symmetric",
        "preproc": "mfccs",
    },
    "plastic.eprop timit --task framewise --model lstm": {"task": "framewise", "model": "lstm"},
    "plastic.eprop timit --task framewise --model lsnn": {"task": "framewise", "model": "lsnn"},
    "plastic.eprop atari --result_dir results": {"result_dir": "results"},
    "plastic.eprop timit --task ctc": {"task": "ctc"},
    "plastic.eprop timit --task ctc --model=lsnn": {"task": "ctc", "model": "lsnn"},
}
"""The lines as they are typed, and what they say."""

PUBLISHED_GLE = {
    "plastic.gle lagline --model='gle'": {"model": "gle"},
    "plastic.gle lagline --model='bp'": {"model": "bp"},
    "plastic.gle lagline --model='bptt_tw4'": {"model": "bptt_tw4"},
    "plastic.gle lagline --model='bptt_tw2'": {"model": "bptt_tw2"},
    "plastic.gle lagline --model='bptt_tw1'": {"model": "bptt_tw1"},
    "plastic.gle lagnet": {},
    "plastic.gle mnist1d --architecture=plastic_e2e --seed=0": {"architecture": "plastic_e2e", "seed": 0},
    "plastic.gle mnist1d --architecture=static_lagnet --seed=0": {"architecture": "static_lagnet", "seed": 0},
    "plastic.gle gsc --max-epochs=420 --seed=0": {"max_epochs": 420, "seed": 0},
}
"""The lines as they are typed, and what they say."""

README = pathlib.Path(__file__).parents[1] / "README.md"

PROGRAMS = {
    "plastic.gait": gait.COMMANDS,
    "plastic.ep": ep.COMMANDS,
    "plastic.eprop": eprop.COMMANDS,
    "plastic.gle": gle.COMMANDS,
    "plastic.pc": pc.COMMANDS | {"list": published.list_published},
    "plastic.data": {"list": commands.list_sets, "get": commands.get, "show": commands.show},
    "plastic.compare": compare.COMMANDS,
    "plastic.verify": verify,
    "plastic.sweep": sweep_command.sweep,
    "plastic.report": report,
}

PLACEHOLDERS = {"FOLDER": "folder", "NAME": "glyphs", "FILE": "file.npz", "FILE.npz": "file.npz", "N": "1"}
PLACEHOLDERS |= {"FOLDERS": "folder,another", "FILE.png": "figure.png"}


def documented(text):
    """Return the commands in the fenced code blocks of a page: ["plastic.gait --seed=1", ...]."""
    found = []
    for block in re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            words = shell_words(line) if "-m plastic." in line else []
            for start, word in enumerate(words):
                if word == "-m" and start + 1 < len(words) and words[start + 1].startswith("plastic."):
                    end = next((i for i in range(start, len(words)) if re.fullmatch(r"[&|;<>]+", words[i])), len(words))
                    found.append(shlex.join(words[start + 1 : end]))
    return found


def shell_words(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    return list(lexer)


def parsed(line):
    """Parse a command against the signature of its function; return the function and the values."""
    program, *words = [_filled(word) for word in shlex.split(line)]
    function = PROGRAMS[program]
    if isinstance(function, dict):
        name, words = cli._command(words, by="action")
        function = function[name or ("classify" if program == "plastic.compare" else "train")]
    return function, cli.parse(function, words)


def _filled(word):
    name, equals, value = word.rpartition("=")
    return name + equals + PLACEHOLDERS.get(value, value)


PIXELS = 16
"""Rows of the images of the tiny data set: enough for two convolutions of 5 x 5 with pooling."""

ABOUT_THE_HOST = ("results", "resume", "load", "device", "result_dir", "device_label", "threads")


def tiny_gait(values):
    """The options of a `plastic.gait` line, cut down to one epoch of a narrow network."""
    return {"nb_epochs": 1, "batch_size": 20} | ({"widths": (16, 12, 10)} if values.get("tower") else {})


def tiny_ep_training(values):
    """The options of training by `plastic.ep`, cut down to an epoch."""
    return tiny_ep(values) | {"epochs": 1} | ({"size_tab": (10, 6, PIXELS**2)} if values.get("toymodel") else {})


def tiny_ep(values):
    """The options of a `plastic.ep` line, cut down to a few steps of as many layers, with a few units in each."""
    sizes, channels = values.get("size_tab", (10, 512, 784)), values.get("C_tab", ())
    tiny = {"T": 6, "Kmax": 3}
    if channels:
        return tiny | {"C_tab": tuple(range(len(channels), 0, -1)), "size_tab": (10,) + (6,) * (len(sizes) - 1)}
    inputs = sizes[-1] if values.get("toymodel") else PIXELS**2
    return tiny | {"size_tab": (10,) + (6,) * (len(sizes) - 2) + (inputs,)}


def tiny_comparison(values):
    """The options of a comparison, cut down to an epoch at two rates, of a few rules."""
    return {"sizes": (12,), "rates": 2, "epochs": 1, "batch_size": 10} | (
        {"per_class": 3, "validation": 0.4} if "per_class" in values else {"validation": 0.25}
    )


def tiny_eprop(values):
    """The options of an experiment of `plastic.eprop`, cut down to a few short trials."""
    return {"n_iter": 2, "n_batch": 2, "n_in": 8}


def tiny_pattern(values):
    """The options of pattern generation, cut down."""
    return tiny_eprop(values) | {"n_rec": 6, "seq_len": 12}


def tiny_reward(values):
    """The options of delayed rewards, cut down to a few short episodes of a few neurons."""
    sizes = {"n_regular": 3, "n_adaptive": 3, "n_batch": 4, "n_iter": 2, "validate_every": 2}
    return sizes | {"t_action": 5} | ({} if "game" in values else {"t_cue": 10, "t_delay": 10, "n_moves": 3})


def tiny_trials(values):
    """The options of one decision per trial, cut down."""
    return tiny_eprop(values) | {"n_regular": 3, "n_adaptive": 3, "t_cue": 5, "t_delay": 5, "t_recall": 5}


def tiny_timit(values):
    """The options of speech recognition, cut down to an epoch of a few cells; see `tiny_speech`."""
    units = {"lstm", "rnn"} & {values.get("model"), *values} or (values.get("task") == "ctc" and "model" not in values)
    return {"n_epochs": 1, "batch": 2} | ({"n_neuron": 4} if units else {"n_regular": 3, "n_adaptive": 2})


def tiny_atari(values):
    """The options of games, cut down to two updates of a few short episodes of `catch`."""
    sizes = {"n_rec": 4, "n_filters_1": 2, "n_filters_2": 2, "n_rnn_step_factor": 2, "parallel_episodes": 2}
    lengths = {"unroll_length": 4, "max_episode_len": 6, "max_episode_len_jitter": 1, "eval_length": 3}
    return sizes | lengths | {"game": "catch", "total_environment_frames": 64, "log_every": 64, "save_every": 64}


def tiny_lagline(values):
    """The options of the lag line, cut down to 400 steps of a few samples."""
    return {"t_init": 3, "t_train": 5, "dt": 0.02, "batch_size": 2}


def tiny_lagnet(values):
    """The options of the lag net, cut down to 600 steps."""
    return {"t": 6, "start_learning_step": 300, "update_every": 100}


def tiny_mnist1d(values):
    """The options of MNIST-1D, cut down to an epoch; see `tiny_curves`."""
    return {"max_epochs": 1, "batch_size": 4} | ({"validation": 0.25} if values.get("validation") else {})


def tiny_gsc(values):
    """The options of spoken words, cut down to an epoch of narrow layers; see `tiny_words`."""
    return {"max_epochs": 1, "batch_size": 4, "hidden": 10, "n_mels": 4}


def tiny_curves(name, dtype="float32", validation=0):
    """Curves of a few steps in the place of MNIST-1D."""
    arrays, kept = generate(num_samples=20, length=12), 16 - round(16 * (validation or 0))
    x, y = arrays["x_train"].astype(dtype), arrays["y_train"]
    test, held = (arrays["x_test"].astype(dtype), arrays["y_test"]), (x[kept:], y[kept:]) if validation else None
    return data.Dataset(name=name, train=(x[:kept], y[:kept]), test=test, validation=held, classes=10)


class Noise:
    """A few short recordings."""

    labels = np.arange(6) % 3

    def __len__(self):
        return len(self.labels)

    def waves(self, indices):
        return np.random.default_rng(0).uniform(-1, 1, (6, 400)).astype("f4")[np.asarray(indices)]


def tiny_words(name, seed, full=False):
    """Noise in the place of speech."""
    sets = {split: Noise() for split in ("train", "validation", "test")}
    return Speech(name=name, rate=8000, classes=("a", "b", "c"), noise=[], **sets)


def tiny_speech(name, kind, **_):
    """Noise in the place of utterances."""
    rng = np.random.default_rng(0)

    def split(count):
        x, labels = rng.standard_normal((9 * count, 6)), np.tile(np.repeat([0, 1, 2], 3), count)
        return Utterances(x.astype("f4"), 9 * np.arange(count + 1), labels, [[0, 1]] * count)

    return Corpus(name, ("h#", "a", "b"), np.arange(3), split(4), split(2), split(2))


ON_IMAGES = pc.ON_IMAGES


SMALL = ("interference", "alignment", "prospective_index", "trajectory", "teacher", "erratic", "fear")


def tiny_small(values):
    """The options of a small experiment of `plastic.pc`."""
    return {"grid": "quick", "T": 6}


def tiny_over(values):
    """Two values of what is varied, in nets of three layers."""
    given = {"over": values.get("over", "width"), "values": {"gain": (0.5, 1.5)}.get(values.get("over"), (2, 3))}
    width = {} if given["over"] == "width" else {"width": 16}
    return {"grid": "quick", "T": 5, "layers": 3} | width | given


def tiny_consistency(values):
    """Two passes over a random pair: of images there are too few."""
    return {"grid": "quick", "T": 5, "iterations": 2, "samples": 1, "seeds": (1, 2), "dataset": "random"}


def tiny_reversal(values):
    """Three seeds of each rule."""
    return {"T": 5, "trials": 80, "seeds_pc": 3, "seeds_bp": 3}


def tiny_coin(values):
    """A block of training and one of the test, in two configurations."""
    return {"grid": "quick", "T": 5, "blocks": 1, "tests": 1, "rates": (0.1,), "memory_rates": (0.01,), "seeds": (1, 2)}


def tiny_rl(values):
    """A few episodes of a small network."""
    few = {"episodes": 3, "rates": (0.01,), "seeds": (1,), "hidden": (4,), "T": 3}
    return few | {"memory": 100, "start": 10, "batch_size": 5, "updates": 1}


def tiny_cnn(values):
    """An epoch of two batches with few channels."""
    few = {"epochs": 1, "rates": (0.01,), "seeds": (1,), "T": 2}
    return few | {"channels": (2, 3), "hidden": 4, "batch_size": 20}


def tiny_images(values):
    """The options of a grid of `plastic.pc`, cut down to an epoch of two rates and seeds."""
    return {"epochs": 1, "T": 3, "rates": (0.01, 0.001), "seeds": (1, 2)}


def tiny_depth(values):
    """Two images of a class."""
    return tiny_images(values) | {"per_class": 2}


def tiny_online(values):
    """Two batches of one and of four images."""
    return tiny_images(values) | {"batches": 2, "batch_sizes": (1, 4)}


def tiny_smalldata(values):
    """One and two images of a class."""
    return tiny_images(values) | {"per_class": (1, 2)}


def tiny_changing(values):
    """Two iterations over a few images."""
    return {"T": 3, "rates": (0.01, 0.001), "seeds": (1, 2), "iterations": 2, "per_class": 2, "batch_size": 4}


def tiny_drift(values):
    """Without the network that was trained before."""
    return tiny_changing(values) | {"pretraining_epochs": 0, "test_per_class": 2}


TINY = {
    pc.depth: tiny_depth,
    pc.online: tiny_online,
    pc.smalldata: tiny_smalldata,
    pc.forgetting: tiny_changing,
    pc.drift: tiny_drift,
    pc.alignment_over: tiny_over,
    pc.machine: lambda values: {"steps": 5},
    pc.consistency: tiny_consistency,
    pc.reversal: tiny_reversal,
    pc.coin: tiny_coin,
    pc.rl: tiny_rl,
    pc.cnn: tiny_cnn,
    **{pc.COMMANDS[name]: tiny_small for name in SMALL},
    gait.train: tiny_gait,
    ep.train: tiny_ep_training,
    ep.plotcurves: tiny_ep,
    ep.recipe: tiny_ep,
    eprop.verify: lambda values: {},
    eprop.pattern: tiny_pattern,
    eprop.evidence: tiny_trials,
    eprop.store_recall: tiny_trials,
    eprop.reward: tiny_reward,
    eprop.timit: tiny_timit,
    eprop.atari: tiny_atari,
    gle.neuron: lambda values: {"dt": 0.05},
    gle.lagline: tiny_lagline,
    gle.lagnet: tiny_lagnet,
    gle.mnist1d: tiny_mnist1d,
    gle.gsc: tiny_gsc,
    compare.classify: tiny_comparison,
    compare.sequences: tiny_comparison,
}


ON_DATA = (gait.train, ep.train, ep.plotcurves, ep.recipe, compare.classify, compare.sequences, *ON_IMAGES)
"""Commands that learn from any data set."""


def run_tiny(line, dataset):
    """Run the command of a line at a tiny size, and resume it if the line does; return the options that were given."""
    function, values = parsed(line)
    resumes = "resume" in values
    values = {name: value for name, value in values.items() if name not in ABOUT_THE_HOST}
    on_random = function is ep.plotcurves and values.get("toymodel", False)
    values |= TINY[function](values) | ({"dataset": str(dataset)} if function in ON_DATA and not on_random else {})
    plain = ["--no_plot"] * ("plot" in inspect.signature(function).parameters and "plot" not in values)
    cli.run(function, [*plain, *(f"--{name}={shown(value)}" for name, value in values.items())])
    if resumes:
        cli.run(function, [f"--resume={the_one_run(dataset).folder}"])
    return values


def shown(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The path of a data set of random images; runs go to a folder beside it, without figures."""
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("PLASTIC_DEVICE", raising=False)
    load = data.load  # one function for all families
    monkeypatch.setattr(mnist1d.data, "load", lambda name, **k: (load, tiny_curves)[name == "MNIST-1D-360"](name, **k))
    monkeypatch.setattr(gsc.speech, "load", tiny_words)
    monkeypatch.setattr(utterances, "load", tiny_speech)
    generator = np.random.default_rng(0)
    path = tmp_path / "toy.npz"
    sets = {name: generator.random((40, PIXELS, PIXELS)) for name in ("x_train", "x_test")}
    np.savez(path, **sets, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    return path


def the_one_run(toy):
    (folder,) = toy.parent.glob("results/*/*")
    return runs.Run(folder)


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_published_command_parses_as_it_stands(line):
    function, values = parsed(line)
    assert function in TINY
    options = [option for option in line.split(" --")[1:] if not option.startswith("action ")]
    assert len(values) == len(options)
    for option in options:
        name, *text = re.split("[= ]", option, maxsplit=1)
        name = name.replace("-", "_")
        if text:
            assert shown(values[name]) == ",".join(shlex.split(text[0])) or values[name] == float(text[0])
        else:
            assert values[name.removeprefix("no_")] is not name.startswith("no_")


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_published_command_runs(line, toy):
    values = run_tiny(line, toy)
    run = the_one_run(toy)
    assert run.config["status"] == "finished"
    for name, value in values.items():
        assert run.options[name] == (list(value) if isinstance(value, tuple) else value)
    signature = inspect.signature(parsed(line)[0])
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    for name in run.options.keys() & defaults.keys() - values.keys() - {"dt", "plot"}:  # dt depends on others
        assert run.options[name] == (list(defaults[name]) if isinstance(defaults[name], tuple) else defaults[name])


@pytest.mark.parametrize("line", PUBLISHED_EPROP)
def test_a_published_command_of_eprop_says_what_it_says_and_runs(line, toy, capsys):
    function, values = parsed(line)
    assert values == PUBLISHED_EPROP[line]
    run_tiny(line, toy)
    assert the_one_run(toy).config["status"] == "finished"
    if function is eprop.verify:
        assert "all within" in capsys.readouterr().out


@pytest.mark.parametrize("line", PUBLISHED_GLE)
def test_a_published_command_of_gle_says_what_it_says_and_runs(line, toy):
    function, values = parsed(line)
    assert values == PUBLISHED_GLE[line]
    given = run_tiny(line, toy)
    run = the_one_run(toy)
    assert run.config["status"] == "finished" and run.experiment == line.split()[1]
    published = {name: value for name, value in function.experiment.defaults.items() if name != "dry_run"}
    expected = {name: plain(value) for name, value in (published | given | {"plot": False}).items()}
    assert run.options == expected  # its defaults are the published ones


def test_commands_are_found_in_a_page():
    page = """
`python -m plastic.gait --in=prose`
```sh
python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m plastic.gait --seed=1  # a remark
$ PLASTIC_DEVICE=gpu python -m plastic.gait \\
    --tower --widths "10 5" > log.txt
python -m pytest; python -m plastic.data show NAME
```
    python -m plastic.gait --not=fenced
```python
from plastic import gait
```
"""
    assert documented(page) == [
        "plastic.gait --seed=1",
        "plastic.gait --tower --widths '10 5'",
        "plastic.data show NAME",
    ]


def readme_commands():
    return documented(README.read_text(encoding="utf-8")) if README.exists() else []


def commands_of_pages():
    """Those of the README, and of the pages in docs/."""
    pages = sorted((README.parent / "docs").glob("*.md"))
    return readme_commands() + [line for page in pages for line in documented(page.read_text(encoding="utf-8"))]


def test_the_readme_shows_commands():
    if not README.exists():
        pytest.skip("there is no README.md")
    for program in PROGRAMS:
        assert any(line.startswith(f"{program} ") for line in readme_commands()), program


@pytest.mark.parametrize("line", dict.fromkeys(commands_of_pages()))
def test_a_command_of_a_page_is_right(line, toy):
    assert line.split()[0] in PROGRAMS, f"this test knows no program {line.split()[0]}"
    if line.startswith("plastic.sweep "):
        return sweep_command.main([*shlex.split(line)[1:], *([] if "--dry_run" in line else ["--dry_run"])])
    if {"--help", "-h"} & set(shlex.split(line)):
        return
    function, values = parsed(line)
    if function is figure:
        return draw_together(line, values, toy)
    if function in TINY:
        run_tiny(line, toy)
    if function in TINY:
        assert the_one_run(toy).config["status"] == "finished"


PAGE = README.parent / "docs" / "prospective_configuration.md"
COMMANDS_OF_THE_PAPER = [row.command for row in published.configurations() if row.command]


FOLDERS = {
    "cnn_v2": 3,
    "coin_fig3_new": 2,
    "concept_drift": 7,
    "example_122": 13,
    "fear_conditioning": 4,
    "forgetting": 14,
    "less_erratic": 11,
    "none_batch_new_analysis": 11,
    "pc_pi_layered": 1,
    "reversal_task": 7,
    "search_depth": 5,
    "simple_dqn_new": 3,
    "small-arch-small-data": 11,
    "target_alignment": 24,
    "teacher_example_122": 1,
}
"""Published configurations by folder."""


def test_the_page_has_the_table_of_all_configurations():
    assert published.table() in PAGE.read_text(encoding="utf-8")
    names = [(row.folder, name) for row in published.configurations() for name in row.configurations.split(", ")]
    assert len(set(names)) == len(names) == 117
    assert collections.Counter(folder for folder, _ in names) == FOLDERS
    assert all(row.command or row.about for row in published.configurations())  # or the reason why there is none


def test_a_configuration_is_recorded_where_the_table_of_results_has_its_command(capsys):
    text = (README.parent / "results" / "tables" / "pc.md").read_text(encoding="utf-8")
    cli.run({"list": published.list_published}, ["list"], prog="plastic.pc")
    printed = capsys.readouterr().out
    for kind, words in (published.TABLES | {"": "no results are recorded"}).items():
        rows = [row for row in published.configurations() if row.command and row.table == kind]
        assert rows and printed.count(f"; {words}]") == len(rows)
        assert not kind or all(re.search(rf"`{row.command.split()[0]}\b", text) for row in rows)
    assert "results/tables/pc.md" in printed


def test_the_published_seeds_are_printed_as_an_option_takes_them(capsys):
    cli.run({"seeds": published.list_seeds, "list": published.list_published}, ["seeds", "4"], prog="plastic.pc")
    seeds = tuple(map(int, capsys.readouterr().out.split(",")))
    assert seeds == (1482555873, 698841058, 2283198659, 1855152618)
    assert parsed(f"plastic.pc depth --seeds={','.join(map(str, seeds))}")[1]["seeds"] == seeds
    assert len(set(published.SEEDS)) == 100 and max(published.SEEDS) < 2**32


@pytest.mark.parametrize("words", dict.fromkeys(COMMANDS_OF_THE_PAPER))
def test_the_command_of_a_configuration_parses(words):
    assert parsed(f"plastic.pc {words}")[0] in TINY


@pytest.mark.slow
@pytest.mark.parametrize("words", dict.fromkeys(COMMANDS_OF_THE_PAPER))
def test_the_command_of_a_configuration_runs(words, toy):
    run_tiny(f"plastic.pc {words}", toy)
    assert the_one_run(toy).config["status"] == "finished"


CAPABILITIES = README.parent / "results" / "capabilities.md"
CAPABLE = [
    line
    for line in re.findall(r"`python -m (plastic\.[^`]+)`", CAPABILITIES.read_text(encoding="utf-8"))
    if not line.startswith("plastic.sweep ")
]


@pytest.mark.parametrize("line", dict.fromkeys(CAPABLE))
def test_the_command_of_a_capability_parses(line):
    function, _ = parsed(line)
    assert function in TINY or function in PROGRAMS[line.split()[0]].values()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [line for line in dict.fromkeys(CAPABLE) if "--load" not in line and " list" not in line]
)
def test_the_command_of_a_capability_runs(line, toy):
    run_tiny(line, toy)
    assert the_one_run(toy).config["status"] == "finished"


ONE = {"gait": "train", "ep": "train", "eprop": "pattern", "gle": "lagline", "pc": "depth"}
"""An experiment of each family, for its figures."""


def draw_together(line, values, toy):
    """Draw as many runs as a line of `figure` names into one picture, beside the data."""
    program = line.split()[0]
    for count, _ in enumerate(values["folders"]):
        run_tiny(f"{program} {ONE[program.split('.')[1]]} --name=run{count}", toy)
    folders, out = sorted(toy.parent.glob("results/*/*")), toy.parent / "figure.png"
    cli.run(figure, [*map(str, folders), f"--out={out}"])
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in toy.parent.glob("figure*.png"))
    assert list(toy.parent.glob("figure*.png"))
