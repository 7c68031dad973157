"""Time our code, its NumPy floor and other people's code for the same work in one run, alternating.

On a CPU a time is CPU time, so that another process beside ours counts for less and a second thread of a peer counts in
full; on a GPU it is the time between two CUDA events. All figures are medians.
"""

import importlib
import os
import statistics
import time

import threadpoolctl

from plastic import xp


def peer(name):
    """Return the module of a peer (`jax`, `torch`), held to one thread, or None where it is not there, or not whole."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", flags)
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError):  # OSError: a library that it was built for is missing
        return None
    if name == "torch":
        module.set_num_threads(1)
    return module


def compare(benchmark, name, ours, floor=None, *, peers=None, flops=None, rounds=15, calls=1):
    """Time functions in turn, `rounds` times after a warm-up, in one thread; record and print them in one line.

    benchmark: the fixture of pytest-benchmark, which keeps the numbers in its report
    ours, floor: functions without arguments
    peers: {"JAX": function, ..}, whose functions return when their work is done
    flops: operations in the products of one call of ours; their rate is printed
    calls: how many in a row make a measurement, which is their mean: steps of a millisecond follow one another in
        training, and one alone, after a pause and the other functions, finds caches that hold nothing of it

    The floor is one of array calls, a NumPy floor: no lower bound of what compiled code takes. Each benchmark says what
    is inside.

    Returns the medians in ms: {"ours": .., "NumPy floor": .., "JAX": ..}.
    """
    functions = {"ours": ours, **({"NumPy floor": floor} if floor else {}), **(peers or {})}
    times = {kind: [] for kind in functions}
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        for count in range(as_many_as_count(rounds) + 1):
            for kind, function in functions.items():
                taken = milliseconds(function, calls)
                if count > 0:
                    times[kind].append(taken)
        benchmark.pedantic(ours, rounds=1)
    medians = {kind: statistics.median(each) for kind, each in times.items()}
    mine = medians["ours"]
    ratios = {kind: f"{median:.3g} ms ({mine / median:.2f})" for kind, median in medians.items() if kind != "ours"}
    rate = {} if flops is None else {"gflops": round(flops / mine / 1e6, 1)}
    benchmark.extra_info.update({f"{kind}_ms": round(each, 3) for kind, each in medians.items()}, **rate, where=where())
    words = [f"ours {mine:.3g} ms", *(f"{kind} {text}" for kind, text in ratios.items())]
    words += [f"{each} GF/s" for each in rate.values()]
    print(f"\n{name}: {', '.join(words)} [{where()}]")
    return medians


def as_many_as_count(rounds):
    """Return `rounds`, or 1 in a worker of `pytest -n`, where other tests run beside and a time means nothing."""
    return 1 if "PYTEST_XDIST_WORKER" in os.environ else rounds


def where():
    """Return what the numbers were measured on: the kernels of BLAS, or the GPU and the version of CuPy."""
    if xp.backend() == "cupy":
        card = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
        return f"{card}, CuPy {importlib.import_module('cupy').__version__}"
    blas = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    return ", ".join(sorted({info.get("architecture") or info["internal_api"] for info in blas}))


def milliseconds(function, calls=1):
    """Return how long a call takes, of so many in a row: between CUDA events on a GPU, and the CPU time on a CPU."""
    if xp.backend() == "cupy":
        start, end = xp.cuda.Event(), xp.cuda.Event()
        start.record()
        for _ in range(calls):
            function()
        end.record()
        end.synchronize()
        return xp.cuda.get_elapsed_time(start, end) / calls
    time.sleep(0.1)  # threads of a peer, which count here, may be busy for a while after it has returned
    start = time.process_time()
    for _ in range(calls):
        function()
    return 1e3 * (time.process_time() - start) / calls
