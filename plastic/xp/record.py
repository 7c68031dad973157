"""What `plastic.xp` asks of an array library."""

import dataclasses
import types
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Backend:
    """What `xp` needs from an array library."""

    name: str
    namespace: types.ModuleType
    asnumpy: Callable
    lu_factor: Callable  # lu_factor(A) of one matrix gives what lu_solve(factor, B, transpose) takes
    lu_solve: Callable
    fused: Callable  # fused(chain, arguments) runs an elementwise chain that changes some of its arguments in place
    synchronize: Callable = lambda: None
    short_sums: bool = False  # whether products of tiny matrices are better written out, see xp.order
