"""Figures of the grids on images: errors by depth, batch size, number of images and rate, and over time."""

import numpy as np

from plastic import plotting
from plastic.bootstrap import interval
from plastic.errors import PlasticError
from plastic.evaluations import drawn
from plastic.pc.experiments.best_rate import SUMMARIES, best, curves, replicas_of
from plastic.pc.experiments.learning import NAMES

LONG_NAMES = NAMES | {"pc": "predictive coding", "bp": "backpropagation"}
_SUMMARIES = {"mean": "mean {}\nover the epochs", "min": "least {}"}
_FEW = 5  # curves among which a legend finds room
_MEASURES = {
    "test_error": "test error (%)",
    "validation_error": "validation error (%)",
    "test_loss": "half the squared error of a test image",
}


def depth(runs):
    """Mean test error at the best rate of each rule by the number of layers, and by rate in the deepest; curves."""
    return _by_axis(runs, "depth", "layers of weights", ("mean",), rates_at=-1)


def depth_curves(runs):
    """Test error by epoch at every rate in the deepest networks, a panel for each rule."""
    panels, measure = list(_rules_of(runs)), _measure(runs)
    fig, axes = plotting.figure(columns=len(panels), sharey=True)
    for axis, (metrics, rule, name) in zip(np.atleast_1d(axes), panels, strict=True):
        deepest = list(dict.fromkeys(metrics["depth"]))[-1]
        rates, values = curves(metrics, measure, rule=rule, depth=deepest)
        for index, (rate, each) in enumerate(zip(rates, values, strict=True)):
            _curve(axis, interval(each), f"$\\eta$ = {rate:g}", plotting.look(index))
        axis.set(xlabel="epoch", title=f"{name}, {deepest:g} layers")
        plotting.legend(axis, _place(len(rates)))
    _measured(np.atleast_1d(axes)[0], measure)
    return fig


def online(runs):
    """Mean and least test error at the best rates by batch size, the least by rate in the smallest; curves."""
    return _by_axis(runs, "batch_size", "batch size (samples)", ("mean", "min"), logarithmic=True)


def smalldata(runs):
    """Least test error at the best rates by the number of images, and by rate with the fewest; curves."""
    return _by_axis(runs, "per_class", "training images of a class", ("min",), logarithmic=True)


def forgetting(runs):
    """Mean test error by rate, and the errors of both tasks over the iterations at the best rate."""
    return _over_time(runs, {"task0_error": "Task 0", "task1_error": "Task 1"})


def forgetting_split(runs):
    """Mean test error by rate, of the task that was just learned (resuming) and of the other (forgetting)."""
    from plastic.pc.experiments.forgetting import split

    fig, axes = plotting.figure(columns=2, sharey=True)
    intervals = [run.option("interval") for run in runs for _ in _rules(run)]
    for index, ((metrics, rule, name), interval_of) in enumerate(zip(_rules_of(runs), intervals, strict=True)):
        rates, errors = split(metrics, rule, interval_of)
        for axis, kind in zip(axes, ("resuming", "forgetting"), strict=True):
            _points(axis, rates, [interval(each.mean(axis=-1)) for each in errors[kind]], name, index)
    for axis, title in zip(axes, ("Resuming: the task just learned", "Forgetting: the other task"), strict=True):
        axis.set(xlabel="learning rate", title=title)
        plotting.log_scale(axis, "x")
    _measured(axes[0], "test_error", "mean {}, over the iterations")
    plotting.legend(axes[0])
    return fig


def drift(runs):
    """Mean test error by rate, and the error over the iterations at the best rate."""
    return _over_time(runs, {"test_error": "Drifting classes"})


def rl(runs):
    """Mean return of the last 200 episodes at the best rate of each rule."""
    from plastic.pc.experiments.rl import LAST
    from plastic.pc.experiments.rl import best as best_return

    fig, axis = plotting.figure(width=6)
    for index, (metrics, rule, name) in enumerate(_rules_of(runs, by="env")):
        rate, episodes, returns = best_return(metrics, rule)
        mean, low, high = interval(returns)
        look = plotting.look(index)
        axis.plot(episodes, mean, label=f"{name}, rate {rate:g}, n = {len(returns)}", **look)
        axis.fill_between(episodes, low, high, color=look["color"], alpha=0.2, linewidth=0)
    worlds = ", ".join(dict.fromkeys(run.option("env") for run in runs))
    axis.set(xlabel="episode", ylabel=f"return, mean of {LAST} episodes", title=f"{worlds}: mean and 68 % interval")
    plotting.legend(axis)
    return fig


def cnn(runs):
    """Test error by epoch at the best rate of each rule, with the range of the seeds."""
    fig, axis = plotting.figure(width=6)
    measure = _measure(runs)
    labels = plotting.labels(runs, [run.option("dataset") for run in runs])
    pairs = [(label, run, rule) for label, run in zip(labels, runs, strict=True) for rule in run.option("rules")]
    for index, (label, run, rule) in enumerate(pairs):
        chosen = best(run.metrics(), "min", measure, measure, rule=rule)
        name = f"{NAMES[rule]}, rate {chosen['rate']:g}, n = {len(chosen['curve'])}"
        epochs = np.arange(chosen["curve"].shape[1])
        plotting.curves(axis, epochs, {name if len(runs) == 1 else f"{label}, {name}": chosen["curve"]}, start=index)
    axis.set(xlabel="epoch", title="Convolutional networks: mean and range of the seeds")
    _measured(axis, measure)
    plotting.legend(axis)
    return fig


def confusion(runs):
    """The confusion matrix of each rule at its best rate, mean over the seeds; of a grid, in its first and last part.

    It is that of the test at the best epochs where there was a validation set, and else of the last evaluation. None
    where there are no classes.
    """
    panels, measure, several = [], _measure(runs), len(runs) > 1
    if measure.endswith("loss"):
        return None
    for run, label in zip(runs, plotting.labels(runs, [run.experiment for run in runs]), strict=True):
        metrics = run.metrics()
        for rule in _rules(run):
            own = [part for part in run.config["parts"] if part["rule"] == rule]
            places = [{name: part[name] for name in part if name not in ("seed", "rate")} for part in own]
            for place in (places[0], places[-1])[: 1 + (places[0] != places[-1])]:
                summary = "mean" if run.experiment == "depth" else "min"
                rate = best(metrics, summary, measure, measure, **place)["rate"]
                where = [f"{name.replace('_', ' ')} {value:g}" for name, value in place.items() if name != "rule"]
                title = ", ".join([label] * several + [NAMES[rule], *where, f"rate {rate:g}"])
                panels.append((title, matrix_at(run, metrics, place | {"rate": rate}), None))
    fig = drawn(panels)
    what = "last evaluation" if measure.startswith("test") else "best epochs by the validation set"
    fig.suptitle(f"Test set, {what}")
    return fig


def matrix_at(run, metrics, where):
    """Return the mean confusion matrix of the replicas of a run whose rows have these values."""
    arrays, found = run.arrays(), []
    for index, part in enumerate(run.parts(run.config["parts"])):
        if all(where.get(name, value) == value for name, value in part.columns.items()):
            matrix = arrays.get(f"{index}/test_confusion")
            if matrix is None:
                matrix = part.read_checkpoint()[0]["confusion"]
            found.append(matrix.reshape(-1, *matrix.shape[-2:])[replicas_of(metrics, where | part.columns)])
    return np.concatenate(found).mean(axis=0)


def _measure(runs):
    """Return the column that epochs are judged by, one of `_MEASURES`, which runs have in common."""
    found = {next(name for name in _MEASURES if name in run.metrics()) for run in runs}
    if len(found) > 1:
        raise PlasticError(f"the runs have different measures, {' and '.join(sorted(found))}; draw them apart")
    return found.pop()


def _measured(axis, measure, summary="{}"):
    """Name the y axis by a summary of a measure; errors, which are drawn as fractions, have numbers in per cent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_ylabel(summary.format(_MEASURES[measure]))
    if measure.endswith("error"):
        axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))


def _by_axis(runs, column, label, summaries, logarithmic=False, rates_at=0):
    fig, axes = plotting.figure(columns=len(summaries) + 2)
    measure = _measure(runs)
    judged = [measure] * 2
    for axis, summary in zip(axes, summaries, strict=False):
        every = set()
        for index, (metrics, rule, name) in enumerate(_rules_of(runs)):
            values = list(dict.fromkeys(metrics[column]))
            every |= set(values)
            chosen = [best(metrics, summary, *judged, rule=rule, **{column: value}) for value in values]
            _points(axis, values, [interval(each["values"]) for each in chosen], name, index)
            _name_rates(axis, values, chosen, index)
        axis.margins(y=0.12)
        axis.set(xlabel=label, title="At the best rate, which is named")
        _measured(axis, measure, _SUMMARIES[summary])
        if logarithmic:
            axis.set_xscale("log")
            axis.set_xticks(sorted(every), [str(value) for value in sorted(every)])
            axis.minorticks_off()
        else:
            axis.xaxis.get_major_locator().set_params(integer=True)
        plotting.legend(axis)
    _by_rate(axes[-2], runs, column, rates_at, summaries[-1], measure)
    for index, (metrics, rule, name) in enumerate(_rules_of(runs, short=True)):
        values = list(dict.fromkeys(metrics[column]))
        for line, value in enumerate(dict.fromkeys((values[0], values[-1]))):
            curve = best(metrics, summaries[0], *judged, rule=rule, **{column: value})["curve"]
            where = f"{name}, {column.replace('_', ' ')} {value:g}"
            _curve(axes[-1], interval(curve), where, plotting.look(index) | {"linestyle": ("-", "--")[line]})
    axes[-1].set(xlabel="epoch", title="Learning at these rates")
    _measured(axes[-1], measure)
    plotting.legend(axes[-1], _place(len(axes[-1].lines)))
    return fig


def _by_rate(axis, runs, column, place, summary, measure):
    """Draw the summary of each rule by learning rate, at the first or the last (0, -1) value of a column."""
    for index, (metrics, rule, name) in enumerate(_rules_of(runs)):
        value = list(dict.fromkeys(metrics[column]))[place]
        rates, errors = curves(metrics, measure, rule=rule, **{column: value})
        every = SUMMARIES[summary](errors[..., 1:], axis=-1)
        _points(axis, rates, [interval(each) for each in every], name, index)
    axis.set(xlabel="learning rate", title=f"All rates, {column.replace('_', ' ')} {value:g}")
    _measured(axis, measure, _SUMMARIES[summary])
    plotting.log_scale(axis, "x")
    plotting.legend(axis)


def _over_time(runs, columns):
    fig, axes = plotting.figure(columns=1 + len(columns))
    for index, (metrics, rule, name) in enumerate(_rules_of(runs)):
        rates, values = curves(metrics, "test_error", rule=rule)
        _points(axes[0], rates, [interval(each.mean(axis=-1)) for each in values], name, index)
        chosen = best(metrics, "mean", rule=rule)["rate"]
        for axis, column in zip(axes[1:], columns, strict=True):
            every, errors = curves(metrics, column, rule=rule)
            some = interval(errors[list(every).index(chosen)])
            _curve(axis, some, f"{name}, rate {chosen:g}", plotting.look(index))
    for axis, title in zip(axes[1:], columns.values(), strict=True):
        axis.set(xlabel="iteration", title=title)
        _measured(axis, "test_error")
    axes[0].set(xlabel="learning rate", title="All rates")
    _measured(axes[0], "test_error", "mean {}")
    plotting.log_scale(axes[0], "x")
    plotting.legend(axes[0])
    plotting.legend(axes[1])
    return fig


def _rules(run):
    return list(dict.fromkeys(part["rule"] for part in run.config["parts"]))


def _rules_of(runs, short=False, by="grid"):
    """Yield (metrics, rule, label) for every run and rule, in the order of colours; by: the option that names a run."""
    labels = plotting.labels(runs, [run.option(by) for run in runs])
    for run, label in zip(runs, labels, strict=True):
        metrics = run.metrics()
        for rule in _rules(run):
            name = NAMES[rule] if short else LONG_NAMES[rule]
            yield metrics, rule, name if len(runs) == 1 else f"{label}, {name}"


def _place(count):
    """Return where the legend of so many curves has room."""
    return "best" if count <= _FEW else "beside"


def _curve(axis, some, label, look):
    mean, low, high = some
    axis.plot(mean, label=label, **look)
    axis.fill_between(np.arange(len(mean)), low, high, color=look["color"], alpha=0.2, linewidth=0)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _name_rates(axis, values, chosen, index):
    place = {"xytext": (6, (-11, 6)[index % 2]), "textcoords": "offset points", "fontsize": "x-small"}
    for value, each in zip(values, chosen, strict=True):
        where, colour = (value, each["values"].mean()), plotting.look(index)["color"]
        axis.annotate(f"{each['rate']:g}", where, color=colour, **place)


def _points(axis, x, intervals, label, index):
    mean, low, high = (np.array(each) for each in zip(*intervals, strict=True))
    look = plotting.look(index)
    axis.errorbar(x, mean, [mean - low, high - mean], marker="o", markersize=4, capsize=3, label=label, **look)
