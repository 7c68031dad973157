"""The comparison as a call, on the user's own arrays and with the user's own rules."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from plastic import data, functions, xp
from plastic.compare import feed_forward, in_time, samples, summary
from plastic.compare.comparison import Budget, require_seeds, trained
from plastic.compare.learners import require_updates
from plastic.compare.results import write
from plastic.compare.rules import chosen
from plastic.data import npz
from plastic.data.store import ARRAYS
from plastic.errors import PlasticError
from plastic.runs import of_run
from plastic.runs.decorator import draw_figures
from plastic.runs.folder import Run
from plastic.runs.record import plain
from plastic.runs.surroundings import blas_threads


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """A comparison that is finished.

    Attributes:
        run: its run, to be read; `run.folder` has summary.md, summary.csv, page.html, comparison.png
            and metrics.csv.
        rows: one `plastic.compare.summary.Row` for each rule.
        table: the table, in Markdown.
    """

    run: Run
    rows: list[summary.Row]
    table: str

    def __repr__(self) -> str:
        return f"Comparison of {', '.join(row.name for row in self.rows)}, in {self.run.folder}"


def compare(
    arrays: Mapping[str, np.ndarray],
    rules: Iterable[Any] | None = None,
    *,
    seeds: tuple[int, ...] = (1, 2, 3),
    validation: float = 0.2,
    sequences: bool = False,
    results: str | os.PathLike[str] = "results",
    name: str = "own",
    resume: str | os.PathLike[str] | None = None,
    **budget: Any,
) -> Comparison:
    """Compare learning rules on the user's own data, among them rules of the user's own.

    BLAS computes with one thread meanwhile, as by default in commands.

    Args:
        arrays: {"x_train", "y_train", "x_test", "y_test"}, or what `np.load` gives of an .npz file with them: x
            (samples, ..), labels y from 0 on without a gap; x is divided by max |x_train|.
        rules: names as `plastic.compare.RULES` has them, functions rule(net, x, y) -> (grads, output) as all rules of
            `plastic.pc` are, and `Rule` objects; by default all of `RULES` that fit the network.
        seeds: of training, three or more.
        validation: the share of the training samples by which rates are chosen, of each class the last ones.
        sequences: whether x are sequences, (samples, T) or (samples, T, n), and rules those that learn in time, of
            `plastic.compare.IN_TIME`; a function then trains LSTM cells.
        results: the folder in which the run gets its own.
        name: of the data, and of the run folder.
        resume: the folder of an interrupted comparison to go on with, by the same call.
        budget: what every rule gets: sizes, rates, epochs, batch_size, to, see `Budget`.

    Returns:
        A `Comparison`.

    Raises:
        PlasticError: if an argument does not fit, or a rule, which is tried on one batch first, returns something else
            than gradients like the weights, or changes what it is given.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from plastic import compare, pc, xp
        >>> from plastic.parameters import Affine
        >>> def sign_symmetry(net, x, y):  # Liao, Leibo and Poggio 2016: errors come down by the signs of the weights
        ...     a = pc.activities(net, x)
        ...     sent = [x, *(phi.value(each) for phi, each in zip(net.phi, a[:-1], strict=True))]
        ...     e, grads = (a[-1] - y) / len(x), []
        ...     for k in reversed(range(len(net.layers))):
        ...         grads.insert(0, Affine(sent[k].T @ e, e.sum(axis=0, keepdims=True)))
        ...         if k > 0:
        ...             e = net.phi[k - 1].slope(a[k - 1], sent[k]) * (e @ xp.sign(net.layers[k].W).T)
        ...     return {"layers": grads}, a[-1]
        >>> generator = np.random.default_rng(0)
        >>> y = np.arange(300) % 3
        >>> x = np.eye(3)[y] + 0.3 * generator.standard_normal((300, 3))
        >>> arrays = {"x_train": x[:200], "y_train": y[:200], "x_test": x[200:], "y_test": y[200:]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = compare.compare(arrays, ["bp", sign_symmetry], sizes=(8,), rates=3, epochs=3, results=folder)
        >>> [row.name for row in found.rows], all(row.accuracy["test"].mean > 0.8 for row in found.rows)
        (['BP', 'sign_symmetry'], True)
    """
    given = Budget(**_known(budget))
    if not isinstance(seeds, Iterable):
        raise PlasticError(f"seeds is {seeds!r}; it must hold the seeds of training: 1,2,3")
    require_seeds(seeds := tuple(seeds))
    arrays = _known_arrays(arrays)
    of_user = _samples(arrays, name, validation, sequences)
    known = in_time.RULES if sequences else feed_forward.RULES
    sizes = (of_user.train[0].shape[-1], *given.sizes, of_user.classes)
    found = chosen(rules, sizes, known)
    options: dict[str, Any] = {
        "dataset": name,
        "data": _digest(arrays),
        "rules": list(found),
    }
    options |= {key: plain(value) for key, value in dataclasses.asdict(given).items()}
    options |= {"seeds": list(seeds), "validation": validation, "sequences": sequences}
    x, labels = samples.centred(of_user).train
    with blas_threads(1):
        for rule in found.values():
            require_updates(rule, sizes, x, functions.one_hot(labels, of_user.classes), given.batch_size)
        with _begun(results, name, options, resume) as run:
            trained(run, found, of_user, given)
            write(run)
            draw_figures(of_run(run), run)
    return Comparison(Run(run.folder), summary.of(run), summary.markdown(run))


def _known(budget):
    fields = {field.name for field in dataclasses.fields(Budget)}
    if unknown := sorted(budget.keys() - fields):
        raise PlasticError(f"compare has no argument {unknown[0]}; a budget has {', '.join(sorted(fields))}")
    return budget


def _digest(arrays):
    """Return a hash of the user's arrays, by which a comparison that is resumed knows that they are the same."""
    found = hashlib.sha256()
    for each in ARRAYS:
        found.update(np.ascontiguousarray(arrays[each]).tobytes())
    return found.hexdigest()[:16]


def _known_arrays(arrays):
    """Return the four arrays, each read once: those of an .npz file are read whenever they are asked for."""
    found = {each: arrays.get(each) for each in ARRAYS} if isinstance(arrays, Mapping) else {}
    if odd := [each for each in ARRAYS if not isinstance(found.get(each), np.ndarray)]:
        raise PlasticError(f"arrays must be a dict of NumPy arrays, {', '.join(ARRAYS)}; {odd[0]} is no array")
    for each, array in found.items():
        if array.dtype.kind not in "biuf":
            raise PlasticError(f"{each} has type {array.dtype}; real numbers are needed")
        if np.ma.isMaskedArray(array):
            raise PlasticError(f"{each} is masked; fill what is missing, or leave these samples out")
    return found


def _samples(arrays, name, validation, sequences):
    checked = npz.checked(name, arrays)
    if not validation:
        raise PlasticError("validation is 0; learning rates are chosen by validation data")
    whole = data.assembled(name, checked, xp.float_dtype.name, scale=True)
    return samples.taken(whole, samples.sequences if sequences else samples.flat, validation)


def _begun(results, name, options, resume):
    if resume is None:
        return Run.create(results, "compare", "own", options, name)
    run = Run.resume(resume)
    for key, value in options.items():
        if run.options.get(key) != value:
            run.close()
            raise PlasticError(f"{key} is {value!r}, but the comparison to resume has {run.options.get(key)!r}")
    return run
