"""Runs that are killed again and again, and go on to the bit.

    python tests/kills.py 100                       # kills for each family, of all its commands that train, in turn
    python tests/kills.py 100 --family=pc --seed=3  # of one family; another seed
    python tests/kills.py 100 --by=signals          # SIGINT, SIGTERM and SIGHUP, which are also told in one line

A run of a tiny size is started, killed, resumed, killed and so on, until it gets to its end by itself. Its folder has
to hold then, byte by byte, what that of an undisturbed run holds, but for times and what is told of the resumptions.
Half of the kills come at a random moment, the others just before or just after a call that changes files. Each start
is a fork, so that modules are imported once; POSIX only. tests/test_kills.py takes a few of these runs.
"""

import argparse
import importlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CALLS = ("fsync", "ftruncate", "mkdir", "open", "replace", "unlink")
"""Functions of `os` that change files; what is opened to be read counts too."""
SIGNALS = {"kill": (signal.SIGKILL,), "signals": (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
OF_THE_MOMENT = ("checksum", "started", "ended", "resumed", "command", "revision")
"""What config.json says of the time and of how the process was started."""


class Found(Exception):
    """What a run did that none may, or what it has lost."""


class Killed:
    """One line of a command, started in forks of this process.

    Args:
        line: of tests/commands.
        data: path of its data set, "" where it needs none.
        place: an empty folder for its runs.
        chance: a `random.Random`.
        by: the signals to choose from.
    """

    def __init__(self, line, data, place, chance, by):
        from plastic import cli

        for name in ("fire", "h5py", "scipy.linalg"):
            importlib.import_module(name)  # once, and not in each fork
        self.line, self.chance, self.by, self.place = line, chance, by, pathlib.Path(place)
        self.variables = {name: value.format(data=data) for name, value in line.variables.items()}
        commands = importlib.import_module(f"plastic.{line.family}.__main__").COMMANDS
        self.words = [word.format(data=data) for word in line.words]
        self._serve = lambda words: cli.run(commands, [line.command, *words, "--no_plot"], prog="plastic")
        self.results, begun = self.place / "whole", time.monotonic()
        self._end(self._start(self.words))
        self.seconds = time.monotonic() - begun
        self.whole, self.calls = held(self._folder()), int((self.place / "calls").read_text())
        self.results = self.place / "killed"

    def once(self):
        """Kill a run until it gets to its end; return how often it was killed. Raises `Found`."""
        shutil.rmtree(self.results, ignore_errors=True)
        kills = 0
        while True:
            folder = self._folder()
            words = [f"--resume={folder}"] if folder else self.words
            if self.chance.random() < 0.5:
                child = self._start(words)
                time.sleep(self.chance.uniform(0, self.seconds))
                os.kill(child, self.chance.choice(self.by))
            else:
                child = self._start(words, kill_at=self.chance.randint(1, self.calls))
            if self._end(child):
                break
            kills += 1
        if (found := held(self._folder())) != self.whole:
            differ = sorted(name for name in found.keys() | self.whole if found.get(name) != self.whole.get(name))
            raise Found(f"{self.line}: after {kills} kills {', '.join(differ)} differ in {self._folder()}")
        return kills

    def _start(self, words, kill_at=0):
        """Start a command line in a fork; return its number."""
        os.environ.update(self.variables | {"PLASTIC_RESULTS": str(self.results)})
        which = self.chance.choice(self.by)
        (self.place / "stderr").write_text("")  # a process may be killed before it opens its own
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(self.place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            calls = armed(kill_at, which)
            self._serve(words)
            (self.place / "calls").write_text(str(calls[0]))
            code = 0
        except SystemExit as leave:
            code = leave.code
        finally:
            if code == 1:
                import traceback

                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end(self, child):
        """Wait for a process; return whether it has got to its end. Raises `Found` where it misbehaves."""
        _, status = os.waitpid(child, 0)
        told = (self.place / "stderr").read_text()
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) != signal.SIGKILL and told:
                raise Found(f"{self.line}: died of signal {os.WTERMSIG(status)}: {told}")
            return False
        code, lines = os.WEXITSTATUS(status), [line for line in told.splitlines() if not line.startswith("warning: ")]
        if code not in (0, 130) or len(lines) != (code == 130):
            raise Found(f"{self.line}: exit code {code}, {told!r}")
        folder = self._folder()
        if code == 130 and folder and json.loads((folder / "config.json").read_text())["status"] == "running":
            raise Found(f"{self.line}: {told!r}, but config.json says running")
        return code == 0

    def _folder(self):
        """Return the folder of the run, None where there is none yet: without config.json there is no run."""
        found = [folder for folder in self.results.glob("*/*") if (folder / "config.json").exists()]
        if len(found) > 1:
            raise Found(f"{self.line}: {len(found)} folders of one run")
        return found[0] if found else None


def armed(kill_at, which):
    """Let the call number `kill_at` of `CALLS` send a signal, before it if the number is odd; return [calls so far]."""
    calls = [0]

    def replaced(real):
        def call(*arguments, **options):
            calls[0] += 1
            mine = calls[0] == kill_at
            if mine and kill_at % 2:
                os.kill(os.getpid(), which)
            result = real(*arguments, **options)
            if mine and not kill_at % 2:
                os.kill(os.getpid(), which)
            return result

        return call

    for name in CALLS:
        setattr(os, name, replaced(getattr(os, name)))
    return calls


def held(folder):
    """Return all that a run folder holds, {name: bytes}, but for the lock and what is of the moment in config.json."""
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != ".lock"}
    config = json.loads(found.pop("config.json"))
    kept = {name: value for name, value in config.items() if name not in OF_THE_MOMENT}
    kept["options"] = {name: value for name, value in kept["options"].items() if name != "results"}
    return found | {"config.json": json.dumps(kept, sort_keys=True)}


def tried(family, kills, seed, by, place):
    """Kill runs of a family's commands that train, one after the other; return {command: kills}. Raises `Found`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what comes before a command line is looked at is Python's
    chance, made, done = random.Random(f"{family} {seed}"), {}, {}
    lines = [line for line in importlib.import_module(f"commands.{family}").LINES if line.trains]
    for line in itertools.cycle(lines):
        if sum(done.values()) >= kills:
            return done
        if str(line) not in done:
            (place / str(line)).mkdir()
            data = line.data(place / str(line)) if line.data else ""
            made[str(line)] = Killed(line, data, place / str(line), chance, SIGNALS[by])
        done[str(line)] = done.get(str(line), 0) + made[str(line)].once()


def main():
    """Kill; say how often, or what is lost."""
    families = sorted(path.stem for path in (HERE / "commands").glob("*.py") if path.stem != "case")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int)
    parser.add_argument("--family", choices=families)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by", choices=SIGNALS, default="kill")
    given = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp())
    for family in [given.family] if given.family else families:
        done = tried(family, given.kills, given.seed, given.by, place)
        print(f"{sum(done.values())} kills of {family}: {done}", flush=True)
    shutil.rmtree(place)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")
    main()
