"""The backend in use, which `plastic.xp.use` sets."""

from plastic.xp.on_numpy import numpy_backend
from plastic.xp.record import Backend

backend: Backend = numpy_backend()
