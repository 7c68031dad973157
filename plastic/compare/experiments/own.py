"""What is known of the runs of `plastic.compare.compare`, so that `figure` draws them, too."""

from plastic.compare import figures
from plastic.errors import PlasticError
from plastic.runs import experiment


@experiment("compare", draw={"comparison": figures.comparison}, seed=None, resume=False)
def own(run):
    """Compare rules of one's own, by a call and not by a command."""
    raise PlasticError("rules of one's own are compared by plastic.compare.compare")
