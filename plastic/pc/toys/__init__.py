"""The minimal illustrative experiments of Song et al. 2024, each a command that takes seconds to a minute or two.

interference         1-1-2: what happens to an output that was right while another is learned (Fig. 3a, d)
alignment            how straight one update moves the output to the target, against depth (Fig. 3e)
prospective_index    whether inference foretells the activity that learning leads to
trajectory           1-2-2: the path of weights and outputs during learning
teacher              2-2-1: a student of a random teacher
erratic              the length of the path of weights against the distance it covers
"""

from plastic.pc.toys.alignment import alignment
from plastic.pc.toys.erratic import erratic
from plastic.pc.toys.interference import interference
from plastic.pc.toys.prospective_index import prospective_index
from plastic.pc.toys.teacher import teacher
from plastic.pc.toys.trajectory import trajectory

__all__ = ["alignment", "erratic", "interference", "prospective_index", "teacher", "trajectory"]
