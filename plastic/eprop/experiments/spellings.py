"""Options of the published code that have another name here, or no effect."""

from plastic.runs import Spelling

PLOT = {"do_plot": Spelling("plot", bool, True, "draw the figures.")}
PRINTED = {
    "print_every": Spelling(
        None, int, 10, "it has no effect: progress shows at every iteration, and metrics.csv has every validation."
    )
}
PLACEMENT = {"device_placement": Spelling(None, bool, False, "it has no effect.")}
