"""Time a hot path and its floor in one run, alternating, and report the ratio of the medians."""

import statistics
import time

import threadpoolctl

from plastic import xp


def ratio(benchmark, name, path, floor, rounds=15):
    """Time path() and floor() in turn, `rounds` times after a warm-up, in one thread; record and print the ratio.

    benchmark: the fixture of pytest-benchmark, which keeps the numbers in its report.
    """
    times = {"path": [], "floor": []}
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        for count in range(rounds + 1):
            for kind, function in (("path", path), ("floor", floor)):
                xp.synchronize()
                start = time.perf_counter()
                function()
                xp.synchronize()
                if count > 0:
                    times[kind].append(time.perf_counter() - start)
        benchmark.pedantic(path, rounds=1)
    medians = {kind: statistics.median(each) for kind, each in times.items()}
    cores = sorted({info["architecture"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"})
    value = medians["path"] / medians["floor"]
    milliseconds = {f"{kind}_ms": round(1e3 * median, 2) for kind, median in medians.items()}
    benchmark.extra_info.update(milliseconds, ratio=round(value, 2), threads=1, blas=cores)
    print(f"\n{name}: {milliseconds['path_ms']} ms, floor {milliseconds['floor_ms']} ms, ratio {value:.2f} ({cores})")
    return value
