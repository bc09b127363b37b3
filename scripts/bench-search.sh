#!/usr/bin/env bash
# What a search costs besides training, and what a second worker gains: ratios within one run, on a
# machine that does nothing else.
#
#     scripts/bench-search.sh [SARTOR [TEXT]]     default: build/bench's own build, data/small; 10 minutes
#
# 1. 50,000 finished trials of an analytic search (nothing is trained): time of the next generation, of
#    front and of show.   2. The share of two workers' time that is not training, with trials of about
#    10 seconds.   3. A search of 8 generations with one worker and with two.
# One line of JSON each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sartor=${1:-build/bench/src/cli/sartor}
text=${2:-data/small}
if [ ! -x "$sartor" ]; then
    need_packages "${build_packages[@]}" python3 >&2
    [ -f build/bench/build.ninja ] || meson setup build/bench --buildtype=release >&2
    ninja -C build/bench src/cli/sartor >&2
fi
[ -d "$text" ] || scripts/get-text.sh small "$text" >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SARTOR_CACHE=$folder/cache OMP_WAIT_POLICY=passive
sizes=(--livs 12 --width 64 --head-dim 16 --context 256)

# seconds COMMAND...: how long it took.
seconds() {
    local start=$EPOCHREALTIME
    "$@" >/dev/null
    awk "BEGIN { printf \"%.3f\", $EPOCHREALTIME - $start }"
}
# question STUDY SQL: one value.
question() {
    python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' "$@"
}
# search STUDY GENERATIONS WORKERS OPTION...
search() {
    local study=$1 generations=$2 workers=$3
    shift 3
    "$sartor" search --study "$folder/$study" --data "$text" "${sizes[@]}" --generations "$generations" \
        --workers "$workers" --quiet "$@"
}

analytic=(--objectives params,cache,flops --population 500 --survival 'mu+lambda')
search analytic.study 100 1 "${analytic[@]}" >/dev/null
next=$(seconds search analytic.study 101 1 "${analytic[@]}")
front=$(seconds "$sartor" front "$folder/analytic.study" --json)
show=$(seconds "$sartor" show "$folder/analytic.study" --json)
printf '{"part": "50,000 trials", "trials": %s, "next_generation": %s, "front": %s, "show": %s}\n' \
    "$(question "$folder/analytic.study" 'SELECT count(*) FROM trial')" "$next" "$front" "$show"

trained=(--objectives bpb,params --batch 4 --lr 4e-3)
wall=$(seconds search long.study 2 2 "${trained[@]}" --population 10 --train-tokens 250k)
printf '{"part": "overhead", "trials": %s, "mean_trial_seconds": %s, "wall": %s, "outside_training": %s}\n' \
    "$(question "$folder/long.study" "SELECT count(*) FROM job WHERE state = 'done'")" \
    "$(question "$folder/long.study" "SELECT round(avg(seconds), 2) FROM job")" "$wall" \
    "$(question "$folder/long.study" "SELECT round(1 - sum(busy) / sum(span), 4) FROM (SELECT sum(ended -
        started) AS busy, max(ended) - min(started) AS span FROM attempt GROUP BY worker)")"

one=$(seconds search one.study 8 1 "${trained[@]}" --population 8 --train-tokens 100k)
two=$(seconds search two.study 8 2 "${trained[@]}" --population 8 --train-tokens 100k)
# Tokens per second of a worker while it trains: what two workers on two cores do to each other.
slower=$(question "$folder/two.study" "SELECT avg(json_extract(result, '$.seconds')) FROM job")
alone=$(question "$folder/one.study" "SELECT avg(json_extract(result, '$.seconds')) FROM job")
awk -v one="$one" -v two="$two" -v alone="$alone" -v slower="$slower" 'BEGIN {
    printf "{\"part\": \"two workers\", \"one\": %s, \"two\": %s, ", one, two
    printf "\"times_as_fast\": %.2f, \"throughput\": %.2f}\n", one / two, 2 * alone / slower }'
