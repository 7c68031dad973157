"""Sweeps: a run made of parts, each with its own network, that are done one after the other.

What a part has found are rows of metrics.csv, and the checkpoint says which parts are done. A run that was killed
goes on with the part it was in, from its beginning, and so ends as an undisturbed one.
"""

from plastic.runs.command import run_task


class Sweep:
    """parts: [part], each a dict of the values that set it apart.    work: work(part) -> rows of metrics.csv."""

    def __init__(self, parts, work):
        self.parts, self.work = parts, work

    def train(self, run):
        """Do the parts that are not done yet."""
        from tqdm import tqdm

        done = 0
        if (run.folder / "checkpoint.h5").exists():
            done = run.load_checkpoint({})["done"]
        else:
            (run.folder / "metrics.csv").unlink(missing_ok=True)  # of a run that was killed in its first part
        for part in tqdm(self.parts[done:], initial=done, total=len(self.parts), disable=None, unit="part"):
            run.log([part | row for row in self.work(part)])
            done += 1
            run.save_checkpoint({}, {"done": done})


def run_sweep(name, options, readable, prepare, report, draw):
    """Run a `Sweep` that prepare() makes in a run folder of the family; see `run_task`."""
    return run_task("pc", name, options, readable, prepare, lambda run, _: report(run), draw=draw)
