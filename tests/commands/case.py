"""What the suite of tests/test_commands.py has to be told of a command: a line of a tiny size, and what it leaves."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Line:
    """A command at a tiny size, in a second or so.

    family: the package, as "gait". command: its name in COMMANDS. words: its options; {data} in them is the path that
        `data` has made.
    variables: environment variables, in which {data} is that path too.
    data: data(folder) -> path of a data set; None where the command needs none.
    figures: the names of the PNG files. arrays: whether arrays.h5 is left.
    network: check(trained, run) of what plastic.load gives; None where no network is kept. part: which, of a grid.
    trains: whether it can be killed and resumed.
    longer: (words of a short run, words of a long one) where a finished run can be extended.
    seeds: the option that several seeds are given by, where a replica is like a run of its own: "--seeds".
    columns: columns of metrics.csv that are compared between a replica and its run, and between backends.
    parts: columns that tell the rows of a replica apart, beside the step.
    wrong: {words: what the refusal says}, beside what is wrong for every command.
    tolerance: of those comparisons, relative.
    """

    family: str
    command: str
    words: tuple[str, ...]
    data: Callable[..., Any] | None = None
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    figures: tuple[str, ...] = ()
    arrays: bool = True
    network: Callable[..., Any] | None = None
    part: dict[str, Any] | None = None
    trains: bool = True
    longer: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    seeds: str | None = None
    columns: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)
    tolerance: float = 1e-5

    def __str__(self):
        return f"{self.family}-{self.command}"
