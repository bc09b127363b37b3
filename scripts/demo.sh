#!/usr/bin/env bash
# From nothing to a trained model that writes, on a fresh Debian 12: installs what it needs, builds,
# gets a small corpus of English books, looks at an architecture, trains it, measures it and samples
# from it. At most 5 minutes on 2 cores once the packages are downloaded.
#
#     scripts/demo.sh
#
# Everything lies in build/demo, data/small and out/demo. Run again, it continues where it was
# stopped; when the model is done, it only measures and samples.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

out=out/demo
export SARTOR_CACHE=$PWD/$out/cache
arch="lfm2 --livs 12 --width 128 --head-dim 32 --context 256"

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

say "An architecture: short convolutions and a few attention units, as in LFM2"
# shellcheck disable=SC2086
show inspect $arch --vocab 2048

say "A vocabulary of 2048 pieces"
show tokenizer --data data/small --vocab 2048 --out "$out/pieces.model"

# bf16 is fast where the processor multiplies it; without it there is time for fewer steps.
precision=f32 steps=500
if grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then precision=bf16 steps=1500; fi
say "Training: about 2 minutes on 2 cores"
# shellcheck disable=SC2086
show train --arch $arch --tokenizer "$out/pieces.model" --data data/small --out "$out/run" \
    --steps $steps --precision $precision

say "Measuring it on chapters that it has not seen"
show eval "$out/run" --data data/small --split test --quiet

say "Letting it write"
show generate "$out/run" --prompt "It is a truth universally acknowledged, that" --tokens 120 --seed 1 \
    --quiet
echo

say "Next"
cat <<TEXT
Done in $SECONDS s. Try (with build/demo/src/cli/sartor in your PATH):
  sartor generate $out/run --prompt "In the beginning" --temperature 0.6 --seed 2
  sartor inspect "(SA-1 GMemless)x6" --width 256       what another architecture would cost
  sartor list livs                                     the units that architectures are made of
  sartor train --arch striped-mamba --data YOUR-TEXT/ --out out/mine
and read docs/manual.md.
TEXT
