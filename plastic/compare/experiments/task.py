"""What comparisons on any task share: the samples, the rules that fit, the results."""

import pathlib

from plastic import data, require, xp
from plastic.compare import results
from plastic.compare.comparison import require_seeds, trained
from plastic.compare.rules import chosen
from plastic.compare.samples import taken


def readable(*, dataset, loss="squared", **_):
    """Return what the name of a run folder says."""
    return pathlib.Path(dataset).stem + ("" if loss == "squared" else f"-{loss}")


def compared(run, known, dataset, rules, budget, per_class, validation, prepare):
    """Compare rules on a data set, and return lines to print.

    known: rules by name. prepare(x) gives the samples as networks take them, (N, n_0) or (N, T, n_0). The others are
    options.
    """
    require_seeds(run.seeds)
    require.counts(per_class=per_class)
    require.number("validation", validation, above=0, below=1)
    size = data.sizes(dataset)
    if rules is not None or size is not None:  # what can be refused is, before anything is read
        chosen(rules, (1, *budget.sizes, size[2] if size else 2), known)
    found = data.load(dataset, dtype=xp.float_dtype.name)
    samples = taken(found, prepare, validation, per_class)
    fitting = chosen(rules, (samples.train[0].shape[-1], *budget.sizes, samples.classes), known)
    run.fill(rules=tuple(fitting))
    trained(run, fitting, samples, budget)
    return results.write(run)
