#!/usr/bin/env bash
# Speed of the engine against the machine's own limits and against PyTorch, as one table.
#
#     scripts/bench.sh [--quick] [--steps N] [--models LETTERS] [--only sartor|torch] [--out FILE]
#                      [--with-current-torch]
#
#     --quick                 few steps: a first look, not for publication
#     --steps N               training steps a measurement, 12 (PyTorch: half of it, at least 1)
#     --models LETTERS        of the reference models A, B, C (bench/bench_models.py)
#     --only sartor|torch     leave the other out
#     --out FILE              raw JSON lines (default docs/results/performance.jsonl), written anew
#     --with-current-torch    makes build/bench-venv with the current PyTorch from PyPI (large)
#
# Measures PyTorch as Debian packages it and, where SARTOR_BENCH_PYTHON names a Python that has
# one, a second PyTorch. Every ratio is of numbers that were measured side by side: the engine
# interleaves its steps with oneDNN's product, and runs before and after PyTorch. Other work on the
# machine falsifies the result. Needs no other arguments; takes most of an hour on 2 cores.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    sed -n '4,13s/^# \{0,4\}//p' scripts/bench.sh >&2
    exit 2
}

steps=12 tokens=32 models=ABC only= current= out=docs/results/performance.jsonl
while [ $# -gt 0 ]; do
    case $1 in
    --quick) steps=4 tokens=8 ;;
    --steps) steps=${2:-} && shift ;;
    --models) models=${2:-} && shift ;;
    --only) only=${2:-} && shift ;;
    --out) out=${2:-} && shift ;;
    --with-current-torch) current=yes ;;
    *) usage ;;
    esac
    shift || usage
done
[[ $steps =~ ^[1-9][0-9]*$ && $steps -le 200 && $models =~ ^[ABC]+$ && $only =~ ^(sartor|torch)?$ && -n $out ]] || usage
torch_steps=$((steps / 2 > 0 ? steps / 2 : 1))
[ $tokens -le "$steps" ] || [ "$steps" -ge 4 ] || tokens=$steps

pythons=()
need_packages "${build_packages[@]}" python3
if [ "$only" != sartor ]; then
    # Debian's PyTorch multiplies with libblas.so.3: the slow reference BLAS unless another is there.
    need_packages python3-torch libopenblas0-pthread
    pythons+=(/usr/bin/python3)
    if [ -n "$current" ]; then
        need_packages python3-venv python3-dev g++
        [ -x build/bench-venv/bin/python ] || python3 -m venv build/bench-venv
        build/bench-venv/bin/python -c 'import torch, numpy' 2>/dev/null ||
            build/bench-venv/bin/python -m pip install -q torch numpy
        SARTOR_BENCH_PYTHON=$PWD/build/bench-venv/bin/python
    fi
    [ -z "${SARTOR_BENCH_PYTHON:-}" ] || pythons+=("$SARTOR_BENCH_PYTHON")
fi
if [ "$only" != torch ]; then
    [ -f build/bench/build.ninja ] || meson setup build/bench --buildtype=release >&2
    ninja -C build/bench bench/engine >&2
fi

mkdir -p "$(dirname "$out")"
: >"$out"
round=0

# record PART COMMAND...: appends the command's JSON lines, marked with the part of the table.
record() {
    local part=$1 lines line
    shift
    line="$*"
    echo "$part: ${line##*/}" >&2
    if lines=$("$@"); then :; else echo "failed: $*" >&2; fi
    [ -z "$lines" ] || sed "s/^{/{\"part\": \"$part\", \"round\": $round, /" <<<"$lines" >>"$out"
}

engine() { [ "$only" = torch ] || record "$1" build/bench/bench/engine "${@:2}"; }

torch() { # MODEL TYPE THREADS
    local python
    for python in "${pythons[@]}"; do
        record torch env OMP_NUM_THREADS="$3" OPENBLAS_NUM_THREADS="$3" "$python" -B \
            bench/bench_models.py --models "$1" --dtype "$2" --threads "$3" --steps "$torch_steps"
    done
}

machine() {
    local blas= cpu onednn
    if [ "$only" != sartor ]; then
        blas=$(readlink -f "$(ldconfig -p | sed -n 's/.*libblas\.so\.3 .*=> //p' | head -n 1)")
        case $blas in
        *openblas*) blas="OpenBLAS $(dpkg-query -W -f '${Version}' libopenblas0-pthread)" ;;
        *) blas="reference BLAS ($blas): slow, the comparison is not fair" ;;
        esac
        echo "Debian's PyTorch multiplies with: $blas" >&2
    fi
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    onednn=$(dpkg-query -W -f '${Version}' libdnnl-dev 2>/dev/null || echo unknown)
    printf '{"part": "machine", "cpu": "%s", "cores": %d, "date": "%s", "onednn": "%s", "blas": "%s"}\n' \
        "$cpu" "$(nproc)" "$(date -u +%F)" "$onednn" "$blas" >>"$out"
}

machine
for threads in 1 2; do
    for type in f32 bf16; do
        for model in $(grep -o . <<<"$models"); do
            engine train train "$model" "$type" "$threads" "$steps"
            [ "$only" = sartor ] || torch "$model" "$type" "$threads"
            [ "$only" = torch ] || [ "$only" = sartor ] ||
                engine train train "$model" "$type" "$threads" "$steps"
        done
    done
done
for cache in f32 f16; do engine decode decode "$cache" 2 "$tokens"; done
# Two processes of one thread against one, before and after.
if [ "$only" != torch ]; then
    for round in 1 2 3; do
        engine alone train A f32 1 "$steps"
        engine together train A f32 1 "$steps" &
        other=$!
        engine together train A f32 1 "$steps"
        wait $other
    done
fi
python3 -B bench/table.py "$out"
