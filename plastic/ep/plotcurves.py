"""Curves of EP and BPTT side by side on one batch: distances, residual, and traces for the figures."""

import numpy as np

from plastic import parameters, xp
from plastic.ep import task
from plastic.ep.curves import Comparison, Distance, distances
from plastic.functions import one_hot

_UNITS, _UNITS_OF_MAPS = 5, 8  # traces in a panel, as published
_SYNAPSES, _FEW_SYNAPSES = 10, 5


def batch(options, dataset, order):
    """Return the first batch (x, y) of the training set of `dataset` in an order, of the size in `options`."""
    x, labels = (array[order[: options["batch_size"]]] for array in dataset.train)
    return xp.asarray(x), one_hot(xp.asarray(labels), options["size_tab"][0])


def toy_batch(options, generator):
    """Return x ~ U(0, 1), and y with one random class for all samples, of the sizes in `options`, by `generator`."""
    shape = options["batch_size"], options["size_tab"][-1]
    x, label = generator.random(shape), generator.integers(options["size_tab"][0])
    return xp.asarray(x), one_hot(xp.asarray(np.full(shape[0], label)), options["size_tab"][0])


def measure(options):
    """Return (rows of metrics.csv, arrays of arrays.h5) of the comparison that the options ask for."""
    generator = xp.generator(options["seed"])
    if options["toymodel"]:
        x, y = toy_batch(options, generator.task)
    else:
        dataset = task.load_data(options)
        x, y = batch(options, dataset, generator.shuffle.permutation(len(dataset.train[0])))
    network = task.build(options, generator.init)
    T, K = options["T"], options["Kmax"]
    comparison = Comparison(network, x, y, T=T, K=K, beta=options["beta"], tolerance=options["tolerance"])
    rows, arrays = _neurons(comparison, options, generator.noise)
    more_rows, more_arrays = _synapses(comparison, options, generator.noise)
    return rows + more_rows, arrays | more_arrays


def _neurons(comparison, options, generator):
    rows, arrays = [], {}
    for layer, (n, d) in enumerate(zip(*comparison.neurons(), strict=True)):
        residual = float(xp.asnumpy(comparison.residual[layer]))
        rows.append({"array": f"s^{layer}", **_statistics(distances(n, d)), "residual": residual})
        n, d = (xp.asnumpy(each) for each in (n, d))
        units = n[0].size
        some = min(units, _UNITS_OF_MAPS if options["C_tab"] else _UNITS)
        chosen = np.arange(some) if layer == 0 else np.sort(generator.choice(units, some, replace=False))
        arrays |= {f"nS/{layer}": n, f"dS/{layer}": d, f"units/{layer}": chosen}
    return rows, arrays


def _synapses(comparison, options, generator):
    labels = task.connections(comparison.net)
    sizes = {path: leaf.size for path, leaf in parameters.leaves(comparison.net.parameters)}
    some = _FEW_SYNAPSES if options["toymodel"] or options["C_tab"] else _SYNAPSES
    chosen = {
        label: np.sort(generator.choice(sizes[path], min(some, sizes[path]), replace=False)) for label, path in labels
    }
    places = {label: xp.asarray(entries) for label, entries in chosen.items()}
    distance = {label: Distance() for label, _ in labels}
    traces = {label: ([], []) for label, _ in labels}
    for trees in comparison.synapses():
        N, D = (dict(parameters.leaves(tree)) for tree in trees)
        for label, path in labels:
            distance[label].add(N[path], D[path])
            for trace, leaves in zip(traces[label], (N, D), strict=True):
                trace.append(leaves[path].reshape(-1)[places[label]])
    rows, arrays = [], {}
    for label, path in labels:
        rows.append({"array": label, **_statistics(distance[label].value()), "residual": None})
        n, d = (xp.asnumpy(xp.stack(trace)) for trace in traces[label])
        arrays |= {f"NT/{label}": n, f"DT/{label}": d, f"synapses/{label}": chosen[label]}
        arrays |= {f"NT_last/{label}": xp.asnumpy(N[path]), f"DT_last/{label}": xp.asnumpy(D[path])}
    return rows, arrays


def _statistics(distance):
    entries = xp.asnumpy(distance)
    std = entries.std(ddof=1) if entries.size > 1 else 0.0
    return {"rmse_mean": float(entries.mean()), "rmse_std": float(std)}


def report(rows):
    """Print rows: the mean distance of every layer and connection, and the residual beside it."""
    print(f"{'':8}{'RMSE':>10}{'std':>10}  free-phase residual")
    for row in rows:
        residual = "" if row["residual"] is None else f"{row['residual']:.1e}"
        print(f"{row['array']:8}{row['rmse_mean']:10.4f}{row['rmse_std']:10.4f}  {residual}".rstrip())
