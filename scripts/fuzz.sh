#!/usr/bin/env bash
# Searches for inputs that break a parser, with libFuzzer under the address and undefined-behaviour
# sanitizers.
#
#     scripts/fuzz.sh NAME [SECONDS]      NAME: a target of tests/fuzz; default 60 seconds
#
# Starts from the seeds in tests/fuzz/corpus/NAME and from what earlier runs found in
# build/fuzz/NAME; an input that breaks it is left there as crash-*. Clang compiles, with coverage,
# the folders where the parsers are; everything else comes from the ordinary library.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=${1:?usage: scripts/fuzz.sh NAME [SECONDS]}
[ -f "tests/fuzz/fuzz_$name.c" ] || { echo "no target tests/fuzz/fuzz_$name.c" >&2; exit 2; }
need_packages "${build_packages[@]}" clang-16 libclang-rt-16-dev
out=build/fuzz/$name
mkdir -p "$out/found"
[ -f build/fuzz/library/build.ninja ] || meson setup build/fuzz/library
ninja -C build/fuzz/library libsartor_core.a

flags=(-g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=c11 -Iinclude -Isrc)
clang-16 "${flags[@]}" "tests/fuzz/fuzz_$name.c" src/base/*.c src/tensor/*.c src/genome/*.c \
    src/data/*.c src/liv/*.c src/model/{architecture,model}.c src/grow/*.c src/train/growth_note.c \
    build/fuzz/library/libsartor_core.a -o "$out/fuzz" \
    -ldnnl -ljansson -lxxhash -lsentencepiece -lsentencepiece_train -lstdc++ -lgomp -lm
"$out/fuzz" -max_total_time="${2:-60}" -max_len=65536 -rss_limit_mb=3000 \
    -artifact_prefix="$out/" "$out/found" "tests/fuzz/corpus/$name"
