"""Who runs the points of a sweep: processes of this machine (loky), Ray or Dask, each with one BLAS thread.

An engine is a function of the batches of jobs, the number of workers and an address; it yields each batch with what has
become of it, in the order in which they end: an `Outcome` of each job, or a message where its worker died.
"""

import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from typing import Any

from plastic import interruption, require
from plastic.errors import PlasticError
from plastic.sweep import together
from plastic.sweep.point import Outcome
from plastic.sweep.together import Batch

Ended = tuple[Batch, list[Outcome] | str]
Running = Generator[Ended, None, None]
_PACKAGES = {"ray": "ray", "dask": "distributed"}
_IDLE = 10  # seconds after which a worker without work ends, also one whose driver was killed
_ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def require_at_hand(engine: str, address: str | None) -> None:
    """Raise PlasticError where an engine is not installed, or has no use for an address."""
    if engine == "loky" and address is not None:
        raise PlasticError(f"address is {address}; loky runs on this machine only, take --engine=ray or dask")
    if engine in _PACKAGES:
        require.package(_PACKAGES[engine], engine, f"--engine={engine}")


def on_loky(jobs: list[Batch], workers: int, address: str | None = None) -> Running:
    """Run jobs in processes of this machine."""
    from joblib.externals.loky import ProcessPoolExecutor

    left = collections.deque(jobs)
    while left:
        executor = ProcessPoolExecutor(workers, env=_ONE_THREAD, timeout=_IDLE, initializer=_leave_ctrl_c_to_the_driver)
        try:
            yield from _while_it_lives(executor, left, workers)
        except BaseException:
            with interruption.deferred():
                for process in multiprocessing.active_children():
                    process.terminate()  # a run then saves and ends
            raise
        finally:
            _shut_down(executor)


def _shut_down(executor):
    """Wait for the workers to end; where Ctrl-C comes again, kill them: nobody would send them home any more."""
    try:
        executor.shutdown(wait=True)
    except KeyboardInterrupt:
        with interruption.deferred():
            for process in multiprocessing.active_children():
                if process.pid is not None:  # these processes lack `kill`, and Windows the signal
                    os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        raise


def _leave_ctrl_c_to_the_driver():
    """Ignore Ctrl-C, which reaches all processes of a terminal: whoever sent the work sends SIGTERM, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _while_it_lives(executor, left, workers):
    """Run jobs until none is left, or a worker died: then no job runs any more, and the executor takes none."""
    running: dict[Any, Batch] = {}
    while left or running:
        while left and len(running) < workers:  # whoever kills the driver leaves no more behind than these
            running[executor.submit(together.run, left[0])] = left[0]
            left.popleft()
        broken = False
        for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
            job = running.pop(future)
            try:
                yield job, future.result()
            except concurrent.futures.process.BrokenProcessPool:
                broken = True
                yield job, "its worker died"
        if broken:
            for job in running.values():
                yield job, "its worker died"
            return


def on_ray(jobs: list[Batch], workers: int, address: str | None = None) -> Running:
    """Run jobs on Ray: on the cluster of an address, or on one of this machine."""
    import ray

    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    where = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
    before = signal.getsignal(signal.SIGTERM)
    with _reached(address):
        ray.init(**where, **quiet, runtime_env={"env_vars": _ONE_THREAD})
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # at Ray's own the process aborts
    try:
        remote = ray.remote(num_cpus=1, max_retries=0)(together.run)
        waiting = {remote.remote(job): job for job in jobs}
        while waiting:
            for done in ray.wait(list(waiting), num_returns=1)[0]:
                job = waiting.pop(done)
                try:
                    yield job, ray.get(done)
                except ray.exceptions.RayError as error:
                    yield job, f"its worker died: {type(error).__name__}"
    finally:
        ray.shutdown()


def on_dask(jobs: list[Batch], workers: int, address: str | None = None) -> Running:
    """Run jobs on Dask: on the scheduler of an address, or on a cluster of this machine."""
    import distributed

    os.environ.update(_ONE_THREAD)  # which processes inherit
    cluster: Any = None
    if address is None:
        quiet = {"dashboard_address": None, "silence_logs": 50}
        cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **quiet)
    with _reached(address):
        client = distributed.Client(cluster or address)
    try:
        waiting = {client.submit(together.run, job, pure=False, retries=0): job for job in jobs}
        for future in distributed.as_completed(list(waiting)):
            try:
                yield waiting[future], future.result()
            except (distributed.scheduler.KilledWorker, concurrent.futures.CancelledError) as error:
                yield waiting[future], f"its worker died: {type(error).__name__}"
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


@contextlib.contextmanager
def _reached(address):
    """Turn whatever a package says of an address where it finds no cluster into a PlasticError."""
    try:
        yield
    except Exception as error:
        if address is None:
            raise
        reason = str(error).partition("\n")[0]
        raise PlasticError(f"address is {address}; no cluster answers there: {reason}") from None


ENGINES: dict[str, Callable[[list[Batch], int, str | None], Running]] = {
    "loky": on_loky,
    "ray": on_ray,
    "dask": on_dask,
}
