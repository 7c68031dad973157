#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: runs the tests marked `gpu`, then a training step of each family beside PyTorch's,
# and prints one table; eight minutes at most. It fetches nothing.
#
#     tests/gpu.sh [--small] [FOLDER]
#
# FOLDER holds wheels: the pure-Python ones that are not installed are unpacked for the time of the run. CuPy is whatever
# build is there, and so is PyTorch; without PyTorch its column is empty. --small takes tiny sizes. PYTHON names the
# interpreter (python3), PLASTIC_DEVICE the GPU (gpu, or its number). PLASTIC_DEVICE=cpu skips the tests and makes the
# table with NumPy, which proves that the script runs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3} small=() workers=() wheels="" failed=0

refuse() {
    echo "gpu.sh: $1" >&2
    exit 2
}

# limited SECONDS WHAT COMMAND..: runs the command so long at most, and notes whether it failed
limited() {
    local status=0
    timeout --foreground --signal=INT --kill-after=10 "$1" "${@:3}" || status=$?
    [ "$status" -ne 124 ] || echo "gpu.sh: $2 took more than $1 s and was stopped" >&2
    [ "$status" -eq 0 ] || failed=1
}

for word in "$@"; do
    case $word in
        --small) small=(--small) ;;
        -*) refuse "$word is no option; usage: gpu.sh [--small] [FOLDER of wheels]" ;;
        *) wheels=$word ;;
    esac
done
[ -z "$wheels" ] || [ -d "$wheels" ] || refuse "there is no folder $wheels"
export PLASTIC_DEVICE=${PLASTIC_DEVICE:-gpu} PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
case $PLASTIC_DEVICE in
    cpu) ;;
    gpu | [0-9] | [0-9][0-9])
        "$python" - <<'PY' || exit 1
import os, sys
try:
    from plastic import xp
    xp.use("cupy", device=int(os.environ["PLASTIC_DEVICE"].replace("gpu", "0")))
except Exception as error:
    sys.exit(f"gpu.sh: {' '.join(str(error).split())}")
PY
        ;;
    *) refuse "PLASTIC_DEVICE is $PLASTIC_DEVICE; it must be gpu, the number of a GPU, or cpu" ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -n "$wheels" ]; then
    "$python" - "$wheels" "$scratch" <<'PY'
import importlib.metadata, pathlib, sys, zipfile
wheels, scratch = map(pathlib.Path, sys.argv[1:])
for wheel in sorted(wheels.glob("*-none-any.whl")):
    try:
        importlib.metadata.version(wheel.name.split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        zipfile.ZipFile(wheel).extractall(scratch)
        print(f"unpacked {wheel.name}")
PY
    export PYTHONPATH="$PYTHONPATH:$scratch"
fi
if [ "$PLASTIC_DEVICE" != cpu ]; then
    if "$python" -c "import xdist" 2>/dev/null; then workers=(-n 4); fi
    limited 310 "the tests" "$python" -m pytest -q -m gpu ${workers[@]+"${workers[@]}"} -p no:cacheprovider "$here"
fi
limited 140 "the table" "$python" "$here/benchmarks/gpu_table.py" ${small[@]+"${small[@]}"}
exit "$failed"
