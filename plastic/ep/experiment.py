"""The command of the published code: train, draw curves, or compare signs, on one of the four networks."""

import math
import pathlib
from typing import Literal

import numpy as np

from plastic import data, runs
from plastic.ep import figures, plotcurves, recipe, train
from plastic.ep.wiring.convolutional import map_sizes
from plastic.errors import PlasticError
from plastic.runs.options import check_at_least_one, check_seeds, resumed, seed_names


def run(
    *,
    action: Literal["train", "plotcurves", "recipe", "receipe"] = "train",
    size_tab: tuple[int, ...] = (10,),
    C_tab: tuple[int, ...] = (),
    discrete: bool = False,
    toymodel: bool = False,
    activation_function: Literal["sigm", "hardsigm", "tanh"] = "sigm",
    T: int = 100,
    Kmax: int = 25,
    beta: float = 1.0,
    dt: float | None = None,
    clamp: bool = True,
    consistent: bool = False,
    nudging: Literal["one-sided", "random-sign", "centered"] = "one-sided",
    tolerance: float = 0.0,
    padding: int = 0,
    Fconv: int = 5,
    Fpool: int = 2,
    training_method: Literal["EP", "eqprop", "BPTT"] = "EP",
    benchmark: bool = False,
    lr_tab: tuple[float, ...] = (0.05, 0.1),
    epochs: int = 1,
    batch_size: int = 20,
    test_batch_size: int = 1000,
    eval_every: int | None = None,
    dataset: str = "MNIST",
    seed: int = 1,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    device_label: int | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    threads: int = 1,
):
    """Equilibrium propagation (EP) and backpropagation through time (BPTT) (Ernoult et al. 2019).

    The network is energy-based unless --discrete (prototypical), --toymodel or --C_tab (convolutional) say otherwise.
    Sizes, channels and learning rates are given from the output backwards, as in the paper. Each action makes a run
    folder, results/ep/<action>-..., with config.json, metrics.csv and figures; training adds checkpoint.h5, curves
    add arrays.h5.

    Quirks of the published code that are kept: the output of the energy-based net has no rho' in its dynamics
    (--consistent puts it there); BPTT goes back Kmax + 1 steps in training, Kmax in convolutional nets. Dropped: there,
    --discrete without --dt runs the leaky map with dt 0.2, with which EP stays above 4.4 % test error in 30 epochs of
    the documented P-1h; here it runs the paper's map, dt 1, with which it is under 2.5 % after five. With --benchmark
    both methods see the same batches, not each its own. Samples that do not fill a batch are left out.

    Args:
        action: train, plotcurves (updates of EP and gradients of BPTT step by step on one batch), or recipe (also
            spelt receipe: how often their signs agree, over 20 batches).
        size_tab: units from the output backwards, as 10 512 784, the input last; with C_tab those of the classifier.
        C_tab: channels from the classifier backwards, as 64 32 1, the input last; makes the net convolutional.
        discrete: the prototypical net.
        toymodel: the toy model, on random inputs; it draws curves only.
        activation_function: sigm (1 / (1 + exp(-4 (v - 1/2)))), hardsigm (v cut to [0, 1]) or tanh.
        T: steps of the free phase.
        Kmax: steps of the nudged phase.
        beta: strength of the nudge.
        dt: length of a step; by default 0.2, and 1 in prototypical and convolutional nets.
        clamp: keep the states of energy-based nets in [0, 1].
        consistent: rho' in the output dynamics too, so that an energy-based net follows the gradient of its energy.
        nudging: one-sided as published; random-sign (the sign of beta is drawn for each batch); or centered (two
            nudged phases, with beta and -beta). Curves are one-sided.
        tolerance: a relaxation ends when no state changes by more than this in a step; 0 makes all steps.
        padding: 1 pads maps by (Fconv - 1) / 2, so that a convolution keeps their size.
        Fconv: rows of a filter.
        Fpool: rows of a pooling window, which is also its stride.
        training_method: EP (also spelt eqprop) or BPTT.
        benchmark: train by BPTT and by EP, from the same initial weights.
        lr_tab: learning rates from the output backwards, one per connection; with C_tab the classifier's first.
        epochs: epochs to train.
        batch_size: samples per batch.
        test_batch_size: test samples relaxed at once.
        eval_every: steps between two evaluations; by default an epoch.
        dataset: MNIST, FMNIST, KMNIST, glyphs (needs no download), or an .npz file with x_train, y_train, x_test,
            y_test.
        seed: seed of everything random.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        resume: a training run to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        device_label: the published spelling: the number of a GPU, or -1 for the CPU.
        dtype: working precision; by default float32 for training, and float64 for curves and recipe, whose differences
            are divided by a small beta.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = _canonical(dict(locals()))
    options = _completed(options) if resume is None else resumed(run, options, "ep", "train")
    _check(options)
    with runs.environment(options["device"], options["dtype"], threads):
        folder = _train(options, resume) if options["action"] == "train" else _measure(options)
    print(f"run folder {folder}")
    return folder


def _train(options, resume):
    task = train.Task(options)
    with runs.Run.resume(resume) if resume else _new_run(options) as folder:
        task.train(folder)
        _finish(folder, train.arrays(folder.metrics()))
    train.report(folder)
    return folder.folder


def _measure(options):
    kind = {"plotcurves": plotcurves, "recipe": recipe}[options["action"]]
    with np.errstate(all="ignore"):  # told below
        rows, arrays = kind.measure(options)
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    if not np.all(np.isfinite(numbers)):
        raise PlasticError(
            f"the comparison is not finite with beta {options['beta']} and dt {options['dt']}; change them"
        )
    with _new_run(options) as folder:
        folder.log(rows)
        _finish(folder, arrays)
    kind.report(rows)
    return folder.folder


def _finish(folder, arrays):
    folder.save_arrays(arrays)
    figures.draw(folder.folder)
    folder.status("finished", **folder.config.get("details", {}))


def _canonical(options):
    """Return the options with one spelling for each thing."""
    label = options.pop("device_label")
    if label is not None:
        device = str(label) if label >= 0 else "cpu"
        if options["device"] not in (None, device):
            raise PlasticError(f"device_label {label} and device {options['device']} say different things; give one")
        options["device"] = device
    options["action"] = "recipe" if options["action"] == "receipe" else options["action"]
    if options["training_method"] == "eqprop":
        options["training_method"] = "EP"
    return options


def _completed(options):
    """Return the options with the defaults that depend on others."""
    if options["dt"] is None:
        options["dt"] = 1.0 if options["discrete"] or options["C_tab"] else 0.2
    if options["dtype"] is None:
        options["dtype"] = "float32" if options["action"] == "train" else "float64"
    return options


def _check(options):
    """Raise PlasticError for what can be told to be wrong without reading the data."""
    sizes = None if options["toymodel"] else data.sizes(options["dataset"])
    check_at_least_one(options, "T", "Kmax", "epochs", "batch_size", "test_batch_size", "eval_every", "Fconv", "Fpool")
    check_seeds(options)
    if options["Kmax"] > options["T"]:
        raise PlasticError(f"Kmax is {options['Kmax']}, but T is {options['T']}; BPTT needs Kmax <= T free steps")
    if options["beta"] == 0:
        raise PlasticError("beta is 0; EP divides by it: give a number other than 0")
    if not 0 < options["dt"] <= 1:
        raise PlasticError(f"dt is {options['dt']}; it must lie in (0, 1]")
    if not options["tolerance"] >= 0:
        raise PlasticError(f"tolerance is {options['tolerance']}; it must not be negative")
    _check_sizes(options, sizes)
    if options["action"] == "train":
        _check_training(options)
    else:
        _check_comparing(options)


def _check_comparing(options):
    action = options["action"]
    if options["seeds"] is not None:
        raise PlasticError(f"seeds {options['seeds']} are for training; {action} takes one seed")
    if options["benchmark"] or options["training_method"] != "EP":
        raise PlasticError(f"benchmark and training_method are for training; {action} compares EP with BPTT anyway")
    if action == "plotcurves" and options["nudging"] != "one-sided":
        raise PlasticError(f"nudging is {options['nudging']}, but curves are those of one-sided nudging")


def _check_training(options):
    if options["toymodel"]:
        raise PlasticError("toymodel draws curves only: add --action=plotcurves")
    connections = len(options["size_tab"]) + len(options["C_tab"]) - 1
    rates = options["lr_tab"]
    if len(rates) != connections:
        raise PlasticError(
            f"lr_tab has {len(rates)} rates, {rates}, but the network has {connections} connections: give one rate "
            "each, the output's first"
        )
    if not min(rates) >= 0:
        raise PlasticError(f"lr_tab is {rates}; a rate must not be negative")


def _check_sizes(options, known):
    """Raise PlasticError where the network cannot be built, or does not fit the data where `known` has their sizes."""
    sizes, channels, padding = options["size_tab"], options["C_tab"], options["padding"]
    if not sizes or min(sizes) < 1 or (channels and min(channels) < 1):
        raise PlasticError(f"size_tab {sizes} and C_tab {channels} must hold positive numbers")
    kinds = [
        name for name in ("discrete", "toymodel", "C_tab") if options[name] and (name != "discrete" or not channels)
    ]
    if len(kinds) > 1:
        raise PlasticError(f"{' and '.join(kinds)} are two networks; take one")
    if padding not in (0, 1):
        raise PlasticError(f"padding is {padding}; it is 0 or 1")
    if options["Fpool"] > 16:
        raise PlasticError(f"Fpool is {options['Fpool']}; a pooling window has at most 16 rows")
    if known is not None and options["batch_size"] > known[0]:
        raise PlasticError(f"batch_size is {options['batch_size']}, but the training set has {known[0]} samples")
    if channels:
        _check_maps(options, known)
        return
    if len(sizes) < 3:
        raise PlasticError(f"size_tab {sizes} has no hidden layer; give at least three numbers, as 10 512 784")
    if options["toymodel"]:
        if options["action"] == "recipe":
            raise PlasticError("toymodel draws curves only: add --action=plotcurves")
        if len(sizes) != 3:
            raise PlasticError(f"size_tab {sizes} does not fit the toy model, which has one hidden layer: as 10 50 5")
    elif known is not None:
        _check_against(sizes, *known)


def _check_maps(options, known):
    channels, sizes = options["C_tab"], options["size_tab"]
    if len(channels) < 2:
        raise PlasticError(f"C_tab {channels} has no convolution; give at least two numbers, as 32 1")
    if options["dt"] != 1:
        raise PlasticError(f"dt is {options['dt']}, but the convolutional net is the map dt = 1")
    if options["padding"] and options["Fconv"] % 2 == 0:
        raise PlasticError(
            f"Fconv is {options['Fconv']}; padding keeps the size of maps with an odd number of rows only"
        )
    if known is not None:
        _, inputs, classes = known
        padding = (options["Fconv"] - 1) // 2 if options["padding"] else 0
        map_sizes(math.isqrt(inputs), len(channels) - 1, options["Fconv"], padding, options["Fpool"])
        if channels[-1] != 1:
            raise PlasticError(f"C_tab ends in {channels[-1]}, the channels of the input; the images have 1")
        if sizes[0] < classes:
            raise PlasticError(f"size_tab begins with {sizes[0]}, the outputs; the data have {classes} classes")


def _check_against(sizes, samples, inputs, classes):
    if sizes[-1] != inputs:
        raise PlasticError(f"size_tab ends in {sizes[-1]}, the inputs; the data have {inputs}")
    if sizes[0] < classes:
        raise PlasticError(f"size_tab begins with {sizes[0]}, the outputs; the data have {classes} classes")


def _new_run(options):
    if options["C_tab"]:
        kind = f"conv-{len(options['C_tab']) - 1}layers"
    else:
        name = "toymodel" if options["toymodel"] else "disc" if options["discrete"] else "cont"
        kind = f"{name}-{len(options['size_tab']) - 2}hidden"
    method = "EP+BPTT" if options["benchmark"] or options["action"] != "train" else options["training_method"]
    source = "random" if options["toymodel"] else pathlib.Path(options["dataset"]).stem
    readable = f"{kind}-{method}-{source}-{seed_names(options)}"
    return runs.Run.create(runs.results_folder(options["results"]), "ep", options["action"], options, readable)
