#!/usr/bin/env bash
# Examples a second of training on MAD's in-context recall baseline, 16-head attention and SwiGLU, one
# thread: sartor beside PyTorch, in turn, ROUNDS times (default 2). One line of JSON each.
#
#     scripts/bench-mad.sh [FOLDER] >docs/results/mad/speed.jsonl     FOLDER: build/evidence
#
# PyTorch runs twice: with the BLAS that the system's alternatives choose, and with the reference BLAS,
# which is the one that Debian's python3-torch brings. Rates are by processor time, so that other load
# matters little: sartor's is what three epochs take more than one.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/build/evidence}
sartor=${SARTOR:-$here/build/src/cli/sartor}
python=${PYTHON:-/usr/bin/python3}
reference=$(dirname "$(find /usr/lib -path '*/blas/libblas.so.3' | head -n 1)")
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
mkdir -p "$folder"

# spent TYPE EPOCHS: processor seconds of a run of so many epochs of 20 steps.
spent() {
    local study=$folder/speed.db
    rm -rf "$study" "$study"-* "$study.d"
    TIMEFORMAT='%U %S'
    { time "$sartor" mad "(MHA GMemless)x2" --suite recall:train=2560,test=128 --epochs "$2" --lr 5e-4 \
        --weight-decay 0.1 --precision "$1" --study "$study" --workers 1 --quiet --json >"$folder/speed.json"; } 2>&1 |
        awk '{print $1 + $2}'
}

ours() {
    local one three
    one=$(spent "$1" 1)
    three=$(spent "$1" 3)
    awk -v a="$one" -v b="$three" -v t="$1" 'BEGIN {
        printf "{\"framework\": \"sartor\", \"type\": \"%s\", \"threads\": 1, \"steps\": 40, ", t
        printf "\"examples_per_cpu_second\": %.1f}\n", 5120 / (b - a) }'
}

# theirs TYPE STEPS BLAS FOLDER
theirs() {
    LD_LIBRARY_PATH=$4 "$python" "$here/bench/bench_mad.py" --type "$1" --steps "$2" |
        sed "s/\"torch\"/\"torch\", \"blas\": \"$3\"/"
}

for _ in $(seq "${ROUNDS:-2}"); do
    for type in f32 bf16; do
        ours "$type"
        theirs "$type" 8 chosen ""
        theirs "$type" 2 reference "$reference"
    done
done
