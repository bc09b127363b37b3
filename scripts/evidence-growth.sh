#!/usr/bin/env bash
# The experiments of docs/results/growth.md; every step can be killed and started again, and what is
# done is skipped. About six hours on 2 free cores.
#
#     scripts/evidence-growth.sh [FOLDER] [PART...]     runs and text go there; default build/growth
#
# PARTs, all by default: small-1 .. small-3 (ff, width, layers at 0.3 M parameters, by seed), axes-1 ..
# axes-3 (heads, value, key), large-1 .. large-3 (1 M parameters), long-1, long-2 (0.3 M parameters, 10 M
# tokens), rates-1 (0.3 M at twice the learning rate), search-0 .. search-2 (inherit), bias-0 .. bias-2
# (what inheriting flatters).
# Two runs at a time (JOBS=2), four at most. Raw results, curves thinned to a hundred points, land in
# docs/results/growth/.
set -euo pipefail
trap 'kill $(jobs -rp) 2>/dev/null || true' EXIT
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/build/growth}
sartor=${SARTOR:-$here/build/src/cli/sartor}
corpus=${TEXT:-$folder/corpus}
results=$here/docs/results/growth
baselines=$here/bench/grow_baselines.py
jobs_at_once=${JOBS:-2}
batch=(--batch 4 --context 256 --precision bf16 --threads 1)
watched=200 # steps behind the growth that are looked at one by one
mkdir -p "$folder" "$results"
[ -d "$corpus" ] || "$here/scripts/get-text.sh" large "$corpus"

# An eighth of the files to train on, other ones to validate on.
text() {
    [ -d "$folder/text" ] && return 0
    local part=$folder/text.part
    rm -rf "$part"
    mkdir -p "$part/train" "$part/val"
    (cd "$corpus" && find . -name '*.txt' | LC_ALL=C sort) >"$part/files"
    awk 'NR % 8 == 1' "$part/files" | (cd "$corpus" && xargs -d '\n' cp --parents -t "$part/train")
    awk 'NR % 256 == 5' "$part/files" | (cd "$corpus" && xargs -d '\n' cp --parents -t "$part/val")
    mv "$part" "$folder/text"
}

# The sizes of one experiment: $arch and $sizes of the small model as `train` makes it, $custom to
# enlarge it before it is trained, $growth to make it the final one.
rule_sizes() {
    local blocks=$1 width=$2 ff=$3
    local whole="(SA-1 GMemless)x$blocks" half="(SA-1 GMemless)x$((blocks / 2))"
    local head=$((width / 4))
    arch=$whole sizes=(--width "$width" --head-dim "$head") custom=(--ff "$ff") growth=()
    case $4 in
    scratch) ;;
    ff) custom=() growth=(--ff "$ff") ;;
    width)
        sizes=(--width $((width / 2)) --head-dim "$head")
        custom+=(--heads +2) growth=(--width "$width")
        ;;
    layers)
        arch=$half
        growth=(--add-livs "$(printf 'SA-1,GMemless,%.0s' $(seq $((blocks / 2))) | sed 's/,$//')@end")
        ;;
    # four heads of twice the size in the end
    scratch-axes | heads)
        sizes=(--width "$width" --head-dim $((2 * head)))
        custom+=(--heads +2)
        if [ "$4" = heads ]; then custom=(--ff "$ff") growth=(--heads +2); fi
        ;;
    value) custom+=(--key $((2 * head))) growth=(--value $((2 * head))) ;;
    key) custom+=(--value $((2 * head))) growth=(--key $((2 * head))) ;;
    esac
}

# $command: trains in a folder.
to_train() {
    local out=$1
    shift
    command=("$sartor" train --arch "$arch" "${sizes[@]}" "${batch[@]}" --lr "$rate" --seed "$seed"
        --data "$folder/text/train" --val "$folder/text/val" --out "$out" --quiet "$@")
}

train() {
    to_train "$@"
    "${command[@]}" >/dev/null
}

steps_done() { wc -l <"$1/metrics.jsonl" 2>/dev/null || echo 0; }

# train_until OUT STEP ARGS...: until its metrics have STEP lines (0: until there is a checkpoint),
# then kills it; its last checkpoint is the one that --checkpoint-every asked for.
train_until() {
    local out=$1 step=$2 child
    shift 2
    to_train "$out" "$@"
    "${command[@]}" >/dev/null & # the program itself: it is the one to kill
    child=$!
    until [ -f "$out/checkpoint.safetensors" ] && [ "$(steps_done "$out")" -ge "$step" ]; do
        kill -0 $child
        sleep 0.2
    done
    kill -KILL $child
    wait $child 2>/dev/null || true
}

# A folder whose checkpoint is a model of these sizes at step 0.
begin() {
    local out=$1 steps=$2
    train_until "$out" 0 --steps "$steps" --checkpoint-every "$steps"
    [ ${#custom[@]} -eq 0 ] && return 0
    "$sartor" grow "$out/checkpoint.safetensors" --out "$out/large" --seed "$seed" "${custom[@]}" \
        --json >"$out/custom"
    "$baselines" fresh "$out/large" "$out/fresh" --seed "$seed"
    mv "$out/fresh" "$out/checkpoint.safetensors"
    rm "$out/large"
}

# enlarge IN OUT COST SEED OPTIONS...: by $growth; its answer in COST.
enlarge() {
    "$sartor" grow "$1" --out "$2" --seed "$4" "${growth[@]}" "${@:5}" --json >"$3.part"
    mv "$3.part" "$3"
}

# scratch NAME STEPS
scratch() {
    [ -f "$results/$1.json" ] && return 0
    local out=$folder/$1
    if [ ! -f "$out/begun" ]; then
        rm -rf "$out"
        begin "$out" "$2"
        mv "$out/custom" "$out/begun"
    fi
    train "$out" --steps "$2"
    "$here/scripts/summarise-growth.py" collect "$out" "$results/$1.json"
}

# The small model until it grows, and $watched steps longer to compare with; $at, $steps: of the runs
# that follow, which cost what the scratch run of $budget steps costs; $alone: of the small model for
# that cost.
prefix() {
    local out=$1
    if [ ! -f "$out/plan" ]; then
        rm -rf "$out"
        begin "$out" 100000000
        enlarge "$out/checkpoint.safetensors" "$out/large" "$out/cost" "$seed"
        python3 - "$budget" "$out/cost" >"$out/plan.part" <<'PLAN'
import json, sys
cost = json.load(open(sys.argv[2]))
small = cost["flops_per_token_before"] / cost["flops_per_token_after"]
steps = round(float(sys.argv[1]) / (2 / 3 + small / 3))
print(round(steps / 3), steps, round(float(sys.argv[1]) / small))
PLAN
        mv "$out/plan.part" "$out/plan"
    fi
    read -r at steps alone <"$out/plan"
    [ -f "$out/done" ] && return 0
    [ -f "$out/run/begun" ] || {
        rm -rf "$out/run"
        begin "$out/run" "$steps"
        touch "$out/run/begun"
    }
    train_until "$out/run" $((at + watched)) --steps "$steps" --checkpoint-every "$at"
    touch "$out/done"
}

# grown METHOD NAME SMALL: continues the small model by a method; stacked, rateX, rateXwN and warmN: `grow` with
# options of its own.
grown() {
    local method=$1 name=$2 small=$3 out=$folder/$2 options=() faster=${1#rate}
    [ -f "$results/$name.json" ] && return 0
    case $method in
    rate*w*) options=(--new-rate "${faster%w*}" --new-warmup "${faster#*w}") ;;
    rate*) options=(--new-rate "$faster") ;;
    warm*) options=(--new-warmup "${method#warm}") ;;
    stacked) options=(--new-livs stacked) ;;
    esac
    if [ ! -f "$out/begun" ]; then
        rm -rf "$out"
        mkdir -p "$out"
        enlarge "$small/run/checkpoint.safetensors" "$out/large" "$out/cost" $((seed + 1)) \
            "${options[@]}"
        case $method in
        grown | stacked | rate* | warm*) mv "$out/large" "$out/checkpoint.safetensors" ;;
        *) "$baselines" "$method" "$out/large" "$out/checkpoint.safetensors" --seed "$seed" ;;
        esac
        rm -f "$out/large"
        head -n "$at" "$small/run/metrics.jsonl" >"$out/metrics.jsonl"
        mv "$out/cost" "$out/begun"
    fi
    train "$out" --steps "$steps"
    "$here/scripts/summarise-growth.py" collect "$out" "$results/$name.json" \
        --small "$small/run" --at "$at"
}

# ungrown NAME SMALL: the small model never grows.
ungrown() {
    local out=$folder/$1
    [ -f "$results/$1.json" ] && return 0
    if [ ! -f "$out/begun" ]; then
        rm -rf "$out"
        begin "$out" "$alone"
        cp "$2/cost" "$out/begun"
    fi
    train "$out" --steps "$alone"
    "$here/scripts/summarise-growth.py" collect "$out" "$results/$1.json" --size before
}

# rule SCALE RULE METHODS...: all of one rule for $seed.
rule() {
    local scale=$1 name=$2 method
    shift 2
    rule_sizes "${shape[@]}" "$name"
    local small=$folder/$scale-$name-$seed-small missing=0
    for method in "$@"; do [ -f "$results/$scale-$name-$method-$seed.json" ] || missing=1; done
    [ $missing -eq 0 ] && return 0
    echo "$(date +%H:%M) $scale $name $seed" >&2
    prefix "$small"
    for method in "$@"; do
        case $method in
        none) ungrown "$scale-$name-none-$seed" "$small" ;;
        *) grown "$method" "$scale-$name-$method-$seed" "$small" ;;
        esac
    done
}

# from_scratch NAME RULE STEPS
from_scratch() {
    rule_sizes "${shape[@]}" "$2"
    scratch "$1" "$3"
}

part_small() {
    shape=(4 64 352) rate=3e-3 budget=2930
    local drawn='' others=''
    if [ "$seed" -eq 1 ]; then drawn=drawn others='rate4 warm50'; fi
    together \
        "from_scratch small-scratch-100-$seed scratch $budget" \
        "rule small ff grown" \
        "rule small layers grown" \
        "rule small width grown" \
        "from_scratch small-scratch-150-$seed scratch $((budget * 3 / 2))" \
        "rule small ff copy none rate2 $drawn" \
        "rule small layers stack stacked none rate2 $drawn $others" \
        "rule small width copy none rate2 rate2w400 $drawn"
}

# At twice the rate: is 3e-3 too low for scratch, and what does that decide?
part_rates() {
    shape=(4 64 352) rate=6e-3 budget=2930
    together \
        "from_scratch rates-scratch-100-$seed scratch $budget" \
        "rule rates ff grown none" \
        "rule rates layers grown stack none" \
        "rule rates width grown none"
}

# Long enough for a small model to fall behind.
part_long() {
    shape=(4 64 352) rate=3e-3 budget=9766
    local others=''
    if [ "$seed" -eq 1 ]; then others=rate2w400; fi
    together \
        "from_scratch long-scratch-100-$seed scratch $budget" \
        "rule long ff grown none" \
        "rule long layers grown stack none" \
        "rule long width grown none $others" \
        "from_scratch long-scratch-150-$seed scratch $((budget * 3 / 2))"
}

part_axes() {
    shape=(3 64 352) rate=3e-3 budget=2930
    together \
        "from_scratch axes-scratch-100-$seed scratch-axes $budget" \
        "rule axes heads grown none" \
        "rule axes value grown none" \
        "rule axes key grown none" \
        "from_scratch axes-scratch-150-$seed scratch-axes $((budget * 3 / 2))"
}

part_large() {
    shape=(6 96 512) rate=2e-3 budget=3906
    local others=''
    if [ "$seed" -eq 1 ]; then others=rate2w400; fi
    together \
        "from_scratch large-scratch-100-$seed scratch $budget" \
        "rule large ff grown copy none" \
        "rule large layers grown stack none" \
        "rule large width grown copy none $others" \
        "from_scratch large-scratch-150-$seed scratch $((budget * 3 / 2))"
}

# The search of docs/results/star.md with its seeds and settings, children inheriting and trials
# stopping early; twice its generations, which is still cheaper.
part_search() {
    local name=search-inherit-$seed
    [ -f "$results/$name.json" ] && return 0
    echo "$(date +%H:%M) $name" >&2
    "$sartor" search --study "$folder/$name.study" --data "$corpus" --objectives bpb,params \
        --seed "$seed" --livs 12 --width 64 --head-dim 16 --context 256 --batch 4 --lr 4e-3 \
        --precision bf16 --train-tokens 500k --population 16 --generations 16 --threads 1 \
        --evaluator inherit --rungs 0.25,0.5 --workers "$jobs_at_once" --quiet >/dev/null
    "$sartor" front "$folder/$name.study" --json >"$results/search-front-$seed.json"
    "$sartor" show "$folder/$name.study" --json >"$results/$name.json.part"
    mv "$results/$name.json.part" "$results/$name.json"
}

# The front of a search whose children inherit, trained from random weights on what a trial of the
# other search gets: what inheriting flatters.
part_bias() {
    local name=search-bias-$seed
    [ -f "$results/$name.json" ] && return 0
    part_search
    echo "$(date +%H:%M) $name" >&2
    "$sartor" finals "$folder/search-inherit-$seed.study" --top 12 --tokens 500k --seeds 1 \
        --baselines transformer++ --workers "$jobs_at_once" --quiet --json >"$results/$name.json.part"
    mv "$results/$name.json.part" "$results/$name.json"
}

# Commands beside each other, $jobs_at_once at a time.
together() {
    local command
    for command in "$@"; do
        # shellcheck disable=SC2086  # words of a command of this script
        (eval $command) &
        while [ "$(jobs -rp | wc -l)" -ge "$jobs_at_once" ]; do wait -n; done
    done
    while [ "$(jobs -rp | wc -l)" -gt 0 ]; do wait -n; done
}

text
if [ $# -gt 0 ]; then shift; fi
[ $# -gt 0 ] || set -- small-1 small-2 small-3 axes-1 axes-2 axes-3 \
    large-1 large-2 large-3 long-1 long-2 rates-1 search-0 search-1 search-2 bias-0 bias-1 bias-2
for part in "$@"; do
    seed=${part##*-}
    "part_${part%-*}"
done
