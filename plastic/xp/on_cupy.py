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
    except Exception as error:  # what CuPy finds wrong as it starts; it keeps compiled kernels, and makes a folder
        raise PlasticError(_what_cupy_finds(error)) from None
    try:
        cupy.cuda.Device(device).use()
        proof = cupy.eye(2, dtype="float32")  # proves an allocation, a GEMM, an LU, a kernel and a transfer
        float(cupy.linalg.solve(proof @ proof, proof).sum())
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
    """Factorise with cuSOLVER: the functions of cupyx wait for the device to ask whether A is singular, and warn."""
    import cupy

    n, getrf, getrf_bufferSize = len(A), _cusolver(A, "getrf"), _cusolver(A, "getrf_bufferSize")
    handle = cupy.cuda.device.get_cusolver_handle()
    lu = A.astype(A.dtype, order="F")
    pivots, info = cupy.empty(n, "int32"), cupy.empty(1, "int32")
    work = cupy.empty(getrf_bufferSize(handle, n, n, lu.data.ptr, n), A.dtype)
    getrf(handle, n, n, lu.data.ptr, n, work.data.ptr, pivots.data.ptr, info.data.ptr)
    return A, lu, pivots


def _lu_solve(factor, b, transpose):
    """Solve A x = b, or A^T x = b; in float32 refine always: to ask whether it is needed would wait for the device."""
    A, *factors = factor
    x = _substitute(*factors, b, transpose)
    if b.dtype == "float32":
        residual = b - (A.T if transpose else A).astype("float64") @ x.astype("float64")
        x += _substitute(*factors, residual.astype("float32"), transpose)
    return x


def _substitute(lu, pivots, b, transpose):
    import cupy

    (n, columns), info = b.shape, cupy.empty(1, "int32")
    x = b.astype(lu.dtype, order="F")
    handle = cupy.cuda.device.get_cusolver_handle()
    arguments = n, columns, lu.data.ptr, n, pivots.data.ptr, x.data.ptr, n, info.data.ptr
    _cusolver(lu, "getrs")(handle, int(transpose), *arguments)
    return x


def _cusolver(A, name):
    import cupy

    return getattr(cupy.cuda.cusolver, {"float32": "s", "float64": "d"}[A.dtype.name] + name)


def _fused(chain, arguments):
    _kernel(chain)(*arguments)


@functools.cache
def _kernel(chain):
    import cupy

    return cupy.fuse(kernel_name=f"fused_{chain.__name__}")(chain)  # a chain may be called what C++ has a meaning for


def _reason(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _what_cupy_finds(error):
    reason = _reason(error)
    if isinstance(error, OSError):
        return f"CuPy has no folder for its kernels ({reason}); set CUPY_CACHE_DIR to one that can be written into"
    return f"CuPy is installed but does not start ({reason}); install another version with: {INSTALL}"


def _what_cupy_misses(cupy, device, error):
    reason = _reason(error)
    if isinstance(error, OSError) and error.filename:
        return _what_cupy_finds(error)
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception:
        return (
            f"CuPy is installed but finds no GPU ({reason}); an NVIDIA GPU and its driver are needed, or --device=cpu"
        )
    if not 0 <= device < count:
        return f"device {device} does not exist: this machine has {count} GPU(s), numbered from 0"
    return f"the GPU does not work ({reason}); its CUDA libraries come with: {INSTALL}"
