"""The CuPy backend of `plastic.xp`; CuPy is imported when it is asked for."""

from plastic.errors import PlasticError
from plastic.xp.record import Backend


def cupy_backend(device):
    """Return the CuPy backend on a GPU, proved to work. Raises PlasticError that says what is missing elsewhere."""
    try:
        import cupy
    except ImportError as error:
        raise PlasticError(
            f"the GPU needs CuPy, which is not installed ({error}); install it with: pip install 'plastic[gpu]'"
        ) from None
    try:
        cupy.cuda.Device(device).use()
        from cupyx.scipy import linalg

        proof = cupy.eye(2, dtype="float32")  # proves an allocation, a GEMM, an LU, a kernel and a transfer
        float(linalg.lu_factor(proof @ proof)[0].sum())
    except Exception as error:  # CuPy raises RuntimeErrors of its own, ImportError and OSError for missing libraries
        raise PlasticError(_what_cupy_misses(cupy, device, error)) from None

    def lu_factor(A):
        matrices = A.reshape(-1, *A.shape[-2:])
        return A.shape[:-2], [(matrix, linalg.lu_factor(matrix, check_finite=False)) for matrix in matrices]

    def solve(A, factors, b, transpose):
        """Refine in float32 always: to ask whether it is needed would wait for the device."""
        x = linalg.lu_solve(factors, b, trans=int(transpose), check_finite=False)
        if b.dtype == "float32":
            residual = b - (A.T if transpose else A).astype("float64") @ x.astype("float64")
            x += linalg.lu_solve(factors, residual.astype("float32"), trans=int(transpose), check_finite=False)
        return x

    def lu_solve(factors, B, transpose):
        leading, matrices = factors
        columns = B.reshape(-1, *B.shape[-2:])
        solutions = [solve(*factor, b, transpose) for factor, b in zip(matrices, columns, strict=True)]
        return solutions[0] if leading == () else cupy.stack(solutions).reshape(*leading, *B.shape[-2:])

    kernels = {}

    def fused(chain, arguments):
        if chain not in kernels:
            kernels[chain] = cupy.fuse(chain)
        kernels[chain](*arguments)

    return Backend(
        name="cupy",
        namespace=cupy,
        asnumpy=cupy.asnumpy,
        lu_factor=lu_factor,
        lu_solve=lu_solve,
        fused=fused,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
    )


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
    return f"the GPU does not work ({reason}); its CUDA libraries come with: pip install 'plastic[gpu]'"
