"""What the evaluations of a classifier leave: the last confusion matrix, and the best epoch by a validation set.

The published codes look at the test set after every epoch, and this is the default everywhere. Where a share of the
training samples is held out (`--validation=0.1`), epochs are judged by these, and the test set is measured once, after
training, with the parameters of the best epoch of each replica. An experiment does so in four places:

    samples = classifier.load(dataset, validation=validation)       # and measures samples.judged
    evaluations = Evaluations(net.parameters, net.replicas, samples.classes, "error", best=bool(validation))
    training.fit(run, state | evaluations.tree, .., evaluate=lambda: evaluations.note(..))
    evaluations.test(run, measure, samples.test)

What is measured holds a "confusion" by `plastic.functions.confusion`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import classifier, parameters, plotting, xp
from plastic.runs.folder import Run
from plastic.types import Array, Tree

_SPELT_OUT = 12  # classes of a figure with a number in every field


class Evaluations:
    """The confusion matrix of the last evaluation, and the parameters with which each replica did best so far.

    Args:
        params: the tree of the parameters, those of the network.
        lead: the replica axes of its leaves.
        classes: outputs of the network.
        measured: what the validation set judges by, "error" or "accuracy".
        best: whether there is a validation set; otherwise no parameters are kept.

    Attributes:
        tree: what checkpoints are to keep, {"confusion": (..., classes, classes)} and the best parameters.

    Example:
        >>> w = xp.asarray([0.0])
        >>> evaluations = Evaluations({"w": w}, (), 2, "error", best=True)
        >>> for w[...], error in ((3.0, 0.5), (2.0, 0.25), (1.0, 0.75)):
        ...     metrics = {"validation_error": xp.asarray(error), "validation_confusion": xp.zeros((2, 2))}
        ...     metrics = evaluations.note(metrics)
        >>> evaluations.recall()
        >>> w.tolist(), list(metrics)
        ([2.0], ['validation_error'])
    """

    def __init__(self, params: Tree, lead: tuple[int, ...], classes: int, measured: str, best: bool) -> None:
        self.params, self.lead, self.column = params, lead, f"validation_{measured}"
        self.tree = {"confusion": xp.zeros((*lead, classes, classes), dtype=xp.float_dtype)}
        if best:
            least = xp.full(lead, float(xp.finfo(xp.float_dtype).max), dtype=xp.float_dtype)
            self.tree |= {"best": parameters.copy(params), "best_error": least}

    def __repr__(self) -> str:
        return (
            f"Evaluations, the best by {self.column}" if "best" in self.tree else "Evaluations, of which none is best"
        )

    def note(self, metrics: dict[str, Array]) -> dict[str, Array]:
        """Keep the confusion matrix, and the parameters of the replicas that do better than ever before.

        Args:
            metrics: of an evaluation, {column: values}, one for each replica, and one "<set>_confusion". Not a number
                is never the best.

        Returns:
            The metrics without the confusion.
        """
        matrices = {name: value for name, value in metrics.items() if name.endswith("confusion")}
        (matrix,) = matrices.values()
        self.tree["confusion"][...] = matrix.reshape(self.tree["confusion"].shape)
        if "best" in self.tree:
            least = self.tree["best_error"]
            error = self._error(metrics[self.column]).reshape(self.lead).astype(least.dtype)
            better = error < least
            least[...] = xp.where(better, error, least)
            for kept, now in self._pairs():
                kept[...] = xp.where(better.reshape(*self.lead, *(1,) * (kept.ndim - len(self.lead))), now, kept)
        return {name: value for name, value in metrics.items() if name not in matrices}

    def recall(self) -> None:
        """Give the network its best parameters back; without a validation set it keeps those that it has."""
        for kept, now in self._pairs() if "best" in self.tree else ():
            now[...] = kept

    def test(
        self, run: Run, measure: Callable[..., dict[str, Array]], test: tuple[Array, Array], **options: Any
    ) -> dict[str, np.ndarray]:
        """Recall the best parameters and measure them on the test set, once; without a validation set do nothing.

        Args:
            run: which has been trained. It keeps what is measured, of all replicas, by `Run.save_tested`.
            measure: measure(x, labels) -> {name: mean}, and its options, as for `classifier.means`.
            test: (x, labels).

        Returns:
            {"best_epoch", "test_<name>": one for each replica that has not diverged}; empty without a validation set.
        """
        if "best" not in self.tree:
            return {}
        self.recall()
        epochs, values = plotting.over_epochs(run.metrics(), {self.column: self.column})
        found = {"best_epoch": epochs[np.nanargmin(self._error(values[self.column]), axis=1)]}
        for name, value in classifier.means(measure, *test, **options).items():
            found[f"test_{name}"] = xp.asnumpy(value).reshape(len(found["best_epoch"]), *value.shape[len(self.lead) :])
        run.save_tested(found)
        return {name: np.delete(values, run.diverged, axis=0) for name, values in found.items()}

    def _error(self, values):
        return 1 - values if self.column.endswith("accuracy") else values

    def _pairs(self):
        kept, now = (parameters.leaves(tree) for tree in (self.tree["best"], self.params))
        return [(a, b) for (_, a), (_, b) in zip(kept, now, strict=True)]


def best_of(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays of a checkpoint with the best parameters in the place of the last, where it has any.

    Args:
        arrays: {path: array}, as the `restore` of an experiment gets them.

    Example:
        >>> best_of({"layers/0/W": 1, "best/layers/0/W": 2})["layers/0/W"]
        2
    """
    return arrays | {path.removeprefix("best/"): each for path, each in arrays.items() if path.startswith("best/")}


def told(tested: dict[str, np.ndarray]) -> str:
    """Return the words on the best epochs that `Evaluations.test` has found, to end a line; "" where there are none.

    Example:
        >>> told({"best_epoch": np.array([7, 9])})
        ', tested once, at the best epoch by the validation set (7, 9)'
    """
    if not tested:
        return ""
    epochs = ", ".join(f"{each:g}" for each in tested["best_epoch"])
    return f", tested once, at the best epoch by the validation set ({epochs})"


def confusion(
    runs: list[Any],
    names: Callable[[Any], Any] | None = None,
    parts: Callable[[Any], dict[str, list[int]]] | None = None,
) -> Any:
    """Draw the confusion matrix of each run, of several replicas the mean: of each class, where the outputs put it.

    It is that of the test at the end where there was one by the best epoch, and else that of the last evaluation, in
    a run that is not finished too.

    Args:
        runs: the runs.
        names: names(run) gives those of the classes; by default they are numbered.
        parts: parts(run) gives the replicas that have a panel of their own, {its title: their numbers}; by default one
            is of all.

    Returns:
        The figure.
    """
    titles = plotting.labels(runs, [run.experiment for run in runs]) if len(runs) > 1 else [""]
    panels = []
    for run, title in zip(runs, titles, strict=True):
        matrices, what = _matrices(run)
        for part, replicas in (parts(run) if parts else {"": range(len(matrices))}).items():
            if left := [replica for replica in replicas if replica not in run.diverged]:
                words = ", ".join(filter(None, [title, part, what]))
                panels.append((words, matrices[left].mean(axis=0), names(run) if names else None))
    return drawn(panels)


def drawn(panels: list[tuple[str, np.ndarray, Any]]) -> Any:
    """Draw confusion matrices, [(title, matrix, names of the classes or None)]; return the figure."""
    fig, axes = plotting.figure(columns=len(panels), width=4.6, height=4.2)
    for axis, (title, matrix, names) in zip(np.atleast_1d(axes), panels, strict=True):
        with np.errstate(invalid="ignore"):  # of a class without samples
            shares = 100 * matrix / matrix.sum(axis=1, keepdims=True)
        classes = [str(each) for each in (range(len(shares)) if names is None else names)]
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axis.grid(False)
        if len(shares) <= _SPELT_OUT:
            for (true, said), share in np.ndenumerate(shares):
                colour = "white" if share > 60 else "0.2"
                text = f"{share:.0f}" if share >= 0.5 else ""
                axis.text(said, true, text, ha="center", va="center", color=colour, fontsize="x-small")
        small, turned = {"fontsize": "x-small"}, {"rotation": 90 if len("".join(classes)) > len(classes) * 2 else 0}
        axis.set_xticks(range(len(classes)), [plotting.plain(each) for each in classes], **small, **turned)
        axis.set_yticks(range(len(classes)), [plotting.plain(each) for each in classes], **small)
        axis.set(xlabel="class by the outputs", ylabel="class", title=title)
        fig.colorbar(image, ax=axis, label="share of the class (%)", shrink=0.8)
    return fig


def _matrices(run):
    """Return the confusion matrices of a run, (replicas, classes, classes), and of what they are."""
    arrays = run.arrays()
    if "test_confusion" in arrays:
        matrix, what = arrays["test_confusion"], "test set" + ", best epoch" * ("best_epoch" in arrays)
    else:
        matrix = run.read_checkpoint()[0]["confusion"]
        held_out = any(name.startswith("validation") for name in run.metrics())
        what = f"{'validation' if held_out else 'test'} set, last evaluation"
    return matrix.reshape(-1, *matrix.shape[-2:]).astype(float), what
