#!/usr/bin/env bash
# The experiments of docs/results/mad.md, one after another; every step can be killed and started
# again, and what is done is skipped. Several hours of two cores in all.
#
#     scripts/evidence-mad.sh [FOLDER] [PART...]      studies and text go there; default build/evidence
#
# quick   the quick suite of all architectures          text    the same on text, at equal FLOPs
# larger  longer runs of six of them, task by task      learns  what attention must be able to learn
# ceilings  memorization at one rate of its grid          laws    sartor scale on text
# grid    the whole memorization task, 36 runs (not by default)
# Raw answers land in docs/results/mad/.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/build/evidence}
sartor=${SARTOR:-$here/build/src/cli/sartor}
text=${TEXT:-$folder/text}
workers=${WORKERS:-2}
results=$here/docs/results/mad
mkdir -p "$folder" "$results"
parts=("${@:2}")
[ "${#parts[@]}" -gt 0 ] || parts=(quick text larger learns ceilings laws)

# Two mixers of tokens and two of channels each; the first four have published scores.
published=("(MHA GMemless)x2" "(Mamba)x4" "(GLA GMemless)x2" "(Hyena GMemless)x2")
others=("GConv-1 GMemless SA-3 GMemless" "Rec-1 GMemless SA-1 GMemless" "(GConv-1 GMemless)x2"
    "(Mamba-2 GMemless)x2" "(Rec-1 GMemless)x2" "(SA-2 GMemless)x2")

# keep NAME COMMAND...: the command's output, whole or not at all, and what it took.
keep() {
    local file=$results/$1
    shift
    [ -f "$file" ] && return 0
    echo "$(date +%H:%M) ${file##*/}" >&2
    "$@" >"$file.part"
    mv "$file.part" "$file"
}

# mad NAME STUDY OPTIONS... ARCH...: scores, as one line.
mad() {
    local name=$1 study=$2
    shift 2
    keep "$name.json" "$sartor" mad "$@" --study "$folder/$study.db" --workers "$workers" --quiet --json
}

quick() {
    mad quick quick --precision bf16 "${published[@]}" "${others[@]}"
}

# 3e12 FLOPs of training for each: 3 times the forward pass a token. One at a time and a thread each,
# as many at once as there are workers.
text_run() {
    local name=$1 arch=$2 tokens
    [ -f "$folder/$name.json" ] && return 0
    tokens=$("$sartor" inspect "$arch" "${sizes[@]}" --json | python3 -c \
        'import json, sys; print(round(3e12 / 3 / json.load(sys.stdin)["flops_per_token"]))')
    "$sartor" train --arch "$arch" "${sizes[@]}" --data "$text" --out "$folder/$name" --tokens "$tokens" \
        --batch 16 --lr 2e-3 --precision bf16 --threads 1 --quiet --json >"$folder/$name.json.part"
    mv "$folder/$name.json.part" "$folder/$name.json"
}

text() {
    [ -f "$results/text.jsonl" ] && return 0
    [ -d "$text" ] || "$here/scripts/get-text.sh" large "$text"
    local i=0 arch sizes=(--livs 4 --width 128 --head-dim 8 --context 256)
    for arch in "${published[@]}" "${others[@]}"; do
        text_run "text-$i" "$arch" &
        [ "$(jobs -rp | wc -l)" -lt "$workers" ] || wait -n
        i=$((i + 1))
    done
    wait
    i=0
    for arch in "${published[@]}" "${others[@]}"; do
        python3 -c 'import json, sys
print(json.dumps({"arch": sys.argv[1], **json.load(open(sys.argv[2]))}))' "$arch" "$folder/text-$i.json"
        i=$((i + 1))
    done >"$results/text.jsonl.part"
    mv "$results/text.jsonl.part" "$results/text.jsonl"
}

# Four times what the quick suite spends on a task, or more: longer sequences, more examples or epochs.
larger_one() {
    mad "larger-$1" larger --precision bf16 --suite "$2" --epochs "$3" --lr 1e-3 --weight-decay 0 \
        "${published[@]}" "${others[@]:0:2}"
}

larger() {
    larger_one memorization memorization:vocab=2048,test=256 200
    larger_one recall recall:train=1600,test=256 50
    larger_one copy copy:length=128,train=1600,test=256 50
    larger_one noisy noisy:vocab=24,train=1600,test=256 60
    larger_one fuzzy fuzzy:vocab=8,key-size=2,value-size=2,train=1600,test=256 50
}

# The benchmark's own settings, attention and SwiGLU, one rate of its grid.
learns() {
    local task
    for task in recall copy; do
        mad "learns-$task" learns --precision bf16 --suite "$task" --lr 1e-3 --weight-decay 0 "${published[0]}"
    done
}

# The six vocabularies of memorization at one rate.
ceilings() {
    local options=(--precision bf16 --suite full --tasks memorization --lr 1e-3 --weight-decay 0)
    mad memorization memorization "${options[@]}" "${published[0]}"
    mad memorization-mamba memorization "${options[@]}" "${published[1]}"
}

# All 36 runs of the benchmark.
grid() {
    mad grid grid --precision bf16 --suite full --tasks memorization "${published[0]}"
}

laws() {
    [ -d "$text" ] || "$here/scripts/get-text.sh" large "$text"
    local options=("SA-1 GMemless" "Rec-1 GMemless" --study "$folder/laws.db" --data "$text"
        --budgets "1e11,3e11,1e12" --precision bf16 --workers "$workers" --quiet)
    keep laws.json "$sartor" scale "${options[@]}" --json
    keep laws.txt "$sartor" scale "${options[@]}"
}

for part in "${parts[@]}"; do "$part"; done
