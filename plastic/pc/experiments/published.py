"""The published configurations and the commands that run them: `python -m plastic.pc list`."""

from typing import NamedTuple

from plastic import terminal


class Published(NamedTuple):
    """Configurations of one folder of the published code, the figure they belong to, the command, what it costs."""

    folder: str
    configurations: str
    figure: str
    command: str
    cost: str
    about: str = ""


_DEPTHS = "--T=128 --depths=1,2,4,6,8,10,12,14,15 --seeds=0,1,2"
ROWS = (
    Published("target_alignment", "base-112", "3a", "interference --rates=0.2 --iterations=64", "seconds"),
    Published("target_alignment", "base-112-lr", "3d", "interference", "seconds", "its rate 0.5 is not plotted"),
    Published(
        "target_alignment",
        "base-112-lr-first-bp, base-112-lr-first-pc",
        "",
        "interference --iterations=1",
        "seconds",
        "first steps; first_alignment in metrics.csv",
    ),
    Published(
        "target_alignment",
        "base-112-heatmap, base-112-heatmap-traj, base-112-levelmap",
        "",
        "interference",
        "seconds",
        "the levels of the loss are in the figure",
    ),
    Published("target_alignment", "base-depth-width-linear-angle", "3e", "alignment", "seconds"),
    Published("target_alignment", "base-depth", "ED", f"alignment {_DEPTHS}", "seconds"),
    Published("target_alignment", "base-depth-tp", "ED", f"alignment {_DEPTHS} --tp", "seconds"),
    Published("target_alignment", "base-depth-acf", "ED", f"alignment {_DEPTHS} --activation=tanh", "seconds"),
    Published(
        "target_alignment",
        "base-depth-init, base-depth-orth-init",
        "ED",
        f"alignment {_DEPTHS} --init=orthogonal",
        "seconds",
        "--rate=0.01 too",
    ),
    Published(
        "target_alignment", "base-prospective-index, base-target-alignment", "ED", "prospective_index", "seconds"
    ),
    Published("target_alignment", "base-iteration", "", "alignment_over --over=iteration", "seconds"),
    Published(
        "target_alignment", "base-width-linear", "", "alignment_over --over=width --activations=linear", "seconds"
    ),
    Published(
        "target_alignment",
        "base-acf-*, base-acf-init",
        "",
        "alignment_over --over=gain --activations=linear,sigmoid,tanh,relu,leaky --inits=xavier-uniform,orthogonal",
        "a minute",
        "explorations, with values of our own",
    ),
    Published("target_alignment", "base", "", "alignment_over --over=batch_size --values=1,64,256", "a minute"),
    Published("target_alignment", "base-depth-width, base-depth-width-linear", "", "alignment --width=256", "a minute"),
    Published("pc_pi_layered", "base", "ED", "prospective_index", "seconds"),
    Published(
        "example_122",
        "traj-pc, traj-bp, traj-pc-output, traj-bp-output, traj-small-lr-pc, traj-small-lr-bp, levelmap",
        "ED",
        "trajectory",
        "seconds",
    ),
    Published("example_122", "machine", "2", "", "", "an interactive film of the energy machine"),
    Published("teacher_example_122", "base", "ED", "teacher", "seconds"),
    Published(
        "less_erratic",
        "traj-learning-rate-pc, traj-learning-rate-bp, traj-learning-rate-gr, traj-learning-rate-ap",
        "ED",
        "erratic",
        "a minute",
    ),
    Published("search_depth", "base-focus", "3f, 3g, 3h", "depth", "a day; --grid=quick an hour"),
    Published(
        "none_batch_new_analysis",
        "base-b1, base-b8, base-b16, base-b32, base-b64",
        "4b, 4c",
        "online",
        "hours; --grid=quick minutes",
    ),
    Published("small-arch-small-data", "bp-il", "4h", "smalldata", "hours; --grid=quick minutes"),
    Published(
        "small-arch-small-data",
        "rbp-sazil*, bp-il-test-*",
        "",
        "",
        "",
        "of an older format, which the published code does not run",
    ),
    Published("forgetting", "base-shuffle-task-5-FashionMNIST", "4d, 4e", "forgetting", "an hour"),
    Published(
        "forgetting",
        "base-shuffle-task-5-CIFAR10, -fr, base-*task-4",
        "",
        "",
        "",
        "earlier versions, of which no figure is published",
    ),
    Published("concept_drift", "base", "4f, 4g", "drift", "hours; --rates=0.01 minutes"),
    Published("concept_drift", "pre-FashionMNIST", "", "drift --start=own", "hours", "trains the start, too"),
    Published("cnn_v2", "base-ppc", "4i", "cnn --rules=ipc", "weeks on a CPU"),
    Published(
        "cnn_v2", "base-rbp", "4i", "cnn --rules=bp_published", "weeks on a CPU", "--rules=repeated_bp is the fair one"
    ),
    Published("cnn_v2", "base-LeNet-ppc", "", "", "", "an exploration without a committed result"),
    Published(
        "simple_dqn_new",
        "base-focus",
        "4k",
        "rl --env=CartPole-v1",
        "hours",
        "and --env=Acrobot-v1, --env=MountainCar-v0",
    ),
    Published("simple_dqn_new", "base", "", "", "", "an exploration without a committed result"),
    Published("coin_fig3_new", "base-train", "5f", "coin", "two minutes"),
    Published("coin_fig3_new", "base-train-fc", "", "coin --full", "two minutes"),
    Published("fear_conditioning", "base", "ED", "fear", "seconds"),
    Published("fear_conditioning", "base-init_std", "", "fear --spreads=0.01,0.05,0.1,0.5", "seconds"),
    Published(
        "fear_conditioning", "base-hidden_size, base-fc", "", "", "", "explorations whose networks are not described"
    ),
    Published("reversal_task", "base-plot-pc, base-plot-bp", "6c", "reversal", "seconds"),
    Published(
        "reversal_task",
        "base-plot-reason-*, base-reason-simple, base-reason-simple-inference",
        "ED",
        "reversal",
        "seconds",
        "in its second figure",
    ),
)


def list_published():
    """List the published configurations: their figures, the commands that run them, and what these cost on a CPU."""
    for row in ROWS:
        figure = f"Fig. {row.figure}" if row.figure else "-"
        command = f"python -m plastic.pc {row.command}" if row.command else "not here"
        notes = "; ".join(note for note in (row.cost, row.about) if note)
        terminal.say(f"{row.folder}: {row.configurations} ({figure})")
        terminal.say(f"    {command}" + (f"  [{notes}]" if notes else ""))


def table():
    """Return the same as a table in Markdown."""
    lines = ["| configurations | figure | command | time on one core, notes |", "|---|---|---|---|"]
    for row in ROWS:
        command = f"`{row.command}`" if row.command else "not here"
        notes = "; ".join(note for note in (row.cost, row.about) if note)
        lines.append(f"| {row.folder}: {row.configurations} | {row.figure} | {command} | {notes} |")
    return "\n".join(lines)
