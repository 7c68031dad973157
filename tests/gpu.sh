#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: runs the tests marked `gpu`, then a training step of each family beside PyTorch's,
# and prints one table; nine minutes at most. It fetches nothing, and writes into a temporary folder only; CuPy keeps
# its compiled kernels where it always does, if it can write there.
#
#     tests/gpu.sh [--small] [FOLDER]
#
# FOLDER holds wheels: the pure-Python ones that are not installed are unpacked for the time of the run. CuPy is whatever
# build is there, and so is PyTorch; without PyTorch its column is empty. --small takes tiny sizes. PYTHON names the
# interpreter (python3), PLASTIC_DEVICE the GPU (gpu, or its number). PLASTIC_DEVICE=cpu skips the tests and makes the
# table with NumPy, which proves that the script runs.
set -euo pipefail
set -m # a process group for each step, which can be ended as a whole
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3} small=() workers=() wheels="" running="" scratch="" failed=0

refuse() {
    echo "gpu.sh: $1" >&2
    exit 2
}

end() {
    [ -z "$running" ] || kill -KILL -- "-$running" 2>/dev/null || true
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT TERM

# limited SECONDS WHAT COMMAND..: runs the command so long at most, ends all that it has started, and returns its status;
# the interrupt goes to the command alone, which can then say how far it came
limited() {
    local status=0
    timeout --foreground --signal=INT --kill-after=10 "$1" "${@:3}" &
    running=$!
    { wait "$running"; } 2>/dev/null || status=$?
    kill -KILL -- "-$running" 2>/dev/null || true
    running=""
    case $status in 124 | 137) echo "gpu.sh: $2: stopped after $1 s" >&2 ;; esac
    return "$status"
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
case $PLASTIC_DEVICE in
    cpu | gpu | [0-9] | [0-9][0-9]) ;;
    *) refuse "PLASTIC_DEVICE is $PLASTIC_DEVICE; it must be gpu, the number of a GPU, or cpu" ;;
esac
"$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null ||
    refuse "$python is $("$python" --version 2>/dev/null || echo "not there"); PYTHON names a Python of 3.11 or later"

scratch=$(mktemp -d)
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
export HYPOTHESIS_STORAGE_DIRECTORY=$scratch/hypothesis MPLCONFIGDIR=${MPLCONFIGDIR:-$scratch/matplotlib}
mkdir -p "${CUPY_CACHE_DIR:-$HOME/.cupy/kernel_cache}" 2>/dev/null || export CUPY_CACHE_DIR=$scratch/kernels
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
    limited 50 "the first call of the GPU" "$python" -c '
import os, sys
try:
    from plastic import xp
    xp.use("cupy", device=int(os.environ["PLASTIC_DEVICE"].replace("gpu", "0")))
except Exception as error:
    sys.exit("gpu.sh: " + " ".join(str(error).split()))
' || exit 1
    if [ "$PLASTIC_DEVICE" != gpu ]; then # tests and PyTorch then see this one only
        IFS=, read -r -a visible <<<"${CUDA_VISIBLE_DEVICES-}"
        number=$((10#$PLASTIC_DEVICE))
        export CUDA_VISIBLE_DEVICES=${visible[number]:-$number} PLASTIC_DEVICE=gpu
    fi
    cores=$(nproc) # which compile the kernels
    if "$python" -c "import xdist" 2>/dev/null; then workers=(-n $((cores < 8 ? cores : 8))); fi
    limited 320 "the tests" "$python" -m pytest -q -m gpu ${workers[@]+"${workers[@]}"} \
        -p no:cacheprovider --continue-on-collection-errors "$here" || failed=1
fi
limited 130 "the table" "$python" "$here/benchmarks/gpu_table.py" ${small[@]+"${small[@]}"} || failed=1
exit "$failed"
