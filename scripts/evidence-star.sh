#!/usr/bin/env bash
# The experiments of docs/results/star.md, one after another; every step can be killed and started
# again, and what is done is skipped. About three hours on 2 cores.
#
#     scripts/evidence-star.sh [FOLDER]        studies and text go there; default build/evidence
#
# (a) NSGA-II against random search, 3 seeds each   (b) quality; quality + size; quality + cache, and
# their finals   (c) how well the short training ranks against 4 times longer training.
# Raw answers land in docs/results/star/.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/build/evidence}
sartor=${SARTOR:-$here/build/src/cli/sartor}
text=${TEXT:-$folder/text}
results=$here/docs/results/star
mkdir -p "$folder" "$results"
[ -d "$text" ] || "$here/scripts/get-text.sh" large "$text"

sizes=(--livs 12 --width 64 --head-dim 16 --context 256)
training=(--batch 4 --lr 4e-3 --precision bf16)
common=("${sizes[@]}" "${training[@]}" --train-tokens 500k --population 16 --generations 8 --threads 1)

# keep FILE COMMAND...: the command's output, whole or not at all.
keep() {
    local file=$1
    shift
    "$@" >"$file.part"
    mv "$file.part" "$file"
}

# study NAME OBJECTIVES ALGORITHM SEED
study() {
    [ -f "$results/$1.show.json" ] && return 0
    echo "$(date +%H:%M) $1" >&2
    "$sartor" search --study "$folder/$1.study" --data "$text" --objectives "$2" --algorithm "$3" \
        --seed "$4" "${common[@]}" --quiet >/dev/null
    keep "$results/$1.front.json" "$sartor" front "$folder/$1.study" --json
    keep "$results/$1.show.json" "$sartor" show "$folder/$1.study" --json
}

# Every trial of a study as one line of JSON.
trials() {
    [ -f "$results/$1.trials.jsonl" ] && return 0
    local done_trials
    done_trials=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["trials"]["done"])' \
        "$results/$1.show.json")
    for trial in $(seq "$done_trials"); do
        "$sartor" show "$folder/$1.study" "$trial" --json | sed -E 's/"model": "[^"]*"/"model": null/'
    done >"$results/$1.trials.jsonl.part"
    mv "$results/$1.trials.jsonl.part" "$results/$1.trials.jsonl"
}

finals() {
    [ -f "$results/$1.finals.json" ] && return 0
    echo "$(date +%H:%M) finals of $1" >&2
    keep "$results/$1.finals.json" "$sartor" finals "$folder/$1.study" --top 4 --tokens 1M --seeds 2 \
        --baselines transformer++,striped-mamba,lfm2 --json --quiet
}

# longer_one TRIAL GENOME
longer_one() {
    [ -f "$folder/longer-$1.json" ] && return 0
    keep "$folder/longer-$1.json" "$sartor" train --arch "$2" --data "$text" --out "$folder/longer-$1" \
        --tokens 2M --seed 0 --threads 1 "${sizes[@]}" "${training[@]}" --quiet --json
}

# The first population of the first study, trained 4 times longer; two at a time.
longer() {
    [ -f "$results/longer.jsonl" ] && return 0
    echo "$(date +%H:%M) longer training" >&2
    trials nsga2-size-0
    local trial genome
    while read -r trial genome; do
        longer_one "$trial" "$genome" &
        [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
    done < <(head -n 16 "$results/nsga2-size-0.trials.jsonl" | python3 -c '
import json, sys
for line in sys.stdin:
    t = json.loads(line)
    print(t["trial"], t["genome"])')
    wait
    for trial in $(seq 16); do
        sed "s/^{/{\"trial\": $trial, /" "$folder/longer-$trial.json"
    done >"$results/longer.jsonl.part"
    mv "$results/longer.jsonl.part" "$results/longer.jsonl"
}

for seed in 0 1 2; do
    study "nsga2-size-$seed" bpb,params nsga2 "$seed"
    study "random-size-$seed" bpb,params random "$seed"
    if [ "$seed" -eq 0 ]; then longer; fi
done
study nsga2-quality-0 bpb nsga2 0
study nsga2-cache-0 bpb,cache nsga2 0
for name in nsga2-size-0 nsga2-quality-0 nsga2-cache-0; do
    trials "$name"
    finals "$name"
done
