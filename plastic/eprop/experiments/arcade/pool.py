"""The games in processes of their own, which play while the network learns.

Every process has some environments of each group. `begin` and `step` send a message and return at once; `receive` waits
for what the group then sees. Messages are answered in their order, and what is seen does not depend on how many
processes there are.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys

import numpy as np

from plastic.eprop.experiments.arcade import stage
from plastic.eprop.experiments.arcade.stage import Seen, Stage
from plastic.eprop.experiments.arcade.worker import ERROR, HEADER, REPLY
from plastic.errors import PlasticError

_THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM", "BLIS")}
_START = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from plastic.eprop.experiments.arcade import worker
worker.main()"""
_BUFFER = 1 << 20  # bytes of a pipe, so that a process need not wait for its reader


class Ended(PlasticError):
    """A process that plays has ended."""


class Pool:
    """Environments in groups, in `workers` processes, or in this one if there are none; processes start when needed."""

    def __init__(self, game, groups, repeats, workers):
        """groups: the numbers of environments of each. repeats: frames of an action."""
        self.game, self.groups, self.repeats = game, groups, repeats
        count = min(workers, *groups)
        self.shares = [[len(part) for part in np.array_split(range(group), max(1, count))] for group in groups]
        self.here, self.answers = workers == 0, []
        self.workers, self.stage = [], None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def begin(self, group, seeds, length, jitter):
        """Let all environments of a group begin anew; see `Environment.begin`."""
        self._start()
        self._send(stage.BEGIN, group, np.asarray(seeds, np.int64), [length, jitter])

    def step(self, group, actions):
        """Let a group act."""
        self._send(stage.STEP, group, np.asarray(actions, np.int64), [])

    def receive(self, group):
        """Return the `Seen` that follows the group's last message."""
        if self.here:
            return self.answers.pop(0)
        return Seen.together([worker.receive(self.shares[group][k]) for k, worker in enumerate(self.workers)])

    def close(self):
        """End the processes."""
        for worker in self.workers:
            worker.close()
        self.workers, self.answers = [], []

    def _start(self):
        if self.here:
            self.stage = self.stage or Stage(self.game, self.groups, self.repeats)
        elif not self.workers:
            for each in zip(*self.shares, strict=True):  # one by one: where a later one fails, those before are ended
                self.workers.append(Worker(self.game, each, self.repeats))

    def _send(self, kind, group, numbers, before):
        if self.here:
            self.answers.append(self.stage.play(kind, group, [*before, *numbers]))
            return
        ends = np.cumsum(self.shares[group])[:-1]
        for worker, own in zip(self.workers, np.split(numbers, ends), strict=True):
            worker.send(kind, group, np.concatenate([np.array(before, np.int64), own]))


class Worker:
    """A process that plays, seen from the one that learns."""

    def __init__(self, game, groups, repeats):
        """groups: how many environments of each group are its own."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _THREADS,
            start_new_session=True,  # Ctrl-C is for the process that learns, which ends this one
        )
        with contextlib.suppress(ImportError, AttributeError, OSError):  # only Linux has it, and has a limit
            import fcntl

            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, _BUFFER)
        self._write(json.dumps({"game": game, "groups": groups, "repeats": repeats}).encode() + b"\n")

    def send(self, kind, group, numbers):
        """Send a message of whole numbers."""
        self._write(HEADER.pack(kind, group, len(numbers)) + numbers.tobytes())

    def receive(self, count):
        """Return the `Seen` of `count` environments."""
        kind, size = REPLY.unpack(self._read(REPLY.size))
        if kind == ERROR:
            raise PlasticError(self._read(size).decode())
        seen = Seen.empty(count)
        for each in seen.arrays():
            self._read_into(memoryview(each).cast("B"))
        return seen

    def close(self):
        """End the process; it ends by itself when its input does."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _write(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            self._ended()

    def _read(self, size):
        data = bytearray(size)
        self._read_into(memoryview(data))
        return bytes(data)

    def _read_into(self, view):
        while view:
            count = self.process.stdout.readinto(view)
            if not count:
                self._ended()
            view = view[count:]

    def _ended(self):
        code = self.process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise Ended(f"process {self.process.pid}, which plays, has ended {how}; a run goes on with --resume=FOLDER")
