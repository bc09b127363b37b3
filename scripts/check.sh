#!/usr/bin/env bash
# Everything that must hold before a change is accepted, on a fresh Debian 12: it installs what it
# needs, checks style, builds, runs all tests, runs the unit tests again under the address and
# undefined-behaviour sanitizers, and uses the installed library from outside.
#
#     scripts/check.sh            at most 20 minutes on 2 cores
#
# One line per check and test; details only of failures. The last line is
# "N passed, N failed, N skipped"; exit 1 when anything failed. Builds lie in build/check*.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passed=0 failed=0 skipped=0
logs=build/check-logs
prefix=$PWD/build/check-installed
# Tests of several processes share the cores: waiting threads must not spin.
export OMP_WAIT_POLICY=passive LC_ALL=C.UTF-8
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1

# check NAME COMMAND...: runs it as one check; exit status 77 means skipped.
check() {
    local name=$1 log="$logs/${1//[^a-zA-Z0-9]/-}.log" start=$EPOCHREALTIME status
    shift
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    local word=ok
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) word=skip ;;
    *) failed=$((failed + 1)) word=FAIL ;;
    esac
    printf '%-4s  %s  %.1f s\n' "$word" "$name" \
        "$(awk "BEGIN { print $EPOCHREALTIME - $start }")"
    [ $word = ok ] || tail -n 60 "$log" | sed 's/^/      | /'
    return $status
}

# tests PREFIX BUILD ARGUMENT...: runs Meson's tests of a build and adds up their results.
tests() {
    local name=$1 build=$2 ok bad none
    shift 2
    rm -f "$build/meson-logs/testlog.json"
    meson test -C "$build" --no-rebuild "$@" >"$logs/$name-tests.log" 2>&1 </dev/null
    scripts/report-tests "$build/meson-logs/testlog.json" "$name" "$logs/counts"
    read -r ok bad none <"$logs/counts"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + none))
}

# build FOLDER SETUP-ARGUMENT...
build() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ] && meson setup --reconfigure "$folder" "$@"; then
        ninja -C "$folder"
    else # new, or of another place or another Meson
        rm -rf "$folder"
        meson setup "$folder" "$@" && ninja -C "$folder"
    fi
}

# Names the files that clang-format would change.
formatted() {
    ! source_files | xargs clang-format-14 --dry-run 2>&1 | grep -o '^[^ :]*' | sort -u | grep .
}

# The kernels and vec.h are vector code, which cppcheck cannot follow.
cppcheck_clean() {
    cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 --max-configs=6 --suppress=missingIncludeSystem \
        --suppress=invalidFunctionArg --suppress='*:src/op/vec.h' -i src/op/kernel \
        -I src -I include src tests include
}

scripts_parse() {
    local script
    for script in scripts/*.sh; do bash -n "$script" || return 1; done
    find scripts tests bench -name '*.py' -print0 |
        xargs -0 python3 -c 'import ast, sys
for path in sys.argv[1:]: ast.parse(open(path, encoding="utf-8").read(), path)'
}

# Every public header stands alone, in C11 and in C++17.
public_headers() {
    local header
    for header in include/sartor/*.h; do
        gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -x c "$header" &&
            g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -x c++ "$header" ||
            return 1
    done
}

exported_symbols() {
    local library=$prefix/lib/libsartor.so
    nm -D --defined-only "$library" | awk '$3 !~ /^sartor_/ { print "exported:", $3; bad = 1 }
        END { exit bad || NR == 0 }'
}

# The example, built against the installed copy alone, trains on real text and samples from it.
installed_library() {
    local source=examples/train_and_sample.c out=$logs/example
    if [ ! -f "$source" ]; then
        echo "$source does not exist"
        return 77
    fi
    if [ "$(wc -l <"$source")" -ge 60 ]; then
        echo "$source has 60 lines or more"
        return 1
    fi
    rm -rf "$out"
    mkdir -p "$out"
    local flags
    flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs sartor) || return 1
    # shellcheck disable=SC2086
    gcc -std=c11 -Wall -Wextra -Wpedantic -Werror "$source" -o "$out/example" $flags || return 1
    LD_LIBRARY_PATH=$prefix/lib timeout 120 "$out/example" /usr/share/common-licenses "$out/model"
}

mkdir -p "$logs"
start=$SECONDS
need_packages "${build_packages[@]}" "${check_packages[@]}" || {
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

check "format" formatted
check "style" scripts/checksrc
check "cppcheck" cppcheck_clean
check "scripts parse" scripts_parse
check "public headers in C and C++" public_headers

if check "build, release, warnings as errors" build build/check -Dwerror=true \
    --buildtype=release --prefix="$prefix" --libdir=lib; then
    tests release build/check
    rm -rf "$prefix"
    check "install" meson install -C build/check --no-rebuild
    check "exported symbols" exported_symbols
    check "example on the installed library" installed_library
fi
if check "build, sanitizers" build build/check-sanitizers --buildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fno-sanitize-recover=all; then
    tests sanitizers build/check-sanitizers --no-suite slow --timeout-multiplier 4
fi

echo "$((SECONDS - start)) seconds"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
