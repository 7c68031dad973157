"""The CuPy backend of `plastic.xp`; CuPy is imported when it is asked for."""

import functools

from plastic.errors import PlasticError
from plastic.xp.record import Backend

INSTALL = "pip install 'plastic-learning[gpu]'"


def cupy_backend(device: int) -> Backend:
    """Return the CuPy backend on a GPU, proved to work.

    Args:
        device: the number of the GPU.

    Raises:
        PlasticError: if CuPy, the GPU or its libraries are missing; it says what to install.
    """
    try:
        import cupy
    except ImportError as error:
        raise PlasticError(
            f"the GPU needs CuPy, which is not installed ({error}); install it with: {INSTALL}"
        ) from None
    try:
        cupy.cuda.Device(device).use()
        from cupyx.scipy import linalg

        proof = cupy.eye(2, dtype="float32")  # proves an allocation, a GEMM, an LU, a kernel and a transfer
        float(linalg.lu_factor(proof @ proof)[0].sum())
    except Exception as error:  # CuPy raises RuntimeErrors of its own, ImportError and OSError for missing libraries
        raise PlasticError(_what_cupy_misses(cupy, device, error)) from None

    return Backend(
        name="cupy",
        namespace=cupy,
        asnumpy=cupy.asnumpy,
        lu_factor=_lu_factor,
        lu_solve=_lu_solve,
        fused=_fused,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
    )


def _lu_factor(A):
    from cupyx.scipy import linalg

    return A, linalg.lu_factor(A, check_finite=False)


def _lu_solve(factor, b, transpose):
    """Solve A x = b, or A^T x = b; in float32 refine always: to ask whether it is needed would wait for the device."""
    from cupyx.scipy import linalg

    A, lu = factor
    x = linalg.lu_solve(lu, b, trans=int(transpose), check_finite=False)
    if b.dtype == "float32":
        residual = b - (A.T if transpose else A).astype("float64") @ x.astype("float64")
        x += linalg.lu_solve(lu, residual.astype("float32"), trans=int(transpose), check_finite=False)
    return x


def _fused(chain, arguments):
    _kernel(chain)(*arguments)


@functools.cache
def _kernel(chain):
    import cupy

    return cupy.fuse(chain)


def _what_cupy_misses(cupy, device, error):
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception:
        return (
            f"CuPy is installed but finds no GPU ({reason}); an NVIDIA GPU and its driver are needed, or --device=cpu"
        )
    if not 0 <= device < count:
        return f"device {device} does not exist: this machine has {count} GPU(s), numbered from 0"
    return f"the GPU does not work ({reason}); its CUDA libraries come with: {INSTALL}"
