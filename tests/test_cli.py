"""The command line: every spelling of a value, every error before any work, Fire's path, and the help."""

import contextlib
import inspect
import io
import os
import pathlib
import shlex
import subprocess
import sys
import types
import typing
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plastic import cli
from plastic.errors import PlasticError


def options(
    *,
    algorithm: Literal["BP", "GAIT", "TP"] = "BP",
    dataset: str = "MNIST",
    load: str | None = None,
    n_batch: int = 60,
    seed: int | None = None,
    T: int = 100,
    learning_rate: float = 1e-4,
    gamma: float | None = None,
    tower: bool = False,
    clamp: bool = True,
    no_bias: bool = False,
    nb_epochs: int = 100,
    noise: bool = False,
    shuffle: bool | None = None,
    size_tab: tuple[int, ...] = (10,),
    widths: tuple[int, ...] | None = None,
    lr_tab: tuple[float, ...] = (0.1,),
    names: tuple[str, ...] = (),
    rate: float | tuple[float, ...] = 0.1,
):
    """Every kind of option."""
    return dict(locals())


def get(name: str, count: int, *, force: bool = False, sizes: tuple[int, ...] = ()):
    """Two arguments by position."""


def recorder(function):
    """A function of the same signature, and the list of the arguments of its calls."""
    calls = []

    def record(*arguments, **keywords):
        bound = inspect.signature(function).bind(*arguments, **keywords)
        bound.apply_defaults()
        calls.append(dict(bound.arguments))
        return "a result that must not be printed"

    record.__signature__ = inspect.signature(function)
    return record, calls


def run(commands, argv):
    """Return (exit code, stdout, stderr) of a command line."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.run(commands, argv, prog="plastic.test")
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def same(found, expected):
    """Equal dicts with equal types: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    return repr(sorted(found.items())) == repr(sorted(expected.items()))


# Spellings


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--n_batch=3", {"n_batch": 3}),
        ("--n-batch=3", {"n_batch": 3}),
        ("-n_batch=3", {"n_batch": 3}),
        ("-n-batch 3", {"n_batch": 3}),
        ("--n_batch 3", {"n_batch": 3}),
        ("--n_batch=-3", {"n_batch": -3}),
        ("--n_batch -3", {"n_batch": -3}),
        ("--n_batch=+007", {"n_batch": 7}),
        ("-T 5", {"T": 5}),
        ("--learning_rate=1e-4", {"learning_rate": 1e-4}),
        ("--learning-rate -0.1", {"learning_rate": -0.1}),
        ("--learning-rate -.5E+1", {"learning_rate": -5.0}),
        ("--learning_rate=3", {"learning_rate": 3.0}),
        ("--learning_rate=5.", {"learning_rate": 5.0}),
        ("--gamma=none", {"gamma": None}),
        ("--gamma None", {"gamma": None}),
        ("--seed=NONE", {"seed": None}),
        ("--algorithm 'GAIT'", {"algorithm": "GAIT"}),
        ("--dataset=123", {"dataset": "123"}),
        ("--dataset 1e3", {"dataset": "1e3"}),
        ("--dataset=None", {"dataset": "None"}),
        ("--dataset=True", {"dataset": "True"}),
        ("--dataset=", {"dataset": ""}),
        ("--dataset ''", {"dataset": ""}),
        ("--dataset=a=b", {"dataset": "a=b"}),
        ("--dataset=--x", {"dataset": "--x"}),
        ("--dataset=-", {"dataset": "-"}),
        ("--dataset=--help", {"dataset": "--help"}),
        ("--dataset='a b'", {"dataset": "a b"}),
        ("--dataset='[1, 2]'", {"dataset": "[1, 2]"}),
        ("--load=none", {"load": None}),
        ("--load=nonesuch", {"load": "nonesuch"}),
        ("--tower", {"tower": True}),
        ("-tower", {"tower": True}),
        ("--notower", {"tower": False}),
        ("--no-tower", {"tower": False}),
        ("-no_tower", {"tower": False}),
        ("--no-clamp --tower", {"clamp": False, "tower": True}),
        ("--tower=false", {"tower": False}),
        ("--tower=FALSE", {"tower": False}),
        ("--tower=True", {"tower": True}),
        ("--tower=no", {"tower": False}),
        ("--tower=yes", {"tower": True}),
        ("--tower=0", {"tower": False}),
        ("--tower=1", {"tower": True}),
        ("--no-bias", {"no_bias": True}),
        ("--no-bias=false", {"no_bias": False}),
        ("--no-no-bias", {"no_bias": False}),
        ("--noise", {"noise": True}),
        ("--nonoise", {"noise": False}),
        ("--nb_epochs=3", {"nb_epochs": 3}),
        ("--shuffle", {"shuffle": True}),
        ("--shuffle=none", {"shuffle": None}),
        ("--size_tab=10,512,784", {"size_tab": (10, 512, 784)}),
        ("--size_tab='10 512 784'", {"size_tab": (10, 512, 784)}),
        ("--size_tab '10, 512,  784'", {"size_tab": (10, 512, 784)}),
        ("--size_tab='(10,512,784)'", {"size_tab": (10, 512, 784)}),
        ("--size_tab='(10, 512, 784)'", {"size_tab": (10, 512, 784)}),
        ("--size_tab=[10,512,784]", {"size_tab": (10, 512, 784)}),
        ("--size_tab [10, 512, 784]", {"size_tab": (10, 512, 784)}),
        ("--size_tab 10, 512, 784", {"size_tab": (10, 512, 784)}),
        ("--size-tab 10 512 784", {"size_tab": (10, 512, 784)}),
        ("--size-tab 10 -512 --tower", {"size_tab": (10, -512), "tower": True}),
        ("--size_tab=10", {"size_tab": (10,)}),
        ("--size_tab=10,", {"size_tab": (10,)}),
        ("--size_tab='(10,)'", {"size_tab": (10,)}),
        ("--size_tab='()'", {"size_tab": ()}),
        ("--size_tab=[]", {"size_tab": ()}),
        ("--widths=none", {"widths": None}),
        ("--widths 3 4", {"widths": (3, 4)}),
        ("--lr_tab 0.005 5e-2 -1", {"lr_tab": (0.005, 0.05, -1.0)}),
        ("--names a b --tower", {"names": ("a", "b"), "tower": True}),
        ("--names=1,None", {"names": ("1", "None")}),
        ("--rate=0.1", {"rate": 0.1}),
        ("--rate=1", {"rate": 1.0}),
        ("--rate=0.1,0.2", {"rate": (0.1, 0.2)}),
        ("--rate 0.1 0.2", {"rate": (0.1, 0.2)}),
        ("--rate='(0.1,)'", {"rate": (0.1,)}),
    ],
)
def test_spellings(line, expected):
    assert same(cli.parse(options, shlex.split(line)), expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("MNIST 3", {"name": "MNIST", "count": 3}),
        ("MNIST -3", {"name": "MNIST", "count": -3}),
        ("--force MNIST 3", {"force": True, "name": "MNIST", "count": 3}),
        ("MNIST --force 3", {"name": "MNIST", "force": True, "count": 3}),
        ("--count=3 MNIST", {"count": 3, "name": "MNIST"}),
        ("--name=-x 3", {"name": "-x", "count": 3}),
        ("--count 3 --sizes 1 2 MNIST", {"count": 3, "sizes": (1, 2), "name": "MNIST"}),
    ],
)
def test_arguments_by_position(line, expected):
    assert same(cli.parse(get, line.split()), expected)


# The documented commands of the five families: the syntax of each, on signatures with the same names and types


def gait(
    *,
    algorithm: Literal["BP", "TP", "GAIT"] = "BP",
    learning_rate: float = 1e-4,
    nb_layers: int = 1,
    nb_epochs: int = 100,
    orthogonal_init: bool = False,
    orthogonal_reg: float = 0.0,
    linear: bool = False,
    tower: bool = False,
    seeds: tuple[int, ...] | None = None,
):
    pass


def ep(
    *,
    action: Literal["train", "plotcurves", "receipe"] = "train",
    toymodel: bool = False,
    clamp: bool = True,
    discrete: bool = False,
    benchmark: bool = False,
    batch_size: int = 20,
    size_tab: tuple[int, ...] = (10,),
    C_tab: tuple[int, ...] = (),
    lr_tab: tuple[float, ...] = (0.05, 0.1),
    activation_function: Literal["sigm", "hardsigm", "tanh"] = "sigm",
    epochs: int = 1,
    dt: float = 0.2,
    beta: float = 1.0,
    T: int = 100,
    Kmax: int = 25,
):
    pass


def ep_no_clamp(*, no_clamp: bool = False, batch_size: int = 20):
    pass


def verify(check: Literal["factorization_vs_BPTT", "hardcoded_vs_autodiff"]):
    pass


def evidence(
    *,
    feedback: Literal["symmetric", "random"] = "symmetric",
    eprop: bool = False,
    eprop_impl: Literal["autodiff", "hardcoded"] = "autodiff",
    n_batch: int = 64,
):
    pass


def timit(
    *,
    task: Literal["framewise", "ctc"] = "framewise",
    model: Literal["lstm", "lsnn"] = "lsnn",
    eprop: Literal["symmetric", "random", "adaptive"] | None = None,
    preproc: Literal["fbank", "mfccs"] = "fbank",
):
    pass


def atari(*, result_dir: str = "results"):
    pass


def gle(
    *,
    model: Literal["gle", "bp", "bptt_tw4", "bptt_tw2", "bptt_tw1"] = "gle",
    architecture: str = "plastic_e2e",
    seed: int = 42,
    max_epochs: int = 420,
):
    pass


REG = {"orthogonal_init": True, "orthogonal_reg": 0.1, "nb_layers": 4, "nb_epochs": 100}
CURVES = {"action": "plotcurves", "activation_function": "tanh"}


@pytest.mark.parametrize(
    ("function", "line", "expected"),
    [
        (
            gait,
            "--algorithm=BP --learning_rate=0.0001 --nb_layers=4 --nb_epochs=100",
            {"algorithm": "BP", "learning_rate": 1e-4, "nb_layers": 4, "nb_epochs": 100},
        ),
        (
            gait,
            "--algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 --nb_layers=4 "
            "--nb_epochs=100 --tower",
            {"algorithm": "GAIT", "learning_rate": 1e-4, **REG, "tower": True},
        ),
        (
            gait,
            "--algorithm=TP --linear --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 --nb_layers=4 "
            "--nb_epochs=100",
            {"algorithm": "TP", "linear": True, "learning_rate": 1e-5, **REG, "orthogonal_reg": 1000.0},
        ),
        (gait, "--seeds=12,34", {"seeds": (12, 34)}),
        (
            ep,
            "--action 'plotcurves' --toymodel --no-clamp --batch-size 1 --size_tab 10 50 5 "
            "--activation-function 'tanh' --dt 0.08 --beta 0.01 --T 5000 --Kmax 80",
            {
                **CURVES,
                "toymodel": True,
                "clamp": False,
                "batch_size": 1,
                "size_tab": (10, 50, 5),
                "dt": 0.08,
                "beta": 0.01,
                "T": 5000,
                "Kmax": 80,
            },
        ),
        (ep_no_clamp, "--no-clamp --batch-size 1", {"no_clamp": True, "batch_size": 1}),
        (
            ep,
            "--action 'plotcurves' --discrete --batch-size 20 --size_tab 10 512 512 512 784 "
            "--activation-function 'tanh' --beta 0.015 --T 150 --Kmax 10",
            {
                **CURVES,
                "discrete": True,
                "batch_size": 20,
                "size_tab": (10, 512, 512, 512, 784),
                "beta": 0.015,
                "T": 150,
                "Kmax": 10,
            },
        ),
        (
            ep,
            "--action 'plotcurves' --batch-size 1 --size_tab 10 --C_tab 64 32 1 --activation-function 'hardsigm' "
            "--beta 0.02 --T 5000 --Kmax 10",
            {
                "action": "plotcurves",
                "batch_size": 1,
                "size_tab": (10,),
                "C_tab": (64, 32, 1),
                "activation_function": "hardsigm",
                "beta": 0.02,
                "T": 5000,
                "Kmax": 10,
            },
        ),
        (
            ep,
            "--action 'train' --size_tab 10 512 784 --lr_tab 0.05 0.1 --epochs 30 --T 100 --Kmax 12 --beta 0.5 "
            "--dt 0.2 --benchmark",
            {
                "action": "train",
                "size_tab": (10, 512, 784),
                "lr_tab": (0.05, 0.1),
                "epochs": 30,
                "T": 100,
                "Kmax": 12,
                "beta": 0.5,
                "dt": 0.2,
                "benchmark": True,
            },
        ),
        (verify, "factorization_vs_BPTT", {"check": "factorization_vs_BPTT"}),
        (verify, "hardcoded_vs_autodiff", {"check": "hardcoded_vs_autodiff"}),
        (evidence, "", {}),
        (
            evidence,
            "-feedback random -eprop -eprop_impl hardcoded -n_batch 32",
            {"feedback": "random", "eprop": True, "eprop_impl": "hardcoded", "n_batch": 32},
        ),
        (
            timit,
            "--task framewise --model lstm --eprop=symmetric --preproc=mfccs",
            {"task": "framewise", "model": "lstm", "eprop": "symmetric", "preproc": "mfccs"},
        ),
        (timit, "--task ctc --model=lsnn", {"task": "ctc", "model": "lsnn"}),
        (atari, "--result_dir results", {"result_dir": "results"}),
        (gle, "--model='bptt_tw4'", {"model": "bptt_tw4"}),
        (gle, "--architecture=plastic_e2e --seed=0", {"architecture": "plastic_e2e", "seed": 0}),
        (gle, "--max-epochs=420 --seed=0", {"max_epochs": 420, "seed": 0}),
    ],
)
def test_documented_commands(function, line, expected):
    assert same(cli.parse(function, shlex.split(line)), expected)
    record, calls = recorder(function)
    assert run({"task": record}, ["task", *shlex.split(line)]) == (0, "", "")
    assert {name: calls[0][name] for name in expected} == expected


# Errors: one line, exit code 2, the function is not called


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("--algoritm=GAIT", ["--algoritm", "did you mean --algorithm?"]),
        ("--learning-rat 3", ["--learning-rat", "did you mean --learning_rate?"]),
        ("--sizetab=3", ["did you mean --size_tab?"]),
        ("--no-towr", ["did you mean --no_tower?"]),
        ("--learn=3", ["unknown option --learn"]),
        ("--t=3", ["unknown option --t", "did you mean --T?"]),
        ("-a GAIT", ["unknown option -a"]),
        ("---tower", ["unexpected '---tower'"]),
        ("--xyzzy", ["unknown option --xyzzy", "--help"]),
        ("--algorithm=gait", ["--algorithm", "'gait'", "BP | GAIT | TP", "did you mean GAIT?"]),
        ("--algorithm=", ["--algorithm", "BP | GAIT | TP"]),
        ("--algorithm", ["--algorithm", "value"]),
        ("--n_batch=3.0", ["--n_batch", "integer", "'3.0'"]),
        ("--n_batch=1e3", ["--n_batch", "integer", "'1e3'"]),
        ("--n_batch=1_000", ["'1_000'"]),
        ("--n_batch=0x10", ["'0x10'"]),
        ("--n_batch=True", ["'True'"]),
        ("--n_batch=none", ["'none'"]),
        ("--n_batch=٣", ["integer"]),
        ("--n_batch=", ["integer"]),
        ("--n_batch=" + "9" * 5000, ["integer"]),
        ("--n_batch", ["--n_batch", "integer"]),
        ("--n_batch --tower", ["--n_batch", "integer"]),
        ("--n_batch -x", ["--n_batch", "integer"]),
        ("--learning_rate=nan", ["--learning_rate", "finite number", "'nan'"]),
        ("--learning_rate=inf", ["'inf'"]),
        ("--learning_rate=-Infinity", ["'-Infinity'"]),
        ("--learning_rate=1e999", ["'1e999'"]),
        ("--learning_rate=1_0.0", ["'1_0.0'"]),
        ("--learning_rate=True", ["'True'"]),
        ("--learning_rate=1/2", ["'1/2'"]),
        ("--seed=maybe", ["an integer or none", "'maybe'"]),
        ("--dataset", ["--dataset"]),
        ("--dataset -x", ["--dataset=-x"]),
        ("--dataset -1", ["--dataset=-1"]),
        ("--tower=maybe", ["--tower", "true or false", "'maybe'"]),
        ("--tower=", ["--tower", "true or false"]),
        ("--tower false", ["unexpected 'false'", "--tower=false"]),
        ("--no-tower=true", ["--no-tower", "--tower=false"]),
        ("--no-n-batch", ["unknown option --no-n-batch"]),
        ("--n_batch=1 --n-batch=1", ["--n_batch is given twice"]),
        ("--clamp --no-clamp", ["--clamp is given twice"]),
        ("--size_tab=10,x", ["--size_tab", "integers", "'10,x'"]),
        ("--size_tab=10,,20", ["--size_tab"]),
        ("--size_tab=10,2.5", ["--size_tab"]),
        ("--size_tab='(10,20'", ["--size_tab"]),
        ("--size_tab='(10,20]'", ["--size_tab"]),
        ("--size_tab='(,)'", ["--size_tab"]),
        ("--size_tab=", ["--size_tab"]),
        ("--size_tab", ["--size_tab"]),
        ("--size_tab=none", ["--size_tab", "'none'"]),
        ("--size_tab 10 x", ["unexpected 'x'", "--size_tab"]),
        ("--size_tab=10 20", ["unexpected '20' after --size_tab, which takes integers"]),
        ("--size_tab='(10, (20, 30))'", ["--size_tab"]),
        ("--names=a,,b", ["--names", "words"]),
        ("--names=,", ["--names", "words"]),
        ("--lr_tab=0.1,nan", ["--lr_tab", "numbers"]),
        ("--rate=fast", ["--rate", "a finite number or numbers", "'fast'"]),
        ("-", ["unexpected '-'"]),
        ("--", ["unexpected '--'"]),
        ("-- --trace", ["unexpected '--'"]),
        ("-- --interactive", ["unexpected '--'"]),
        ("--tower -- --completion", ["unexpected '--'"]),
        ("--trace", ["unknown option --trace"]),
        ("stray", ["unexpected 'stray'"]),
        ("--n_batch=3 upper", ["unexpected 'upper'", "--n_batch"]),
        ("--n_batch=3 - upper", ["unexpected '-'"]),
        ("--=3", ["unexpected '--=3'"]),
        ("''", ["unexpected ''"]),
        ("--dataset='a\nb' 'c\nd'", ["unexpected 'c\\nd'"]),
        ("--tower 'a\rb'", ["unexpected 'a\\rb'"]),
    ],
)
def test_errors(line, fragments):
    record, calls = recorder(options)
    code, out, err = run(record, shlex.split(line))
    assert (code, out, calls) == (2, "", [])
    assert err.startswith("error: ") and err.endswith("\n") and len(err.splitlines()) == 1
    for fragment in fragments:
        assert fragment in err


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("", ["NAME is missing"]),
        ("MNIST", ["COUNT is missing", "integer"]),
        ("MNIST three", ["COUNT takes an integer, not 'three'"]),
        ("MNIST 3 4", ["unexpected '4'"]),
        ("MNIST --name=FMNIST 3", ["NAME is given twice"]),
        ("-x 3", ["unknown option -x"]),
        ("- 3", ["unexpected '-'"]),
        ("-3 3", ["unexpected '-3'"]),
    ],
)
def test_errors_of_arguments_by_position(line, fragments):
    record, calls = recorder(get)
    code, out, err = run({"get": record}, ["get", *line.split()])
    assert (code, out, calls) == (2, "", [])
    assert err.startswith("error: ") and len(err.splitlines()) == 1
    for fragment in fragments:
        assert fragment in err


def test_commands():
    record, calls = recorder(get)
    commands = {"get": record, "list": lambda: None}
    for argv, fragments in [
        ([], ["no command", "plastic.test", "get | list"]),
        (["gte"], ["'gte'", "did you mean get?", "get | list"]),
        (["--force", "get"], ["'--force' is not a command"]),
        (["ge", "--help"], ["'ge' is not a command"]),
        (["list", "get"], ["unexpected 'get'"]),
        (["__class__"], ["'__class__' is not a command"]),
    ]:
        code, out, err = run(commands, argv)
        assert (code, out, calls) == (2, "", [])
        assert err.startswith("error: ") and len(err.splitlines()) == 1
        assert all(fragment in err for fragment in fragments)
    assert run(commands, ["get", "MNIST", "3"]) == (0, "", "")
    assert calls == [{"name": "MNIST", "count": 3, "force": False, "sizes": ()}]
    assert run({"get_set": record, "list": lambda: None}, ["get-set", "MNIST", "4"]) == (0, "", "")
    assert calls[1]["count"] == 4


@pytest.mark.parametrize("annotation", [inspect.Parameter.empty, list, dict | None, tuple[int, int], bytes])
def test_an_annotation_that_cannot_be_read_is_a_bug_of_the_program(annotation):
    def function(*, x=1):
        pass

    function.__annotations__ = {} if annotation is inspect.Parameter.empty else {"x": annotation}
    with pytest.raises(TypeError, match="x"):
        cli.parse(function, [])


def test_annotations_may_be_text():
    def function(*, x: "int | None" = None, y: "Literal['a', 'b']" = "a"):
        pass

    assert cli.parse(function, ["--x=3", "--y=b"]) == {"x": 3, "y": "b"}
    assert "Type: an integer or none" in run(function, ["--help"])[1]


# Every value in every spelling, and arbitrary words


HINTS = typing.get_type_hints(options)


def conforms(annotation, value):
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(conforms(argument, value) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return type(value) is tuple and all(conforms(arguments[0], item) for item in value)
    return type(value) is annotation and (annotation is not float or abs(value) < float("inf"))


INTEGERS = st.integers(-(10**30), 10**30)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text("ab01é.:/=_-#'\"", min_size=1)
VALUES = {
    Literal["BP", "GAIT", "TP"]: st.sampled_from(["BP", "GAIT", "TP"]),
    str: st.text(),
    int: INTEGERS,
    float: FLOATS,
    bool: st.booleans(),
    types.NoneType: st.none(),
    tuple[int, ...]: st.lists(INTEGERS).map(tuple),
    tuple[float, ...]: st.lists(FLOATS).map(tuple),
    tuple[str, ...]: st.lists(WORDS).map(tuple),
}


@st.composite
def spelt(draw, name):
    """An option's value, and the words of the command line that say it."""
    hint = HINTS[name]
    kind = draw(st.sampled_from([hint] if hint in VALUES else list(typing.get_args(hint))))
    value = draw(VALUES[kind])
    if name == "load" and isinstance(value, str) and value.lower() == "none":
        value += "."  # this option takes the word itself for None
    if hint == float | tuple[float, ...] and isinstance(value, tuple) and len(value) == 1:
        value = value[0]  # one number is a float
    typed = "".join(draw(st.sampled_from("-_")) if letter == "_" else letter for letter in name)
    dashes = draw(st.sampled_from(["-", "--"]))
    if kind is bool and draw(st.booleans()):
        denial = "" if value else draw(st.sampled_from(["no", "no-", "no_"]))
        return value, [f"{dashes}{denial}{typed}"]
    if kind is bool:
        text = draw(st.sampled_from(["true", "Yes", "1"] if value else ["FALSE", "no", "0"]))
        return value, [f"{dashes}{typed}={text}"]
    if isinstance(value, tuple):
        items = [item if isinstance(item, str) else repr(item) for item in value]
        if draw(st.booleans()) and items and not (isinstance(value[0], str) and any(i[0] == "-" for i in items)):
            return value, [f"{dashes}{typed}", *items]
        left, right = draw(st.sampled_from(["()", "[]", *([("", "")] if items else [])]))
        text = left + draw(st.sampled_from([",", ", ", " ", " , "])).join(items) + right
    else:
        text = value if isinstance(value, str) else repr(value)
    alone = name != "shuffle" and not (text.startswith("-") and (isinstance(value, str) or kind == tuple[str, ...]))
    if alone and draw(st.booleans()):
        return value, [f"{dashes}{typed}", text]
    return value, [f"{dashes}{typed}={text}"]


@st.composite
def lines(draw):
    names = draw(st.lists(st.sampled_from(sorted(HINTS)), unique=True))
    pairs = {name: draw(spelt(name)) for name in names}
    return {name: value for name, (value, _) in pairs.items()}, [word for _, words in pairs.values() for word in words]


@settings(max_examples=100)
@given(lines())
def test_every_spelling_of_a_value_gives_the_value(line):
    values, argv = line
    assert same(cli.parse(options, argv), values)
    record, calls = recorder(options)
    assert run(record, argv) == (0, "", "")
    assert same(calls[0], options() | values)


CHAFF = st.one_of(
    st.sampled_from(["-", "--", "---", "--=", "=", "-1", "none", "--help=", "-h=", "()", "(", ",", "#", "\\n", "\0"]),
    st.sampled_from(["--interactive", "--trace", "--separator=x", "upper", "__class__", "0", "\udc80", "-é", "--no"]),
    st.text(max_size=8),
    st.text(max_size=8).map(lambda text: f"--{text}"),
    st.sampled_from(sorted(HINTS)).map(lambda name: f"--{name}"),
    st.builds("--{}={}".format, st.sampled_from(sorted(HINTS)), st.text("0123456789.,-+eE_ ()[]xnaif", max_size=8)),
)


@settings(max_examples=150)
@given(st.data())
def test_arbitrary_words_give_typed_values_or_one_line(data):
    _, argv = data.draw(lines())
    for word in data.draw(st.lists(CHAFF, max_size=4)):
        argv.insert(data.draw(st.integers(0, len(argv))), word)
    for index in data.draw(st.lists(st.integers(0, len(argv) - 1), max_size=2)) if argv else []:
        cut = data.draw(st.integers(0, len(argv[index])))
        argv[index] = argv[index][:cut] + data.draw(st.sampled_from(["", "x", "-", "=", " "])) + argv[index][cut + 1 :]
    try:
        values = cli.parse(options, argv)
    except PlasticError:
        values = None
    record, calls = recorder(options)
    code, out, err = run(record, argv)
    if "--help" in argv or "-h" in argv:
        assert (code, err, calls) == (0, "", []) and out.startswith("NAME")
    elif values is None:
        assert (code, out, calls) == (2, "", []) and err.startswith("error: ") and len(err.splitlines()) == 1
    else:
        assert all(conforms(HINTS[name], value) for name, value in values.items())
        assert (code, out, err) == (0, "", "") and same(calls[0], options() | values)


TEXTS = [
    "1",
    "None",
    "True",
    "a b",
    "it's",
    "(1,2)",
    "--x",
    "",
    "#",
    "\\n",
    "\n",
    "-",
    "--",
    "=",
    "a=b",
    "'q'",
    '"',
    "'\"'",
]
TEXTS += ["{a: b}", "1+1", "__import__('os')", "é", "\0", "\udc80", "0x1", "b''", "*", "--help=", "--name=x", "a,b"]


@pytest.mark.parametrize("text", TEXTS)
def test_fire_passes_text_on_untouched(text):
    record, calls = recorder(get)
    assert run({"get": record}, ["get", f"--name={text}", "1"]) == (0, "", "")
    assert calls[0]["name"] == text


# Failures, interruptions and results of the function


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (PlasticError("widths must not grow"), 2, "error: widths must not grow\n"),
        (PlasticError("first line\nsecond line"), 2, "error: first line second line\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt("stopped at step 7"), 130, "stopped at step 7\n"),
        (KeyboardInterrupt("go on with --resume=a\nb"), 130, "go on with --resume=a\\nb\n"),
    ],
)
def test_one_line_for_what_the_function_raises(raised, code, message):
    def function(*, seed: int = 1):
        raise raised

    assert run(function, ["--seed=3"]) == (code, "", message)


def test_a_bug_keeps_its_traceback():
    def function():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(function, [])


@pytest.mark.parametrize("result", [None, 3, "text", ["a", "b"], {"a": 1}, (1, 2), object(), len, print])
def test_the_result_is_neither_printed_nor_called(result):
    def function():
        return result

    assert run(function, []) == (0, "", "")


# Help, in a process of its own


PROGRAM = '''
import sys
from typing import Literal

from plastic import cli


def train(
    name: str,
    *,
    algorithm: Literal["backpropagation", "target propagation", "feedback alignment", "GAIT"] = "GAIT",
    tower: bool = False,
    widths: tuple[int, ...] = (784, 784, 784, 784, 784, 784, 784, 784, 784, 784, 784, 784, 784),
    seed: int | None = None,
):
    """Train a network.

    The reference does not shuffle: neither do we.

    Args:
        name: the data set.
        algorithm: the rule in use, one of four
            of which one, marked so: GAIT, comes first; they are explained at length in the paper and this line is long
        tower: widths that decrease.
        seed: of everything drawn.

    Raises:
        PlasticError: if it must.
    """
    print("trained", name)


def flood():
    """Print without end."""
    while True:
        print("x" * 1000)


if __name__ == "__main__":
    cli.run({"train": train, "flood": flood} if "one" not in sys.argv[0] else train, prog="plastic.program")
'''


@pytest.fixture
def program(tmp_path):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(PROGRAM)
    hidden = {"FORCE_COLOR", "PYTHONUNBUFFERED"}  # the latter would hide what fails when a buffer is flushed
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    environment |= {"PYTHONPATH": str(pathlib.Path(cli.__file__).parents[1]), "PAGER": "echo a pager was started"}

    def start(module, *argv, **keywords):
        command = [sys.executable, "-m", module, *argv]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **keywords)

    return start


def outcome(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out.decode(), err.decode()


PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.mark.parametrize("argv", [("one", "--help"), ("one", "-h"), ("two", "train", "--tower", "--help")])
def test_help_of_a_command(program, argv):
    code, out, err = outcome(program(*argv, **PIPES))
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    for fragment in [
        "Train a network.",
        "The reference does not shuffle: neither do we.",
        "NAME Type: text the data set.",
        "--algorithm=ALGORITHM Type: backpropagation | target propagation | feedback alignment | GAIT Default: 'GAIT' "
        "the rule in use, one of four of which one, marked so: GAIT, comes first; they are explained at length in the "
        "paper and this line is long",
        "--tower, --no_tower Type: true or false Default: False widths that decrease.",
        "--widths=WIDTHS Type: integers, as 10,20 Default: (784, 784, 784, 784, 784, 784, 784, 784, 784, 784, 784, "
        "784, 784)",
        "--seed=SEED Type: an integer or none Default: None of everything drawn.",
    ]:
        assert fragment in flat
    assert out.startswith("NAME\n") and "-a, " not in out and "trained" not in out
    assert max(map(len, out.splitlines())) <= 120


def test_help_of_a_family(program):
    code, out, err = outcome(program("two", "--help", **PIPES))
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert out.startswith("NAME\n") and "plastic.program COMMAND" in flat
    assert "train Train a network." in flat and "flood Print without end." in flat


def test_help_of_commands_without_docstrings(capsys):
    """Python has none of them with -OO."""

    def bare(*, seed: int = 1):
        pass

    cli.run({"options": options, "bare": bare}, ["--help"], prog="plastic.x", default="options")
    assert "OTHER COMMANDS\n     plastic.x bare\n" in capsys.readouterr().out


def test_help_on_a_terminal_starts_no_pager(program):
    ours, theirs = os.openpty()
    process = program("one", "--help", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    out = b""
    with contextlib.suppress(OSError):  # the terminal is gone
        while piece := os.read(ours, 4096):
            out += piece
    os.close(ours)
    assert process.wait(60) == 0
    assert b"Train a network." in out and b"You can also" in out and b"a pager was started" not in out


def test_errors_in_a_process(program):
    code, out, err = outcome(program("one", "MNIST", "--algorithm=gait", **PIPES))
    assert (code, out) == (2, "")
    assert err.startswith("error: --algorithm") and len(err.splitlines()) == 1
    assert outcome(program("one", "MNIST", **PIPES)) == (0, "trained MNIST\n", "")


@pytest.mark.parametrize("argv", [("two", "flood"), ("one", "--help")])
def test_a_reader_that_goes_away_is_no_error(program, argv):
    process = program(*argv, **PIPES)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_fire_is_imported_by_a_call_only():
    code = "import sys, plastic.cli; sys.exit('fire' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(cli.__file__).parents[1]).returncode == 0


def resumed(*, load: bool | str | None = None, other: int = 1):
    """A flag that may have a text."""


@pytest.mark.parametrize(
    ("words", "value"),
    [(["--load"], True), (["--load", "--other=2"], True), (["--load", "folder"], "folder"), (["--load=a"], "a"),
     (["--no-load"], False), (["--load=none"], None), (["--load=false"], False)],
)  # fmt: skip
def test_a_flag_that_may_have_a_text(words, value):
    assert cli.parse(resumed, words)["load"] is value or cli.parse(resumed, words)["load"] == value
