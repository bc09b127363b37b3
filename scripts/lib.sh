# Shared by the scripts: where the tree is, which Debian packages are needed, and how to get them.
# Source it from bash; it changes to the root of the tree.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# What it takes to build, and what the checks need on top.
build_packages=(
    gcc g++ libc6-dev meson ninja-build pkgconf
    libdnnl-dev libjansson-dev libxxhash-dev libsqlite3-dev libsentencepiece-dev libcmocka-dev node-d3
)
check_packages=(clang-format-14 cppcheck python3 python3-numpy python3-torch chromium)

# need_packages PACKAGE...: installs those that are missing; asks nothing but, where not root, the
# password for sudo. Says what it does on standard error, in one line; fails with a reason.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if ! command -v apt-get >/dev/null; then
        echo "missing, and there is no apt-get to install it: ${missing[*]}" >&2
        return 1
    fi
    local become=() log
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "not root and no sudo; please install: ${missing[*]}" >&2
            return 1
        fi
        become=(sudo)
    fi
    echo "installing: ${missing[*]}" >&2
    log=$(mktemp)
    local install=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
        --no-install-recommends "${missing[@]}")
    # The package lists may be absent or old: fetch them only when the first try fails.
    if "${install[@]}" >"$log" 2>&1 </dev/null ||
        { "${become[@]}" apt-get update -q >"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1 </dev/null; }; then
        rm -f "$log"
        return 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "could not install: ${missing[*]}" >&2
    return 1
}

# All C and C++ files of the project.
source_files() {
    find src include tests bench examples -name '*.[ch]' -o -name '*.cc' 2>/dev/null | LC_ALL=C sort
}
