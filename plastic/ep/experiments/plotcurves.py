"""Curves of EP and BPTT side by side on one batch: distances, residual, and traces for the figures."""

from typing import Literal

import numpy as np

from plastic import parameters, runs, xp
from plastic.ep.curves import Comparison, Distance, connections, distances
from plastic.ep.experiments import figures
from plastic.ep.experiments.images import Images
from plastic.ep.experiments.options import SPELLINGS, NetworkOptions, Phases, folder_name
from plastic.errors import Diverged, PlasticError
from plastic.functions import one_hot

_UNITS, _UNITS_OF_MAPS = 5, 8  # traces in a panel, as published
_SYNAPSES, _FEW_SYNAPSES = 10, 5


@runs.experiment(
    "ep", draw=figures.CURVES, readable=folder_name, seeds=False, dtype="float64", resume=False, spellings=SPELLINGS
)
def plotcurves(
    run, *, network: NetworkOptions, phases: Phases, images: Images, save: Literal["drawn", "all"] = "drawn"
):
    """Compare the updates of EP with the gradients of BPTT step by step, on one batch (Ernoult et al. 2019, Fig. 2-4).

    Nudging is one-sided, and BPTT goes back Kmax steps. Sizes and channels are given from the output backwards, as in
    the paper. The run folder, results/ep/plotcurves-..., gets config.json, metrics.csv, arrays.h5 and three figures.
    metrics.csv has the mean distance (RMSE) of the curves for each layer and connection, and the residual of the free
    phase beside it. W_01 leads from layer 1 to layer 0, the output; W_10 is the way back with learning_rule=vf. float64
    is the default, since differences are divided by a small beta.

    Args:
        save: drawn: of NT and DT, the synapses that are drawn, and all at t = Kmax - 1; or all: whole tensors too, as
            NT_all/W_01, DT_all/W_01, .. of arrays.h5, each (Kmax, units that send, units that receive).
    """
    network = network.complete(toy_inputs=5)
    if network.loss != "mse":
        raise PlasticError(
            f"loss is {network.loss}, but curves are of networks whose last layer is the output: take mse"
        )
    phases.require(network)
    images.require()
    (generator,) = run.generators()
    if network.toymodel:
        if images.dataset != Images.dataset:
            raise PlasticError(f"dataset is {images.dataset}, but plotcurves gives the toy model random inputs")
        shape = network.sizes[-1:]
        x, y = _toy_batch(images.batch_size, network.sizes, generator.task)
    else:
        samples = images.load(network)
        shape = samples.train[0].shape[1:]
        x, y = images.first_batch(samples, network.sizes[0], generator.shuffle)
    run.fill(size_tab=network.size_tab, dt=network.dt, input_shape=shape)
    net = network.build(generator.init, shape)
    if save == "all":
        weights = dict(parameters.leaves(net.parameters))
        entries = sum(weights[path].size for _, path in connections(net))
        run.expect(2 * phases.Kmax * entries, save=save, Kmax=phases.Kmax, size_tab=network.size_tab)
    run.begin()
    with np.errstate(all="ignore"):  # told below
        comparison = Comparison(net, x, y, T=phases.T, K=phases.Kmax, beta=phases.beta, **phases.ending)
        units = _UNITS_OF_MAPS if network.C_tab else _UNITS
        rows, arrays = _neurons(comparison, units, generator.noise)
        few = _FEW_SYNAPSES if network.toymodel or network.C_tab else _SYNAPSES
        more_rows, more_arrays = _synapses(comparison, few, generator.noise, save == "all")
    rows += more_rows
    if not np.all(np.isfinite([value for row in rows for value in row.values() if isinstance(value, float)])):
        raise Diverged(f"the comparison diverged with beta {phases.beta} and dt {network.dt}; change them")
    run.log(rows)
    run.save_arrays(arrays | more_arrays)
    return _report(rows)


def _toy_batch(batch_size, sizes, generator):
    """Return x ~ U(0, 1), and y with one random class for all samples, of sizes that the output begins."""
    x, label = generator.random((batch_size, sizes[-1])), generator.integers(sizes[0])
    return xp.asarray(x), one_hot(xp.asarray(np.full(batch_size, label)), sizes[0])


def _neurons(comparison, most, generator):
    """Return (rows of metrics.csv, arrays of arrays.h5) of the layers, with at most so many units to be drawn."""
    rows, arrays = [], {}
    for layer, (n, d) in enumerate(zip(*comparison.neurons(), strict=True)):
        residual = float(xp.asnumpy(comparison.residual[layer]))
        rows.append({"array": f"s^{layer}", **_statistics(distances(n, d)), "residual": residual})
        n, d = (xp.asnumpy(each) for each in (n, d))
        units = n[0].size
        chosen = np.arange(min(units, most)) if layer == 0 else _chosen(generator, units, most)
        arrays |= {f"nS/{layer}": n, f"dS/{layer}": d, f"units/{layer}": chosen}
    return rows, arrays


def _synapses(comparison, most, generator, whole):
    """Return (rows of metrics.csv, arrays of arrays.h5) of the weights, with at most so many of each to be drawn.

    With `whole`, all of them are among the arrays, too.
    """
    labels = connections(comparison.net)
    sizes = {path: leaf.size for path, leaf in parameters.leaves(comparison.net.parameters)}
    chosen = {label: _chosen(generator, sizes[path], most) for label, path in labels}
    places = {label: xp.asarray(entries) for label, entries in chosen.items()}
    distance = {label: Distance() for label, _ in labels}
    traces = {label: ([], []) for label, _ in labels}
    tensors = _empty_tensors(comparison) if whole else {}
    for t, trees in enumerate(comparison.synapses()):
        N, D = (dict(parameters.leaves(tree)) for tree in trees)
        for label, path in labels:
            distance[label].add(N[path], D[path])
            for trace, leaves in zip(traces[label], (N, D), strict=True):
                trace.append(leaves[path].reshape(-1)[places[label]])
            if whole:
                tensors[f"NT_all/{label}"][t], tensors[f"DT_all/{label}"][t] = map(xp.asnumpy, (N[path], D[path]))
    rows, arrays = [], {}
    for label, path in labels:
        rows.append({"array": label, **_statistics(distance[label].value()), "residual": None})
        n, d = (xp.asnumpy(xp.stack(trace)) for trace in traces[label])
        arrays |= {f"NT/{label}": n, f"DT/{label}": d, f"synapses/{label}": chosen[label]}
        arrays |= {f"NT_last/{label}": xp.asnumpy(N[path]), f"DT_last/{label}": xp.asnumpy(D[path])}
    return rows, arrays | tensors


def _empty_tensors(comparison):
    """Return host arrays (Kmax, ...) for all of NT and DT, by name."""
    weights = dict(parameters.leaves(comparison.net.parameters))
    return {
        f"{kind}_all/{label}": np.empty((comparison.K, *weights[path].shape), xp.float_dtype)
        for label, path in connections(comparison.net)
        for kind in ("NT", "DT")
    }


def _chosen(generator, count, most):
    return np.sort(generator.choice(count, min(count, most), replace=False))


def _statistics(distance):
    entries = xp.asnumpy(distance)
    std = entries.std(ddof=1) if entries.size > 1 else 0.0
    return {"rmse_mean": float(entries.mean()), "rmse_std": float(std)}


def _report(rows):
    """Return the mean distance of every layer and connection, and the residual beside it."""
    lines = [f"{'':8}{'RMSE':>10}{'std':>10}  free-phase residual"]
    for row in rows:
        residual = "" if row["residual"] is None else f"{row['residual']:.1e}"
        lines.append(f"{row['array']:8}{row['rmse_mean']:10.4f}{row['rmse_std']:10.4f}  {residual}".rstrip())
    return lines
