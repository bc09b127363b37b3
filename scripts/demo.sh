#!/usr/bin/env bash
# From nothing to a Pareto front of architectures, on a fresh Debian 12: installs what it needs,
# builds, gets a small corpus of English books, evolves small architectures on it, draws the report,
# then trains the best one for longer and lets it write. At most 8 minutes on 2 cores once the packages
# are downloaded.
#
#     scripts/demo.sh
#
# Everything lies in build/demo, data/small and out/demo. Run again, it continues where it was
# stopped; when all is done, it only shows.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

out=out/demo
export SARTOR_CACHE=$PWD/$out/cache
study=$out/books.study
sizes="--livs 8 --width 64 --head-dim 16 --context 128"

say() { printf '\n== %s ==\n\n' "$1"; }

# show COMMAND...: prints the command as a person would type it, then runs it.
show() {
    local word line='$'
    for word in sartor "$@"; do
        case $word in *[!a-zA-Z0-9/.,_=-]*) word="'$word'" ;; esac
        line+=" $word"
    done
    echo "$line"
    build/demo/src/cli/sartor "$@"
}

say "Building"
need_packages "${build_packages[@]}" python3
mkdir -p "$out"
[ -f build/demo/build.ninja ] || meson setup build/demo --buildtype=release >"$out/build.log" || {
    tail -n 20 "$out/build.log"
    exit 1
}
ninja -C build/demo src/cli/sartor >>"$out/build.log" 2>&1 || {
    tail -n 40 "$out/build.log"
    exit 1
}
echo "build/demo/src/cli/sartor is ready after $SECONDS s"

say "Text: two Bible translations and Pride and Prejudice"
scripts/get-text.sh small data/small

say "What a standard design costs at the size of this search"
# shellcheck disable=SC2086
show inspect transformer++ $sizes

say "Searching: small, good, and with little to remember while it writes"
# Three standard designs are in the first population, to be beaten.
# shellcheck disable=SC2086
show search --study "$study" --data data/small --objectives bpb,params,cache $sizes --batch 4 \
    --lr 0.004 --train-tokens 200k --population 10 --generations 6 \
    --seed-with transformer++,striped-mamba,lfm2

say "The report"
show report "$study"

say "The best one, trained for longer"
# The front is sorted by bits per byte.
best=$(build/demo/src/cli/sartor front "$study" --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["front"][0]["trial"])')
show show "$study" "$best" --save "$out/best.json"
show train --arch "$out/best.json" --data data/small --out "$out/run" --batch 8 --lr 0.004 --tokens 1M \
    --quiet

say "Letting it write"
show generate "$out/run" --prompt "And he said unto them, " --tokens 300 --temperature 0.7 --seed 1 --quiet
echo

say "Next"
cat <<TEXT
Done in $SECONDS s. Open the report in a browser: $study.html
Try (with build/demo/src/cli/sartor in your PATH):
  sartor show $study                 how the search went
  sartor finals $study --top 3 --tokens 1M
                                     its best beside standard designs, on text that it never saw
  sartor search --study my.study --data YOUR-TEXT/ --dry-run
and read docs/tutorial.md: from a text file to a chosen model.
TEXT
