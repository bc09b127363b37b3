#!/bin/sh
# Builds a corpus of real English text from Debian packages. The packages are downloaded and unpacked,
# never installed; the text is plain files, one document each, paragraphs separated by blank lines.
#
#   scripts/get-text.sh small [OUT]   10 MB, public domain: King James Bible, World English Bible,
#                                     Pride and Prejudice; one file a chapter     (OUT: data/small)
#   scripts/get-text.sh large [OUT]   100 MB, free licences: also the documentation of Linux, Python,
#                                     Perl and PostgreSQL, a FAQ and a dictionary (OUT: data/large)
#
# Run again, it finds the finished corpus and does nothing. Needs Debian (or a derivative that has the
# packages), python3, and network access to the package archive.
set -eu

fail() {
    echo "get-text: $*" >&2
    exit 1
}

size=${1-}
case $size in
small | large) ;;
*)
    echo "usage: scripts/get-text.sh small|large [OUT]" >&2
    exit 2
    ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-$here/../data/$size}
if [ -f "$out/.complete" ] && [ "$(cat "$out/.complete")" = "$size 1" ]; then
    echo "$out: complete already"
    exit 0
fi
[ ! -e "$out" ] || [ -z "$(ls -A "$out")" ] || fail "$out is not empty and not a corpus of this kind"

for tool in apt-get apt-cache dpkg dpkg-query python3; do
    command -v $tool >/dev/null || fail "$tool is needed (on Debian: apt-get install python3)"
done

packages="libsword-utils sword-text-kjv sword-text-web r-cran-janeaustenr"
if [ "$size" = large ]; then
    packages="$packages anarchism dict-gcide linux-doc-6.1 perl-doc postgresql-doc-15 python3.11-doc"
fi

known() {
    for package in $packages; do
        apt-cache show "$package" >/dev/null 2>&1 || return 1
    done
}
if ! known; then
    echo "get-text: fetching the package lists" >&2
    if [ "$(id -u)" = 0 ]; then
        apt-get -qq update || fail "apt-get update failed: is there a network?"
    else
        command -v sudo >/dev/null || fail "no package lists: run 'apt-get update' as root first"
        sudo apt-get -qq update || fail "apt-get update failed: is there a network?"
    fi
fi
for package in $packages; do
    apt-cache show "$package" >/dev/null 2>&1 ||
        fail "package $package is not in the archives of /etc/apt (Debian 12 main has it)"
done

# mod2imp runs from its unpacked package: with it come the libraries that this system lacks.
relations="--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances"
# shellcheck disable=SC2086
for package in $(apt-cache depends --recurse $relations libsword-utils | grep '^[a-z0-9]' | sort -u); do
    case " $packages " in *" $package "*) continue ;; esac
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
        packages="$packages $package"
done

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
work=$(cd "$work" && pwd)
mkdir "$work/deb" "$work/root" "$work/text"

echo "get-text: downloading" >&2
sandbox=
[ "$(id -u)" = 0 ] && sandbox="-o APT::Sandbox::User=root"
# shellcheck disable=SC2086
(cd "$work/deb" && apt-get $sandbox -qq download $packages >log 2>&1) || {
    tail -n 3 "$work/deb/log" >&2
    fail "a package could not be downloaded (stale lists? try 'apt-get update')"
}
echo "get-text: unpacking" >&2
for deb in "$work"/deb/*.deb; do
    dpkg -x "$deb" "$work/root"
    rm "$deb"
done

libraries=$(find "$work/root/usr/lib" "$work/root/lib" -name 'lib*.so.*' -exec dirname {} \; 2>/dev/null |
    sort -u | tr '\n' ':')
bible() {
    SWORD_PATH="$work/root/usr/share/sword" LD_LIBRARY_PATH="$libraries" \
        "$work/root/usr/bin/mod2imp" "$1" >"$work/$1.imp" || fail "mod2imp failed for $1"
}
bible engKJV2006eb
bible engWEB2015eb

echo "get-text: extracting" >&2
python3 "$here/extract-text.py" "$size" "$work" "$work/text"
echo "$size 1" >"$work/text/.complete"
[ ! -d "$out" ] || rmdir "$out"
chmod 755 "$work/text"
mv "$work/text" "$out"
echo "$out: $(find "$out" -name '*.txt' | wc -l) documents, $(du -sm --apparent-size "$out" | cut -f1) MB"
