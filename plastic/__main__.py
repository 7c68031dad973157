"""`python -m plastic`, and the script `plastic`: which families there are, what they reproduce, how they are called."""

import sys

import plastic

FAMILIES = {
    "gait": "GAIT-prop and target propagation beside backpropagation (Ahmad et al. 2020)",
    "ep": "equilibrium propagation beside backpropagation through time (Ernoult et al. 2019)",
    "eprop": "e-prop in recurrent networks of spiking neurons and LSTM cells (Bellec, Scherr et al. 2020)",
    "gle": "generalized latent equilibrium: credit through space and time (Ellenberger et al. 2024)",
    "pc": "predictive coding, prospective configuration (Song et al. 2024)",
    "data": "the data sets that they learn from",
    "sweep": "any command over grids of its options, over processes or a cluster",
    "compare": "learning rules side by side on one task, with the same tuning budget",
    "verify": "check every rule on this machine: what to run first",
    "report": "one page for all runs below a folder",
}


def main(words=None):
    """Answer a command line; return the exit code."""
    words = sys.argv[1:] if words is None else words
    if words == ["--version"]:
        print(f"plastic {plastic.__version__}")
    elif words in ([], ["-h"], ["--help"]):
        print(_overview())
    else:
        print(f"error: {_complaint(words)}", file=sys.stderr)
        return 2
    return 0


def _overview():
    lines = [f"  python -m plastic.{name:<8}{about}" for name, about in FAMILIES.items()]
    doc = "Biologically plausible learning rules; each family reproduces a paper and lists its commands with --help:"
    return "\n".join([doc, "", *lines, "", "plastic --version says which version this is."])


def _complaint(words):
    unknown = next((word for word in words if word not in ("-h", "--help", "--version")), None)
    if unknown is None:
        return "one of --help and --version at a time"
    if unknown in FAMILIES:
        return f"{unknown} is called with a dot: python -m plastic.{unknown}"
    return f"{unknown!r} is neither --help nor --version; python -m plastic lists the families"


if __name__ == "__main__":
    sys.exit(main())
